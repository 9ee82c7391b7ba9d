"""The numbers behind the explorer's curves: for each epoch means with intervals, and single runs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.frameworks import FRAMEWORKS, display_name
from common.report.drawing import look

MEASURES = {
    "accuracy": "test accuracy (%)",
    "loss": "test loss (nats)",
    "train_accuracy": "training accuracy (%)",
    "train_loss": "training loss (nats)",
    "lr": "learning rate",
}
"""Columns of epochs.csv that are drawn, with the titles of their axes."""


def curves(tables: Tables) -> dict[str, Any]:
    """The data that the page draws, as JSON has them.

    `measures` are the titles by name; `frameworks` the titles, colours and markers by name; `groups` has, by
    network and framework, the mean of each measure over seeds, Student's 95 % interval of it (null for one
    seed) and the number of seeds, in the order of `epoch`; `runs` the values of each run.
    """
    groups = _groups(tables.runs)
    names = sorted(set(tables.runs["framework"]), key=lambda name: pooling.sort_key(name, FRAMEWORKS))
    frameworks = {}
    for name in names:
        colour, marker = look(name, names)
        frameworks[name] = {"title": display_name(name), "colour": colour, "marker": marker}
    by_network: dict[str, dict[str, Any]] = {}
    for group in groups:
        epochs = pooling.epochs_of(group, tables.epochs)
        if len(epochs):
            by_network.setdefault(group.model, {})[group.framework] = _bands(epochs)
    recorded = tables.epochs[tables.epochs["run"].isin(set(tables.runs["run"]))]
    runs = {
        str(run): {
            "epoch": [int(epoch) for epoch in rows["epoch"]],
            **{measure: [_rounded(value) for value in rows[measure]] for measure in MEASURES},
        }
        for run, rows in recorded.sort_values(["run", "epoch"]).groupby("run")
    }
    return {"measures": MEASURES, "frameworks": frameworks, "groups": by_network, "runs": runs}


def _groups(runs: pd.DataFrame) -> list[Group]:
    """By network and framework the group with most seeds, of the zoo's own recipe where there is one; of a
    network only groups of one setting."""
    own = pooling.largest_groups(pooling.groups(pooling.zoo_runs(runs)))
    present = {(group.model, group.framework) for group in own}
    others = pooling.largest_groups(pooling.groups(pooling.newest(runs[runs["status"] == "ok"])))
    chosen: list[Group] = []
    for group in [*own, *(group for group in others if (group.model, group.framework) not in present)]:
        # Frameworks with other settings or data are not drawn as one comparison.
        if not any(pooling.differing(other, group) for other in chosen if other.model == group.model):
            chosen.append(group)
    return chosen


def _bands(epochs: pd.DataFrame) -> dict[str, Any]:
    """Epochs, and for each measure means, lower and upper ends of the intervals, and numbers of seeds."""
    numbers = sorted({int(epoch) for epoch in epochs["epoch"]})
    return {"epoch": numbers, **{measure: _band(epochs, measure, numbers) for measure in MEASURES}}


def _band(epochs: pd.DataFrame, measure: str, numbers: list[int]) -> dict[str, list[float | None]]:
    by_seed = epochs.groupby(["epoch", "seed"])[measure].mean().dropna()
    values = {int(str(epoch)): list(of_epoch) for epoch, of_epoch in by_seed.groupby("epoch")}
    band: dict[str, list[float | None]] = {"mean": [], "low": [], "high": [], "n": []}
    for number in numbers:
        sample = values.get(number, [])
        bounds = (significance.interval(sample) if sample else None) or (None, None)
        band["mean"].append(_rounded(significance.summary(sample).mean) if sample else None)
        band["low"].append(_rounded(bounds[0]))
        band["high"].append(_rounded(bounds[1]))
        band["n"].append(len(sample))
    return band


def _rounded(value: float | None) -> float | None:
    """Seven significant digits, as the tables have them; None for none and for infinity, which JSON lacks."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None
