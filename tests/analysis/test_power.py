"""The stated number of further seeds decides with the stated probability, by the decision as it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.analysis import power, significance
from common.analysis.significance import ALPHA, compare

SEEN = (0.2, -0.2, 0.15, -0.15, 0.05, 0.02)


@given(st.floats(0, 1), st.lists(st.floats(0, 0.2), max_size=12))
def test_the_critical_value_is_that_of_the_whole_family(p_value: float, others: list[float]) -> None:
    critical = power.critical_p(others)
    if not math.isclose(p_value, critical):
        assert (p_value < critical) == (significance.holm([p_value, *others])[0] < ALPHA)


@pytest.mark.parametrize(
    "differences, more", [((0.2, -0.2, 0.1), 5), ((0.2, -0.2, 0.1), 20), ((0.1, -0.1, 0.05), 20), (SEEN, 1)]
)
def test_the_power_is_that_of_pairs_drawn_one_by_one(differences: Sequence[float], more: int) -> None:
    """The recorded pairs are kept; further ones are drawn 400 times, and the verdict is that of the tests."""
    n = len(differences)
    comparison = compare(differences, [0.0] * n)
    random = np.random.default_rng(7)
    decided, rounds = 0, 400
    for _ in range(rounds):
        deviation = comparison.sd * math.sqrt((n - 1) / random.chisquare(n - 1))  # type: ignore[operator]
        effect = random.normal(comparison.mean, deviation / math.sqrt(n))
        pairs = [*differences, *random.normal(effect, deviation, more)]
        result = compare(pairs, [0.0] * len(pairs))
        assert result.p_difference is not None
        assert result.p_equivalence is not None
        # As with one other network that is not decided: two tests in each family.
        adjusted = {"p_difference": 2 * result.p_difference, "p_equivalence": 2 * result.p_equivalence}
        decided += significance.verdict(**adjusted) != significance.INCONCLUSIVE
    stated = power.predictive_power(comparison, more=more, p_difference=ALPHA / 2, p_equivalence=ALPHA / 2)
    assert stated == pytest.approx(decided / rounds, abs=0.06)


def test_the_number_is_the_least_of_those_tried() -> None:
    levels = {"p_difference": ALPHA, "p_equivalence": ALPHA}
    comparison = compare(SEEN, [0.0] * len(SEEN))
    number = power.more_seeds(comparison, **levels)
    assert number in power.NUMBERS
    before = power.NUMBERS[power.NUMBERS.index(number) - 1]
    assert power.predictive_power(comparison, more=before, **levels) < power.POWER
    assert power.predictive_power(comparison, more=number, **levels) >= power.POWER


def test_a_wide_spread_needs_more_than_any_number_tried() -> None:
    """A thousand pairs with a standard deviation of a hundred margins: so many again say little more."""
    wide = compare([10.0, -10.0] * 500, [0.0] * 1000)
    assert power.more_seeds(wide, p_difference=0.01, p_equivalence=0.01) is None


def test_one_pair_has_no_power() -> None:
    with pytest.raises(ValueError, match="One pair"):
        power.predictive_power(compare([1.0], [0.0]), more=5, p_difference=ALPHA, p_equivalence=ALPHA)
