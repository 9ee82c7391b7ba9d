"""TensorFlow: a backend and a script. `python tf.py --help`.

The networks are described in common/zoo.py; here is how Keras builds and TensorFlow trains and saves one.
"""

from __future__ import annotations

from common.cli.main import main, parse_arguments

# --help and wrong flags are answered before the seconds that importing a framework takes.
arguments = parse_arguments("tensorflow") if __name__ == "__main__" else None

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters comes as an exception

import contextlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from common.model import spec
from common.tables import machine

# Its first words are notes on its build and on accelerators that are not there; no level hides them.
with machine.quiet_stderr():
    import keras
    import tensorflow as tf
    from tensorflow import Tensor

from common.data.datasets import Digits
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer, slots
from common.training.backend import DefaultsProbe, Execution, Native, PeerLost, Precision, Stage
from common.training.distributed import read_world
from common.training.dropout_masks import Masks

Array = NDArray[Any]

Conversion = Callable[[Array], Array]
Stored = tuple[keras.Variable, Conversion, Conversion]

tf.get_logger().setLevel("ERROR")  # it warns of graphs that are made for every model anew

XLA_STEPS = 128  # in a call of a compiled graph
NARROW = 16  # with fewer channels a batch is normalised by moments of our own

# Kernels, to Keras' layout and back; every other array is the same on both sides.
KERNELS: dict[type, tuple[Conversion, Conversion]] = {
    keras.layers.Conv2D: (lambda oihw: oihw.transpose(2, 3, 1, 0), lambda hwio: hwio.transpose(3, 2, 0, 1)),
    keras.layers.DepthwiseConv2D: (
        lambda c1hw: c1hw.transpose(2, 3, 0, 1),
        lambda hwc1: hwc1.transpose(2, 3, 0, 1),
    ),
    keras.layers.Dense: (np.transpose, np.transpose),
}


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of images (N, H, W, C), added up by columns first."""
    width, channels = images.shape[2:]
    rows = tf.reshape(images, (-1, width * channels))
    rows = tf.cast(rows, tf.float32) if rows.dtype.size < tf.float32.size else rows

    def mean(values: Tensor) -> Tensor:
        return tf.reduce_mean(tf.reshape(tf.reduce_mean(values, 0), (width, channels)), 0)

    average = mean(rows)
    return average, tf.maximum(mean(tf.square(rows)) - tf.square(average), 0)


def normalized(
    images: Tensor, scale: Tensor, offset: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, H, W, C) normalised by the batch, and the mean and unbiased variance of each channel.

    On a CPU the fused kernel adds the values of a channel one by one in single precision: of the 50,176 in
    the first layers of under-5k it keeps four digits, where PyTorch keeps six. There, where channels are few,
    `moments` keep as many, and a step takes 3 % longer; with more channels it would be 10 % (under-8k).
    """
    single = images.dtype != tf.float64  # the fused kernels have no double precision
    if single and (images.shape[-1] >= NARROW or tf.config.get_visible_devices("GPU")):
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
        )
        return outputs, mean, variance
    mean, biased = moments(images)
    count = tf.cast(tf.size(images) // tf.size(mean), mean.dtype)
    variance = biased * count / (count - 1)
    if not single:
        return tf.nn.batch_normalization(images, mean, biased, offset, scale, epsilon), mean, variance

    def fused(images: Tensor, scale: Tensor, offset: Tensor) -> Any:
        taken = {"x": images, "scale": scale, "epsilon": epsilon}
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            **taken, offset=offset, mean=mean, variance=biased, is_training=False
        )

        def gradients(gradient: Tensor) -> tuple[Tensor, ...]:
            saved = {"reserve_space_1": mean, "reserve_space_2": biased, "reserve_space_3": [0.0]}
            return tuple(tf.raw_ops.FusedBatchNormGradV3(y_backprop=gradient, **taken, **saved)[:3])

        return outputs, gradients

    return tf.custom_gradient(fused)(images, scale, offset), mean, variance


class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose running variance is the unbiased one, as PyTorch keeps it."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return super().call(inputs, training=False)
        images = inputs if inputs.shape.rank == 4 else inputs[:, None, None, :]
        outputs, mean, variance = normalized(images, self.gamma.value, self.beta.value, self.epsilon)
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        return tf.reshape(outputs, tf.shape(inputs))


class GivenDropout(keras.layers.Layer):
    """Dropout with masks from NumPy, which has them channels-first."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self.masks = masks

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return inputs

        def draw(shape: Array) -> Array:
            first = shape[[0, -1, *range(1, len(shape) - 1)]]
            mask = self.masks(tuple(map(int, first)), inputs.dtype.as_numpy_dtype)
            return np.ascontiguousarray(np.moveaxis(mask, 1, -1))

        return inputs * tf.ensure_shape(
            tf.numpy_function(draw, [tf.shape(inputs)], inputs.dtype), inputs.shape
        )


def layers(node: spec.Node, after: spec.Layer | None, execution: Execution) -> list[keras.layers.Layer]:
    """The Keras layers of a node before the layer `after`; the one that holds weights has the node's name."""
    native = execution.native
    match node.layer:
        case spec.Conv(out_channels, kernel_size, padding, stride, groups, bias):
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
        case spec.BatchNorm(eps, momentum):
            if "norm" in native:
                return [keras.layers.BatchNormalization(name=node.name)]
            return [UnbiasedBatchNormalization(momentum=1 - momentum, epsilon=eps, name=node.name)]
        case spec.Activation():
            return [keras.layers.ReLU()]
        case spec.MaxPool(kernel_size):
            return [keras.layers.MaxPooling2D(kernel_size)]
        case spec.GlobalAvgPool():
            return [keras.layers.GlobalAveragePooling2D()]
        case spec.Flatten():
            channels, *sides = node.input_shape
            # To (C, H, W) order, so that what follows sees features in the canonical order; but of a dense
            # layer the kernel is put into the other order, once and for all.
            reorder = channels > 1 and max(sides) > 1 and not isinstance(after, spec.Dense)
            return [*([keras.layers.Permute((3, 1, 2))] if reorder else []), keras.layers.Flatten()]
        case spec.Dense(out_features, bias):
            return [keras.layers.Dense(out_features, use_bias=bias, name=node.name)]
        case (spec.Dropout() | spec.SpatialDropout()) as dropped if execution.masks is not None:
            whole = isinstance(dropped, spec.SpatialDropout)
            return [GivenDropout(Masks(dropped.rate, node.name, execution.masks, whole))]
        case spec.Dropout(rate):
            return [keras.layers.Dropout(rate)]
        case spec.SpatialDropout(rate):
            return [keras.layers.SpatialDropout2D(rate)]
        case _:
            assert_never(node.layer)


class TorchSGD(keras.optimizers.SGD):
    """Momentum with the learning rate outside the velocity; both are set before each step."""

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self.current_momentum = keras.Variable(self.momentum, dtype=keras.config.floatx(), trainable=False)

    def update_step(self, gradient: Tensor, variable: tf.Variable, learning_rate: Tensor) -> None:
        if not self.momentum:
            variable.assign_sub(learning_rate * gradient)
            return
        accum = self.momentums[self._get_variable_index(variable)].value.handle
        constants = {"momentum": self.current_momentum.value, "use_nesterov": self.nesterov}
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle, accum=accum, lr=learning_rate, grad=gradient, **constants
        )


class TorchAdam(keras.optimizers.Adam):
    """Adam with epsilon added after the bias correction, and the correction in double precision.

    The kernel adds epsilon before, so it is given epsilon times the correction of its step; and it takes
    1 - beta2 of a rounded beta2, 1.3e-5 too little in single precision, which is made up for in the same way.
    """

    def apply(self, grads: list[Tensor], trainable_variables: list[tf.Variable] | None = None) -> None:
        # Once for all weights: each of these few numbers is an operation in the graph.
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
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value.handle, self._velocities[index].value.handle
        tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=m, v=v, grad=gradient, **self.constants)


class TorchAdadelta(keras.optimizers.Adadelta):
    """Adadelta in one kernel; the formula is Keras' own."""

    def update_step(self, gradient: Tensor, variable: tf.Variable, learning_rate: Tensor) -> None:
        index = self._get_variable_index(variable)
        slots = {"accum": self._accumulated_grads, "accum_update": self._accumulated_delta_vars}
        handles = {name: slot[index].value.handle for name, slot in slots.items()}
        given = {"rho": self.rho, "epsilon": self.epsilon}
        constants = {name: tf.constant(value, gradient.dtype) for name, value in given.items()}
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle, lr=learning_rate, grad=gradient, **handles, **constants
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


def compiled(network: spec.ModelSpec) -> bool:
    """Whether XLA compiles a network's steps without being asked, by what was measured on two cores of a CPU.

    It makes dense networks quicker: a step of tf-model-1 takes 0.5 ms instead of 1.0. Convolutions it slows.
    """
    return not any(isinstance(node.layer, spec.Conv) for node in network.nodes())


@contextlib.contextmanager
def together(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """What the other processes of a run must be there for."""
    try:
        yield
    except tf.errors.OpError as error:
        if not strategy:
            raise
        raise PeerLost(error.message.splitlines()[0]) from error


def averaged(values: list[Tensor], strategy: tf.distribute.Strategy) -> list[Tensor]:
    """Over all processes of the run."""

    def reduced() -> list[Tensor]:
        placed = [tf.identity(value) for value in values]  # where they were computed they have no device yet
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, placed)

    return strategy.run(reduced)


class KerasModel:
    """A network and its optimizer (`common.backend.Model`)."""

    def __init__(
        self,
        network: spec.ModelSpec,
        optimizer: Optimizer,
        execution: Execution,
        strategy: tf.distribute.Strategy | None,
    ) -> None:
        self.world, self.strategy = execution.world, strategy
        precision = execution.precision
        keras.config.set_floatx("float64" if precision == "float64" else "float32")
        keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
        self.dtype = tf.as_dtype(keras.config.floatx())
        channels, height, width = network.input_shape
        self.input_shape = (None, height, width, channels)
        self.module = keras.Sequential([keras.Input(self.input_shape[1:])])
        for node, after in zip(network.nodes(), [*network.layers[1:], None], strict=True):
            for layer in layers(node, after, execution):
                self.module.add(layer)
        self.optimizer = update_rule(optimizer, execution.native)
        self.optimizer.build(self.module.trainable_variables)
        self.variables = dict(self._variables(network, optimizer))
        self.resident: tuple[Array, Array, Tensor, Tensor] | None = None
        # Not where processes must talk to each other in every step.
        self.xla = execution.compiled or (compiled(network) and not strategy)
        self.graphs: dict[tuple[int, str], Callable[..., tuple[Tensor, Tensor]]] = {}
        images = tf.TensorSpec(self.input_shape, self.dtype)
        # Without AutoGraph, which takes longer to read this file than TensorFlow to trace the network.
        self.infer = tf.function(partial(self.module, training=False), [images], autograph=False)
        self.scaling, self.loader, self.batches = execution.scaling, execution.loader, None
        self.smoothing = execution.label_smoothing
        if self.loader:
            plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            loss = self._losses if self.smoothing else plain
            options = {"jit_compile": True} if execution.compiled else {}
            self.module.compile(self.optimizer, loss, metrics=["accuracy"], **options)

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        """See common.backend.Model."""
        inputs, targets = self._on_device(images, labels)
        momentum = self._momenta(rate, momentum)
        order = self.world.shard(order)
        graph = self._graph(order.shape[1], inputs.dtype)
        # XLA compiles for one shape, so there every call is filled up to the same number of steps.
        length = XLA_STEPS if self.xla else len(order)
        losses, correct = [], []
        for start in range(0, len(order), length):
            steps = min(length, len(order) - start)
            part, fill = slice(start, start + steps), length - steps
            with together(self.strategy):
                loss, hits = graph(
                    *(inputs, targets, tf.constant(steps)),
                    tf.constant(np.pad(order[part], ((0, fill), (0, 0)))),
                    *(
                        tf.constant(np.pad(values[part], (0, fill)), self.dtype)
                        for values in (rate, momentum)
                    ),
                )
            losses.append(loss.numpy()[:steps])
            correct.append(hits.numpy()[:steps])
        return np.concatenate(losses), np.concatenate(correct)

    def _graph(self, batch_size: int, dtype: tf.DType) -> Callable[..., tuple[Tensor, Tensor]]:
        """One graph for any number of steps of a batch size; shapes that are known make it quicker."""
        key = (batch_size, dtype.name)
        if key not in self.graphs:
            values = tf.TensorSpec([None], self.dtype)
            signature = [
                *(tf.TensorSpec(self.input_shape, dtype), tf.TensorSpec([None], tf.int64)),
                *(tf.TensorSpec([], tf.int32), tf.TensorSpec((None, batch_size), tf.int64), values, values),
            ]
            self.graphs[key] = tf.function(
                self._steps, signature, autograph=False, jit_compile=self.xla or None
            )
        return self.graphs[key]

    def _steps(
        self, images: Tensor, labels: Tensor, steps: Tensor, order: Tensor, rate: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The first `steps` of `order` as one graph: a while loop around one step."""
        targets, most = tf.gather(labels, order), tf.shape(order)[0]

        def body(step: Tensor, losses: Tensor, correct: Tensor) -> tuple[Tensor, ...]:
            self._set_rate(rate[step], momentum[step])
            logits, loss, gradients = self._gradients(self._gathered(images, order[step]), targets[step])
            hits = tf.math.count_nonzero(tf.argmax(logits, axis=1) == targets[step])
            if self.strategy:
                mine = [*gradients, loss, tf.cast(self.world.size * hits, self.dtype)]
                *gradients, loss, hits = averaged(mine, self.strategy)
                hits = tf.cast(tf.round(hits), tf.int64)  # a mean of three is no whole number
            self.optimizer.apply(gradients, self.module.trainable_variables)
            return step + 1, kept(losses, step, loss), kept(correct, step, hits)

        def kept(values: Tensor, step: Tensor, value: Tensor) -> Tensor:
            # Not a TensorArray, with which a step of a compiled network takes 3 % longer.
            return tf.tensor_scatter_nd_update(values, [[step]], [value])

        none = tf.zeros(most, self.dtype), tf.zeros(most, tf.int64)
        _, losses, correct = tf.while_loop(lambda step, *_: step < steps, body, (tf.constant(0), *none))
        return tf.cast(losses, tf.float64), correct

    def _gathered(self, images: Tensor, batch: Tensor) -> Tensor:
        """The pixels of a batch."""
        taken = tf.gather(images, batch)
        if images.dtype == tf.uint8:
            return tf.cast(taken, self.dtype) * self.scaling.factor + self.scaling.shift
        return taken

    def _momenta(self, rate: Array, momentum: Array | None) -> Array:
        """Momentum at each step: the schedule's, else the optimizer's own."""
        return np.full(len(rate), getattr(self.optimizer, "momentum", 0.0)) if momentum is None else momentum

    def _set_rate(self, rate: Any, momentum: Any) -> None:
        self.optimizer.learning_rate.assign(rate)
        # Keras' own SGD (--native optimizer) has one momentum for good: it cannot follow a schedule.
        if isinstance(self.optimizer, TorchSGD):
            self.optimizer.current_momentum.assign(momentum)

    def _losses(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Cross-entropy of each image with its smoothed label. Keras' own smooths only one-hot labels."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if not self.smoothing:
            return losses
        evenly = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)
        return (1 - self.smoothing) * losses + self.smoothing * evenly

    def _gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits, loss, and the gradient of the loss for each weight."""
        with tf.GradientTape() as tape:
            logits = tf.cast(self.module(images, training=True), self.dtype)
            loss = tf.reduce_mean(self._losses(labels, logits))
        return logits, loss, tape.gradient(loss, self.module.trainable_variables)

    def train_epoch(
        self, digits: Digits, rate: Array, momentum: Array | None = None, *, batch_size: int, seed: int
    ) -> Iterator[tuple[Array, Array]]:
        """See common.backend.Model."""
        self.batches = self.batches or self._pipeline(digits, batch_size=batch_size, seed=seed)
        momenta = self._momenta(rate, momentum)
        self._set_rate(rate[0], momenta[0])
        each_step = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda step, logs: self._set_rate(rate[step], momenta[step])
        )
        callbacks = [each_step] if np.ptp(rate) or np.ptp(momenta) else []
        told = self.module.fit(self.batches, verbose=0, callbacks=callbacks).history
        yield np.full(len(rate), told["loss"]), np.full(len(rate), told["accuracy"]) * batch_size

    def _pipeline(self, digits: Digits, *, batch_size: int, seed: int) -> tf.data.Dataset:
        """Batches as TensorFlow's guides to tf.data have them: map, cache, shuffle, batch, prefetch."""
        assert self.loader
        mean, std, workers = self.scaling.mean, self.scaling.std, self.loader.num_workers or tf.data.AUTOTUNE
        pairs = tf.data.Dataset.from_tensor_slices((digits.images[..., None], digits.labels.astype(np.int64)))
        scaled = pairs.map(
            lambda image, label: ((tf.cast(image, self.dtype) / 255 - mean) / std, label),
            num_parallel_calls=workers,
        )
        shuffled = scaled.cache().shuffle(len(digits), seed=seed)
        return shuffled.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def partial_steps(
        self, images: Array, labels: Array, order: Array, *, until: Stage
    ) -> Callable[[], None]:
        """See common.backend.Model."""
        inputs, targets = self._on_device(images, labels)
        batches = tf.constant(order)
        weights = self.module.trainable_variables

        def run(inputs: Tensor, targets: Tensor, batches: Tensor) -> Tensor:
            # A sum that needs all that was computed: what no result needs is left out of a graph.
            used = tf.zeros([], self.dtype)
            fixed, wanted = self._gathered(inputs, batches[0]), tf.gather(targets, batches[0])
            for step in tf.range(len(order)):
                if until == "bare":
                    self.optimizer.apply(self._gradients(fixed, wanted)[2], weights)
                    continue
                batch = self._gathered(inputs, batches[step])
                if until == "input":
                    used += tf.reduce_sum(batch) if self.xla else batch[0, 0, 0, 0]
                    continue
                _, loss, gradients = self._gradients(batch, tf.gather(targets, batches[step]))
                used += loss
                if until == "backward":
                    used += tf.add_n([tf.reduce_sum(gradient) for gradient in gradients])
            return used

        graph = tf.function(run, jit_compile=self.xla or None)
        return lambda: graph(inputs, targets, batches).numpy()

    def kernels(self, images: Array, labels: Array, order: Array) -> dict[str, float]:
        """See common.backend.Model."""
        # The only reader of the profiler's files that comes with TensorFlow.
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        with tempfile.TemporaryDirectory() as folder, machine.quiet_stderr():
            with tf.profiler.experimental.Profile(folder):
                self.train_steps(images, labels, order, np.zeros(len(order)))
            written = next(Path(folder).rglob("*.xplane.pb")).read_bytes()
        seconds: Counter[str] = Counter()
        for plane in xplane_pb2.XSpace.FromString(written).planes:
            for event in (event for line in plane.lines for event in line.events):
                # LAYERS/OPERATION:KERNEL; what has another name runs the kernels, or is compiled whole.
                found = re.fullmatch(r".*/[^/:]+:(\w+)", plane.event_metadata[event.metadata_id].name)
                if found:
                    seconds[found[1]] += event.duration_ps / 1e12
        return dict(seconds)

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

    def _variables(self, network: spec.ModelSpec, optimizer: Optimizer) -> Iterator[tuple[str, Stored]]:
        """Each canonical name with the Keras variable that holds it and the conversions to and from Keras."""
        identity = (lambda array: array,) * 2
        trained = []
        for before, node in zip([None, *network.nodes()], network.nodes(), strict=False):
            names = [*node.weights, *node.statistics]
            if not names:
                continue
            layer = self.module.get_layer(node.name)
            held = [*layer.trainable_variables, *layer.non_trainable_variables]
            kernel = KERNELS.get(type(layer), identity)
            if before and isinstance(before.layer, spec.Flatten) and isinstance(node.layer, spec.Dense):
                kernel = flattened(before.input_shape)
            for index, (name, variable) in enumerate(zip(names, held, strict=True)):
                conversion = kernel if index == 0 else identity
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

    def _on_device(self, images: Array, labels: Array) -> tuple[Tensor, Tensor]:
        """The training data as tensors: moved once, and again only when other arrays are passed."""
        if self.resident is None or self.resident[0] is not images or self.resident[1] is not labels:
            self.resident = None  # frees the last epoch's pixels before the next ones are copied
            self.resident = (images, labels, tf.constant(channels_last(images)), tf.constant(labels))
        return self.resident[2], self.resident[3]


def channels_last(images: Array) -> Array:
    """(N, C, H, W) to the (N, H, W, C) that Keras takes."""
    return images.transpose(0, 2, 3, 1)


def flattened(shape: spec.Shape) -> tuple[Conversion, Conversion]:
    """Conversions of the kernel of a dense layer after Flatten, which comes from `shape`, (C, H, W)."""
    channels, height, width = shape
    return (
        lambda kernel: kernel.reshape(-1, *shape).transpose(2, 3, 1, 0).reshape(-1, len(kernel)),
        lambda kernel: (
            kernel.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
        ),
    )


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


class TensorFlowDefaults:
    """Keras' parts as its users get them (`common.backend.Natives`)."""

    versions = f"{tf.__version__} with Keras {keras.__version__}"
    optimizers = keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.Adadelta
    batch_norm, channel_dropout = keras.layers.BatchNormalization, keras.layers.SpatialDropout2D
    threads_program = "import tensorflow as tf; print(tf.config.threading.get_intra_op_parallelism_threads())"

    def compiles_by_default(self) -> bool:
        """See common.backend.Natives."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile()
        return bool(model.jit_compile)

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """See common.backend.Natives."""
        made = keras.layers.Dense(fan_out)
        made.build((None, fan_in))
        return tuple(made.get_weights())

    def batch_norm_statistics(self, batch: Array) -> tuple[float, float]:
        """See common.backend.Natives."""
        made = keras.layers.BatchNormalization()
        made(batch[:, None], training=True)
        return float(made.moving_mean[0]), float(made.moving_variance[0])

    def batch_norm_parameters(self, channels: int) -> int:
        """See common.backend.Natives."""
        made = keras.layers.BatchNormalization()
        made.build((None, channels))
        return int(made.count_params())

    def convolution(self, images: Array, channels: int, *, stride: int = 1, padding: str = "valid") -> Array:
        """See common.backend.Natives."""
        made = keras.layers.Conv2D(channels, 3, strides=stride, padding=padding, kernel_initializer="ones")
        return made(images).numpy()

    def optimizer_trajectory(
        self,
        optimizer: Any,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        **constants: float,
    ) -> list[float]:
        """See common.backend.Natives."""
        variable = keras.Variable(weight, dtype="float64")
        made = optimizer(learning_rate=rates[0], **constants)
        made.build([variable])
        after = []
        for gradient, rate in zip(gradients, rates, strict=True):
            made.learning_rate = rate
            made.apply([tf.constant(gradient, tf.float64)], [variable])
            after.append(float(variable.numpy()))
        return after

    def loader_batches(self, count: int) -> list[list[int]]:
        """See common.backend.Natives."""
        seen = []

        class Watching(keras.Model):
            def train_step(self, data: tuple[Tensor, Tensor]) -> dict[str, float]:
                seen.append([int(example) for example in data[0]])
                return {"loss": 0.0}  # fit wants a figure

        model = Watching()
        model.compile(run_eagerly=True)
        model.fit(np.arange(count), np.arange(count), verbose=0)
        return seen


class TensorFlow:
    """TensorFlow in this process (`common.backend.Backend`)."""

    name = "tensorflow"
    version = str(tf.__version__)
    defaults: DefaultsProbe = TensorFlowDefaults()

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        # Read when the first operation runs, so this comes before anything else.
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.threads = tf.config.threading.get_intra_op_parallelism_threads()
        with machine.quiet_stderr():
            if not accelerate:
                tf.config.set_visible_devices([], "GPU")
            accelerators = tf.config.get_visible_devices("GPU")
        # It wants to be there before the first operation.
        self.strategy = None
        if read_world(self.name, os.environ).size > 1:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self.device = "cpu"
        if accelerators:
            details = tf.config.experimental.get_device_details(accelerators[0])
            self.device = f"cuda ({details.get('device_name', 'GPU')})"

    def build(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int
    ) -> KerasModel:
        """See common.backend.Backend."""
        keras.utils.set_random_seed(execution.world.seed(seed))
        return KerasModel(network, optimizer, execution, self.strategy)

    def product(self, size: int, *, precision: Precision) -> Callable[[], None]:
        """See common.backend.Backend."""
        left, right = (tf.cast(tf.random.normal((size, size)), precision) for _ in range(2))
        graph = tf.function(tf.matmul)
        return lambda: graph(left, right)[0, 0].numpy()


if arguments is not None:
    main(TensorFlow, arguments)
