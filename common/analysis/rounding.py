"""Do the frameworks agree as well as rounding lets them? Traces of first steps, compared.

In double precision the losses must agree. In single precision rounding grows, in some networks until nothing
is alike, so there a baseline stands beside it: what a start one ulp away does within a framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from common.analysis import significance
from common.frameworks import FRAMEWORKS, display_name
from common.model.zoo import ZOO
from common.report.markdown import markdown

ARMS = (("float64", "none"), ("float32", "none"), ("float32", "ulp"))
"""Precision and perturbation of the traces that are compared, in each framework."""

FLOAT64_TOLERANCE = 1e-10
"""Largest relative difference of two losses in double precision."""

Losses = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TraceComparison:
    """Of a network, step by step: relative differences in double precision; in single precision absolute ones
    between the frameworks, and of each framework, by name, from its own perturbed start; and the unit in the
    last place of the largest loss, below which two losses cannot be told apart."""

    model: str
    unit: float
    float64_error: Losses
    between_frameworks: Losses
    self_baselines: dict[str, Losses]

    @property
    def self_baseline(self) -> Losses:
        """The larger of the frameworks' own differences."""
        larger: Losses = np.max(list(self.self_baselines.values()), axis=0)
        return larger

    @property
    def excess_ratio(self) -> float:
        """The most by which the largest difference so far exceeded the baseline's, or one unit."""
        largest, allowed = (
            np.maximum.accumulate(self.between_frameworks),
            np.maximum.accumulate(self.self_baseline),
        )
        return float((largest / np.maximum(allowed, self.unit)).max())


@dataclass(frozen=True)
class FirstEpochComparison:
    """Of a network after its first epoch: differences in points of accuracy between the frameworks, by seed,
    those of each framework from its own perturbed start, and the p-value of their being larger."""

    model: str
    between: list[float]
    within: list[float]

    @property
    def p(self) -> float:
        """One-sided, of the rank sum (Mann and Whitney, 1947)."""
        return float(scipy.stats.mannwhitneyu(self.between, self.within, alternative="greater").pvalue)


def fisher_p(found: Sequence[FirstEpochComparison]) -> float:
    """The p-value of all networks' differences at once (Fisher, 1925): a few seeds of one could not show them
    to be larger, however large they are."""
    return float(scipy.stats.combine_pvalues([one.p for one in found], method="fisher").pvalue)


def first_epoch_comparisons(traces: pd.DataFrame) -> Iterator[FirstEpochComparison]:
    """Every network whose last such sitting has seeds with both frameworks, each with both starts."""
    known = traces[traces["accuracy"].notna()]
    for model in ZOO:
        mine = known[known["model"] == model]
        mine = mine[mine["sitting"] == mine["sitting"].max()]
        table = mine.pivot_table("accuracy", "seed", ["framework", "perturb"]).dropna()
        if not len(table) or table.shape[1] < 2 * len(FRAMEWORKS):
            continue
        first, second = FRAMEWORKS
        between = (table[first]["none"] - table[second]["none"]).abs()
        within = [(table[name]["none"] - table[name]["ulp"]).abs() for name in FRAMEWORKS]
        yield FirstEpochComparison(model, list(between), [float(value) for part in within for value in part])


def trace_comparisons(traces: pd.DataFrame) -> Iterator[TraceComparison]:
    """Every network with all traces of both frameworks in its last sitting, in the zoo's order."""
    steps = traces[traces["accuracy"].isna()]
    for model in ZOO:
        mine = steps[steps["model"] == model]
        mine = mine[mine["sitting"] == mine["sitting"].max()]
        losses = {
            (framework, *arm): np.array(_losses(mine, framework, *arm), np.float64)
            for framework in FRAMEWORKS
            for arm in ARMS
        }
        if not all(map(len, losses.values())):
            continue
        first, second = FRAMEWORKS
        double, single, perturbed = ARMS
        yield TraceComparison(
            model,
            float(np.spacing(np.float32(losses[first, *single].max()))),
            np.abs(losses[first, *double] / losses[second, *double] - 1),
            np.abs(losses[first, *single] - losses[second, *single]),
            {name: np.abs(losses[name, *single] - losses[name, *perturbed]) for name in FRAMEWORKS},
        )


def _losses(mine: pd.DataFrame, framework: str, precision: str, perturb: str) -> list[str]:
    same = (mine["framework"] == framework) & (mine["precision"] == precision) & (mine["perturb"] == perturb)
    return list(mine[same].sort_values("step")["loss"])


def section(traces: pd.DataFrame) -> str:
    """The comparison as a table."""
    found = list(trace_comparisons(traces))
    if not found:
        return "Not traced yet: `python -m common.bench traces`."
    rows = [
        [
            *(f"`{one.model}`", f"{one.float64_error.max():.1e}"),
            *(f"{largest:.1e}" for largest in (one.between_frameworks[0], one.between_frameworks.max())),
            *(f"{one.self_baselines[name].max():.1e}" for name in FRAMEWORKS),
            f"{one.excess_ratio:.1f}",
        ]
        for one in found
    ]
    first, second = (display_name(name).upper() for name in FRAMEWORKS)
    head = f"MODEL | FLOAT64 | FLOAT32, STEP 1 | FLOAT32 | {first} + ULP | {second} + ULP | TIMES"
    note = (
        f"Losses of the first {len(found[0].float64_error)} steps of each recipe, dropout masks given to "
        "both. FLOAT64 is the largest relative difference between the frameworks; FLOAT32 the largest "
        "difference, in nats, at the first step and over all; + ULP the largest of one framework from "
        "itself, started one unit in the last place away; TIMES the most by which the largest difference so "
        "far exceeded the larger of these two, or one unit in the last place of a loss."
    )
    return "\n\n".join([note, markdown(head.split(" | "), rows, right=range(1, 7)), *_accuracies(traces)])


def _accuracies(traces: pd.DataFrame) -> Iterator[str]:
    found = list(first_epoch_comparisons(traces))
    if not found:
        return
    rows = [
        [
            *(f"`{one.model}`", str(len(one.between))),
            *(f"{significance.summary(part).mean:.3f}" for part in (one.between, one.within)),
            *(f"{max(part):.2f}" for part in (one.between, one.within)),
            f"{one.p:.2f}",
        ]
        for one in found
    ]
    yield (
        "Test accuracy after the first epoch, masks given: absolute differences in points between the "
        "frameworks, and of each framework from itself, started one unit in the last place away; means and "
        "largest over seeds. P is of the former being the larger (rank sum, one-sided, not adjusted); of all "
        f"networks together (Fisher) it is {fisher_p(found):.2f}."
    )
    head = "MODEL | SEEDS | BETWEEN | ULP | LARGEST BETWEEN | LARGEST ULP | P"
    yield markdown(head.split(" | "), rows, right=range(1, 7))
