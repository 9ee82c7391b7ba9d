"""Quicker replacements of plain TensorFlow: optional, and measured on two cores of a CPU.

Each function receives the plain object first and returns it, or a quicker one in its place. If each returned
its first argument, results would differ only by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

from common.model import spec
from common.model.layers import Conv, Dropout, SpatialDropout
from common.training.backend import Execution
from common.training.keep_last import keep_last

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

XLA_STEPS = 128  # in a call of a compiled graph


def compiles(requested: bool, network: spec.ModelSpec, execution: Execution) -> bool:
    """Whether XLA compiles a network's steps, by what was measured on a CPU.

    It makes dense networks quicker: a step of tf-model-1 takes 0.5 ms instead of 1.0. Convolutions it slows.
    It is off where processes exchange gradients in every step, and for dropout with masks from NumPy, which
    XLA cannot call.
    """
    kinds = {type(node.layer) for node in network.leaves()}
    masked = execution.masks is not None and not kinds.isdisjoint({Dropout, SpatialDropout})
    return not masked and (requested or (Conv not in kinds and execution.world.size == 1))


def keep_on_device(to_device: F) -> F:
    """`to_device` that moves the data once, and again only when other arrays are passed."""
    return cast(F, keep_last(to_device))


def one_graph(run_steps: F, model: Any) -> F:
    """`run_steps` of a `tf.Model` with all steps in one graph, a while loop around `model.step`.

    There is a graph for any number of steps of a batch size and a type of images; shapes that are known make
    it quicker. XLA compiles for one shape, so there every call is filled up to the same number of steps.
    """
    graphs: dict[tuple[int, str], Callable[..., tuple[Tensor, Tensor]]] = {}

    def steps(
        images: Tensor, labels: Tensor, count: Tensor, order: Tensor, rate: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor]:
        targets, length = tf.gather(labels, order), tf.shape(order)[0]

        def body(index: Tensor, losses: Tensor, correct: Tensor) -> tuple[Tensor, ...]:
            batch = model.gather(images, order[index])
            loss, hits = model.step(batch, targets[index], rate[index], momentum[index])
            return index + 1, put(losses, index, loss), put(correct, index, hits)

        def put(values: Tensor, index: Tensor, value: Tensor) -> Tensor:
            # Not a TensorArray, with which a step of a compiled network takes 3 % longer.
            return tf.tensor_scatter_nd_update(values, [[index]], [value])

        start = tf.constant(0), tf.zeros(length, model.dtype), tf.zeros(length, tf.int64)
        _, losses, correct = tf.while_loop(lambda index, *_: index < count, body, start)
        return tf.cast(losses, tf.float64), correct

    def graph(batch_size: int, images: Tensor) -> Callable[..., tuple[Tensor, Tensor]]:
        key = (batch_size, images.dtype.name)
        if key not in graphs:
            values = tf.TensorSpec([None], model.dtype)
            signature = [
                *(tf.TensorSpec((None, *images.shape[1:]), images.dtype), tf.TensorSpec([None], tf.int64)),
                *(tf.TensorSpec([], tf.int32), tf.TensorSpec((None, batch_size), tf.int64), values, values),
            ]
            # Without AutoGraph, which takes longer to read the code than TensorFlow to trace the network.
            graphs[key] = tf.function(steps, signature, autograph=False, jit_compile=model.xla or None)
        return graphs[key]

    @wraps(run_steps)
    def in_one_graph(
        images: Tensor, labels: Tensor, order: Array, rate: Array, momentum: Array
    ) -> tuple[Array, Array]:
        call = graph(order.shape[1], images)
        length = XLA_STEPS if model.xla else len(order)
        losses, correct = [], []
        for start in range(0, len(order), length):
            count = min(length, len(order) - start)
            part, fill = slice(start, start + count), (0, length - count)
            schedule = [tf.constant(np.pad(values[part], fill), model.dtype) for values in (rate, momentum)]
            padded = tf.constant(np.pad(order[part], (fill, (0, 0))))
            loss, hits = call(images, labels, tf.constant(count), padded, *schedule)
            losses.append(loss.numpy()[:count])
            correct.append(hits.numpy()[:count])
        return np.concatenate(losses), np.concatenate(correct)

    return cast(F, in_one_graph)
