"""Parts of a training step, kernels and a matrix product, to be timed."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

from common.tables import machine
from common.training.backend import Precision, Stage

Array = NDArray[Any]


class Instruments:
    """Timed parts of TensorFlow (`common.training.backend.Instruments`)."""

    def partial_steps(
        self, model: Any, images: Array, labels: Array, order: Array, *, until: Stage
    ) -> Callable[[], None]:
        """See common.training.backend.Instruments; `model` is a `tf.Model`."""
        inputs, targets = model.to_device(images, labels)
        batches = tf.constant(order)
        weights = model.module.trainable_variables

        def gradients(batch: Tensor, wanted: Tensor) -> tuple[Tensor, list[Tensor]]:
            with tf.GradientTape() as tape:
                _, loss = model.forward_loss(batch, wanted)
            return loss, tape.gradient(loss, weights)

        def run(inputs: Tensor, targets: Tensor, batches: Tensor) -> list[Tensor]:
            fixed, wanted = model.gather(inputs, batches[0]), tf.gather(targets, batches[0])
            # The last step's results: what no result needs is left out of a graph, and a sum of them takes
            # XLA longer than to compute them.
            kept = {
                "input": [tf.zeros_like(fixed)],
                "forward": [tf.zeros([], model.dtype)],
                "backward": [tf.zeros_like(weight) for weight in weights],
            }.get(until, [tf.zeros([], model.dtype)])
            for step in tf.range(len(order)):
                if until == "bare":
                    model.optimizer.apply(gradients(fixed, wanted)[1], weights)
                    continue
                batch = model.gather(inputs, batches[step])
                if until == "input":
                    kept = [batch]
                    continue
                loss, slopes = gradients(batch, tf.gather(targets, batches[step]))
                kept = [loss] if until == "forward" else slopes
            return kept

        graph = tf.function(run, jit_compile=model.xla or None)
        return lambda: graph(inputs, targets, batches)[0].numpy()

    def kernels(self, model: Any, images: Array, labels: Array, order: Array) -> dict[str, float]:
        """See common.training.backend.Instruments."""
        # The only reader of the profiler's files that comes with TensorFlow.
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        with tempfile.TemporaryDirectory() as folder, machine.quiet_stderr():
            with tf.profiler.experimental.Profile(folder):
                model.train_steps(images, labels, order, np.zeros(len(order)))
            written = next(Path(folder).rglob("*.xplane.pb")).read_bytes()
        seconds: Counter[str] = Counter()
        for plane in xplane_pb2.XSpace.FromString(written).planes:
            for event in (event for line in plane.lines for event in line.events):
                # LAYERS/OPERATION:KERNEL; what has another name runs the kernels, or is compiled whole.
                name = re.fullmatch(r".*/[^/:]+:(\w+)", plane.event_metadata[event.metadata_id].name)
                if name:
                    seconds[name[1]] += event.duration_ps / 1e12
        return dict(seconds)

    def product(self, size: int, *, precision: Precision) -> Callable[[], None]:
        """See common.training.backend.Instruments."""
        left, right = (tf.cast(tf.random.normal((size, size)), precision) for _ in range(2))
        graph = tf.function(tf.matmul)
        return lambda: graph(left, right)[0, 0].numpy()
