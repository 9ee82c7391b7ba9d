"""Misclassified digits: the rows of errors.csv counted, selected and paged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.tables import add_run

from common.analysis import frames, misclassified
from common.analysis.misclassified import Filter, page, select

LABELS = (np.arange(100) % 10).astype(np.uint8)


@pytest.fixture
def digits(tmp_path: Path) -> pd.DataFrame:
    """Digit 3 is wrong in both frameworks, 14 in PyTorch's both runs, 25 in one of TensorFlow's."""
    for seed in (1, 2):
        add_run(tmp_path, seed=seed, errors={3: 5, 14: 9})
        add_run(tmp_path, framework="tensorflow", seed=seed, errors={3: 8} if seed == 1 else {3: 5, 25: 2})
    add_run(tmp_path, model="nextjournal", errors={14: 4})
    add_run(tmp_path, errors={77: 1}, recipe={"epochs": 1})  # of another recipe
    return misclassified.misclassified_digits(frames.read(tmp_path), LABELS)


def indices(rows: pd.DataFrame) -> list[int]:
    return sorted(set(rows["index"]))


def test_runs_are_counted_and_other_recipes_left_out(digits: pd.DataFrame) -> None:
    assert indices(digits) == [3, 14, 25]
    (row,) = digits[(digits["index"] == 14) & (digits["model"] == "tf-model-1")].to_dict("records")
    assert row == {
        **{"model": "tf-model-1", "framework": "pytorch", "index": 14, "predicted": 9},
        **{"runs": 2, "of": 2, "label": 4},
    }


@pytest.mark.parametrize(
    "choice, expected",
    [
        (Filter(), [3, 14, 25]),
        (Filter(label=4), [14]),
        (Filter(label=7), []),
        (Filter(predicted=5), [3]),
        (Filter(predicted=8, framework="pytorch"), []),
        (Filter(model="nextjournal"), [14]),
        (Filter(framework="tensorflow"), [3, 25]),
        (Filter(one_only=True), [14, 25]),
        (Filter(one_only=True, framework="tensorflow"), [25]),
        (Filter(one_only=True, framework="pytorch", model="tf-model-1"), [14]),
    ],
    ids=str,
)
def test_filters_select_rows(digits: pd.DataFrame, choice: Filter, expected: list[int]) -> None:
    assert indices(select(digits, choice)) == expected


def test_an_output_that_is_no_digit_is_selected(tmp_path: Path) -> None:
    add_run(tmp_path, errors={3: 5, 14: 12, 25: 10})
    rows = misclassified.misclassified_digits(frames.read(tmp_path), LABELS)
    assert indices(select(rows, Filter(predicted=misclassified.NO_DIGIT))) == [14, 25]


def test_pages_begin_with_the_digits_that_most_runs_misclassified(digits: pd.DataFrame) -> None:
    total, shown = page(digits, start=0, count=2)
    assert total == 3
    assert {digit["index"] for digit in shown} == {3, 14}
    (three,) = (digit for digit in shown if digit["index"] == 3)
    assert three["predictions"][0]["predicted"] == 5
    assert [digit["index"] for digit in page(digits, start=2, count=5)[1]] == [25]
    assert page(digits, start=3, count=5) == (3, [])
    assert page(digits[:0], start=0, count=5) == (0, [])
