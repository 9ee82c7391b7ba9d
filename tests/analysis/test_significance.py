"""Means do not depend on the order of the rows; ratios are those computed by hand."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.analysis import significance

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(values)
def test_mean_and_deviation_are_the_textbook_ones(numbers: list[float]) -> None:
    found = significance.summary(numbers)
    assert found.n == len(numbers)
    assert found.mean == pytest.approx(statistics.mean(numbers), rel=1e-12, abs=1e-9)
    assert found.sd == pytest.approx(statistics.stdev(numbers), rel=1e-9, abs=1e-6)


@given(values, st.randoms())
def test_the_order_of_rows_moves_no_digit(numbers: list[float], random: object) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert significance.summary(shuffled) == significance.summary(numbers)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert significance.summary([97.5]) == significance.Summary(97.5, None, 1)
    with pytest.raises(ValueError, match="no mean"):
        significance.summary([])


def test_ratio_of_pairs() -> None:
    """By hand: logarithms of the ratios are 0, ln 2 and ln 4; t of 2 degrees at 97.5 % is 4.302653."""
    known = significance.ratio([3.0, 2.0, 4.0], [3.0, 1.0, 1.0])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert known.mean == pytest.approx(2)
    assert known.interval == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))
    assert not known.excludes_one
    assert significance.ratio([2.0, 2.1], [1.0, 1.05]).excludes_one
    assert significance.ratio([2.0], [1.0]).interval is None
    assert not significance.ratio([2.0], [1.0]).excludes_one
    with pytest.raises(ValueError, match="positive values"):
        significance.ratio([0.0], [1.0])
