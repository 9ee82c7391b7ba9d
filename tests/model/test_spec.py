"""What follows from a network's description: shapes, names, counts, and what makes it invalid."""

from __future__ import annotations

import re
from math import prod
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.math_page import TEXT, formulas
from support.networks import without_dropout

from common.model.spec import (
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
from common.model.zoo import ZOO

# Counts and shapes


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
    network = ZOO["nextjournal"].spec
    plain = without_dropout(network)
    assert {Dropout, SpatialDropout} <= set(map(type, network.layers))
    assert not {Dropout, SpatialDropout} & set(map(type, plain.layers))
    assert len(plain.layers) == len(network.layers) - 2
    assert plain.weights == network.weights


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
        ((Dense(10),), "layer dense1: Dense requires a vector, not shape (2, 8, 8)"),
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


@settings(max_examples=150)
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
