"""A run of a network of the zoo that is written nowhere unless a test says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.model.zoo import ZOO
from common.training.backend import Execution
from common.training.job import Job


def job(name: str, epochs: int, **changes: Any) -> Job:
    entry = ZOO[name]
    recipe = replace(entry.recipe, epochs=epochs)
    fixed = {
        "spec": entry.spec,
        "recipe": recipe,
        "seed": 3,
        "schedule_epochs": max(epochs, entry.recipe.epochs),
    }
    running = {"execution": Execution()}
    shown = {"test_batch_size": 500, "log_interval": 7, "settings": {"model": name}}
    return Job(**fixed | running | shown | changes)
