"""How many runs a machine makes at once is counted exactly, and those that died do not count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from common.tables.concurrent_runs import ConcurrentRuns

RUN = """
import sys
from pathlib import Path
from common.tables.concurrent_runs import ConcurrentRuns
me = ConcurrentRuns(Path(sys.argv[1]))
print("here", flush=True)
sys.stdin.readline()
print(me.peak(), flush=True)
"""
ROOT = Path(__file__).resolve().parents[2]


def begin(folder: Path) -> subprocess.Popen[str]:
    """A run, which is there when this returns."""
    command = [sys.executable, "-c", RUN, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    return process


def end(process: subprocess.Popen[str]) -> int:
    """What a run says when it ends."""
    return int(process.communicate("\n")[0])


def test_a_run_alone_is_one(tmp_path: Path) -> None:
    first = begin(tmp_path)
    assert end(first) == 1
    second = begin(tmp_path)
    assert end(second) == 1


def test_a_run_knows_of_those_that_came_and_went_meanwhile(tmp_path: Path) -> None:
    longest = begin(tmp_path)
    one = begin(tmp_path)
    assert end(one) == 2
    other, third = begin(tmp_path), begin(tmp_path)
    assert end(other) == 3
    last = begin(tmp_path)
    assert [end(third), end(last), end(longest)] == [3, 3, 3]


def test_one_that_was_killed_does_not_count(tmp_path: Path) -> None:
    killed = begin(tmp_path)
    killed.kill()
    killed.wait()
    assert end(begin(tmp_path)) == 1


def test_numbers_of_processes_come_again(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(json.dumps({f"{os.getpid()}-1": 1}))
    assert end(begin(tmp_path)) == 1


def test_a_damaged_file_and_none_at_all_are_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_bytes(b'{"1": ')
    assert end(begin(tmp_path)) == 1
    assert ConcurrentRuns(tmp_path / "no" / "folder").peak() is None
