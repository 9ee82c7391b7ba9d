"""Digests and labels in recorded rows do not depend on the names of classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from common.data.augment import Affine
from common.identity import added_field, is_added, recorded_name
from common.model.optimizer import SGD
from common.model.recipe import Recipe, recipe_hash, short_name
from common.model.schedule import OneCycle
from common.model.spec import Dense, Flatten, ModelSpec
from common.model.zoo import ZOO
from common.tables import store

RESULTS = Path(__file__).resolve().parents[1] / "results"

RECORDED = {
    "pytorch-model-1": "4cb4cbacbd8d",
    "pytorch-model-1-printed": "69df04362e7f",
    "tf-model-1": "975137194270",
    "nextjournal": "5c5435e2ded5",
    "under-5k": "f49c0663e0b0",
    "examples-cnn": "880c89f54600",
    "under-8k": "0bd239cec143",
    "one-epoch-215k": "15a694cc5832",
    "speedrun": "c69e025154ef",
    "mlp-tuned": "cd1ba827da76",
    "under-8k-tuned": "d78e9caec95c",
    "smallest": "db85e719aa00",
    "under-2k": "35e8abd2e41f",
    "under-5k-tuned": "d51fcc080142",
    "best": "542c1d338e0e",
}
"""The recipe digest under which each network of the zoo has its rows in results.csv."""


@pytest.mark.parametrize("name, digest", RECORDED.items())
def test_recipe_digests_are_the_recorded_ones(name: str, digest: str) -> None:
    entry = ZOO[name]
    assert recipe_hash(entry.spec, entry.recipe) == digest


def test_recorded_digests_are_in_the_table() -> None:
    in_table = {(row["model"], row["recipe_hash"]) for row in store.rows(RESULTS, "results.csv")}
    assert set(RECORDED.items()) <= in_table
    assert {model for model, _ in in_table} == set(RECORDED)


@pytest.mark.parametrize("kind", [Dense, SGD, OneCycle, Affine])
def test_a_renamed_class_keeps_the_digest_and_the_label(kind: type) -> None:
    spec = ModelSpec("net", (Flatten(), Dense(10)))
    recipe = Recipe(
        SGD(momentum=0.9), lr=0.1, batch_size=32, epochs=1, schedule=OneCycle(), augment=Affine(rotation=5)
    )

    def recorded() -> list[str]:
        return [recipe_hash(spec, recipe), short_name(recipe.optimizer), short_name(recipe.augment)]

    before, name = recorded(), kind.__name__
    try:
        kind.__name__ = "Renamed"
        assert recorded() == before
    finally:
        kind.__name__ = name


def test_an_added_field_is_left_out_of_the_digest_at_its_default() -> None:
    @dataclasses.dataclass
    class Choice:
        old: int = 1
        new: int = added_field(2, recorded="ancient")

    old, new = dataclasses.fields(Choice)
    assert (is_added(old), is_added(new)) == (False, True)
    assert new.default == 2
    assert (recorded_name(old), recorded_name(new)) == ("old", "ancient")
