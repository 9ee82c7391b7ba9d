"""speed.csv as tables: overhead, native loaders, time to 99 %, start-up, stages of a step, prediction.

For each measure, network and framework the latest session counts; a ratio is of two arms of one session.
A ratio of training times is reported only where the clock of the network's A/A test bears it
(`common.analysis.aa`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from common.analysis import aa
from common.analysis.pooling import MNIST
from common.data.batches import TEST_BATCH_SIZE
from common.data.datasets import TRAINING_IMAGES
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report.cells import number
from common.report.markdown import listed, markdown
from common.report.speed_ratios import clock
from common.report.timing_findings import (
    Finding,
    faster_options,
    largest_stage,
    longest_kernel,
    native_loaders,
    single_images,
    span,
)
from common.report.timing_rows import BATCHES, OPTIONS, REFERENCE, STAGES, Timings, latest, over

KERNELS = 5
"""The number of kernels that are listed for each network."""

STAGE_COLUMNS = {"INPUT": "input", "FORWARD": "forward", "BACKWARD": "backward", "UPDATE": "optimizer"}

Cell = Callable[[Timings], str]


@dataclass(frozen=True, kw_only=True)
class TimingTable:
    """A table with a row for each network and framework that has all of `needs` (measure, arm or any).

    Without `needs`, rows are those with a cell that is not empty. `columns` maps each head to its cells;
    `text_columns` of them are aligned to the left. `finding` is the table in a sentence, by its rows.
    """

    title: str
    finding: Finding
    note: str
    columns: Mapping[str, Cell]
    needs: tuple[tuple[str, str | None], ...] = ()
    text_columns: int = 0

    def render(self, measured: list[Timings], heading: str = "###") -> list[str]:
        """Title, finding, note and table; nothing if there are no rows."""
        rows, shown = [], []
        for timings in measured:
            row = [cell(timings) for cell in self.columns.values()]
            if any(row) and all(len(timings.of(*need)) for need in self.needs):
                rows.append([f"`{timings.model}`", display_name(timings.framework), *row])
                shown.append(timings)
        if not rows:
            return []
        head = ["MODEL", "FRAMEWORK", *self.columns]
        right = range(2, len(head) - self.text_columns)
        paragraphs = [
            f"{heading} {self.title}",
            self.finding(shown),
            self.note,
            markdown(head, rows, right=right),
        ]
        return [paragraph for paragraph in paragraphs if paragraph]


def section(speed: pd.DataFrame, heading: str = "###") -> str:
    """All tables, each with its note, and the machines they were measured on. `heading` marks their level."""
    if speed.empty:
        return "Not measured yet."
    measured = latest(speed)
    machines = sorted(
        {
            f"{row.machine}; {row.device}, {row.threads} threads; Python {row.python}"
            for timings in measured
            for row in timings.rows.itertuples()
        }
    )
    parts = [part for table in TABLES for part in table.render(measured, heading)]
    return "\n\n".join([*parts, "Measured on:", listed(machines)])


# Cells


def _value(measure: str, arm: str, digits: int = 2, column: str = "value") -> Cell:
    return lambda timings: number(timings.value(measure, arm, column), digits)


def _ratio(measure: str, arm: str, divisor: str) -> Cell:
    return lambda timings: number(over(timings.value(measure, arm), timings.value(measure, divisor)))


def _training_ratio(measure: str, arm: str, divisor: str) -> Cell:
    return lambda timings: _borne(
        over(timings.value(measure, arm), timings.value(measure, divisor)), timings.clock_error(measure)
    )


def _borne(ratio: float | None, clock_error: float) -> str:
    """A ratio of training times, or the error of a clock that does not bear it."""
    return number(ratio) if ratio is None or aa.bears(clock_error, ratio) else clock(clock_error)


def _overhead_ratio(timings: Timings) -> str:
    ratio, low, high = (timings.value("overhead", "epoch", column) for column in ("value", "low", "high"))
    return "" if ratio is None else f"{number(ratio, 3)} ({number(low, 3)} to {number(high, 3)})"


def _augmentation_percent(timings: Timings) -> str:
    """Seconds of one core that augmenting an epoch takes, in percent of the epoch's seconds; empty where the
    number of its steps is unknown, on other data and of other networks."""
    seconds, step = timings.value("preparation", "augmentation"), timings.value("step", "epoch")
    in_zoo = timings.model in ZOO and set(timings.rows["dataset"]) <= {MNIST}
    if seconds is None or step is None or not in_zoo:
        return ""
    steps = TRAINING_IMAGES // ZOO[timings.model].recipe.batch_size
    return number(100 * seconds / (step * steps / 1000), 1)


def _over_reference(timings: Timings) -> str:
    """Training seconds over those of REFERENCE in the same framework."""
    if timings.model == REFERENCE:
        return "1"
    if timings.reference is None:
        return ""
    sides = (timings, timings.reference)
    one, other = (set(side.of("race train_seconds", "run")["sitting"]) for side in sides)
    if one != other:
        return ""
    ratio = over(*(side.value("race train_seconds", "run") for side in sides))
    return _borne(ratio, max(side.clock_error("race train_seconds") for side in sides))


def _stage_percent(stage: str) -> Cell:
    def cell(timings: Timings) -> str:
        values = [timings.value("part", name) or 0.0 for name in STAGES]
        if not any(values):
            return ""
        percent = 100 * (timings.value("part", stage) or 0.0) / sum(values)
        return f"{round(percent) + 0:d}"

    return cell


def _arithmetic(timings: Timings) -> str:
    """`61 (34 %)`: GFLOP/s of a training step, and in percent of a matrix product's."""
    training, product = (timings.value("gflops", arm) for arm in ("training", "product"))
    ratio = over(training, product)
    return "" if ratio is None else f"{number(training, 0)} ({100 * ratio:.0f} %)"


def _option(option: str) -> Cell:
    """`0.814 (3.1)`: milliseconds a step, and seconds of the first one."""

    def cell(timings: Timings) -> str:
        step, first = (timings.value(measure, option) for measure in ("option", "first step"))
        return f"{number(step, 3)} ({number(first, 1)})" if step is not None else ""

    return cell


def _accuracies(timings: Timings) -> str:
    """`99.03 (98.91 to 99.18)`: the mean, the lowest and the highest accuracy."""
    columns = ("value", "low", "high")
    mean, low, high = (number(timings.value("race mean accuracy", "run", column)) for column in columns)
    return f"{mean} ({low} to {high})" if mean else ""


def _kernels(timings: Timings) -> str:
    kernels = timings.of("kernel").sort_values("value", ascending=False)
    return ", ".join(f"`{row.arm}` {row.value:.2f}" for row in kernels.head(KERNELS).itertuples())


# Tables

TABLES = (
    TimingTable(
        title="Steps over a bare loop",
        finding=span("A step of a run takes {} times as long as one of a bare loop.", "overhead", "epoch"),
        note="EPOCH is a step of an epoch as a run trains it, while the next epoch's images are prepared; "
        "BARE a step of a loop that only trains, on one batch. Milliseconds a step. IMAGES is what preparing "
        "an augmented epoch takes of one core, in percent of the epoch. EPOCH and BARE were measured in "
        "turn, in rounds, and are medians. RATIO is the median of the rounds' ratios (lowest to highest), "
        "not the ratio of the medians.",
        columns={
            "EPOCH MS": _value("step", "epoch", 3),
            "BARE MS": _value("step", "bare loop", 3),
            "RATIO": _overhead_ratio,
            "IMAGES %": _augmentation_percent,
        },
        needs=(("step", "epoch"),),
    ),
    TimingTable(
        title="Against the frameworks' own loaders",
        finding=native_loaders,
        note="The same network, batch size, optimizer and epochs with `--loader memory` and `--loader "
        "native` (one epoch; `tf-model-1` all its own; `examples-cnn` trained on 20,000 images and tested on "
        "the other 40,000): seconds of training, the speed-up over the native loader, mean test accuracy in "
        "percent.",
        columns={
            "MEMORY S": _value("idiom train_seconds", "memory"),
            "NATIVE S": _value("idiom train_seconds", "native"),
            "SPEED-UP": _training_ratio("idiom train_seconds", "native", "memory"),
            "MEMORY %": _value("idiom mean accuracy", "memory"),
            "NATIVE %": _value("idiom mean accuracy", "native"),
        },
        needs=(("idiom train_seconds", "native"), ("idiom train_seconds", "memory")),
    ),
    TimingTable(
        title="Time to 99 %",
        finding=span("Seconds of training: {}.", "race train_seconds", "run", digits=1, by_framework=True),
        note="TRAIN is seconds of training, from the images as bytes to the last step; RATIO is over the "
        f"seconds of `{REFERENCE}`; PROCESS is seconds from the start of the process. ACCURACY is the mean "
        "over SEEDS, with the lowest and the highest.",
        columns={
            "TRAIN S": _value("race train_seconds", "run"),
            "RATIO": _over_reference,
            "PROCESS S": _value("race total_seconds", "run"),
            "ACCURACY %": _accuracies,
            "SEEDS": _value("race mean accuracy", "run", 0, "rounds"),
        },
        needs=(("race train_seconds", "run"),),
    ),
    TimingTable(
        title="Start-up",
        finding=span(
            "Seconds until the first training step ends: {}.",
            "start",
            "first step",
            digits=1,
            by_framework=True,
        ),
        note="Seconds from the start of the process until `--help` is printed, until the first training step "
        "of a run of this network ends, and until the first step of the same network ends in the shortest "
        "program that imports the framework and trains. RATIO is FIRST STEP over SHORTEST PROGRAM.",
        columns={
            "HELP": _value("start", "help"),
            "FIRST STEP": _value("start", "first step"),
            "SHORTEST PROGRAM": _value("start", "plain step"),
            "RATIO": _ratio("start", "first step", "plain step"),
        },
        needs=(("start", "first step"), ("start", "plain step")),
    ),
    TimingTable(
        title="Where a training step goes",
        finding=largest_stage,
        note="Percentages of a step; its rest is in none of these stages. They are differences of times that "
        "were measured in turn, so a sum can be above 100. UPDATE is the optimizer's. GFLOP/S counts the "
        "arithmetic of convolutions and dense layers over the whole step; in brackets it is in percent of a "
        "1024 x 1024 matrix product in the same process. It can be above 100: in PyTorch the product is "
        "computed by another library than the convolutions.",
        columns={
            **{name: _stage_percent(stage) for name, stage in STAGE_COLUMNS.items()},
            "GFLOP/S": _arithmetic,
        },
        needs=(*(("part", stage) for stage in STAGES), ("gflops", "training"), ("gflops", "product")),
    ),
    TimingTable(
        title="Kernels",
        finding=longest_kernel,
        note=f"The {KERNELS} kernels that take most of a training step, in milliseconds, by the framework's "
        "own profiler. TensorFlow runs some at the same time, so they need not add up to the step. It has "
        "none of a step that XLA compiles, as in the dense networks.",
        columns={"STEP MS": _value("step", "epoch"), "KERNELS": _kernels},
        needs=(("kernel", None),),
        text_columns=1,
    ),
    TimingTable(
        title="Options",
        finding=faster_options,
        note="Milliseconds a training step by default, with `--compile` and with `--precision bfloat16`; in "
        "brackets seconds of the first step, which compiles.",
        columns={option.upper(): _option(option) for option in OPTIONS},
    ),
    TimingTable(
        title="Prediction",
        finding=single_images,
        note="Images a second at three batch sizes, and the median and the 99th percentile of the "
        "milliseconds that a single image takes: many calls, with the same images, of the function that the "
        "scripts test with, in TensorFlow a traced graph. A test predicts each image once, in batches of "
        f"{TEST_BATCH_SIZE:,}, and can be slower: that is PREDICTION under Speed and memory. These have no "
        "A/A test.",
        columns={
            **{f"BATCH {batch:,}": _value("predict", f"batch {batch}", 0) for batch in BATCHES},
            "P50 MS": _value("predict p50", "batch 1"),
            "P99 MS": _value("predict p99", "batch 1"),
        },
    ),
)
