"""Every layer, loss and update rule in float64 NumPy: the arbiter to which both frameworks are compared.

Images are (N, C, H, W) and vectors (N, F). Weights, running statistics and optimizer slots are named as in
`common.model.spec` and `common.model.optimizer`. Nothing here is shared with a framework, and nothing is
tuned for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import erf, sqrt
from typing import assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from common.model import spec
from common.model.layers import pair
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.optimizer import slots as slot_names
from common.model.spec import ModelSpec, Node, Shape

Array = NDArray[np.float64]
Arrays = dict[str, Array]


Pair = int | tuple[int, int]


def windows_of(
    x: Array, size: tuple[int, int], *, padding: Pair, stride: Pair, dilation: Pair = 1, border: float = 0.0
) -> Array:
    """Windows of x (N, C, H, W), surrounded by `border` -> (N, C, H', W', rows, columns)."""
    margins, steps, gaps = map(pair, (padding, stride, dilation))
    padded = np.pad(x, ((0, 0), (0, 0), *((margin, margin) for margin in margins)), constant_values=border)
    reach = tuple(gap * (side - 1) + 1 for gap, side in zip(gaps, size, strict=True))
    windows = sliding_window_view(padded, reach, axis=(2, 3))
    return windows[:, :, :: steps[0], :: steps[1], :: gaps[0], :: gaps[1]]


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    padding: Pair = 0,
    stride: Pair = 1,
    groups: int = 1,
    dilation: Pair = 1,
) -> Array:
    """Cross-correlation of x (N, C, H, W) with weight (O, C / groups, rows, columns) -> (N, O, H', W')."""
    windows = windows_of(x, weight.shape[2:], padding=padding, stride=stride, dilation=dilation)
    count, _, height, width = windows.shape[:4]
    grouped = windows.reshape(count, groups, weight.shape[1], height, width, *weight.shape[2:])
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    y: Array = np.einsum("ngcijuv,gocuv->ngoij", grouped, kernels, optimize=True)
    y = y.reshape(count, len(weight), height, width)
    return y if bias is None else y + bias[:, None, None]


def batch_norm(x: Array, weight: Array, bias: Array, mean: Array, var: Array, *, eps: float) -> Array:
    """Inference: x (N, C, ...) normalised with the given mean and variance (C,) of each channel."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, weight, bias = (array.reshape(shape) for array in (mean, var, weight, bias))
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def batch_norm_training(
    x: Array,
    weight: Array,
    bias: Array,
    running_mean: Array,
    running_var: Array,
    *,
    eps: float,
    momentum: float,
) -> tuple[Array, Array, Array]:
    """Training: (normalised x, new running mean, new running variance).

    The batch is normalised with its biased variance; the running variance takes in the unbiased one, so
    there must be at least two values a channel.
    """
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes), x.var(axes)
    values = x.size / x.shape[1]
    unbiased = var * values / (values - 1)
    return (
        batch_norm(x, weight, bias, mean, var, eps=eps),
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * unbiased,
    )


def group_norm(x: Array, weight: Array, bias: Array, *, groups: int, eps: float) -> Array:
    """x (N, C, ...), each image and group of channels normalised, then scaled and shifted by channel."""
    grouped = x.reshape(len(x), groups, -1)
    mean, var = grouped.mean(2, keepdims=True), grouped.var(2, keepdims=True)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    normal = ((grouped - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return normal * weight.reshape(shape) + bias.reshape(shape)


def relu(x: Array) -> Array:
    """max(x, 0), elementwise."""
    return np.maximum(x, 0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": relu,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu": lambda x: x * (1 + np.vectorize(erf)(x / sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def max_pool(x: Array, size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Array:
    """Largest of each window; incomplete windows at the bottom and the right are dropped."""
    stride = size if stride is None else stride
    return windows_of(x, pair(size), padding=padding, stride=stride, border=-np.inf).max((4, 5))


def avg_pool(x: Array, size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Array:
    """Mean of each window, padding counted; incomplete windows are dropped."""
    stride = size if stride is None else stride
    return windows_of(x, pair(size), padding=padding, stride=stride).mean((4, 5))


def global_avg_pool(x: Array) -> Array:
    """(N, C, H, W) -> (N, C), the mean of each channel."""
    return np.asarray(x.mean((2, 3)))


def flatten(x: Array) -> Array:
    """(N, C, H, W) -> (N, C * H * W) in C, H, W order."""
    return x.reshape(len(x), -1)


def dense(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (N, in) times weight (out, in) transposed -> (N, out)."""
    y = x @ weight.T
    return y if bias is None else y + bias


def dropout(x: Array, keep: Array | None = None, *, rate: float = 0.0) -> Array:
    """x where `keep` (of x's shape) is 1, divided by 1 - rate. Without `keep` the identity (inference)."""
    return x if keep is None else x * keep / (1 - rate)


def spatial_dropout(x: Array, keep: Array | None = None, *, rate: float = 0.0) -> Array:
    """Dropout of whole channels: `keep` is (N, C)."""
    return x if keep is None else x * keep[:, :, None, None] / (1 - rate)


def apply(node: Node, weights: Mapping[str, Array], x: Array, training: bool = False) -> tuple[Array, Arrays]:
    """(output, statistics after it) of a node. Dropout is always the identity."""
    layer = node.layer
    match layer:
        case spec.Conv():
            y = conv(
                x,
                weights[f"{node.name}.weight"],
                weights[f"{node.name}.bias"] if layer.bias else None,
                padding=layer.padding,
                stride=layer.stride,
                groups=layer.groups,
                dilation=layer.dilation,
            )
        case spec.BatchNorm():
            weight, bias = [weights[name] for name in node.weights] or (
                np.ones(len(x[0])),
                np.zeros(len(x[0])),
            )
            mean, var = (weights[name] for name in node.statistics)
            if training:
                y, mean, var = batch_norm_training(
                    x, weight, bias, mean, var, eps=layer.eps, momentum=layer.momentum
                )
            else:
                y = batch_norm(x, weight, bias, mean, var, eps=layer.eps)
            return y, dict(zip(node.statistics, (mean, var), strict=True))
        case spec.GroupNorm():
            weight, bias = (weights[name] for name in node.weights)
            y = group_norm(x, weight, bias, groups=layer.groups, eps=layer.eps)
        case spec.Residual() | spec.Concat():
            ends = [chain(branch, weights, x, training) for branch in node.branches]
            outputs = [end for end, _ in ends]
            statistics = {name: array for _, kept in ends for name, array in kept.items()}
            y = outputs[0] + outputs[1] if isinstance(layer, spec.Residual) else np.concatenate(outputs, 1)
            return y, statistics
        case spec.Activation():
            y = ACTIVATIONS[layer.function](x)
        case spec.MaxPool():
            y = max_pool(x, layer.kernel_size, layer.stride, layer.padding)
        case spec.AvgPool():
            y = avg_pool(x, layer.kernel_size, layer.stride, layer.padding)
        case spec.GlobalAvgPool():
            y = global_avg_pool(x)
        case spec.Flatten():
            y = flatten(x)
        case spec.Dense():
            y = dense(x, weights[f"{node.name}.weight"], weights[f"{node.name}.bias"] if layer.bias else None)
        case spec.Dropout():
            y = dropout(x)
        case spec.SpatialDropout():
            y = spatial_dropout(x)
        case _:
            assert_never(layer)
    return y, {}


def chain(
    nodes: Iterable[Node], weights: Mapping[str, Array], x: Array, training: bool = False
) -> tuple[Array, Arrays]:
    """(output, statistics after it) of nodes one after another."""
    statistics: Arrays = {}
    for node in nodes:
        x, updated = apply(node, weights, x, training)
        statistics |= updated
    return x, statistics


def forward(
    network: ModelSpec, weights: Mapping[str, Array], images: Array, training: bool = False
) -> tuple[Array, Arrays]:
    """(logits, statistics) of images (N, *network.input_shape).

    `weights` also holds the running statistics, under their names in `network.statistics`. The statistics
    returned are updated in training, unchanged in inference.
    """
    x = np.asarray(images, np.float64)
    held = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    return chain(network.nodes(), held, x, training)


def softmax(logits: Array) -> Array:
    """Rows of (N, classes) as probabilities."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def cross_entropy(logits: Array, labels: NDArray[np.integer], *, smoothing: float = 0.0) -> float:
    """Mean over the batch of -sum(target * log softmax(logits)), in nats; the target distribution has
    1 - smoothing at the label, and the rest evenly over all classes."""
    shifted = logits - logits.max(1, keepdims=True)
    target = np.full(logits.shape, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(np.mean(np.log(np.exp(shifted).sum(1)) - (target * shifted).sum(1)))


def initial_slots(optimizer: Optimizer, shapes: Mapping[str, Shape]) -> Arrays:
    """Zeros for the weights of `shapes` (a network's), named as in a checkpoint: optimizer.SLOT.WEIGHT."""
    return {
        f"optimizer.{slot}.{name}": np.zeros(shape)
        for slot in slot_names(optimizer)
        for name, shape in shapes.items()
    }


def optimizer_step(
    optimizer: Optimizer,
    step_number: int,
    weights: Mapping[str, Array],
    gradients: Mapping[str, Array],
    slots: Mapping[str, Array],
    lr: float,
    momentum: float | None = None,
) -> tuple[Arrays, Arrays]:
    """(new weights, new slots) after one update; nothing is changed in place.

    `weights` are only the trained ones. `step_number` counts from 1. `slots` are those that the previous step
    returned, or `initial_slots`. `momentum` replaces SGD's own, where a schedule cycles it.
    """
    if momentum is not None and not isinstance(optimizer, SGD):
        raise ValueError(f"{type(optimizer).__name__} has no momentum to set to {momentum}.")
    after: Arrays = {}
    kept: Arrays = {}
    for name, weight in weights.items():
        g = gradients[name]
        match optimizer:
            case SGD():
                rate = optimizer.momentum if momentum is None else momentum
                buffer = f"optimizer.momentum_buffer.{name}"
                velocity = rate * slots.get(buffer, np.zeros_like(g)) + g
                after[name] = weight - lr * (g + rate * velocity if optimizer.nesterov else velocity)
                if optimizer.momentum or momentum is not None:
                    kept[buffer] = velocity
            case Adam():
                first, second = f"optimizer.exp_avg.{name}", f"optimizer.exp_avg_sq.{name}"
                m = kept[first] = optimizer.beta1 * slots[first] + (1 - optimizer.beta1) * g
                v = kept[second] = optimizer.beta2 * slots[second] + (1 - optimizer.beta2) * g**2
                unbiased_m = m / (1 - optimizer.beta1**step_number)
                unbiased_v = v / (1 - optimizer.beta2**step_number)
                after[name] = weight - lr * unbiased_m / (np.sqrt(unbiased_v) + optimizer.eps)
            case Adadelta():
                squares, steps = f"optimizer.square_avg.{name}", f"optimizer.acc_delta.{name}"
                a = kept[squares] = optimizer.rho * slots[squares] + (1 - optimizer.rho) * g**2
                delta = g * np.sqrt(slots[steps] + optimizer.eps) / np.sqrt(a + optimizer.eps)
                kept[steps] = optimizer.rho * slots[steps] + (1 - optimizer.rho) * delta**2
                after[name] = weight - lr * delta
            case _:
                assert_never(optimizer)
    return after, kept
