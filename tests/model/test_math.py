"""The Python of docs/math.md, executed unchanged, agrees with the NumPy reference."""

from __future__ import annotations

import ast
import math
import re
from typing import Any, get_args

import numpy as np
import pytest
from support import reference
from support.layers import EXAMPLES, Example
from support.math_page import BLOCKS, TEXT, agree, as_written, formulas, numbers

from common.model import schedule, spec
from common.model.layers import Function
from common.model.optimizer import SGD, Adadelta, Adam
from common.model.zoo import ZOO


def each_image(function: str, x: np.ndarray, *arguments: object) -> list[Any]:
    """A formula for one image, applied to every image of a batch."""
    return [formulas()[function](image, *arguments) for image in x.tolist()]


# The page itself


def test_every_layer_kind_has_an_example_and_its_formulas() -> None:
    assert {type(example.layer) for example in EXAMPLES} == set(get_args(spec.Layer))
    assert [name for example in EXAMPLES for name in example.formulas if name not in formulas()] == []


def test_formulas_are_plain_python() -> None:
    imported = {
        name.name
        for block in BLOCKS
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"math"}


@pytest.mark.parametrize(
    ("construct", "why"),
    [
        (r"\\(operatorname|mbox|phantom|def|newcommand|label|require)\b", "GitHub refuses these macros"),
        (r"\\[\\,;:!{}#_|%&]", "Markdown takes the backslash away first"),
        (r"[^A-Za-z0-9\s]_", "a _ after punctuation may begin emphasis"),
        (r"\S\*|\*\S", "a * that touches something may begin emphasis"),
        (r"<|>", "is taken for a tag: write \\lt and \\gt"),
    ],
)
def test_mathematics_renders_on_github(construct: str, why: str) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", TEXT, flags=re.DOTALL)
    mathematics = re.findall(r"\$\$(.*?)\$\$", prose, re.DOTALL)
    mathematics += re.findall(r"\$([^$\n]+)\$", re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL))
    assert len(mathematics) > 50
    assert [formula for formula in mathematics if re.search(construct, formula)] == [], why


def test_display_mathematics_stands_alone() -> None:
    """GitHub shows `$$` only on its own line with blank lines around the block."""
    lines = ["", *re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL).splitlines(), ""]
    fences = [index for index, line in enumerate(lines) if "$$" in line]
    assert fences
    assert len(fences) % 2 == 0
    assert {lines[index] for index in fences} == {"$$"}
    for opening, closing in zip(fences[::2], fences[1::2], strict=True):
        assert lines[opening - 1] == "" == lines[closing + 1], lines[opening + 1]


def test_figures_of_the_worked_network_are_the_zoo_s() -> None:
    for node in ZOO["pytorch-model-1"].spec.nodes():
        if node.parameters:
            assert f"= {node.parameters:,} in the" in TEXT
            assert f"= {node.multiply_adds:,}" in TEXT


# Layers


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.layer.kind)
def test_each_kind_in_inference(example: Example) -> None:
    """By the page's Python, layer after layer, and by the reference."""
    network = example.network
    arrays = network.weights | network.statistics
    state = {name: np.abs(numbers(*shape, seed=seed)) for seed, (name, shape) in enumerate(arrays.items())}
    x = numbers(2, *network.input_shape)
    outputs = x.tolist()
    for node in network.nodes():
        outputs = [as_written(node, state, image) for image in outputs]
    agree(outputs, reference.forward(network, state, x)[0])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("channels", "side", "outputs", "size", "padding", "stride", "groups"),
    [
        (1, (3, 3), 1, 2, 0, 1, 1),
        (1, (6, 6), 4, 5, 2, 1, 1),
        (3, (5, 7), 2, 3, 0, 1, 1),
        (3, (5, 7), 2, 3, 1, 2, 1),
        (2, (7, 4), 3, 1, 0, 1, 1),
        (2, (7, 4), 3, 1, 1, 3, 1),
        (2, (6, 5), 3, 4, 1, 1, 1),
        (2, (8, 9), 2, 2, 0, 3, 1),
        (4, (5, 5), 6, 3, 1, 1, 2),
        (4, (6, 5), 4, 3, 0, 1, 4),
        (3, (6, 5), 9, 2, 2, 2, 3),
        (2, (1, 1), 2, 3, 1, 1, 1),
    ],
)
def test_conv(
    channels: int,
    side: tuple[int, int],
    outputs: int,
    size: int,
    padding: int,
    stride: int,
    groups: int,
    bias: bool,
) -> None:
    x = numbers(2, channels, *side)
    w = numbers(outputs, channels // groups, size, size)
    b = numbers(outputs) if bias else None
    written = each_image("conv", x, w, np.zeros(outputs) if b is None else b, padding, stride, groups)
    agree(written, reference.conv(x, w, b, padding=padding, stride=stride, groups=groups))


@pytest.mark.parametrize(
    ("size", "padding", "stride", "dilation", "groups"),
    [
        ((3, 3), (0, 0), (1, 1), (1, 1), 1),
        ((1, 3), (0, 1), (2, 1), (1, 1), 2),
        ((3, 2), (2, 1), (1, 3), (1, 1), 1),
        ((3, 3), (0, 0), (1, 1), (2, 3), 1),
        ((2, 3), (1, 2), (1, 1), (3, 2), 4),
    ],
)
def test_rectangular_and_dilated_conv(
    size: tuple[int, int],
    padding: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> None:
    x, w, b = numbers(2, 4, 6, 9), numbers(4, 4 // groups, *size), numbers(4)
    written = each_image("conv_pairs", x, w, b, padding, stride, groups, dilation)
    settings = {"padding": padding, "stride": stride, "groups": groups, "dilation": dilation}
    agree(written, reference.conv(x, w, b, **settings))
    if dilation == (1, 1) == stride and size[0] == size[1]:
        agree(written, each_image("conv", x, w, b, padding[0], 1, groups))


@pytest.mark.parametrize(
    ("size", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((3, 2), (1, 2), (1, 0)), ((1, 4), (3, 1), (0, 2))],
)
def test_pools_with_stride_and_padding(
    size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    x = numbers(2, 3, 7, 8) - 2  # mostly below zero, so that a border of zeros would show
    agree(
        each_image("pool", x, size, stride, padding, -math.inf, max),
        reference.max_pool(x, size, stride, padding),
    )
    means = each_image("pool", x, size, stride, padding, 0.0, formulas()["mean"])
    agree(means, reference.avg_pool(x, size, stride, padding))


@pytest.mark.parametrize(("padding", "stride"), [(0, 1), (1, 1), (1, 2)])
def test_depthwise(padding: int, stride: int) -> None:
    x, w, b = numbers(2, 3, 5, 6), numbers(3, 1, 3, 3), numbers(3)
    written = each_image("depthwise", x, w, b, padding, stride)
    channels = [
        reference.conv(x[:, c : c + 1], w[c : c + 1], b[c : c + 1], padding=padding, stride=stride)
        for c in range(3)
    ]
    agree(written, np.concatenate(channels, 1))
    agree(written, reference.conv(x, w, b, padding=padding, stride=stride, groups=3))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (5, 2, 1, 1), (1, 1, 2, 1), (3, 4, 3, 3)])
@pytest.mark.parametrize(("eps", "momentum"), [(1e-5, 0.1), (1e-3, 0.01), (0.5, 1.0)])
def test_batch_norm(shape: tuple[int, ...], eps: float, momentum: float) -> None:
    channels = shape[1]
    x = 3 + 2 * numbers(*shape)
    gamma, beta, mean = (numbers(channels, seed=seed) for seed in range(3))
    var = numbers(channels, seed=3) ** 2
    written = formulas()["batch_norm_training"](x.tolist(), gamma, beta, mean, var, eps, momentum)
    expected = reference.batch_norm_training(x, gamma, beta, mean, var, eps=eps, momentum=momentum)
    for ours, theirs in zip(written, expected, strict=True):
        agree(ours, theirs)
    inference = each_image("batch_norm_inference", x, gamma, beta, mean, var, eps)
    agree(inference, reference.batch_norm(x, gamma, beta, mean, var, eps=eps))


@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (1, 6, 2, 1)])
@pytest.mark.parametrize(("groups", "eps"), [(1, 1e-5), (2, 0.1)])
def test_group_norm(shape: tuple[int, ...], groups: int, eps: float) -> None:
    x, gamma, beta = 3 + 2 * numbers(*shape), numbers(shape[1]), numbers(shape[1], seed=1)
    written = each_image("group_norm", x, gamma, beta, groups, eps)
    agree(written, reference.group_norm(x, gamma, beta, groups=groups, eps=eps))


def test_batch_norm_of_vectors_is_that_of_images_of_one_pixel() -> None:
    x, gamma, beta, mean, var = numbers(4, 3), numbers(3), numbers(3), numbers(3), np.ones(3)
    vectors = reference.batch_norm_training(x, gamma, beta, mean, var, eps=1e-5, momentum=0.1)
    images = formulas()["batch_norm_training"](x[:, :, None, None], gamma, beta, mean, var, 1e-5, 0.1)
    for ours, theirs in zip(vectors, images, strict=True):
        agree(ours, np.reshape(theirs, ours.shape))


@pytest.mark.parametrize(
    ("size", "side"),
    [(1, (3, 2)), (2, (4, 6)), (2, (5, 7)), (2, (2, 3)), (3, (3, 3)), (3, (11, 7)), (4, (9, 4))],
)
def test_max_pool(size: int, side: tuple[int, int]) -> None:
    x = numbers(2, 3, *side) - 2  # mostly below zero, so that padding with zeros would show
    agree(each_image("max_pool", x, size), reference.max_pool(x, size))


@pytest.mark.parametrize("function", get_args(Function))
def test_activations(function: str) -> None:
    x = np.linspace(-8, 8, 65).reshape(1, 1, 5, 13)
    formula = formulas()[function]
    written = (
        formula(x[0].tolist()) if function == "relu" else formulas()["elementwise"](formula, x[0].tolist())
    )
    agree([written], reference.ACTIVATIONS[function](x))


@pytest.mark.parametrize("function", ["relu", "global_avg_pool", "flatten"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 1, 7)])
def test_layers_without_settings(function: str, shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    agree(each_image(function, x), getattr(reference, function)(x))


@pytest.mark.parametrize(("into", "out"), [(1, 1), (7, 3), (2, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense(into: int, out: int, bias: bool) -> None:
    x, w = numbers(3, into), numbers(out, into)
    b = numbers(out) if bias else None
    agree(each_image("dense", x, w, np.zeros(out) if b is None else b), reference.dense(x, w, b))


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(("function", "axes"), [("dropout", 4), ("spatial_dropout", 2)])
def test_dropout(function: str, axes: int, rate: float) -> None:
    x = numbers(2, 3, 4, 5)
    keep = (np.random.default_rng(0).random(x.shape[:axes]) >= rate).astype(float)
    written = [formulas()[function](image, kept, rate) for image, kept in zip(x, keep, strict=True)]
    agree(written, getattr(reference, function)(x, keep, rate=rate))
    agree(getattr(reference, function)(x), x)


def test_softmax_and_cross_entropy() -> None:
    logits = 300 * numbers(6, 10)  # exp(710) overflows: the formula must not
    labels = np.array([3, 1, 4, 1, 5, 9])
    agree([formulas()["softmax"](row) for row in logits.tolist()], reference.softmax(logits))
    agree(formulas()["cross_entropy"](logits.tolist(), labels), reference.cross_entropy(logits, labels))
    small = logits / 300
    agree(
        reference.cross_entropy(small, labels), -np.log(reference.softmax(small)[np.arange(6), labels]).mean()
    )
    agree(reference.cross_entropy(np.zeros((6, 10)), labels), math.log(10))
    for smoothing in (0.0, 0.1, 0.9):
        agree(
            formulas()["smoothed_cross_entropy"](logits.tolist(), labels, smoothing),
            reference.cross_entropy(logits, labels, smoothing=smoothing),
        )


def test_a_whole_network() -> None:
    network = ZOO["pytorch-model-1"].spec
    weights = {name: 0.1 * numbers(*shape) for name, shape in network.weights.items()}
    x = numbers(1, *network.input_shape)
    written = formulas()["pytorch_model_1"](x[0].tolist(), *(array.tolist() for array in weights.values()))
    agree([written], reference.forward(network, weights, x)[0])


# Update rules and schedules


@pytest.mark.parametrize(
    ("optimizer", "momentum"),
    [
        (SGD(), None),
        (SGD(momentum=0.5), None),
        (SGD(momentum=0.9, nesterov=True), None),
        (SGD(momentum=0.95), (0.95, 0.85, 0.9)),
        (Adam(), None),
        (Adam(beta1=0.5, beta2=0.7, eps=0.1), None),
        (Adadelta(), None),
        (Adadelta(rho=0.5, eps=0.1), None),
    ],
)
def test_update_rules(optimizer: SGD | Adam | Adadelta, momentum: tuple[float, ...] | None) -> None:
    """Three steps of one scalar with a changing rate: a first step alone would not distinguish the rules."""
    w, state = 0.7, [0.0, 0.0]
    weights = {"dense1.weight": np.array([w])}
    slots = reference.initial_slots(optimizer, {"dense1.weight": (1,)})
    for step, (g, lr) in enumerate([(0.3, 0.1), (-1.2, 0.5), (0.01, 0.02)]):
        cycled = momentum[step] if momentum else None
        match optimizer:
            case SGD():
                rate = optimizer.momentum if cycled is None else cycled
                w, state[0] = formulas()["sgd"](w, g, state[0], lr, rate, optimizer.nesterov)
            case Adam():
                constants = optimizer.beta1, optimizer.beta2, optimizer.eps
                w, *state = formulas()["adam"](w, g, *state, step + 1, lr, *constants)
            case Adadelta():
                w, *state = formulas()["adadelta"](w, g, *state, lr, optimizer.rho, optimizer.eps)
        gradients = {"dense1.weight": np.array([g])}
        weights, slots = reference.optimizer_step(optimizer, step + 1, weights, gradients, slots, lr, cycled)
        agree(w, weights["dense1.weight"][0])
        agree(state[: len(slots)], [slot[0] for slot in slots.values()])


@pytest.mark.parametrize(
    ("choice", "function", "arguments"),
    [
        (schedule.Constant(), "constant", ()),
        (schedule.StepDecay(0.7), "step_decay", (0.7,)),
        (
            schedule.Linear((0, 2, 5, 12), (0.1, 1.0, 0.02, 0.0)),
            "linear",
            ((0, 2, 5, 12), (0.1, 1.0, 0.02, 0.0)),
        ),
        (schedule.OneCycle(), "one_cycle", (36, 0.3, 1 / 25, 1.0, 1 / 25 / 1e4)),
        (
            schedule.OneCycle(warm_up=0.5, start_div=10.0, final_div=100.0),
            "one_cycle",
            (36, 0.5, 1 / 10, 1.0, 1 / 10 / 100),
        ),
    ],
)
def test_schedules(choice: schedule.Schedule, function: str, arguments: tuple[Any, ...]) -> None:
    epochs, steps, lr = 12, 3, 0.5
    times = range(epochs * steps) if function == "one_cycle" else np.repeat(np.arange(epochs), steps).tolist()
    formula = formulas()[function]
    written = [lr * (formula(time, *arguments) if arguments else formula()) for time in times]
    agree(written, schedule.rates(choice, lr=lr, epochs=epochs, steps=steps))


def test_momentum_goes_the_other_way() -> None:
    written = [formulas()["one_cycle"](n, 40, 0.3, 0.95, 0.85, 0.95) for n in range(40)]
    agree(written, schedule.momenta(schedule.OneCycle(), epochs=4, steps=10))
