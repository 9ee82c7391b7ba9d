"""Threads of a run by OMP_NUM_THREADS, alike in all scripts, and the waiting of OpenMP's threads."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.recorder import RecorderBackend

from common.cli import main as command
from common.cli import threads
from common.cli.invocation import Startup, parse
from common.cli.threads import SPINS, WAITING, ThreadsError, default_threads, limit_spinning
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS, ROOT
from common.tables.contention import Usage
from common.tables.cores import cores_each

frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)


@frameworks
@pytest.mark.parametrize(
    "value, words, expected",
    [
        ("7", [], 7),
        (" 3,2 ", [], 3),
        ("", [], cores_each(1)),
        ("7", ["--threads", "2"], 2),
        ("many", ["--threads", "2"], 2),
    ],
)
def test_the_environment_names_the_threads_where_no_flag_does(
    framework: str, value: str, words: list[str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert parse(framework, words).threads == expected


@frameworks
@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5", "99999999999"])
def test_a_number_that_is_none_is_one_line(
    framework: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(SystemExit) as exit_:
        parse(framework, [])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "OMP_NUM_THREADS" in line
    assert value in line


def test_the_launchers_own_number_counts_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun sets 1 for each of several processes."""
    monkeypatch.setattr(threads, "cores_each", lambda processes: 8 // processes)
    assert default_threads(1, {"OMP_NUM_THREADS": "1"}) == 1
    assert default_threads(2, {"OMP_NUM_THREADS": "1"}) == 4
    assert default_threads(2, {"OMP_NUM_THREADS": "3"}) == 3
    with pytest.raises(ThreadsError):
        default_threads(2, {"OMP_NUM_THREADS": "x"})


@frameworks
@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {SPINS: "5"}], ids=str)
def test_a_users_own_waiting_is_kept(framework: str, own: dict[str, str]) -> None:
    environment = dict(own)
    limit_spinning(FRAMEWORKS[framework], environment)
    spins = FRAMEWORKS[framework].openmp_spins
    assert environment == (own if own or spins is None else {SPINS: str(spins)})


@pytest.mark.parametrize("loader, expected", [("memory", True), ("native", False)])
def test_a_script_limits_the_waiting_before_it_imports_the_framework(loader: str, expected: bool) -> None:
    """But not where it trains as most users of the framework do."""
    program = (
        "import os, sys\n"
        f"sys.argv = ['pytorch.py', '--loader', '{loader}']\n"
        "from common.cli.main import parse_arguments\n"
        "parse_arguments('pytorch')\n"
        f"print('torch' not in sys.modules, os.environ.get('{SPINS}'), flush=True)\n"
        "os._exit(0)\n"  # the data set is not waited for
    )
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    spins = str(FRAMEWORKS["pytorch"].openmp_spins) if expected else "None"
    assert ended.stdout.splitlines()[-1].split() == ["True", spins]


def test_other_work_is_reported_before_the_run(
    mnist: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = Usage.now()
    assert now
    busy = dataclasses.replace(now, wall=now.wall - 1, machine=now.machine - 1000)
    for startup, warnings in ((Startup(), 0), (Startup(usage=busy), 1)):
        words = ["--results", str(tmp_path), "--dry-run"]
        invocation = dataclasses.replace(command.parse_arguments("pytorch", words), startup=startup)
        with pytest.raises(SystemExit) as exit_:
            command.main(RecorderBackend, invocation)
        assert exit_.value.code == 0
        assert capsys.readouterr().out.count("Warning: other work") == warnings
