"""A network as a frozen description in no framework's terms, with the facts that follow from it.

Shapes, names and layouts of arrays are those of `common.model.layers`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from math import prod
from typing import Literal

from common.checked import Checked
from common.identity import is_added, kind_of
from common.model.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Shape,
    Size,
    SpatialDropout,
    SpecError,
)

Init = Literal["fan-in-uniform", "xavier-uniform"]

Layer = (
    Conv
    | BatchNorm
    | Activation
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | Flatten
    | Dense
    | Dropout
    | SpatialDropout
)


@dataclass(frozen=True)
class Node:
    """A layer in its place: its name, its shapes in and out (without the batch), and the layer after it."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    following: Layer | None = None

    @property
    def weights(self) -> dict[str, Shape]:
        """Shapes of the trained arrays, by canonical name, in order."""
        shapes = self.layer.weights(self.input_shape)
        return {f"{self.name}.{array}": shape for array, shape in shapes.items()}

    @property
    def statistics(self) -> dict[str, Shape]:
        """Shapes of the arrays that are kept but not trained (BatchNorm's running mean and variance)."""
        shapes = self.layer.statistics(self.input_shape)
        return {f"{self.name}.{array}": shape for array, shape in shapes.items()}

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(prod(shape) for shape in self.weights.values())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass; convolutions and dense layers only, without biases."""
        return self.layer.multiply_adds(self.input_shape)

    @property
    def title(self) -> str:
        """The layer kind and its settings that are not the default, as its constructor is written."""
        parts = []
        for field in dataclasses.fields(self.layer):
            value = getattr(self.layer, field.name)
            if value != field.default:
                parts.append(f"{field.name}={value!r}" if field.kw_only else repr(value))
        return f"{kind_of(self.layer)}({', '.join(parts)})"


@dataclass(frozen=True)
class ModelSpec(Checked):
    """A network: layers in order, from images of `input_shape` to logits.

    `init` is the distribution of the initial weights, drawn in `common.training`.
    Raises SpecError when a layer does not fit its input, and for a value of the wrong type.
    """

    error = SpecError

    name: str
    layers: tuple[Layer, ...]
    input_shape: tuple[Size, ...] = (1, 28, 28)
    init: Init = "fan-in-uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        last = self.input_shape
        for node in self.nodes():
            last = node.output_shape
        if len(last) != 1:
            raise SpecError(
                f"{self.name} ends in shape {last}; logits need one dimension: add Flatten or Dense."
            )

    def nodes(self) -> Iterator[Node]:
        """The layers in order, named, with their shapes."""
        count: Counter[str] = Counter()
        shape = self.input_shape
        for layer, following in zip_longest(self.layers, self.layers[1:]):
            count[layer.stem] += 1
            name = f"{layer.stem}{count[layer.stem]}"
            try:
                after = layer.output_shape(shape)
            except SpecError as error:
                raise SpecError(f"{self.name}, layer {name}: {error}") from None
            yield Node(name, layer, shape, after, following)
            shape = after

    @property
    def weights(self) -> dict[str, Shape]:
        """Shapes of all trained arrays by canonical name, in the order of the layers."""
        return {name: shape for node in self.nodes() for name, shape in node.weights.items()}

    @property
    def statistics(self) -> dict[str, Shape]:
        """Shapes of all arrays that are kept but not trained."""
        return {name: shape for node in self.nodes() for name, shape in node.statistics.items()}

    @property
    def outputs(self) -> int:
        """Number of logits."""
        return list(self.nodes())[-1].output_shape[0]

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(node.parameters for node in self.nodes())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass."""
        return sum(node.multiply_adds for node in self.nodes())

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON: what the recipe hash and a checkpoint's metadata hold."""
        return vars(self) | {"layers": [_plain(layer) for layer in self.layers]}


def _plain(layer: Layer) -> dict[str, object]:
    """A layer's kind and fields, without added ones at their default."""
    fields = [(field, getattr(layer, field.name)) for field in dataclasses.fields(layer)]
    settings = {field.name: value for field, value in fields if not is_added(field) or value != field.default}
    return {"kind": kind_of(layer)} | settings


def summary(spec: ModelSpec) -> str:
    """The network's layers, output shapes and parameters, as a table."""
    lines = [f"{'layer':36}{'output shape':>16}{'parameters':>14}", "-" * 66]
    for node in spec.nodes():
        shape = "x".join(map(str, node.output_shape))
        lines.append(f"{node.name + '  ' + node.title:36}{shape:>16}{node.parameters:>14,}")
    lines += ["-" * 66, f"{spec.name:36}{'':16}{spec.parameters:>14,}"]
    return "\n".join(lines)
