"""The verdict of each network on whether both frameworks reach the same accuracy.

Compared are runs of the zoo's own recipes after the last epoch. Runs with one seed are a pair; the networks'
tests form one family (Holm). Two sharper outcomes, each a family of its own, stand beside the accuracy: the
ratios of error rates and of training losses.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.analysis import pooling, power, significance
from common.analysis.frames import Tables
from common.analysis.pooling import TEST_IMAGES, Group
from common.analysis.significance import INCONCLUSIVE, Comparison, Ratio
from common.frameworks import PAIR
from common.model.zoo import ZOO

ONE_RUN = "one pair of runs has no interval"

OUTCOMES: dict[str, tuple[str, Callable[[float], float]]] = {
    "error rates": ("accuracy", lambda accuracy: 100 - accuracy),
    "training losses": ("train_loss", lambda loss: loss),
}
"""Outcomes that are compared by ratio: a column of results.csv and the function to the positive quantity."""


@dataclass(frozen=True)
class Pair:
    """A network's runs of the first and of the second framework, and the comparison of their accuracies."""

    first: Group
    second: Group
    comparison: Comparison

    @property
    def model(self) -> str:
        return self.first.model


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Both p-values, adjusted for the number of networks, and the verdict in words.

    With one pair of runs the p-values are None and the verdict is ONE_RUN.
    """

    p_difference: float | None
    p_equivalence: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ModelVerdict(Decision):
    """A network's comparison of both frameworks' accuracies and its verdict.

    `more_seeds` is the number of further seeds after which an inconclusive network is decided with 80 %
    probability; None for the others, and beyond the numbers that `common.analysis.power` tries.
    """

    first: Group
    second: Group
    comparison: Comparison
    more_seeds: int | None

    @property
    def model(self) -> str:
        return self.first.model

    @property
    def planned_seeds(self) -> int:
        return ZOO[self.model].planned_seeds

    @property
    def missing_seeds(self) -> int:
        """The number of planned pairs that have not been run."""
        return max(0, self.planned_seeds - self.comparison.n)


@dataclass(frozen=True, kw_only=True)
class RatioVerdict(Decision):
    """A network's ratio of an outcome, first framework over second, and its verdict.

    The tests are those of `logarithms`.
    """

    model: str
    ratio: Ratio
    logarithms: Comparison


@functools.lru_cache(maxsize=2)
def judge(tables: Tables) -> tuple[list[ModelVerdict], list[str]]:
    """The verdict of every network with pairs of runs, in the zoo's order; and why others have none."""
    pairs, refused = compared(tables)
    comparisons = [pair.comparison for pair in pairs]
    judged = [
        ModelVerdict(
            **vars(decision),
            first=pair.first,
            second=pair.second,
            comparison=pair.comparison,
            more_seeds=_more_seeds(pair.comparison, comparisons)
            if decision.verdict == INCONCLUSIVE
            else None,
        )
        for pair, decision in zip(pairs, _decided(comparisons), strict=True)
    ]
    return judged, refused


def judge_ratios(tables: Tables, outcome: str) -> list[RatioVerdict]:
    """The verdict on one of OUTCOMES for every network whose values are positive, in the zoo's order."""
    column, quantity = OUTCOMES[outcome]
    values = {}
    for pair in compared(tables)[0]:
        sides = [list(map(quantity, side)) for side in pooling.paired(pair.first, pair.second, column)]
        if sides[0] and all(value > 0 for side in sides for value in side):
            values[pair.model] = sides
    logarithms = [significance.compare_logarithms(*sides) for sides in values.values()]
    return [
        RatioVerdict(**vars(decision), model=model, ratio=significance.ratio(*sides), logarithms=comparison)
        for (model, sides), comparison, decision in zip(
            values.items(), logarithms, _decided(logarithms), strict=True
        )
    ]


def _decided(family: Sequence[Comparison]) -> list[Decision]:
    """The decision on each comparison of one family of tests."""
    different = iter(
        significance.holm([test.p_difference for test in family if test.p_difference is not None])
    )
    equal = iter(significance.holm([test.p_equivalence for test in family if test.p_equivalence is not None]))
    decisions = []
    for test in family:
        if test.p_difference is None:
            decisions.append(Decision(p_difference=None, p_equivalence=None, verdict=ONE_RUN))
            continue
        adjusted = {"p_difference": next(different), "p_equivalence": next(equal)}
        decisions.append(Decision(**adjusted, verdict=significance.verdict(**adjusted)))
    return decisions


def _more_seeds(comparison: Comparison, family: Sequence[Comparison]) -> int | None:
    """The number of further seeds for one of a family, with the p-values of the others held."""
    others = [other for other in family if other is not comparison]
    different = [other.p_difference for other in others if other.p_difference is not None]
    equal = [other.p_equivalence for other in others if other.p_equivalence is not None]
    return power.more_seeds(
        comparison, p_difference=power.critical_p(different), p_equivalence=power.critical_p(equal)
    )


def compared(tables: Tables) -> tuple[list[Pair], list[str]]:
    """The pairs of groups of every network that has them, and a sentence for each that cannot be compared."""
    by_model: dict[str, list[Group]] = {}
    for group in pooling.largest_groups(pooling.groups(pooling.judged_runs(tables.runs))):
        if group.framework not in PAIR:
            continue
        by_model.setdefault(group.model, []).append(group)
    pairs, refused = [], []
    for model, groups in by_model.items():
        if len(groups) != len(PAIR):
            continue
        first, second = groups
        try:
            accuracies = pooling.paired(first, second)
        except ValueError as error:
            refused.append(str(error))
            continue
        if accuracies[0]:
            pairs.append(Pair(first, second, significance.compare(*accuracies)))
        else:
            refused.append(f"Runs of `{model}` have no seed in common, so none are a pair.")
    return pairs, refused


def image_error(group: Group, errors: pd.DataFrame) -> float:
    """Standard error in points of a framework's mean accuracy, from the draw of the 10,000 test images.

    By the spread over images of the fraction of seeds that are wrong in each. It takes images as independent;
    as one writer made many of them, it is a lower bound. A difference of two frameworks on the same images
    has no such error of its own: what its estimate by image would measure is the spread of seeds.
    """
    rows = errors.merge(group.runs[["run", "seed"]], on="run")
    runs_of_seed = group.runs.groupby("seed")["run"].count()
    weights = 1 / (rows["seed"].map(runs_of_seed) * group.seeds)
    rates = np.bincount(rows["index"], weights, minlength=TEST_IMAGES)
    return 100 * float(np.std(rates, ddof=1)) / math.sqrt(TEST_IMAGES)
