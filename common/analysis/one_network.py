"""One network in both frameworks, of the zoo or of a user's own file: accuracies, verdict, times, memory.

All runs of its recipe on one data set count for the accuracy. Times and memory are those of pairs of runs
that had one machine to themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from common.analysis import aa, frames, pooling, significance, verdicts
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.analysis.significance import Ratio
from common.analysis.verdicts import ModelVerdict
from common.frameworks import PAIR
from common.model.entry import Entry

MEASURED = ("train_seconds", "total_seconds", "images_per_second", "peak_memory_mib")
"""Columns of results.csv that are compared of runs alone on their machine."""


@dataclass(frozen=True, eq=False)
class OneNetwork:
    """The rows of a network's recipe on a data set, and what they say about the frameworks."""

    name: str
    parameters: int
    dataset: str
    tables: Tables

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """The runs that are pooled, by framework of PAIR that has some."""
        runs = self.tables.runs
        finished = pooling.newest(runs[runs["status"] == "ok"])
        groups = pooling.largest_groups(pooling.groups(finished))
        return {group.framework: group for group in groups if group.framework in PAIR}

    @cached_property
    def verdict(self) -> ModelVerdict | None:
        """The verdict of this network alone, adjusted for no other; None without runs with one seed in both
        frameworks, and where they cannot be compared (`refusal`)."""
        if len(self.groups) < len(PAIR) or self.refusal:
            return None
        first, second = (self.groups[name] for name in PAIR)
        return verdicts.alone(first, second) if set(first.runs["seed"]) & set(second.runs["seed"]) else None

    @cached_property
    def refusal(self) -> str:
        """Why the runs of the two frameworks are not compared, as a sentence; empty if they can be."""
        if len(self.groups) < len(PAIR):
            return ""
        try:
            pooling.paired(self.groups[PAIR[0]], self.groups[PAIR[1]])
        except ValueError as error:
            return str(error)
        return ""

    @cached_property
    def timed(self) -> pd.DataFrame:
        """Pairs of runs that had a process and their machine to themselves, by seed: the columns MEASURED of
        the first framework, and with `_second` those of the second. They share machine, threads, versions of
        the code, the framework and Python; of several such settings those of the last run count."""
        runs = self.tables.runs
        # Without seconds of import it was not the first run of its process.
        timed = (runs["status"] == "ok") & pooling.timed(runs) & runs["import_seconds"].notna()
        runs = runs[timed].sort_values("started")
        sides = [runs[runs["framework"] == name] for name in PAIR]
        pairs = sides[0].merge(sides[1], on=list(aa.SAME_CODE), suffixes=("", "_second"))
        if len(pairs):
            last = pairs.sort_values("started_second").iloc[-1]
            versions = ["framework_version", "framework_version_second"]
            shared = [*versions, *(name for name in aa.SAME_CODE if name != "seed")]
            pairs = pairs[(pairs[shared] == last[shared]).all(axis="columns")]
        return pairs.drop_duplicates("seed", keep="last").set_index("seed").sort_index()

    def values(self, column: str) -> tuple[list[float], list[float]]:
        """A column of MEASURED in both frameworks, by pair; without the pairs that lack it."""
        pairs = self.timed[[column, f"{column}_second"]].dropna()
        return pairs.iloc[:, 0].tolist(), pairs.iloc[:, 1].tolist()

    def ratio(self, column: str) -> Ratio | None:
        """First over second framework in a column of MEASURED; None where no pair has it."""
        first, second = self.values(column)
        return significance.ratio(first, second) if first else None


def one_network(tables: Tables, entry: Entry, dataset: str) -> OneNetwork:
    """The comparison of a network's own recipe on a data set, by its runs in float32 from memory."""
    settings = pooling.default_settings(entry)
    selected = _selected(tables, entry.name, str(settings["recipe_hash"]), dataset)
    return OneNetwork(entry.name, entry.spec.parameters, dataset, selected)


def own_networks(tables: Tables) -> list[OneNetwork]:
    """The comparisons of the networks of users' own files, by name: one for each recipe and data set."""
    runs = _default(frames.apart(tables)[1].runs)
    return [
        OneNetwork(
            *(str(name), int(rows["parameters"].iloc[0]), str(dataset)),
            _selected(tables, str(name), str(recipe_hash), str(dataset)),
        )
        for (name, recipe_hash, dataset), rows in runs.groupby(["model", "recipe_hash", "dataset"])
    ]


@dataclass(frozen=True)
class RecordedExtent:
    """An `aa.Extent` by the rows of a network."""

    batch_size: int
    epochs: int
    tta_shift: int


def extents(tables: Tables) -> dict[str, RecordedExtent]:
    """By network of a user's own file whose rows have one recipe: how much that trains and tests. Measured
    times name no recipe, so those of a network with several cannot be told apart."""
    runs = frames.apart(tables)[1].runs
    return {
        str(name): RecordedExtent(
            *(int(rows["batch_size"].iloc[0]), int(rows["epochs"].iloc[0])),
            int(rows["shifted_accuracy"].notna().any()),
        )
        for name, rows in runs.groupby("model")
        if rows["recipe_hash"].nunique() == 1
    }


def _selected(tables: Tables, name: str, recipe_hash: str, dataset: str) -> Tables:
    """The rows of a network, with this recipe on this data set in those tables that have them."""
    runs = _default(tables.runs)
    for column, value in (("model", name), ("recipe_hash", recipe_hash), ("dataset", dataset)):
        runs = runs[runs[column] == value]
    names = set(runs["run"])
    epochs, errors = (rows[rows["run"].isin(names)] for rows in (tables.epochs, tables.errors))
    speed, traces = (
        frames.on_data(rows[rows["model"] == name], dataset) for rows in (tables.speed, tables.traces)
    )
    return dataclasses.replace(tables, runs=runs, epochs=epochs, errors=errors, speed=speed, traces=traces)


def _default(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs in float32 from memory, of whatever data set."""
    for column, value in pooling.DEFAULTS.items():
        runs = runs if column == "dataset" else runs[runs[column] == value]
    return runs
