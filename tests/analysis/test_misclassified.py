"""Who was wrong about what: the rows of errors.csv, counted and chosen."""

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
def known(tmp_path: Path) -> pd.DataFrame:
    """Digit 3 is wrong in both frameworks, 14 in PyTorch's both runs, 25 in one of TensorFlow's."""
    for seed in (1, 2):
        add_run(tmp_path, seed=seed, errors={3: 5, 14: 9})
        add_run(tmp_path, framework="tensorflow", seed=seed, errors={3: 8} if seed == 1 else {3: 5, 25: 2})
    add_run(tmp_path, model="nextjournal", errors={14: 4})
    add_run(tmp_path, errors={77: 1}, recipe={"epochs": 1})  # of another recipe
    return misclassified.misclassified_digits(frames.read(tmp_path), LABELS)


def indices(rows: pd.DataFrame) -> list[int]:
    return sorted(set(rows["index"]))


def test_runs_are_counted_and_other_recipes_left_out(known: pd.DataFrame) -> None:
    assert indices(known) == [3, 14, 25]
    (row,) = known[(known["index"] == 14) & (known["model"] == "tf-model-1")].to_dict("records")
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
def test_choices(known: pd.DataFrame, choice: Filter, expected: list[int]) -> None:
    assert indices(select(known, choice)) == expected


def test_pages_begin_with_what_was_wrong_most_often(known: pd.DataFrame) -> None:
    total, shown = page(known, start=0, count=2)
    assert total == 3
    assert {one["index"] for one in shown} == {3, 14}
    assert next(said["predicted"] for said in next(one for one in shown if one["index"] == 3)["said"]) == 5
    assert [one["index"] for one in page(known, start=2, count=5)[1]] == [25]
    assert page(known, start=3, count=5) == (3, [])
    assert page(known[:0], start=0, count=5) == (0, [])
