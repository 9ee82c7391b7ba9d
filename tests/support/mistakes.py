"""Invented rows of mistakes.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store
from common.tables.schema import MistakeRow
from common.training.mistakes import BY_NAME

COLUMNS = set(MistakeRow.__dataclass_fields__)


def add_mistakes(
    folder: Path, model: str = "tf-model-1", framework: str = "pytorch", seed: int = 1, **values: Any
) -> None:
    """Append the runs of a process: accuracies by name of the run, and columns that all of them have."""
    entry = ZOO[model]
    accuracies = {name: values.pop(name) for name in [*values] if name not in COLUMNS}
    assert all(name in BY_NAME or name.startswith("none") for name in accuracies)
    columns: dict[str, Any] = {
        "framework": framework,
        "model": model,
        "seed": seed,
        "status": "ok",
        "loss": 0.1,
        "difference": 0.0,
        "floor": 1e-6,
        "epochs": entry.recipe.epochs,
        "recipe_hash": recipe_hash(entry.spec, entry.recipe),
        "numerics": 1.0,
        "device": "cpu",
        "threads": 2,
        "machine": "a machine",
        "framework_version": "1.2.3",
        "python": "3.11.0",
        "commit": "0123456789ab",
        "started": "2026-01-02T03:04:05Z",
    }
    rows = [
        MistakeRow(**{**columns, **values}, mistake=name, accuracy=accuracy, run=store.new_run())
        for name, accuracy in accuracies.items()
    ]
    store.append_rows(folder, "mistakes.csv", rows)
