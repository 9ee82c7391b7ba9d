"""Differences of first losses and of first-epoch accuracies, beside what rounding alone does, as tables."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from common.analysis import significance
from common.analysis.rounding import (
    FirstSteps,
    first_epoch_comparisons,
    first_steps,
    fisher_p,
    mean_ratio,
)
from common.model.zoo import ZOO
from common.report.markdown import markdown


def section(traces: pd.DataFrame) -> str:
    """The losses of the first steps, then the accuracies after the first epoch."""
    parts = [*_losses(first_steps(traces)), *_accuracies(traces)]
    return "\n\n".join(parts) or "Not traced yet: `python -m common.bench traces`."


def _losses(networks: list[FirstSteps]) -> Iterator[str]:
    if not networks:
        return
    rows = [
        [
            *(f"`{steps.model}`", str(len(steps.comparisons))),
            f"{steps.largest(lambda seed: seed.float64_error):.1e}",
            f"{steps.largest(lambda seed: seed.between_frameworks[:1]):.1e}",
            f"{steps.largest(lambda seed: seed.between_frameworks):.1e}",
            f"{steps.largest(lambda seed: seed.self_baseline):.1e}",
            _quartiles(steps),
        ]
        for steps in networks
    ]
    head = "MODEL | SEEDS | FLOAT64 | FLOAT32, STEP 1 | FLOAT32 | SELF-BASELINE | RATIO"
    yield (
        f"Losses of the first {len(networks[0].comparisons[0].float64_error)} steps of each recipe, with the "
        "same dropout masks in both frameworks; of several seeds, the largest. FLOAT64 is the largest "
        "relative difference between the frameworks. FLOAT32 is the largest difference between them in nats, "
        "at the first step and over all steps. SELF-BASELINE is the largest difference of a framework from "
        "itself, started one unit in the last place away. RATIO is, for each seed, the largest difference "
        "between the frameworks up to a step over the larger self-baseline up to it (at least one unit in "
        "the last place of a loss), at the step where it is highest; of several seeds, the median and the "
        "quartiles. Where FLOAT32 and SELF-BASELINE are alike, a ratio far above 1 is one of time: an input "
        "of a ReLU near 0, or two almost equal values under a max pooling, made rounding grow some steps "
        "earlier between the frameworks than within one."
    )
    if any(steps.model in ZOO for steps in networks):
        yield (
            "The ratios of this project's own recipes are selected: three of those recipes were changed "
            "until seed 1 had a ratio below five (docs/recipes.md). Only other seeds show "
            "what they are without that."
        )
    yield markdown(head.split(" | "), rows, right=range(1, 7))


def _quartiles(steps: FirstSteps) -> str:
    """`2.4 (1.3 to 4.0)`: the median and the quartiles; of one seed its ratio alone."""
    low, middle, high = steps.quartiles
    return f"{middle:.1f}" if len(steps.comparisons) == 1 else f"{middle:.1f} ({low:.1f} to {high:.1f})"


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
        "ULP, by permutations within seeds of the four runs, not adjusted; three seeds cannot have less than "
        "1/27. Over these networks BETWEEN is on average "
        f"{mean_ratio(comparisons):.2f} times ULP (geometric mean), with the combined p-value (Fisher, "
        f"conservative) {fisher_p(comparisons):.2f}."
    )
    head = "MODEL | SEEDS | BETWEEN | ULP | LARGEST BETWEEN | LARGEST ULP | P"
    yield markdown(head.split(" | "), rows, right=range(1, 7))


def not_traced(traces: pd.DataFrame) -> str:
    """The networks with a verdict whose first epochs are not traced with today's arithmetic, in a sentence;
    empty if none is missing."""
    traced = {comparison.model for comparison in first_epoch_comparisons(traces)}
    missing = [f"`{name}`" for name, entry in ZOO.items() if entry.judged and name not in traced]
    return f"First epochs still to trace: {', '.join(missing)}." if traced and missing else ""
