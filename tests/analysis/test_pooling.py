"""Pooling never mixes settings, counts a repeated seed once, and prefers the newest arithmetic."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import add_run

from common.analysis import aa, frames, misclassified, pooling, significance
from common.analysis.pooling import DEFAULTS, POOLED
from common.frameworks import PAIR
from common.model.zoo import ZOO
from common.tables import schema

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
    "world_size": 2,
    "recipe_hash": "000000000000",
    "numerics": 7.0,
}


def test_every_pooled_field_has_another_value_here() -> None:
    assert set(OTHER) == set(POOLED)
    assert set(POOLED) < set(schema.header(schema.Run))


@pytest.mark.parametrize("field", POOLED)
def test_rows_that_differ_in_one_field_are_not_pooled(tmp_path: Path, field: str) -> None:
    add_run(tmp_path, seed=1, numerics=1.0)
    add_run(tmp_path, seed=2, numerics=1.0)
    add_run(tmp_path, **{"seed": 3, "numerics": 1.0, field: OTHER[field]})
    groups = pooling.groups(frames.read(tmp_path).runs)
    assert sorted(len(group.runs) for group in groups) == [1, 2]
    if field != "model":
        one, two = groups
        assert set(pooling.differences(one.fields, two.fields)) == {field}
        assert pooling.format_value(OTHER[field]) in pooling.differences(one.fields, two.fields)[field]
        assert pooling.differences(one.fields, two.fields, but=[field]) == {}


NOT_POOLED = [*pooling.ENVIRONMENT, "commit", "started", "seed", "accuracy"]


@pytest.mark.parametrize("field", NOT_POOLED)
def test_rows_that_differ_in_anything_else_are(tmp_path: Path, field: str) -> None:
    add_run(tmp_path)
    other: dict[str, Any] = {field: 5 if field in ("seed", "accuracy", "threads") else "other"}
    add_run(tmp_path, **other)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    assert len(group.runs) == 2


def test_differences_of_two_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tf-model-1 and nextjournal"):
        pooling.differences({"model": "tf-model-1"}, {"model": "nextjournal"})


@pytest.mark.parametrize("status", ["diverged", "interrupted"])
def test_a_failed_run_is_in_no_group(tmp_path: Path, status: str) -> None:
    add_run(tmp_path, status=status, accuracy=None)
    tables = frames.read(tmp_path)
    assert len(tables.runs) == 1
    assert pooling.groups(tables.runs) == []
    assert pooling.zoo_runs(tables.runs).empty


@pytest.mark.parametrize("field", [*DEFAULTS, "recipe_hash"])
def test_main_runs_are_the_zoos_own(tmp_path: Path, field: str) -> None:
    for model in ZOO:
        add_run(tmp_path, model)
    assert len(pooling.zoo_runs(frames.read(tmp_path).runs)) == len(ZOO)
    add_run(tmp_path, **{field: OTHER[field]})
    assert len(pooling.zoo_runs(frames.read(tmp_path).runs)) == len(ZOO)


@pytest.mark.parametrize("model", ZOO)
def test_a_main_run_differs_in_nothing_from_its_recipe(tmp_path: Path, model: str) -> None:
    add_run(tmp_path, model)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    assert pooling.differences(group.fields, pooling.default_settings(ZOO[model])) == {}


def test_groups_come_in_the_order_of_the_zoo(tmp_path: Path) -> None:
    for model in reversed(ZOO):
        for framework in ("tensorflow", "jax", "pytorch"):
            add_run(tmp_path, model, framework)
    order = [(group.model, group.framework) for group in pooling.groups(frames.read(tmp_path).runs)]
    assert order == [(model, name) for model in ZOO for name in ("pytorch", "tensorflow", "jax")]


def test_leading_is_the_group_with_the_most_seeds(tmp_path: Path) -> None:
    for seed, processes in ((1, 1), (1, 1), (1, 1), (2, 2), (3, 2)):
        add_run(tmp_path, seed=seed, world_size=processes)
    (group,) = pooling.largest_groups(pooling.groups(frames.read(tmp_path).runs))
    assert group.fields["world_size"] == 2


def test_settings_of_both_frameworks_win_over_more_seeds_of_one(tmp_path: Path) -> None:
    for seed in range(6):
        add_run(tmp_path, seed=seed, device="a GPU")
    for framework, seeds in (("pytorch", (1, 2)), ("tensorflow", (1, 2, 3))):
        for seed in seeds:
            add_run(tmp_path, framework=framework, seed=seed)
    leading = pooling.largest_groups(pooling.groups(frames.read(tmp_path).runs))
    assert [(group.fields["device"], group.seeds) for group in leading] == [("cpu", 2), ("cpu", 3)]
    for seed in range(10, 20):  # of a device that has none in common
        add_run(tmp_path, framework="tensorflow", seed=seed, device="a GPU")
    leading = pooling.largest_groups(pooling.groups(frames.read(tmp_path).runs))
    assert [group.fields["device"] for group in leading] == ["cpu", "cpu"]


def test_the_newest_arithmetic_wins_over_more_seeds(tmp_path: Path) -> None:
    """Five seeds of arithmetic 1 and of no number, two of arithmetic 2: everything is of these two."""
    for number, seeds, accuracy in ((None, 5, 97.0), (1, 5, 97.5), (2, 2, 99.0)):
        for framework, seed in product(PAIR, range(1, seeds + 1)):
            fields: dict[str, Any] = {"numerics": number, "accuracy": accuracy, "errors": {number or 0: 0}}
            add_run(tmp_path, framework=framework, seed=seed, at_once=1, **fields)
    tables = frames.read(tmp_path)
    for groups in (
        pooling.groups(pooling.zoo_runs(tables.runs)),
        pooling.largest_groups(pooling.groups(tables.runs)),
    ):
        assert [(group.number, group.seeds) for group in groups] == [(2, 2), (2, 2)]
        assert pooling.paired(*groups) == ([99.0, 99.0], [99.0, 99.0])
    digits = misclassified.misclassified_digits(tables, np.zeros(10, np.uint8))
    assert (set(digits["index"]), set(digits["of"])) == ({2}, {2})
    assert {comparison.pairs for comparison in aa.target_comparisons(tables)} == {2}


def test_an_older_arithmetic_counts_where_there_is_no_newer(tmp_path: Path) -> None:
    add_run(tmp_path, seed=1, numerics=1)
    add_run(tmp_path, seed=1, numerics=2, world_size=2)
    add_run(tmp_path, framework="tensorflow", seed=1, numerics=3)
    runs = frames.read(tmp_path).runs
    assert len(pooling.newest(runs)) == 3
    assert len(pooling.newest(runs[:0])) == 0
    leading = pooling.largest_groups(pooling.groups(runs))
    assert [(group.framework, group.number) for group in leading] == [("pytorch", 2), ("tensorflow", 3)]


def test_empty_cells_and_empty_tables(tmp_path: Path) -> None:
    assert pooling.groups(frames.read(tmp_path).runs) == []
    add_run(tmp_path, train_accuracy=None)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    assert math.isnan(group.runs["train_accuracy"].iloc[0])
    assert group.summary("train_accuracy") is None
    assert group.summary("accuracy") == significance.Summary(99.0, None, 1)


def test_runs_pair_by_seed_and_repeated_ones_are_averaged(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.0), (2, 98.2), (2, 98.4), (7, 90.0)):
        add_run(tmp_path, framework="pytorch", seed=seed, accuracy=accuracy)
    for seed, accuracy in ((2, 98.1), (1, 97.9), (8, 50.0)):
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=accuracy)
    first, second = pooling.groups(frames.read(tmp_path).runs)
    assert pooling.paired(first, second) == (pytest.approx([98.0, 98.3]), pytest.approx([97.9, 98.1]))


def test_repeats_of_a_seed_make_no_mean_more_certain(tmp_path: Path) -> None:
    """Two seeds, one of them run three times: the mean and the spread are of two values."""
    for seed, accuracy in ((1, 98.0), (2, 98.6), (2, 98.7), (2, 98.8)):
        add_run(tmp_path, seed=seed, accuracy=accuracy)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    summary = group.summary("accuracy")
    assert summary is not None
    assert (summary.n, len(group.runs)) == (2, 4)
    assert (summary.mean, summary.sd) == pytest.approx((98.35, 0.7 / math.sqrt(2)))
    epochs = pooling.epochs_of(group, frames.read(tmp_path).epochs)
    assert pooling.by_epoch(epochs, "accuracy").iloc[-1] == pytest.approx(98.35)
    assert pooling.by_epoch(epochs, "accuracy").iloc[0] == pytest.approx(10)


def test_a_seed_without_a_value_is_left_out(tmp_path: Path) -> None:
    for seed, shifted in ((1, None), (2, 98.0), (2, None), (3, 99.0)):
        add_run(tmp_path, seed=seed, shifted_accuracy=shifted)
    (group,) = pooling.groups(frames.read(tmp_path).runs)
    assert pooling.by_seed(group, "shifted_accuracy") == {2: 98.0, 3: 99.0}
