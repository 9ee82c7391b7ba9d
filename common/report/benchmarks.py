"""benchmarks.md: accuracy, verdicts, rounding, defaults, ablation, times, speed and failures of all runs."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from common.analysis import pooling
from common.analysis.frames import Tables
from common.report import (
    ablation_tables,
    defaults_tables,
    repetition_tables,
    rounding_tables,
    run_tables,
    speed_ratios,
    timings,
    verdict_tables,
)
from common.tables.schema import Status


def page(tables: Tables) -> str:
    """The whole text of benchmarks.md."""
    runs = tables.runs
    parts = [
        "# Benchmarks",
        "Rendered from the tables by `python -m common.report`; do not edit. "
        "A value is mean ± sample standard deviation over n seeds; runs of one seed are no repetitions, so "
        "they are averaged first, and their number is given apart.",
    ]
    if runs.empty:
        return "\n\n".join([*parts, "No runs yet."]) + "\n"
    zoo_runs = pooling.zoo_runs(runs)
    rest = runs.drop(zoo_runs.index)
    return (
        "\n\n".join(
            [
                *parts,
                f"{_counted(runs)}. {len(zoo_runs)} of the finished runs have the zoo's own recipe.",
                *("## Accuracy of the zoo's recipes", run_tables.accuracies(pooling.groups(zoo_runs))),
                *("## Verdicts", verdict_tables.details(tables)),
                *("## Repetition", repetition_tables.section(runs)),
                *("## First steps", rounding_tables.section(tables.traces)),
                *("## The defaults", defaults_tables.side_by_side(tables.defaults)),
                *("## Ablation of the defaults", ablation_tables.section(runs)),
                *(
                    "## Test accuracy per epoch",
                    run_tables.per_epoch(pooling.groups(zoo_runs), tables.epochs),
                ),
                *("## Time and memory", run_tables.times(pooling.undisturbed(runs))),
                *("## Speed", speed_ratios.section(tables), timings.section(tables.speed)),
                *("## Other settings", run_tables.other_settings(pooling.groups(rest))),
                *("## Failed runs", run_tables.failed(runs)),
            ]
        )
        + "\n"
    )


def _counted(runs: pd.DataFrame) -> str:
    """`12 runs: 10 ok, 1 diverged, 1 interrupted`."""
    counts = [f"{int((runs['status'] == status).sum())} {status}" for status in get_args(Status)]
    return f"{len(runs)} runs: {', '.join(counts)}"
