"""Tasks on this machine: as many at once as there are workers; Ctrl-C interrupts all that run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.bench import local, scaling, tasks
from common.bench.measure import Session
from common.bench.tasks import Finished, Interrupted, Outcome, Task

TASKS = [Task("tf-model-1", "pytorch", seed) for seed in range(1, 5)]


def outcome(task: Task, status: int = 0) -> Outcome:
    tables = {"results.csv": str(task).encode()}
    return Outcome(status=status, tables=tables, last_lines="", machine="here", seconds=1.0)


def run(workers: int) -> list[Finished]:
    return list(local.run_here(TASKS, workers=workers, data_dir=None, threads=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_run_at_once(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task waits until as many run as there are workers; a barrier of more would break."""
    together = threading.Barrier(workers, timeout=60)
    running: list[Task] = []
    most = 0

    def run_task(task: Task, **_: object) -> Outcome:
        nonlocal most
        running.append(task)
        together.wait()
        most = max(most, len(running))
        together.wait()
        running.remove(task)
        return outcome(task)

    monkeypatch.setattr(tasks, "run_task", run_task)
    ended = run(workers)
    assert {each.task for each in ended} == set(TASKS)
    assert all(each.completed for each in ended)
    assert most == workers


def test_a_task_that_fails_is_attempted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[Task] = []

    def run_task(task: Task, **_: object) -> Outcome:
        attempts.append(task)
        return outcome(task, status=3 if attempts.count(TASKS[0]) == 1 and task == TASKS[0] else 0)

    monkeypatch.setattr(tasks, "run_task", run_task)
    assert all(each.completed for each in run(2))
    assert sorted(attempts, key=str) == sorted([TASKS[0], *TASKS], key=str)


def test_ctrl_c_interrupts_every_running_task_and_starts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3, timeout=60)
    all_submitted = threading.Event()
    started: list[Task] = []
    wait: Any = local.wait

    def run_task(task: Task, *, stop: threading.Event, **_: object) -> Outcome:
        started.append(task)
        together.wait()
        assert stop.wait(60)
        raise Interrupted([outcome(task)])

    def interrupt() -> None:
        together.wait()
        assert all_submitted.wait(60)
        signal.raise_signal(signal.SIGINT)

    def waits(*arguments: object, **options: object) -> object:
        all_submitted.set()
        return wait(*arguments, **options)

    monkeypatch.setattr(tasks, "run_task", run_task)
    monkeypatch.setattr(local, "wait", waits)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted) as stopped:
        run(2)
    recorded = [each.tables["results.csv"].decode() for each in stopped.value.outcomes]
    assert sorted(recorded) == sorted(map(str, started))
    assert len(started) == 2


def test_the_tasks_that_run_end_with_a_generator_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Task] = []
    second_runs = threading.Event()

    def run_task(task: Task, *, stop: threading.Event, **_: object) -> Outcome:
        if task == TASKS[0]:
            assert second_runs.wait(60)
            return outcome(task)
        second_runs.set()
        assert stop.wait(60)
        stopped.append(task)
        raise Interrupted([outcome(task)])

    monkeypatch.setattr(tasks, "run_task", run_task)
    finished = local.run_here(TASKS, workers=2, data_dir=None, threads=1)
    assert next(finished).task == TASKS[0]
    finished.close()
    assert TASKS[1] in stopped
    assert len(stopped) <= 2


def test_runs_one_after_the_other_and_at_once_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """On all cores each, and on one thread each."""
    ran: list[tuple[int, int]] = []
    monkeypatch.setattr(scaling, "cores", lambda: 3)

    def run_here(todo: Sequence[Task], *, workers: int, threads: int, **_: object) -> Iterator[Finished]:
        ran.append((workers, threads))
        return (Finished(task, outcome(task)) for task in todo)

    monkeypatch.setattr(local, "run_here", run_here)
    session = Session(folder=Path(), data_dir=None, models=(), frameworks=("pytorch", "tensorflow"))
    rows = list(scaling.at_once(session))
    assert ran == [(1, 3), (3, 1)] * len(scaling.SMALL)
    assert [(row.model, row.rounds) for row in rows[::2]] == [
        (model, 2 * scaling.SMALL_SEEDS) for model in scaling.SMALL
    ]
