"""The tables' rows: a class a table, in which each column has its meaning and unit beside it."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Annotated, Literal

from common.frameworks import FRAMEWORKS

Status = Literal["ok", "diverged", "interrupted", "failed"]


@dataclass(frozen=True)
class Column:
    """What a column means, and the unit of its values; empty where they have none."""

    meaning: str
    unit: str = ""


FrameworkName = Annotated[str, Column(" or ".join(f"`{name}`" for name in FRAMEWORKS))]
NetworkName = Annotated[str, Column("name in the zoo")]
Device = Annotated[str, Column("`cpu`, or the accelerator")]
Machine = Annotated[str, Column("processor, cores and operating system")]
FrameworkVersion = Annotated[str, Column("version of the framework")]
PythonVersion = Annotated[str, Column("version of Python")]
Commit = Annotated[str, Column("git commit of the code; `-dirty` where tracked files had been changed")]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row of results.csv: a run's settings, results, times, memory and environment.

    None is an empty cell: a value that a failed run did not reach. The columns after `run` were added later;
    rows of older versions have them empty.
    """

    framework: FrameworkName
    model: NetworkName
    batch_size: Annotated[int, Column("images in a training step", unit="images")]
    epochs: Annotated[int, Column("passes over the training images", unit="epochs")]
    accuracy: Annotated[float | None, Column("on the test set after the last epoch", unit="percent")]
    parameters: Annotated[int, Column("trained values; BatchNorm's running statistics are not counted")]
    train_accuracy: Annotated[
        float | None,
        Column("mean over the last epoch's training batches, as they were trained on", unit="percent"),
    ]
    loss: Annotated[
        float | None, Column("mean cross-entropy on the test set after the last epoch", unit="nats")
    ]
    train_loss: Annotated[
        float | None,
        Column("mean over the last epoch's training batches, as they were trained on", unit="nats"),
    ]
    seed: Annotated[int, Column("of initial weights, order, augmentation and dropout")]
    train_seconds: Annotated[
        float | None, Column("all epochs' training, tests left out; empty after `--resume`", unit="seconds")
    ]
    first_step_seconds: Annotated[
        float | None, Column("the first step, in which a framework compiles and allocates", unit="seconds")
    ]
    predict_seconds: Annotated[
        float | None, Column("predictions of the whole test set, after the last epoch", unit="seconds")
    ]
    images_per_second: Annotated[
        float | None,
        Column("training images a second of training, the first step left out", unit="images / second"),
    ]
    peak_memory_mib: Annotated[float | None, Column("largest resident memory of the process", unit="MiB")]
    total_seconds: Annotated[float | None, Column("from the start of the process to the row", unit="seconds")]
    dataset: Annotated[
        str, Column("`mnist`, `fashion-mnist`; with `-validation-N` where N training images were held out")
    ]
    optimizer: Annotated[str, Column("update rule and its constants that are not the default")]
    schedule: Annotated[str, Column("learning-rate schedule and its constants that are not the default")]
    lr: Annotated[float, Column("learning rate that the schedule multiplies")]
    augment: Annotated[str, Column("augmentation of the training images, or `none`")]
    native: Annotated[str, Column("parts left to the framework's own defaults, or `none`")]
    loader: Annotated[
        str, Column("`memory`, or `native` and its knobs: the framework's own loader and usual loop")
    ]
    precision: Annotated[
        str, Column("number format of training; with `+compile` where --compile was asked for")
    ]
    device: Device
    threads: Annotated[int, Column("of one operation, as read back from the framework", unit="threads")]
    world_size: Annotated[int, Column("that trained together", unit="processes")]
    machine: Machine
    framework_version: FrameworkVersion
    python: PythonVersion
    commit: Commit
    recipe_hash: Annotated[str, Column("changes with anything in the network or its recipe")]
    status: Annotated[
        Status,
        Column(
            "`ok`, `diverged`, `interrupted` or `failed`; what a run did not reach is empty, not a number"
        ),
    ]
    started: Annotated[str, Column("time the run began", unit="UTC")]
    run: Annotated[str, Column("name of the run, the key into the other two tables")]
    import_seconds: Annotated[
        float | None, Column("from the start of the process until the framework was imported", unit="seconds")
    ] = None
    build_seconds: Annotated[
        float | None, Column("until the network was built and had its weights", unit="seconds")
    ] = None
    cpu_seconds: Annotated[
        float | None,
        Column("processor time of all cores, from the start of the process to the row", unit="seconds"),
    ] = None
    load_before: Annotated[
        float | None, Column("load average of the last minute before the run", unit="processes")
    ] = None
    load_after: Annotated[
        float | None, Column("the same after it, the run itself included", unit="processes")
    ] = None
    at_once: Annotated[
        float | None,
        Column("on the machine at most meanwhile, this one included; times count if it is 1", unit="runs"),
    ] = None
    reason: Annotated[str, Column("why a run failed")] = ""
    shifted_accuracy: Annotated[
        float | None,
        Column(
            "on the test set after the last epoch, by the mean logits of each image and of it shifted up, "
            "down, left and right; only where the recipe has `shifted`",
            unit="percent",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """A row of epochs.csv. Epoch 0 is the test before training: its training figures are None."""

    run: Annotated[str, Column("the run")]
    epoch: Annotated[int, Column("1 is the first; 0 is the test before training")]
    lr: Annotated[float | None, Column("learning rate of the epoch's first step")]
    train_loss: Annotated[
        float | None, Column("mean over the epoch's training batches, as they were trained on", unit="nats")
    ]
    train_accuracy: Annotated[
        float | None,
        Column("mean over the epoch's training batches, as they were trained on", unit="percent"),
    ]
    loss: Annotated[float, Column("on the test set after the epoch", unit="nats")]
    accuracy: Annotated[float, Column("on the test set after the epoch", unit="percent")]
    seconds: Annotated[float, Column("the epoch's training, tests left out", unit="seconds")]


@dataclass(frozen=True, kw_only=True)
class ErrorRow:
    """A row of errors.csv: a test image that was classified wrongly after a run's last epoch."""

    run: Annotated[str, Column("the run")]
    index: Annotated[int, Column("of the test image, from 0")]
    predicted: Annotated[
        int, Column("what the run said it is after its last epoch; every other prediction was right")
    ]


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """A row of speed.csv: median, lowest and highest of `rounds` measurements of one arm.

    Rows with the same `sitting` were measured in one session on one machine, so their ratios are meaningful.
    """

    sitting: Annotated[
        str, Column("time the sitting began; only within one can times be compared", unit="UTC")
    ]
    measure: Annotated[str, Column("what was measured")]
    framework: FrameworkName
    model: NetworkName
    arm: Annotated[str, Column("which of the things that are compared, or which part")]
    value: Annotated[float, Column("the median of the rounds", unit="`unit`")]
    low: Annotated[float, Column("the lowest of the rounds", unit="`unit`")]
    high: Annotated[float, Column("the highest of the rounds", unit="`unit`")]
    unit: Annotated[str, Column("of the three before it")]
    rounds: Annotated[int, Column("how often it was measured, in turn with what it is compared with")]
    device: Device
    threads: Annotated[int, Column("of one operation", unit="threads")]
    machine: Machine
    framework_version: FrameworkVersion
    python: PythonVersion
    commit: Commit


@dataclass(frozen=True, kw_only=True)
class TraceRow:
    """A row of traces.csv: the loss of one of a run's first steps, as text with all its digits."""

    sitting: Annotated[str, Column("time the sitting began", unit="UTC")]
    framework: FrameworkName
    model: NetworkName
    precision: Annotated[str, Column("number format of training")]
    perturb: Annotated[str, Column("`ulp`: from weights one unit in the last place larger; else `none`")]
    seed: Annotated[int, Column("of initial weights, order, augmentation and dropout masks")]
    step: Annotated[int, Column("1 is the first")]
    loss: Annotated[str, Column("of the step's batch, with all its digits", unit="nats")]
    machine: Machine
    framework_version: FrameworkVersion
    commit: Commit
    accuracy: Annotated[
        float | None,
        Column("on the test set after the step, where it is the last of the epoch", unit="percent"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class DefaultRow:
    """A row of defaults.csv: one of a framework's own defaults, in words."""

    sitting: Annotated[str, Column("time they were read", unit="UTC")]
    framework: FrameworkName
    framework_version: Annotated[str, Column("version of the framework, and of Keras")]
    item: Annotated[str, Column("what the default is of")]
    value: Annotated[str, Column("what it is")]


Row = Run | EpochRow | ErrorRow | SpeedRow | TraceRow | DefaultRow
TABLES: dict[str, type[Row]] = {
    "results.csv": Run,
    "epochs.csv": EpochRow,
    "errors.csv": ErrorRow,
    "speed.csv": SpeedRow,
    "traces.csv": TraceRow,
    "defaults.csv": DefaultRow,
}

TABLES_OF_A_RUN = ("epochs.csv", "errors.csv", "results.csv")
"""The tables that a run writes, in that order: its own row in results.csv comes last."""

FIRST_VERSION_ENDS = {"results.csv": "run", "traces.csv": "commit"}
"""The last column of a table's first version, where later versions added columns after it."""


def header(row_class: type[Row]) -> list[str]:
    """Column names, in order."""
    return [field.name for field in dataclasses.fields(row_class)]


def columns(row_class: type[Row]) -> dict[str, Column]:
    """Meaning and unit by column name, in order, as the row class declares them."""
    hints = typing.get_type_hints(row_class, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in header(row_class)}
