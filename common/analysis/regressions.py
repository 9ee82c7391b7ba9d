"""Recorded accuracies against the thresholds of their networks (`common.check` prints them)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis import pooling, thresholds
from common.analysis.frames import Tables
from common.analysis.pooling import Group, recipe_runs
from common.data.datasets import DATASETS
from common.frameworks import FRAMEWORKS
from common.model.entry import Entry, Recorded
from common.model.zoo import ZOO


@dataclass(frozen=True)
class Finding:
    """A comparison of a network in a framework with a threshold, in percent.

    `accuracy` is the mean over seeds, or for the last two epochs the lowest of any run. `failure` is the
    reason why the comparison fails, and empty if it passes.
    """

    model: str
    framework: str
    accuracy: float | None
    seeds: int
    threshold: float | None
    failure: str = ""


def findings(
    tables: Tables,
    *,
    entries: Mapping[str, Entry] = ZOO,
    first_epoch: bool = False,
    complete: bool = False,
) -> list[Finding]:
    """Every group of the recipes of `entries` against its thresholds; with `first_epoch`, runs of one epoch
    instead.

    Failures are also every run with an accuracy of 100 %, and with `complete` every network without runs or
    without a recorded accuracy.
    """
    runs = _first_epochs(tables, entries) if first_epoch else recipe_runs(tables.runs, entries.values())
    groups = pooling.groups(runs)
    result = []
    for group in groups:
        entry = entries[group.model]
        compared = entry.first_epoch if first_epoch else entry.accuracy
        result.append(_finding(group, "accuracy", compared, required=complete))
    if not first_epoch:
        result += [
            _finding(group, "shifted_accuracy", compared)
            for group in groups
            if (compared := entries[group.model].tta) is not None
        ]
        result += [
            _last_two(group, tables.epochs, threshold)
            for group in groups
            if (threshold := entries[group.model].last_two_epochs_threshold) is not None
        ]
    result += _perfect(tables.runs)
    if complete:
        result += _missing(groups, entries)
    return result


def _first_epochs(tables: Tables, entries: Mapping[str, Entry]) -> pd.DataFrame:
    """Default runs of one epoch of the networks, with `accuracy` from epochs.csv."""
    runs = pooling.default_runs(tables.runs)
    runs = runs[(runs["epochs"] == 1) & runs["model"].isin(set(entries))]
    for entry in entries.values():
        settings = pooling.default_settings(entry)
        recipe = {name: settings[name] for name in settings if name not in ("model", "epochs", "recipe_hash")}
        others = (runs[list(recipe)] != pd.Series(recipe)).any(axis=1) & (runs["model"] == entry.name)
        runs = runs[~others]
    epochs = tables.epochs[tables.epochs["epoch"] == 1]
    accuracy = dict(zip(epochs["run"], epochs["accuracy"], strict=True))
    return runs.assign(accuracy=[accuracy.get(run, float("nan")) for run in runs["run"]])


def _finding(group: Group, column: str, recorded: Recorded | None, *, required: bool = False) -> Finding:
    """The mean of an accuracy column, which every run must have, against the threshold for so many seeds.

    Without a `recorded` accuracy there is no threshold, which is a failure where it is `required`.
    """
    accuracy, runs = group.summary(column), len(group.runs)
    threshold = None if recorded is None else thresholds.threshold(recorded, group.seeds)
    failure = ""
    if missing := int(group.runs[column].isna().sum()):
        failure = f"{missing} of {runs} runs have no accuracy"
    elif threshold is None and required:
        failure = "its entry has no recorded accuracy"
    elif accuracy is not None and threshold is not None and accuracy.mean < threshold:
        failure = "below the threshold"
    mean = None if accuracy is None else accuracy.mean
    return Finding(group.model, group.framework, mean, group.seeds, threshold, failure)


def _last_two(group: Group, epochs: pd.DataFrame, threshold: float) -> Finding:
    """The lowest accuracy in the last two epochs of any run, against the threshold for them."""
    last = group.runs.set_index("run")["epochs"]
    rows = epochs[epochs["run"].isin(set(last.index))]
    lowest = float(rows[rows["epoch"] > rows["run"].map(last) - 2]["accuracy"].min())
    if math.isnan(lowest):
        failure = "no rows in epochs.csv"
        return Finding(group.model, group.framework, None, group.seeds, threshold, failure)
    passes = lowest >= threshold
    failure = "" if passes else "one of the last two epochs of a run is below the threshold"
    return Finding(group.model, group.framework, lowest, group.seeds, threshold, failure)


def _perfect(runs: pd.DataFrame) -> list[Finding]:
    """Runs with 100 % accuracy on a whole test set of 10,000 images: MNIST's has 15 wrong labels, so test
    labels have leaked."""
    on_test_set = runs["dataset"].isin(DATASETS)
    perfect = runs[(runs["status"] == "ok") & on_test_set & (runs["accuracy"] >= 100)]
    return [
        Finding(model, framework, accuracy, 1, None, f"100 % means leaked test labels (run {run})")
        for model, framework, accuracy, run in zip(
            *(perfect[column] for column in ("model", "framework", "accuracy", "run")), strict=True
        )
    ]


def _missing(groups: Sequence[Group], entries: Mapping[str, Entry]) -> list[Finding]:
    """Networks that have no runs in a framework."""
    present = {(group.model, group.framework) for group in groups}
    frameworks = list(dict.fromkeys([*FRAMEWORKS, *(group.framework for group in groups)]))
    return [
        Finding(model, framework, None, 0, None, "no runs")
        for model in entries
        for framework in frameworks
        if (model, framework) not in present
    ]


def recorded_lines(tables: Tables, entries: Mapping[str, Entry] = ZOO) -> list[str]:
    """The fields of each network's entry, as these tables have them, a line a network."""
    first = tables.epochs[tables.epochs["epoch"] == 1].set_index("run")["accuracy"]
    runs = recipe_runs(tables.runs, entries.values())
    groups = pooling.largest_groups(pooling.groups(runs.assign(first_epoch=runs["run"].map(first))))
    fields = {"accuracy": "accuracy", "first_epoch": "first_epoch", "tta": "shifted_accuracy"}
    lines = []
    for model in dict.fromkeys(group.model for group in groups):
        same = [group for group in groups if group.model == model]
        values = {field: thresholds.recorded(same, column) for field, column in fields.items()}
        lines.append(f"{model}: " + ", ".join(f"{field}={value!r}" for field, value in values.items()))
    return lines
