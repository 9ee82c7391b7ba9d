"""Verdicts on rows made up so that each of them is the right one; statistics against published examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tables import add_run

from common.analysis import frames, pooling, significance, verdicts

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
    found = significance.compare(*SLEEP)
    assert found.mean == pytest.approx(-1.58)
    assert found.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert found.p_difference == pytest.approx(0.00283289, abs=1e-8)


def test_equivalence_is_that_of_statsmodels() -> None:
    """R's equivalence::tost and t.test gave statsmodels its reference values."""
    found = significance.compare(*CLINIC, margin=0.6)
    assert found.p_equivalence == pytest.approx(0.003166881489265175, rel=1e-9)
    assert found.p_difference == pytest.approx(0.245199929713149, rel=1e-9)
    assert found.interval == pytest.approx((-0.1264911434745851, 0.4558244768079186), rel=1e-9)


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


def pairs(folder: Path, differences: Sequence[float], model: str = "tf-model-1") -> None:
    """Runs of both frameworks, one pair for each difference."""
    for seed, difference in enumerate(differences, start=1):
        add_run(folder, model, "pytorch", seed=seed, accuracy=98.0 + seed / 100 + difference)
        add_run(folder, model, "tensorflow", seed=seed, accuracy=98.0 + seed / 100)


@pytest.mark.parametrize(
    "differences, words",
    [
        ([0.01, -0.01, 0.02, -0.02, 0.0], "equivalent"),
        ([0.04, 0.05, 0.04, 0.05, 0.045], "different but negligible"),
        ([0.3, 0.35, 0.28, 0.31, 0.33], "different"),
        ([0.2, -0.2, 0.1, -0.15], "inconclusive: about "),
        ([0.5], "one pair of runs has no interval"),
    ],
)
def test_verdict(tmp_path: Path, differences: list[float], words: str) -> None:
    pairs(tmp_path, differences)
    (one,), refused = verdicts.judge(frames.read(tmp_path))
    assert one.verdict.startswith(words)
    assert (one.verdict == words) or words.endswith(" ")
    assert refused == []
    assert one.verdict in verdicts.summary_table(frames.read(tmp_path))
    assert one.verdict in verdicts.details(frames.read(tmp_path))


def test_more_networks_make_a_verdict_harder(tmp_path: Path) -> None:
    """The same pairs, alone and as one of four networks of which the others say nothing."""
    narrow = [0.03, -0.05, 0.06, -0.04, 0.02, -0.03]
    pairs(tmp_path / "alone", narrow)
    pairs(tmp_path / "four", narrow)
    for model in ("nextjournal", "under-5k", "under-8k"):
        pairs(tmp_path / "four", [0.5, -0.4, 0.3, -0.5, 0.2, -0.3], model)
    (alone,), _ = verdicts.judge(frames.read(tmp_path / "alone"))
    judged, _ = verdicts.judge(frames.read(tmp_path / "four"))
    of_four = next(one for one in judged if one.model == "tf-model-1")
    assert of_four.p_equivalence == pytest.approx(4 * alone.comparison.p_equivalence)


@pytest.mark.parametrize("size, expected", [(0.0, "equivalent"), (0.3, "different")])
def test_as_many_more_seeds_as_are_asked_for_are_mostly_enough(size: float, expected: str) -> None:
    """Drawn anew a few hundred times with the spread that was seen: power near 80 %."""
    random = np.random.default_rng(0)
    seen = [size + value for value in (0.2, -0.2, 0.15, -0.15)]
    comparison = significance.compare(seen, [0.0] * 4)
    n = comparison.n + significance.more_seeds(comparison, tests=1)
    words = []
    for _ in range(400):
        again = significance.compare(list(random.normal(size, comparison.sd, n)), [0.0] * n)
        words.append(
            significance.verdict(
                again,
                p_difference=again.p_difference or 0.0,
                p_equivalence=again.p_equivalence or 0.0,
                tests=1,
            )
        )
    share = sum(word.startswith(expected) for word in words) / len(words)
    assert 0.55 < share < 0.97


def test_runs_pair_by_seed_and_repeated_ones_are_averaged(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.0), (2, 98.2), (2, 98.4), (7, 90.0)):
        add_run(tmp_path, framework="pytorch", seed=seed, accuracy=accuracy)
    for seed, accuracy in ((2, 98.1), (1, 97.9), (8, 50.0)):
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=accuracy)
    first, second = pooling.groups(frames.read(tmp_path).runs)
    assert pooling.paired(first, second) == (pytest.approx([98.0, 98.3]), pytest.approx([97.9, 98.1]))


@pytest.mark.parametrize("field, value", [("device", "cuda"), ("threads", 1)])
def test_runs_that_differ_in_more_are_not_compared_and_it_is_said(
    tmp_path: Path, field: str, value: object
) -> None:
    add_run(tmp_path, framework="pytorch")
    add_run(tmp_path, framework="tensorflow", **{field: value})
    judged, (reason,) = verdicts.judge(frames.read(tmp_path))
    assert judged == []
    assert f"differ in {field}" in reason


def test_no_seed_in_common_is_said(tmp_path: Path) -> None:
    add_run(tmp_path, framework="pytorch", seed=1)
    add_run(tmp_path, framework="tensorflow", seed=2)
    judged, (reason,) = verdicts.judge(frames.read(tmp_path))
    assert judged == []
    assert "no seed in common" in reason


def test_error_of_the_test_set_is_that_of_a_share(tmp_path: Path) -> None:
    """All runs wrong in the same 100 of 10,000 images: sqrt(p (1 - p) / n); the difference has none."""
    wrong = dict.fromkeys(range(100), 1)
    for framework in ("pytorch", "tensorflow"):
        for seed in (1, 2):
            add_run(tmp_path, framework=framework, seed=seed, errors=wrong)
    (one,), _ = verdicts.judge(frames.read(tmp_path))
    share = 100 * math.sqrt(0.01 * 0.99 / 10_000)
    assert one.image_errors == pytest.approx((share, share, 0.0), rel=1e-3)
