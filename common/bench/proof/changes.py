"""Changes of a network's description and of a source file: what a mistake needs first, and the mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from common.model.layers import (
    Activation,
    AvgPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Function,
    GroupNorm,
    MaxPool,
    SpatialDropout,
    SpecError,
    pair,
)
from common.model.spec import Layer, ModelSpec

Change = Callable[[str], str | None]
"""The changed text of a file; None where there is nothing to change."""
Variant = Callable[[ModelSpec], ModelSpec | None]
"""A changed network; None where there is nothing to change."""


def swap(pattern: str, replacement: str, where: Literal["first", "last", "all"] = "all") -> Change:
    """Put a replacement in the place of the first, the last or all matches of a regular expression."""

    def change(text: str) -> str | None:
        matches = list(re.finditer(pattern, text))
        chosen = {"first": matches[:1], "last": matches[-1:], "all": matches}[where]
        for match in reversed(chosen):
            text = text[: match.start()] + match.expand(replacement) + text[match.end() :]
        return text if chosen else None

    return change


def first_of(*changes: Change) -> Change:
    """The first change that has something to change."""
    return lambda text: next((new for change in changes if (new := change(text)) is not None), None)


def all_of(*changes: Change) -> Change:
    """One change after the other; None if one of them has nothing to change."""

    def change(text: str) -> str | None:
        for each in changes:
            new = each(text)
            if new is None:
                return None
            text = new
        return text

    return change


def same(text: str) -> str | None:
    """The text as it is."""
    return text


def having(pattern: str) -> Change:
    """The text as it is, where it matches a regular expression."""
    return lambda text: text if re.search(pattern, text) else None


def plain(spec: ModelSpec) -> ModelSpec | None:
    """The network as it is."""
    return spec


def with_function(function: Function) -> Variant:
    """Another activation in the place of each ReLU."""

    def variant(spec: ModelSpec) -> ModelSpec | None:
        return _mapped(spec, lambda layer: Activation(function) if layer == Activation() else layer)

    return variant


def strided(spec: ModelSpec) -> ModelSpec | None:
    """A stride of 2 and a padding of half the kernel in the first convolution: "same" pads as much in all,
    and one pixel less above and to the left."""
    first = next((layer for layer in spec.layers if isinstance(layer, Conv)), None)
    if first is None or any(side % 2 == 0 for side in pair(first.kernel_size)):
        return None
    margin = pair(first.kernel_size)[0] // 2
    return _mapped(spec, lambda layer: replace(first, stride=2, padding=margin) if layer is first else layer)


def with_pool(kind: type[MaxPool] | type[AvgPool]) -> Variant:
    """The first pool over 2 rows as one over 3 of a kind, in steps of 2 with a padding of 1. With an even
    number of rows "same" pads on the other side."""

    def variant(spec: ModelSpec) -> ModelSpec | None:
        nodes = [n for n in spec.nodes() if n.layer == MaxPool(2) and n.input_shape[1] % 2 == 0]
        if not nodes:
            return None
        return _mapped(spec, lambda layer: kind(3, 2, padding=1) if layer is nodes[0].layer else layer)

    return variant


def until_flatten(spec: ModelSpec) -> ModelSpec | None:
    """The layers until images of several channels are flattened: the outputs have that order."""
    for number, node in enumerate(spec.nodes()):
        if isinstance(node.layer, Flatten) and node.input_shape[0] > 1 and node.input_shape[1] > 1:
            return replace(spec, layers=spec.layers[: number + 1])
    return None


def _last_image(spec: ModelSpec) -> int | None:
    """The position of the last convolution with another layer, and more than one row, after it."""
    numbers = [
        number
        for number, (node, _) in enumerate(pairwise(spec.nodes()))
        if isinstance(node.layer, Conv) and node.output_shape[1] > 1 and node.output_shape[0] % 2 == 0
    ]
    return numbers[-1] if numbers else None


def grouped(spec: ModelSpec) -> ModelSpec | None:
    """GroupNorm after the last convolution but one that ends the network."""
    number = _last_image(spec)
    return None if number is None else _inserted(spec, number + 1, GroupNorm(2))


def with_channel_dropout(spec: ModelSpec) -> ModelSpec | None:
    """Dropout of channels after the last convolution, unless there is some."""
    number = _last_image(spec)
    if number is None or any(isinstance(layer, SpatialDropout) for layer in spec.layers):
        return spec if number is not None else None
    return _inserted(spec, number + 1, SpatialDropout(0.25))


def with_dropout(spec: ModelSpec) -> ModelSpec | None:
    """Dropout before the last layer with weights, unless there is some."""
    if any(isinstance(layer, Dropout) for layer in spec.layers):
        return spec
    numbers = [n for n, layer in enumerate(spec.layers) if isinstance(layer, Conv | Dense)]
    return _inserted(spec, numbers[-1], Dropout(0.25))


def varied(variant: Variant, spec: ModelSpec) -> ModelSpec | None:
    """The changed network; None where there is nothing to change, or what follows does not fit any more."""
    try:
        return variant(spec)
    except SpecError:
        return None


def _inserted(spec: ModelSpec, number: int, layer: Layer) -> ModelSpec:
    return replace(spec, layers=(*spec.layers[:number], layer, *spec.layers[number:]))


def _mapped(spec: ModelSpec, change: Callable[[Layer], Layer]) -> ModelSpec | None:
    layers = tuple(map(change, spec.layers))
    return None if layers == spec.layers else replace(spec, layers=layers)
