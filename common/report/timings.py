"""speed.csv as tables: a step over a bare loop, the idioms, the way to 99 %, the start, and where time goes.

Of each measure, network and framework the latest sitting counts; a ratio is of two arms of one sitting. No
ratio of training times is told where `common.analysis.aa` found the clock unsteady.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from common.analysis import aa
from common.analysis.pooling import sort_key
from common.data.datasets import TRAINING_IMAGES
from common.frameworks import FRAMEWORKS, display_name
from common.model.zoo import ZOO
from common.report.markdown import markdown

PARTS = ("input", "forward", "backward", "optimizer", "rest")
BATCHES = (1, 100, 10_000)
OPTIONS = ("default", "compile", "bfloat16")
KERNELS = 5  # shown of each network


@dataclass(frozen=True, eq=False)
class Measured:
    """The latest rows of a network in a framework, by measure and arm."""

    framework: str
    model: str
    rows: pd.DataFrame
    steady: bool  # whether its training was as fast as itself, as far as that was measured

    def value(self, measure: str, arm: str, column: str = "value") -> float | None:
        """The figure, None where it was not measured."""
        found = self.rows[(self.rows["measure"] == measure) & (self.rows["arm"] == arm)]
        return float(found[column].iloc[-1]) if len(found) else None

    def ratio(self, measure: str, arm: str, over: str) -> float | None:
        """Of two arms of a measure; None where one is missing."""
        return _over(self.value(measure, arm), self.value(measure, over))

    @property
    def name(self) -> list[str]:
        return [f"`{self.model}`", display_name(self.framework)]


def latest(speed: pd.DataFrame) -> list[Measured]:
    """For each network and framework the rows of the last sitting of each measure, in the zoo's order."""
    found, unclear = [], aa.unsteady(speed)
    for (model, framework), part in speed.groupby(["model", "framework"], sort=True):
        last = part.groupby("measure")["sitting"].transform("max")
        steady = (model, framework) not in unclear
        found.append(Measured(str(framework), str(model), part[part["sitting"] == last], steady))
    return sorted(found, key=lambda one: (sort_key(one.model, ZOO), sort_key(one.framework, FRAMEWORKS)))


def section(speed: pd.DataFrame) -> str:
    """All tables, with what each shows in a line above it."""
    if speed.empty:
        return "Not measured yet."
    found = latest(speed)
    tables = (_overhead, _idioms, _race, _start, _parts, _kernels, _options, _prediction)
    parts = [text for table in tables for text in table(found)]
    places = sorted(
        {
            f"{row.machine}; {row.device}, {row.threads} threads; Python {row.python}"
            for row in speed.itertuples()
        }
    )
    return "\n\n".join([*parts, f"Measured on: {'; '.join(places)}."])


def _table(title_: str, note: str, head: str, rows: list[list[str]], right: int = 2) -> Iterator[str]:
    if rows:
        columns = head.split(" | ")
        yield f"### {title_}"
        yield note
        yield markdown(columns, rows, right=range(right, len(columns)))


def _shown(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _over(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper and lower else None


def _steady(ratio: float | None, *sides: Measured | None) -> str:
    """A ratio of training times, told only where the clock found no ratio of a side to itself."""
    return "unsteady" if any(side and not side.steady for side in sides) else _shown(ratio)


def _overhead(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        step, bare = one.value("step", "epoch"), one.value("step", "bare loop")
        if step is None:
            continue
        prepared, steps = (
            one.value("preparation", "augmentation"),
            TRAINING_IMAGES // ZOO[one.model].recipe.batch_size,
        )
        share = None if prepared is None else 100 * prepared / (step * steps / 1000)
        ratio, low, high = (one.value("overhead", "epoch", column) for column in ("value", "low", "high"))
        spread = f"{_shown(ratio, 3)} ({_shown(low, 3)} to {_shown(high, 3)})"
        rows.append([*one.name, _shown(step, 3), _shown(bare, 3), spread, _shown(share, 1)])
    yield from _table(
        "Steps over a bare loop",
        "An epoch as a run trains it, the next one's pixels prepared meanwhile, and a loop that does nothing "
        "but train on one batch; milliseconds a step. PIXELS is what preparing an augmented epoch takes of "
        "one core, in percent of the epoch.",
        "MODEL | FRAMEWORK | EPOCH MS | BARE MS | RATIO | PIXELS %",
        rows,
    )


def _idioms(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        ratio = one.ratio("idiom train_seconds", "native", "memory")
        if ratio is None:
            continue
        seconds = [_shown(one.value("idiom train_seconds", arm)) for arm in ("memory", "native")]
        accuracies = [_shown(one.value("idiom mean accuracy", arm)) for arm in ("memory", "native")]
        rows.append([*one.name, *seconds, _steady(ratio, one), *accuracies])
    yield from _table(
        "Against the frameworks' own loaders",
        "The same network, batch size, optimizer and epochs with `--loader memory` and `--loader native` "
        "(one epoch; `tf-model-1` all its own; `examples-cnn` on 20,000 images, tested on 40,000 others): "
        "seconds of training, how many times ours fit into the other's, mean test accuracy in percent.",
        "MODEL | FRAMEWORK | MEMORY S | NATIVE S | TIMES | MEMORY % | NATIVE %",
        rows,
    )


def _race(found: list[Measured]) -> Iterator[str]:
    by_name = {(one.model, one.framework): one for one in found}
    rows = []
    for one in found:
        seconds = one.value("race train_seconds", "run")
        if seconds is None:
            continue
        mark = by_name.get(("one-epoch-215k", one.framework))
        base = mark.value("race train_seconds", "run") if mark else None
        rows.append(
            [
                *one.name,
                *(_shown(seconds), _steady(_over(seconds, base), one, mark)),
                _shown(one.value("race total_seconds", "run")),
                _shown(one.value("race mean accuracy", "run")),
                *(_shown(one.value("race mean accuracy", "run", side)) for side in ("low", "high")),
                _shown(one.value("race mean accuracy", "run", "rounds"), 0),
            ]
        )
    yield from _table(
        "Time to 99 %",
        "Seconds of training with everything from the images as bytes to the last step, that over "
        "`one-epoch-215k`'s, seconds from the start of the process; mean test accuracy, the lowest and the "
        "highest of n seeds.",
        "MODEL | FRAMEWORK | TRAIN S | RATIO | PROCESS S | ACCURACY % | LOWEST | HIGHEST | N",
        rows,
    )


def _start(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        ratio = one.ratio("start", "first step", "plain step")
        if ratio is not None:
            seconds = [_shown(one.value("start", arm)) for arm in ("help", "first step", "plain step")]
            rows.append([*one.name, *seconds, f"{ratio:.2f}"])
    yield from _table(
        "From process start",
        "Seconds to the answer of `--help`, to the end of the first training step of a run, and to that of "
        "the shortest program that imports the framework and takes one.",
        "MODEL | FRAMEWORK | HELP | FIRST STEP | PLAIN PROGRAM | RATIO",
        rows,
    )


def _parts(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        values = [one.value("part", part) for part in PARTS]
        known = [value for value in values if value is not None]
        reached, peak = one.value("gflops", "training"), one.value("gflops", "product")
        if len(known) < len(PARTS) or reached is None or peak is None:
            continue
        shares = [f"{100 * value / sum(known):.0f}" for value in known]
        rows.append(
            [*one.name, *shares, *(_shown(reached, 0), _shown(peak, 0)), f"{100 * reached / peak:.0f}"]
        )
    yield from _table(
        "Where a training step goes",
        "Shares in percent; arithmetic of convolutions and dense layers per second of the whole step, a "
        "1024 x 1024 matrix product in the same process, and the one in percent of the other. Parts are "
        "differences of stages timed in turn, so a small one can come out below nothing.",
        "MODEL | FRAMEWORK | INPUT | FORWARD | BACKWARD | OPTIMIZER | REST | GFLOP/S | PRODUCT | %",
        rows,
    )


def _kernels(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        kernels = one.rows[one.rows["measure"] == "kernel"].sort_values("value", ascending=False)
        told = [f"{row.arm} {row.value:.2f}" for row in kernels.head(KERNELS).itertuples()]
        if told:
            rows.append([*one.name, _shown(one.value("step", "epoch")), ", ".join(told)])
    yield from _table(
        "Kernels",
        f"The {KERNELS} that take most of a training step, milliseconds, by the framework's own profiler. "
        "TensorFlow runs some at the same time, so they need not add up.",
        "MODEL | FRAMEWORK | STEP MS | KERNELS",
        rows,
        right=4,
    )


def _options(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        values = [one.value("option", arm) for arm in OPTIONS]
        firsts = [_shown(one.value("first step", arm), 1) for arm in OPTIONS]
        if any(values):
            rows.append([*one.name, *(_shown(value, 3) for value in values), *firsts])
    yield from _table(
        "Options",
        "Milliseconds a training step by default, with `--compile` and with `--precision bfloat16`, and the "
        "seconds of a first step, which compiles.",
        "MODEL | FRAMEWORK | DEFAULT MS | COMPILE MS | BFLOAT16 MS | DEFAULT S | COMPILE S | BFLOAT16 S",
        rows,
    )


def _prediction(found: list[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        cells = []
        for batch in BATCHES:
            arm = f"batch {batch}"
            cells += [_shown(one.value("predict", arm), 0)]
            cells += [_shown(one.value(f"predict {name}", arm), 2) for name in ("p50", "p99")]
        if any(cells):
            rows.append([*one.name, *cells])
    columns = " | ".join(f"{batch}: IMAGES/S | P50 MS | P99 MS" for batch in BATCHES)
    yield from _table(
        "Prediction",
        "Images a second, median and 99th percentile of the latency of a call, at three batch sizes.",
        f"MODEL | FRAMEWORK | {columns}",
        rows,
    )
