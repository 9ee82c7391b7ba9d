"""`bench scaling [PART ...]`: measure what the same short tasks take with one worker and with two, and one
after the other on all cores and several at once on one core each."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from common.bench.arguments import add_folders, add_frameworks
from common.bench.measure import Session, append_and_print, row, run_session
from common.cli.arguments import one_of
from common.tables import store
from common.tables.cores import cores
from common.tables.schema import SpeedRow
from common.tables.store import ResultsError

if TYPE_CHECKING:
    from common.bench.tasks import Task

MODEL, SEEDS = "tf-model-1", 12  # in both frameworks: 24 short tasks
SMALL, SMALL_SEEDS = ("tf-model-1", "speedrun", "pytorch-model-1"), 3
"""Networks of fewer than 200,000 parameters, whose runs are compared one after the other and at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench scaling`."""
    parser.add_argument(
        "parts",
        nargs="*",
        type=one_of(PARTS, "a part"),
        metavar="PART",
        help=f"what to measure (default: all): {', '.join(PARTS)}",
    )
    add_frameworks(parser)
    add_folders(parser)


def run(options: argparse.Namespace) -> int:
    """Measure; print docs/scale.md as it then is."""
    return run_session(
        options, lambda session: _measure(session, tuple(dict.fromkeys(options.parts or PARTS)))
    )


def _measure(session: Session, parts: Sequence[str]) -> str:
    from common.analysis import frames
    from common.report.scaling import page

    for part in parts:
        append_and_print(session, PARTS[part](session))
    return page(frames.read(session.folder))


def workers(session: Session) -> Iterator[SpeedRow]:
    """Seconds of the same tasks for each number of workers, each run on one thread."""
    from common.bench import tasks
    from common.report.scaling import WORKERS

    todo = tasks.tasks_of([MODEL], session.frameworks, range(1, SEEDS + 1))
    for number in WORKERS:
        with tempfile.TemporaryDirectory() as name:
            seconds = _timed(todo, Path(name), session.data_dir, workers=number)
        for measure, value in seconds.items():
            columns = {"value": value, "low": value, "high": value, "unit": "s", "rounds": len(todo)}
            about = {"framework": "", "model": MODEL, "arm": f"{number} workers", "threads": 1}
            yield row(measure=measure, **about, **columns)


def _timed(todo: Sequence[Task], folder: Path, data_dir: Path | None, *, workers: int) -> dict[str, float]:
    """Seconds by the names of report.scaling.MEASURES. Raises ResultsError if a task fails."""
    from common.bench import cluster
    from common.report.scaling import MEASURES

    started_at, runs, overheads = time.perf_counter(), [], []
    with cluster.started(workers) as client:
        start = time.perf_counter() - started_at
        for ended in cluster.run_on_cluster(client, todo, data_dir=data_dir, threads=1):
            if not (ended.completed and ended.outcome):
                raise ResultsError(f"{ended.task} failed: {ended.reason}")
            store.merge(folder, ended.outcome.tables)
            runs.append(float(ended.outcome.row["total_seconds"]))
            overheads.append(ended.outcome.seconds - runs[-1])
        wall = time.perf_counter() - started_at
    return dict(zip(MEASURES, (wall, start, fmean(runs), fmean(overheads)), strict=True))


def at_once(session: Session) -> Iterator[SpeedRow]:
    """Seconds of the same tasks of each of SMALL one after the other on all cores, and as many at once as
    there are cores on one thread each."""
    from common.bench import local, tasks
    from common.report.scaling import AT_ONCE, MANY, ONE

    for model in SMALL:
        todo = tasks.tasks_of([model], session.frameworks, range(1, SMALL_SEEDS + 1))
        for arm, number, threads in ((ONE, 1, cores()), (MANY, cores(), 1)):
            started_at = time.perf_counter()
            for ended in local.run_here(todo, workers=number, data_dir=session.data_dir, threads=threads):
                if not ended.completed:
                    raise ResultsError(f"{ended.task} failed: {ended.reason}")
            value = time.perf_counter() - started_at
            columns = {"value": value, "low": value, "high": value, "unit": "s", "rounds": len(todo)}
            yield row(measure=AT_ONCE, framework="", model=model, arm=arm, threads=threads, **columns)


PARTS: dict[str, Callable[[Session], Iterator[SpeedRow]]] = {"workers": workers, "at-once": at_once}
"""Parts that `bench scaling` measures."""
