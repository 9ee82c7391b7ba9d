"""Invented rows of ports.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.tables import store
from common.tables.schema import PortRow


def add_comparison(folder: Path, model: str = "tf-model-1", **values: Any) -> None:
    """Append a comparison of a network with itself, or with other values."""
    columns: dict[str, Any] = {
        "model": model,
        "mutant": "none",
        "framework": "",
        "cause": "",
        "stages": "",
        "seed": 1,
        "precision": "float64",
        "batch_size": 8,
        "found": "",
        "inherent": "",
        "reason": "",
        "seconds": 3.0,
        "parameters": 101_770,
        "load": 1.5,
        "threads": 1,
        "revision": 2,
        "machine": "a machine",
        "versions": "torch 1, tensorflow 2, keras 3",
        "python": "3.11.0",
        "commit": "0123456789ab",
        "started": "2026-01-02T03:04:05Z",
        "run": store.new_run(),
    }
    store.append_rows(folder, "ports.csv", [PortRow(**{**columns, **values})])


def add_planted(folder: Path, cause: str, found: str, **values: Any) -> None:
    """Append a comparison with a mistake in the first framework's file, of a cause of the forward pass."""
    given = {"mutant": cause, "framework": "pytorch", "cause": cause, "stages": "forward", "found": found}
    add_comparison(folder, **{**given, **values})
