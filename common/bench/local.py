"""Runs tasks on this machine, each in a process of its own: one after another, or several at once."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from common.bench import tasks
from common.bench.tasks import MAX_ATTEMPTS, Finished, Interrupted, Outcome, Task

POLL_SECONDS = 0.2
"""On Windows no signal interrupts a wait without an end."""


def run_here(
    todo: Sequence[Task],
    *,
    workers: int = 1,
    data_dir: Path | None,
    threads: int | None,
    log: Path | None = None,
) -> Generator[Finished]:
    """Every task as it ends, `workers` of them at once; a task that failed has been attempted again before.

    On Ctrl-C the running tasks are interrupted and record that, and Interrupted is raised with their
    outcomes. They are interrupted too when the generator is closed early, and their rows are lost.
    """
    stop = threading.Event()
    attempt = partial(_attempted, stop=stop, data_dir=data_dir, threads=threads, log=log)
    pool = ThreadPoolExecutor(workers)
    waiting: list[Future[Finished]] = []
    try:
        for task in todo:
            waiting.append(pool.submit(attempt, task))
        while waiting:
            wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in [future for future in waiting if future.done()]:
                waiting.remove(future)
                yield future.result()
    except KeyboardInterrupt:
        stop.set()
        pool.shutdown(cancel_futures=True)
        raise Interrupted(_interrupted(waiting)) from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _attempted(task: Task, *, stop: threading.Event, **options: Path | int | None) -> Finished:
    """A task that has ended after up to MAX_ATTEMPTS. Raises Interrupted."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        ended = Finished(task, tasks.run_task(task, stop=stop, **options))  # type: ignore[arg-type]
        if ended.completed or attempt == MAX_ATTEMPTS:
            break
    return ended


def _interrupted(futures: list[Future[Finished]]) -> list[Outcome]:
    """The outcomes of the tasks that have been interrupted, and of those that ended meanwhile."""
    outcomes: list[Outcome] = []
    for future in futures:
        if future.cancelled():
            continue
        match future.exception():
            case Interrupted() as stopped:
                outcomes += stopped.outcomes
            case None if outcome := future.result().outcome:
                outcomes.append(outcome)
    return outcomes
