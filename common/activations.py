"""Activation functions by name in NumPy, and the name of one that is only known by what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Any]

POINTS = np.array([-7.5, -3.25, -2.5, -1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.5, 3.25, 7.5])
TOLERANCE = 1e-6  # relative; a function may compute in single precision

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _softplus(x: Array) -> Array:
    return np.asarray(np.log1p(np.exp(x)))


ELEMENTWISE: dict[str, Function] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "silu": lambda x: np.asarray(x * _sigmoid(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "hardswish": lambda x: np.asarray(x * np.clip(x + 3, 0, 6) / 6),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "hardtanh": lambda x: np.clip(x, -1, 1),
}
"""Functions without parameters."""


def gelu(x: Array, *, approximate: bool) -> Array:
    """x Phi(x), or its approximation by a hyperbolic tangent (Hendrycks and Gimpel, 2016)."""
    if approximate:
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


def softmax(x: Array) -> Array:
    """Probabilities along the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """Logarithms of the probabilities along the last axis."""
    shifted = x - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def identify(function: Function) -> dict[str, Any] | None:
    """The attributes of a function of arrays (2, points), or None if it is none of these.

    {"function": name}, with the `slope` of a leaky ReLU and whether a GELU is `approximate`.
    """
    x = np.stack([POINTS, POINTS[::-1]])
    try:
        values = np.asarray(function(x))
    except Exception:  # whatever it requires, it is no function of an array alone
        return None
    if values.shape != x.shape:
        return None

    def equals(other: Array) -> bool:
        return bool(np.allclose(values, other, rtol=TOLERANCE, atol=TOLERANCE))

    for name, elementwise in ELEMENTWISE.items():
        if equals(elementwise(x)):
            return {"function": name}
    for approximate in (False, True):
        if equals(gelu(x, approximate=approximate)):
            return {"function": "gelu", "approximate": approximate}
    if equals(softmax(x)):
        return {"function": "softmax"}
    if equals(log_softmax(x)):
        return {"function": "log_softmax"}
    slope = -float(values[0, list(POINTS).index(-1.0)])
    if equals(np.where(x > 0, x, slope * x)):
        return {"function": "leaky_relu", "slope": round(slope, 7)}
    return None
