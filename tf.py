"""TensorFlow: a backend and a script. `python tf.py --help`.

The networks are described in common/zoo.py; here is how Keras builds and TensorFlow trains and saves one.
"""

from __future__ import annotations

from common.cli import main, parse_arguments

# --help and wrong flags are answered before the seconds that importing a framework takes.
arguments = parse_arguments("tensorflow") if __name__ == "__main__" else None

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters comes as an exception

from collections.abc import Callable, Iterator, Mapping
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from common import machine

# Its first words are notes on its build and on accelerators that are not there; no level hides them.
with machine.quiet_stderr():
    import keras
    import tensorflow as tf

from common.backend import Native, Precision
from common.optimizer import SGD, Adadelta, Adam, Optimizer, slots
from common.spec import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    ModelSpec,
    Node,
    SpatialDropout,
)

Array = NDArray[Any]

Conversion = Callable[[Array], Array]
Stored = tuple[keras.Variable, Conversion, Conversion]

# Kernels, to Keras' layout and back; every other array is the same on both sides.
KERNELS: dict[type, tuple[Conversion, Conversion]] = {
    keras.layers.Conv2D: (lambda oihw: oihw.transpose(2, 3, 1, 0), lambda hwio: hwio.transpose(3, 2, 0, 1)),
    keras.layers.DepthwiseConv2D: (
        lambda c1hw: c1hw.transpose(2, 3, 0, 1),
        lambda hwc1: hwc1.transpose(2, 3, 0, 1),
    ),
    keras.layers.Dense: (np.transpose, np.transpose),
}


class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose running variance is the unbiased one, as PyTorch keeps it."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training:
            return super().call(inputs, training=False)
        if inputs.dtype == tf.float64:  # the fused kernel has no double precision
            mean, biased = tf.nn.moments(inputs, [0, 1, 2])
            outputs = tf.nn.batch_normalization(inputs, mean, biased, self.beta, self.gamma, self.epsilon)
            count = tf.cast(tf.size(inputs) // tf.size(mean), inputs.dtype)
            variance = biased * count / (count - 1)
        else:
            outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon
            )
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        return outputs


def layers(node: Node, native: Native) -> list[keras.layers.Layer]:
    """The Keras layers of one node of a network; the one that holds weights has the node's name."""
    match node.layer:
        case Conv(out_channels, kernel_size, padding, stride, groups, bias):
            # Not "same": with a stride that pads the bottom and the right alone.
            before = [keras.layers.ZeroPadding2D(padding)] if padding else []
            if stride == 1 and 2 * padding == kernel_size - 1:
                before, padded = [], "same"
            else:
                padded = "valid"
            options: dict[str, Any] = {
                "strides": stride,
                "padding": padded,
                "use_bias": bias,
                "name": node.name,
            }
            if groups == node.input_shape[0] == out_channels and groups > 1:
                return [*before, keras.layers.DepthwiseConv2D(kernel_size, **options)]
            return [*before, keras.layers.Conv2D(out_channels, kernel_size, groups=groups, **options)]
        case BatchNorm(eps, momentum):
            if "norm" in native:
                return [keras.layers.BatchNormalization(name=node.name)]
            return [UnbiasedBatchNormalization(momentum=1 - momentum, epsilon=eps, name=node.name)]
        case Activation():
            return [keras.layers.ReLU()]
        case MaxPool(kernel_size):
            return [keras.layers.MaxPooling2D(kernel_size)]
        case GlobalAvgPool():
            return [keras.layers.GlobalAveragePooling2D()]
        case Flatten():
            channels, *sides = node.input_shape
            # To (C, H, W) order, so that what follows sees the features in the canonical order.
            reorder = [keras.layers.Permute((3, 1, 2))] if channels > 1 and max(sides) > 1 else []
            return [*reorder, keras.layers.Flatten()]
        case Dense(out_features, bias):
            return [keras.layers.Dense(out_features, use_bias=bias, name=node.name)]
        case Dropout(rate):
            return [keras.layers.Dropout(rate)]
        case SpatialDropout(rate):
            return [keras.layers.SpatialDropout2D(rate)]
        case _:
            assert_never(node.layer)


class TorchSGD(keras.optimizers.SGD):
    """Momentum with the learning rate outside the velocity; both are set before each step."""

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self.current_momentum = keras.Variable(self.momentum, dtype=keras.config.floatx(), trainable=False)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        if not self.momentum:
            variable.assign_sub(learning_rate * gradient)
            return
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.current_momentum.value,
            use_nesterov=self.nesterov,
        )


class TorchAdam(keras.optimizers.Adam):
    """Adam with epsilon added after the bias correction.

    The kernel adds it before; epsilon times that step's correction gives the same.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        dtype = gradient.dtype
        step = tf.cast(self.iterations + 1, tf.float64)
        beta1_power, beta2_power = self.beta_1**step, self.beta_2**step
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(beta1_power, dtype),
            beta2_power=tf.cast(beta2_power, dtype),
            lr=learning_rate,
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon * tf.sqrt(1 - beta2_power), dtype),
            grad=gradient,
        )


class TorchAdadelta(keras.optimizers.Adadelta):
    """Adadelta in one kernel; the formula is Keras' own."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=self._accumulated_grads[index].value.handle,
            accum_update=self._accumulated_delta_vars[index].value.handle,
            lr=learning_rate,
            rho=tf.constant(self.rho, gradient.dtype),
            epsilon=tf.constant(self.epsilon, gradient.dtype),
            grad=gradient,
        )


def update_rule(optimizer: Optimizer, native: Native) -> keras.optimizers.Optimizer:
    """The Keras optimizer; its learning rate is set before each step. `native` leaves its formula alone."""
    ours = "optimizer" not in native
    match optimizer:
        case SGD(momentum, nesterov):
            kind = TorchSGD if ours else keras.optimizers.SGD
            return kind(momentum=momentum, nesterov=nesterov)
        case Adam(beta1, beta2, eps):
            return TorchAdam(beta_1=beta1, beta_2=beta2, epsilon=eps) if ours else keras.optimizers.Adam()
        case Adadelta(rho, eps):
            return TorchAdadelta(rho=rho, epsilon=eps) if ours else keras.optimizers.Adadelta()
        case _:
            assert_never(optimizer)


class KerasModel:
    """A network and its optimizer (`common.backend.Model`)."""

    def __init__(
        self, spec: ModelSpec, optimizer: Optimizer, *, precision: Precision, native: Native
    ) -> None:
        keras.config.set_floatx("float64" if precision == "float64" else "float32")
        keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
        self.dtype = tf.as_dtype(keras.config.floatx())
        channels, height, width = spec.input_shape
        self.module = keras.Sequential([keras.Input((height, width, channels))])
        for node in spec.nodes():
            for layer in layers(node, native):
                self.module.add(layer)
        self.optimizer = update_rule(optimizer, native)
        self.optimizer.build(self.module.trainable_variables)
        self.variables = dict(self._variables(spec, optimizer))
        self.resident: tuple[Array, Array, tf.Tensor, tf.Tensor] | None = None
        # One graph for any number of steps, of any batch size.
        images = tf.TensorSpec((None, height, width, channels), self.dtype)
        labels, order = tf.TensorSpec([None], tf.int64), tf.TensorSpec((None, None), tf.int64)
        values = tf.TensorSpec([None], self.dtype)
        self.graph = tf.function(self._steps, input_signature=[images, labels, order, values, values])
        self.infer = tf.function(lambda images: self.module(images, training=False), input_signature=[images])

    def train_steps(
        self,
        images: Array,
        labels: Array,
        order: NDArray[np.int64],
        rate: NDArray[np.float64],
        momentum: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """See common.backend.Model."""
        inputs, targets = self._on_device(images, labels)
        if momentum is None:
            momentum = np.full(len(order), getattr(self.optimizer, "momentum", 0.0))
        rates, momenta = tf.constant(rate, self.dtype), tf.constant(momentum, self.dtype)
        losses, correct = self.graph(inputs, targets, tf.constant(order), rates, momenta)
        return losses.numpy(), correct.numpy()

    def _steps(
        self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, rate: tf.Tensor, momentum: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """All steps of a call as one graph: a while loop around one step."""
        count, targets = tf.shape(order)[0], tf.gather(labels, order)
        losses = tf.TensorArray(self.dtype, count)
        outputs = tf.TensorArray(self.dtype, count)
        weights = self.module.trainable_variables
        for step in tf.range(count):
            with tf.GradientTape() as tape:
                logits = tf.cast(self.module(tf.gather(images, order[step]), training=True), self.dtype)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets[step], logits))
            self.optimizer.learning_rate.assign(rate[step])
            # Keras' own SGD (--native optimizer) has one momentum for good: it cannot follow a schedule.
            if isinstance(self.optimizer, TorchSGD):
                self.optimizer.current_momentum.assign(momentum[step])
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            losses, outputs = losses.write(step, loss), outputs.write(step, logits)
        # Counted once for all steps: small operations one by one would cost as much as a small network.
        hits = tf.argmax(outputs.stack(), axis=2) == targets
        return tf.cast(losses.stack(), tf.float64), tf.math.count_nonzero(hits, axis=1)

    def predict(self, images: Array) -> Array:
        """See common.backend.Model."""
        return tf.cast(self.infer(tf.constant(channels_last(images))), self.dtype).numpy()

    def state_dict(self) -> dict[str, Array]:
        """See common.backend.Model."""
        state = {}
        for name, (variable, _, to_canonical) in self.variables.items():
            state[name] = np.array(to_canonical(variable.numpy()), order="C")
        for index, generator in enumerate(self._generators()):
            state[f"random.tensorflow.{index}"] = generator.state.numpy()
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See common.backend.Model."""
        for name, (variable, to_keras, _) in self.variables.items():
            if name in state or not name.startswith("optimizer."):
                variable.assign(to_keras(state[name]))
        for index, generator in enumerate(self._generators()):
            if f"random.tensorflow.{index}" in state:
                generator.state.assign(state[f"random.tensorflow.{index}"])

    def _variables(self, spec: ModelSpec, optimizer: Optimizer) -> Iterator[tuple[str, Stored]]:
        """Each canonical name with the Keras variable that holds it and the conversions to and from Keras."""
        identity = (lambda array: array,) * 2
        trained = []
        for node in spec.nodes():
            names = [*node.weights, *node.statistics]
            if not names:
                continue
            layer = self.module.get_layer(node.name)
            held = [*layer.trainable_variables, *layer.non_trainable_variables]
            for index, (name, variable) in enumerate(zip(names, held, strict=True)):
                conversion = KERNELS[type(layer)] if index == 0 and type(layer) in KERNELS else identity
                yield name, (variable, *conversion)
                if index < len(node.weights):
                    trained.append((name, conversion))
        for slot, held in zip(slots(optimizer), slot_variables(self.optimizer), strict=True):
            for (name, conversion), variable in zip(trained, held, strict=True):
                yield f"optimizer.{slot}.{name}", (variable, *conversion)
        yield "optimizer.step", (self.optimizer.iterations, *identity)

    def _generators(self) -> list[keras.random.SeedGenerator]:
        """Where each dropout layer's masks come from, in the order of the layers."""
        found = [getattr(layer, "seed_generator", None) for layer in self.module.layers]
        return [generator for generator in found if generator is not None]

    def _on_device(self, images: Array, labels: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """The training data as tensors: moved once, and again only when other arrays are passed."""
        if self.resident is None or self.resident[0] is not images or self.resident[1] is not labels:
            self.resident = None  # frees the last epoch's pixels before the next ones are copied
            self.resident = (images, labels, tf.constant(channels_last(images)), tf.constant(labels))
        return self.resident[2], self.resident[3]


def channels_last(images: Array) -> Array:
    """(N, C, H, W) to the (N, H, W, C) that Keras takes."""
    return images.transpose(0, 2, 3, 1)


def slot_variables(optimizer: keras.optimizers.Optimizer) -> list[list[keras.Variable]]:
    """The arrays a Keras optimizer keeps for each weight, in the order of `common.optimizer.slots`."""
    match optimizer:
        case keras.optimizers.SGD():
            return [optimizer.momentums] if optimizer.momentums else []
        case keras.optimizers.Adam():
            return [optimizer._momentums, optimizer._velocities]
        case keras.optimizers.Adadelta():
            return [optimizer._accumulated_grads, optimizer._accumulated_delta_vars]
        case _:
            raise TypeError(f"Unknown optimizer {type(optimizer).__name__}.")


class TensorFlow:
    """TensorFlow in this process (`common.backend.Backend`)."""

    name = "tensorflow"
    version = str(tf.__version__)

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        # Read when the first operation runs, so this comes before anything else.
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.threads = tf.config.threading.get_intra_op_parallelism_threads()
        with machine.quiet_stderr():
            if not accelerate:
                tf.config.set_visible_devices([], "GPU")
            accelerators = tf.config.get_visible_devices("GPU")
        self.device = "cpu"
        if accelerators:
            details = tf.config.experimental.get_device_details(accelerators[0])
            self.device = f"cuda ({details.get('device_name', 'GPU')})"

    def build(
        self, spec: ModelSpec, optimizer: Optimizer, *, precision: Precision, native: Native, seed: int
    ) -> KerasModel:
        """See common.backend.Backend."""
        keras.utils.set_random_seed(seed)
        return KerasModel(spec, optimizer, precision=precision, native=native)


if arguments is not None:
    main(TensorFlow, arguments)
