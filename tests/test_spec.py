"""What follows from a network's description: shapes, names, counts, and what makes it invalid."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from math import prod
from typing import Any, get_args

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from test_math import TEXT, formulas

from common.augment import Affine, RandomCrop, ZoomCrop
from common.optimizer import SGD, Adadelta, Adam, Optimizer
from common.schedule import Constant, Linear, OneCycle, Schedule, StepDecay
from common.spec import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    ModelSpec,
    Node,
    Shape,
    SpatialDropout,
    SpecError,
)
from common.zoo import ZOO, Recipe, recipe_hash

PARAMETERS = {
    "pytorch-model-1": 13_248,
    "pytorch-model-1-head": 28_938,
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
    "pytorch-model-1": [
        (Conv, (16, 28, 28), 416),
        (Activation, (16, 28, 28), 0),
        (MaxPool, (16, 14, 14), 0),
        (Conv, (32, 14, 14), 12_832),
        (Activation, (32, 14, 14), 0),
        (MaxPool, (32, 7, 7), 0),
        (Flatten, (1568,), 0),
    ],
    "tf-model-1": [
        (Flatten, (784,), 0),
        (Dense, (128,), 100_480),
        (Activation, (128,), 0),
        (Dense, (10,), 1_290),
    ],
    "under-8k": [
        (Conv, (16, 26, 26), 144),
        (Activation, (16, 26, 26), 0),
        (BatchNorm, (16, 26, 26), 32),
        (Conv, (16, 24, 24), 144),
        (Activation, (16, 24, 24), 0),
        (BatchNorm, (16, 24, 24), 32),
        (Conv, (16, 24, 24), 256),
        (Activation, (16, 24, 24), 0),
        (BatchNorm, (16, 24, 24), 32),
        (Conv, (16, 22, 22), 144),
        (Activation, (16, 22, 22), 0),
        (BatchNorm, (16, 22, 22), 32),
        (Conv, (32, 22, 22), 512),
        (Activation, (32, 22, 22), 0),
        (BatchNorm, (32, 22, 22), 64),
        (MaxPool, (32, 11, 11), 0),
        (Conv, (16, 11, 11), 512),
        (Conv, (16, 9, 9), 144),
        (Activation, (16, 9, 9), 0),
        (BatchNorm, (16, 9, 9), 32),
        (Conv, (16, 9, 9), 256),
        (Activation, (16, 9, 9), 0),
        (BatchNorm, (16, 9, 9), 32),
        (Conv, (16, 7, 7), 144),
        (Activation, (16, 7, 7), 0),
        (BatchNorm, (16, 7, 7), 32),
        (Conv, (24, 7, 7), 384),
        (Activation, (24, 7, 7), 0),
        (BatchNorm, (24, 7, 7), 48),
        (Conv, (24, 5, 5), 216),
        (Activation, (24, 5, 5), 0),
        (BatchNorm, (24, 5, 5), 48),
        (Conv, (32, 5, 5), 768),
        (Activation, (32, 5, 5), 0),
        (BatchNorm, (32, 5, 5), 64),
        (Conv, (10, 5, 5), 320),
        (GlobalAvgPool, (10,), 0),
    ],
}


# Counts and shapes


def test_parameters_of_the_source_networks() -> None:
    assert {name: ZOO[name].spec.parameters for name in PARAMETERS} == PARAMETERS


@pytest.mark.parametrize("name", PRINTED)
def test_layer_table_is_the_one_the_source_prints(name: str) -> None:
    table = [(type(node.layer), node.output_shape, node.parameters) for node in ZOO[name].spec.nodes()]
    assert table == PRINTED[name]


class Counted(float):
    """A weight that counts what it is multiplied with."""

    multiplied = 0

    def __mul__(self, other: float) -> float:
        Counted.multiplied += 1
        return float(self) * other


CONVOLUTIONS = [
    ((1, 6, 6), Conv(4, 3)),
    ((2, 5, 7), Conv(3, 3, padding=1, bias=False)),
    ((2, 7, 6), Conv(3, 2, padding=2, stride=3)),
    ((4, 5, 5), Conv(6, 3, groups=2)),
    ((4, 5, 5), Conv(4, 3, groups=4, bias=False)),
    ((3, 4, 4), Conv(5, 1)),
]
DENSE = [((7,), Dense(3)), ((4,), Dense(9, bias=False))]


@pytest.mark.parametrize(("shape", "layer"), [*CONVOLUTIONS, *DENSE], ids=str)
def test_multiply_adds_are_those_of_the_formula(shape: Shape, layer: Conv | Dense) -> None:
    """Each turn of the innermost loop in docs/math.md multiplies one weight with one value."""
    (node,) = _only(layer, shape)
    kernel = next(iter(node.weights.values()))
    weight = np.vectorize(Counted, otypes=[object])(np.ones(kernel)).tolist()
    x, bias = np.ones(shape).tolist(), [0.0] * kernel[0]
    Counted.multiplied = 0
    match layer:
        case Conv():
            formulas()["conv"](x, weight, bias, layer.padding, layer.stride, layer.groups)
        case Dense():
            formulas()["dense"](x, weight, bias)
    assert node.multiply_adds == Counted.multiplied > 0


def _only(layer: Layer, shape: Shape) -> tuple[Node]:
    """The node of one layer; Flatten after it makes it a network."""
    return (next(ModelSpec("one", (layer, Flatten()), shape).nodes()),)


COSTS = [
    *(("convolution, G groups", shape, layer) for shape, layer in CONVOLUTIONS if layer.bias),
    ("depthwise convolution", (4, 6, 7), Conv(4, 3, groups=4)),
    ("batch normalisation", (4, 6, 7), BatchNorm()),
    ("ReLU", (4, 6, 7), Activation()),
    ("max pooling", (4, 6, 7), MaxPool(2)),
    ("global average pooling", (4, 6, 7), GlobalAvgPool()),
    ("flatten", (4, 6, 7), Flatten()),
    ("dense", (7,), Dense(3)),
    ("dropout, spatial dropout", (4, 6, 7), Dropout(0.1)),
    ("dropout, spatial dropout", (4, 6, 7), SpatialDropout(0.1)),
]


def test_each_layer_kind_has_a_cost_in_the_documentation() -> None:
    assert {type(layer) for _, _, layer in COSTS} == set(get_args(Layer))


@pytest.mark.parametrize(("row", "shape", "layer"), COSTS, ids=str)
def test_costs_are_those_the_documentation_states(row: str, shape: Shape, layer: Layer) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| {row} |")]
    *_, parameters, multiply_adds = (cell.strip() for cell in line.strip("|").split("|"))
    (node,) = _only(layer, shape)
    known: dict[str, float] = {"C": shape[0], "F": shape[0], "O": node.output_shape[0]}
    if len(node.output_shape) == 3:
        known |= {"Hout": node.output_shape[1], "Wout": node.output_shape[2]}
    if isinstance(layer, Conv):
        known |= {"k": layer.kernel_size, "G": layer.groups}

    def value(formula: str) -> float:
        formula = formula.replace("·", " ").replace("²", "**2").replace("'", "out")
        return float(eval(re.sub(r"(?<=\w) +(?=\w)", " * ", formula), {}, known))

    assert (value(parameters), value(multiply_adds)) == (node.parameters, node.multiply_adds)


# Names


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("tf-model-1", "flatten1 dense1 relu1 dense2"),
        (
            "nextjournal",
            "conv1 pool1 relu1 conv2 dropout1 pool2 relu2 flatten1 dense1 relu3 dropout2 dense2",
        ),
    ],
)
def test_layers_are_numbered_among_their_kind(model: str, names: str) -> None:
    assert [node.name for node in ZOO[model].spec.nodes()] == names.split()


def test_canonical_names_and_layouts() -> None:
    spec = ModelSpec("m", (Conv(6, 3, groups=2), BatchNorm(), Flatten(), Dense(5, bias=False)), (4, 5, 5))
    assert spec.weights == {
        "conv1.weight": (6, 2, 3, 3),
        "conv1.bias": (6,),
        "norm1.weight": (6,),
        "norm1.bias": (6,),
        "dense1.weight": (5, 54),
    }
    assert list(spec.weights) == ["conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "dense1.weight"]
    assert spec.statistics == {"norm1.running_mean": (6,), "norm1.running_var": (6,)}
    assert spec.outputs == 5


@pytest.mark.parametrize(
    ("layer", "title"),
    [
        (Conv(16, 3), "Conv(16, 3)"),
        (Conv(16, 3, padding=1, bias=False), "Conv(16, 3, padding=1, bias=False)"),
        (BatchNorm(), "BatchNorm()"),
        (BatchNorm(momentum=0.01), "BatchNorm(momentum=0.01)"),
        (SpatialDropout(0.5), "SpatialDropout(0.5)"),
    ],
)
def test_title_is_the_constructor(layer: Layer, title: str) -> None:
    (node,) = _only(layer, (1, 8, 8))
    assert node.title == title
    assert eval(title) == layer


def test_without_dropout_keeps_the_rest() -> None:
    spec = ZOO["nextjournal"].spec
    plain = spec.without_dropout()
    assert spec.has(Dropout)
    assert spec.has(SpatialDropout)
    assert not plain.has(Dropout, SpatialDropout)
    assert len(plain.layers) == len(spec.layers) - 2
    assert plain.weights == spec.weights


# What cannot be built


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Flatten(), Conv(4, 3)), "m, layer conv1: expected (channels, height, width), got shape (128,)."),
        ((Conv(0, 3),), "m, layer conv1: Conv(.*) needs positive sizes and no negative padding."),
        ((Conv(4, 0),), "layer conv1: .* needs positive sizes"),
        ((Conv(4, 3, stride=0),), "layer conv1: .* needs positive sizes"),
        ((Conv(4, 3, groups=0),), "layer conv1: .* needs positive sizes"),
        ((Conv(4, 3, padding=-1),), "layer conv1: .* no negative padding"),
        ((Conv(6, 3, groups=4),), "layer conv1: groups=4 must divide both 2 channels in and 6 channels out."),
        ((Conv(3, 3, groups=2),), "layer conv1: groups=2 must divide both 2 channels in and 3 channels out."),
        ((Conv(4, 3), Conv(4, 7)), "m, layer conv2: a kernel of 7 does not fit into 6x6."),
        ((MaxPool(9),), "layer pool1: a pool of 9 does not fit into 8x8."),
        ((MaxPool(0),), "layer pool1: a pool of 0 does not fit into 8x8."),
        ((MaxPool(8), MaxPool(1), MaxPool(2)), "layer pool3: a pool of 2 does not fit into 1x1."),
        ((Flatten(), MaxPool(2)), "layer pool1: expected (channels, height, width), got shape (128,)."),
        ((Flatten(), GlobalAvgPool()), "layer mean1: expected (channels, height, width), got shape (128,)."),
        ((Dense(10),), "layer dense1: Dense takes a vector, not shape (2, 8, 8): put Flatten before it."),
        ((Flatten(), Dense(0)), "layer dense1: Dense needs at least one feature, not 0."),
        ((Dropout(1.0),), "layer dropout1: a dropout rate is at least 0 and below 1, not 1.0."),
        ((Dropout(-0.1),), "layer dropout1: a dropout rate is at least 0 and below 1, not -0.1."),
        ((SpatialDropout(1.5),), "layer dropout1: a dropout rate is at least 0 and below 1, not 1.5."),
        ((Flatten(), SpatialDropout(0.5)), "layer dropout1: expected (channels, height, width), got"),
        ((Conv(4, 3),), "m ends in shape (4, 6, 6); logits need one dimension: add Flatten or Dense."),
        ((), "m ends in shape (2, 8, 8); logits need one dimension: add Flatten or Dense."),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_the_reason(layers: tuple[Layer, ...], message: str) -> None:
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(SpecError, match=pattern):
        ModelSpec("m", layers, (2, 8, 8))


# Any network at all


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    """A valid network of up to eight layers, on small images."""
    shape: Shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)))
    layers: list[Layer] = []
    start = shape
    for _ in range(draw(st.integers(0, 8))):
        fitting: st.SearchStrategy[Any] = _images(shape) if len(shape) == 3 else _vectors()
        layers.append(draw(fitting))
        (node,) = _only(layers[-1], shape)
        shape = node.output_shape
    if len(shape) == 3:
        layers.append(draw(st.just(Flatten()) | st.just(GlobalAvgPool())))
    return ModelSpec("random", tuple(layers), start)


@st.composite
def _convs(draw: st.DrawFn, shape: Shape) -> Conv:
    channels, *sides = shape
    padding = draw(st.integers(0, 2))
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    return Conv(
        groups * draw(st.integers(1, 3)),
        draw(st.integers(1, min(5, min(sides) + 2 * padding))),
        padding=padding,
        stride=draw(st.integers(1, 3)),
        groups=groups,
        bias=draw(st.booleans()),
    )


def _anywhere() -> st.SearchStrategy[Layer]:
    rates = st.floats(0, 1, exclude_max=True)
    return st.just(Activation()) | st.just(BatchNorm()) | rates.map(Dropout) | st.just(Flatten())


def _images(shape: Shape) -> st.SearchStrategy[Layer]:
    pools = st.integers(1, min(shape[1:])).map(MaxPool)
    rates = st.floats(0, 1, exclude_max=True)
    return _convs(shape) | pools | rates.map(SpatialDropout) | _anywhere() | st.just(GlobalAvgPool())


def _vectors() -> st.SearchStrategy[Layer]:
    return st.builds(Dense, st.integers(1, 5), st.booleans()) | _anywhere()


@settings(max_examples=150, deadline=None)
@given(specs(), st.booleans())
def test_any_network_has_the_shapes_and_counts_it_says(spec: ModelSpec, training: bool) -> None:
    random = np.random.default_rng(0)
    weights = {name: random.random(shape) for name, shape in (spec.weights | spec.statistics).items()}
    assert sum(weights[name].size for name in spec.weights) == spec.parameters
    assert sum(prod(shape) for shape in spec.weights.values()) == spec.parameters
    assert len(spec.weights) == sum(len(node.weights) for node in spec.nodes()), "two weights share a name"
    x = images = random.random((3, *spec.input_shape))
    for node in spec.nodes():
        assert x.shape[1:] == node.input_shape
        x, statistics = reference.apply(node, weights, x, training)
        assert x.shape == (3, *node.output_shape)
        assert {name: array.shape for name, array in statistics.items()} == node.statistics
    logits, statistics = reference.forward(spec, weights, images, training)
    np.testing.assert_array_equal(logits, x)
    assert logits.shape == (3, spec.outputs)
    assert set(statistics) == set(spec.statistics)


# The hash of a recipe

RECIPES = (
    Recipe(
        SGD(momentum=0.5),
        lr=0.1,
        batch_size=4,
        epochs=2,
        schedule=OneCycle(),
        augment=Affine(RandomCrop((0.8, 1.0), (0.7, 1.4)), ZoomCrop(22, 0.5), 5.0),
    ),
    Recipe(Adam(), lr=0.1, batch_size=4, epochs=2, schedule=Linear((0, 2), (1.0, 0.0))),
    Recipe(Adadelta(), lr=0.1, batch_size=4, epochs=2, schedule=StepDecay(0.7)),
    Recipe(Adam(), lr=0.1, batch_size=4, epochs=2, schedule=Constant()),
)
SPECS = (
    ModelSpec(
        "m",
        (
            *(Conv(4, 3, padding=1), BatchNorm(), Activation(), MaxPool(2), SpatialDropout(0.2)),
            *(Flatten(), Dense(8), Dropout(0.5), Dense(3, bias=False)),
        ),
        (2, 8, 8),
    ),
    ModelSpec("n", (Conv(4, 1), GlobalAvgPool()), (2, 8, 8)),
)


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
        assert value is None, f"teach this test to change {value!r}"
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


def test_recipe_hash_changes_with_every_field() -> None:
    seen = set()
    for spec, recipe in [(SPECS[0], recipe) for recipe in RECIPES] + [(SPECS[1], RECIPES[0])]:
        seen.add(recipe_hash(spec, recipe))
        if recipe is RECIPES[0]:
            for _, changed in variants(spec):
                seen.add(recipe_hash(changed, recipe))
        if spec is SPECS[0]:
            for _, changed in variants(recipe):
                seen.add(recipe_hash(spec, changed))
    tried = len(RECIPES) + 1
    tried += sum(1 for spec in SPECS for _ in variants(spec))
    tried += sum(1 for recipe in RECIPES for _ in variants(recipe))
    assert len(seen) == tried > 80, "two different recipes have one hash"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((GlobalAvgPool(),), (Flatten(),)),
        ((Dropout(0.5), Flatten()), (SpatialDropout(0.5), Flatten())),
        ((Flatten(), Activation()), (Activation(), Flatten())),
    ],
)
def test_recipe_hash_tells_kinds_and_orders_apart(one: tuple[Layer, ...], other: tuple[Layer, ...]) -> None:
    hashes = {recipe_hash(ModelSpec("m", layers, (4, 1, 1)), RECIPES[0]) for layers in (one, other)}
    assert len(hashes) == 2


def test_labels_of_pytorch_model_1_see_only_the_upper_half() -> None:
    """Why its accuracy is what it is: ink in the lower half moves none of the ten logits that are labels."""
    spec = ZOO["pytorch-model-1"].spec
    random = np.random.default_rng(0)
    state = {name: random.normal(size=shape) for name, shape in spec.weights.items()}
    image = random.normal(size=(1, 1, 28, 28))
    upper, lower = image.copy(), image.copy()
    lower[:, :, 14:] += 1
    upper[:, :, 13] += 1
    logits, of_upper, of_lower = (reference.forward(spec, state, x)[0][0] for x in (image, upper, lower))
    np.testing.assert_array_equal(of_lower[:10], logits[:10])
    assert not np.array_equal(of_lower, logits)
    assert not np.array_equal(of_upper[:10], logits[:10])
