"""A/A tests: a ratio of the frameworks is reported only where the clock of its rounds can bear it.

In every round of a session both frameworks run twice, as arms A and B. Sessions of one commit on one machine
count together: their rounds are as many rounds of one. A framework over itself has the ratio
1, so the 95 % confidence interval of A over B shows how exact the clock was. The ratio of the frameworks is
reported if that interval of both lies within ±5 %, or within a third of the ratio's own distance from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.frames import Tables
from common.analysis.significance import Ratio
from common.data.datasets import TEST_IMAGES, TRAINING_IMAGES
from common.frameworks import PAIR
from common.model.zoo import ZOO

TARGETS = (98.0, 99.0, 99.4)
"""Test accuracies in percent to which the time is reported."""

EXACT = 0.05
"""Largest distance from 1 of the A/A interval of a clock that bears every ratio."""

PREFIX = "again "
"""Prefix of these sessions' measures in speed.csv; the name of a column follows."""

TRAINING = "training"
"""The quantity whose clock decides about ratios of training times from other sessions."""

TTA_VIEWS = 5
"""Views of an image that test-time augmentation predicts: itself, and its shifts in four directions."""

PLACE = ["machine", "device", "threads"]
"""Columns that say where a run is timed: runs of several places are never in one mean of times."""

SAME_CODE = ("model", "seed", "commit", "machine", "python", "device", "threads", "world_size")
"""Columns that the two runs of a pair share where their times are compared."""


SAME_CLOCK = ["commit", "machine", "framework_version", "python", "device", "threads"]
"""Columns that the sessions share whose rounds count together."""

Round = tuple[str, int]
"""The name of a session, and the number of a round in it."""


class Extent(Protocol):
    """Extent of a recipe's training and tests: images in a batch, epochs, and whether it has test-time
    augmentation."""

    @property
    def batch_size(self) -> int: ...

    @property
    def epochs(self) -> int: ...

    @property
    def tta_shift(self) -> int: ...


def _training(runs: pd.DataFrame, recipe: Extent) -> pd.Series[float]:
    """Images a second of the steps after the first, without the moment normalisation before them."""
    seconds = runs["train_seconds"] - runs["first_step_seconds"] - runs["preprocess_seconds"]
    # The normalisation was timed by itself: after a stall it can be more than the training.
    return (runs["trained_images"] - recipe.batch_size) / seconds.where(seconds > 0)


def _prediction(runs: pd.DataFrame, _: Extent) -> pd.Series[float]:
    return runs["test_images"] / runs["predict_seconds"]


def _whole_run(runs: pd.DataFrame, recipe: Extent) -> pd.Series[float]:
    """Seconds of a process that trains the whole recipe: those of the run, and of the images that it left out
    at its own throughputs (epochs, tests, and the shifted views of test-time augmentation)."""
    training_images = runs.get("all_training_images", TRAINING_IMAGES)  # of MNIST in older sessions
    test_images = runs.get("all_test_images", TEST_IMAGES)
    trained = recipe.epochs * (training_images // recipe.batch_size) * recipe.batch_size
    tests = recipe.epochs + 1 + (TTA_VIEWS - 1 if recipe.tta_shift else 0)
    other_images = training_images + test_images - runs["training_images"] - runs["test_images"]
    return (
        runs["total_seconds"]
        + other_images * runs["preprocess_seconds"] / runs["training_images"]
        + (trained - runs["trained_images"]) / _training(runs, recipe)
        + (tests * test_images - runs["tested_images"]) / _prediction(runs, recipe)
    )


QUANTITIES: dict[str, Callable[[pd.DataFrame, Extent], pd.Series[float]]] = {
    TRAINING: _training,
    "prediction": _prediction,
    "memory": lambda runs, _: runs["peak_memory_mib"],
    "import": lambda runs, _: runs["import_seconds"],
    "first step": lambda runs, _: runs["first_step_seconds"],
    "whole run": _whole_run,
}
"""The quantities that are compared: images a second, MiB and seconds, from the measurements of the runs."""


ZOO_RECIPES: Mapping[str, Extent] = {name: entry.recipe for name, entry in ZOO.items()}
"""The recipes of the zoo's networks."""


@dataclass(frozen=True)
class AAPair:
    """A quantity of one framework in arms A and B, by round."""

    a: Mapping[Round, float]
    b: Mapping[Round, float]

    @property
    def rounds(self) -> list[Round]:
        """The rounds that have both arms."""
        return sorted(set(self.a) & set(self.b))

    @property
    def self_ratio(self) -> Ratio:
        """A over B."""
        return significance.ratio(*([side[number] for number in self.rounds] for side in (self.a, self.b)))

    def round_mean(self, number: Round) -> float:
        """Geometric mean of both arms in a round."""
        return math.sqrt(self.a[number] * self.b[number])

    @property
    def mean(self) -> float:
        """Arithmetic mean of `round_mean` over the rounds."""
        return significance.summary([self.round_mean(number) for number in self.rounds]).mean


@dataclass(frozen=True, kw_only=True)
class MeasuredRatio:
    """The first framework over the second, and the error of the clock that measured it (`clock_error`)."""

    ratio: Ratio
    clock_error: float

    @property
    def borne(self) -> bool:
        """Whether the clock is exact enough to report the ratio."""
        return bears(self.clock_error, self.ratio.mean)


def clock_error(self_ratio: Ratio) -> float:
    """Distance from 1 that the interval of a self-ratio reaches, as a logarithm; infinite for one round."""
    return max(abs(math.log(bound)) for bound in self_ratio.interval) if self_ratio.interval else math.inf


def bears(error: float, ratio: float) -> bool:
    """Whether a clock with this error (a logarithm) bears `ratio`."""
    return error <= max(math.log1p(EXACT), abs(math.log(ratio)) / 3)


def aa_pairs(
    speed: pd.DataFrame, quantity: str, recipes: Mapping[str, Extent] = ZOO_RECIPES
) -> dict[tuple[str, str], AAPair]:
    """By network and framework: a quantity in the last rounds (`_last_rounds`), of the networks in
    `recipes`."""
    pairs = {}
    for (model, framework), runs in _last_rounds(speed):
        try:
            values = QUANTITIES[quantity](runs, recipes[model]).dropna()
        except KeyError:  # an older session, or another network
            continue
        by_arm: dict[str, dict[Round, float]] = {"A": {}, "B": {}}
        for session, name in values.index:
            arm, _, number = name.partition(" ")
            by_arm[arm][session, int(number)] = float(values[session, name])
        if set(by_arm["A"]) & set(by_arm["B"]):
            pairs[model, framework] = AAPair(by_arm["A"], by_arm["B"])
    return pairs


def _last_rounds(speed: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """By network and framework: the runs by session, arm and round (`A 1`), with a column for each
    measurement.

    They are those of the last session and of all with the same SAME_CLOCK; where a session has both
    frameworks of PAIR, sessions of one of them do not count. Of uncommitted code, and of a network of a
    user's own file, which no commit describes, only the last session counts.
    """
    measured = speed[speed["measure"].str.startswith(PREFIX)]
    compared = measured["framework"].where(measured["framework"].isin(PAIR))
    count = compared.groupby([measured["model"], measured["sitting"]]).transform("nunique")
    most = count.groupby(measured["model"]).transform("max")
    measured = measured[(count == most) | compared.isna()]
    for (model, framework), rows in measured.groupby(["model", "framework"]):
        last = rows["sitting"] == rows["sitting"].max()
        clock = rows[last].iloc[0][SAME_CLOCK]
        if model in ZOO and _is_clean(rows[last]["commit"]).all():
            last |= (rows[SAME_CLOCK] == clock).all(axis=1)
        runs = rows[last].assign(measure=rows["measure"].str.removeprefix(PREFIX))
        yield (str(model), str(framework)), runs.pivot_table("value", ["sitting", "arm"], "measure")


def _is_clean(commit: pd.Series[str]) -> pd.Series[bool]:
    return (commit != "") & ~commit.str.endswith("-dirty")


def measured_ratio(first: AAPair, second: AAPair) -> MeasuredRatio | None:
    """`first` over `second`, paired by round; None without rounds in common."""
    rounds = sorted(set(first.rounds) & set(second.rounds))
    if not rounds:
        return None
    ratio = significance.ratio(*([side.round_mean(number) for number in rounds] for side in (first, second)))
    return MeasuredRatio(
        ratio=ratio, clock_error=max(clock_error(side.self_ratio) for side in (first, second))
    )


def over_networks(pairs: Mapping[tuple[str, str], AAPair]) -> MeasuredRatio | None:
    """The geometric mean over networks of the frameworks' ratios, with Student's interval over networks.

    Every network with both frameworks counts, whatever its clock: leaving some out would favour large ratios.
    The mean's own clock error is that of the geometric means of the self-ratios. None without two networks.
    """
    both = [model for model, framework in pairs if framework == PAIR[0] and (model, PAIR[1]) in pairs]
    measured = {model: measured_ratio(*(pairs[model, framework] for framework in PAIR)) for model in both}
    ratios = {model: each.ratio.mean for model, each in measured.items() if each}
    if len(ratios) < 2:
        return None
    self_ratios = (
        _geometric_mean(pairs[model, framework].self_ratio.mean for model in ratios) for framework in PAIR
    )
    return MeasuredRatio(
        ratio=_geometric_mean(ratios.values()), clock_error=max(map(clock_error, self_ratios))
    )


def _geometric_mean(ratios: Iterable[float]) -> Ratio:
    values = list(ratios)
    return significance.ratio(values, [1.0] * len(values))


def training_clocks(speed: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The clock error of training throughput, by network and framework that have an A/A test."""
    return {key: clock_error(pair.self_ratio) for key, pair in aa_pairs(speed, TRAINING).items()}


@dataclass(frozen=True, kw_only=True)
class TargetComparison:
    """Training until the test accuracy is first at least `target` percent, over `pairs` seeds.

    `epochs` and `seconds` are means of each framework, in the order of PAIR. `seconds_ratio` has the clock
    error of the network's training throughput in the same PLACE.
    """

    model: str
    target: float
    pairs: int
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    seconds_ratio: MeasuredRatio


def target_comparisons(tables: Tables) -> list[TargetComparison]:
    """Every network and target that both runs of all its pairs reached (`same_code_pairs`)."""
    runs = tables.runs.set_index("run")
    comparisons = []
    for model, pairs in same_code_pairs(tables.runs):
        here = (tables.speed[PLACE] == runs.loc[pairs[0][0], PLACE]).all(axis=1)
        clocks = training_clocks(tables.speed[here & (tables.speed["model"] == model)])
        error = max(clocks.get((model, framework), math.inf) for framework in PAIR)
        for target in TARGETS:
            reached = first_epoch_at(target, tables.epochs).reindex([run for side in pairs for run in side])
            if reached["seconds"].isna().any():
                continue
            epochs, seconds = (
                [[float(value) for value in reached.loc[side, column]] for side in pairs]
                for column in ("epoch", "seconds")
            )
            comparisons.append(
                TargetComparison(
                    model=model,
                    target=target,
                    pairs=len(pairs[0]),
                    epochs=tuple(significance.summary(side).mean for side in epochs),
                    seconds=tuple(significance.summary(side).mean for side in seconds),
                    seconds_ratio=MeasuredRatio(ratio=significance.ratio(*seconds), clock_error=error),
                )
            )
    return comparisons


def first_epoch_at(target: float, epochs: pd.DataFrame) -> pd.DataFrame:
    """By run: its first epoch of `target` percent or more, and the seconds of training until the end of it.

    The first step, in which a framework compiles, is a part of them. Runs without such an epoch are left out.
    """
    ordered = epochs.sort_values(["run", "epoch"])
    ordered = ordered.assign(seconds=ordered.groupby("run")["seconds"].cumsum())
    return ordered[ordered["accuracy"] >= target].groupby("run")[["epoch", "seconds"]].first()


def same_code_pairs(runs: pd.DataFrame) -> list[tuple[str, Sequence[list[str]]]]:
    """For each network the names of paired runs, a list for each framework of PAIR in the same order.

    A pair has one seed, one clean commit and one machine to itself (`pooling.timed`). A seed counts once,
    by its last pair, and of several places that with the most pairs counts.
    """
    judged = pooling.judged_runs(runs)
    timed = judged[_is_clean(judged["commit"]) & pooling.timed(judged)]
    timed = timed.drop_duplicates(["framework", *SAME_CODE], keep="last")
    sides = [timed.loc[timed["framework"] == framework, [*SAME_CODE, "started", "run"]] for framework in PAIR]
    pairs = sides[0].merge(sides[1], on=list(SAME_CODE), suffixes=("", "_second")).sort_values("started")
    pairs = pairs.drop_duplicates(["model", *PLACE, "seed"], keep="last").sort_values("seed")
    result: list[tuple[str, Sequence[list[str]]]] = []
    for model in ZOO:
        own = pairs[pairs["model"] == model]
        if len(own):
            most = own[PLACE].value_counts().reset_index()[PLACE].iloc[0]
            own = own[(own[PLACE] == most).all(axis=1)]
            result.append((model, [list(own["run"]), list(own["run_second"])]))
    return result
