"""Groups of runs that are repetitions of one another.

Runs are pooled only where every setting in POOLED is equal; machine, versions and threads may differ, as an
accuracy should repeat anywhere. Runs of one seed are no independent repetitions: means, spreads and
intervals are of seeds, of which a repeated one counts once, with the mean of its runs. Times are compared
only among runs that had their machine to themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis.significance import Summary, geometric, summary
from common.frameworks import FRAMEWORKS, PAIR
from common.model.entry import Entry
from common.model.recipe import recipe_hash, short_name
from common.model.zoo import ZOO

POOLED = (
    *("framework", "model", "dataset", "batch_size", "epochs", "optimizer", "schedule", "lr", "augment"),
    *("native", "loader", "precision", "device", "world_size", "recipe_hash", "numerics"),
)
"""Runs with status ok that agree in all these columns are repetitions with different seeds."""

ENVIRONMENT = ("machine", "framework_version", "python", "threads")
"""Columns that may differ where accuracies are pooled, but not where times and memory are. The number of
threads decides only in which order sums are rounded, as the processor does."""

MNIST = "mnist"
OTHER_DATA = {"fashion-mnist": "Fashion-MNIST"}
"""The data sets on which the zoo's recipes are compared besides, with their titles."""

LOAD_PER_CORE = 1.75
"""Largest load average before a run, for each core, of a machine without other work: the run before it leaves
about one."""

DEFAULTS = {"dataset": MNIST, "native": "none", "loader": "memory", "precision": "float32"}
"""The values of a run whose command line changes none of them."""


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that may be pooled: their rows, and the `fields` they share, by the names of POOLED."""

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
        """Number of different seeds; fewer than runs if a seed was repeated."""
        return len(set(self.runs["seed"]))

    def summary(self, column: str) -> Summary | None:
        """Mean and standard deviation of `column` over seeds (`by_seed`); None if no run measured it."""
        values = by_seed(self, column)
        return summary(values.values()) if values else None

    @property
    def number(self) -> float:
        """The number of its arithmetic (`numerics`); -1 for rows older than that column."""
        return _number(self.runs["numerics"]).iloc[0]


def paired(first: Group, second: Group, column: str = "accuracy") -> tuple[list[float], list[float]]:
    """The values of a column in both groups for each seed in common, by seed; repeated seeds are averaged.

    A seed fixes initial weights and order, so runs with one seed are a pair. Raises ValueError, which names
    the fields, for groups that differ in more than the framework.
    """
    if differs := differing(first, second):
        fields = "; ".join(f"{field}: {' and '.join(pair)}" for field, pair in differs.items())
        raise ValueError(f"Runs of {first.model} that differ in {fields} are not compared.")
    values, other_values = (by_seed(group, column) for group in (first, second))
    seeds = sorted(set(values) & set(other_values))
    return [values[seed] for seed in seeds], [other_values[seed] for seed in seeds]


def differing(first: Group, second: Group) -> dict[str, tuple[str, str]]:
    """The fields other than the framework in which two groups of one network differ, with both values."""
    return differences(first.fields, second.fields, but=("framework", "numerics"))


def by_seed(group: Group, column: str) -> dict[int, float]:
    """The value of a column for each seed that measured it; the mean if a seed was repeated."""
    values: dict[int, list[float]] = {}
    for seed, value in zip(group.runs["seed"], group.runs[column], strict=True):
        if not math.isnan(value):
            values.setdefault(int(seed), []).append(float(value))
    return {seed: math.fsum(repeated) / len(repeated) for seed, repeated in values.items()}


def epochs_of(group: Group, epochs: pd.DataFrame) -> pd.DataFrame:
    """The group's rows of epochs.csv, with the seed of their run, by run and epoch."""
    rows = epochs.merge(group.runs[["run", "seed"]], on="run")
    return rows.sort_values(["run", "epoch"], ignore_index=True)


def by_epoch(epochs: pd.DataFrame, column: str) -> pd.Series[float]:
    """The mean over seeds of a column of `epochs_of` in each epoch that measured it."""
    rows = epochs.dropna(subset=[column])
    return rows.groupby(["epoch", "seed"])[column].mean().groupby("epoch").mean()


def intervals_by_epoch(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Columns mean, low and high in each epoch that measured a column of positive values: its geometric mean
    over seeds and the mean's 95 % confidence interval (`significance.geometric`)."""
    seeds = epochs.dropna(subset=[column]).groupby(["epoch", "seed"])[column].mean()
    rows = {epoch: geometric(values.tolist()) for epoch, values in seeds.groupby("epoch")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def groups(runs: pd.DataFrame, *, by: Sequence[str] = POOLED) -> list[Group]:
    """Runs with status ok, pooled if all columns `by` agree, in the order of the zoo and the frameworks."""
    finished = runs[runs["status"] == "ok"]
    pooled = [
        Group(dict(zip(by, key, strict=True)), rows)
        for key, rows in finished.groupby(list(by), sort=True, dropna=False)
    ]
    return sorted(
        pooled, key=lambda group: (sort_key(group.model, ZOO), sort_key(group.framework, FRAMEWORKS))
    )


def sort_key(name: str, order: Iterable[str]) -> tuple[int, str]:
    """A key that sorts names as in `order`, and all others after them by alphabet."""
    names = list(order)
    return (names.index(name.lower()) if name.lower() in names else len(names), name)


def default_settings(entry: Entry) -> dict[str, object]:
    """The settings of a run of `entry` with nothing changed, by the names of POOLED."""
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


def default_runs(runs: pd.DataFrame, *, dataset: str = MNIST) -> pd.DataFrame:
    """The `newest` rows with status ok and all values of DEFAULTS but for the data set, whatever their
    recipe."""
    selected = runs["status"] == "ok"
    for field, value in (DEFAULTS | {"dataset": dataset}).items():
        selected &= runs[field] == value
    return newest(runs[selected])


def newest(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows without those whose arithmetic is older than that of other rows with the same settings."""
    number = _number(runs["numerics"])
    settings = [runs[field] for field in POOLED if field != "numerics"]
    return runs[number == number.groupby(settings, dropna=False).transform("max")]


def _number(numerics: pd.Series[float]) -> pd.Series[float]:
    return numerics.fillna(-1.0)


def zoo_runs(runs: pd.DataFrame, *, dataset: str = MNIST) -> pd.DataFrame:
    """The default rows with the zoo's own network and recipe: on MNIST those that the README reports."""
    return recipe_runs(runs, ZOO.values(), dataset=dataset)


def recipe_runs(runs: pd.DataFrame, entries: Iterable[Entry], *, dataset: str = MNIST) -> pd.DataFrame:
    """The default rows on a data set with the network and the recipe of one of `entries`."""
    hashes = {entry.name: recipe_hash(entry.spec, entry.recipe) for entry in entries}
    return default_runs(runs[runs["recipe_hash"] == runs["model"].map(hashes)], dataset=dataset)


def judged_runs(runs: pd.DataFrame, *, dataset: str = MNIST) -> pd.DataFrame:
    """The `zoo_runs` of networks that have a verdict."""
    judged = {entry.name for entry in ZOO.values() if entry.judged}
    selected = zoo_runs(runs, dataset=dataset)
    return selected[selected["model"].isin(judged)]


def timed(runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether each run has times of training, which a resumed one has not, and had its machine to itself:
    neither another run nor, by the load before it, much other work."""
    cores = runs["machine"].str.extract(r"(\d+) cores", expand=False).astype(float).fillna(1)
    alone = (runs["at_once"] == 1) & ~(runs["load_before"] > LOAD_PER_CORE * cores)
    return alone & runs["train_seconds"].notna()


def largest_groups(groups: Iterable[Group], *, by: str = "model") -> list[Group]:
    """A group for each model, framework and value of `by`: of the settings with the most seeds that both
    frameworks of PAIR have, else of those with the most in one; the first of equals.

    Only groups of the newest arithmetic are considered.
    """
    candidates = list(groups)
    seeds: dict[tuple[object, ...], dict[str, set[int]]] = {}
    for group in sorted(candidates, key=lambda group: group.number):
        seeds.setdefault(_settings(group), {})[group.framework] = set(group.runs["seed"])

    def rank(group: Group) -> tuple[float, int, int]:
        in_both = set.intersection(*(seeds[_settings(group)].get(framework, set()) for framework in PAIR))
        return group.number, len(in_both), group.seeds

    best: dict[tuple[object, ...], Group] = {}
    for group in candidates:
        key = (group.model, group.framework, group.fields[by])
        if key not in best or rank(group) > rank(best[key]):
            best[key] = group
    return list(best.values())


def _settings(group: Group) -> tuple[str, ...]:
    """Values that the groups of both frameworks have in common where they can be compared."""
    own = {name: value for name, value in group.fields.items() if name not in ("framework", "numerics")}
    return tuple(map(str, own.values()))


def differences(
    first: Mapping[str, object], second: Mapping[str, object], *, but: Iterable[str] = ()
) -> dict[str, tuple[str, str]]:
    """The fields in which two groups of one model (or a group and its recipe) differ, with both values.

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
