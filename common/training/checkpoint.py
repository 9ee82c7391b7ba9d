"""Checkpoints: named arrays in, named arrays out, as safetensors.

A checkpoint is the model's `state_dict()` with one JSON text of metadata. No pickle is ever read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from common import files
from common.model.layers import Shape
from common.model.optimizer import Optimizer, slots
from common.model.spec import ModelSpec
from common.printable import printable

Array = NDArray[Any]
_METADATA = "template-ml"
MAX_STEPS = 10**12


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message is one line for the person at the terminal."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))  # it may have text of a file


@dataclass(frozen=True)
class Checkpoint:
    """A saved state and its metadata: model, framework, recipe, epoch, seed, ..."""

    state: dict[str, Array]
    metadata: dict[str, Any]


def state_shapes(spec: ModelSpec, optimizer: Optimizer) -> dict[str, Shape]:
    """Names and shapes of a checkpoint's arrays, without the frameworks' own `random.` states."""
    slot_shapes = {
        f"optimizer.{slot}.{name}": shape for slot in slots(optimizer) for name, shape in spec.weights.items()
    }
    return spec.weights | spec.statistics | {"optimizer.step": ()} | slot_shapes


def last_epoch_path(path: Path) -> Path:
    """File beside the checkpoint `path` that holds the last whole epoch of a run until that has ended."""
    return path.parent / f"{path.stem}.last-epoch{path.suffix}"


def check_writable(path: Path) -> None:
    """Check before training that `write` can write `path`. Raises CheckpointError."""
    try:
        path = path.resolve()
        if path.is_dir():
            raise CheckpointError(f"Cannot write the checkpoint {path}: it is a folder; name a file.")
        if path.exists() and not path.is_file():
            raise CheckpointError(f"Cannot write the checkpoint {path}: it is a device, not a file.")
        files.check_writable(path.parent)
    except RuntimeError:  # before Python 3.13, for links in a circle
        raise CheckpointError(f"Cannot write the checkpoint {path}: its links form a circle.") from None
    except OSError as error:
        raise CheckpointError(f"Cannot write the checkpoint {path}: {error.strerror or error}.") from None


def write(path: Path, state: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Save a checkpoint: to a temporary name, then renamed. The same state and metadata give the same bytes.

    Raises CheckpointError when `path` cannot be written.
    """
    arrays = {name: np.array(state[name], order="C") for name in sorted(state)}
    data = save(arrays, metadata={_METADATA: json.dumps(metadata, sort_keys=True)})
    try:
        files.write(path.resolve(), data)  # a link is followed, not replaced
    except OSError as error:
        raise CheckpointError(f"Cannot write the checkpoint {path}: {error.strerror or error}.") from None


def read(path: Path) -> Checkpoint:
    """Load what `write` saved. Raises CheckpointError for anything else: missing, truncated, a pickle, ..."""
    try:
        files.is_file(path)
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_METADATA)
            state = {name: _array(file, name, path) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"Cannot read the checkpoint {path}: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); use one that --save-model wrote."
        ) from None
    if text is None:
        raise CheckpointError(f"{path} has no metadata of this project; use one that --save-model wrote.")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(
            f"{path} has metadata that is no JSON object, but {text[:40]!r}; use one that --save-model wrote."
        )
    return Checkpoint(state, metadata)


def _array(file: Any, name: str, path: Path) -> Array:
    """An array of the file. Raises CheckpointError for a type that NumPy lacks, such as bfloat16."""
    try:
        array: Array = file.get_tensor(name)
    except (TypeError, ValueError, AttributeError, KeyError):
        dtype = file.get_slice(name).get_dtype()
        raise CheckpointError(
            f"{path} has {name} as {dtype}, which NumPy lacks: save it as float32."
        ) from None
    return array


def load_weights(path: Path, spec: ModelSpec) -> dict[str, Array]:
    """Weights and statistics of `spec` in the checkpoint at `path`. Raises CheckpointError."""
    checkpoint = read(path)
    check(checkpoint, path, spec)
    return {name: checkpoint.state[name] for name in (*spec.weights, *spec.statistics)}


def check(checkpoint: Checkpoint, path: Path, spec: ModelSpec, optimizer: Optimizer | None = None) -> None:
    """Raise CheckpointError unless `checkpoint` holds `spec`'s weights, and `optimizer`'s state if given."""
    model = checkpoint.metadata.get("model")
    if model != spec.name:
        file = checkpoint.metadata.get("model_file")
        address = f"{str(file).partition('@')[0]}:{model}" if file else model
        advice = f": use --model {address}" if model else ""
        raise CheckpointError(f"{path} holds the network {model}, not {spec.name}{advice}.")
    expected = state_shapes(spec, optimizer) if optimizer else spec.weights | spec.statistics
    for name, shape in expected.items():
        if name not in checkpoint.state:
            raise CheckpointError(f"{path} has no {name}, which {spec.name} needs.")
        if checkpoint.state[name].shape != shape:
            raise CheckpointError(f"{path} has {name} as {checkpoint.state[name].shape}, not {shape}.")
        kinds, words = (
            ("iu", "whole numbers") if name == "optimizer.step" else ("f", "floating-point numbers")
        )
        dtype = checkpoint.state[name].dtype
        if dtype.kind not in kinds:
            raise CheckpointError(f"{path} has {name} as {dtype}, not as {words}.")
        if name == "optimizer.step" and not 0 <= int(checkpoint.state[name]) <= MAX_STEPS:
            raise CheckpointError(f"{path} has {checkpoint.state[name]} as the number of its steps.")
