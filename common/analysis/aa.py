"""How fast is each framework, told only where the clock is steady?

A ratio of two frameworks means something where the same clock finds no ratio between a thing and itself: runs
of one framework, paired as arms A and B of a sitting, whose ratio has an interval that contains 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.frames import Tables
from common.analysis.pooling import TEST_IMAGES, Group, sort_key
from common.analysis.significance import Ratio
from common.frameworks import FRAMEWORKS, display_name
from common.model.zoo import ZOO
from common.report.markdown import markdown

TARGETS = (98.0, 99.0, 99.4)  # percent of test accuracy
STEPS = "images_per_second"

SHOWN: dict[str, tuple[str, Callable[[float], float]]] = {
    "images_per_second": ("training, images / s", lambda value: value),
    "predict_seconds": ("prediction, images / s", lambda value: TEST_IMAGES / value),
    "peak_memory_mib": ("memory, MiB", lambda value: value),
}
"""By column of results.csv: what is told of it, and how it follows."""


@dataclass(frozen=True)
class Arms:
    """What arms A and B of one framework measured in each round of a sitting."""

    a: Mapping[int, float]
    b: Mapping[int, float]

    @property
    def itself(self) -> Ratio:
        """A over B."""
        return significance.ratio(*([side[number] for number in self.rounds] for side in (self.a, self.b)))

    def mean(self, number: int) -> float:
        """Geometric, of both arms in a round."""
        return math.sqrt(self.a[number] * self.b[number])

    @property
    def rounds(self) -> list[int]:
        return sorted(set(self.a) & set(self.b))


def arms(speed: pd.DataFrame, column: str) -> dict[tuple[str, str], Arms]:
    """By network and framework what its last sitting measured of a column of results.csv."""
    found = {}
    known = speed[speed["measure"] == f"again {column}"]
    for key, part in known.groupby(["model", "framework"]):
        last = part[part["sitting"] == part["sitting"].max()]
        values: dict[str, dict[int, float]] = {"A": {}, "B": {}}
        for name, value in zip(last["arm"], last["value"], strict=True):
            arm, _, number = name.partition(" ")
            values[arm][int(number)] = SHOWN[column][1](float(value))
        if set(values["A"]) & set(values["B"]):
            found[str(key[0]), str(key[1])] = Arms(values["A"], values["B"])
    return found


def unsteady(speed: pd.DataFrame) -> set[tuple[str, str]]:
    """Networks and frameworks whose training had another speed than itself."""
    return {key for key, one in arms(speed, STEPS).items() if one.itself.excludes_one}


def table(speed: pd.DataFrame) -> str:
    """Speed and memory of both frameworks, their ratio where it may be told, and each against itself."""
    rows = []
    for column, (words, _) in SHOWN.items():
        found = arms(speed, column)
        for model in {model for model, _ in found}:
            sides = [found.get((model, framework)) for framework in FRAMEWORKS]
            means = ["" if side is None else f"{_mean(side):,.0f}" for side in sides]
            itself = ["" if side is None else _told(side.itself) for side in sides]
            rows.append((model, [f"`{model}`", words, *means, _between(sides), *itself]))
    if not rows:
        return "Not measured yet: `python -m common.bench aa`."
    # A stable sort: of one network the quantities stay in their order.
    ordered = [cells for _, cells in sorted(rows, key=lambda one: sort_key(one[0], ZOO))]
    names = [display_name(framework).upper() for framework in FRAMEWORKS]
    head = ["MODEL", "WHAT", *names, "RATIO", *(f"{name} A/A" for name in names)]
    return markdown(head, ordered, right=range(2, 7))


def section(tables: Tables) -> str:
    """The table above, and seconds of training to a test accuracy."""
    first, second = map(display_name, FRAMEWORKS)
    parts = [
        "### How fast",
        "An epoch in a process of its own, the frameworks in turn, each run twice a round. RATIO is "
        f"{first} over {second}, the geometric mean over rounds with its 95 % interval. A/A is a framework "
        "over itself in the same sitting: where its interval excludes 1, the clock was not steady and no "
        "ratio is told.",
        table(tables.speed),
    ]
    targets = _targets(tables)
    if targets:
        names = [display_name(framework).upper() for framework in FRAMEWORKS]
        columns = [f"{name} {what}" for name in names for what in ("EPOCHS", "S")]
        head = ["MODEL", "TO", "PAIRS", *columns, "RATIO"]
        parts += [
            "### How soon",
            "Epochs and seconds of training until the test accuracy after an epoch is first at least so "
            "high: means over runs that both frameworks made with the same seeds on one machine, where all "
            "of them got there, and the ratio of the seconds. None is told where the one of training above "
            "is not.",
            markdown(head, targets, right=range(1, 8)),
        ]
    return "\n\n".join(parts)


def reached(target: float, epochs: pd.DataFrame) -> pd.DataFrame:
    """By run its first epoch of `target` percent or more, and the seconds of training until its end; of those
    runs that have one."""
    ordered = epochs.sort_values(["run", "epoch"])
    ordered = ordered.assign(seconds=ordered.groupby("run")["seconds"].cumsum())
    return ordered[ordered["accuracy"] >= target].groupby("run")[["epoch", "seconds"]].first()


def _targets(tables: Tables) -> list[list[str]]:
    unclear, rows = {model for model, _ in unsteady(tables.speed)}, []
    for model, sides in _pairs(pooling.undisturbed(pooling.zoo_runs(tables.runs))):
        for target in TARGETS:
            first = reached(target, tables.epochs)
            known = [{what: _known(side, first[what]) for what in first} for side in sides]
            seeds = sorted(set(known[0]["seconds"]) & set(known[1]["seconds"]))
            if not seeds:
                continue
            values = {what: [[side[what][seed] for seed in seeds] for side in known] for what in first}
            means = [
                f"{significance.summary(values[what][side]).mean:.1f}" for side in range(2) for what in first
            ]
            told = "unsteady" if model in unclear else _told(significance.ratio(*values["seconds"]))
            rows.append([f"`{model}`", f"{target:g} %", str(len(seeds)), *means, told])
    return rows


def _pairs(runs: pd.DataFrame) -> list[tuple[str, list[Group]]]:
    """Of each network the runs of both frameworks on the machine that made most of them."""
    found: dict[tuple[str, str], dict[str, Group]] = {}
    for group in pooling.groups(runs, by=(*pooling.POOLED, *pooling.ENVIRONMENT)):
        sides = found.setdefault((group.model, str(group.fields["machine"])), {})
        if group.framework not in sides or len(group.runs) > len(sides[group.framework].runs):
            sides[group.framework] = group
    best: dict[str, list[Group]] = {}
    for (model, _), sides in found.items():
        if len(sides) == len(FRAMEWORKS):
            both = [sides[framework] for framework in FRAMEWORKS]
            if model not in best or _size(both) > _size(best[model]):
                best[model] = both
    return list(best.items())


def _size(sides: Sequence[Group]) -> int:
    return min(side.seeds for side in sides)


def _known(side: Group, values: pd.Series[float]) -> dict[int, float]:
    """A value of each run by seed; empty unless every run has one."""
    mine = side.runs["run"].map(values)
    if mine.isna().any():
        return {}
    return pooling.by_seed(Group(side.fields, side.runs.assign(reached=mine)), "reached")


def _mean(side: Arms) -> float:
    return significance.summary([side.mean(number) for number in side.rounds]).mean


def _between(sides: Sequence[Arms | None]) -> str:
    """The ratio of the frameworks, or why there is none."""
    first, second = sides
    if first is None or second is None:
        return ""
    if first.itself.excludes_one or second.itself.excludes_one:
        return "unsteady"
    rounds = sorted(set(first.rounds) & set(second.rounds))
    return _told(significance.ratio(*([side.mean(number) for number in rounds] for side in (first, second))))


def _told(known: Ratio) -> str:
    if known.interval is None:
        return f"{known.mean:.3f}"
    return f"{known.mean:.3f} ({known.interval[0]:.3f} to {known.interval[1]:.3f})"
