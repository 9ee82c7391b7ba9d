"""The Python blocks of docs/math.md, executed unchanged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from common.model import spec
from common.model.layers import pair
from common.model.spec import Node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "math.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@cache
def formulas() -> dict[str, Any]:
    """The functions that the page's blocks define, executed in order in one namespace."""
    namespace: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace


def as_written(node: Node, state: Mapping[str, NDArray[Any]], image: Any) -> Any:
    """The node's output for one image, in inference, computed by the page's plain Python."""
    page, layer = formulas(), node.layer
    arrays = () if node.branches else (*node.weights, *node.statistics)
    own = {name.rpartition(".")[2]: state[name].tolist() for name in arrays}
    zeros, ones = ([value] * node.output_shape[0] for value in (0.0, 1.0))
    match layer:
        case spec.Conv():
            bias = own.get("bias", zeros)
            padding, stride, dilation = map(pair, (layer.padding, layer.stride, layer.dilation))
            return page["conv_pairs"](image, own["weight"], bias, padding, stride, layer.groups, dilation)
        case spec.BatchNorm():
            planes = image if isinstance(image[0], list) else [[[value]] for value in image]
            own = {"weight": ones, "bias": zeros} | own
            normed = page["batch_norm_inference"](planes, *own.values(), layer.eps)
            return normed if isinstance(image[0], list) else [plane[0][0] for plane in normed]
        case spec.GroupNorm():
            planes = image if isinstance(image[0], list) else [[[value]] for value in image]
            normed = page["group_norm"](planes, *own.values(), layer.groups, layer.eps)
            return normed if isinstance(image[0], list) else [plane[0][0] for plane in normed]
        case spec.Residual() | spec.Concat():
            outputs = []
            for branch in node.branches:
                outputs.append(image)
                for inner in branch:
                    outputs[-1] = as_written(inner, state, outputs[-1])
            return page["add"](*outputs) if isinstance(layer, spec.Residual) else page["concatenate"](outputs)
        case spec.MaxPool() | spec.AvgPool():
            size, padding = pair(layer.kernel_size), pair(layer.padding)
            stride = size if layer.stride is None else pair(layer.stride)
            rule = (-math.inf, max) if isinstance(layer, spec.MaxPool) else (0.0, page["mean"])
            return page["pool"](image, size, stride, padding, *rule)
        case spec.Dense():
            return page["dense"](image, own["weight"], own.get("bias", zeros))
        case spec.Activation(function):
            planes = image if isinstance(image[0], list) else [[image]]
            outputs = (
                page["relu"](planes) if function == "relu" else page["elementwise"](page[function], planes)
            )
            return outputs if isinstance(image[0], list) else outputs[0][0]
        case spec.GlobalAvgPool():
            return page["global_avg_pool"](image)
        case spec.Flatten():
            return page["flatten"](image) if isinstance(image[0], list) else image
        case spec.Dropout() | spec.SpatialDropout():
            return image
        case _:
            assert_never(layer)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def agree(written: Any, expected: Any) -> None:
    """Assert equality up to the order of summation; atol is for sums that cancel to about zero."""
    np.testing.assert_allclose(np.asarray(written), expected, rtol=1e-12, atol=1e-13)
