"""docs/scale.md: the wall time of the same tasks with one worker and with two, and the predicted makespan;
and that of runs one after the other and at once.

The prediction is list scheduling: tasks start in order, each on the first free worker, and occupy it for the
mean recorded seconds of a run plus the mean overhead of a task; before the first one, the cluster starts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import pandas as pd

from common.analysis.frames import Tables
from common.report.markdown import markdown

WORKERS = (1, 2)
"""The numbers of workers that are measured."""

MEASURES = {
    "scale wall": "from the start of the cluster to the last row",
    "scale start": "until the cluster has its workers",
    "scale cell": "mean of a run's total_seconds",
    "scale around": "mean overhead of a task: its process starts and ends, its tables are sent",
}
"""Measures of each number of workers in speed.csv, in seconds."""

AT_ONCE, ONE, MANY = "at once wall", "one after the other", "at once"
"""The measure of speed.csv with the seconds of the same runs in two arms, and the arms."""

TITLE = """# How long many runs take

Written by `python -m common.report` from the tables; measured by `python -m common.bench scaling`."""

INTRODUCTION = """\
The same tasks were run by one worker and by two. PREDICTED is list scheduling from what the single worker
measured: tasks start in order, each on the first free worker, and occupy it for RUN S plus OVERHEAD S; before
the first one, the cluster starts (START S)."""

MEMORY = """A data set that does not fit into memory is out of scope: every run holds all images as bytes."""


def makespan(seconds: Iterable[float], *, workers: int, start: float = 0.0, overhead: float = 0.0) -> float:
    """Seconds until the last of tasks that run for `seconds` has ended."""
    free_at = [start] * workers
    for run_seconds in seconds:
        heapq.heapreplace(free_at, free_at[0] + run_seconds + overhead)
    return max(free_at)


def last_session(tables: Tables) -> pd.DataFrame:
    """The rows of the last session that measured MEASURES with all of WORKERS; empty where none has."""
    rows: pd.DataFrame = tables.speed[tables.speed["measure"].isin(MEASURES)]
    wanted = len(MEASURES) * len(WORKERS)
    counts = rows.groupby("sitting")["measure"].transform("size")
    whole = rows[counts == wanted]
    session: pd.DataFrame = whole[whole["sitting"] == whole["sitting"].max()]
    return session


def predicted(session: pd.DataFrame) -> dict[int, float]:
    """The makespan by number of workers, from the run time and overhead that one worker measured.

    That two workers slow each other down is not part of it.
    """
    one = session[session["arm"] == "1 workers"].set_index("measure")
    seconds = [float(one["value"]["scale cell"])] * int(one["rounds"].iloc[0])
    start, overhead = one["value"]["scale start"], one["value"]["scale around"]
    return {
        workers: makespan(seconds, workers=workers, start=start, overhead=overhead) for workers in WORKERS
    }


def page(tables: Tables) -> str:
    """docs/scale.md; empty where nothing was measured."""
    parts = [*_of_workers(tables), *at_once(tables)]
    return "\n\n".join([TITLE, *parts, MEMORY]) + "\n" if parts else ""


def _of_workers(tables: Tables) -> list[str]:
    """The table of the numbers of workers; nothing where none was measured."""
    session = last_session(tables)
    if session.empty:
        return []
    rows = []
    for workers, prediction in predicted(session).items():
        measured = session[session["arm"] == f"{workers} workers"].set_index("measure")
        wall, start, run, overhead = measured["value"][list(MEASURES)]
        seconds = [f"{value:.1f}" for value in (start, run, overhead, prediction, wall)]
        error = f"{100 * (prediction / wall - 1):+.1f} %"
        rows.append([str(workers), str(measured["rounds"].iloc[0]), *seconds, error])
    head = "WORKERS | TASKS | START S | RUN S | OVERHEAD S | PREDICTED S | MEASURED S | ERROR"
    last = session.iloc[-1]
    return [
        INTRODUCTION,
        f"Runs of `{last['model']}` in both frameworks, each on one thread, on one machine "
        f"({last['machine']}). Two workers share the machine's memory and caches, so a run takes longer "
        "there than the prediction assumes.",
        markdown(head.split(" | "), rows, right=range(8)),
    ]


def at_once(tables: Tables) -> list[str]:
    """The table of runs one after the other and at once, by network; nothing where none was measured."""
    rows: pd.DataFrame = tables.speed[tables.speed["measure"] == AT_ONCE]
    session = rows[rows["sitting"] == rows["sitting"].max()]
    lines = []
    for model in dict.fromkeys(session["model"]):
        by_arm = session[session["model"] == model].set_index("arm")
        if not {ONE, MANY} <= set(by_arm.index):
            continue  # the session was interrupted
        one, many = (float(by_arm["value"][arm]) for arm in (ONE, MANY))
        seconds = (f"{one:.1f}", f"{many:.1f}", f"{one / many:.2f}")
        lines.append([f"`{model}`", str(by_arm["rounds"].iloc[0]), *seconds])
    if not lines:
        return []
    threads = int(session[session["arm"] == ONE]["threads"].iloc[0])
    return [
        f"Runs in both frameworks one after the other on {threads} threads each, and {threads} at once on "
        "one thread each, as `python -m common.bench compare` runs those of which only the accuracy counts. "
        "RATIO is the first number of seconds over the second: above 1 the runs at once end sooner.",
        markdown(["MODEL", "RUNS", "ONE AFTER THE OTHER S", "AT ONCE S", "RATIO"], lines, right=range(1, 5)),
    ]
