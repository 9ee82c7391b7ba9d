"""Rows and digits made up for tests of what reads the tables. A run is the zoo's unless told otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from common.data.datasets import Dataset, Digits
from common.model.recipe import recipe_hash, short_name
from common.model.zoo import ZOO
from common.tables import schema, store


def add_run(folder: Path, model: str = "tf-model-1", framework: str = "pytorch", **fields: Any) -> schema.Run:
    """Append a run with its epochs and errors.

    `fields` are columns of results.csv; `errors` what was predicted by index; `recipe` changes to the zoo's.
    """
    entry = ZOO[model]
    errors = fields.pop("errors", {0: 9, 3: 9, 7: 1})
    recipe = dataclasses.replace(entry.recipe, **fields.pop("recipe", {}))
    columns: dict[str, Any] = {
        "framework": framework,
        "model": model,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "accuracy": 99.0,
        "parameters": entry.spec.parameters,
        "train_accuracy": 98.5,
        "loss": 0.05,
        "train_loss": 0.06,
        "seed": 1,
        "train_seconds": 10.0,
        "first_step_seconds": 0.5,
        "predict_seconds": 0.25,
        "images_per_second": 30000.0,
        "peak_memory_mib": 512.0,
        "total_seconds": 12.0,
        "dataset": "mnist",
        "optimizer": short_name(recipe.optimizer),
        "schedule": short_name(recipe.schedule),
        "lr": recipe.lr,
        "augment": short_name(recipe.augment),
        "native": "none",
        "loader": "memory",
        "precision": "float32",
        "device": "cpu",
        "threads": 2,
        "world_size": 1,
        "machine": "a machine",
        "framework_version": "1.2.3",
        "python": "3.11.0",
        "commit": "0123456789ab",
        "recipe_hash": recipe_hash(entry.spec, recipe),
        "status": "ok",
        "started": "2026-01-02T03:04:05Z",
        "run": f"{model}-{framework}-{len(store.rows(folder, 'results.csv'))}",
    }
    run = schema.Run(**columns | fields)
    done = run.status == "ok"
    epochs = [_epoch(run, epoch) for epoch in range(run.epochs + 1 if done else 1)]
    wrong = [schema.ErrorRow(run=run.run, index=index, predicted=digit) for index, digit in errors.items()]
    store.append(folder, run, epochs, wrong if done else [])
    return run


def _epoch(run: schema.Run, epoch: int) -> schema.EpochRow:
    share = epoch / max(run.epochs, 1)
    accuracy = run.accuracy if run.accuracy is not None else 50.0
    trained = {"lr": run.lr, "train_loss": 1.1 - share, "train_accuracy": 90 + 5 * share}
    return schema.EpochRow(
        run=run.run,
        epoch=epoch,
        **(trained if epoch else dict.fromkeys(trained)),
        loss=2.3 - 2 * share,
        accuracy=10 + (accuracy - 10) * share,
        seconds=2.0 if epoch else 0.0,
    )


def digits(*, train: int = 640, test: int = 100) -> Dataset:
    """Noise with labels 0, 1, ... 9, 0, ...: the same on every call."""
    random = np.random.default_rng(0)

    def part(count: int) -> Digits:
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        return Digits(images, (np.arange(count) % 10).astype(np.uint8))

    return Dataset("mnist", part(train), part(test))
