"""TensorFlow: a network built, trained, tested and saved. `python tf.py --help`.

The networks are described in common/model/zoo.py. pytorch.py has the same parts in PyTorch, in that order.
What makes the two compute the same numbers, quickly and measurably, is in backends/.
"""

from __future__ import annotations

from common.cli.main import main, parse_arguments

# Parsed first: --help and errors in the flags need no framework, whose import takes seconds.
arguments = parse_arguments("tensorflow") if __name__ == "__main__" else None

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors are raised as exceptions
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the default with AVX-512 VNNI, off on other CPUs

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from common.tables import machine

# Importing TensorFlow logs its build and missing accelerators, which no log level hides.
with machine.quiet_stderr():
    import keras
    import tensorflow as tf
    from tensorflow import Tensor

from backends.tensorflow import branches, device, distributed, fast, layouts, parity
from backends.tensorflow.defaults_probe import DefaultsProbe
from backends.tensorflow.instruments import Instruments
from backends.tensorflow.mistakes import MISTAKES
from backends.tensorflow.native_loader import NativeLoader
from backends.tensorflow.numerics import CHANGES
from common.model import layers, spec
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.training.backend import Execution
from common.training.dropout_masks import Masks

Array = NDArray[Any]

tf.get_logger().setLevel("ERROR")  # no warning that every model traces graphs of its own


def build_layer(node: spec.Node, execution: Execution) -> keras.layers.Layer:
    """The Keras layer of one node of a network."""
    match node.layer:
        case layers.Conv(out_channels, kernel_size) as conv:
            options: dict[str, Any] = {"strides": conv.stride, "padding": parity.padding(conv)}
            options |= {"dilation_rate": conv.dilation, "use_bias": conv.bias}
            if conv.is_depthwise(node.input_shape):
                return parity.padded(keras.layers.DepthwiseConv2D(kernel_size, **options), conv)
            return parity.padded(
                keras.layers.Conv2D(out_channels, kernel_size, groups=conv.groups, **options), conv
            )
        case layers.BatchNorm(eps=eps, momentum=momentum, affine=affine):
            if "norm" in execution.native:
                return keras.layers.BatchNormalization(center=affine, scale=affine)
            return parity.BatchNormalization(-1, 1 - momentum, eps, center=affine, scale=affine)
        case layers.GroupNorm(groups, eps=eps):
            norm = keras.layers.GroupNormalization
            return norm(groups) if "norm" in execution.native else norm(groups, epsilon=eps)
        case layers.Activation(function):
            return keras.layers.Activation(parity.ACTIVATIONS[function])
        case layers.MaxPool(kernel_size, stride) as pool:
            return parity.padded(keras.layers.MaxPooling2D(kernel_size, stride), pool)
        case layers.AvgPool(kernel_size, stride) as pool:
            return parity.padded(keras.layers.AveragePooling2D(kernel_size, stride), pool)
        case layers.GlobalAvgPool():
            return keras.layers.GlobalAveragePooling2D()
        case layers.Flatten():
            return layouts.flatten(node)
        case layers.Dense(out_features, bias=bias):
            return keras.layers.Dense(out_features, use_bias=bias)
        case layers.Dropout() | layers.SpatialDropout() if execution.masks is not None:
            return parity.MaskedDropout(Masks.of(node, execution.masks))
        case layers.Dropout(rate):
            return keras.layers.Dropout(rate)
        case layers.SpatialDropout(rate):
            return keras.layers.SpatialDropout2D(rate)
        case spec.Residual():
            return branches.Residual(*(build_layers(branch, execution) for branch in node.branches))
        case spec.Concat():
            return branches.Concat(*(build_layers(branch, execution) for branch in node.branches))
        case _:
            assert_never(node.layer)


def build_layers(nodes: Iterable[spec.Node], execution: Execution) -> list[keras.layers.Layer]:
    """The layers of a network, or of a branch, in order."""
    return [build_layer(node, execution) for node in nodes]


def build_optimizer(
    optimizer: Optimizer, weights: list[keras.Variable], execution: Execution
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of `weights`; its learning rate is set before each step."""
    own_constants = "optimizer" in execution.native
    result: keras.optimizers.Optimizer
    match optimizer:
        case SGD(momentum=momentum, nesterov=nesterov):
            kind = keras.optimizers.SGD if own_constants else parity.SGD
            result = kind(learning_rate=0.0, momentum=float(momentum), nesterov=nesterov)
        case Adam(beta1=beta1, beta2=beta2, eps=eps):
            constants = {"beta_1": beta1, "beta_2": beta2, "epsilon": eps}
            result = keras.optimizers.Adam() if own_constants else parity.Adam(**constants)
        case Adadelta(rho=rho, eps=eps):
            result = keras.optimizers.Adadelta() if own_constants else parity.Adadelta(rho=rho, epsilon=eps)
        case _:
            assert_never(optimizer)
    result.build(weights)
    return result


class Model:
    """A network with its optimizer (`common.training.backend.Model`)."""

    def __init__(
        self,
        network: spec.ModelSpec,
        optimizer: Optimizer,
        *,
        execution: Execution,
        strategy: tf.distribute.Strategy | None,
    ) -> None:
        self.execution, self.world, self.strategy = execution, execution.world, strategy
        # Keras reads the types of a layer's variables from these global settings when the layer is made.
        precision = execution.precision
        keras.config.set_floatx("float64" if precision == "float64" else "float32")
        keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(precision, precision))
        self.dtype = tf.as_dtype(keras.config.floatx())
        channels, height, width = network.input_shape
        inputs = keras.Input((height, width, channels))
        self.module = keras.Sequential([inputs, *build_layers(network.nodes(), execution)])
        self.optimizer = build_optimizer(optimizer, self.module.trainable_variables, execution)
        self.variables = dict(layouts.variables(self.module, network, self.optimizer, optimizer))
        self.xla = fast.compiles(execution.compiled, network, execution)
        # AutoGraph is off: parsing this file takes longer than tracing the network.
        graph = partial(tf.function, autograph=False)
        self.graph_step = graph(self.step, jit_compile=self.xla or None)
        images = tf.TensorSpec(self.module.input_shape, self.dtype)
        self.infer = graph(partial(self.module, training=False), [images])
        # The methods below, replaced by quicker ones that compute the same (backends/tensorflow/fast.py).
        self.to_device = fast.keep_on_device(self.to_device)
        self.run_steps = fast.one_graph(self.run_steps, self)

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        """Run len(order) training steps; see common.training.backend.Model."""
        inputs, targets = self.to_device(images, labels)
        momenta = parity.momentum_of(self.optimizer, rate, momentum)
        with distributed.peer_errors(self.world):
            return self.run_steps(inputs, targets, self.world.shard(order), rate, momenta)

    def run_steps(
        self, inputs: Tensor, targets: Tensor, order: Array, rate: Array, momentum: Array
    ) -> tuple[Array, Array]:
        """Loss and number of correct predictions of each step, of a batch `order[step]`."""
        schedule = tf.constant(rate, self.dtype), tf.constant(momentum, self.dtype)
        results = [
            self.graph_step(self.gather(inputs, batch), tf.gather(targets, batch), *pace)
            for batch, *pace in zip(tf.constant(order), *schedule, strict=True)
        ]
        losses, correct = map(tf.stack, zip(*results, strict=True))
        return tf.cast(losses, tf.float64).numpy(), correct.numpy()

    def step(self, images: Tensor, labels: Tensor, rate: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and number of correct predictions of one training step."""
        parity.set_rate(self.optimizer, rate, momentum)
        weights = self.module.trainable_variables
        with tf.GradientTape() as tape:
            logits, loss = self.forward_loss(images, labels)
        gradients = tape.gradient(loss, weights)
        correct = tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)
        gradients, loss, correct = distributed.average(gradients, loss, correct, self.strategy)
        self.optimizer.apply(gradients, weights)
        return loss, correct

    def forward_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, outputs) and the mean cross-entropy of a batch."""
        logits = tf.cast(self.module(images, training=True), self.dtype)
        losses = parity.cross_entropy(labels, logits, smoothing=self.execution.label_smoothing)
        return logits, tf.reduce_mean(losses)

    def predict(self, images: Array) -> Array:
        """Logits (N, outputs) of images (N, channels, H, W); see common.training.backend.Model."""
        return tf.cast(self.infer(tf.constant(layouts.channels_last(images))), self.dtype).numpy()

    def state_dict(self) -> dict[str, Array]:
        """The state from which training continues; see common.training.backend.Model."""
        arrays = {
            name: np.array(stored.to_canonical(stored.variable.numpy()), order="C")
            for name, stored in self.variables.items()
        }
        return arrays | {name: state.numpy() for name, state in layouts.generators(self.module)}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Load weights, and the other entries that `state` has; see common.training.backend.Model."""
        for name, stored in self.variables.items():
            if name in state or not name.startswith("optimizer."):
                stored.variable.assign(stored.to_keras(state[name]))
        for name, generator in layouts.generators(self.module):
            if name in state:
                generator.assign(state[name])

    def to_device(self, images: Array, labels: Array) -> tuple[Tensor, Tensor]:
        """Images (N, channels, H, W), as (N, H, W, channels), and labels (N,) as tensors."""
        return tf.constant(layouts.channels_last(images)), tf.constant(labels)

    def gather(self, images: Tensor, indices: Tensor) -> Tensor:
        """The pixels of a batch; bytes are scaled."""
        batch = tf.gather(images, indices)
        if batch.dtype != tf.uint8:
            return batch
        return tf.cast(batch, self.dtype) * self.execution.scaling.factor + self.execution.scaling.shift


class Backend:
    """TensorFlow in this process (`common.training.backend.Backend`)."""

    name = "tensorflow"
    version = str(tf.__version__)
    defaults = DefaultsProbe()
    numerics = CHANGES
    mistakes = MISTAKES

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        place = device.choose(accelerate=accelerate, threads=threads)
        self.device, self.threads = device.name(place), tf.config.threading.get_intra_op_parallelism_threads()
        self.instruments, self.native_loader = Instruments(), NativeLoader()

    def build(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int
    ) -> Model:
        """A model of `network`; see common.training.backend.Backend."""
        strategy = distributed.connect(execution.world)
        keras.utils.set_random_seed(execution.world.seed(seed))
        return Model(network, optimizer, execution=execution, strategy=strategy)


if arguments is not None:
    main(Backend, arguments)
