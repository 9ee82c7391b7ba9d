"""What is a network? A frozen description that names no framework, with the facts that follow from it.

Shapes are channel-first, (channels, height, width), without the batch. Weights have PyTorch's names and
layouts: a convolution kernel is (out, in / groups, height, width), a dense kernel (out, in).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, assert_never

from common.identity import kind_of

Shape = tuple[int, ...]
Init = Literal["fan-in-uniform", "xavier-uniform"]


class SpecError(ValueError):
    """A network that cannot be built; the message says which layer and why."""


@dataclass(frozen=True)
class Conv:
    """2-D cross-correlation; `padding` zeros on each side; `groups=in_channels` makes it depthwise."""

    kind: ClassVar[str] = "Conv"

    out_channels: int
    kernel_size: int
    padding: int = 0
    stride: int = 1
    groups: int = 1
    bias: bool = True


@dataclass(frozen=True)
class BatchNorm:
    """Per-channel normalisation; `momentum` is the weight of the new batch, the running variance unbiased."""

    kind: ClassVar[str] = "BatchNorm"

    eps: float = 1e-5
    momentum: float = 0.1


@dataclass(frozen=True)
class Activation:
    """Elementwise max(x, 0); the one kind the source networks use."""

    kind: ClassVar[str] = "Activation"

    function: Literal["relu"] = "relu"


@dataclass(frozen=True)
class MaxPool:
    """Largest of each `kernel_size` square, side by side; an incomplete last row or column is dropped."""

    kind: ClassVar[str] = "MaxPool"

    kernel_size: int


@dataclass(frozen=True)
class GlobalAvgPool:
    """Mean over height and width: (C, H, W) to (C,)."""

    kind: ClassVar[str] = "GlobalAvgPool"


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C * H * W,), in C, H, W order."""

    kind: ClassVar[str] = "Flatten"


@dataclass(frozen=True)
class Dense:
    """Affine map of a vector."""

    kind: ClassVar[str] = "Dense"

    out_features: int
    bias: bool = True


@dataclass(frozen=True)
class Dropout:
    """In training each element is zeroed with probability `rate`, the rest divided by 1 - rate."""

    kind: ClassVar[str] = "Dropout"

    rate: float


@dataclass(frozen=True)
class SpatialDropout:
    """Dropout of whole channels."""

    kind: ClassVar[str] = "SpatialDropout"

    rate: float


Layer = Conv | BatchNorm | Activation | MaxPool | GlobalAvgPool | Flatten | Dense | Dropout | SpatialDropout

# A layer's name is its prefix and its number among its kind: conv1, norm1, relu1, conv2, ...
PREFIX: dict[type, str] = {
    Conv: "conv",
    BatchNorm: "norm",
    Activation: "relu",
    MaxPool: "pool",
    GlobalAvgPool: "mean",
    Flatten: "flatten",
    Dense: "dense",
    Dropout: "dropout",
    SpatialDropout: "dropout",
}


@dataclass(frozen=True)
class Node:
    """A layer in its place: its name, and the shapes that enter and leave it (without the batch)."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape

    @property
    def weights(self) -> dict[str, Shape]:
        """Trained arrays, by canonical name, in order."""
        layer, into = self.layer, self.input_shape
        shapes: dict[str, Shape] = {}
        match layer:
            case Conv():
                kernel = (layer.out_channels, into[0] // layer.groups, layer.kernel_size, layer.kernel_size)
                shapes = {"weight": kernel} | ({"bias": (layer.out_channels,)} if layer.bias else {})
            case Dense():
                shapes = {"weight": (layer.out_features, into[0])}
                shapes |= {"bias": (layer.out_features,)} if layer.bias else {}
            case BatchNorm():
                shapes = {"weight": (into[0],), "bias": (into[0],)}
        return {f"{self.name}.{key}": shape for key, shape in shapes.items()}

    @property
    def statistics(self) -> dict[str, Shape]:
        """Arrays that are kept but not trained (BatchNorm's running mean and variance)."""
        if not isinstance(self.layer, BatchNorm):
            return {}
        channels = self.input_shape[:1]
        return {f"{self.name}.running_mean": channels, f"{self.name}.running_var": channels}

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(prod(shape) for shape in self.weights.values())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass; convolutions and dense layers, biases left out."""
        layer = self.layer
        if not isinstance(layer, Conv | Dense):
            return 0
        kernel = next(iter(self.weights.values()))
        positions = prod(self.output_shape[1:]) if isinstance(layer, Conv) else 1
        return prod(kernel) * positions

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
class ModelSpec:
    """A network: layers in order, from images of `input_shape` to logits.

    `init` is the distribution of the initial weights, see `common.training.checkpoint`.
    Raises SpecError when a layer does not fit what comes into it.
    """

    name: str
    layers: tuple[Layer, ...]
    input_shape: Shape = (1, 28, 28)
    init: Init = "fan-in-uniform"

    def __post_init__(self) -> None:
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
        for layer in self.layers:
            prefix = PREFIX[type(layer)]
            count[prefix] += 1
            name = f"{prefix}{count[prefix]}"
            try:
                after = output_shape(layer, shape)
            except SpecError as error:
                raise SpecError(f"{self.name}, layer {name}: {error}") from None
            yield Node(name, layer, shape, after)
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

    def has(self, *kinds: type) -> bool:
        """Whether a layer of one of `kinds` is in the network."""
        return any(isinstance(layer, kinds) for layer in self.layers)

    def without_dropout(self) -> ModelSpec:
        """The same network with no random layers, for comparisons that must be exact."""
        kept = tuple(layer for layer in self.layers if not isinstance(layer, Dropout | SpatialDropout))
        return dataclasses.replace(self, layers=kept)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON: what the recipe hash and a checkpoint's metadata hold."""
        layers = [{"kind": kind_of(layer)} | dataclasses.asdict(layer) for layer in self.layers]
        return dataclasses.asdict(self) | {"layers": layers}


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Shape that leaves `layer` when `shape` enters it. Raises SpecError when it cannot."""
    match layer:
        case Conv():
            channels, height, width = _image(shape)
            if (
                min(layer.out_channels, layer.kernel_size, layer.stride, layer.groups) < 1
                or layer.padding < 0
            ):
                raise SpecError(f"{layer} needs positive sizes and no negative padding.")
            if channels % layer.groups or layer.out_channels % layer.groups:
                raise SpecError(
                    f"groups={layer.groups} must divide both {channels} channels in and "
                    f"{layer.out_channels} channels out."
                )
            sides = [
                (side + 2 * layer.padding - layer.kernel_size) // layer.stride + 1 for side in (height, width)
            ]
            if min(sides) < 1:
                raise SpecError(f"a kernel of {layer.kernel_size} does not fit into {height}x{width}.")
            return (layer.out_channels, *sides)
        case MaxPool():
            channels, height, width = _image(shape)
            if layer.kernel_size < 1 or min(height, width) < layer.kernel_size:
                raise SpecError(f"a pool of {layer.kernel_size} does not fit into {height}x{width}.")
            return (channels, height // layer.kernel_size, width // layer.kernel_size)
        case GlobalAvgPool():
            return _image(shape)[:1]
        case Flatten():
            return (prod(shape),)
        case Dense():
            if len(shape) != 1:
                raise SpecError(f"Dense takes a vector, not shape {shape}: put Flatten before it.")
            if layer.out_features < 1:
                raise SpecError(f"Dense needs at least one feature, not {layer.out_features}.")
            return (layer.out_features,)
        case Dropout() | SpatialDropout():
            if not 0 <= layer.rate < 1:
                raise SpecError(f"a dropout rate is at least 0 and below 1, not {layer.rate}.")
            return _image(shape) if isinstance(layer, SpatialDropout) else shape
        case BatchNorm() | Activation():
            return shape
        case _:
            assert_never(layer)


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SpecError(f"expected (channels, height, width), got shape {shape}.")
    return shape[0], shape[1], shape[2]


def summary(spec: ModelSpec) -> str:
    """The network's layers, output shapes and parameters, as a table."""
    lines = [f"{'layer':36}{'output shape':>16}{'parameters':>14}", "-" * 66]
    for node in spec.nodes():
        shape = "x".join(map(str, node.output_shape))
        lines.append(f"{node.name + '  ' + node.title:36}{shape:>16}{node.parameters:>14,}")
    lines += ["-" * 66, f"{spec.name:36}{'':16}{spec.parameters:>14,}"]
    return "\n".join(lines)
