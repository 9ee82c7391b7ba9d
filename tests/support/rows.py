"""Rows like those that a run writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common.tables.schema import EpochRow, ErrorRow, Run
from common.tables.store import append, rows

NAMES = ("results.csv", "epochs.csv", "errors.csv")

COLUMNS = {
    "results.csv": "framework, model, batch_size, epochs, accuracy, parameters, train_accuracy, loss, "
    "train_loss, seed, train_seconds, first_step_seconds, predict_seconds, images_per_second, "
    "peak_memory_mib, total_seconds, dataset, optimizer, schedule, lr, augment, native, loader, precision, "
    "device, threads, world_size, machine, framework_version, python, commit, recipe_hash, status, "
    "started, run, import_seconds, build_seconds, cpu_seconds, load_before, load_after, at_once, reason, "
    "shifted_accuracy, numerics, model_file",
    "epochs.csv": "run, epoch, lr, train_loss, train_accuracy, loss, accuracy, seconds",
    "errors.csv": "run, index, predicted",
}

RUN = Run(
    framework="pytorch",
    model="under-8k",
    batch_size=128,
    epochs=15,
    accuracy=99.46,
    parameters=4392,
    train_accuracy=99.1875,
    loss=0.0178125,
    train_loss=0.027,
    seed=1,
    train_seconds=120.5,
    first_step_seconds=0.25,
    predict_seconds=1.5,
    images_per_second=7000.0,
    peak_memory_mib=512.0,
    total_seconds=130.25,
    dataset="mnist",
    optimizer="SGD(momentum=0.95)",
    schedule="OneCycle()",
    lr=1.0,
    augment="Affine(zoom=ZoomCrop(side=22,probability=0.1) rotation=15.0)",
    native="",
    loader="memory",
    precision="float32",
    device="cpu",
    threads=2,
    world_size=1,
    machine="a processor, of 2 cores",
    framework_version="2.14.1",
    python="3.11.7",
    commit="0123abc",
    recipe_hash="0123456789ab",
    status="ok",
    started="2026-11-22T12:00:00+00:00",
    run="r0",
)
EPOCH = EpochRow(
    run="r0", epoch=1, lr=0.5, train_loss=0.1, train_accuracy=97.0, loss=0.2, accuracy=98.0, seconds=8.0
)
ERROR = ErrorRow(run="r0", index=321, predicted=7)


def add(folder: Path, run: str, *, epochs: int = 2, errors: int = 3) -> None:
    append(
        folder,
        replace(RUN, run=run),
        [replace(EPOCH, run=run, epoch=epoch) for epoch in range(epochs)],
        [replace(ERROR, run=run, index=index) for index in range(errors)],
    )


def runs(folder: Path, name: str = "results.csv") -> list[str]:
    return [row["run"] for row in rows(folder, name)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, which may remain."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
