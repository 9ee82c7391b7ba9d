"""One estimate over all networks: a random-effects meta-analysis of the networks' mean differences.

The networks' true differences are taken to be draws from one distribution with standard deviation tau, which
DerSimonian and Laird (1986) estimate by moments; each network is weighted by the inverse of its variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from common.analysis.significance import Comparison

FEWEST_NETWORKS = 3
"""A prediction interval has degrees of freedom from this number of networks on."""

SMALLEST_SD = 0.01
"""Points: one of MNIST's 10,000 test images. Differences that are equal by chance, of few pairs, do not have
less spread than can be measured; as exact ones they would outweigh all other networks."""


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """The mean difference over `networks` with `pairs` of runs; `tau` is the networks' standard deviation.

    `interval` is the 95 % confidence interval of the mean, `prediction` that of the true difference of a
    further network like these.
    """

    mean: float
    interval: tuple[float, float]
    prediction: tuple[float, float]
    tau: float
    networks: int
    pairs: int


def pooled(comparisons: Sequence[Comparison]) -> Pooled | None:
    """The estimate from every comparison that has a spread; None for fewer than FEWEST_NETWORKS of them.

    The confidence interval is that of Hartung and Knapp (2001), never narrower than without their factor
    (Röver, Knapp and Friede, 2015), and widened for weights from estimated variances (Meier, 1953); the
    prediction interval is that of Higgins, Thompson and Spiegelhalter (2009).
    """
    spread = [comparison for comparison in comparisons if comparison.sd is not None]
    count = len(spread)
    if count < FEWEST_NETWORKS:
        return None
    effects = np.array([comparison.mean for comparison in spread])
    pairs = np.array([comparison.n for comparison in spread])
    variances = np.array([max(comparison.sd or 0.0, SMALLEST_SD) ** 2 for comparison in spread]) / pairs
    between = _between(effects, variances)
    weights = 1 / (variances + between)
    mean = float(weights @ effects / weights.sum())
    factor = max(1.0, float(weights @ (effects - mean) ** 2) / (count - 1))
    parts = weights / weights.sum()
    # Only the part of a weight that comes from the estimated variance is uncertain.
    uncertain = (variances * weights) ** 2
    meier = 1 + 4 * float((parts * (1 - parts) * uncertain / (pairs - 1)).sum())
    squared_error = factor * meier / float(weights.sum())
    half = float(scipy.stats.t.ppf(0.975, count - 1)) * math.sqrt(squared_error)
    reach = float(scipy.stats.t.ppf(0.975, count - 2)) * math.sqrt(between + squared_error)
    return Pooled(
        mean=mean,
        interval=(mean - half, mean + half),
        prediction=(mean - reach, mean + reach),
        tau=math.sqrt(between),
        networks=count,
        pairs=int(pairs.sum()),
    )


def _between(effects: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """The variance between networks, at least 0 (DerSimonian and Laird, 1986)."""
    weights = 1 / variances
    mean = weights @ effects / weights.sum()
    excess = float(weights @ (effects - mean) ** 2) - (len(effects) - 1)
    return max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
