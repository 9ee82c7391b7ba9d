"""Layers, loss and optimizers by the pinned formulas, which are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

from backends.tensorflow.numerics import NARROW
from common.model import layers
from common.training.dropout_masks import Masks

Array = NDArray[Any]


# TensorFlow's own leaky_relu and gelu have their constants in single precision, also for doubles.
ACTIVATIONS: dict[layers.Function, Callable[[Tensor], Tensor]] = {
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.where(x > 0, x, 0.01 * x),
    "elu": tf.nn.elu,
    "gelu": lambda x: x * (1 + tf.math.erf(x / math.sqrt(2))) / 2,
    "silu": tf.nn.silu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3) / 6,
}


def padding(conv: layers.Conv) -> Literal["same", "valid"]:
    """Keras' name for a padding that it has; with a stride "same" pads more at the bottom and right."""
    settings = conv.stride, conv.padding, conv.dilation, conv.kernel_size
    axes = zip(*map(layers.pair, settings), strict=True)
    halves = [step == 1 and 2 * margin == gap * (side - 1) for step, margin, gap, side in axes]
    return "same" if all(halves) else "valid"


def padded(
    layer: keras.layers.Layer, window: layers.Conv | layers.MaxPool | layers.AvgPool
) -> keras.layers.Layer:
    """`layer` after the padding on each side that Keras has no name for."""
    if not any(layers.pair(window.padding)):
        return layer
    if isinstance(window, layers.Conv) and padding(window) == "same":
        return layer
    value = -math.inf if isinstance(window, layers.MaxPool) else 0.0
    return keras.Sequential([Padding(layers.pair(window.padding), value), layer])


class Padding(keras.layers.Layer):
    """Rows and columns of one value around images (N, H, W, C)."""

    def __init__(self, margins: tuple[int, int], value: float) -> None:
        super().__init__()
        self.margins, self.value = margins, value

    def call(self, inputs: Tensor) -> Tensor:
        """Images of as many rows and columns more on each side."""
        rows, columns = self.margins
        borders = [[0, 0], [rows, rows], [columns, columns], [0, 0]]
        return tf.pad(inputs, borders, constant_values=tf.cast(self.value, inputs.dtype))


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of images (N, H, W, C): over batch and rows, then columns.

    In two passes: the mean of the squares less the square of the mean would keep no digit of the variance of
    a channel whose mean is large beside its deviation.
    """
    width, channels = images.shape[2:]
    rows = tf.reshape(images, (-1, width * channels))
    rows = tf.cast(rows, tf.float32) if rows.dtype.size < tf.float32.size else rows

    def mean(values: Tensor) -> Tensor:
        return tf.reduce_mean(tf.reshape(tf.reduce_mean(values, 0), (width, channels)), 0)

    average = mean(rows)
    return average, mean(tf.square(rows - tf.tile(average, [width])))


def normalized(
    images: Tensor, scale: Tensor, offset: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, H, W, C) normalised by the batch, and the mean and unbiased variance of each channel.

    On a CPU the fused kernel adds the values of a channel one by one in single precision: of the 50,176 in
    the first layers of under-5k it keeps four digits, where PyTorch keeps six. On a CPU with few
    channels `_moments` also keeps six, and a step takes 3 % longer; with more channels it would be 10 %
    (under-8k).
    """
    single = images.dtype != tf.float64  # the fused kernels have no double precision
    if single and (images.shape[-1] >= NARROW or tf.config.get_visible_devices("GPU")):
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
        )
        return outputs, mean, variance  # which the kernel has made unbiased
    mean, biased = _moments(images)
    count = tf.cast(tf.size(images) // tf.size(mean), mean.dtype)
    variance = biased * count / (count - 1)
    if not single:
        return tf.nn.batch_normalization(images, mean, biased, offset, scale, epsilon), mean, variance

    def fused(images: Tensor, scale: Tensor, offset: Tensor) -> Any:
        inputs = {"x": images, "scale": scale, "epsilon": epsilon}
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            **inputs, offset=offset, mean=mean, variance=biased, is_training=False
        )

        def gradients(gradient: Tensor) -> tuple[Tensor, ...]:
            saved = {"reserve_space_1": mean, "reserve_space_2": biased, "reserve_space_3": [0.0]}
            return tuple(tf.raw_ops.FusedBatchNormGradV3(y_backprop=gradient, **inputs, **saved)[:3])

        return outputs, gradients

    return tf.custom_gradient(fused)(images, scale, offset), mean, variance


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose running variance is the unbiased one."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Inputs, (N, ..., C), normalised by the batch in training, else by running statistics."""
        if not training:
            return super().call(inputs, training=False)
        images = inputs if inputs.shape.rank == 4 else tf.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
        kept = self.moving_mean.value
        scale = self.gamma.value if self.scale else tf.ones_like(kept)
        offset = self.beta.value if self.center else tf.zeros_like(kept)
        outputs, mean, variance = normalized(images, scale, offset, self.epsilon)
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        return tf.reshape(outputs, tf.shape(inputs))


class MaskedDropout(keras.layers.Layer):
    """Dropout with masks from NumPy, whose masks are channels-first."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self.masks = masks

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """`inputs`, (N, H, W, C) or (N, F), times the next mask in training, as they are otherwise."""
        if not training:
            return inputs

        def draw(shape: Array) -> Array:
            channels_first = shape[[0, -1, *range(1, len(shape) - 1)]]
            mask = self.masks(tuple(map(int, channels_first)), inputs.dtype.as_numpy_dtype)
            return np.ascontiguousarray(np.moveaxis(mask, 1, -1))

        mask = tf.numpy_function(draw, [tf.shape(inputs)], inputs.dtype)
        return inputs * tf.ensure_shape(mask, inputs.shape)


def cross_entropy(labels: Tensor, logits: Tensor, *, smoothing: float) -> Tensor:
    """Cross-entropy of each image with its smoothed label, (N,). Keras' own smooths only one-hot labels."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not smoothing:
        return losses
    uniform = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)
    return (1 - smoothing) * losses + smoothing * uniform


class SGD(keras.optimizers.SGD):
    """SGD with the learning rate outside the velocity; rate and momentum are set before each step."""

    def build(self, variables: list[keras.Variable]) -> None:
        """Add the variable that holds the momentum of the step."""
        super().build(variables)
        self.current_momentum = keras.Variable(self.momentum, dtype=keras.config.floatx(), trainable=False)

    def update_step(self, gradient: Tensor, variable: tf.Variable, learning_rate: Tensor) -> None:
        """v = momentum * v + g; w -= lr * v, or w -= lr * (g + momentum * v) with Nesterov."""
        if not self.momentum:
            variable.assign_sub(learning_rate * gradient)
            return
        accum = self.momentums[self._get_variable_index(variable)].value.handle
        constants = {"momentum": self.current_momentum.value, "use_nesterov": self.nesterov}
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle, accum=accum, lr=learning_rate, grad=gradient, **constants
        )


def momentum_of(optimizer: keras.optimizers.Optimizer, rate: Array, momentum: Array | None) -> Array:
    """Momentum at each step, (steps,): the schedule's, else the optimizer's own."""
    return np.full(len(rate), getattr(optimizer, "momentum", 0.0)) if momentum is None else momentum


def set_rate(optimizer: keras.optimizers.Optimizer, rate: Any, momentum: Any) -> None:
    """Set learning rate and momentum of the next step.

    Keras' own SGD (`--native optimizer`) has one momentum for good: it cannot follow a schedule.
    """
    optimizer.learning_rate.assign(rate)
    if isinstance(optimizer, SGD):
        optimizer.current_momentum.assign(momentum)


class Adam(keras.optimizers.Adam):
    """Adam with epsilon added after the bias correction, and the correction in double precision.

    The kernel adds epsilon before, so it is given epsilon times the correction of its step; and it takes
    1 - beta2 of a rounded beta2, 1.3e-5 too little in single precision, which is made up for in the same way.
    """

    def apply(self, grads: list[Tensor], trainable_variables: list[tf.Variable] | None = None) -> None:
        """Compute the constants of this step once, not for every weight."""
        dtype = grads[0].dtype
        step = tf.cast(self.iterations + 1, tf.float64)
        rounded = float(np.array(self.beta_2, dtype.as_numpy_dtype))
        correction = tf.sqrt((1 - self.beta_2**step) * ((1 - rounded) / (1 - self.beta_2)))
        rate = tf.cast(self.learning_rate, tf.float64) * correction / (1 - self.beta_1**step)
        constants = {"lr": rate, "beta1_power": 0.0, "beta2_power": 0.0, "epsilon": self.epsilon * correction}
        constants |= {"beta1": self.beta_1, "beta2": self.beta_2}
        exact = {name: tf.convert_to_tensor(value, tf.float64) for name, value in constants.items()}
        self.constants = {name: tf.cast(value, dtype) for name, value in exact.items()}
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Tensor, variable: tf.Variable, learning_rate: Tensor) -> None:
        """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= lr m' / (sqrt(v') + eps)."""
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value.handle, self._velocities[index].value.handle
        tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=m, v=v, grad=gradient, **self.constants)


class Adadelta(keras.optimizers.Adadelta):
    """Adadelta in one kernel; the formula is Keras' own."""

    def update_step(self, gradient: Tensor, variable: tf.Variable, learning_rate: Tensor) -> None:
        """a = rho a + (1 - rho) g^2; d = g sqrt(b + eps) / sqrt(a + eps); w -= lr d."""
        index = self._get_variable_index(variable)
        slots = {"accum": self._accumulated_grads, "accum_update": self._accumulated_delta_vars}
        handles = {name: slot[index].value.handle for name, slot in slots.items()}
        numbers = {"rho": self.rho, "epsilon": self.epsilon}
        constants = {name: tf.constant(value, gradient.dtype) for name, value in numbers.items()}
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle, lr=learning_rate, grad=gradient, **handles, **constants
        )
