"""Losses in NumPy, and the description of one that is only known by what it computes.

A description has a `kind`, "cross-entropy" or, for one output per example or labels of the outputs' shape,
"binary-cross-entropy" or "squares"; `input`, what the outputs are taken for: "logits", "softmax twice" or
"probabilities"; `smoothing`; `reduction`; and `broadcast`, whether every label meets every output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.activations import log_softmax, softmax

Array = NDArray[Any]
Loss = Callable[[Array, Array], float | Array]
Case = tuple[Array, Array]
"""Logits or values, and labels."""

FORMS = ("as they are", "one-hot", "in the outputs' shape")
"""Forms in which labels are given to a loss, in the order in which they are tried."""

REDUCTIONS = ("mean", "sum", "none", "mean of sums")
KERAS_EPSILON = 1e-7  # keras.config.epsilon(): probabilities are clipped to it


@dataclass(frozen=True)
class Description:
    """Description of what a loss computes."""

    kind: str
    input: str = "logits"
    smoothing: float = 0.0
    reduction: str = "mean"
    broadcast: bool = False


def encoded(y: Array, z: Array, form: str) -> Array:
    """Labels for outputs `z` in one of FORMS; as they are where they have no such form."""
    classes = z.shape[-1]
    if form == FORMS[1] and np.issubdtype(y.dtype, np.integer) and 0 <= y.min() <= y.max() < classes:
        return np.asarray(np.eye(classes)[y])
    return y.reshape(z.shape) if form == FORMS[2] and y.size == z.size else y


def value(description: Description, z: Array, y: Array) -> float | Array:
    """The loss of logits or values `z`, (N, C) or (N,), and labels `y`: classes (N,), or shaped as `z`."""
    each = _each(description, z, y)
    match description.reduction:
        case "mean":
            return float(each.mean())
        case "sum":
            return float(each.sum())
        case "mean of sums":
            return float(each.sum() / len(z))
    return each


def _each(description: Description, z: Array, y: Array) -> Array:
    if description.kind == "cross-entropy":
        logs = _log_probabilities(description.input, z)
        own = -logs[np.arange(len(z)), y.astype(int)]
        return np.asarray((1 - description.smoothing) * own - description.smoothing * logs.mean(1))
    if description.broadcast:
        z, y = z.reshape(-1, 1), y.reshape(1, -1)
    else:
        y = y.reshape(z.shape)
    if description.kind == "squares":
        return np.asarray((z - y) ** 2)
    if description.input == "probabilities":
        p = np.clip(z, KERAS_EPSILON, 1 - KERAS_EPSILON)
        return np.asarray(-y * np.log(p) - (1 - y) * np.log(1 - p))
    z = 1 / (1 + np.exp(-z)) if description.input == "softmax twice" else z
    return np.asarray(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))


def _log_probabilities(taken_for: str, z: Array) -> Array:
    match taken_for:
        case "logits":
            return log_softmax(z)
        case "softmax twice":
            return log_softmax(softmax(z))
        case "log-probabilities":
            return z
        case "sparse probabilities":
            return log_softmax(np.log(np.clip(z, KERAS_EPSILON, 1 - KERAS_EPSILON)))
    shares = z / z.sum(1, keepdims=True)
    return np.asarray(np.log(np.clip(shares, KERAS_EPSILON, 1 - KERAS_EPSILON)))


def describe(loss: Loss, cases: Sequence[Case], tolerance: float) -> Description | None:
    """The description that gives the loss of every case within a relative tolerance; None if none does."""
    given = [loss(z, y) for z, y in cases]
    for candidate in _candidates(*cases[0]):
        for description in _with_smoothing(candidate, cases[0], given[0]):
            if all(
                close(value(description, z, y), known, tolerance)
                for (z, y), known in zip(cases, given, strict=True)
            ):
                return description
    return None


def _candidates(z: Array, y: Array) -> Iterator[Description]:
    if z.ndim == 2 and z.shape[1] > 1 and y.ndim == 1:
        for taken_for in (
            *("logits", "softmax twice", "log-probabilities", "probabilities", "sparse probabilities"),
        ):
            for reduction in REDUCTIONS[:3]:
                yield Description("cross-entropy", taken_for, reduction=reduction)
        return
    if y.size != z.size:
        return
    single = z.shape[1:] in ((), (1,))
    for broadcast in (False, True) if single else (False,):
        for reduction in REDUCTIONS:
            yield Description("squares", reduction=reduction, broadcast=broadcast)
            for taken_for in ("logits", "softmax twice", "probabilities"):
                yield Description("binary-cross-entropy", taken_for, reduction=reduction, broadcast=broadcast)


def _with_smoothing(candidate: Description, case: Case, given: float | Array) -> Iterator[Description]:
    """The candidate without smoothing, and with the amount for which it would have the given loss."""
    yield candidate
    if candidate.kind != "cross-entropy" or candidate.reduction == "none" or np.ndim(given):
        return
    none = float(value(candidate, *case))
    slope = float(value(replace(candidate, smoothing=1.0), *case)) - none
    amount = (float(given) - none) / slope if slope else 0.0
    if 0 < amount < 1:
        yield replace(candidate, smoothing=round(amount, 9))


def close(left: float | Array, right: float | Array, tolerance: float) -> bool:
    """Whether two losses are of one shape and differ by no more than a relative tolerance."""
    a, b = np.asarray(left, float), np.asarray(right, float)
    a, b = (a.ravel(), b.ravel()) if a.size == b.size and a.size > 1 else (a, b)
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    return bool(np.abs(a - b).max() <= tolerance * max(1.0, np.abs(a).max()))
