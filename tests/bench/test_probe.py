"""The expected seconds of a run by its first steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.jobs import job

from common.bench import probe
from common.bench.tasks import Task
from common.tables.store import ResultsError
from common.training.loop import Progress
from common.training.run import _progress_line

PROGRESS = "print('epoch {}/{}  step {:3}/{}  loss 2.3  accuracy 10.00 %  left 0:00:01', flush=True)"


def test_the_rest_goes_on_as_the_timed_steps() -> None:
    """After 2 s of 20 steps in a second, 80 of 120 are left: 4 s, and their share of the tests."""
    assert probe.expected([(1.0, 20), (1.5, 30), (2.0, 40)], 120) == pytest.approx(2 + probe.TESTS * 4)


def test_the_lines_of_a_run_are_read() -> None:
    """As a script prints them."""
    progress = Progress(epoch=2, step=40, steps=468, loss=0.5, accuracy=90.0, seconds=1.0)
    match = probe.PROGRESS.match(_progress_line(progress, job("tf-model-1", 8), 0.0))
    assert match
    assert match.groups() == ("2", "8", "40", "468")


def seconds(monkeypatch: pytest.MonkeyPatch, program: str) -> float:
    """Expected seconds of a task whose process runs `program`."""
    monkeypatch.setattr(Task, "command", lambda *_, **__: [sys.executable, "-c", program])
    (value,) = probe.seconds_of([Task("tf-model-1", "pytorch", 1)], data_dir=Path("data"), threads=1)
    return value


def test_a_long_run_is_ended_after_some_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process would sleep for minutes."""
    steps = [PROGRESS.format(1, 1000, step, 100) for step in (20, 40)]
    program = "\n".join(["import time", steps[0], "time.sleep(0.2)", steps[1], "time.sleep(600)"])
    monkeypatch.setattr(probe, "SECONDS", 0.1)
    assert seconds(monkeypatch, program) > 0.2 * 100_000 / 20 * 0.9


def test_a_short_run_takes_as_long_as_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.3 < seconds(monkeypatch, "import time\ntime.sleep(0.3)") < 60


def test_a_run_that_fails_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "print('pytorch.py: no such layer.'); print('more'); raise SystemExit(2)"
    with pytest.raises(ResultsError, match=r"pytorch\.py: no such layer\."):
        seconds(monkeypatch, program)


@pytest.mark.parametrize("order", [1, -1])
def test_the_other_run_ends_with_the_one_that_fails(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"pytorch": "raise SystemExit(2)", "tensorflow": "import time; time.sleep(600)"}

    def command(task: Task, *_: object, **__: object) -> list[str]:
        return [sys.executable, "-c", programs[task.framework]]

    monkeypatch.setattr(Task, "command", command)
    tasks = [Task("tf-model-1", framework, 1) for framework in list(programs)[::order]]
    with pytest.raises(ResultsError):
        probe.seconds_of(tasks, data_dir=None, threads=1)
