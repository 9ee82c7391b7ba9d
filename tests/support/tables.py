"""Invented rows and digits for tests of the tables' readers. A run has the zoo's recipe by default."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.analysis.ablation import native_column
from common.analysis.rounding import ARMS
from common.data.datasets import Dataset, Digits
from common.frameworks import PAIR
from common.model.entry import Entry
from common.model.recipe import recipe_hash, short_name
from common.model.zoo import ZOO
from common.tables import schema, store
from common.tables.schema import SpeedRow, TraceRow

OWN = Entry(
    dataclasses.replace(ZOO["tf-model-1"].spec, name="mine"),
    ZOO["tf-model-1"].recipe,
    file="net.py@0123456789ab",
)
"""A network of a user's own file."""


def add_run(folder: Path, model: str = "tf-model-1", framework: str = "pytorch", **fields: Any) -> schema.Run:
    """Append a run with its epochs and errors.

    `fields` are columns of results.csv; `errors` maps test images to wrong predictions; `recipe` holds
    changes of the zoo's; `entry` is a network that is not in the zoo.
    """
    entry = fields.pop("entry", None) or ZOO[model]
    errors = fields.pop("errors", {0: 9, 3: 9, 7: 1})
    recipe = dataclasses.replace(entry.recipe, **fields.pop("recipe", {}))
    columns: dict[str, Any] = {
        "framework": framework,
        "model": entry.name,
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
        "import_seconds": 1.0,
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
        "run": f"{entry.name}-{framework}-{len(store.rows(folder, 'results.csv'))}",
        "model_file": entry.file or None,
    }
    run = schema.Run(**columns | fields)
    done = run.status == "ok"
    epochs = [_epoch(run, epoch) for epoch in range(run.epochs + 1 if done else 1)]
    wrong = [schema.ErrorRow(run=run.run, index=index, predicted=digit) for index, digit in errors.items()]
    store.append(folder, run, epochs, wrong if done else [])
    return run


def add_pairs(
    folder: Path, differences: Sequence[float], model: str = "tf-model-1", *, dataset: str = "mnist"
) -> None:
    """Append runs of both frameworks on a data set, one pair for each difference of accuracy."""
    for seed, difference in enumerate(differences, start=1):
        for framework, added in (("pytorch", difference), ("tensorflow", 0.0)):
            accuracy = 98.0 + seed / 100 + added
            add_run(folder, model, framework, seed=seed, accuracy=accuracy, dataset=dataset)


def timing_row(
    measure: str,
    arm: str,
    value: float,
    *,
    framework: str = "pytorch",
    model: str = "tf-model-1",
    session: str = "2026-01-01T00:00:00+00:00",
    commit: str = "0123456789ab",
    machine: str = "a machine",
) -> SpeedRow:
    """A row of speed.csv of one round."""
    return SpeedRow(
        sitting=session,
        measure=measure,
        framework=framework,
        model=model,
        arm=arm,
        value=value,
        low=value,
        high=value,
        unit="s",
        rounds=1,
        device="cpu",
        threads=2,
        machine=machine,
        framework_version="1.2.3",
        python="3.11.0",
        commit=commit,
    )


def aa_rows(
    a: Sequence[float], b: Sequence[float], *, quantity: str = "training", **fields: str
) -> list[SpeedRow]:
    """The rows of arms A and B, with one value of a quantity ("training" or "memory") a round; `fields` are
    those of `timing_row`."""
    batch = ZOO[fields.get("model", "tf-model-1")].recipe.batch_size
    fixed = {"train_seconds": 2.0, "first_step_seconds": 0.75, "preprocess_seconds": 0.25}
    return [
        timing_row(f"again {column}", f"{arm} {number}", measured, **fields)
        for arm, values in zip("AB", (a, b), strict=True)
        for number, value in enumerate(values, start=1)
        for column, measured in (
            {"peak_memory_mib": value} if quantity == "memory" else fixed | {"trained_images": value + batch}
        ).items()
    ]


def add_traces(
    folder: Path,
    losses: Callable[[str, str, str], Sequence[float]],
    *,
    seed: int = 1,
    model: str = "under-8k",
    session: str = "2026-01-01T00:00:00+00:00",
) -> None:
    """Append traces of a network in every arm; `losses` takes framework, precision, perturbation."""
    for framework in PAIR:
        for precision, perturb in ARMS:
            rows = [
                TraceRow(
                    sitting=session,
                    framework=framework,
                    model=model,
                    precision=precision,
                    perturb=perturb,
                    seed=seed,
                    step=step,
                    loss=repr(loss),
                    machine="",
                    framework_version="",
                    commit="",
                )
                for step, loss in enumerate(losses(framework, precision, perturb), start=1)
            ]
            store.append_rows(folder, "traces.csv", rows)


def add_variants(
    folder: Path, *, seeds: int = 3, model: str = "under-5k", **accuracies: tuple[float, float]
) -> None:
    """Append runs of an ablation's variants, each with its accuracy in PyTorch and in TensorFlow.

    A seed changes the accuracy of all variants by the same amount.
    """
    for variant, pair in accuracies.items():
        for framework, accuracy in zip(PAIR, pair, strict=True):
            for seed in range(1, seeds + 1):
                fields = {
                    "native": native_column(variant),
                    "accuracy": accuracy + seed / 50,
                    "seed": seed,
                    "at_once": 1,
                }
                add_run(folder, model, framework, **fields)


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
