"""Requests of common.port to a Keras model; the same verbs as backends/pytorch/port/session.py."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import Tensor

from backends.tensorflow.port import losses, weights
from backends.tensorflow.port.trace import Tracer, watch_functions
from common import user_file
from common.messages import InputError, last_line

Array = NDArray[Any]
Arrays = dict[str, Array]


class Session:
    """One model at a time: `load` replaces it. Every verb leaves weights and statistics as they were, but
    `write`, and `gradients` with `keep`."""

    model: Any
    tracer: Tracer
    inputs: Tensor
    dtype: str

    def __init__(self) -> None:
        watch_functions()

    def verbs(self) -> dict[str, Callable[..., Any]]:
        """The methods that answer requests, by name."""
        names = (
            *("load", "batch", "read", "write", "mend", "trace", "statistics", "loss", "gradients"),
            *("optimizer", "optimize", "train", "versions"),
        )
        return {name: getattr(self, name) for name in names}

    def versions(self) -> dict[str, str]:
        """Versions of the libraries."""
        return {"tensorflow": tf.__version__, "keras": keras.__version__}

    def load(
        self, address: str, *, precision: str, seed: int, weights_file: str | None = None
    ) -> dict[str, Any]:
        """Build the model at FILE.py:NAME, or of a .keras file, in a precision, from a seed."""
        keras.backend.clear_session()
        random.seed(seed)
        np.random.seed(seed)
        keras.utils.set_random_seed(seed)
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)
        self.dtype = precision
        if address.endswith(".keras"):
            self.path = Path(address)
            module: Any = None
            model = weights.load_model(self.path, precision)
        else:
            self.path, name = user_file.split_address(address)
            module = user_file.load(self.path)
            model = user_file.call(module, name, self.path)
        if not isinstance(model, keras.Model):
            raise InputError(
                f"{address} returns an object of class {type(model).__name__}, not a keras.Model."
            )
        self.model, self.weights_file, self.attached = model, weights_file, False
        self.own_loss = _mean(getattr(module, "loss", None)) or _mean(_compiled(model, "loss"), always=True)
        self.own_optimizer = getattr(module, "optimizer", None) or _compiled(model, "optimizer")
        self.mends: list[Mapping[str, Any]] = []
        self.frozen: set[str] = set()
        shape = getattr(module, "input_shape", None) or _input_shape(model)
        return {
            "input_shape": None if shape is None else list(shape),
            "loss": self.own_loss is not None,
            "optimizer": self.own_optimizer is not None,
        }

    def batch(self, x: Array) -> None:
        """Set the inputs, with the channels last, or first where only that is accepted, and build the model.

        Raises InputError where the model accepts neither.
        """
        reasons = []
        for images in [np.moveaxis(x, 1, -1), x] if x.ndim > 2 else [x]:
            kind = self.dtype if np.issubdtype(images.dtype, np.floating) else images.dtype
            self.inputs = tf.constant(np.ascontiguousarray(images), kind)
            try:
                self.model(self.inputs, training=False)
                break
            except Exception as error:
                reasons.append(last_line(error))
        else:
            raise InputError(f"The batch {list(x.shape)} does not fit {self.path.name}: {reasons[0][:300]}.")
        if not self.attached:
            self.attached = True
            self.stored = weights.stored(self.model)
            if self.weights_file:
                weights.load_file(self.model, Path(self.weights_file))
            self.tracer = Tracer()
            self.tracer.attach(self.model)

    def read(self) -> Arrays:
        """All arrays by name."""
        return {name: item.to_pytorch(np.array(item.variable)) for name, item in self.stored.items()}

    def write(self, arrays: Mapping[str, Array], *, frozen: Sequence[str] | None = None) -> None:
        """Set arrays by name; the `frozen` ones are not trained any more."""
        for name, array in arrays.items():
            item = self.stored[name]
            item.variable.assign(item.to_keras(np.asarray(array)).reshape(item.variable.shape))
        if frozen is not None:
            self.frozen = set(frozen)

    def mend(self, *, mends: Sequence[Mapping[str, Any]] = ()) -> None:
        """Compute operations as the other side does from now on (see backends/tensorflow/port/mend.py)."""
        self.mends = list(mends)

    def trace(self, *, ulp: int | None = None) -> Any:
        """The operations in order, and the outputs; with `ulp` from weights and inputs moved by one unit."""
        with self._kept(), self._moved(ulp), self._recording(dropout_off=False):
            outputs = self.model(self.inputs, training=False)
        operations = []
        for index, operation in enumerate(self.tracer.operations):
            layer = None if operation.layer is None else operation.name
            own = {
                name.rpartition(".")[2]: list(item.to_pytorch(np.array(item.variable)).shape)
                for name, item in self.stored.items()
                if name.rpartition(".")[0] == layer
            }
            operations.append(
                {
                    "index": index,
                    "name": operation.name,
                    "layer": layer,
                    "kind": operation.kind,
                    "attributes": operation.attributes,
                    "weights": own,
                    "inputs": operation.inputs.numpy(),
                    "outputs": operation.outputs.numpy(),
                }
            )
        return {"operations": operations, "outputs": [tensor.numpy() for tensor in tf.nest.flatten(outputs)]}

    def statistics(self, *, ulp: int | None = None) -> Arrays:
        """All statistics after one batch in training mode without dropout."""
        with self._kept(), self._moved(ulp, shuffled=True), self._recording(dropout_off=True):
            self.model(self.inputs, training=True)
            values = self.read()
        return {name: array for name, array in values.items() if ".running_" in name}

    def loss(self, outputs: Array, labels: Array) -> float | Array:
        """The user's own loss of given outputs, an array if it is no single number."""
        value = self._own_loss(tf.constant(outputs, self.dtype), self._labels(labels))
        return float(value) if value.shape.rank == 0 else value.numpy()

    def gradients(
        self,
        labels: Array,
        *,
        standard: Mapping[str, Any] | None = None,
        ulp: int | None = None,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Loss and gradients in training mode without dropout, by the user's loss or a `standard` one."""
        with contextlib.nullcontext() if keep else self._kept(), self._moved(ulp, shuffled=True) as order:
            value, found = self._backward(self._labels(labels[order]), standard)
        gradients = {
            name: self.stored[name].to_pytorch(np.array(tf.convert_to_tensor(gradient)))
            for name, gradient in found.items()
            if gradient is not None
        }
        return {"loss": value, "gradients": gradients}

    def optimizer(self) -> dict[str, Any]:
        """The user's optimizer: its class and those above it, and its settings."""
        optimizer = self._optimizer()
        settings = {
            name: value
            for name, value in optimizer.get_config().items()
            if isinstance(value, bool | int | float | str | None)
        }
        rate = optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            settings["schedule"] = type(rate).__name__
        settings["learning_rate"] = float(np.array(optimizer.learning_rate))
        return {
            "classes": [kind.__name__ for kind in type(optimizer).__mro__],
            "settings": settings,
        }

    def optimize(self, gradients: Sequence[Mapping[str, Array]], factors: Sequence[float]) -> list[Arrays]:
        """The trained weights after each step on given gradients, at the optimizer's rate times a factor."""
        after = []
        with self._kept():
            trained = {name: v for name, v in self._trained().items() if name in gradients[0]}
            optimizer, rate = self._built(trained)
            for step, factor in zip(gradients, factors, strict=True):
                given = [
                    tf.constant(self.stored[name].to_keras(np.asarray(step[name])), self.dtype)
                    for name in trained
                ]
                self._apply(optimizer, given, list(trained.values()), rate, factor)
                after.append(
                    {name: self.stored[name].to_pytorch(np.array(value)) for name, value in trained.items()}
                )
        return after

    def train(
        self,
        labels: Array,
        factors: Sequence[float],
        *,
        standard: Mapping[str, Any] | None = None,
        ulp: int | None = None,
    ) -> dict[str, Any]:
        """Losses and the state after steps of the user's optimizer, without dropout."""
        values = []
        with self._kept(), self._moved(ulp, shuffled=True) as order:
            trained = self._trained()
            optimizer, rate = self._built(trained)
            targets = self._labels(labels[order])
            for factor in factors:
                value, found = self._backward(targets, standard)
                values.append(value)
                gradients = [found[name] for name in trained]
                self._apply(optimizer, gradients, list(trained.values()), rate, factor)
            return {"losses": values, "weights": self.read()}

    def _apply(
        self, optimizer: Any, gradients: list[Tensor], variables: list[Any], rate: float | None, factor: float
    ) -> None:
        if rate is not None:
            optimizer.learning_rate = rate * factor
        optimizer.apply(gradients, variables)

    def _optimizer(self) -> Any:
        if isinstance(self.own_optimizer, keras.optimizers.Optimizer):  # of a compiled model, used before
            return type(self.own_optimizer).from_config(self.own_optimizer.get_config())
        try:
            optimizer = self.own_optimizer()
        except Exception as error:
            raise InputError(f"{self.path}:optimizer raised {user_file.raised(error, self.path)}.") from error
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            name = type(optimizer).__name__
            raise InputError(f"{self.path}:optimizer returns an object of class {name}, not an Optimizer.")
        return optimizer

    def _built(self, trained: Mapping[str, Any]) -> tuple[Any, float | None]:
        """A new optimizer for the variables and its rate, None if that follows a schedule."""
        optimizer = self._optimizer()
        optimizer.build(list(trained.values()))
        scheduled = isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
        return optimizer, None if scheduled else float(np.array(optimizer.learning_rate))

    def _trained(self) -> dict[str, Any]:
        trainable = {id(variable) for variable in self.model.trainable_variables}
        items = self.stored.items()
        return {n: i.variable for n, i in items if id(i.variable) in trainable and n not in self.frozen}

    def _labels(self, labels: Array) -> Tensor:
        return tf.constant(labels, self.dtype if np.issubdtype(labels.dtype, np.floating) else tf.int64)

    def _own_loss(self, outputs: Any, labels: Tensor) -> Tensor:
        return tf.convert_to_tensor(self.own_loss(labels, outputs))

    def _backward(self, labels: Tensor, standard: Mapping[str, Any] | None) -> tuple[float, dict[str, Any]]:
        trained = self._trained()
        mends = [change for change in self.mends if standard or not change.get("head")]
        with tf.GradientTape() as tape, self.tracer.recording(mends=mends, dropout_off=True):
            outputs = self.model(self.inputs, training=True)
            if standard is None:
                value = self._own_loss(outputs, labels)
            else:
                value = losses.standard(tf.nest.flatten(outputs)[0], labels, **standard)
        found = tape.gradient(value, [variable.value for variable in trained.values()])
        return float(tf.reduce_sum(value)), dict(zip(trained, found, strict=True))

    def _recording(self, *, dropout_off: bool) -> Any:
        return self.tracer.recording(mends=self.mends, dropout_off=dropout_off)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Restore all variables after the block."""
        state = [np.array(variable) for variable in self.model.variables]
        try:
            yield
        finally:
            for variable, array in zip(self.model.variables, state, strict=True):
                variable.assign(array)

    @contextlib.contextmanager
    def _moved(self, seed: int | None, *, shuffled: bool = False) -> Iterator[Array]:
        """Move every weight and input by one unit in the last place; the caller restores the weights.

        With `shuffled` the examples are in another order, which their sums over a batch then are too. Yields
        the order of the examples.
        """
        inputs, order = self.inputs, np.arange(len(self.inputs))
        if seed is not None:
            generator = np.random.default_rng(seed)
            for variable in self.model.trainable_variables:
                variable.assign(_one_ulp(np.array(variable), generator))
            if shuffled:
                order = generator.permutation(len(order))
            self.inputs = tf.constant(_one_ulp(inputs.numpy()[order], generator))
        try:
            yield order
        finally:
            self.inputs = inputs


def _one_ulp(array: Array, generator: np.random.Generator) -> Array:
    """The neighbouring floating-point number above or below each value; zeros and integers stay."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    infinity = np.where(generator.random(array.shape) < 0.5, np.inf, -np.inf).astype(array.dtype)
    return np.where(array == 0, array, np.nextafter(array, infinity))


def _input_shape(model: Any) -> list[int] | None:
    """The declared shape of one input without the batch, None where it is not declared as a whole."""
    shape = getattr(model, "input_shape", None) if getattr(model, "_inputs", None) or model.built else None
    if not isinstance(shape, tuple) or any(not isinstance(size, int) for size in shape[1:]):
        return None
    return list(shape[1:])


class _Mean(keras.losses.Loss):
    """The mean of a function's losses, of labels in the outputs' shape: what `fit` makes of a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def call(self, labels: Any, outputs: Any) -> Any:
        if outputs.shape[-1] == 1 and len(labels.shape) == len(outputs.shape) - 1:
            labels = keras.ops.expand_dims(labels, -1)
        return self.function(labels, outputs)


def _mean(loss: Any, *, always: bool = False) -> Any:
    """A loss of which `compile` takes the mean: one named by a string, and `always` a function too."""
    named = keras.losses.get(loss) if isinstance(loss, str) else loss
    plain = callable(named) and not isinstance(named, keras.losses.Loss)
    return _Mean(named) if plain and (always or isinstance(loss, str)) else named


def _compiled(model: Any, name: str) -> Any:
    """The loss or optimizer that a compiled model was given, else None."""
    if not getattr(model, "compiled", False):
        return None
    return getattr(model, name, None)
