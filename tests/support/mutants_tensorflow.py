"""Mistakes to be planted in Keras' layers: their outputs stay right, their gradients become wrong."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf
from tensorflow import Tensor


@tf.custom_gradient
def _scale_gradient(inputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    return tf.identity(inputs), lambda gradient: 0.9 * gradient


class _ScaledGradient(keras.layers.Layer):
    """Passes inputs on; 0.9 of the gradient goes back."""

    def call(self, inputs: Tensor) -> Tensor:
        return _scale_gradient(inputs)


class _ConstantStatistics(keras.layers.Layer):
    """Batch normalisation whose gradient holds the statistics of the batch constant."""

    def __init__(self, layer: keras.layers.BatchNormalization) -> None:
        super().__init__()
        self.layer = layer

    def build(self, shape: tuple[int, ...]) -> None:
        self.layer.build(shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        mean, variance = tf.nn.moments(tf.stop_gradient(inputs), list(range(len(inputs.shape) - 1)))
        weights = self.layer.beta.value, self.layer.gamma.value
        return tf.nn.batch_normalization(inputs, mean, variance, *weights, self.layer.epsilon)


MUTANTS: dict[str, Callable[..., keras.layers.Layer]] = {
    "gradient times 0.9": lambda layer: keras.Sequential([layer, _ScaledGradient()]),
    "statistics held constant": _ConstantStatistics,
}
