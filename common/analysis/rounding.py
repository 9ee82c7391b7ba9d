"""Differences of first losses between the frameworks, beside those that rounding errors alone cause.

In double precision the losses of both frameworks must agree. In single precision rounding errors grow, in
some networks until the losses have nothing in common, so a self-baseline stands beside the difference of the
frameworks: the difference of one framework from itself, started one unit in the last place (ulp) away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from common.analysis.pooling import sort_key
from common.data.datasets import TEST_IMAGES
from common.frameworks import PAIR
from common.model.zoo import ZOO

ARMS = (("float64", "none"), ("float32", "none"), ("float32", "ulp"))
"""Precision and perturbation of the traces that are compared, in each framework."""

FLOAT64_TOLERANCE = 1e-10
"""Largest accepted relative difference of two losses in double precision."""

MOST_SEEDS = 12
"""Seeds of a permutation test over three ways each, all of which are counted: 3^12 is half a million."""

ONE_IMAGE = 100 / TEST_IMAGES
"""Points of accuracy."""

Losses = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TraceComparison:
    """Differences of a network's losses with one seed, step by step.

    `float64_difference` is absolute and `float64_error` relative, between the frameworks in double precision.
    `between_frameworks` is absolute, in single precision; `self_baselines` holds for each framework its
    difference from its own perturbed start. `unit` is the unit in the last place of the largest loss, the
    smallest difference two losses can have.
    """

    model: str
    seed: int
    unit: float
    float64_difference: Losses
    float64_error: Losses
    between_frameworks: Losses
    self_baselines: dict[str, Losses]

    @property
    def self_baseline(self) -> Losses:
        """The larger of the frameworks' self-baselines at each step."""
        larger: Losses = np.max(list(self.self_baselines.values()), axis=0)
        return larger

    @property
    def excess_ratio(self) -> float:
        """The highest ratio, over steps, of the largest difference to the largest self-baseline so far.

        A self-baseline below one `unit` counts as one unit.
        """
        largest = np.maximum.accumulate(self.between_frameworks)
        baseline = np.maximum.accumulate(self.self_baseline)
        return float((largest / np.maximum(baseline, self.unit)).max())


@dataclass(frozen=True, eq=False)
class FirstSteps:
    """The comparisons of a network's first steps over its seeds, at least one."""

    comparisons: list[TraceComparison]

    @property
    def model(self) -> str:
        return self.comparisons[0].model

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the seeds' excess ratios.

        Interpolated linearly between order statistics (definition 7 of Hyndman and Fan, 1996).
        """
        ratios = [comparison.excess_ratio for comparison in self.comparisons]
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)

    @property
    def highest(self) -> float:
        """The highest excess ratio of a seed."""
        return max(comparison.excess_ratio for comparison in self.comparisons)

    @property
    def overall_ratio(self) -> float:
        """The largest difference between the frameworks over the largest self-baseline, of all steps and
        seeds."""
        unit = max(comparison.unit for comparison in self.comparisons)
        baseline = self.largest(lambda comparison: comparison.self_baseline)
        return self.largest(lambda comparison: comparison.between_frameworks) / max(baseline, unit)

    def largest(self, values: Callable[[TraceComparison], Losses]) -> float:
        """The largest of some losses' differences over all steps and seeds."""
        return max(float(values(comparison).max()) for comparison in self.comparisons)


def in_double_precision(networks: Sequence[FirstSteps]) -> tuple[float, int, list[TraceComparison]]:
    """The largest relative difference in double precision of the comparisons that stay within
    FLOAT64_TOLERANCE, their number, and the others: there rounding grew in double precision too."""
    comparisons = [comparison for steps in networks for comparison in steps.comparisons]
    errors = [float(comparison.float64_error.max()) for comparison in comparisons]
    within = [error for error in errors if error <= FLOAT64_TOLERANCE]
    others = [
        each
        for each, error in zip(comparisons, errors, strict=True)
        if not error <= FLOAT64_TOLERANCE  # NaN is in here
    ]
    return max(within, default=0.0), len(within), others


@dataclass(frozen=True, eq=False)
class FirstEpochComparison:
    """A network's test accuracies in percent after the first epoch, (seeds, frameworks of PAIR, starts): from
    the weights as they are, and one unit in the last place away."""

    model: str
    accuracies: NDArray[np.float64]

    @property
    def between(self) -> list[float]:
        """Absolute differences between the frameworks, in points, by seed."""
        first, second = self.accuracies[:, :, 0].T
        return [float(value) for value in np.abs(first - second)]

    @property
    def within(self) -> list[float]:
        """Absolute differences of each framework from its own perturbed start, in points."""
        return [float(value) for value in np.abs(np.diff(self.accuracies)).ravel()]

    @property
    def p(self) -> float:
        """One-sided p-value of the frameworks being further apart than rounding makes them.

        If they are not, any two of a seed's four runs are as far apart as any others: a permutation test over
        the three ways to make two pairs of them, of the sum of the squared differences within pairs. The
        least value of n seeds is 3^-n; of more than MOST_SEEDS the first ones count.
        """
        runs = self.accuracies.reshape(-1, 4)
        ways = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
        by_way = np.array([sum((runs[:, one] - runs[:, two]) ** 2 for one, two in way) for way in ways])
        sums = np.zeros(1)
        for differences in by_way.T[:MOST_SEEDS]:
            sums = np.add.outer(sums, differences).ravel()
        return float((sums <= by_way[0, :MOST_SEEDS].sum() + 1e-9).mean())

    @property
    def ratio(self) -> float:
        """Mean of `between` over mean of `within`, each at least one test image."""
        between, within = (max(float(np.mean(part)), ONE_IMAGE) for part in (self.between, self.within))
        return between / within


def mean_ratio(comparisons: Sequence[FirstEpochComparison]) -> float:
    """Geometric mean of the networks' ratios: 1 if the frameworks differ as much as rounding alone does."""
    return float(scipy.stats.gmean([comparison.ratio for comparison in comparisons]))


def fisher_p(comparisons: Sequence[FirstEpochComparison]) -> float:
    """The combined p-value of all networks (Fisher, 1925): a few seeds of one have too little power. It is
    conservative, since p-values of few seeds are discrete."""
    p_values = [comparison.p for comparison in comparisons]
    return float(scipy.stats.combine_pvalues(p_values, method="fisher").pvalue)


def first_epoch_comparisons(traces: pd.DataFrame) -> Iterator[FirstEpochComparison]:
    """Every network whose last such session of both frameworks has seeds with both starts in each."""
    epochs = traces[traces["accuracy"].notna() & traces["framework"].isin(PAIR)]
    for model in _models(epochs):
        table = (
            _last_session(epochs, model).pivot_table("accuracy", "seed", ["framework", "perturb"]).dropna()
        )
        if not len(table) or table.shape[1] < 2 * len(PAIR):
            continue
        columns = [(framework, start) for framework in PAIR for start in ("none", "ulp")]
        yield FirstEpochComparison(model, table[columns].to_numpy().reshape(-1, len(PAIR), 2))


def first_steps(traces: pd.DataFrame) -> list[FirstSteps]:
    """Every network with a session of both frameworks, by its last one, in the zoo's order, then others."""
    steps = traces[traces["accuracy"].isna()]
    by_model = {model: list(_comparisons(_last_session(steps, model), model)) for model in _models(steps)}
    return [FirstSteps(comparisons) for comparisons in by_model.values() if comparisons]


def _comparisons(session: pd.DataFrame, model: str) -> Iterator[TraceComparison]:
    """Every seed of a session that has all traces."""
    for seed, rows in session.groupby("seed"):
        losses = {
            (framework, *arm): np.array(_losses(rows, framework, *arm), np.float64)
            for framework in PAIR
            for arm in ARMS
        }
        if not all(map(len, losses.values())):
            continue
        first, second = PAIR
        double, single, perturbed = ARMS
        yield TraceComparison(
            model,
            int(str(seed)),
            float(np.spacing(np.float32(losses[first, *single].max()))),
            np.abs(losses[first, *double] - losses[second, *double]),
            np.abs(losses[first, *double] / losses[second, *double] - 1),
            np.abs(losses[first, *single] - losses[second, *single]),
            {name: np.abs(losses[name, *single] - losses[name, *perturbed]) for name in PAIR},
        )


def _models(traces: pd.DataFrame) -> list[str]:
    return sorted(set(traces["model"]), key=lambda model: sort_key(model, ZOO))


def _last_session(traces: pd.DataFrame, model: str) -> pd.DataFrame:
    """The rows of the network's last session with both frameworks; none without one."""
    rows = traces[(traces["model"] == model) & traces["framework"].isin(PAIR)]
    both = rows[rows.groupby("sitting")["framework"].transform("nunique") == len(PAIR)]
    last: pd.DataFrame = both[both["sitting"] == both["sitting"].max()]
    return last


def _losses(rows: pd.DataFrame, framework: str, precision: str, perturb: str) -> list[str]:
    arm = (rows["framework"] == framework) & (rows["precision"] == precision) & (rows["perturb"] == perturb)
    return list(rows[arm].sort_values("step")["loss"])
