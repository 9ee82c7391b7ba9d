"""`bench scaling`: measure what the same short tasks take with one worker and with two."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from common.bench.arguments import add_folders, add_frameworks
from common.bench.measure import Session, append_and_print, row, run_session
from common.tables import store
from common.tables.schema import SpeedRow
from common.tables.store import ResultsError

if TYPE_CHECKING:
    from common.bench.tasks import Task

MODEL, SEEDS = "tf-model-1", 12  # in both frameworks: 24 short tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench scaling`."""
    add_frameworks(parser)
    add_folders(parser)


def run(options: argparse.Namespace) -> int:
    """Measure; print docs/scale.md as it then is."""
    return run_session(options, _measure)


def _measure(session: Session) -> str:
    from common.analysis import frames
    from common.report.scaling import page

    append_and_print(session, measurements(session))
    return page(frames.read(session.folder))


def measurements(session: Session) -> Iterator[SpeedRow]:
    """Seconds of the same tasks for each number of workers, each run on one thread."""
    from common.bench import tasks
    from common.report.scaling import WORKERS

    todo = tasks.tasks_of([MODEL], session.frameworks, range(1, SEEDS + 1))
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as name:
            seconds = _timed(todo, Path(name), session.data_dir, workers=workers)
        for measure, value in seconds.items():
            columns = {"value": value, "low": value, "high": value, "unit": "s", "rounds": len(todo)}
            about = {"framework": "", "model": MODEL, "arm": f"{workers} workers", "threads": 1}
            yield row(measure=measure, **about, **columns)


def _timed(todo: Sequence[Task], folder: Path, data_dir: Path | None, *, workers: int) -> dict[str, float]:
    """Seconds by the names of report.scaling.MEASURES. Raises ResultsError if a task fails."""
    from common.bench import cluster
    from common.report.scaling import MEASURES

    started_at, runs, overheads = time.perf_counter(), [], []
    with cluster.connected(None, workers=workers) as client:
        start = time.perf_counter() - started_at
        for ended in cluster.run_on_cluster(client, todo, data_dir=data_dir, threads=1):
            if not (ended.completed and ended.outcome):
                raise ResultsError(f"{ended.task} failed: {ended.reason}")
            store.merge(folder, ended.outcome.tables)
            runs.append(float(ended.outcome.row["total_seconds"]))
            overheads.append(ended.outcome.seconds - runs[-1])
        wall = time.perf_counter() - started_at
    return dict(zip(MEASURES, (wall, start, fmean(runs), fmean(overheads)), strict=True))
