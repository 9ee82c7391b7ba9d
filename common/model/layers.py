"""The kinds of layers, in no framework's terms: their settings, and the shapes, arrays and costs that follow.

Shapes are channel-first, (channels, height, width), without the batch. Weights have PyTorch's names and
layouts: a convolution kernel is (out, in / groups, height, width), a dense kernel (out, in).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import prod
from typing import Annotated, ClassVar, Literal

from common.checked import Between, Checked
from common.data.augment import MAX_SIDE
from common.identity import added_field

Shape = tuple[int, ...]
Size = Annotated[int, Between(1, 1_000_000)]
Rate = Annotated[float, Between(0, 1, below=True)]
Function = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "hard_swish"]
Sizes = Size | tuple[Size, Size]
"""Rows and columns, or one number for both."""
Margin = Annotated[int, Between(0, MAX_SIDE)]
Margins = Margin | tuple[Margin, Margin]


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

    @property
    def stem(self) -> str:
        """The layer's canonical name without its number."""
        return self.prefix

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
    """2-D cross-correlation; `padding` zeros on each side; `groups=in_channels` makes it depthwise. With
    `dilation` d the kernel meets every d-th pixel.

    A pair is (rows, columns). TensorFlow has no dilation with a stride, and no depthwise convolution whose
    strides differ, so neither has this.
    """

    kind: ClassVar[str] = "Conv"
    prefix: ClassVar[str] = "conv"

    out_channels: Size
    kernel_size: Sizes
    _: KW_ONLY
    padding: Margins = 0
    stride: Sizes = 1
    groups: Size = 1
    bias: bool = True
    dilation: Sizes = added_field(1)

    def __post_init__(self) -> None:
        _check_padding(self)
        super().__post_init__()
        if max(pair(self.dilation)) > 1 and max(pair(self.stride)) > 1:
            self.refuse(f"dilation={self.dilation} requires stride=1, not {self.stride}, as in TensorFlow")

    def output_shape(self, shape: Shape) -> Shape:
        channels, _, _ = _image(shape)
        if channels % self.groups or self.out_channels % self.groups:
            raise SpecError(
                f"groups={self.groups} must divide both {channels} channels in and "
                f"{self.out_channels} channels out."
            )
        if self.is_depthwise(shape) and len(set(pair(self.stride))) > 1:
            raise SpecError(f"a depthwise convolution has one stride, not {self.stride}, in TensorFlow.")
        noun = "kernel" if self.dilation == 1 else f"kernel with dilation {_words(self.dilation)}"
        sides = _windows(
            shape, self.kernel_size, noun, stride=self.stride, padding=self.padding, dilation=self.dilation
        )
        return (self.out_channels, *sides)

    def is_depthwise(self, shape: Shape) -> bool:
        """Whether it has one kernel for each channel, which is a layer of its own in Keras."""
        return self.groups == shape[0] == self.out_channels > 1

    def weights(self, shape: Shape) -> dict[str, Shape]:
        kernel = (self.out_channels, shape[0] // self.groups, *pair(self.kernel_size))
        return {"weight": kernel} | ({"bias": (self.out_channels,)} if self.bias else {})

    def multiply_adds(self, shape: Shape) -> int:
        return prod(self.weights(shape)["weight"]) * prod(self.output_shape(shape)[1:])


@dataclass(frozen=True)
class BatchNorm(LayerKind):
    """Per-channel normalisation; `momentum` is the weight of the new batch, the running variance unbiased.

    With `affine` each channel is then scaled and shifted by trained values, as with GroupNorm.
    """

    kind: ClassVar[str] = "BatchNorm"
    prefix: ClassVar[str] = "norm"

    _: KW_ONLY
    eps: Annotated[float, Between(0, above=True)] = 1e-5
    momentum: Annotated[float, Between(0, 1)] = 0.1
    affine: bool = added_field(True)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": shape[:1], "bias": shape[:1]} if self.affine else {}

    def statistics(self, shape: Shape) -> dict[str, Shape]:
        return {"running_mean": shape[:1], "running_var": shape[:1]}


@dataclass(frozen=True)
class GroupNorm(LayerKind):
    """Normalisation of each image over each of `groups` equal groups of its channels; a scale and a shift for
    each channel. With groups=1 it is layer normalisation over channels, rows and columns."""

    kind: ClassVar[str] = "GroupNorm"
    prefix: ClassVar[str] = "norm"

    groups: Size
    _: KW_ONLY
    eps: Annotated[float, Between(0, above=True)] = 1e-5

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] % self.groups:
            raise SpecError(f"groups={self.groups} must divide {shape[0]} channels.")
        if prod(shape) == self.groups:
            raise SpecError(
                f"groups={self.groups} leaves one value in each group of shape {shape}; it needs at least "
                "two, as one value normalised is always 0."
            )
        return shape

    def weights(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": shape[:1], "bias": shape[:1]}


@dataclass(frozen=True)
class Activation(LayerKind):
    """An elementwise function with PyTorch's constants: leaky_relu's slope below zero is 0.01, elu's alpha 1,
    gelu is exact (by erf), hard_swish is x relu6(x + 3) / 6."""

    kind: ClassVar[str] = "Activation"
    prefix: ClassVar[str] = "relu"

    function: Function = "relu"

    @property
    def stem(self) -> str:
        """The function's name."""
        return self.function


@dataclass(frozen=True)
class _Pool(LayerKind):
    """One number for each `kernel_size` window, in steps of `stride`, by default the window's own size.

    `padding` surrounds the image; a pair is (rows, columns). An incomplete last window is dropped.
    """

    prefix: ClassVar[str] = "pool"

    kernel_size: Sizes
    stride: Sizes | None = added_field(None)
    _: KW_ONLY
    padding: Margins = added_field(0)

    def __post_init__(self) -> None:
        _check_padding(self)
        super().__post_init__()
        margins, sides = pair(self.padding), pair(self.kernel_size)
        if any(2 * margin > side for margin, side in zip(margins, sides, strict=True)):
            self.refuse(f"padding={self.padding} must be at most half of kernel_size={self.kernel_size}")

    def output_shape(self, shape: Shape) -> Shape:
        stride = self.kernel_size if self.stride is None else self.stride
        return (*shape[:1], *_windows(shape, self.kernel_size, "pool", stride=stride, padding=self.padding))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest value of each window; padding is below every value."""

    kind: ClassVar[str] = "MaxPool"


@dataclass(frozen=True)
class AvgPool(_Pool):
    """Mean of each window; padding is zeros, which are counted."""

    kind: ClassVar[str] = "AvgPool"


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


def _check_padding(layer: Conv | _Pool) -> None:
    """Refuse names of paddings, and paddings that differ between opposite sides, which PyTorch lacks."""
    padding: object = layer.padding
    if isinstance(padding, str) or (isinstance(padding, tuple) and len(padding) != 2):
        layer.refuse(
            f"padding={padding!r:.80} must be a whole number or (rows, columns), as opposite sides have the "
            "same padding in PyTorch"
        )


def pair(setting: Sizes | Margins) -> tuple[int, int]:
    """(rows, columns) of a setting that may be one number for both."""
    return setting if isinstance(setting, tuple) else (setting, setting)


def _words(size: Sizes) -> str:
    return "x".join(map(str, size)) if isinstance(size, tuple) else str(size)


def _windows(
    shape: Shape, size: Sizes, noun: str, *, stride: Sizes, padding: Margins, dilation: Sizes = 1
) -> list[int]:
    """Number of rows and of columns of windows in a padded image. Raises SpecError where none fits."""
    _, *sides = _image(shape)
    settings = zip(sides, *map(pair, (size, stride, padding, dilation)), strict=True)
    counts = [
        (side + 2 * margin - gap * (width - 1) - 1) // step + 1 for side, width, step, margin, gap in settings
    ]
    if min(counts) < 1:
        raise SpecError(f"a {noun} of {_words(size)} does not fit into {sides[0]}x{sides[1]}.")
    return counts
