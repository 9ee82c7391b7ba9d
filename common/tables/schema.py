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
    """A column's meaning and the unit of its values; empty where they have none."""

    meaning: str
    unit: str = ""


FrameworkName = Annotated[str, Column(" or ".join(f"`{name}`" for name in FRAMEWORKS))]
NetworkName = Annotated[str, Column("name in the zoo, or of a network of the user's own file")]
MeasuredOn = Annotated[
    str | None,
    Column("data set, as in results.csv; empty in sessions before the column, which are of `mnist`"),
]
Device = Annotated[str, Column("`cpu`, or the accelerator")]
Machine = Annotated[
    str,
    Column("processor, on Linux its widest vector instructions (since 27 November 2026), cores and system"),
]
FrameworkVersion = Annotated[str, Column("version of the framework")]
PythonVersion = Annotated[str, Column("version of Python")]
Commit = Annotated[
    str,
    Column(
        "git commit of the code, with `-dirty` if tracked files but results/ and *.md were changed; empty "
        "outside a clone of it"
    ),
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row of results.csv, or of trials.csv: a run's settings, results, times, memory and environment.

    None is an empty cell: a value that a failed run did not reach. The columns after `run` were added later;
    rows of older versions have them empty.
    """

    framework: FrameworkName
    model: NetworkName
    batch_size: Annotated[int, Column("images per training step", unit="images")]
    epochs: Annotated[int, Column("passes over the training images", unit="epochs")]
    accuracy: Annotated[float | None, Column("on the test set after the last epoch", unit="percent")]
    parameters: Annotated[int, Column("trained values; BatchNorm's running statistics are not counted")]
    train_accuracy: Annotated[
        float | None,
        Column("mean over the last epoch's training batches, with dropout and augmentation", unit="percent"),
    ]
    loss: Annotated[
        float | None, Column("mean cross-entropy on the test set after the last epoch", unit="nats")
    ]
    train_loss: Annotated[
        float | None,
        Column("mean over the last epoch's training batches, with dropout and augmentation", unit="nats"),
    ]
    seed: Annotated[int, Column("seed of initial weights, order, augmentation and dropout")]
    train_seconds: Annotated[
        float | None,
        Column("training of all epochs without the tests; empty after `--resume`", unit="seconds"),
    ]
    first_step_seconds: Annotated[
        float | None, Column("first step, in which a framework compiles and allocates", unit="seconds")
    ]
    predict_seconds: Annotated[
        float | None, Column("prediction of the whole test set after the last epoch", unit="seconds")
    ]
    images_per_second: Annotated[
        float | None,
        Column("training images per second of training, without the first step", unit="images / second"),
    ]
    peak_memory_mib: Annotated[float | None, Column("largest resident memory of the process", unit="MiB")]
    total_seconds: Annotated[
        float | None,
        Column(
            "from the start of the process, or of a later run in it, until the row is written", unit="seconds"
        ),
    ]
    dataset: Annotated[
        str,
        Column(
            "`mnist`, `fashion-mnist`, or `NAME@DIGEST` of a user's own data, a digest of pixels and labels; "
            "with `-validation-N` where N training images were held out"
        ),
    ]
    optimizer: Annotated[str, Column("update rule and its constants that are not the default")]
    schedule: Annotated[str, Column("learning-rate schedule and its constants that are not the default")]
    lr: Annotated[float, Column("learning rate, which the schedule multiplies")]
    augment: Annotated[str, Column("augmentation of the training images, or `none`")]
    native: Annotated[str, Column("parts left to the framework's own defaults, or `none`")]
    loader: Annotated[
        str, Column("`memory`, or `native` and its options: the framework's own loader and usual loop")
    ]
    precision: Annotated[str, Column("number format of training; with `+compile` under `--compile`")]
    device: Device
    threads: Annotated[int, Column("threads of one operation, as reported by the framework", unit="threads")]
    world_size: Annotated[int, Column("processes that trained together", unit="processes")]
    machine: Machine
    framework_version: FrameworkVersion
    python: PythonVersion
    commit: Commit
    recipe_hash: Annotated[str, Column("digest of the network and its recipe")]
    status: Annotated[
        Status,
        Column("`ok`, `diverged`, `interrupted` or `failed`; cells that a run did not reach are empty"),
    ]
    started: Annotated[str, Column("time at which the run started", unit="UTC")]
    run: Annotated[str, Column("name of the run, its key in `epochs.csv` and `errors.csv`")]
    import_seconds: Annotated[
        float | None, Column("from the start of the process until the framework was imported", unit="seconds")
    ] = None
    build_seconds: Annotated[
        float | None,
        Column("construction of the network and its initial weights", unit="seconds"),
    ] = None
    cpu_seconds: Annotated[
        float | None,
        Column(
            "processor time of all cores in `total_seconds`",
            unit="seconds",
        ),
    ] = None
    load_before: Annotated[
        float | None, Column("load average of the minute before the run", unit="processes")
    ] = None
    load_after: Annotated[
        float | None,
        Column("load average of the run's last minute, the run itself included", unit="processes"),
    ] = None
    at_once: Annotated[
        float | None,
        Column(
            "largest number of runs at once on the machine, this one included; times are comparable if "
            "it is 1",
            unit="runs",
        ),
    ] = None
    reason: Annotated[
        str, Column("reason of a failed run; of an `ok` run, what is wrong with its result")
    ] = ""
    shifted_accuracy: Annotated[
        float | None,
        Column(
            "on the test set after the last epoch, with test-time augmentation: from the mean logits of each "
            "image and of its shifts up, down, left and right; only if the recipe has `tta_shift`",
            unit="percent",
        ),
    ] = None
    numerics: Annotated[
        float | None,
        Column(
            "number of the framework side's arithmetic for this network; only rows with the same number are "
            "pooled"
        ),
    ] = None
    model_file: Annotated[
        str | None,
        Column("`FILE.py@digest` of the user's own file that the network is in; empty for the zoo's"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """A row of epochs.csv. Epoch 0 is the test before training: its training figures are None."""

    run: Annotated[str, Column("name of the run")]
    epoch: Annotated[int, Column("number of the epoch, from 1; 0 is the test before training")]
    lr: Annotated[float | None, Column("learning rate of the epoch's first step")]
    train_loss: Annotated[
        float | None,
        Column("mean over the epoch's training batches, with dropout and augmentation", unit="nats"),
    ]
    train_accuracy: Annotated[
        float | None,
        Column("mean over the epoch's training batches, with dropout and augmentation", unit="percent"),
    ]
    loss: Annotated[float, Column("on the test set after the epoch", unit="nats")]
    accuracy: Annotated[float, Column("on the test set after the epoch", unit="percent")]
    seconds: Annotated[float, Column("training of the epoch without the tests", unit="seconds")]


@dataclass(frozen=True, kw_only=True)
class ErrorRow:
    """A row of errors.csv: a test image that was classified wrongly after a run's last epoch."""

    run: Annotated[str, Column("name of the run")]
    index: Annotated[int, Column("index of the test image, from 0")]
    predicted: Annotated[
        int,
        Column("class predicted after the last epoch; test images without a row were classified correctly"),
    ]


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """A row of speed.csv: median, lowest and highest of `rounds` measurements of one arm.

    Rows with the same `sitting` were measured in one session on one machine, so their ratios are meaningful.
    """

    sitting: Annotated[
        str, Column("start of the session; times can be compared within one session only", unit="UTC")
    ]
    measure: Annotated[str, Column("quantity that was measured")]
    framework: FrameworkName
    model: NetworkName
    arm: Annotated[str, Column("one of the alternatives that are compared, or one part of a step or a start")]
    value: Annotated[float, Column("median of the rounds", unit="`unit`")]
    low: Annotated[float, Column("minimum of the rounds", unit="`unit`")]
    high: Annotated[float, Column("maximum of the rounds", unit="`unit`")]
    unit: Annotated[str, Column("unit of `value`, `low` and `high`")]
    rounds: Annotated[int, Column("number of measurements, alternating with those of the other arms")]
    device: Device
    threads: Annotated[int, Column("threads of one operation", unit="threads")]
    machine: Machine
    framework_version: FrameworkVersion
    python: PythonVersion
    commit: Commit
    dataset: MeasuredOn = None


@dataclass(frozen=True, kw_only=True)
class TraceRow:
    """A row of traces.csv: the loss of one of a run's first steps, as text with all its digits."""

    sitting: Annotated[str, Column("start of the session", unit="UTC")]
    framework: FrameworkName
    model: NetworkName
    precision: Annotated[str, Column("number format of training")]
    perturb: Annotated[
        str, Column("`ulp` if the initial weights are one unit in the last place larger, else `none`")
    ]
    seed: Annotated[int, Column("seed of initial weights, order, augmentation and dropout")]
    step: Annotated[int, Column("number of the step, from 1")]
    loss: Annotated[str, Column("mean over the step's batch, with all digits", unit="nats")]
    machine: Machine
    framework_version: FrameworkVersion
    commit: Commit
    accuracy: Annotated[
        float | None,
        Column("on the test set, after the last step of an epoch", unit="percent"),
    ] = None
    dataset: MeasuredOn = None


@dataclass(frozen=True, kw_only=True)
class DefaultRow:
    """A row of defaults.csv: one of a framework's own defaults, in words."""

    sitting: Annotated[str, Column("time at which the defaults were read", unit="UTC")]
    framework: FrameworkName
    framework_version: Annotated[str, Column("version of the framework, and of Keras")]
    item: Annotated[str, Column("name of the setting")]
    value: Annotated[str, Column("the framework's default")]


@dataclass(frozen=True, kw_only=True)
class MistakeRow:
    """A row of mistakes.csv: a run with a planted mistake, or a right one that it is compared with.

    Runs of one process, which share `started`, can be compared.
    """

    framework: FrameworkName
    model: NetworkName
    seed: Annotated[int, Column("seed of initial weights, order and dropout")]
    mistake: Annotated[str, Column("name of the mistake; `none`, `none-...` of a right run")]
    status: Annotated[Status, Column("`ok`, or `diverged`: then the network is tested as it was left")]
    accuracy: Annotated[float, Column("on the test set, at the end of the run", unit="percent")]
    loss: Annotated[
        float | None,
        Column("mean cross-entropy of what the network returns; empty if it is not finite", unit="nats"),
    ]
    difference: Annotated[
        float | None,
        Column(
            "largest difference of a logit from the right run's, with its weights, on one batch; empty if "
            "it is not finite"
        ),
    ]
    floor: Annotated[
        float,
        Column("the same of the right run when each weight moves by one unit in the last place"),
    ]
    epochs: Annotated[int, Column("passes over the training images", unit="epochs")]
    recipe_hash: Annotated[str, Column("digest of the network and its recipe, without the mistake")]
    numerics: Annotated[float, Column("number of the framework side's arithmetic for this network")]
    device: Device
    threads: Annotated[int, Column("threads of one operation", unit="threads")]
    machine: Machine
    framework_version: FrameworkVersion
    python: PythonVersion
    commit: Commit
    started: Annotated[str, Column("time at which the process of the runs started", unit="UTC")]
    run: Annotated[str, Column("name of the run")]


NONE, COMMAND = "none", "command"
"""Names in the column `mutant` of ports.csv of comparisons without a mistake."""


@dataclass(frozen=True, kw_only=True)
class PortRow:
    """A row of ports.csv: what `common.port` finds in one pair of models, one of which may have a mistake.

    Rows of one `revision` are reported together.
    """

    model: Annotated[str, Column("name in the zoo, or of the files in docs/examples/port")]
    mutant: Annotated[
        str,
        Column(
            "name of the planted mistake; `none` for a network compared with itself, `command` for the same "
            "by the whole command, with the start of both processes"
        ),
    ]
    framework: Annotated[str, Column("side that has the mistake; empty if there is none")]
    cause: Annotated[str, Column("the right cause; `unknown` for a mistake that has no name")]
    stages: Annotated[str, Column("the right stage, or several of which each is right")]
    seed: Annotated[int, Column("seed of weights and batch")]
    precision: Annotated[str, Column("number formats, one after the other")]
    batch_size: Annotated[int, Column("images in the batch", unit="images")]
    found: Annotated[str, Column("stage and cause of each finding that is not inherent, in order")]
    inherent: Annotated[str, Column("stage and cause of each inherent finding, in order")]
    reason: Annotated[str, Column("why a comparison could not be made; empty if it was")]
    seconds: Annotated[float, Column("duration of the comparison", unit="seconds")]
    parameters: Annotated[int, Column("trained values of the PyTorch model")]
    load: Annotated[float | None, Column("load average of the minute before", unit="processes")]
    threads: Annotated[int, Column("threads of each framework's operations", unit="threads")]
    revision: Annotated[int, Column("number of the check's revision, raised when what it finds changes")]
    machine: Machine
    versions: Annotated[str, Column("versions of the frameworks and of Keras")]
    python: PythonVersion
    commit: Commit
    started: Annotated[str, Column("time at which the comparison started", unit="UTC")]
    run: Annotated[str, Column("name of the comparison")]


Row = Run | EpochRow | ErrorRow | SpeedRow | TraceRow | DefaultRow | MistakeRow | PortRow
TABLES: dict[str, type[Row]] = {
    "results.csv": Run,
    "epochs.csv": EpochRow,
    "errors.csv": ErrorRow,
    "speed.csv": SpeedRow,
    "traces.csv": TraceRow,
    "defaults.csv": DefaultRow,
    "trials.csv": Run,
    "mistakes.csv": MistakeRow,
    "ports.csv": PortRow,
}

TABLES_OF_A_RUN = ("epochs.csv", "errors.csv", "results.csv")
"""The tables that a run writes, in that order: its own row in results.csv comes last."""

KEYS = {
    "results.csv": ("run",),
    "trials.csv": ("run",),
    "epochs.csv": ("run", "epoch"),
    "errors.csv": ("run", "index"),
    "mistakes.csv": ("run",),
    "ports.csv": ("run",),
}
"""The columns that no two rows of a table share; rows of the other tables differ in some column."""

FIRST_VERSION_ENDS = {
    "results.csv": "run",
    "speed.csv": "commit",
    "traces.csv": "commit",
    "trials.csv": "numerics",
}
"""The last column of a table's first version, where later versions added columns after it."""


def header(row_class: type[Row]) -> list[str]:
    """Column names, in order."""
    return [field.name for field in dataclasses.fields(row_class)]


def columns(row_class: type[Row]) -> dict[str, Column]:
    """Meaning and unit by column name, in order, as the row class declares them."""
    hints = typing.get_type_hints(row_class, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in header(row_class)}
