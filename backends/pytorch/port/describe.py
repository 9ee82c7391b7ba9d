"""Descriptions of PyTorch's modules and functions in the terms of common.port: a kind and attributes.

Kernel sizes, strides and pads are lists with an entry for each spatial axis; `pads` are the rows that are
read before and after the image, not those that a stride skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

Attributes = dict[str, Any]
Description = tuple[str, Attributes]

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "gelu", "silu", "elu", "selu", "tanh", "sigmoid", "softplus"),
    *("hardswish", "mish", "softmax", "log_softmax", "hardtanh"),
)
ACTIVATION_MODULES = {name.replace("_", ""): name for name in ACTIVATIONS}
PARAMETERS = {
    "leaky_relu": ("input", "negative_slope"),
    "max_pool": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool": ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "adaptive_avg_pool": ("input", "output_size"),
    "mean": ("input", "dim"),
    "pad": ("input", "pad", "mode", "value"),
    "dropout": ("input", "p", "training"),
}


def module(layer: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> Description:
    """Kind and attributes of a module without children, from its inputs and outputs."""
    match layer:
        case nn.modules.conv._ConvTransposeNd():
            return "transposed-conv", {"bias": layer.bias is not None, "stride": list(layer.stride)}
        case nn.modules.conv._ConvNd():
            return "conv", _convolution(layer, inputs, outputs)
        case nn.Linear():
            return "dense", {"bias": layer.bias is not None}
        case nn.modules.batchnorm._BatchNorm():
            return "batchnorm", {"epsilon": layer.eps, "momentum": layer.momentum, "unbiased": True}
        case nn.LayerNorm():
            return "layernorm", {"epsilon": layer.eps}
        case nn.GroupNorm():
            return "groupnorm", {"epsilon": layer.eps, "groups": layer.num_groups}
        case nn.MaxPool1d() | nn.MaxPool2d() | nn.MaxPool3d():
            return _pool("max", inputs, outputs, layer.kernel_size, layer.stride, layer.padding, False)
        case nn.AvgPool1d() | nn.AvgPool2d() | nn.AvgPool3d():
            counts = layer.count_include_pad
            return _pool("average", inputs, outputs, layer.kernel_size, layer.stride, layer.padding, counts)
        case nn.AdaptiveAvgPool1d() | nn.AdaptiveAvgPool2d() | nn.AdaptiveAvgPool3d():
            return _adaptive(outputs)
        case nn.Flatten() | nn.Unflatten():
            return _reshaped(inputs, outputs)
        case nn.modules.dropout._DropoutNd():
            whole = not isinstance(layer, nn.Dropout | nn.AlphaDropout)
            return "dropout", {"rate": float(layer.p), "channels": whole}
        case nn.ZeroPad1d() | nn.ZeroPad2d() | nn.ZeroPad3d() | nn.ConstantPad2d():
            return "pad", {"pads": _pairs(list(layer.padding)), "value": float(layer.value)}
        case nn.Identity():
            return "identity", {}
    name = ACTIVATION_MODULES.get(type(layer).__name__.lower())
    if name and type(layer).__module__.startswith("torch."):
        return _activation(
            name,
            slope=getattr(layer, "negative_slope", None),
            approximate=getattr(layer, "approximate", "none"),
        )
    return f"module {type(layer).__name__}", {}


def recorded(function: Any) -> str | None:
    """The name of a function that is recorded, without the number of its axes; else None."""
    name = getattr(function, "__name__", "").strip("_")
    if "dropout" in name:
        return "dropout" if name in ("dropout", "alpha_dropout") else "channel_dropout"
    for axes in ("1d", "2d", "3d"):
        name = name.removesuffix(axes)
    names = {*ACTIVATIONS, *PARAMETERS, "flatten", "view", "reshape", "add"}
    return name if name in names else None


def function(name: str, args: Sequence[Any], options: dict[str, Any], outputs: torch.Tensor) -> Description:
    """Kind and attributes of a call of the function `name` of `recorded`."""
    inputs = args[0]
    given = dict(zip(PARAMETERS.get(name.removeprefix("channel_"), ()), args, strict=False)) | options
    if name in ACTIVATIONS:
        return _activation(
            name,
            slope=given.get("negative_slope", 0.01),
            approximate=given.get("approximate", "none"),
        )
    match name:
        case "max_pool" | "avg_pool":
            padding, size = given.get("padding", 0), given["kernel_size"]
            stride = given.get("stride") or size
            counts = name == "avg_pool" and given.get("count_include_pad", True)
            mode = "max" if name == "max_pool" else "average"
            return _pool(mode, inputs, outputs, size, stride, padding, counts)
        case "adaptive_avg_pool":
            return _adaptive(outputs)
        case "flatten" | "view" | "reshape":
            return _reshaped(inputs, outputs)
        case "dropout" | "channel_dropout":
            return "dropout", {"rate": float(given.get("p", 0.5)), "channels": name == "channel_dropout"}
        case "pad" if given.get("mode", "constant") == "constant":
            return "pad", {"pads": _pairs(list(given["pad"])), "value": float(given.get("value") or 0.0)}
        case "mean" if inputs.ndim > 2 and outputs.numel() == inputs.shape[0] * inputs.shape[1]:
            return "global-pool", {"mode": "average"}
        case "add" if isinstance(args[1], torch.Tensor) and args[1].shape == inputs.shape:
            return "add", {}
    return f"function {name}", {}


def _activation(name: str, *, slope: float | None, approximate: str) -> Description:
    attributes: Attributes = {"function": name}
    if name == "leaky_relu":
        attributes["slope"] = float(slope or 0.0)
    if name == "gelu":
        attributes["approximate"] = approximate == "tanh"
    return "activation", attributes


def _each(value: Any, axes: int) -> list[int]:
    values = list(value) if isinstance(value, Sequence) else [value]
    return values * axes if len(values) == 1 else values


def _used(
    inputs: Sequence[int], outputs: Sequence[int], before: list[int], extent: list[int], stride: list[int]
) -> list[list[int]]:
    """Pads before and after each axis of which a row is read."""
    needed = [(out - 1) * step + size for out, step, size in zip(outputs, stride, extent, strict=True)]
    return [
        [first, max(0, rows - size - first)] for first, rows, size in zip(before, needed, inputs, strict=True)
    ]


def _convolution(layer: nn.modules.conv._ConvNd, inputs: torch.Tensor, outputs: torch.Tensor) -> Attributes:
    axes = len(layer.kernel_size)
    dilation, stride = list(layer.dilation), list(layer.stride)
    extent = [(size - 1) * step + 1 for size, step in zip(layer.kernel_size, dilation, strict=True)]
    before = list(layer._reversed_padding_repeated_twice[::-2])[:axes]
    if layer.padding == "same":
        before = [(size - 1) // 2 for size in extent]
    return {
        "stride": stride,
        "pads": _used(inputs.shape[2:], outputs.shape[2:], before, extent, stride),
        "dilation": dilation,
        "groups": layer.groups,
        "bias": layer.bias is not None,
    }


def _pool(
    mode: str, inputs: torch.Tensor, outputs: torch.Tensor, size: Any, stride: Any, padding: Any, counts: bool
) -> Description:
    axes = inputs.ndim - 2
    window, step, before = _each(size, axes), _each(stride, axes), _each(padding, axes)
    pads = _used(inputs.shape[2:], outputs.shape[2:], before, window, step)
    counted = bool(counts and mode == "average" and any(map(any, pads)))
    return "pool", {
        "mode": mode, "window": window, "stride": step, "pads": pads, "counts_padding": counted
    }  # fmt: skip


def _adaptive(outputs: torch.Tensor) -> Description:
    one = all(size == 1 for size in outputs.shape[2:])
    return ("global-pool", {"mode": "average"}) if one else ("adaptive pool", {})


def _reshaped(inputs: torch.Tensor, outputs: torch.Tensor) -> Description:
    if inputs.ndim > 2 and outputs.ndim == 2:
        return "flatten", {}
    return "reshape", {}


def _pairs(flat: list[int]) -> list[list[int]]:
    """PyTorch's pads, last axis first, as [before, after] of each axis in order."""
    return [list(flat[index : index + 2]) for index in range(0, len(flat), 2)][::-1]
