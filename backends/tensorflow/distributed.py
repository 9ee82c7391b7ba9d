"""One run in several processes that find each other by TF_CONFIG: values averaged, peers watched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tensorflow import Tensor

from common.training.backend import PeerLost
from common.training.distributed import World


def connect(world: World) -> tf.distribute.Strategy | None:
    """Join the other processes of the run; before TensorFlow's first operation."""
    return tf.distribute.MultiWorkerMirroredStrategy() if world.size > 1 else None


def average(
    gradients: Sequence[Tensor], loss: Tensor, correct: Tensor, strategy: tf.distribute.Strategy | None
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Gradients and loss as means over all processes, `correct`, a number of images, as their sum."""
    if strategy is None:
        return list(gradients), loss, correct
    size = strategy.num_replicas_in_sync
    values = [*gradients, loss, tf.cast(size * correct, loss.dtype)]

    def reduce() -> list[Tensor]:
        placed = [tf.identity(value) for value in values]  # where they were computed they have no device yet
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, placed)

    *gradients, loss, correct = strategy.run(reduce)
    return list(gradients), loss, tf.cast(tf.round(correct), tf.int64)  # a mean of three is no whole number


@contextlib.contextmanager
def peer_errors(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Raise PeerLost where another process of the run has ended."""
    try:
        yield
    except tf.errors.OpError as error:
        if strategy is None:
            raise
        raise PeerLost(error.message.splitlines()[0]) from error
