"""Means do not depend on the order of the rows; ratios are those computed by hand."""

from __future__ import annotations

import math
import statistics

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from common.analysis import significance

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


# Student (1908), hours of sleep gained with two drugs; R's data set `sleep` and its paired t.test.
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
# The clinic data that statsmodels tests ttost_paired with: the first variable, both groups.
CLINIC = (
    [2.84, 2.51, 2.41, 2.95, 3.14, 3.79, 4.14, 3.85, 3.02, 3.45, 5.37, 3.81, 4.19, 3.16, 3.84],
    [2.60, 2.82, 2.18, 3.46, 4.01, 3.04, 3.47, 4.06, 2.91, 3.59, 4.51, 3.16, 3.86, 3.31, 3.02],
)


def test_paired_test_and_interval_are_those_of_a_textbook() -> None:
    result = significance.compare(*SLEEP)
    assert result.mean == pytest.approx(-1.58)
    assert result.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert result.p_difference == pytest.approx(0.00283289, abs=1e-8)


def test_equivalence_is_that_of_statsmodels() -> None:
    """R's equivalence::tost and t.test gave statsmodels its reference values."""
    result = significance.compare(*CLINIC, margin=0.6)
    assert result.p_equivalence == pytest.approx(0.003166881489265175, rel=1e-9)
    assert result.p_difference == pytest.approx(0.245199929713149, rel=1e-9)
    assert result.interval == pytest.approx((-0.1264911434745851, 0.4558244768079186), rel=1e-9)


def test_holm_is_that_of_its_article_and_of_statsmodels() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R."""
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([]) == []
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_keep_their_order_and_are_no_smaller(p_values: list[float]) -> None:
    adjusted = significance.holm(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(after >= before for before, after in pairs)
    assert [after for _, after in pairs] == sorted(adjusted)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.floats(-3, 3))
def test_interval_moves_with_its_values(values: list[float], shift: float) -> None:
    low, high = significance.interval(values)  # type: ignore[misc]
    moved = significance.interval([value + shift for value in values])
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-9)
    assert low <= math.fsum(values) / len(values) <= high


def test_one_value_has_no_interval() -> None:
    assert significance.interval([99.0]) is None
    assert significance.compare([99.0], [98.0]).interval is None


@given(values)
def test_mean_and_deviation_are_the_textbook_ones(numbers: list[float]) -> None:
    result = significance.summary(numbers)
    assert result.n == len(numbers)
    assert result.mean == pytest.approx(statistics.mean(numbers), rel=1e-12, abs=1e-9)
    assert result.sd == pytest.approx(statistics.stdev(numbers), rel=1e-9, abs=1e-6)


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
    result = significance.ratio([3.0, 2.0, 4.0], [3.0, 1.0, 1.0])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert result.mean == pytest.approx(2)
    assert result.interval == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))
    assert not result.excludes_one
    assert significance.ratio([2.0, 2.1], [1.0, 1.05]).excludes_one
    assert significance.ratio([2.0], [1.0]).interval is None
    assert not significance.ratio([2.0], [1.0]).excludes_one
    with pytest.raises(ValueError, match="positive values"):
        significance.ratio([0.0], [1.0])


def test_a_ratio_is_equivalent_within_a_tenth() -> None:
    """By hand: the logarithms are log(1.05), 0 and -log(1.05), so their standard deviation is log(1.05)."""
    result = significance.compare_logarithms([1.05, 1.0, 1.0], [1.0, 1.0, 1.05])
    t = math.sqrt(3) * math.log(1.1) / math.log(1.05)
    assert result.p_equivalence == pytest.approx(scipy.stats.t.sf(t, 2))
    assert result.p_difference == pytest.approx(1.0)


@pytest.mark.parametrize(
    "p_difference, p_equivalence, words",
    [
        (0.5, 0.049, "equivalent"),
        (0.049, 0.049, "different but negligible"),
        (0.049, 0.5, "different"),
        (0.05, 0.05, significance.INCONCLUSIVE),
    ],
)
def test_words(p_difference: float, p_equivalence: float, words: str) -> None:
    assert significance.verdict(p_difference=p_difference, p_equivalence=p_equivalence) == words


def test_geometric_mean_and_interval() -> None:
    """Logarithms -1, 0 and 1 have the standard error 1/sqrt(3); Student's quantile of 2 degrees is 4.303."""
    mean, low, high = significance.geometric([math.exp(-1), 1.0, math.e])
    assert mean == pytest.approx(1)
    assert math.log(high) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert low == pytest.approx(1 / high)
    assert significance.geometric([3.0]) == pytest.approx((3, 3, 3))
