"""One run in several processes that find each other by TF_CONFIG: values averaged, peers watched."""

from __future__ import annotations

import contextlib
import functools
import signal
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tensorflow import Tensor

from common.training.backend import PeerLost
from common.training.distributed import TIMEOUT_SECONDS, World


@functools.cache
def connect(world: World) -> tf.distribute.Strategy | None:
    """Join the other processes of the run, once for this process and before TensorFlow's first operation."""
    if world.size == 1:
        return None
    # It waits an hour for the others, and meanwhile holds the interpreter and SIGTERM: the system alone can
    # end the process.
    alarm = getattr(signal, "alarm", lambda seconds: None)  # which Windows lacks
    alarm(TIMEOUT_SECONDS)
    try:
        with peer_errors(world):
            return tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        alarm(0)


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
def peer_errors(world: World) -> Iterator[None]:
    """Raise PeerLost where another process of the run has ended."""
    if world.size > 1:
        # A thread of TensorFlow, once it is connected, handles SIGTERM itself, and does nothing with it.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:  # the second where a signal came before the error
        if world.size == 1 or isinstance(error, tf.errors.ResourceExhaustedError):
            raise
        raise PeerLost(str(error).splitlines()[0]) from error
