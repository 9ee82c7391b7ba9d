"""The verdict of each network on whether both frameworks reach the same accuracy.

Compared are runs of the zoo's own recipes, after the last epoch, in pairs of one seed. A network has two
tests, of a difference and of equivalence (`common.analysis.significance`); the p-values of all networks are
adjusted for their number (Holm). The ratios of error rates and of training losses are tested in the same way,
each adjusted on its own.
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
from common.analysis.pooling import Group
from common.analysis.significance import INCONCLUSIVE, Comparison, Ratio
from common.data.datasets import TEST_IMAGES
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
    """A network's runs in the first and in the second framework, and the comparison of their accuracies."""

    first: Group
    second: Group
    comparison: Comparison

    @property
    def model(self) -> str:
        return self.first.model


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The p-values of both tests, adjusted for the number of networks, and the verdict in words.

    For one pair of runs the p-values are None and the verdict is ONE_RUN.
    """

    p_difference: float | None
    p_equivalence: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ModelVerdict(Decision):
    """A network's comparison of both frameworks' accuracies and its verdict.

    `more_seeds` is the number of further seeds after which an inconclusive network has another verdict with a
    probability of 80 %; None for other networks, and beyond the numbers that `common.analysis.power` tries.
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


@functools.lru_cache(maxsize=4)
def judge(tables: Tables, *, dataset: str = pooling.MNIST) -> tuple[list[ModelVerdict], list[str]]:
    """The verdict of every network with pairs of runs on a data set, in the zoo's order, and a sentence for
    each network whose runs cannot be compared. Each data set is a family of tests of its own."""
    pairs, refused = compared(tables, dataset=dataset)
    return _judged(pairs), refused


def alone(first: Group, second: Group) -> ModelVerdict:
    """The verdict of one network by itself, adjusted for no other. Raises ValueError for groups that differ
    in more than the framework, and for groups without a seed in common."""
    return _judged([Pair(first, second, significance.compare(*pooling.paired(first, second)))])[0]


def _judged(pairs: Sequence[Pair]) -> list[ModelVerdict]:
    """The verdicts of a family of networks."""
    comparisons = [pair.comparison for pair in pairs]
    return [
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


def judge_ratios(tables: Tables, outcome: str) -> list[RatioVerdict]:
    """The verdict on one of OUTCOMES, in the zoo's order, for every network whose values are all positive, as
    logarithms require."""
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
    """The decision on each comparison, whose p-values are adjusted for the number of those that have some."""
    differences = [test.p_difference for test in family if test.p_difference is not None]
    equivalences = [test.p_equivalence for test in family if test.p_equivalence is not None]
    adjusted = zip(significance.holm(differences), significance.holm(equivalences), strict=True)
    decisions = []
    for test in family:
        if test.p_difference is None:
            decisions.append(Decision(p_difference=None, p_equivalence=None, verdict=ONE_RUN))
            continue
        p_difference, p_equivalence = next(adjusted)
        verdict = significance.verdict(p_difference=p_difference, p_equivalence=p_equivalence)
        decisions.append(Decision(p_difference=p_difference, p_equivalence=p_equivalence, verdict=verdict))
    return decisions


def _more_seeds(comparison: Comparison, family: Sequence[Comparison]) -> int | None:
    """The number of further seeds for one comparison of a family, whose other p-values stay as they are."""
    others = [other for other in family if other is not comparison]
    different = [other.p_difference for other in others if other.p_difference is not None]
    equal = [other.p_equivalence for other in others if other.p_equivalence is not None]
    return power.more_seeds(
        comparison, p_difference=power.critical_p(different), p_equivalence=power.critical_p(equal)
    )


def compared(tables: Tables, *, dataset: str = pooling.MNIST) -> tuple[list[Pair], list[str]]:
    """The pairs of groups of every network that has them, and a sentence for each that cannot be compared."""
    by_model: dict[str, list[Group]] = {}
    for group in pooling.largest_groups(pooling.groups(pooling.judged_runs(tables.runs, dataset=dataset))):
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


def lists_errors(group: Group, errors: pd.DataFrame) -> bool:
    """Whether errors.csv has rows of every run that misclassified an image: some may come without."""
    wrong = group.runs.loc[group.runs["accuracy"] < 100, "run"]
    return bool(wrong.isin(errors["run"]).all())


def image_error(group: Group, errors: pd.DataFrame) -> float:
    """Standard error in points of a framework's mean accuracy, from the draw of the 10,000 test images.

    It is the standard deviation over images of the probability that a seed misclassifies each, over the
    square root of their number: a lower bound, since it takes images as independent, and one writer made many
    of them. The variance that the fractions of few seeds have beyond that of the probabilities is subtracted;
    of one seed the two cannot be told apart. The difference of two frameworks, tested on the same images,
    does not have this error.
    """
    rows = errors.merge(group.runs[["run", "seed"]], on="run")
    runs_of_seed = group.runs.groupby("seed")["run"].count()
    by_seed = np.stack(
        [
            np.bincount(rows["index"][rows["seed"] == seed], minlength=TEST_IMAGES) / count
            for seed, count in runs_of_seed.items()
        ]
    )
    variance = float(by_seed.mean(axis=0).var(ddof=1))
    if group.seeds > 1:
        variance -= float(by_seed.var(axis=0, ddof=1).mean()) / group.seeds
    return 100 * math.sqrt(max(0.0, variance) / TEST_IMAGES)
