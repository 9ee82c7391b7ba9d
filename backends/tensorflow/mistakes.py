"""The mistakes of a port that are at home in Keras, each planted in a `tf.Model` as it is written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

from backends.tensorflow import layouts, parity
from common.model.layers import Dense, Flatten
from common.model.spec import ModelSpec
from common.training.mistakes import is_strided

Array = NDArray[Any]


def softmax_missing(model: Any, network: ModelSpec) -> None:
    """Keras' loss without from_logits=True."""

    def forward_loss(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = tf.cast(model.module(images, training=True), model.dtype)
        return logits, tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits))

    model.forward_loss = forward_loss


def train_mode_forgotten(model: Any, network: ModelSpec) -> None:
    """The network is called without training=True."""

    def forward_loss(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = tf.cast(model.module(images), model.dtype)
        smoothing = model.execution.label_smoothing
        return logits, tf.reduce_mean(parity.cross_entropy(labels, logits, smoothing=smoothing))

    model.forward_loss = forward_loss


def flatten_order(model: Any, network: ModelSpec) -> None:
    """The dense kernel after Flatten is transposed only, when weights are loaded."""
    for node, following in pairwise(network.nodes()):
        if isinstance(node.layer, Flatten) and isinstance(following.layer, Dense):
            kernel = f"{following.name}.weight"
            model.variables[kernel] = layouts.Stored(model.variables[kernel].variable, *layouts.DENSE)


def padding_same_stride(model: Any, network: ModelSpec) -> None:
    """Strided convolutions have padding="same", and no padding before them."""
    for node, layer in zip(network.nodes(), model.module.layers, strict=True):
        inner = getattr(layer, "layers", [])
        if inner and isinstance(inner[0], parity.Padding) and is_strided(node):
            inner[0].margins = (0, 0)
            inner[1].padding = "same"


def optimizer_by_name(model: Any, network: ModelSpec) -> None:
    """The optimizer and its rate are what Keras has under the name."""
    model.optimizer = keras.optimizers.get(type(model.optimizer).__name__.lower())
    model.optimizer.build(model.module.trainable_variables)
    constant, train_steps = float(model.optimizer.learning_rate), model.train_steps

    def at_constant_rate(
        images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        return train_steps(images, labels, order, np.full(len(rate), constant), momentum)

    model.train_steps = at_constant_rate


def adam_epsilon(model: Any, network: ModelSpec) -> None:
    """The two other constants are the recipe's."""
    constants = {"beta_1": model.optimizer.beta_1, "beta_2": model.optimizer.beta_2}
    model.optimizer = keras.optimizers.Adam(**constants)
    model.optimizer.build(model.module.trainable_variables)


MISTAKES: dict[str, Callable[[Any, ModelSpec], None]] = {
    "softmax-missing": softmax_missing,
    "train-mode-forgotten": train_mode_forgotten,
    "flatten-order": flatten_order,
    "padding-same-stride": padding_same_stride,
    "optimizer-by-name": optimizer_by_name,
    "adam-epsilon": adam_epsilon,
}
