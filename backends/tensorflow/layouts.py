"""Canonical names and layouts, which are PyTorch's, to and from Keras' variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from common.model import layers, spec
from common.model.optimizer import Optimizer, slots

Array = NDArray[Any]
Conversion = Callable[[Array], Array]


class Stored(NamedTuple):
    """A Keras variable with the conversions of its array from and to the canonical layout."""

    variable: keras.Variable
    to_keras: Conversion
    to_canonical: Conversion


class Layout(NamedTuple):
    """Conversions of an array to Keras' layout and back."""

    to_keras: Conversion
    to_canonical: Conversion


SAME = Layout(lambda array: array, lambda array: array)
CONV = Layout(lambda oihw: oihw.transpose(2, 3, 1, 0), lambda hwio: hwio.transpose(3, 2, 0, 1))
DEPTHWISE = Layout(lambda c1hw: c1hw.transpose(2, 3, 0, 1), lambda hwc1: hwc1.transpose(2, 3, 0, 1))
DENSE = Layout(np.transpose, np.transpose)


def channels_last(images: Array) -> Array:
    """(N, C, H, W) to the (N, H, W, C) that Keras requires."""
    return images.transpose(0, 2, 3, 1)


def flatten(node: spec.Node) -> keras.layers.Layer:
    """A layer to vectors of features in the canonical (C, H, W) order.

    Before a dense layer the order of its own inputs is kept: there the kernel is reordered, once and for all.
    """
    channels, *sides = node.input_shape
    if channels == 1 or max(sides, default=1) == 1 or isinstance(node.following, layers.Dense):
        return keras.layers.Flatten()
    return keras.Sequential([keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()])


def _after_flatten(shape: layers.Shape) -> Layout:
    """Layout of the kernel of a dense layer whose inputs are flattened from `shape`, (C, H, W)."""
    channels, height, width = shape
    return Layout(
        lambda kernel: kernel.reshape(-1, *shape).transpose(2, 3, 1, 0).reshape(-1, len(kernel)),
        lambda kernel: (
            kernel.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
        ),
    )


def _kernel(node: spec.Node, previous: spec.Node | None) -> Layout:
    """Layout of a node's first array; all other arrays are the same on both sides."""
    match node.layer:
        case layers.Conv() as conv:
            return DEPTHWISE if conv.is_depthwise(node.input_shape) else CONV
        case layers.Dense() if previous and _flattens_images(previous):
            return _after_flatten(previous.input_shape)
        case layers.Dense():
            return DENSE
        case _:
            return SAME


def _flattens_images(node: spec.Node) -> bool:
    return isinstance(node.layer, layers.Flatten) and len(node.input_shape) == 3


def _trained(nodes: Iterable[spec.Node]) -> Iterator[tuple[str, Layout]]:
    """Canonical name and layout of each trained array of a chain of layers, in order."""
    previous = None
    for node in nodes:
        for branch in node.branches:
            yield from _trained(branch)
        if not node.branches:
            for index, name in enumerate(node.weights):
                yield name, _kernel(node, previous) if index == 0 else SAME
        previous = node


def variables(
    module: keras.Sequential,
    network: spec.ModelSpec,
    optimizer: keras.optimizers.Optimizer,
    kind: Optimizer,
) -> Iterator[tuple[str, Stored]]:
    """Each canonical name with what stores its array; `module` has the layers of `network`."""
    trained = list(_trained(network.nodes()))
    for (name, layout), variable in zip(trained, module.trainable_weights, strict=True):
        yield name, Stored(variable, *layout)
    for name, variable in zip(network.statistics, module.non_trainable_weights, strict=True):
        yield name, Stored(variable, *SAME)
    for slot, arrays in zip(slots(kind), _slot_variables(optimizer), strict=True):
        for (name, layout), variable in zip(trained, arrays, strict=True):
            yield f"optimizer.{slot}.{name}", Stored(variable, *layout)
    yield "optimizer.step", Stored(optimizer.iterations, *SAME)


def _slot_variables(optimizer: keras.optimizers.Optimizer) -> list[list[keras.Variable]]:
    """Variables a Keras optimizer keeps for each weight, in the order of `common.model.optimizer.slots`."""
    match optimizer:
        case keras.optimizers.SGD():
            return [optimizer.momentums] if optimizer.momentums else []
        case keras.optimizers.Adam():
            return [optimizer._momentums, optimizer._velocities]
        case keras.optimizers.Adadelta():
            return [optimizer._accumulated_grads, optimizer._accumulated_delta_vars]
        case _:
            raise TypeError(f"{type(optimizer).__name__} is not SGD, Adam or Adadelta.")


def generators(module: keras.Sequential) -> Iterator[tuple[str, keras.Variable]]:
    """The state of each dropout layer's random generator, as `random.tensorflow.NUMBER`."""
    seeds = [getattr(layer, "seed_generator", None) for layer in _each(module.layers)]
    for number, generator in enumerate(generator for generator in seeds if generator is not None):
        yield f"random.tensorflow.{number}", generator.state


def _each(layers: Iterable[keras.layers.Layer]) -> Iterator[keras.layers.Layer]:
    """The layers, each followed by those inside it."""
    for layer in layers:
        yield layer
        for branch in getattr(layer, "branches", ()):
            yield from _each(branch)
