"""The verdict of each network on whether both frameworks reach the same accuracy.

Compared are runs of the zoo's own recipes after the last epoch. Runs with one seed are a pair; the networks'
tests form one family (Holm). The margin and the level were fixed before there were results
(`common.analysis.significance`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.analysis import pooling, significance
from common.analysis.frames import Tables
from common.analysis.pooling import TEST_IMAGES, Group
from common.analysis.significance import Comparison
from common.frameworks import PAIR

ONE_RUN = "one pair of runs has no interval"


@dataclass(frozen=True, kw_only=True)
class ModelVerdict:
    """A network's comparison of both frameworks and its verdict in words.

    The p-values are adjusted for the number of networks; with one pair of runs they are None and the verdict
    is ONE_RUN. `image_errors` are each framework's standard errors in points that come from the draw of the
    10,000 test images (`image_error`).
    """

    first: Group
    second: Group
    comparison: Comparison
    p_difference: float | None
    p_equivalence: float | None
    verdict: str
    image_errors: tuple[float, float]

    @property
    def model(self) -> str:
        return self.first.model


def judge(tables: Tables) -> tuple[list[ModelVerdict], list[str]]:
    """The verdict of every network with pairs of runs, in the zoo's order; and why others have none."""
    pairs, refused = _pairs(tables)
    compared = [(pair, significance.compare(*pooling.paired(*pair))) for pair in pairs]
    tested = [comparison for _, comparison in compared if comparison.p_difference is not None]
    unequal = iter(significance.holm([test.p_difference for test in tested if test.p_difference is not None]))
    equal = iter(significance.holm([test.p_equivalence for test in tested if test.p_equivalence is not None]))
    judged = []
    for (first, second), comparison in compared:
        p_difference = p_equivalence = None
        verdict = ONE_RUN
        if comparison.p_difference is not None:
            p_difference, p_equivalence = next(unequal), next(equal)
            verdict = significance.verdict(
                comparison, p_difference=p_difference, p_equivalence=p_equivalence, tests=len(tested)
            )
        judged.append(
            ModelVerdict(
                first=first,
                second=second,
                comparison=comparison,
                p_difference=p_difference,
                p_equivalence=p_equivalence,
                verdict=verdict,
                image_errors=(image_error(first, tables.errors), image_error(second, tables.errors)),
            )
        )
    return judged, refused


def _pairs(tables: Tables) -> tuple[list[tuple[Group, Group]], list[str]]:
    """The two groups of every network that has them, and a sentence for each pair that cannot be compared."""
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
            shared, _ = pooling.paired(first, second)
        except ValueError as error:
            refused.append(str(error))
            continue
        if shared:
            pairs.append((first, second))
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
