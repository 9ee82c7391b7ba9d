"""The training loop as TensorFlow's users write it: tf.data and Model.fit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backends.tensorflow import parity
from common.data.datasets import Digits

Array = NDArray[Any]


class NativeLoader:
    """Epochs of `Model.fit` on a tf.data pipeline (`common.training.backend.NativeLoader`)."""

    def __init__(self) -> None:
        self._scaled: WeakKeyDictionary[Any, tf.data.Dataset] = WeakKeyDictionary()

    def train_epoch(
        self,
        model: Any,
        digits: Digits,
        rate: Array,
        momentum: Array | None = None,
        *,
        batch_size: int,
        seed: int,
    ) -> Iterator[tuple[Array, Array]]:
        """See common.training.backend.NativeLoader; `model` is a `tf.Model`."""
        if model not in self._scaled:
            self._scaled[model] = _scaled(model, digits)
            _compile(model)
        # The order of an epoch is that of its seed, also in a run that is resumed before it.
        shuffled = self._scaled[model].shuffle(len(digits), seed=seed, reshuffle_each_iteration=False)
        batches = shuffled.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
        momenta = parity.momentum_of(model.optimizer, rate, momentum)
        set_rate = partial(parity.set_rate, model.optimizer)
        set_rate(rate[0], momenta[0])
        each_step = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda step, logs: set_rate(rate[step], momenta[step])
        )
        callbacks = [each_step] if np.ptp(rate) or np.ptp(momenta) else []
        means = model.module.fit(batches, verbose=0, callbacks=callbacks).history
        yield np.full(len(rate), means["loss"]), np.full(len(rate), means["accuracy"]) * batch_size


def _compile(model: Any) -> None:
    """Set the Keras model up as its users do."""
    smoothing = model.execution.label_smoothing
    usual = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def smoothed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        # Keras hands a loss its labels as floating-point numbers.
        return parity.cross_entropy(tf.cast(labels, tf.int64), logits, smoothing=smoothing)

    loss = smoothed if smoothing else usual
    options = {"jit_compile": True} if model.execution.compiled else {}
    model.module.compile(model.optimizer, loss, metrics=["accuracy"], **options)


def _scaled(model: Any, digits: Digits) -> tf.data.Dataset:
    """Images and labels in the order of the file, scaled and cached: the first two stages of the pipeline in
    TensorFlow's guides to tf.data (map, cache, shuffle, batch, prefetch)."""
    mean, std, dtype = model.execution.scaling.mean, model.execution.scaling.std, model.dtype
    workers = model.execution.loader.num_workers or tf.data.AUTOTUNE
    images = digits.images[..., None] if digits.images.ndim == 3 else digits.images
    pairs = tf.data.Dataset.from_tensor_slices((images, digits.labels.astype(np.int64)))
    return pairs.map(
        lambda image, label: ((tf.cast(image, dtype) / 255 - mean) / std, label),
        num_parallel_calls=workers,
    ).cache()
