"""The kinds of layers, in no framework's terms: their settings, and the shapes, arrays and costs that follow.

Shapes are channel-first, (channels, height, width), without the batch. Weights have PyTorch's names and
layouts: a convolution kernel is (out, in / groups, height, width), a dense kernel (out, in).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import prod
from typing import Annotated, ClassVar, Literal

from common.checked import Between, Checked

Shape = tuple[int, ...]
Size = Annotated[int, Between(1, 1_000_000)]
Rate = Annotated[float, Between(0, 1, below=True)]


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


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SpecError(f"expected (channels, height, width), got shape {shape}.")
    return shape[0], shape[1], shape[2]
