"""Shapes, names and counts that follow from a network's description, and the reasons why one is invalid."""

from __future__ import annotations

import re
from math import prod
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.layers import EXAMPLES, node_of
from support.math_page import TEXT, formulas
from support.networks import without_dropout

from common.model import layers, spec
from common.model.spec import Layer, ModelSpec, Shape, SpecError, summary
from common.model.zoo import ZOO

# Counts and shapes


class Counted(float):
    """A weight that counts what it is multiplied with."""

    multiplied = 0

    def __mul__(self, other: float) -> float:
        Counted.multiplied += 1
        return float(self) * other


CONVOLUTIONS = [
    ((1, 6, 6), spec.Conv(4, 3)),
    ((2, 5, 7), spec.Conv(3, 3, padding=1, bias=False)),
    ((2, 7, 6), spec.Conv(3, 2, padding=2, stride=3)),
    ((4, 5, 5), spec.Conv(6, 3, groups=2)),
    ((4, 5, 5), spec.Conv(4, 3, groups=4, bias=False)),
    ((3, 4, 4), spec.Conv(5, 1)),
]
DENSE = [((7,), spec.Dense(3)), ((4,), spec.Dense(9, bias=False))]


@pytest.mark.parametrize(("shape", "layer"), [*CONVOLUTIONS, *DENSE], ids=str)
def test_multiply_adds_are_those_of_the_formula(shape: Shape, layer: spec.Conv | spec.Dense) -> None:
    """Each turn of the innermost loop in docs/math.md multiplies one weight with one value."""
    node = node_of(layer, shape)
    kernel = next(iter(node.weights.values()))
    weight = np.vectorize(Counted, otypes=[object])(np.ones(kernel)).tolist()
    x, bias = np.ones(shape).tolist(), [0.0] * kernel[0]
    Counted.multiplied = 0
    match layer:
        case spec.Conv():
            formulas()["conv"](x, weight, bias, layer.padding, layer.stride, layer.groups)
        case spec.Dense():
            formulas()["dense"](x, weight, bias)
    assert node.multiply_adds == Counted.multiplied > 0


COSTS = [
    *(("convolution, G groups", shape, layer) for shape, layer in CONVOLUTIONS if layer.bias),
    ("depthwise convolution", (4, 6, 7), spec.Conv(4, 3, groups=4)),
    *((example.row, example.shape, example.layer) for example in EXAMPLES),
]


@pytest.mark.parametrize(("row", "shape", "layer"), COSTS, ids=str)
def test_costs_are_those_the_documentation_states(row: str, shape: Shape, layer: Layer) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| {row} |")]
    *_, parameters, multiply_adds = (cell.strip() for cell in line.strip("|").split("|"))
    node = node_of(layer, shape)
    symbols: dict[str, float] = {"C": shape[0], "F": shape[0], "O": node.output_shape[0]}
    if len(node.output_shape) == 3:
        symbols |= {"Hout": node.output_shape[1], "Wout": node.output_shape[2]}
    if isinstance(layer, spec.Conv):
        symbols |= {"k": layer.kernel_size, "G": layer.groups}

    def value(formula: str) -> float:
        formula = formula.replace("·", " ").replace("²", "**2").replace("'", "out")
        return float(eval(re.sub(r"(?<=\w) +(?=\w)", " * ", formula), {}, symbols))

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
    network = ModelSpec(
        "m",
        (spec.Conv(6, 3, groups=2), spec.BatchNorm(), spec.Flatten(), spec.Dense(5, bias=False)),
        (4, 5, 5),
    )
    assert network.weights == {
        "conv1.weight": (6, 2, 3, 3),
        "conv1.bias": (6,),
        "norm1.weight": (6,),
        "norm1.bias": (6,),
        "dense1.weight": (5, 54),
    }
    assert " ".join(network.weights) == "conv1.weight conv1.bias norm1.weight norm1.bias dense1.weight"
    assert network.statistics == {"norm1.running_mean": (6,), "norm1.running_var": (6,)}
    assert network.outputs == 5


@pytest.mark.parametrize(
    ("layer", "title"),
    [
        (spec.Conv(16, 3), "Conv(16, 3)"),
        (spec.Conv(16, 3, padding=1, bias=False), "Conv(16, 3, padding=1, bias=False)"),
        (spec.Conv(4, (1, 3), dilation=2), "Conv(4, (1, 3), dilation=2)"),
        (spec.MaxPool(3, 2, padding=1), "MaxPool(3, 2, padding=1)"),
        (spec.Activation("tanh"), "Activation('tanh')"),
        (spec.BatchNorm(), "BatchNorm()"),
        (spec.BatchNorm(momentum=0.01), "BatchNorm(momentum=0.01)"),
        (spec.SpatialDropout(0.5), "SpatialDropout(0.5)"),
    ],
)
def test_title_is_the_constructor(layer: Layer, title: str) -> None:
    node = node_of(layer, (1, 8, 8))
    assert node.title == title
    assert eval(f"spec.{title}") == layer


def test_layers_inside_a_layer_are_named_after_it() -> None:
    inner = spec.Residual(
        spec.Conv(4, 3, padding=1, bias=False), spec.BatchNorm(), shortcut=(spec.Conv(4, 1, bias=False),)
    )
    concat = spec.Concat((inner,), (), (spec.Conv(1, 1), spec.Conv(3, 1)))
    network = ModelSpec("m", (spec.Conv(2, 3), concat, spec.GlobalAvgPool(), spec.Dense(3)), (1, 6, 6))
    assert network.weights == {
        "conv1.weight": (2, 1, 3, 3),
        "conv1.bias": (2,),
        "concat1.branch1.residual1.conv1.weight": (4, 2, 3, 3),
        "concat1.branch1.residual1.norm1.weight": (4,),
        "concat1.branch1.residual1.norm1.bias": (4,),
        "concat1.branch1.residual1.shortcut.conv1.weight": (4, 2, 1, 1),
        "concat1.branch3.conv1.weight": (1, 2, 1, 1),
        "concat1.branch3.conv1.bias": (1,),
        "concat1.branch3.conv2.weight": (3, 1, 1, 1),
        "concat1.branch3.conv2.bias": (3,),
        "dense1.weight": (3, 9),
        "dense1.bias": (3,),
    }
    assert set(network.statistics) == {
        "concat1.branch1.residual1.norm1.running_mean",
        "concat1.branch1.residual1.norm1.running_var",
    }
    assert network.multiply_adds == 16 * (2 * 9 + 4 * 2 * 9 + 4 * 2 + 2 + 3) + 27
    rows = summary(network).splitlines()
    assert next(row for row in rows if "shortcut" in row).split()[-2:] == ["4x4x4", "8"]
    assert next(row for row in rows if "Concat" in row).split() == ["concat1", "Concat", "9x4x4"]


def test_without_dropout_keeps_the_rest() -> None:
    network = ZOO["nextjournal"].spec
    plain = without_dropout(network)
    assert {spec.Dropout, spec.SpatialDropout} <= set(map(type, network.layers))
    assert not {spec.Dropout, spec.SpatialDropout} & set(map(type, plain.layers))
    assert len(plain.layers) == len(network.layers) - 2
    assert plain.weights == network.weights


# What cannot be built


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((spec.Flatten(), spec.Conv(4, 3)), "conv1: .*(channels, height, width), got shape (128,)"),
        ((spec.Conv(6, 3, groups=4),), "conv1: groups=4 must divide both 2 channels in and 6"),
        ((spec.Conv(3, 3, groups=2),), "conv1: groups=2 must divide both 2 channels in and 3"),
        ((spec.Conv(4, 3), spec.Conv(4, 7)), "conv2: a kernel of 7 does not fit into 6x6."),
        ((spec.Conv(4, (1, 9)),), "conv1: a kernel of 1x9 does not fit into 8x8."),
        ((spec.Conv(4, 5, dilation=2),), "conv1: a kernel with dilation 2 of 5 does not fit into 8x8."),
        ((spec.Conv(2, 3, groups=2, stride=(1, 2)),), "conv1: a depthwise convolution has one stride"),
        ((spec.AvgPool((2, 9)),), "pool1: a pool of 2x9 does not fit into 8x8."),
        ((spec.GroupNorm(4),), "norm1: groups=4 must divide 2 channels."),
        (
            (spec.GlobalAvgPool(), spec.GroupNorm(2)),
            "norm1: groups=2 leaves one value in each group of shape (2,);",
        ),
        (
            (spec.Residual(spec.Conv(2, 3, padding=1), spec.MaxPool(2)), spec.Flatten()),
            "residual1: its layers end in shape (2, 4, 4), its shortcut in (2, 8, 8); both must be the same.",
        ),
        (
            (spec.Residual(spec.Conv(4, 1), spec.Residual(spec.Activation(), shortcut=(spec.Conv(3, 9),))),),
            "m, layer residual1.residual1.shortcut.conv1: a kernel of 9 does not fit into 8x8.",
        ),
        (
            (spec.Concat((spec.Flatten(),), (), (spec.GlobalAvgPool(),)),),
            "concat1: branch1 ends in shape (128,), branch2 in (2, 8, 8).",
        ),
        ((spec.Concat((), (spec.Dense(3),)),), "concat1.branch2.dense1: Dense requires a vector"),
        ((spec.MaxPool(9),), "pool1: a pool of 9 does not fit into 8x8."),
        ((spec.MaxPool(8), spec.MaxPool(1), spec.MaxPool(2)), "pool3: a pool of 2 does not fit into 1x1."),
        ((spec.Flatten(), spec.MaxPool(2)), "pool1: .*(channels, height, width), got shape (128,)"),
        ((spec.Flatten(), spec.GlobalAvgPool()), "mean1: .*(channels, height, width), got shape (128,)"),
        ((spec.Dense(10),), "dense1: Dense requires a vector, not shape (2, 8, 8)"),
        ((spec.Flatten(), spec.SpatialDropout(0.5)), "dropout1: .*(channels, height, width), got"),
        ((spec.Conv(4, 3),), "m ends in shape (4, 6, 6)"),
        ((), "m ends in shape (2, 8, 8)"),
        (
            (spec.Flatten(), spec.Dense(100_000), spec.Dense(10_000)),
            "m has 1,012,910,000 parameters, more than 1,000,000,000.",
        ),
        (
            (spec.Residual(spec.Conv(3_000, 1, padding=300)),),
            "residual1.conv1: its output of shape (3000, 608, 608) has more than 1,000,000,000 values.",
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_the_reason(layers: tuple[Layer, ...], message: str) -> None:
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(SpecError, match=pattern):
        ModelSpec("m", layers, (2, 8, 8))


# Random networks


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    """A valid network of up to eight layers, on small images."""
    shape: Shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)))
    layers: list[Layer] = []
    start = shape
    for _ in range(draw(st.integers(0, 8))):
        fitting: st.SearchStrategy[Any] = _images(shape) if len(shape) == 3 else _vectors(shape)
        layers.append(draw(fitting))
        shape = layers[-1].output_shape(shape)
    if len(shape) == 3:
        layers.append(draw(st.just(spec.Flatten()) | st.just(spec.GlobalAvgPool())))
    return ModelSpec("random", tuple(layers), start)


@st.composite
def _convs(draw: st.DrawFn, shape: Shape) -> spec.Conv:
    channels, *sides = shape
    padding = draw(st.integers(0, 2))
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    return spec.Conv(
        groups * draw(st.integers(1, 3)),
        draw(st.tuples(*(st.integers(1, min(5, side + 2 * padding)) for side in sides))),
        padding=padding,
        stride=draw(st.integers(1, 3)),
        groups=groups,
        bias=draw(st.booleans()),
    )


def _anywhere(shape: Shape) -> st.SearchStrategy[Layer]:
    norm = spec.GroupNorm(1) if prod(shape) > 1 else spec.BatchNorm()
    rates = st.floats(0, 1, exclude_max=True)
    return (
        st.sampled_from(get_args(layers.Function)).map(spec.Activation)
        | st.sampled_from([spec.BatchNorm(), norm])
        | st.just(spec.Residual(spec.Dropout(0.5), spec.BatchNorm(), shortcut=(spec.Activation(),)))
        | st.just(spec.Concat((), (norm,)))
        | rates.map(spec.Dropout)
        | st.just(spec.Flatten())
    )


def _images(shape: Shape) -> st.SearchStrategy[Layer]:
    sizes = st.integers(1, min(shape[1:]))
    pools = st.builds(spec.MaxPool, sizes, st.none() | st.integers(1, 3)) | sizes.map(spec.AvgPool)
    rates = st.floats(0, 1, exclude_max=True)
    return (
        _convs(shape)
        | pools
        | rates.map(spec.SpatialDropout)
        | _anywhere(shape)
        | st.just(spec.GlobalAvgPool())
    )


def _vectors(shape: Shape) -> st.SearchStrategy[Layer]:
    return st.builds(spec.Dense, st.integers(1, 5), bias=st.booleans()) | _anywhere(shape)


@settings(max_examples=150)
@given(specs(), st.booleans())
def test_any_network_has_its_stated_shapes_and_counts(network: ModelSpec, training: bool) -> None:
    random = np.random.default_rng(0)
    weights = {name: random.random(shape) for name, shape in (network.weights | network.statistics).items()}
    assert sum(weights[name].size for name in network.weights) == network.parameters
    assert sum(prod(shape) for shape in network.weights.values()) == network.parameters
    assert len(network.weights) == sum(len(node.weights) for node in network.nodes()), (
        "two weights share a name"
    )
    x = images = random.random((3, *network.input_shape))
    for node in network.nodes():
        assert x.shape[1:] == node.input_shape
        x, statistics = reference.apply(node, weights, x, training)
        assert x.shape == (3, *node.output_shape)
        assert {name: array.shape for name, array in statistics.items()} == node.statistics
    logits, statistics = reference.forward(network, weights, images, training)
    np.testing.assert_array_equal(logits, x)
    assert logits.shape == (3, network.outputs)
    assert set(statistics) == set(network.statistics)
