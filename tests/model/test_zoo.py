"""The zoo agrees with its sources, and a recipe's digest changes with every field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from support import reference
from support.layers import EXAMPLES

from common.checked import Checked
from common.data.augment import Affine, RandomCrop, ZoomCrop
from common.model import spec
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.recipe import Recipe, recipe_hash
from common.model.schedule import Constant, Linear, OneCycle, Schedule, StepDecay
from common.model.spec import Layer, ModelSpec, Shape
from common.model.zoo import ZOO

PARAMETERS = {
    "pytorch-model-1-printed": 13_248,
    "pytorch-model-1": 28_938,
    "tf-model-1": 101_770,
    "nextjournal": 21_840,
    "under-5k": 4_838,
    "examples-cnn": 1_199_882,
    "under-8k": 4_392,
}

# Layer tables as the sources print them: (kind, shape without the batch, parameters). Left out are the
# softmax at the end, which is part of the loss, and layers of under-8k that do nothing (Dropout2d of rate 0,
# the flattening of 1x1 images).
PRINTED: dict[str, list[tuple[type, Shape, int]]] = {
    "pytorch-model-1-printed": [
        (spec.Conv, (16, 28, 28), 416),
        (spec.Activation, (16, 28, 28), 0),
        (spec.MaxPool, (16, 14, 14), 0),
        (spec.Conv, (32, 14, 14), 12_832),
        (spec.Activation, (32, 14, 14), 0),
        (spec.MaxPool, (32, 7, 7), 0),
        (spec.Flatten, (1568,), 0),
    ],
    "tf-model-1": [
        (spec.Flatten, (784,), 0),
        (spec.Dense, (128,), 100_480),
        (spec.Activation, (128,), 0),
        (spec.Dense, (10,), 1_290),
    ],
    "under-8k": [
        (spec.Conv, (16, 26, 26), 144),
        (spec.Activation, (16, 26, 26), 0),
        (spec.BatchNorm, (16, 26, 26), 32),
        (spec.Conv, (16, 24, 24), 144),
        (spec.Activation, (16, 24, 24), 0),
        (spec.BatchNorm, (16, 24, 24), 32),
        (spec.Conv, (16, 24, 24), 256),
        (spec.Activation, (16, 24, 24), 0),
        (spec.BatchNorm, (16, 24, 24), 32),
        (spec.Conv, (16, 22, 22), 144),
        (spec.Activation, (16, 22, 22), 0),
        (spec.BatchNorm, (16, 22, 22), 32),
        (spec.Conv, (32, 22, 22), 512),
        (spec.Activation, (32, 22, 22), 0),
        (spec.BatchNorm, (32, 22, 22), 64),
        (spec.MaxPool, (32, 11, 11), 0),
        (spec.Conv, (16, 11, 11), 512),
        (spec.Conv, (16, 9, 9), 144),
        (spec.Activation, (16, 9, 9), 0),
        (spec.BatchNorm, (16, 9, 9), 32),
        (spec.Conv, (16, 9, 9), 256),
        (spec.Activation, (16, 9, 9), 0),
        (spec.BatchNorm, (16, 9, 9), 32),
        (spec.Conv, (16, 7, 7), 144),
        (spec.Activation, (16, 7, 7), 0),
        (spec.BatchNorm, (16, 7, 7), 32),
        (spec.Conv, (24, 7, 7), 384),
        (spec.Activation, (24, 7, 7), 0),
        (spec.BatchNorm, (24, 7, 7), 48),
        (spec.Conv, (24, 5, 5), 216),
        (spec.Activation, (24, 5, 5), 0),
        (spec.BatchNorm, (24, 5, 5), 48),
        (spec.Conv, (32, 5, 5), 768),
        (spec.Activation, (32, 5, 5), 0),
        (spec.BatchNorm, (32, 5, 5), 64),
        (spec.Conv, (10, 5, 5), 320),
        (spec.GlobalAvgPool, (10,), 0),
    ],
}


def test_parameters_of_the_source_networks() -> None:
    assert {name: ZOO[name].spec.parameters for name in PARAMETERS} == PARAMETERS


@pytest.mark.parametrize(("name", "parameters", "epochs"), [("smallest", 2_999, 30), ("under-2k", 1_936, 30)])
def test_a_small_network_keeps_to_its_budget(name: str, parameters: int, epochs: int) -> None:
    """At most as many parameters and epochs as docs/recipes.md has in its aim."""
    assert ZOO[name].spec.parameters <= parameters
    assert ZOO[name].recipe.epochs <= epochs


@pytest.mark.parametrize("name", PRINTED)
def test_layer_table_is_the_one_the_source_prints(name: str) -> None:
    table = [(type(node.layer), node.output_shape, node.parameters) for node in ZOO[name].spec.nodes()]
    assert table == PRINTED[name]


CLAIMED = {
    "pytorch-model-1-printed": 98.98,
    "pytorch-model-1": 98.98,
    "nextjournal": 97.16,
    "under-5k": 99.42,
    "examples-cnn": 99.185,
    "under-8k": 99.48,
    "one-epoch-215k": 99.04,
}


def test_claims_are_those_of_the_sources() -> None:
    assert {name: entry.claimed for name, entry in ZOO.items() if entry.claimed is not None} == CLAIMED


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_in_words_holds_its_number(name: str) -> None:
    assert f"{CLAIMED[name]} %" in ZOO[name].claim


# The hash of a recipe

RECIPES = (
    Recipe(
        SGD(momentum=0.5),
        lr=0.1,
        batch_size=4,
        epochs=2,
        schedule=OneCycle(),
        augment=Affine(
            crop=RandomCrop(area=(0.8, 1.0), aspect=(0.7, 1.4)), zoom=ZoomCrop(22, 0.5), rotation=5.0
        ),
    ),
    Recipe(Adam(), lr=0.1, batch_size=4, epochs=2, schedule=Linear((0, 2), (1.0, 0.0))),
    Recipe(Adadelta(), lr=0.1, batch_size=4, epochs=2, schedule=StepDecay(0.7)),
    Recipe(Adam(), lr=0.1, batch_size=4, epochs=2, schedule=Constant()),
)
SPECS = tuple(example.network for example in EXAMPLES)


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """(which field, the value with that one field changed), for every field at any depth."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for path, changed in variants(getattr(value, field.name)):
                yield f".{field.name}{path}", dataclasses.replace(value, **{field.name: changed})
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            for path, changed in variants(item):
                yield f"[{index}]{path}", (*value[:index], changed, *value[index + 1 :])
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, int | float):
        yield "", value + (1 if isinstance(value, int) else 0.125)
    elif isinstance(value, str):
        yield "", f"{value}x"
    else:
        assert value is None, f"this test has no change of {value!r}"
        yield "", Affine()


def kinds(value: Any) -> set[type]:
    """The dataclasses inside a value."""
    if isinstance(value, tuple):
        return {kind for item in value for kind in kinds(item)}
    if not dataclasses.is_dataclass(value):
        return set()
    inner = (kinds(getattr(value, field.name)) for field in dataclasses.fields(value))
    return {type(value)}.union(*inner)


def test_the_hashed_examples_hold_every_kind() -> None:
    choices = {*get_args(Layer), *get_args(Optimizer), *get_args(Schedule), Affine, RandomCrop, ZoomCrop}
    assert kinds((SPECS, RECIPES)) == choices | {ModelSpec, Recipe}


def test_recipe_hash_changes_with_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with those that have one allowed value only: nothing is refused here."""
    monkeypatch.setattr(Checked, "refuse", lambda self, reason: None)
    pairs = [(network, RECIPES[0]) for network in SPECS] + [(SPECS[0], recipe) for recipe in RECIPES[1:]]
    pairs += [(changed, RECIPES[0]) for network in SPECS for _, changed in variants(network)]
    pairs += [(SPECS[0], changed) for recipe in RECIPES for _, changed in variants(recipe)]
    hashes = {recipe_hash(network, recipe) for network, recipe in pairs}
    assert len(hashes) == len(pairs) > 80, "two different recipes have one hash"


@pytest.mark.parametrize(
    ("layers", "others"),
    [
        ((spec.GlobalAvgPool(),), (spec.Flatten(),)),
        ((spec.Dropout(0.5), spec.Flatten()), (spec.SpatialDropout(0.5), spec.Flatten())),
        ((spec.Flatten(), spec.Activation()), (spec.Activation(), spec.Flatten())),
    ],
)
def test_recipe_hash_differs_between_kinds_and_orders(
    layers: tuple[Layer, ...], others: tuple[Layer, ...]
) -> None:
    hashes = {recipe_hash(ModelSpec("m", order, (4, 1, 1)), RECIPES[0]) for order in (layers, others)}
    assert len(hashes) == 2


def test_labels_of_the_printed_network_see_only_the_upper_half() -> None:
    """Ink in the lower half changes none of the ten logits that are labels, which explains its accuracy."""
    network = ZOO["pytorch-model-1-printed"].spec
    random = np.random.default_rng(0)
    state = {name: random.normal(size=shape) for name, shape in network.weights.items()}
    image = random.normal(size=(1, 1, 28, 28))
    upper, lower = image.copy(), image.copy()
    lower[:, :, 14:] += 1
    upper[:, :, 13] += 1
    logits, of_upper, of_lower = (reference.forward(network, state, x)[0][0] for x in (image, upper, lower))
    np.testing.assert_array_equal(of_lower[:10], logits[:10])
    assert not np.array_equal(of_lower, logits)
    assert not np.array_equal(of_upper[:10], logits[:10])
