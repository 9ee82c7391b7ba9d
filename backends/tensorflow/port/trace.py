"""A recording of what a Keras model does: every layer without inner layers, every operation of a functional
graph, and the functions of keras.ops and tf.nn that are called between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, ClassVar

import keras
import tensorflow as tf
from tensorflow import Tensor

from backends.tensorflow.port import describe, mend

ELEMENTWISE = (
    *("relu", "relu6", "leaky_relu", "gelu", "silu", "swish", "elu", "selu", "tanh", "sigmoid", "softplus"),
    *("hard_silu", "mish", "softmax", "log_softmax"),
)
FUNCTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (keras.ops, (*ELEMENTWISE, "max_pool", "average_pool", "reshape", "mean", "pad")),
    (keras.activations, ELEMENTWISE),
    (tf.nn, (*ELEMENTWISE, "max_pool2d", "avg_pool2d", "dropout")),
    (keras.random, ("dropout",)),
    (tf, ("reshape", "reduce_mean", "tanh", "sigmoid")),
)
"""The functions that are recorded, by the module in which a user finds them."""


@dataclass
class Operation:
    """One call in the order of the calls; `layer` is the layer, None for a function."""

    name: str
    layer: Any
    kind: str
    attributes: dict[str, Any]
    inputs: Any
    outputs: Tensor


@dataclass
class Tracer:
    """Records the calls inside `recording`, and computes some as `mends` say (see mend.py)."""

    operations: list[Operation] = field(default_factory=list)
    mends: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    dropout_off: bool = False
    active: bool = False
    inside: bool = False

    current: ClassVar[Tracer | None] = None

    def attach(self, model: Any) -> None:
        """Pass the calls of every layer and operation without inner layers through this tracer."""
        for name, part in named_leaves(model).items():
            activation = None
            if type(part).__name__ in describe.FUSED:
                activation, part.activation = part.activation, keras.activations.linear
            part.call = partial(self._layer, name, part, part.call, activation)

    @contextmanager
    def recording(
        self, *, mends: Sequence[Mapping[str, Any]] = (), dropout_off: bool = False
    ) -> Iterator[None]:
        """Record the calls made within, and nothing else."""
        merged: dict[int, dict[str, Any]] = {}
        for change in mends:
            own = merged.setdefault(change["index"], {})
            attributes = {**own.get("attributes", {}), **change.get("attributes", {})}
            own.update(change, attributes=attributes)
        self.operations, self.mends, self.dropout_off = [], merged, dropout_off
        self.active, self.inside = True, False
        Tracer.current = self
        try:
            yield
        finally:
            self.active, Tracer.current = False, None

    def _layer(
        self, name: str, part: Any, call: Callable[..., Any], activation: Any, *args: Any, **options: Any
    ) -> Any:
        if not self.active or self.inside or not args:
            outputs = call(*args, **options)
            return outputs if activation is None else activation(outputs)
        outputs = self.record(
            name,
            part,
            args[0],
            lambda inputs: call(inputs, *args[1:], **options),
            lambda inputs, outputs: describe.layer(part, call, options, inputs, outputs),
        )
        if activation is None or activation is keras.activations.linear:
            return outputs
        return self.record(
            f"{name} activation", None, outputs, activation, lambda *_: describe.activation(activation)
        )

    def record(
        self,
        name: str,
        part: Any,
        inputs: Any,
        compute: Callable[[Any], Any],
        description: Callable[[Any, Tensor], describe.Description],
    ) -> Any:
        """The outputs of a call, recorded, or what its mend computes in its place."""
        self.inside = True
        try:
            change = self.mends.get(len(self.operations))
            if change is not None:
                inputs = mend.changed_inputs(change, inputs)
            first = inputs[0] if isinstance(inputs, list | tuple) and inputs else inputs
            statistics = [] if change is None else list(getattr(part, "non_trainable_variables", []))
            before = [tf.identity(variable.value) for variable in statistics]
            outputs = compute(inputs)
            if not isinstance(outputs, tf.Tensor) or not isinstance(first, tf.Tensor):
                return outputs
            kind, attributes = description(first, outputs)
            if change is not None:
                attributes = {**attributes, **change["attributes"]}
                for variable, array in zip(statistics, before, strict=True):
                    variable.assign(array)  # what the layer computes itself is not kept
                outputs = mend.mended(part, kind, attributes, change, compute, inputs, outputs)
            if kind == "dropout" and self.dropout_off:
                outputs = first
            self.operations.append(Operation(name, part, kind, attributes, first, outputs))
        finally:
            self.inside = False
        return outputs


def named_leaves(model: Any) -> dict[str, Any]:
    """The `leaves` by name, of equal ones each further with one more apostrophe."""
    named: dict[str, Any] = {}
    for part in leaves(model):
        name = part.name
        while name in named:
            name += "'"
        named[name] = part
    return named


def leaves(model: Any) -> list[Any]:
    """Layers without inner layers, and the operations of functional graphs, each once."""
    found: dict[int, Any] = {}

    def visit(part: Any) -> None:
        if isinstance(part, keras.Sequential) and part.built and getattr(part, "_functional", None):
            inner = part._functional.operations
        elif hasattr(part, "operations"):
            inner = part.operations
        else:
            inner = list(getattr(part, "_layers", []))
        inner = [other for other in inner if not isinstance(other, keras.layers.InputLayer)]
        if type(part).__name__ in describe.FUSED and not any(other.weights for other in inner):
            inner = []  # its activation is a layer, as LeakyReLU
        if not inner and part is not model:
            found[id(part)] = part
        for other in inner:
            visit(other)

    visit(model)
    return list(found.values())


def watch_functions() -> None:
    """Let the tracer that is recording see calls of FUNCTIONS, wherever a user's model makes them."""
    for module, names in FUNCTIONS:
        for name in names:
            original = getattr(module, name, None)
            if original is not None and not hasattr(original, "watched"):
                setattr(module, name, _watched(name, original))


def _watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        tracer = Tracer.current
        eager = bool(args) and isinstance(args[0], tf.Tensor) and args[0].shape.rank > 1
        if tracer is None or tracer.inside or not eager:
            return original(*args, **options)

        def compute(inputs: Tensor) -> Any:
            return original(inputs, *args[1:], **options)

        return tracer.record(
            name,
            None,
            args[0],
            compute,
            lambda _, outputs: describe.function(name, compute, args, options, outputs),
        )

    call.watched = True  # type: ignore[attr-defined]
    return call
