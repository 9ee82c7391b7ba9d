"""How long does a matrix of runs take on so many workers? What was measured, and a model to reckon with.

The model: cells are given out in order, each to the worker that is free first; a worker has one as long as
the tables say, and for what it takes to start and end its process; before the first, the cluster starts.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd

from common.analysis import pooling
from common.analysis.frames import Tables
from common.bench import cluster, tasks
from common.bench.measure import Session, row
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.report.markdown import markdown
from common.tables import store
from common.tables.schema import SpeedRow
from common.tables.store import ResultsError

MODEL, SEEDS = "tf-model-1", 12  # in both frameworks: 24 short cells
MEASURED = (1, 2)  # workers
ON_PAPER, PAPER_SEEDS = (1, 10, 100, 1000), 30
TITLE = """# How long a matrix takes

Written by `python -m common.report` from the tables.

A model gives out cells in order, each to the worker that is free first. A worker has a cell for its mean
seconds in the tables and for what surrounds it; before the first one, the cluster starts."""

MEMORY = """A data set that does not fit into memory is out of scope: every run holds all images as bytes. It
would have to come in parts, where `common/train.py` takes the pixels of an epoch."""

PARTS = {
    "scale wall": "from the start of the cluster to the last row",
    "scale start": "until the cluster was there",
    "scale cell": "mean of a cell, as its row has it",
    "scale around": "mean of what a cell takes besides: to start and end its process, to bring its tables",
}


def reckoned(seconds: Iterable[float], *, workers: int, start: float = 0.0, around: float = 0.0) -> float:
    """Seconds until the last of cells that take `seconds` is done."""
    free = [start] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each + around)
    return max(free)


def measured(sitting: Session) -> Iterator[SpeedRow]:
    """The same cells with one worker and with two, each cell on one thread."""
    todo = tasks.tasks_of([MODEL], sitting.frameworks, range(1, SEEDS + 1))
    for workers in MEASURED:
        with tempfile.TemporaryDirectory() as name:
            parts = _timed(todo, Path(name), sitting.data_dir, workers=workers)
        for measure, value in parts.items():
            figures = {"value": value, "low": value, "high": value, "unit": "s", "rounds": len(todo)}
            about = {"framework": "", "model": MODEL, "arm": f"{workers} workers", "threads": 1}
            yield row(measure=measure, **about, **figures)


def _timed(
    todo: Sequence[tasks.Task], folder: Path, data_dir: Path | None, *, workers: int
) -> dict[str, float]:
    """PARTS of a bench with so many workers."""
    begun, cell, around = time.perf_counter(), [], []
    with cluster.connected(None, workers=workers) as client:
        start = time.perf_counter() - begun
        for done in cluster.run_on_cluster(client, todo, data_dir=data_dir, threads=1):
            if not (done.finished and done.outcome):
                raise ResultsError(f"{done.task} failed: {done.reason}")
            store.merge(folder, done.outcome.tables)
            cell.append(float(done.outcome.row["total_seconds"]))
            around.append(done.outcome.seconds - cell[-1])
        wall = time.perf_counter() - begun
    return dict(zip(PARTS, (wall, start, fmean(cell), fmean(around)), strict=True))


def page(tables: Tables) -> str:
    """docs/scale.md; empty where nothing was measured."""
    measured = tables.speed[tables.speed["measure"].isin(PARTS)]
    if measured.empty:
        return ""
    last = measured[measured["sitting"] == measured["sitting"].max()]
    parts = [TITLE, "## As measured", *_as_measured(last), "## On paper", *_on_paper(tables, last), MEMORY]
    return "\n\n".join(parts) + "\n"


def predicted(measured: pd.DataFrame) -> dict[int, float]:
    """Seconds that the model gives the cells of a sitting, by number of workers.

    From what its one worker took for a cell and around it: what two do to each other is not in it.
    """
    one = measured[measured["arm"] == "1 workers"].set_index("measure")
    seconds = [float(one["value"]["scale cell"])] * int(one["rounds"].iloc[0])
    start, around = one["value"]["scale start"], one["value"]["scale around"]
    return {workers: reckoned(seconds, workers=workers, start=start, around=around) for workers in MEASURED}


def _as_measured(found: pd.DataFrame) -> list[str]:
    rows = []
    for workers, guess in predicted(found).items():
        part = found[found["arm"] == f"{workers} workers"].set_index("measure")
        wall, *parts = part["value"][list(PARTS)]
        figures = [f"{figure:.1f}" for figure in (*parts, guess, wall)]
        rows.append(
            [str(workers), str(part["rounds"].iloc[0]), *figures, f"{100 * (guess / wall - 1):+.1f} %"]
        )
    head = "WORKERS | CELLS | START S | CELL S | AROUND IT S | RECKONED S | MEASURED S | OFF BY"
    about = found.iloc[-1]
    return [
        f"The same cells of `{about['model']}` in both frameworks, each on one thread, on one machine "
        f"({about['machine']}). RECKONED is from the figures of one worker alone. Two share the machine's "
        "memory and caches, so a cell takes longer there.",
        markdown(head.split(" | "), rows, right=range(8)),
    ]


def _on_paper(tables: Tables, last: pd.DataFrame) -> list[str]:
    known = {
        (group.model, group.framework): group.summary("total_seconds")
        for group in pooling.groups(pooling.undisturbed(pooling.zoo_runs(tables.runs)))
    }
    missing = [
        f"{model} in {framework}"
        for model in ZOO
        for framework in FRAMEWORKS
        if not known.get((model, framework))
    ]
    if missing:
        return [f"Not yet: there are no times of {', '.join(missing)}."]
    means = [summary.mean for summary in known.values() if summary]
    # Seeds are the outer loop, as in a bench.
    seconds = means * PAPER_SEEDS
    parts = last[last["arm"] == "1 workers"].set_index("measure")["value"]
    start, around = parts["scale start"], parts["scale around"]
    alone = reckoned(seconds, workers=1, start=start, around=around)
    rows = []
    for workers in ON_PAPER:
        taken = reckoned(seconds, workers=workers, start=start, around=around)
        rows.append(
            [f"{workers:,}", f"{taken / 3600:.2f}", f"{alone / taken:.0f}", f"{alone / taken / workers:.0%}"]
        )
    return [
        f"All {len(ZOO)} networks in both frameworks with {PAPER_SEEDS} seeds, {len(seconds)} cells, where "
        "every worker has a machine to itself like those in the tables. The longest cell, "
        f"{max(means) / 60:.0f} minutes, is what no number of workers makes shorter.",
        markdown(["WORKERS", "HOURS", "TIMES FASTER", "OF WHAT THEY COULD"], rows, right=range(4)),
    ]
