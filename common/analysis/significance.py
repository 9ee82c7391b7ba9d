"""Means, intervals, and tests of difference and equivalence of paired values.

Means are of exact sums (math.fsum), so the order of the rows cannot change a digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import scipy.stats

MARGIN = 0.1
"""Percentage points of accuracy below which a difference does not matter; fixed before there were results."""

ALPHA = 0.05
"""Of all tests, after adjusting them for how many there are."""


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (None for a single value) and number of values."""

    mean: float
    sd: float | None
    n: int


def summary(values: Iterable[float]) -> Summary:
    """Mean and spread of one value or more. Raises ValueError for none."""
    known = list(values)
    n = len(known)
    if n == 0:
        raise ValueError("There is no mean of no values.")
    mean = math.fsum(known) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1)) if n > 1 else None
    return Summary(mean, sd, n)


def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Student's confidence interval of the mean; None for one value, which has no interval."""
    known = summary(values)
    if known.sd is None:
        return None
    half = float(scipy.stats.t.ppf((1 + level) / 2, known.n - 1)) * known.sd / math.sqrt(known.n)
    return known.mean - half, known.mean + half


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences of pairs, first less second: their mean, sample standard deviation and number, the 95 %
    interval of the mean, and two p-values.

    `p_difference` is of Student's paired test that the mean is 0, `p_equivalence` the larger of two one-sided
    tests that it is outside ±margin (Schuirmann, 1987). All but mean and n are None for one pair.
    """

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None
    p_difference: float | None
    p_equivalence: float | None


def compare(first: Sequence[float], second: Sequence[float], *, margin: float = MARGIN) -> Comparison:
    """The comparison of pairs in the same order. Raises ValueError if they are not as many, or none."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    known = summary(differences)
    if known.sd is None:
        return Comparison(**vars(known), interval=None, p_difference=None, p_equivalence=None)
    # Where all differences are the same to rounding the statistics are infinite, and their limits right.
    error = max(known.sd / math.sqrt(known.n), 1e-12)
    t = scipy.stats.t(known.n - 1)
    outside = (t.sf((known.mean + margin) / error), t.sf((margin - known.mean) / error))
    return Comparison(
        **vars(known),
        interval=interval(differences),
        p_difference=2 * float(t.sf(abs(known.mean) / error)),
        p_equivalence=float(max(outside)),
    )


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """First over second, of pairs: geometric mean, its 95 % interval (None for one pair), number of pairs."""

    mean: float
    interval: tuple[float, float] | None
    n: int

    @property
    def excludes_one(self) -> bool:
        """That both sides are the same is not within the interval."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Of positive values, in the same order, by Student's interval of their logarithms' mean difference.

    Raises ValueError if they are not as many, or none, or not positive.
    """
    if min(*first, *second) <= 0:
        raise ValueError("Only positive values have a ratio.")
    known = compare([math.log(value) for value in first], [math.log(value) for value in second])
    bounds = None if known.interval is None else (math.exp(known.interval[0]), math.exp(known.interval[1]))
    return Ratio(mean=math.exp(known.mean), interval=bounds, n=known.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for as many tests as there are, in the same order (Holm, 1979)."""
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank_, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - rank_) * p_values[place]))
        adjusted[place] = least
    return adjusted


def verdict(comparison: Comparison, *, p_difference: float, p_equivalence: float, tests: int) -> str:
    """In words what two p-values adjusted for `tests` networks say at 5 %; how many more seeds if nothing."""
    same, other = p_equivalence < ALPHA, p_difference < ALPHA
    if same:
        return "different but negligible" if other else "equivalent"
    if other:
        return "different"
    return f"inconclusive: about {more_seeds(comparison, tests=tests):,} more seeds"


def more_seeds(comparison: Comparison, *, tests: int, margin: float = MARGIN) -> int:
    """How many more pairs, if mean and spread stay as they are, until one of the two tests sees it.

    With a power of 80 % at LEVEL / `tests`; a mean just at the margin is held to be a tenth of it away.
    """
    assert comparison.sd is not None
    size = abs(comparison.mean)
    room = max(abs(margin - size), margin / 10)
    # To show that it is inside the margin, else that it is not 0.
    distance, sides = (room, 1) if size < margin else (size, 2)
    n = comparison.n + 1
    while n < 100_000:
        t = scipy.stats.t(n - 1)
        needed = (t.isf(ALPHA / tests / sides) + t.isf(0.2)) * comparison.sd / distance
        if needed**2 <= n:
            break
        n = max(n + 1, round(n * 1.01))
    return n - comparison.n
