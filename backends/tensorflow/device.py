"""TensorFlow's device: a CPU or an accelerator."""

from __future__ import annotations

import tensorflow as tf

from common.tables import machine


def choose(*, accelerate: bool, threads: int) -> tf.config.PhysicalDevice | None:
    """The accelerator of this process if there is one and it is to be used. Before the first operation, which
    reads these settings."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_tensor_float_32_execution(False)  # which keeps three digits
    with machine.quiet_stderr():
        if not accelerate:
            tf.config.set_visible_devices([], "GPU")
        accelerators = tf.config.get_visible_devices("GPU")
    return accelerators[0] if accelerators else None


def name(place: tf.config.PhysicalDevice | None) -> str:
    """`cpu`, or the kind of accelerator, with the name of the card."""
    if place is None:
        return "cpu"
    details = tf.config.experimental.get_device_details(place)
    return f"cuda ({details.get('device_name', 'GPU')})"
