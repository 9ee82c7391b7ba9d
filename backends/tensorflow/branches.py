"""Layers with layers inside."""

from __future__ import annotations

import keras
import tensorflow as tf
from tensorflow import Tensor


class _Branches(keras.layers.Layer):
    """Branches that all have the same input; one without layers is the input itself."""

    def __init__(self, *branches: list[keras.layers.Layer]) -> None:
        super().__init__()
        self.branches = list(branches)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Build the layers of every branch."""
        self.outputs(keras.KerasTensor(shape, dtype=self.compute_dtype))

    def outputs(self, inputs: Tensor) -> list[Tensor]:
        """The output of each branch."""
        outputs = []
        for branch in self.branches:
            outputs.append(inputs)
            for layer in branch:
                outputs[-1] = layer(outputs[-1])
        return outputs


class Residual(_Branches):
    """The sum of the outputs of some layers and of a shortcut."""

    def call(self, inputs: Tensor) -> Tensor:
        """The sum, of the shape that both outputs have."""
        layers, shortcut = self.outputs(inputs)
        return layers + shortcut


class Concat(_Branches):
    """The outputs of several branches, one after another along the channels."""

    def call(self, inputs: Tensor) -> Tensor:
        """(N, H, W, C) or (N, F), C or F the sum of those of the branches."""
        return tf.concat(self.outputs(inputs), axis=-1)
