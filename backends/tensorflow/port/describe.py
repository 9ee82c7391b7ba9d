"""Descriptions of Keras' layers and operations in the terms of common.port: a kind and attributes.

They are those of backends/pytorch/port/describe.py: `momentum` is the weight of the new batch, `pads` are the
rows that are read before and after the image on each axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from common.activations import identify

Attributes = dict[str, Any]
Description = tuple[str, Attributes]

FUSED = (
    "Dense",
    *("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
)
"""Layers with an activation after everything else, which is an operation of its own here."""

WEIGHTS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Attributes of layers that hold a variable, with PyTorch's name of it."""

PARAMETERS = {
    "max_pool": ("inputs", "pool_size", "strides", "padding"),
    "average_pool": ("inputs", "pool_size", "strides", "padding"),
    "max_pool2d": ("input", "ksize", "strides", "padding"),
    "avg_pool2d": ("input", "ksize", "strides", "padding"),
    "dropout": ("inputs", "rate"),
    "pad": ("x", "pad_width", "mode", "constant_values"),
}


def layer(part: Any, call: Any, options: Mapping[str, Any], inputs: Tensor, outputs: Tensor) -> Description:
    """Kind and attributes of a layer or an operation of a functional graph, from the options of its call, its
    inputs and outputs."""
    name = next(kind.__name__ for kind in type(part).__mro__ if kind.__module__.startswith("keras."))
    if name in ("Layer", "Operation"):
        return _unknown(f"layer {type(part).__name__}", part, call, inputs, outputs)
    match name:
        case "Conv1D" | "Conv2D" | "Conv3D" | "DepthwiseConv1D" | "DepthwiseConv2D":
            return "conv", _convolution(part, inputs, outputs)
        case "Conv1DTranspose" | "Conv2DTranspose" | "Conv3DTranspose":
            return "transposed-conv", {"bias": part.use_bias, "stride": list(part.strides)}
        case "Dense":
            return "dense", {"bias": part.use_bias}
        case "BatchNormalization":
            momentum = round(1 - part.momentum, 9)
            return "batchnorm", {"epsilon": part.epsilon, "momentum": momentum, "unbiased": False}
        case "LayerNormalization":
            return "layernorm", {"epsilon": part.epsilon}
        case "GroupNormalization":
            return "groupnorm", {"epsilon": part.epsilon, "groups": part.groups}
        case "Dropout" | "AlphaDropout":
            return "dropout", {"rate": float(part.rate), "channels": part_has_noise(part, inputs)}
        case "SpatialDropout1D" | "SpatialDropout2D" | "SpatialDropout3D":
            return "dropout", {"rate": float(part.rate), "channels": True}
        case "Flatten" | "Reshape":
            return _reshaped(inputs, outputs)
        case "ZeroPadding1D" | "ZeroPadding2D" | "ZeroPadding3D":
            padding = part.padding if name != "ZeroPadding1D" else [part.padding]
            return "pad", {"pads": [list(pair) for pair in padding], "value": 0.0}
        case "Pad" if (pads := _image_pads(part.pad_width, part.mode)) is not None:
            return "pad", {"pads": pads, "value": float(options.get("constant_values") or 0.0)}
        case "Identity":
            return "identity", {}
        case "Add" if isinstance(inputs, tf.Tensor):
            return "add", {}
    if name.startswith(("MaxPool", "AveragePool")):
        mode = "max" if name[0] == "M" else "average"
        return _pool(mode, inputs, outputs, part.pool_size, part.strides, part.padding)
    if name.startswith("GlobalAverage") or (name == "Mean" and _is_global(inputs, outputs)):
        return "global-pool", {"mode": "average"}
    return _unknown(f"layer {name}", part, call, inputs, outputs)


def part_has_noise(part: Any, inputs: Tensor) -> bool:
    """Whether a Dropout drops whole channels, by its noise_shape."""
    shape = getattr(part, "noise_shape", None)
    return shape is not None and inputs.shape.rank > 2 and all(size == 1 for size in shape[1:-1])


def function(
    name: str, call: Any, args: Sequence[Any], options: dict[str, Any], outputs: Tensor
) -> Description:
    """Kind and attributes of a call of one of trace.FUNCTIONS."""
    inputs = args[0]
    given = dict(zip(PARAMETERS.get(name, ()), args, strict=False)) | options
    match name:
        case "max_pool" | "average_pool" | "max_pool2d" | "avg_pool2d":
            size = given.get("pool_size", given.get("ksize"))
            mode = "max" if name[0] == "m" else "average"
            stride = given.get("strides") or size
            return _pool(mode, inputs, outputs, size, stride, given.get("padding", "valid"))
        case "reshape":
            return _reshaped(inputs, outputs)
        case "dropout":
            return "dropout", {"rate": float(given.get("rate", 0.5)), "channels": False}
        case "mean" | "reduce_mean" if _is_global(inputs, outputs):
            return "global-pool", {"mode": "average"}
        case "pad" if (pads := _image_pads(given["pad_width"], given.get("mode", "constant"))) is not None:
            return "pad", {"pads": pads, "value": float(given.get("constant_values") or 0.0)}
    return _unknown(f"function {name}", None, call, inputs, outputs)


def activation(call: Any) -> Description:
    """Kind and attributes of an activation function, by what it computes."""
    found = identify(lambda x: np.asarray(call(tf.convert_to_tensor(x))))
    if found is None:
        name = str(getattr(call, "__name__", "")) or type(call).__name__
        return "activation", {"function": name}
    return "activation", found


def _unknown(kind: str, part: Any, call: Any, inputs: Any, outputs: Any) -> Description:
    """An activation if it is a known one; what has weights or changes the shape is none."""
    weights = getattr(part, "variables", [])
    if weights or not isinstance(inputs, tf.Tensor) or inputs.shape != outputs.shape:
        return kind, {}
    found = identify(lambda x: np.asarray(call(tf.convert_to_tensor(x))))
    return (kind, {}) if found is None else ("activation", found)


def _each(value: Any, axes: int) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    values = values[1:-1] if len(values) == axes + 2 else values  # with batch and channels
    return values * axes if len(values) == 1 else values


def _pads(
    inputs: Sequence[int], outputs: Sequence[int], extent: list[int], stride: list[int], padding: str
) -> list[list[int]]:
    """Pads before and after each axis: TensorFlow's "same" puts the odd one after, "causal" all before."""
    if padding.lower() == "causal":
        return [[size - 1, 0] for size in extent]
    result = []
    for rows, out, size, step in zip(inputs, outputs, extent, stride, strict=True):
        total = max((out - 1) * step + size - rows, 0) if padding.lower() == "same" else 0
        result.append([total // 2, total - total // 2])
    return result


def _convolution(part: Any, inputs: Tensor, outputs: Tensor) -> Attributes:
    axes = len(part.kernel_size)
    dilation, stride = _each(part.dilation_rate, axes), _each(part.strides, axes)
    extent = [(size - 1) * step + 1 for size, step in zip(part.kernel_size, dilation, strict=True)]
    pads = _pads(inputs.shape[1:-1], outputs.shape[1:-1], extent, stride, part.padding)
    depthwise = type(part).__name__.startswith("Depthwise")
    groups = inputs.shape[-1] if depthwise else part.groups
    return {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups, "bias": part.use_bias}


def _pool(mode: str, inputs: Tensor, outputs: Tensor, size: Any, stride: Any, padding: str) -> Description:
    axes = inputs.shape.rank - 2
    window, step = _each(size, axes), _each(stride, axes)
    pads = _pads(inputs.shape[1:-1], outputs.shape[1:-1], window, step, padding)
    return "pool", {"mode": mode, "window": window, "stride": step, "pads": pads, "counts_padding": False}


def _image_pads(width: Any, mode: str) -> list[list[int]] | None:
    """The pads of the axes of images, channels last; None where others are padded, or not by a constant."""
    pairs = [list(pair) for pair in width] if isinstance(width, list | tuple) else []
    if mode.lower() != "constant" or len(pairs) < 3 or any(pairs[0]) or any(pairs[-1]):
        return None
    return pairs[1:-1]


def _reshaped(inputs: Tensor, outputs: Tensor) -> Description:
    if inputs.shape.rank > 2 and outputs.shape.rank == 2:
        return "flatten", {}
    return "reshape", {}


def _is_global(inputs: Any, outputs: Tensor) -> bool:
    """Whether a mean was over every axis but the first and the last."""
    rank = inputs.shape.rank
    return rank > 2 and int(np.prod(outputs.shape)) == inputs.shape[0] * inputs.shape[-1]
