"""The number of runs at once on a machine is exact, and runs that were killed do not count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.tables.concurrent_runs import ConcurrentRuns

RUN = """
import sys
from pathlib import Path
from common.tables.concurrent_runs import ConcurrentRuns
me = ConcurrentRuns(Path(sys.argv[1]))
print("registered", flush=True)
sys.stdin.readline()
print(me.peak(), flush=True)
"""
ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path) -> subprocess.Popen[str]:
    """A run, which is registered when this returns."""
    command = [sys.executable, "-c", RUN, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    assert process.stdout.readline() == "registered\n"
    return process


def end(process: subprocess.Popen[str]) -> int:
    """The peak that a run prints when it ends."""
    return int(process.communicate("\n")[0])


def test_a_run_alone_is_one(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert end(first) == 1
    second = start(tmp_path)
    assert end(second) == 1


@pytest.mark.slow
def test_runs_that_came_and_went_meanwhile_count(tmp_path: Path) -> None:
    longest = start(tmp_path)
    one = start(tmp_path)
    assert end(one) == 2
    other, third = start(tmp_path), start(tmp_path)
    assert end(other) == 3
    last = start(tmp_path)
    assert [end(third), end(last), end(longest)] == [3, 3, 3]


@pytest.mark.slow
def test_a_run_that_was_killed_does_not_count(tmp_path: Path) -> None:
    killed = start(tmp_path)
    killed.kill()
    killed.wait()
    assert end(start(tmp_path)) == 1


def test_a_number_of_a_process_that_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(json.dumps({f"{os.getpid()}-1": 1}))
    assert end(start(tmp_path)) == 1


def test_a_damaged_file_and_a_missing_folder_do_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_bytes(b'{"1": ')
    assert end(start(tmp_path)) == 1
    assert ConcurrentRuns(tmp_path / "no" / "folder").peak() is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has a folder of temporary files for each user")
def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert ConcurrentRuns(tmp_path).peak() is None
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has a folder of temporary files for each user")
def test_a_folder_that_others_can_change_is_not_used(tmp_path: Path) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    link.symlink_to(shared)
    assert ConcurrentRuns(link).peak() is None
    for mode in (0o770, 0o702):
        shared.chmod(mode)
        assert ConcurrentRuns(shared).peak() is None
    assert not list(shared.iterdir())
    shared.chmod(0o700)
    assert ConcurrentRuns(shared).peak() == 1
