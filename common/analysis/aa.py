"""A/A tests: a speed ratio is reported only where each framework, compared with itself, has the ratio 1.

In every round of a session both frameworks run twice, as arms A and B. If the 95 % interval of A over B
excludes 1, the clock was not steady enough to compare that framework with another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.frames import Tables
from common.analysis.pooling import TEST_IMAGES, Group
from common.analysis.significance import Ratio
from common.frameworks import PAIR

TARGETS = (98.0, 99.0, 99.4)
"""Test accuracies in percent to which the time is reported."""

TRAINING = "images_per_second"
"""The column by which training is judged steady."""

QUANTITIES: dict[str, Callable[[float], float]] = {
    TRAINING: lambda value: value,
    "predict_seconds": lambda value: TEST_IMAGES / value,
    "peak_memory_mib": lambda value: value,
}
"""Columns of results.csv that are compared, each with the function to the compared quantity."""


@dataclass(frozen=True)
class AAPair:
    """A quantity of one framework in arms A and B, by round of a session."""

    a: Mapping[int, float]
    b: Mapping[int, float]

    @property
    def rounds(self) -> list[int]:
        """The rounds that have both arms."""
        return sorted(set(self.a) & set(self.b))

    @property
    def self_ratio(self) -> Ratio:
        """A over B."""
        return significance.ratio(*([side[number] for number in self.rounds] for side in (self.a, self.b)))

    def round_mean(self, number: int) -> float:
        """Geometric mean of both arms in a round."""
        return math.sqrt(self.a[number] * self.b[number])

    @property
    def mean(self) -> float:
        """Arithmetic mean of `round_mean` over the rounds."""
        return significance.summary([self.round_mean(number) for number in self.rounds]).mean


def aa_pairs(speed: pd.DataFrame, column: str) -> dict[tuple[str, str], AAPair]:
    """By network and framework: the quantity of a column in the last session that measured it."""
    pairs = {}
    measured = speed[speed["measure"] == f"again {column}"]
    for key, rows in measured.groupby(["model", "framework"]):
        last = rows[rows["sitting"] == rows["sitting"].max()]
        values: dict[str, dict[int, float]] = {"A": {}, "B": {}}
        for name, value in zip(last["arm"], last["value"], strict=True):
            arm, _, number = name.partition(" ")
            values[arm][int(number)] = QUANTITIES[column](float(value))
        if set(values["A"]) & set(values["B"]):
            pairs[str(key[0]), str(key[1])] = AAPair(values["A"], values["B"])
    return pairs


def unsteady(speed: pd.DataFrame) -> set[tuple[str, str]]:
    """Networks and frameworks whose training speed differed from itself."""
    return {key for key, pair in aa_pairs(speed, TRAINING).items() if pair.self_ratio.excludes_one}


def framework_ratio(first: AAPair, second: AAPair) -> Ratio | None:
    """`first` over `second`, paired by round; None where the A/A test of either excludes 1."""
    if first.self_ratio.excludes_one or second.self_ratio.excludes_one:
        return None
    rounds = sorted(set(first.rounds) & set(second.rounds))
    return significance.ratio(*([side.round_mean(number) for number in rounds] for side in (first, second)))


@dataclass(frozen=True, kw_only=True)
class TargetComparison:
    """Training until the test accuracy is first at least `target` percent, over `pairs` seeds.

    `epochs` and `seconds` are means of each framework, in the order of PAIR. `ratio` is of the seconds,
    None where the A/A test of training speed excludes 1.
    """

    model: str
    target: float
    pairs: int
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    ratio: Ratio | None


def target_comparisons(tables: Tables) -> list[TargetComparison]:
    """Every network and target that all of its runs reached, in both frameworks, with seeds in common."""
    unsteady_models = {model for model, _ in unsteady(tables.speed)}
    comparisons = []
    for model, sides in _largest_pairs(pooling.undisturbed(pooling.zoo_runs(tables.runs))):
        for target in TARGETS:
            first = first_epoch_at(target, tables.epochs)
            epochs, seconds = (
                [_by_seed_if_complete(side, first[column]) for side in sides]
                for column in ("epoch", "seconds")
            )
            seeds = sorted(set.intersection(*map(set, seconds)))
            if not seeds:
                continue
            paired = [[side[seed] for seed in seeds] for side in seconds]
            comparisons.append(
                TargetComparison(
                    model=model,
                    target=target,
                    pairs=len(seeds),
                    epochs=tuple(significance.summary(side[seed] for seed in seeds).mean for side in epochs),
                    seconds=tuple(significance.summary(side).mean for side in paired),
                    ratio=None if model in unsteady_models else significance.ratio(*paired),
                )
            )
    return comparisons


def first_epoch_at(target: float, epochs: pd.DataFrame) -> pd.DataFrame:
    """By run: its first epoch of `target` percent or more, and the seconds of training until the end of it.

    Runs without such an epoch are left out.
    """
    ordered = epochs.sort_values(["run", "epoch"])
    ordered = ordered.assign(seconds=ordered.groupby("run")["seconds"].cumsum())
    return ordered[ordered["accuracy"] >= target].groupby("run")[["epoch", "seconds"]].first()


def _largest_pairs(runs: pd.DataFrame) -> list[tuple[str, list[Group]]]:
    """For each network the runs of both frameworks on the machine that has most of them."""
    by_machine: dict[tuple[str, str], dict[str, Group]] = {}
    for group in pooling.groups(runs, by=(*pooling.POOLED, *pooling.ENVIRONMENT)):
        sides = by_machine.setdefault((group.model, str(group.fields["machine"])), {})
        if group.framework not in sides or len(group.runs) > len(sides[group.framework].runs):
            sides[group.framework] = group
    best: dict[str, list[Group]] = {}
    for (model, _), sides in by_machine.items():
        if len(sides) == len(PAIR):
            pair = [sides[framework] for framework in PAIR]
            if model not in best or _fewest_seeds(pair) > _fewest_seeds(best[model]):
                best[model] = pair
    return list(best.items())


def _fewest_seeds(sides: Sequence[Group]) -> int:
    return min(side.seeds for side in sides)


def _by_seed_if_complete(side: Group, values: pd.Series[float]) -> dict[int, float]:
    """The value of each run, by seed; empty unless every run of the group has one."""
    column = side.runs["run"].map(values)
    if column.isna().any():
        return {}
    return pooling.by_seed(Group(side.fields, side.runs.assign(value=column)), "value")
