"""Operations of a Keras model computed with other attributes than their own: with PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from tensorflow import Tensor


def changed_inputs(change: Mapping[str, Any], inputs: Any) -> Any:
    """The inputs of an operation, as `change` says: an array in its place under `inputs`, or scaled back from
    `scale` times the right ones plus `offset`."""
    if "inputs" in change:
        return tf.constant(change["inputs"], inputs.dtype)
    if "scale" in change:
        return (inputs - change["offset"]) / change["scale"]
    return inputs


def mended(
    part: Any,
    kind: str,
    attributes: Mapping[str, Any],
    change: Mapping[str, Any],
    compute: Callable[[Any], Any],
    inputs: Any,
    outputs: Tensor,
) -> Tensor:
    """The outputs of an operation of a `kind` with changed `attributes`, or as `change` says:

    `skip`, the inputs; `outputs`, an array in the operation's own layout; `channels_first` or
    `channels_last`, the order of a Flatten; `crop`, rows before and after each axis that are cut off first.
    `outputs` is what the operation computes itself.
    """
    first = inputs[0] if isinstance(inputs, list | tuple) else inputs
    if change.get("skip"):
        return first
    if "outputs" in change:
        return tf.constant(change["outputs"], outputs.dtype)
    if change.get("channels_first") or change.get("channels_last"):
        rank = first.shape.rank
        last = (rank - 1, *range(1, rank - 1)) if change.get("channels_first") else (*range(2, rank), 1)
        return tf.reshape(tf.transpose(first, (0, *last)), tf.shape(outputs))
    if "crop" in change:
        axes = zip(first.shape[1:-1], change["crop"], strict=True)
        first = first[(slice(None), *(slice(before, size - after) for size, (before, after) in axes))]
    match kind if change["attributes"] else "":
        case "conv":
            return _convolution(part, attributes, first)
        case "pool":
            return _pool(attributes, first)
        case "activation":
            return _activation(attributes, first)
        case "batchnorm":
            return _batch_norm(part, attributes, compute, inputs)
        case "layernorm" | "groupnorm":
            epsilon, part.epsilon = part.epsilon, attributes["epsilon"]
            try:
                return compute(inputs)
            finally:
                part.epsilon = epsilon
    return outputs


def _padded(images: Tensor, pads: Any, value: float = 0.0) -> Tensor:
    return tf.pad(images, [[0, 0], *pads, [0, 0]], constant_values=value)


def _convolution(part: Any, attributes: Mapping[str, Any], images: Tensor) -> Tensor:
    images = _padded(images, attributes["pads"])
    stride, dilation = tuple(attributes["stride"]), tuple(attributes["dilation"])
    kernel = tf.convert_to_tensor(part.kernel)
    if type(part).__name__.startswith("Depthwise"):
        outputs = keras.ops.depthwise_conv(images, kernel, stride, "valid", dilation_rate=dilation)
    else:
        outputs = keras.ops.conv(images, kernel, stride, "valid", dilation_rate=dilation)
    return outputs + tf.convert_to_tensor(part.bias) if part.use_bias else outputs


def _pool(attributes: Mapping[str, Any], images: Tensor) -> Tensor:
    window, stride, pads = attributes["window"], attributes["stride"], attributes["pads"]
    if attributes["mode"] == "max":
        return tf.nn.pool(_padded(images, pads, images.dtype.min), window, "MAX", strides=stride)

    def mean(values: Tensor) -> Tensor:
        return tf.nn.pool(_padded(values, pads), window, "AVG", strides=stride)

    return mean(images) if attributes["counts_padding"] else mean(images) / mean(tf.ones_like(images))


def _activation(attributes: Mapping[str, Any], x: Tensor) -> Tensor:
    """With constants in the precision of `x`: tf.nn rounds the slope of a leaky ReLU to single precision."""
    match attributes["function"]:
        case "linear":
            return x
        case "leaky_relu":
            return tf.where(x > 0, x, x * tf.constant(attributes["slope"], x.dtype))
        case "gelu" if attributes["approximate"]:
            root = tf.constant(math.sqrt(2 / math.pi), x.dtype)
            return 0.5 * x * (1 + tf.tanh(root * (x + tf.constant(0.044715, x.dtype) * x**3)))
        case "gelu":
            return 0.5 * x * (1 + tf.math.erf(x * tf.constant(math.sqrt(0.5), x.dtype)))
        case "hardswish":
            return keras.activations.hard_silu(x)
        case "hardtanh":
            return tf.clip_by_value(x, -1, 1)
        case name:
            return getattr(keras.activations, name)(x)


def _batch_norm(
    part: Any, attributes: Mapping[str, Any], compute: Callable[[Any], Any], inputs: Any
) -> Tensor:
    """With another epsilon and momentum, and the unbiased variance of the batch where it is asked for."""
    own = part.epsilon, part.momentum
    part.epsilon, part.momentum = attributes["epsilon"], 1 - attributes["momentum"]
    before = tf.identity(part.moving_variance)
    try:
        outputs = compute(inputs)
    finally:
        part.epsilon, part.momentum = own
    weight = attributes["momentum"]
    count = tf.size(inputs) // inputs.shape[-1]
    if attributes["unbiased"] and weight:
        change = tf.convert_to_tensor(part.moving_variance) - (1 - weight) * before
        count = tf.cast(count, change.dtype)
        # In inference nothing was updated, and the change is the variance times its own weight.
        trained = tf.reduce_any(tf.convert_to_tensor(part.moving_variance) != before)
        factor = tf.where(trained, count / (count - 1), tf.ones_like(count))
        part.moving_variance.assign((1 - weight) * before + change * factor)
    return outputs
