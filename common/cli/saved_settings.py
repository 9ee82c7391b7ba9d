"""The metadata of a checkpoint that is resumed: a file of others, checked before it decides a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.cli.arguments import LOADERS, MAX_SEED, PRECISIONS
from common.data.datasets import DATASETS, TRAINING_IMAGES
from common.model.recipe import MAX_EPOCHS
from common.training.backend import NATIVE_PARTS
from common.training.checkpoint import CheckpointError


def check_metadata(metadata: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError for a field with a value that no run has."""
    for name, value in metadata.items():
        if (words := _ALLOWED.get(name)) and not _is_allowed(name, value):
            raise CheckpointError(f"{path} has {name} {json.dumps(value)[:60]} in its metadata, not {words}.")


def require_epoch(metadata: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError for a checkpoint that does not name its epoch."""
    if "epoch" not in metadata:
        raise CheckpointError(f"{path} has no epoch in its metadata; resume what --save-model wrote.")


_ALLOWED = {
    "epoch": f"a whole number from 1 to {MAX_EPOCHS:,}",
    "seed": f"a whole number from 0 to {MAX_SEED:,}",
    "batch_size": f"a whole number from 1 to {TRAINING_IMAGES:,}",
    "validation": f"a whole number from 0 to {TRAINING_IMAGES - 1:,}",
    "lr": "a number above 0",
    "precision": f"one of {', '.join(PRECISIONS)}",
    "loader": f"one of {', '.join(LOADERS)}",
    "dataset": f"one of {', '.join(DATASETS)}, or the path of a user's own data",
    "perturb": "ulp or null",
    "native": f"a list of {', '.join(NATIVE_PARTS)}",
    "vary": "a list of changes",
    "compile": "true or false",
    "recipe": "an object",
}


def _is_allowed(name: str, value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match name:
        case "epoch":
            return whole and 1 <= value <= MAX_EPOCHS
        case "seed":
            return whole and 0 <= value <= MAX_SEED
        case "batch_size":
            return whole and 1 <= value <= TRAINING_IMAGES
        case "validation":
            return whole and 0 <= value < TRAINING_IMAGES
        case "lr":
            number = whole or isinstance(value, float)
            return number and 0 < value < math.inf
        case "precision" | "loader":
            names = {"precision": PRECISIONS, "loader": LOADERS}[name]
            return isinstance(value, str) and value in names
        case "dataset":
            return isinstance(value, str) and (value in DATASETS or Path(value).is_absolute())
        case "perturb":
            return value in (None, "ulp")
        case "native":
            return isinstance(value, list) and all(part in NATIVE_PARTS for part in value)
        case "vary":
            return isinstance(value, list) and all(isinstance(change, str) for change in value)
        case "compile":
            return isinstance(value, bool)
        case _:
            return isinstance(value, dict)
