"""Means, intervals, and tests of difference and equivalence of paired values.

Means are of exact sums (math.fsum), so the order of the rows cannot change a digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import scipy.stats

MARGIN = 0.1
"""Points of accuracy up to which two accuracies count as equivalent: ten of the 10,000 test images.

A judgement, made when 198 runs had been seen.
"""

RATIO_MARGIN = 1.1
"""The ratio up to which, and down to whose inverse, two error rates or two losses count as equivalent."""

ALPHA = 0.05
"""Significance level of every family of tests, after adjustment for their number."""

EQUIVALENT, INCONCLUSIVE = "equivalent", "inconclusive"


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (None for a single value) and number of values."""

    mean: float
    sd: float | None
    n: int


def summary(values: Iterable[float]) -> Summary:
    """Mean and standard deviation of at least one value. Raises ValueError for none."""
    sample = list(values)
    n = len(sample)
    if n == 0:
        raise ValueError("There is no mean of no values.")
    mean = math.fsum(sample) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in sample) / (n - 1)) if n > 1 else None
    return Summary(mean, sd, n)


def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Student's confidence interval of the mean; None for one value, which has no interval."""
    sample = summary(values)
    if sample.sd is None:
        return None
    half = float(scipy.stats.t.ppf((1 + level) / 2, sample.n - 1)) * sample.sd / math.sqrt(sample.n)
    return sample.mean - half, sample.mean + half


def geometric(values: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of positive values and the ends of its 95 % confidence interval.

    The interval is Student's of their logarithms; both ends are the mean for one value.
    """
    logarithms = [math.log(value) for value in values]
    mean = summary(logarithms).mean
    low, high = interval(logarithms) or (mean, mean)
    return math.exp(mean), math.exp(low), math.exp(high)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences of pairs, first less second.

    Mean, sample standard deviation and number of the differences, and the 95 % confidence interval of the
    mean. `p_difference` is the p-value of Student's paired test that the mean is 0; `p_equivalence` the
    larger one of two one-sided tests that it is outside ±margin (Schuirmann, 1987). All but mean and n are
    None for one pair.
    """

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None
    p_difference: float | None
    p_equivalence: float | None


def compare(first: Sequence[float], second: Sequence[float], *, margin: float = MARGIN) -> Comparison:
    """Compare pairs in the same order. Raises ValueError for different numbers of values, and for none."""
    return compare_differences([a - b for a, b in zip(first, second, strict=True)], margin=margin)


def compare_differences(differences: Sequence[float], *, margin: float = MARGIN) -> Comparison:
    """Compare pairs of which only the differences are known. Raises ValueError for none."""
    sample = summary(differences)
    if sample.sd is None:
        return Comparison(**vars(sample), interval=None, p_difference=None, p_equivalence=None)
    # If all differences are equal the statistics would be infinite; a tiny error gives the p-values' limits.
    error = max(sample.sd / math.sqrt(sample.n), 1e-12)
    t = scipy.stats.t(sample.n - 1)
    outside = (t.sf((sample.mean + margin) / error), t.sf((margin - sample.mean) / error))
    return Comparison(
        **vars(sample),
        interval=interval(differences),
        p_difference=2 * float(t.sf(abs(sample.mean) / error)),
        p_equivalence=float(max(outside)),
    )


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """First over second of n pairs: geometric mean and its 95 % confidence interval (None for one pair)."""

    mean: float
    interval: tuple[float, float] | None
    n: int

    @property
    def excludes_one(self) -> bool:
        """Whether 1, no difference, is outside the interval."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    def is_within(self, share: float) -> bool:
        """Whether the interval is between 1 / (1 + share) and 1 + share."""
        ends = self.interval or (self.mean, self.mean)
        return max(abs(math.log(end)) for end in ends) <= math.log1p(share)


def compare_logarithms(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare the natural logarithms of pairs of positive values, with the margin log(RATIO_MARGIN).

    Raises ValueError for different numbers of values, for none, and for a value that is not positive.
    """
    if (least := min((*first, *second), default=1.0)) <= 0:
        raise ValueError(f"Ratios require positive values, not {least:g}.")
    return compare(
        *([math.log(value) for value in side] for side in (first, second)), margin=math.log(RATIO_MARGIN)
    )


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """The ratio of pairs of positive values in the same order, by Student's interval of their logarithms.

    Raises ValueError as `compare_logarithms` does.
    """
    logarithms = compare_logarithms(first, second)
    bounds = None
    if logarithms.interval is not None:
        bounds = math.exp(logarithms.interval[0]), math.exp(logarithms.interval[1])
    return Ratio(mean=math.exp(logarithms.mean), interval=bounds, n=logarithms.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in the same order (Holm, 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def verdict(*, p_difference: float, p_equivalence: float) -> str:
    """The verdict in words from two p-values that are adjusted for their number, at the level ALPHA."""
    equivalent, different = p_equivalence < ALPHA, p_difference < ALPHA
    if equivalent:
        return "different but negligible" if different else EQUIVALENT
    return "different" if different else INCONCLUSIVE
