"""Pooling never mixes settings, and means do not depend on the order of the rows."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tables import add_run

from common.analysis import stats
from common.analysis.stats import DEFAULTS, POOLED
from common.model.zoo import ZOO
from common.tables import store
from common.tables.store import ResultsError

OTHER: dict[str, Any] = {
    "framework": "tensorflow",
    "model": "nextjournal",
    "dataset": "fashion-mnist",
    "batch_size": 33,
    "epochs": 2,
    "optimizer": "SGD()",
    "schedule": "OneCycle()",
    "lr": 0.123,
    "augment": "Affine(rotation=1.0)",
    "native": "init",
    "loader": "stream",
    "precision": "bfloat16",
    "device": "cuda",
    "threads": 3,
    "world_size": 2,
    "recipe_hash": "000000000000",
}
values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def test_every_pooled_field_has_another_value_here() -> None:
    assert set(OTHER) == set(POOLED)
    assert set(POOLED) < set(store.header(store.Run))


@pytest.mark.parametrize("field", POOLED)
def test_rows_that_differ_in_one_field_are_not_pooled(tmp_path: Path, field: str) -> None:
    add_run(tmp_path, seed=1)
    add_run(tmp_path, seed=2)
    add_run(tmp_path, seed=3, **{field: OTHER[field]})
    groups = stats.groups(stats.read(tmp_path).runs)
    assert sorted(len(group.runs) for group in groups) == [1, 2]
    if field != "model":
        one, two = groups
        assert set(stats.differences(one.fields, two.fields)) == {field}
        assert str(OTHER[field]) in stats.differences(one.fields, two.fields)[field]
        assert stats.differences(one.fields, two.fields, but=[field]) == {}


@pytest.mark.parametrize("field", ["machine", "framework_version", "commit", "started", "seed", "accuracy"])
def test_rows_that_differ_in_anything_else_are(tmp_path: Path, field: str) -> None:
    add_run(tmp_path)
    other: dict[str, Any] = {field: 5 if field in ("seed", "accuracy") else "other"}
    add_run(tmp_path, **other)
    (group,) = stats.groups(stats.read(tmp_path).runs)
    assert len(group.runs) == 2


def test_differences_of_two_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tf-model-1 and nextjournal"):
        stats.differences({"model": "tf-model-1"}, {"model": "nextjournal"})


@pytest.mark.parametrize("status", ["diverged", "interrupted"])
def test_a_failed_run_is_in_no_group(tmp_path: Path, status: str) -> None:
    add_run(tmp_path, status=status, accuracy=None)
    tables = stats.read(tmp_path)
    assert len(tables.runs) == 1
    assert stats.groups(tables.runs) == []
    assert stats.zoo_runs(tables.runs).empty


@given(values)
def test_mean_and_deviation_are_the_textbook_ones(numbers: list[float]) -> None:
    found = stats.summary(numbers)
    assert found.n == len(numbers)
    assert found.mean == pytest.approx(statistics.mean(numbers), rel=1e-12, abs=1e-9)
    assert found.sd == pytest.approx(statistics.stdev(numbers), rel=1e-9, abs=1e-6)


@given(values, st.randoms())
def test_the_order_of_rows_moves_no_digit(numbers: list[float], random: object) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stats.summary(shuffled) == stats.summary(numbers)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert stats.summary([97.5]) == stats.Summary(97.5, None, 1)
    with pytest.raises(ValueError, match="no mean"):
        stats.summary([])


@pytest.mark.parametrize("field", [*DEFAULTS, "recipe_hash"])
def test_main_runs_are_the_zoos_own(tmp_path: Path, field: str) -> None:
    for model in ZOO:
        add_run(tmp_path, model)
    assert len(stats.zoo_runs(stats.read(tmp_path).runs)) == len(ZOO)
    add_run(tmp_path, **{field: OTHER[field]})
    assert len(stats.zoo_runs(stats.read(tmp_path).runs)) == len(ZOO)


@pytest.mark.parametrize("model", ZOO)
def test_a_main_run_differs_in_nothing_from_its_recipe(tmp_path: Path, model: str) -> None:
    add_run(tmp_path, model)
    (group,) = stats.groups(stats.read(tmp_path).runs)
    assert stats.differences(group.fields, stats.default_settings(ZOO[model])) == {}


def test_groups_come_in_the_order_of_the_zoo(tmp_path: Path) -> None:
    for model in reversed(ZOO):
        for framework in ("tensorflow", "jax", "pytorch"):
            add_run(tmp_path, model, framework)
    order = [(group.model, group.framework) for group in stats.groups(stats.read(tmp_path).runs)]
    assert order == [(model, name) for model in ZOO for name in ("pytorch", "tensorflow", "jax")]


def test_leading_is_the_group_with_the_most_runs(tmp_path: Path) -> None:
    for seed, threads in ((1, 4), (2, 8), (3, 8)):
        add_run(tmp_path, seed=seed, threads=threads)
    (group,) = stats.largest_groups(stats.groups(stats.read(tmp_path).runs))
    assert group.fields["threads"] == 8


def test_empty_cells_and_empty_tables(tmp_path: Path) -> None:
    assert stats.groups(stats.read(tmp_path).runs) == []
    add_run(tmp_path, train_accuracy=None)
    (group,) = stats.groups(stats.read(tmp_path).runs)
    assert math.isnan(group.runs["train_accuracy"].iloc[0])
    assert group.summary("train_accuracy") is None
    assert group.summary("accuracy") == stats.Summary(99.0, None, 1)


def test_a_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace(",99,", ",many,"))
    with pytest.raises(ResultsError, match=r"results\.csv, column accuracy.*many"):
        stats.read(tmp_path)


def test_ratio_of_pairs() -> None:
    """By hand: logarithms of the ratios are 0, ln 2 and ln 4; t of 2 degrees at 97.5 % is 4.302653."""
    known = stats.ratio([3.0, 2.0, 4.0], [3.0, 1.0, 1.0])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert known.mean == pytest.approx(2)
    assert known.interval == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))
    assert not known.excludes_one
    assert stats.ratio([2.0, 2.1], [1.0, 1.05]).excludes_one
    assert stats.ratio([2.0], [1.0]).interval is None
    assert not stats.ratio([2.0], [1.0]).excludes_one
    with pytest.raises(ValueError, match="positive values"):
        stats.ratio([0.0], [1.0])
