"""A sweep's table: accuracy and training time of each change of a recipe, from the rows in trials.csv.

The same command prints it again from the rows, without a run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from common.analysis import significance
from common.bench import tasks
from common.bench.tasks import Task
from common.frameworks import display_name
from common.report.markdown import markdown


def table(wanted: Sequence[Task], rows: Sequence[dict[str, str]]) -> str:
    """A line for each network, framework and change: accuracy as mean and standard deviation over seeds, mean
    seconds of training if all runs were alone on one machine. A repeated seed counts once, with its mean. A
    run that diverged is counted, without an accuracy."""
    rows_by_key = tasks.finished_rows(rows)
    seeds_by_change: dict[tuple[str, str, str], list[list[dict[str, str]]]] = {}
    for task in wanted:
        change = task.name, task.framework, " ".join(task.vary) or "none"
        seeds_by_change.setdefault(change, []).append(rows_by_key.get(tasks.key(task), []))
    lines = []
    for (model, framework, changes), seeds in seeds_by_change.items():
        converged = [ok for runs in seeds if (ok := [run for run in runs if run["status"] == "ok"])]
        accuracy, seconds = (
            significance.summary(fmean(float(run[column]) for run in runs) for runs in converged)
            if converged
            else None
            for column in ("accuracy", "train_seconds")
        )
        columns = [
            f"{accuracy.mean:.3f}" if accuracy else "",
            f"{accuracy.sd:.3f}" if accuracy and accuracy.sd is not None else "",
            f"{seconds.mean:.0f}" if seconds and _are_comparable(itertools.chain(*converged)) else "",
        ]
        count = f"{sum(map(len, converged))} of {sum(map(len, seeds))}"
        lines.append([model, display_name(framework), changes, *columns, count])
    head = ["MODEL", "FRAMEWORK", "CHANGES", "ACCURACY %", "SD", "TRAINING S", "RUNS"]
    return markdown(head, lines, right=(3, 4, 5, 6))


def _are_comparable(runs: Iterable[Mapping[str, str]]) -> bool:
    """Whether the runs were alone on one machine, with one number of threads."""
    places = {(run["machine"], run["device"], run["threads"], run["at_once"]) for run in runs}
    return len(places) == 1 and places.pop()[-1] in ("", "1")
