"""Cells print means, intervals, ratios and p-values with the digits they mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import frames, pooling, significance
from common.report import cells


def test_accuracy_has_the_spread_of_its_seeds_and_the_number_of_runs_apart(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.0), (1, 98.2), (2, 98.5)):
        add_run(tmp_path, seed=seed, accuracy=accuracy)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    assert cells.accuracy(group, "accuracy") == "98.30 ± 0.28 % (n=2, 3 runs)"
    assert cells.mean_and_sd(group, "accuracy", 1) == "98.3 ± 0.3"
    assert cells.accuracy(group, "shifted_accuracy") == ""


def test_one_pair_has_no_interval() -> None:
    assert cells.difference(significance.compare([1.0], [0.5])) == "+0.500"
    assert cells.difference(significance.compare([1.0, 1.0], [0.5, 0.5]), 1) == "+0.5 (+0.5 to +0.5)"
    assert cells.ratio(significance.ratio([1.0], [2.0])) == "0.500"
    assert cells.ratio(significance.ratio([1.0, 2.0], [2.0, 4.0])) == "0.500 (0.500 to 0.500)"


@pytest.mark.parametrize(
    "value, expected", [(None, ""), (0.5, "0.500"), (0.001, "0.001"), (0.0009, "< 0.001")]
)
def test_p_values(value: float | None, expected: str) -> None:
    assert cells.p_value(value) == expected
