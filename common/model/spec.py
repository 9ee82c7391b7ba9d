"""A network as a frozen description in no framework's terms, with the facts that follow from it.

Shapes are channel-first, (channels, height, width), without the batch. Weights have PyTorch's names and
layouts: a convolution kernel is (out, in / groups, height, width), a dense kernel (out, in).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import zip_longest
from math import prod
from typing import Annotated, ClassVar, Literal

from common.checked import Between, Checked
from common.identity import kind_of

Shape = tuple[int, ...]
Size = Annotated[int, Between(1, 1_000_000)]
Rate = Annotated[float, Between(0, 1, below=True)]
Init = Literal["fan-in-uniform", "xavier-uniform"]


class SpecError(ValueError):
    """A network that cannot be built; the message names the layer and the reason."""


class LayerKind(Checked):
    """The facts about a layer: its names, the shapes of its output and arrays, and its cost.

    `kind` names it in the recipe digest and the tables. `prefix` and a number make the canonical name: conv1,
    norm1, relu1, conv2, ... The methods are given the shape of the layer's input, without the batch.
    Raises SpecError for a value that the annotation of its field does not allow.
    """

    error = SpecError
    kind: ClassVar[str]
    prefix: ClassVar[str]

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output. Raises SpecError for an input that does not fit."""
        return shape

    def weights(self, shape: Shape) -> dict[str, Shape]:
        """Shapes of the trained arrays, by the last part of their canonical name."""
        return {}

    def statistics(self, shape: Shape) -> dict[str, Shape]:
        """Shapes of the arrays that are kept but not trained, named likewise."""
        return {}

    def multiply_adds(self, shape: Shape) -> int:
        """Multiply-adds of one image's forward pass; convolutions and dense layers only, without biases."""
        return 0


@dataclass(frozen=True)
class Conv(LayerKind):
    """2-D cross-correlation; `padding` zeros on each side; `groups=in_channels` makes it depthwise."""

    kind: ClassVar[str] = "Conv"
    prefix: ClassVar[str] = "conv"

    out_channels: Size
    kernel_size: Size
    _: KW_ONLY
    padding: Annotated[int, Between(0, 1_000_000)] = 0
    stride: Size = 1
    groups: Size = 1
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = _image(shape)
        if channels % self.groups or self.out_channels % self.groups:
            raise SpecError(
                f"groups={self.groups} must divide both {channels} channels in and "
                f"{self.out_channels} channels out."
            )
        sides = [(side + 2 * self.padding - self.kernel_size) // self.stride + 1 for side in (height, width)]
        if min(sides) < 1:
            raise SpecError(f"a kernel of {self.kernel_size} does not fit into {height}x{width}.")
        return (self.out_channels, *sides)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        kernel = (self.out_channels, shape[0] // self.groups, self.kernel_size, self.kernel_size)
        return {"weight": kernel} | ({"bias": (self.out_channels,)} if self.bias else {})

    def multiply_adds(self, shape: Shape) -> int:
        return prod(self.weights(shape)["weight"]) * prod(self.output_shape(shape)[1:])


@dataclass(frozen=True)
class BatchNorm(LayerKind):
    """Per-channel normalisation; `momentum` is the weight of the new batch, the running variance unbiased."""

    kind: ClassVar[str] = "BatchNorm"
    prefix: ClassVar[str] = "norm"

    _: KW_ONLY
    eps: Annotated[float, Between(0, above=True)] = 1e-5
    momentum: Annotated[float, Between(0, 1)] = 0.1

    def weights(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": shape[:1], "bias": shape[:1]}

    def statistics(self, shape: Shape) -> dict[str, Shape]:
        return {"running_mean": shape[:1], "running_var": shape[:1]}


@dataclass(frozen=True)
class Activation(LayerKind):
    """Elementwise max(x, 0); the only activation in the source networks."""

    kind: ClassVar[str] = "Activation"
    prefix: ClassVar[str] = "relu"

    function: Literal["relu"] = "relu"


@dataclass(frozen=True)
class MaxPool(LayerKind):
    """Largest of each `kernel_size` square, side by side; an incomplete last row or column is dropped."""

    kind: ClassVar[str] = "MaxPool"
    prefix: ClassVar[str] = "pool"

    kernel_size: Size

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = _image(shape)
        if min(height, width) < self.kernel_size:
            raise SpecError(f"a pool of {self.kernel_size} does not fit into {height}x{width}.")
        return (channels, height // self.kernel_size, width // self.kernel_size)


@dataclass(frozen=True)
class GlobalAvgPool(LayerKind):
    """Mean over height and width: (C, H, W) to (C,)."""

    kind: ClassVar[str] = "GlobalAvgPool"
    prefix: ClassVar[str] = "mean"

    def output_shape(self, shape: Shape) -> Shape:
        return _image(shape)[:1]


@dataclass(frozen=True)
class Flatten(LayerKind):
    """(C, H, W) to (C * H * W,), in C, H, W order."""

    kind: ClassVar[str] = "Flatten"
    prefix: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Dense(LayerKind):
    """Affine map of a vector."""

    kind: ClassVar[str] = "Dense"
    prefix: ClassVar[str] = "dense"

    out_features: Size
    _: KW_ONLY
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise SpecError(f"Dense requires a vector, not shape {shape}: put Flatten before it.")
        return (self.out_features,)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        kernel = (self.out_features, shape[0])
        return {"weight": kernel} | ({"bias": (self.out_features,)} if self.bias else {})

    def multiply_adds(self, shape: Shape) -> int:
        return self.out_features * shape[0]


@dataclass(frozen=True)
class Dropout(LayerKind):
    """In training each element is zeroed with probability `rate`, the rest divided by 1 - rate."""

    kind: ClassVar[str] = "Dropout"
    prefix: ClassVar[str] = "dropout"

    rate: Rate


@dataclass(frozen=True)
class SpatialDropout(LayerKind):
    """Dropout of whole channels."""

    kind: ClassVar[str] = "SpatialDropout"
    prefix: ClassVar[str] = "dropout"

    rate: Rate

    def output_shape(self, shape: Shape) -> Shape:
        return _image(shape)


Layer = Conv | BatchNorm | Activation | MaxPool | GlobalAvgPool | Flatten | Dense | Dropout | SpatialDropout


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SpecError(f"expected (channels, height, width), got shape {shape}.")
    return shape[0], shape[1], shape[2]


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
            if field.default is dataclasses.MISSING:
                parts.append(str(value))
            elif value != field.default:
                parts.append(f"{field.name}={value}")
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
            count[layer.prefix] += 1
            name = f"{layer.prefix}{count[layer.prefix]}"
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
        layers = [{"kind": kind_of(layer)} | dataclasses.asdict(layer) for layer in self.layers]
        return dataclasses.asdict(self) | {"layers": layers}


def summary(spec: ModelSpec) -> str:
    """The network's layers, output shapes and parameters, as a table."""
    lines = [f"{'layer':36}{'output shape':>16}{'parameters':>14}", "-" * 66]
    for node in spec.nodes():
        shape = "x".join(map(str, node.output_shape))
        lines.append(f"{node.name + '  ' + node.title:36}{shape:>16}{node.parameters:>14,}")
    lines += ["-" * 66, f"{spec.name:36}{'':16}{spec.parameters:>14,}"]
    return "\n".join(lines)
