"""The variables of a Keras model under PyTorch's names and in its layouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from backends.tensorflow.port.describe import WEIGHTS
from backends.tensorflow.port.trace import named_leaves
from common.messages import InputError, last_line
from common.user_file import require

Array = NDArray[Any]


class Stored(NamedTuple):
    """A variable, and the conversions of its array from and to PyTorch's layout."""

    variable: Any
    to_keras: Callable[[Array], Array]
    to_pytorch: Callable[[Array], Array]


def stored(model: Any) -> dict[str, Stored]:
    """Every variable of every layer as `LAYER.weight`, `LAYER.bias`, ...; counters and seeds left out."""
    result: dict[str, Stored] = {}
    for name, part in named_leaves(model).items():
        named = {id(getattr(part, own, None)): other for own, other in WEIGHTS.items()}
        for variable in getattr(part, "variables", []):
            if len(variable.shape) and "seed_generator" not in variable.path:
                array = named.get(id(variable), variable.name)
                result[f"{name}.{array}"] = Stored(variable, *_layout(part, array, variable.shape))
    seen = {id(item.variable) for item in result.values()}
    for variable in model.variables:  # of the model itself, and of layers that have inner ones
        if id(variable) not in seen and len(variable.shape) and "seed" not in variable.path:
            result[variable.path] = Stored(variable, np.asarray, np.asarray)
    return result


def _layout(
    part: Any, name: str, shape: tuple[int, ...]
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Conversions of one array of a layer from and to PyTorch's layout."""
    kind = type(part).__name__
    if name == "weight" and kind.startswith("DepthwiseConv"):
        axes = len(shape) - 2
        order = (axes, axes + 1, *range(axes))  # (H, W, C, M) to (C, M, H, W), and then (C M, 1, H, W)

        def to_keras(array: Array) -> Array:
            back = array.reshape(*shape[-2:], *shape[:-2])
            return back.transpose(*range(2, axes + 2), 0, 1)

        def to_pytorch(array: Array) -> Array:
            return array.transpose(order).reshape(math.prod(shape[-2:]), 1, *shape[:-2])

        return to_keras, to_pytorch
    if name == "weight" and (kind == "Dense" or "Conv" in kind):
        axes = len(shape) - 2
        return (
            lambda array: array.transpose(*range(2, axes + 2), 1, 0),
            lambda array: array.transpose(axes + 1, axes, *range(axes)),
        )
    return np.asarray, np.asarray


def load_file(model: Any, path: Path) -> None:
    """Load a .keras or .weights.h5 file into a built model. Raises InputError."""
    try:
        if path.suffix == ".keras":
            model.set_weights(keras.saving.load_model(path, compile=False).get_weights())
        else:
            model.load_weights(path)
    except Exception as error:
        raise InputError(f"{path} does not fit the model: {last_line(error)[:300]}.") from error


def load_model(path: Path, precision: str) -> Any:
    """The model of a .keras file in a precision. Raises InputError."""
    require(path)
    try:
        model = keras.saving.load_model(path)
        if precision != "float32":
            config = _with_precision(keras.saving.serialize_keras_object(model), precision)
            copy = keras.saving.deserialize_keras_object(config)
            copy.set_weights(model.get_weights())
            model = copy
    except Exception as error:
        raise InputError(f"{path} is no model that Keras can load: {last_line(error)[:300]}.") from error
    return model


def _with_precision(config: Any, precision: str) -> Any:
    """A serialised model with every float32 replaced."""
    if isinstance(config, dict):
        return {name: _with_precision(value, precision) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [_with_precision(value, precision) for value in config]
    return precision if config == "float32" else config
