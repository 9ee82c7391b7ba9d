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
from typing import ClassVar, Literal, get_args

from common.checked import Checked, instead_of_class, short
from common.identity import is_added, kind_of
from common.model.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Function,
    GlobalAvgPool,
    GroupNorm,
    LayerKind,
    MaxPool,
    Shape,
    Size,
    SpatialDropout,
    SpecError,
)

Init = Literal["fan-in-uniform", "xavier-uniform"]

MAX_VALUES = 10**9
"""Of a network's parameters, and of a layer's output for one image: 4 GB in single precision."""


@dataclass(frozen=True, init=False)
class Residual(LayerKind):
    """The sum of the outputs of `layers` and of `shortcut`, which is the input where it has no layers."""

    kind: ClassVar[str] = "Residual"
    prefix: ClassVar[str] = "residual"

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    def __init__(
        self, *inner: Layer, layers: tuple[Layer, ...] = (), shortcut: tuple[Layer, ...] = ()
    ) -> None:
        if inner and layers:
            self.refuse("its layers are given both in order and as layers=; give them once")
        object.__setattr__(self, "layers", inner or layers)
        object.__setattr__(self, "shortcut", shortcut)
        self.__post_init__()

    def __post_init__(self) -> None:
        _require_layers(self, self.layers)
        _require_layers(self, self.shortcut, "shortcut layer")
        super().__post_init__()
        if not self.layers:
            self.refuse("layers=() must have at least one layer")

    def output_shape(self, shape: Shape) -> Shape:
        end, other = _end(self.layers, shape), _end(self.shortcut, shape)
        if end != other:
            raise SpecError(f"its layers end in shape {end}, its shortcut in {other}; both must be the same.")
        return end


@dataclass(frozen=True, init=False)
class Concat(LayerKind):
    """The outputs of `branches`, which all have the same input, one after another along the channels.

    A branch without layers is the input itself.
    """

    kind: ClassVar[str] = "Concat"
    prefix: ClassVar[str] = "concat"

    branches: tuple[tuple[Layer, ...], ...]

    def __init__(self, *inner: tuple[Layer, ...], branches: tuple[tuple[Layer, ...], ...] = ()) -> None:
        if inner and branches:
            self.refuse("its branches are given both in order and as branches=; give them once")
        object.__setattr__(self, "branches", inner or branches)
        self.__post_init__()

    def __post_init__(self) -> None:
        branches: object = self.branches
        for number, branch in enumerate(branches if isinstance(branches, tuple) else (), 1):
            _require_layers(self, branch, f"branch {number}, layer")
        super().__post_init__()
        if len(self.branches) < 2:
            self.refuse(f"branches={self.branches} must be at least two")

    def output_shape(self, shape: Shape) -> Shape:
        first, *others = ends = [_end(branch, shape) for branch in self.branches]
        for number, end in enumerate(others, 2):
            if end[1:] != first[1:]:
                raise SpecError(f"branch1 ends in shape {first}, branch{number} in {end}.")
        return (sum(end[0] for end in ends), *first[1:])


Layer = (
    Conv
    | BatchNorm
    | GroupNorm
    | Activation
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | Flatten
    | Dense
    | Dropout
    | SpatialDropout
    | Residual
    | Concat
)


def _require_layers(owner: Checked, layers: object, name: str = "layer") -> None:
    """Refuse the first item of a tuple that is no layer, with its number and what was probably meant."""
    for number, item in enumerate(layers if isinstance(layers, tuple) else (), 1):
        place = f"{name} {number}"
        if isinstance(item, type) and issubclass(item, LayerKind):
            owner.refuse(f"{place} {instead_of_class(item)}")
        if isinstance(item, tuple | list):
            owner.refuse(f"{place} is several layers in a {type(item).__name__}; write * before it")
        if isinstance(item, str) and item in get_args(Function):
            owner.refuse(f'{place} is the text {item!r}; write Activation("{item}")')
        if type(item) not in get_args(Layer):
            owner.refuse(f"{place} is none of the kinds of layers: {short(item)}")


def _end(layers: tuple[Layer, ...], shape: Shape) -> Shape:
    """Shape after all layers. Raises SpecError."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def _branches(layer: Layer) -> dict[str, tuple[Layer, ...]]:
    """The layers inside a layer, by the part that their branch adds to their canonical names."""
    match layer:
        case Residual():
            return {"": layer.layers, "shortcut.": layer.shortcut}
        case Concat():
            return {f"branch{number}.": branch for number, branch in enumerate(layer.branches, 1)}
        case _:
            return {}


@dataclass(frozen=True)
class Node:
    """A layer in its place: its name, its shapes in and out (without the batch), and the layer after it.

    `branches` are the nodes inside a Residual (its layers, its shortcut) or a Concat.
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    following: Layer | None = None
    branches: tuple[tuple[Node, ...], ...] = ()

    def leaves(self) -> Iterator[Node]:
        """The node itself, or the nodes at any depth inside it that have no others inside, in order."""
        if not self.branches:
            yield self
        for branch in self.branches:
            for node in branch:
                yield from node.leaves()

    @property
    def weights(self) -> dict[str, Shape]:
        """Shapes of the trained arrays, by canonical name, in order."""
        return {
            f"{leaf.name}.{array}": shape
            for leaf in self.leaves()
            for array, shape in leaf.layer.weights(leaf.input_shape).items()
        }

    @property
    def statistics(self) -> dict[str, Shape]:
        """Shapes of the arrays that are kept but not trained (BatchNorm's running mean and variance)."""
        return {
            f"{leaf.name}.{array}": shape
            for leaf in self.leaves()
            for array, shape in leaf.layer.statistics(leaf.input_shape).items()
        }

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(prod(shape) for shape in self.weights.values())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass; convolutions and dense layers only, without biases."""
        return sum(leaf.layer.multiply_adds(leaf.input_shape) for leaf in self.leaves())

    @property
    def title(self) -> str:
        """The layer kind and its settings that are not the default, as its constructor is written; of a layer
        with layers inside the kind alone."""
        if self.branches:
            return kind_of(self.layer)
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
    Raises SpecError when a layer does not fit its input, for a value of the wrong type, and for more than
    MAX_VALUES parameters or outputs of a layer.
    """

    error = SpecError

    name: str
    layers: tuple[Layer, ...]
    input_shape: tuple[Size, ...] = (1, 28, 28)
    init: Init = "fan-in-uniform"

    def __post_init__(self) -> None:
        _require_layers(self, self.layers)
        super().__post_init__()
        last = self.input_shape
        for node in self.nodes():
            last = node.output_shape
        if len(last) != 1:
            raise SpecError(
                f"{self.name} ends in shape {last}; logits need one dimension: add Flatten or Dense."
            )
        if self.parameters > MAX_VALUES:
            raise SpecError(f"{self.name} has {self.parameters:,} parameters, more than {MAX_VALUES:,}.")

    def nodes(self) -> Iterator[Node]:
        """The layers in order, named, with their shapes; those inside a layer are its node's `branches`."""
        return self._chain(self.layers, self.input_shape)

    def leaves(self) -> Iterator[Node]:
        """The layers at any depth that have no layers inside, in order."""
        return (leaf for node in self.nodes() for leaf in node.leaves())

    def _chain(self, layers: tuple[Layer, ...], shape: Shape, scope: str = "") -> Iterator[Node]:
        count: Counter[str] = Counter()
        for layer, following in zip_longest(layers, layers[1:]):
            count[layer.stem] += 1
            name = f"{scope}{layer.stem}{count[layer.stem]}"
            inner = _branches(layer).items()
            branches = tuple(tuple(self._chain(branch, shape, f"{name}.{part}")) for part, branch in inner)
            try:
                after = layer.output_shape(shape)
                if prod(after) > MAX_VALUES:
                    raise SpecError(f"its output of shape {after} has more than {MAX_VALUES:,} values.")
            except SpecError as error:
                raise SpecError(f"{self.name}, layer {name}: {error}") from None
            yield Node(name, layer, shape, after, following, branches)
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
        return vars(self) | {"layers": _plain(self.layers)}


def _plain(value: object) -> object:
    """A layer's kind and fields, without added ones at their default; also of the layers in a tuple."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, LayerKind):
        return value
    settings = {
        field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)  # type: ignore[arg-type]
        if not is_added(field) or getattr(value, field.name) != field.default
    }
    return {"kind": kind_of(value)} | settings


def summary(spec: ModelSpec) -> str:
    """The network's layers, output shapes and parameters, as a table; layers inside a layer are indented."""
    rows = list(_rows(tuple(spec.nodes())))
    width = max([36, *(len(name) + 2 for name, _, _ in rows)])
    rule = "-" * (width + 30)
    lines = [f"{'layer':{width}}{'output shape':>16}{'parameters':>14}", rule]
    lines += [f"{name:{width}}{shape:>16}{parameters:>14}".rstrip() for name, shape, parameters in rows]
    return "\n".join([*lines, rule, f"{spec.name:{width}}{'':16}{spec.parameters:>14,}"])


def _rows(nodes: tuple[Node, ...], scope: str = "", indent: str = "") -> Iterator[tuple[str, str, str]]:
    for node in nodes:
        parameters = "" if node.branches else f"{node.parameters:,}"
        name = f"{indent}{node.name.removeprefix(scope)}  {node.title}"
        yield name, "x".join(map(str, node.output_shape)), parameters
        for branch in node.branches:
            yield from _rows(branch, f"{node.name}.", f"{indent}  ")
