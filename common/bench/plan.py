"""The runs that a comparison of one network lacks, and about how long they take."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from common.analysis.one_network import OneNetwork
from common.bench import probe, tasks
from common.bench.tasks import Task
from common.tables import machine
from common.tables.cores import cores

Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs of `wanted` that are missing: `together` those of which only the accuracy counts, `alone` the
    pair for times and memory; `workers` runs at once, with `threads` each."""

    wanted: Sequence[Task]
    together: Sequence[Task]
    alone: Sequence[Task]
    workers: int

    @property
    def threads(self) -> int:
        """Threads of each run of `together`."""
        return 1 if self.workers > 1 else cores()

    @property
    def missing(self) -> list[Task]:
        """All runs that are missing."""
        return [*self.together, *self.alone]


def plan_of(wanted: Sequence[Task], rows: Sequence[Row], recorded: OneNetwork, *, workers: int) -> Plan:
    """Plan of the runs so that all of `wanted` have a row, and one seed has a pair of rows with times of
    this machine; `recorded` is the comparison by the present `rows`.

    The pair is that of the first seed, which then need not run for its accuracy too.
    """
    timed = recorded.timed
    own = {"machine": machine.name(), "device": "cpu", "threads": cores()}
    here = timed[(timed[list(own)] == pd.Series(own)).all(axis=1)]
    alone = [] if len(here) else [task for task in wanted if task.seed == wanted[0].seed]
    together = [task for task in tasks.missing(wanted, rows) if task not in alone]
    return Plan(wanted=wanted, together=together, alone=alone, workers=workers)


def announcement(plan: Plan, seconds: Mapping[str, float]) -> str:
    """The number of runs, those that are missing, and how long these take by the seconds of one run in
    each framework."""
    counted = f"{len(plan.wanted)} runs of {plan.wanted[0].name}"
    parts = []
    if plan.together:
        parts.append(f"{len(plan.together)} to run for the accuracy, {_at_once(plan.workers)}")
    if plan.alone:
        on = f"{cores()} thread{'s' * (cores() > 1)}"
        parts.append(f"{len(plan.alone)} to run also for times and memory, one after the other on {on}")
    if not parts:
        return f"{counted}, all in the tables already."
    total = sum(seconds[task.framework] for task in plan.together) / plan.workers
    total += sum(seconds[task.framework] for task in plan.alone)
    return f"{counted}; {'; '.join(parts)}. About {datetime.timedelta(seconds=round(total))}."


def _at_once(workers: int) -> str:
    return f"{workers} at once on one thread each" if workers > 1 else "one after the other"


def seconds_of_a_run(plan: Plan, rows: Sequence[Row], *, data_dir: Path | None) -> dict[str, float]:
    """Expected seconds of one of the missing runs, by framework: the median of the runs of this machine that
    are in the tables, else by the first steps of a run. Raises ResultsError where none can be trained."""
    finished, here = tasks.finished_rows(rows), machine.name()
    recorded: dict[str, list[float]] = {}
    for task in plan.wanted:
        of_task = [row for row in finished.get(tasks.key(task), []) if row["machine"] == here]
        # Resumed and diverged runs, without seconds of training, did not take those of all epochs.
        seconds = [float(row["total_seconds"]) for row in of_task if row["train_seconds"]]
        recorded.setdefault(task.framework, []).extend(seconds)
    result = {framework: median(values) for framework, values in recorded.items() if values}
    unknown = {task.framework: task for task in plan.missing if task.framework not in result}
    if unknown:
        measured = probe.seconds_of(list(unknown.values()), data_dir=data_dir, threads=plan.threads)
        result |= dict(zip(unknown, measured, strict=True))
    return result
