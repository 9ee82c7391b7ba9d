"""Pooling never mixes settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.tables import add_run

from common.analysis import frames, pooling, significance
from common.analysis.pooling import DEFAULTS, POOLED
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
    "threads": 3,
    "world_size": 2,
    "recipe_hash": "000000000000",
}


def test_every_pooled_field_has_another_value_here() -> None:
    assert set(OTHER) == set(POOLED)
    assert set(POOLED) < set(schema.header(schema.Run))


@pytest.mark.parametrize("field", POOLED)
def test_rows_that_differ_in_one_field_are_not_pooled(tmp_path: Path, field: str) -> None:
    add_run(tmp_path, seed=1)
    add_run(tmp_path, seed=2)
    add_run(tmp_path, seed=3, **{field: OTHER[field]})
    groups = pooling.groups(frames.read(tmp_path).runs)
    assert sorted(len(group.runs) for group in groups) == [1, 2]
    if field != "model":
        one, two = groups
        assert set(pooling.differences(one.fields, two.fields)) == {field}
        assert str(OTHER[field]) in pooling.differences(one.fields, two.fields)[field]
        assert pooling.differences(one.fields, two.fields, but=[field]) == {}


@pytest.mark.parametrize("field", ["machine", "framework_version", "commit", "started", "seed", "accuracy"])
def test_rows_that_differ_in_anything_else_are(tmp_path: Path, field: str) -> None:
    add_run(tmp_path)
    other: dict[str, Any] = {field: 5 if field in ("seed", "accuracy") else "other"}
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


def test_leading_is_the_group_with_the_most_runs(tmp_path: Path) -> None:
    for seed, threads in ((1, 4), (2, 8), (3, 8)):
        add_run(tmp_path, seed=seed, threads=threads)
    (group,) = pooling.largest_groups(pooling.groups(frames.read(tmp_path).runs))
    assert group.fields["threads"] == 8


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
