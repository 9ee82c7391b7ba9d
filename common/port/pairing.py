"""Which operation of a PyTorch model is which of a Keras model, and how their arrays lie.

Operations are paired by an alignment of the two sequences of calls: those with weights by kind and shape,
those without by kind. Arrays of the Keras side are compared in the layout that comes closest: as they are,
with the channels moved to the front, or, after a Flatten, with their features in PyTorch's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Flat = tuple[int, ...]
"""Channels, height and width of images that were flattened."""

APART = 1e-4
"""Relative difference of arrays that are not those of the same place: far more than rounding makes."""

UNLIKE = 1e-3
"""Distance of features beyond which they do not show in which order they are."""

IGNORED = ("identity", "reshape")
NORMS = ("batchnorm", "layernorm", "groupnorm")


@dataclass(frozen=True, eq=False)
class Operation:
    """A recorded call of one side; `weights` has the shapes of its arrays, in PyTorch's layout, by name."""

    index: int
    name: str
    layer: str | None
    kind: str
    attributes: Mapping[str, Any]
    weights: Mapping[str, Sequence[int]]
    inputs: Array
    outputs: Array

    @property
    def shape(self) -> str:
        """Shapes of the weights, for a list."""
        return " ".join(str(list(shape)) for shape in self.weights.values())


@dataclass(frozen=True, eq=False)
class Step:
    """One place in the alignment: a pair, or an operation of one side alone."""

    left: Operation | None
    right: Operation | None

    @property
    def name(self) -> str:
        """`conv1 / conv2d`, or the name of one side."""
        return " / ".join(side.name for side in (self.left, self.right) if side is not None)


@dataclass(frozen=True, eq=False)
class Trace:
    """The operations of one side in order, and the outputs of the model."""

    operations: Sequence[Operation]
    outputs: Sequence[Array]


def trace(answer: Mapping[str, Any]) -> Trace:
    """The trace in a worker's answer to the verb `trace`."""
    return Trace([Operation(**operation) for operation in answer["operations"]], answer["outputs"])


def align(left: Sequence[Operation], right: Sequence[Operation]) -> list[Step]:
    """The alignment with the largest sum of scores, by dynamic programming."""
    left, right = _considered(left), _considered(right)
    best = np.zeros((len(left) + 1, len(right) + 1))
    scores = np.array([[score(p, k) for k in right] for p in left]).reshape(len(left), len(right))
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best[i, j] = max(best[i + 1, j], best[i, j + 1], scores[i, j] + best[i + 1, j + 1])
    steps, i, j = [], 0, 0
    while i < len(left) or j < len(right):
        both = i < len(left) and j < len(right)
        if both and scores[i, j] > 0 and best[i, j] == scores[i, j] + best[i + 1, j + 1]:
            steps.append(Step(left[i], right[j]))
            i, j = i + 1, j + 1
        elif i < len(left) and best[i, j] == best[i + 1, j]:
            steps.append(Step(left[i], None))
            i += 1
        else:
            steps.append(Step(None, right[j]))
            j += 1
    return _branches(steps)


def _branches(steps: Sequence[Step]) -> list[Step]:
    """The steps with those layers paired that the two sides call in another order, as in two branches."""
    result = list(steps)
    for step in steps:
        if step.right is not None or step.left is None or not step.left.weights:
            continue
        for other in result:
            if other.left is None and other.right is not None and score(step.left, other.right) > 0:
                first, last = sorted((result.index(step), result.index(other)))
                result[last] = Step(step.left, other.right)
                del result[first]
                break
    return result


def _considered(operations: Iterable[Operation]) -> list[Operation]:
    return [
        operation
        for operation in operations
        if operation.kind not in IGNORED and operation.attributes.get("function") != "linear"
    ]


def score(left: Operation, right: Operation) -> float:
    """Goodness of fit of two operations: minus infinity if they are no pair."""
    if bool(left.weights) != bool(right.weights):
        return -np.inf
    known = left.kind == right.kind
    if left.weights:
        fits = same_weights(left, right) if known else _same_unknown(left, right)
        return 10.0 + known if fits else -np.inf
    if not known or not layouts(left.outputs, right.outputs):
        return -np.inf
    if left.kind == "pad" and left.attributes != right.attributes:
        return -np.inf  # each is a part of the operation after it
    return 3.0 + (left.attributes == right.attributes)


def same_weights(left: Operation, right: Operation) -> bool:
    """Whether the arrays that both sides have are of one shape, a kernel among them if there is one."""
    shared = left.weights.keys() & right.weights.keys()
    if left.kind not in NORMS and not {"weight"} & shared:
        return False
    return all(list(left.weights[name]) == list(right.weights[name]) for name in shared)


def _same_unknown(left: Operation, right: Operation) -> bool:
    """Whether layers of kinds that are not known here have arrays of the same shapes in order."""
    unknown = left.kind.startswith("module ") and right.kind.startswith("layer ")
    return unknown and [*map(list, left.weights.values())] == [*map(list, right.weights.values())]


def layouts(left: Array, right: Array, flats: Iterable[Flat] = ()) -> dict[str, Array]:
    """The Keras array in every layout in which it has the PyTorch array's shape, by the layout's name."""
    result = {}
    if left.shape == right.shape:
        result["same"] = right
    if right.ndim > 2 and left.shape == (moved := np.moveaxis(right, -1, 1)).shape:
        result["channels moved"] = moved
    if left.ndim == right.ndim == 2 and left.shape == right.shape:
        for flat in flats:
            if right.shape[1] == np.prod(flat):
                result["flattened"] = features_to_pytorch(right, flat)
    return result


def features_to_pytorch(array: Array, flat: Flat) -> Array:
    """Features (N, H W C) in the order (N, C H W); so of sequences and volumes."""
    channels, *sides = flat
    return np.moveaxis(array.reshape(-1, *sides, channels), -1, 1).reshape(array.shape)


def features_to_keras(array: Array, flat: Flat) -> Array:
    """Features (N, C H W) in the order (N, H W C)."""
    return np.moveaxis(array.reshape(-1, *flat), 1, -1).reshape(array.shape)


def difference(left: Array, right: Array) -> float:
    """The largest difference relative to the largest value of either; infinite where one is not finite."""
    if not left.size:
        return 0.0
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(left - right).max())
    if np.isnan(largest):
        return 0.0 if np.array_equal(left, right, equal_nan=True) else np.inf
    scale = max(float(np.abs(left).max()), float(np.abs(right).max()))
    return 0.0 if largest == 0 else largest / scale


def closest(left: Array, right: Array, flats: Iterable[Flat] = ()) -> tuple[float, str]:
    """The difference in the layout that comes closest, and its name; infinite and "" without a layout."""
    found = [(difference(left, array), name) for name, array in layouts(left, right, flats).items()]
    return min(found, default=(np.inf, ""), key=lambda item: item[0])


def flats(left: Sequence[Operation], right: Sequence[Operation]) -> dict[Flat, bool]:
    """Shapes of images, sequences and volumes, channels first, that are flattened on either side, and where
    the order of the channels matters; true for one that PyTorch flattens with channels first and Keras with
    channels last."""
    sides: list[list[Flat]] = [[], []]
    for operations, axis, shapes in ((left, 1, sides[0]), (right, -1, sides[1])):
        for operation in operations:
            if operation.kind == "flatten" and operation.inputs.ndim > 2:
                channels, *lengths = np.moveaxis(operation.inputs, axis, 1).shape[1:]
                if channels > 1 and np.prod(lengths) > 1:
                    shapes.append((channels, *lengths))
    return {shape: all(shape in shapes for shapes in sides) for shape in dict.fromkeys(sides[0] + sides[1])}


@dataclass
class Names:
    """For each array of the Keras side its partner, and the shape it was flattened from, if it was."""

    partners: dict[str, str] = field(default_factory=dict)
    flats: dict[str, Flat] = field(default_factory=dict)

    def to_keras(self, left: Mapping[str, Array]) -> dict[str, Array]:
        """PyTorch's arrays under the names and in the order of features of the Keras side."""
        return {
            key: self._reordered(left[partner], self.flats.get(key), features_to_keras)
            for key, partner in self.partners.items()
            if partner in left
        }

    def to_pytorch(self, right: Mapping[str, Array]) -> dict[str, Array]:
        """The Keras arrays under the names and in the order of features of the PyTorch side."""
        return {
            self.partners[key]: self._reordered(array, self.flats.get(key), features_to_pytorch)
            for key, array in right.items()
            if key in self.partners
        }

    @staticmethod
    def _reordered(array: Array, flat: Flat | None, order: Any) -> Array:
        if flat is None:
            return array
        return np.asarray(order(array[None] if array.ndim == 1 else array, flat)).reshape(array.shape)


def names(steps: Sequence[Step], flattened: Mapping[Flat, bool]) -> Names:
    """Partners of all arrays of paired operations that have one.

    A dense kernel whose inputs have the order (H, W, C) on the Keras side has its columns in that order.
    """
    result = Names()
    for step in steps:
        left, right = step.left, step.right
        if left is None or right is None:
            continue
        pairs = {name: name for name in left.weights if name in right.weights}
        if left.kind != right.kind:
            pairs = dict(zip(left.weights, right.weights, strict=True))
        flat = _flat(left, right, flattened)
        for own, other in pairs.items():
            key = f"{right.layer}.{other}"
            result.partners[key] = f"{left.layer}.{own}"
            shape = left.weights[own]
            by_feature = len(shape) == 2 or left.kind in NORMS
            if flat and by_feature and shape[-1] == np.prod(flat):
                result.flats[key] = flat
    return result


def _flat(left: Operation, right: Operation, flattened: Mapping[Flat, bool]) -> Flat | None:
    """The shape from which the inputs of a pair were flattened in two orders; None if the orders agree.

    The inputs themselves show it, unless what is before them differs: then the layouts do.
    """
    if left.inputs.ndim != 2 or left.inputs.shape != right.inputs.shape:
        return None
    for flat, by_layout in flattened.items():
        if left.inputs.shape[1] == np.prod(flat):
            moved = _distance(left.inputs, features_to_pytorch(right.inputs, flat))
            same = _distance(left.inputs, right.inputs)
            in_two_orders = moved < same if min(moved, same) <= UNLIKE else by_layout
            if in_two_orders:
                return flat
    return None


def _distance(left: Array, right: Array) -> float:
    """One minus the correlation, which a scale or an offset of one side does not change."""
    a, b = left - left.mean(), right - right.mean()
    return float(1 - (a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-300))
