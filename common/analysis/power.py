"""The number of further seeds after which an inconclusive network is likely to have a verdict.

Simulated is the decision as it is made: both tests, at the level that Holm's procedure leaves to the network
if the p-values of the others stay, after `more` further pairs beside the recorded ones. Mean and standard
deviation of further differences are drawn from their posterior under the prior 1 / variance, so that their
uncertainty counts (Bayesian predictive power; Spiegelhalter, Abrams and Myles, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.stats

from common.analysis.significance import ALPHA, MARGIN, Comparison

POWER = 0.8

NUMBERS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280)
"""Numbers of further pairs that are tried; each is about the square root of 2 times the one before."""

DRAWS = 4000
"""Draws from the posterior; the standard error of a power is at most 0.008."""


def more_seeds(comparison: Comparison, *, p_difference: float, p_equivalence: float) -> int | None:
    """The least of NUMBERS with which the power is at least POWER; None if the largest is too small.

    The two p-values are those of `critical_p`.
    """
    for more in NUMBERS:
        power = predictive_power(
            comparison, more=more, p_difference=p_difference, p_equivalence=p_equivalence
        )
        if power >= POWER:
            return more
    return None


def predictive_power(
    comparison: Comparison,
    *,
    more: int,
    p_difference: float,
    p_equivalence: float,
    margin: float = MARGIN,
) -> float:
    """The probability, from 0 to 1, that a test is significant after `more` further pairs.

    The difference is tested at the level `p_difference`, equivalence at `p_equivalence`. Raises ValueError
    for one pair, which has no spread.
    """
    if comparison.sd is None:
        raise ValueError("One pair has no standard deviation, so the power of further ones is unknown.")
    random = np.random.default_rng(0)
    n, total = comparison.n, comparison.n + more
    squares = (n - 1) * comparison.sd**2
    variance = squares / random.chisquare(n - 1, DRAWS)
    effect = random.normal(comparison.mean, np.sqrt(variance / n))
    further_mean = random.normal(effect, np.sqrt(variance / more))
    further_squares = variance * random.chisquare(more - 1, DRAWS) if more > 1 else 0.0
    mean = (n * comparison.mean + more * further_mean) / total
    shift = n * more / total * (further_mean - comparison.mean) ** 2
    error = np.sqrt((squares + further_squares + shift) / (total - 1) / total)
    t = scipy.stats.t(total - 1)
    different = np.abs(mean) > t.isf(p_difference / 2) * error
    equivalent = margin - np.abs(mean) > t.isf(p_equivalence) * error
    return float((different | equivalent).mean())


def critical_p(others: Sequence[float]) -> float:
    """The p-value below which Holm's procedure at the level ALPHA rejects one hypothesis beside `others`."""
    tests = len(others) + 1
    for rank, p_value in enumerate(sorted(others)):
        if p_value * (tests - rank) >= ALPHA:
            return ALPHA / (tests - rank)
    return ALPHA
