"""Which runs are repetitions of one another.

Runs are pooled only where every setting in POOLED is equal; machine and versions may differ, because an
accuracy should repeat anywhere. Times are compared only among runs that had their machine to themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis.significance import Summary, summary
from common.frameworks import FRAMEWORKS
from common.model.entry import Entry
from common.model.recipe import recipe_hash, short_name
from common.model.zoo import ZOO

POOLED = (
    *("framework", "model", "dataset", "batch_size", "epochs", "optimizer", "schedule", "lr", "augment"),
    *("native", "loader", "precision", "device", "threads", "world_size", "recipe_hash"),
)
"""Runs that agree in all of these, and ended with status ok, are repetitions with other seeds."""

ENVIRONMENT = ("machine", "framework_version", "python")
"""What may differ in a group when accuracy is pooled, but not when time and memory are."""

DEFAULTS = {"dataset": "mnist", "native": "none", "loader": "memory", "precision": "float32"}
"""What a run has when the command line asks for nothing else."""

TEST_IMAGES = 10_000


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that may be pooled: the `fields` they share, by POOLED name, and their rows."""

    fields: Mapping[str, object]
    runs: pd.DataFrame

    @property
    def framework(self) -> str:
        return str(self.fields["framework"])

    @property
    def model(self) -> str:
        return str(self.fields["model"])

    @property
    def seeds(self) -> int:
        """Number of different seeds; fewer than runs where one was repeated."""
        return len(set(self.runs["seed"]))

    def summary(self, column: str) -> Summary | None:
        """Of the values in `column`; None where no run measured it."""
        values = [float(value) for value in self.runs[column] if not math.isnan(value)]
        return summary(values) if values else None


def paired(first: Group, second: Group, column: str = "accuracy") -> tuple[list[float], list[float]]:
    """A column of both groups for each seed that both have, in the seeds' order; repeated seeds averaged.

    A seed fixes initial weights and order, so runs with the same one are a pair. Raises ValueError, which
    names the fields, for groups that differ in more than the framework.
    """
    differing = differences(first.fields, second.fields, but=("framework",))
    if differing:
        told = "; ".join(f"{field}: {' and '.join(pair)}" for field, pair in differing.items())
        raise ValueError(f"Runs of {first.model} that differ in {told} are not compared.")
    ours, theirs = (by_seed(group, column) for group in (first, second))
    seeds = sorted(set(ours) & set(theirs))
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def by_seed(group: Group, column: str) -> dict[int, float]:
    """A column's value for each seed; the mean where a seed was repeated."""
    values: dict[int, list[float]] = {}
    for seed, value in zip(group.runs["seed"], group.runs[column], strict=True):
        values.setdefault(int(seed), []).append(float(value))
    return {seed: math.fsum(known) / len(known) for seed, known in values.items()}


def groups(runs: pd.DataFrame, *, by: Sequence[str] = POOLED) -> list[Group]:
    """Runs of status ok, pooled where all of `by` agree; in the order of the zoo, then of the frameworks."""
    done = runs[runs["status"] == "ok"]
    found = [
        Group(dict(zip(by, key, strict=True)), part)
        for key, part in done.groupby(list(by), sort=True, dropna=False)
    ]
    return sorted(
        found, key=lambda group: (sort_key(group.model, ZOO), sort_key(group.framework, FRAMEWORKS))
    )


def sort_key(name: str, known: Iterable[str]) -> tuple[int, str]:
    """Sorts names as in `known`, unknown ones after them by alphabet."""
    places = list(known)
    return (places.index(name.lower()) if name.lower() in places else len(places), name)


def default_settings(entry: Entry) -> dict[str, object]:
    """The settings of a run of `entry` with nothing changed, by POOLED name."""
    recipe = entry.recipe
    return {
        "model": entry.name,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "optimizer": short_name(recipe.optimizer),
        "schedule": short_name(recipe.schedule),
        "lr": recipe.lr,
        "augment": short_name(recipe.augment),
        "recipe_hash": recipe_hash(entry.spec, recipe),
        **DEFAULTS,
    }


def default_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of status ok with everything in DEFAULTS, whatever their recipe."""
    kept = runs["status"] == "ok"
    for field, value in DEFAULTS.items():
        kept &= runs[field] == value
    return runs[kept]


def zoo_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The default rows whose network and recipe are the zoo's own: those the README reports."""
    hashes = {entry.name: recipe_hash(entry.spec, entry.recipe) for entry in ZOO.values()}
    return default_runs(runs[runs["recipe_hash"] == runs["model"].map(hashes)])


def undisturbed(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows whose machine made no other run meanwhile; rows older than the column are of such runs."""
    return runs[~(runs["at_once"] > 1)]


def largest_groups(found: Iterable[Group], *, by: str = "model") -> list[Group]:
    """For each model, framework and value of `by` the group with the most runs, the first of equals."""
    best: dict[tuple[object, ...], Group] = {}
    for group in found:
        key = (group.model, group.framework, group.fields[by])
        if key not in best or len(group.runs) > len(best[key].runs):
            best[key] = group
    return list(best.values())


def differences(
    first: Mapping[str, object], second: Mapping[str, object], *, but: Iterable[str] = ()
) -> dict[str, tuple[str, str]]:
    """The fields in which two groups (or a group and its recipe) of one model differ, with both values.

    Fields that only one of them has, and those in `but`, are left out. Raises ValueError for two models.
    """
    if first["model"] != second["model"]:
        raise ValueError(f"{first['model']} and {second['model']} are different networks, not settings.")
    shared = [field for field in POOLED if field in first and field in second and field not in set(but)]
    pairs = {field: (format_value(first[field]), format_value(second[field])) for field in shared}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def format_value(value: object) -> str:
    """A value as the tables write it."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)
