"""Each framework against NumPy: every layer kind, BatchNorm's training mode, every update rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
from support import reference, worker
from support.layers import EXAMPLES
from support.math_page import as_written
from support.networks import EXAMPLES as DOCUMENTED
from support.networks import VOCABULARY

from common.data.datasets import Dataset
from common.model import spec
from common.model.entry import Entry
from common.model.layers import Function
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.spec import Layer, ModelSpec
from common.model.zoo import ENTRIES
from common.training import checkpoint, initial_weights

Array = np.ndarray[Any, Any]
frameworks = pytest.mark.parametrize("framework", worker.FRAMEWORKS)

# Layers on 3-channel images of 9 x 9: odd sides, so nothing divides evenly.
LAYERS: dict[str, tuple[Layer, ...]] = {
    "conv": (spec.Conv(5, 3),),
    "conv 1x1": (spec.Conv(4, 1, bias=False),),
    "conv padded": (spec.Conv(5, 5, padding=2),),
    "conv padded by less than half": (spec.Conv(5, 5, padding=1),),
    "conv strided": (spec.Conv(5, 3, stride=2),),
    "conv strided and padded": (spec.Conv(4, 3, padding=1, stride=2, bias=False),),
    "conv strided and padded, even kernel": (spec.Conv(4, 4, padding=1, stride=2),),
    "conv depthwise": (spec.Conv(3, 3, groups=3),),
    "conv depthwise, padded": (spec.Conv(3, 3, padding=1, groups=3, bias=False),),
    "conv depthwise, strided": (spec.Conv(3, 3, padding=1, stride=2, groups=3),),
    "conv depthwise, twice the channels": (spec.Conv(6, 3, groups=3),),
    "conv grouped": (spec.Conv(6, 1), spec.Conv(4, 3, groups=2)),
    "batch norm": (spec.BatchNorm(),),
    "batch norm, other constants": (spec.BatchNorm(eps=0.1, momentum=0.3),),
    "batch norm without scale and shift": (
        *(spec.Conv(4, 3), spec.BatchNorm(affine=False)),
        *(spec.Flatten(), spec.Dense(6), spec.BatchNorm(affine=False)),
    ),
    "batch norm of features": (spec.Conv(4, 3), spec.Flatten(), spec.Dense(6), spec.BatchNorm()),
    "group norm": (spec.Conv(6, 1), spec.GroupNorm(3), spec.Conv(4, 3), spec.GroupNorm(1, eps=0.1)),
    "group norm of features": (spec.Flatten(), spec.Dense(6), spec.GroupNorm(2)),
    "residual": (
        spec.Residual(
            spec.Conv(4, 3, padding=1, stride=2),
            spec.GroupNorm(2),
            spec.Residual(spec.Conv(4, 1), spec.Activation()),
            shortcut=(spec.Conv(4, 1, stride=2), spec.BatchNorm()),
        ),
    ),
    "concatenation": (
        spec.Concat((spec.Conv(2, 1),), (), (spec.Conv(4, 3, padding=1), spec.BatchNorm())),
        spec.Concat(
            (spec.Flatten(), spec.Dense(3)), (spec.MaxPool(3), spec.Flatten()), (spec.GlobalAvgPool(),)
        ),
        spec.Residual(spec.Dense(93)),
    ),
    "flatten, of features": (spec.Conv(4, 3), spec.GlobalAvgPool(), spec.Flatten(), spec.Dense(6)),
    "flatten, before a layer with layers inside": (
        spec.Flatten(),
        spec.Concat((spec.Dense(3),), ()),
        spec.Flatten(),
    ),
    "relu": (spec.Conv(3, 1), spec.Activation()),
    "every activation": tuple(
        layer for name in get_args(Function) for layer in (spec.Conv(3, 1), spec.Activation(name))
    ),
    "max pool": (spec.Conv(3, 1), spec.MaxPool(2)),
    "max pool 3": (spec.Conv(3, 1), spec.MaxPool(3)),
    "conv rectangular": (
        spec.Conv(4, (1, 3), padding=(0, 1)),
        spec.Conv(5, (3, 2), padding=(2, 1), stride=(1, 2)),
    ),
    "conv dilated": (spec.Conv(4, 3, dilation=2), spec.Conv(5, (2, 3), dilation=(1, 2), padding=(1, 2))),
    "conv depthwise, dilated": (
        spec.Conv(3, 3, dilation=2, padding=2, groups=3),
        spec.Conv(3, (1, 3), groups=3),
    ),
    "pools with stride and padding": (
        spec.MaxPool(3, 2, padding=1),
        spec.Conv(4, 1),
        spec.AvgPool((3, 2), (1, 2), padding=(1, 0)),
    ),
    "global average": (spec.Conv(3, 1), spec.GlobalAvgPool()),
    "flatten": (spec.Conv(4, 3), spec.MaxPool(3), spec.Flatten()),
    "flatten, dense": (spec.Conv(4, 3), spec.Flatten(), spec.Dense(6)),
    "flatten, dropout, dense": (
        spec.MaxPool(2),
        spec.Flatten(),
        spec.Dropout(0.5),
        spec.Dense(6),
        spec.Activation(),
        spec.Dense(3, bias=False),
    ),
    "spatial dropout": (spec.Conv(3, 1), spec.SpatialDropout(0.5)),
}


def small(layers: tuple[Layer, ...]) -> ModelSpec:
    """A network of `layers`, followed by GlobalAvgPool if their output is an image."""
    try:
        return ModelSpec("small", layers, input_shape=(3, 9, 9))
    except ValueError:
        return ModelSpec("small", (*layers, spec.GlobalAvgPool()), input_shape=(3, 9, 9))


NETWORKS = {example.layer.kind: example.network for example in EXAMPLES}
NETWORKS |= {name: small(layers) for name, layers in LAYERS.items()}


def random_state(network: ModelSpec, random: np.random.Generator) -> dict[str, Array]:
    """Weights and statistics that hide no mistake: none is zero or one, variances are positive."""
    shapes = network.weights | network.statistics
    state = {name: random.normal(size=shape) for name, shape in shapes.items()}
    return {name: np.abs(array) + 0.5 if name.endswith("var") else array for name, array in state.items()}


@frameworks
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_layer_is_as_in_numpy(framework: str, network: ModelSpec, random: np.random.Generator) -> None:
    state, images = random_state(network, random), random.normal(size=(4, *network.input_shape))
    expected, _ = reference.forward(network, state, images)
    single = {name: array.astype(np.float32) for name, array in state.items()}
    logits = worker.run(
        framework, "predict", spec=network, optimizer=SGD(), state=single, images=images.astype(np.float32)
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_formulas_as_written_are_what_both_frameworks_compute(
    network: ModelSpec, random: np.random.Generator
) -> None:
    state, images = random_state(network, random), random.normal(size=(2, *network.input_shape))
    outputs = images.tolist()
    for node in network.nodes():
        outputs = [as_written(node, state, image) for image in outputs]
    for framework in worker.FRAMEWORKS:
        model = {"spec": network, "optimizer": SGD(), "precision": "float64", "state": state}
        logits = worker.run(framework, "predict", images=images, **model)
        np.testing.assert_allclose(logits, outputs, rtol=1e-10, atol=1e-12, err_msg=framework)


@frameworks
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "norm", [spec.BatchNorm(), spec.BatchNorm(eps=0.01, momentum=0.4)], ids=["default", "other"]
)
def test_batch_norm_trains_as_in_numpy(
    framework: str, precision: str, norm: spec.BatchNorm, random: np.random.Generator
) -> None:
    """At rate 0: normalised by the batch, the running variance unbiased, 5 images of 9 x 9 at a time."""
    network = small(
        (spec.Conv(4, 1), norm, spec.Activation(), spec.Conv(6, 3), norm, spec.Flatten(), spec.Dense(5), norm)
    )
    state = {name: array.astype(precision) for name, array in random_state(network, random).items()}
    images = random.normal(size=(5, 3, 9, 9)).astype(precision)
    labels = np.arange(5)
    expected, statistics = reference.forward(network, state, images, training=True)
    out = worker.run(
        framework,
        "steps",
        **{"spec": network, "optimizer": SGD(), "precision": precision, "state": state},
        **{"images": images, "labels": labels, "order": np.arange(5)[None], "rate": np.zeros(1)},
    )
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert out["losses"][0] == pytest.approx(reference.cross_entropy(expected, labels), rel=tolerance)
    assert out["correct"][0] == (expected.argmax(1) == labels).sum()
    for name, array in statistics.items():
        np.testing.assert_allclose(out["state"][name], array, rtol=tolerance, err_msg=name)


@frameworks
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_smoothed_labels_are_as_in_numpy(framework: str, precision: str, random: np.random.Generator) -> None:
    """The loss, and by one step of gradient descent its gradient: softmax less what is wanted."""
    network = ModelSpec("linear", (spec.Flatten(), spec.Dense(4)), (1, 3, 3))
    state = {name: array.astype(precision) for name, array in random_state(network, random).items()}
    images, labels = random.normal(size=(6, 1, 3, 3)).astype(precision), np.array([0, 1, 2, 3, 3, 1])
    logits, _ = reference.forward(network, state, images)
    wanted = 0.8 * np.eye(4)[labels] + 0.05
    gradient = (reference.softmax(logits) - wanted).mean(0)
    out = worker.run(
        framework,
        "steps",
        **{"spec": network, "optimizer": SGD(), "precision": precision, "state": state, "smoothing": 0.2},
        **{"images": images, "labels": labels, "order": np.arange(6)[None], "rate": np.ones(1)},
    )
    tolerance = 1e-5 if precision == "float32" else 1e-12
    assert out["losses"][0] == pytest.approx(
        reference.cross_entropy(logits, labels, smoothing=0.2), rel=tolerance
    )
    (bias,) = (name for name in state if name.endswith("bias"))
    np.testing.assert_allclose(out["state"][bias], state[bias] - gradient, rtol=0, atol=10 * tolerance)


@frameworks
def test_how_exactly_a_batch_is_summed(framework: str, random: np.random.Generator) -> None:
    """The variance of 64 images of 28 x 28, 4 channels, as under-5k has them: 50,176 values. Added one by one
    in single precision, as TensorFlow's fused kernel does, they would be a hundred times further off."""
    layers = (spec.Conv(4, 1, bias=False), spec.BatchNorm(momentum=1.0), spec.GlobalAvgPool())
    network = ModelSpec("one norm", layers)
    state = {name: np.ones_like(array) for name, array in initial_weights.initial(network, 1).items()}
    images = np.maximum(random.normal(size=(64, 1, 28, 28)), 0).astype(np.float32)
    out = worker.run(
        framework,
        "steps",
        **{"spec": network, "optimizer": SGD(), "state": state},
        **{
            "images": images,
            "labels": np.zeros(64, np.int64),
            "order": np.arange(64)[None],
            "rate": np.zeros(1),
        },
    )
    (name,) = (name for name in out["state"] if name.endswith("running_var"))
    error = np.abs(out["state"][name] / images.astype(np.float64).var(ddof=1) - 1).max()
    assert error <= 1e-6


OPTIMIZERS = {
    "gradient descent": SGD(),
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "adam": Adam(),
    "adam, other constants": Adam(beta1=0.7, beta2=0.9, eps=1e-3),
    "adadelta": Adadelta(),
    "adadelta, other constants": Adadelta(rho=0.7, eps=1e-2),
}


def softmax_gradients(state: Mapping[str, Array], images: Array, labels: Array) -> dict[str, Array]:
    """Of the mean cross-entropy of one dense layer: (softmax - one-hot) / batch, times the inputs."""
    inputs = images.reshape(len(images), -1)
    logits = reference.dense(inputs, state["dense1.weight"], state["dense1.bias"])
    error = (reference.softmax(logits) - np.eye(logits.shape[1])[labels]) / len(labels)
    return {"dense1.weight": error.T @ inputs, "dense1.bias": error.sum(0)}


@frameworks
@pytest.mark.parametrize("cycled", [False, True], ids=["fixed momentum", "momentum of each step"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_update_rule_is_as_in_numpy(
    framework: str, optimizer: Optimizer, cycled: bool, random: np.random.Generator
) -> None:
    """Four steps under a changing rate, in double precision, with the slots after them."""
    if cycled and not (isinstance(optimizer, SGD) and optimizer.momentum):
        pytest.skip("only momentum has a momentum")
    network = ModelSpec("small", (spec.Flatten(), spec.Dense(4)), input_shape=(1, 3, 3))
    images, labels = random.normal(size=(20, 1, 3, 3)), random.integers(0, 4, 20)
    order, rate = random.permutation(20).reshape(4, 5), np.array([0.1, 0.4, 0.2, 0.05])
    momentum = np.array([0.9, 0.5, 0.7, 0.95]) if cycled else None
    state: dict[str, Array] = dict(random_state(network, random))
    out = worker.run(
        framework,
        "steps",
        **{"spec": network, "optimizer": optimizer, "precision": "float64", "state": state},
        **{"images": images, "labels": labels, "order": order, "rate": rate, "momentum": momentum},
    )
    slots = reference.initial_slots(optimizer, network.weights)
    for step, batch in enumerate(order):
        gradients = softmax_gradients(state, images[batch], labels[batch])
        of_step = None if momentum is None else momentum[step]
        state, slots = reference.optimizer_step(
            optimizer, step + 1, state, gradients, slots, rate[step], momentum=of_step
        )
    for name, array in (state | slots).items():
        np.testing.assert_allclose(out["state"][name], array, rtol=1e-12, atol=1e-15, err_msg=name)
    assert out["state"]["optimizer.step"] == 4


@frameworks
@pytest.mark.parametrize("entry", [*ENTRIES, *DOCUMENTED], ids=lambda entry: entry.name)
def test_network_has_its_parameters_and_first_logits(
    framework: str, entry: Entry, few_digits: Dataset
) -> None:
    """The very networks of the zoo and of docs/examples: as many weights as their sources say, and NumPy's
    logits of real digits."""
    images = entry.recipe.to_input(few_digits.test.images[:8])
    state = initial_weights.initial(entry.spec, 3)
    expected, _ = reference.forward(entry.spec, state, images)
    model = {"spec": entry.spec, "optimizer": entry.recipe.optimizer, "state": state}
    logits = worker.run(framework, "predict", images=images, **model)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert worker.run(framework, "parameters", **model) == entry.spec.parameters


@frameworks
@pytest.mark.parametrize("entry", [*ENTRIES, VOCABULARY], ids=lambda entry: entry.name)
def test_state_goes_in_and_out_unchanged(framework: str, entry: Entry, random: np.random.Generator) -> None:
    shapes = checkpoint.state_shapes(entry.spec, entry.recipe.optimizer)
    state = {name: np.abs(random.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}
    state["optimizer.step"] = np.array(17, np.int64)
    back = worker.run(framework, "state", spec=entry.spec, optimizer=entry.recipe.optimizer, state=state)
    assert {name for name in back if not name.startswith("random.")} == set(state)
    if framework == "tensorflow":  # whose dropout layers have a generator each, PyTorch's one together
        drops = [
            node for node in entry.spec.leaves() if isinstance(node.layer, spec.Dropout | spec.SpatialDropout)
        ]
        assert len(back) - len(state) == len(drops)
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


@frameworks
@pytest.mark.parametrize(
    "layer, survivors",
    [(spec.Dropout(0.25), 0.75), (spec.SpatialDropout(0.5), 0.5)],
    ids=["dropout", "spatial dropout"],
)
def test_dropout_keeps_its_share_in_training(framework: str, layer: Layer, survivors: float) -> None:
    """Masks are each framework's own, so they are judged by what they do: the loss of logits that are the
    masked inputs has the mean of its distribution, and the whole channels of spatial dropout vary more."""
    pixels = 8
    layers = (spec.Conv(2, 1, bias=False), layer, spec.GlobalAvgPool())
    network = ModelSpec("small", layers, input_shape=(2, pixels, pixels))
    identity = np.eye(2, dtype=np.float32)[:, :, None, None]
    images = np.zeros((4000, 2, pixels, pixels), np.float32)
    images[:, 0] = 1.0  # logits (share kept / survivors, 0)
    out = worker.run(
        framework,
        "steps",
        **{"spec": network, "optimizer": SGD(), "state": {"conv1.weight": identity}, "images": images},
        **{"labels": np.zeros(4000, np.int64), "order": np.arange(4000)[None], "rate": np.zeros(1)},
    )
    draws = np.random.default_rng(0)
    units = 1 if isinstance(layer, spec.SpatialDropout) else pixels * pixels
    kept = draws.binomial(units, survivors, 400_000) / units / survivors
    losses = np.log1p(np.exp(-kept))
    assert out["losses"][0] == pytest.approx(losses.mean(), abs=5 * losses.std() / np.sqrt(4000) + 1e-6)
    assert out["losses"][0] != pytest.approx(np.log1p(np.exp(-1.0)), abs=1e-7)


@frameworks
def test_native_parts_differ_where_the_framework_does(framework: str, random: np.random.Generator) -> None:
    """Handing back: PyTorch's norm and optimizer are the pinned ones already, TensorFlow's are not."""
    network = small((spec.Conv(4, 3), spec.BatchNorm(), spec.Activation()))
    given = {
        "spec": network,
        "optimizer": Adam(),
        "state": initial_weights.initial(network, 1),
        "images": random.normal(size=(64, 3, 9, 9)).astype(np.float32),
        "labels": random.integers(0, 4, 64),
        "order": np.arange(64).reshape(8, 8),
        "rate": np.full(8, 0.05),
    }
    pinned = worker.run(framework, "steps", **given)["state"]
    for part in ("norm", "optimizer"):
        own = worker.run(framework, "steps", native=(part,), **given)["state"]
        same = np.array_equal(own["conv1.weight"], pinned["conv1.weight"])
        assert same == (framework == "pytorch"), part


@frameworks
def test_native_init_is_the_frameworks_own_and_seeded(framework: str) -> None:
    network = ModelSpec("small", (spec.Conv(64, 3), spec.Flatten(), spec.Dense(50)), input_shape=(8, 9, 9))
    bias_bound = 1 / np.sqrt(8 * 9)
    first, again, other = (
        worker.run(framework, "native_init", spec=network, optimizer=SGD(), seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first["conv1.weight"], again["conv1.weight"])
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])
    fan_in, fan_out = 8 * 9, 64 * 9
    bound = 1 / np.sqrt(fan_in) if framework == "pytorch" else np.sqrt(6 / (fan_in + fan_out))
    assert np.abs(first["conv1.weight"]).max() == pytest.approx(bound, rel=0.01)
    assert np.abs(first["conv1.bias"]).max() == pytest.approx(
        bias_bound if framework == "pytorch" else 0, rel=0.1
    )
