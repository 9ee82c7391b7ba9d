"""Differences of first losses and of first-epoch accuracies, beside what rounding alone does, as tables."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from common.analysis import significance
from common.analysis.rounding import first_epoch_comparisons, fisher_p, mean_ratio, trace_comparisons
from common.frameworks import PAIR, display_name
from common.report.markdown import markdown


def section(traces: pd.DataFrame) -> str:
    """The losses of the first steps, then the accuracies after the first epoch."""
    comparisons = list(trace_comparisons(traces))
    if not comparisons:
        return "Not traced yet: `python -m common.bench traces`."
    rows = [
        [
            *(f"`{comparison.model}`", f"{comparison.float64_error.max():.1e}"),
            f"{comparison.between_frameworks[0]:.1e}",
            f"{comparison.between_frameworks.max():.1e}",
            *(f"{comparison.self_baselines[name].max():.1e}" for name in PAIR),
            f"{comparison.excess_ratio:.1f}",
        ]
        for comparison in comparisons
    ]
    first, second = (display_name(name).upper() for name in PAIR)
    head = f"MODEL | FLOAT64 | FLOAT32, STEP 1 | FLOAT32 | {first} + ULP | {second} + ULP | RATIO"
    note = (
        f"Losses of the first {len(comparisons[0].float64_error)} steps of each recipe, with the same "
        "dropout masks in both frameworks. FLOAT64 is the largest relative difference between the "
        "frameworks. FLOAT32 is the largest difference between them in nats, at the first step and over all "
        "steps. + ULP is the self-baseline: the largest difference of a framework from itself, started one "
        "unit in the last place away. RATIO is the largest difference between the frameworks up to a step "
        "over the larger self-baseline up to it (at least one unit in the last place of a loss), at the step "
        "where it is highest."
    )
    return "\n\n".join([note, markdown(head.split(" | "), rows, right=range(1, 7)), *_accuracies(traces)])


def _accuracies(traces: pd.DataFrame) -> Iterator[str]:
    comparisons = list(first_epoch_comparisons(traces))
    if not comparisons:
        return
    rows = [
        [
            *(f"`{comparison.model}`", str(len(comparison.between))),
            *(f"{significance.summary(part).mean:.3f}" for part in (comparison.between, comparison.within)),
            *(f"{max(part):.2f}" for part in (comparison.between, comparison.within)),
            f"{comparison.p:.2f}",
        ]
        for comparison in comparisons
    ]
    yield (
        "Test accuracy after the first epoch, with the same dropout masks: absolute differences in points, "
        "BETWEEN the frameworks and (ULP) of each framework from itself, started one unit in the last place "
        "away; means and largest values over seeds. P is the one-sided p-value of BETWEEN being larger than "
        "ULP (rank sum, not adjusted). Over all networks BETWEEN is on average "
        f"{mean_ratio(comparisons):.2f} times ULP (geometric mean), with the combined p-value (Fisher) "
        f"{fisher_p(comparisons):.2f}."
    )
    head = "MODEL | SEEDS | BETWEEN | ULP | LARGEST BETWEEN | LARGEST ULP | P"
    yield markdown(head.split(" | "), rows, right=range(1, 7))
