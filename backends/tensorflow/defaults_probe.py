"""Keras' own parts with their defaults, to be read and tried by `--defaults`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

Array = NDArray[Any]


class DefaultsProbe:
    """Keras' parts as its users get them (`common.training.backend.DefaultsProbe`)."""

    versions = f"{tf.__version__} with Keras {keras.__version__}"
    optimizers = keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.Adadelta
    batch_norm, channel_dropout = keras.layers.BatchNormalization, keras.layers.SpatialDropout2D
    threads_program = "import tensorflow as tf; print(tf.config.threading.get_intra_op_parallelism_threads())"

    def compiles_by_default(self) -> bool:
        """See common.training.backend.DefaultsProbe."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile()
        return bool(model.jit_compile)

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """See common.training.backend.DefaultsProbe."""
        part = keras.layers.Dense(fan_out)
        part.build((None, fan_in))
        return tuple(part.get_weights())

    def batch_norm_statistics(self, batch: Array) -> tuple[float, float]:
        """See common.training.backend.DefaultsProbe."""
        part = keras.layers.BatchNormalization()
        part(batch[:, None], training=True)
        return float(part.moving_mean[0]), float(part.moving_variance[0])

    def batch_norm_parameters(self, channels: int) -> int:
        """See common.training.backend.DefaultsProbe."""
        part = keras.layers.BatchNormalization()
        part.build((None, channels))
        return int(part.count_params())

    def convolution(self, images: Array, channels: int, *, stride: int = 1, padding: str = "valid") -> Array:
        """See common.training.backend.DefaultsProbe."""
        part = keras.layers.Conv2D(channels, 3, strides=stride, padding=padding, kernel_initializer="ones")
        return part(images).numpy()

    def optimizer_trajectory(
        self,
        optimizer: Any,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        **constants: float,
    ) -> list[float]:
        """See common.training.backend.DefaultsProbe."""
        variable = keras.Variable(weight, dtype="float64")
        part = optimizer(learning_rate=rates[0], **constants)
        part.build([variable])
        after = []
        for gradient, rate in zip(gradients, rates, strict=True):
            part.learning_rate = rate
            part.apply([tf.constant(gradient, tf.float64)], [variable])
            after.append(float(variable.numpy()))
        return after

    def loader_batches(self, count: int) -> list[list[int]]:
        """See common.training.backend.DefaultsProbe."""
        seen = []

        class Watching(keras.Model):
            def train_step(self, data: tuple[Tensor, Tensor]) -> dict[str, float]:
                seen.append([int(example) for example in data[0]])
                return {"loss": 0.0}  # fit wants a figure

        model = Watching()
        model.compile(run_eagerly=True)
        model.fit(np.arange(count), np.arange(count), verbose=0)
        return seen
