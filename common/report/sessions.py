"""Measured sessions on data sets of their own: tables for each, under titles that say whose networks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from common.analysis import aa
from common.analysis.aa import Extent
from common.report import rounding_tables, speed_ratios, timings


def by_dataset(
    speed: pd.DataFrame, traces: pd.DataFrame, recipes: Mapping[str, Extent], *, whose: str
) -> list[str]:
    """The last sessions of `bench aa`, `bench speed` and `bench traces` on each data set.

    `speed` and `traces` are rows of speed.csv and traces.csv; `recipes` say how much of a run each network
    of `bench aa` stands for, and one that has none there is not listed.
    """
    again = speed["measure"].str.startswith(aa.PREFIX)
    parts = []
    for dataset, rows in speed[again].groupby("dataset"):
        if set(rows["model"]) & set(recipes):
            parts += [f"### Speed and memory of {whose} on {dataset}", speed_ratios.CELLS]
            parts.append(speed_ratios.tables(rows, recipes))
    for dataset, rows in speed[~again].groupby("dataset"):
        parts += [f"### Times of {whose} on {dataset}", timings.section(rows, "####")]
    for dataset, rows in traces.groupby("dataset"):
        parts += [f"### First steps of {whose} on {dataset}", rounding_tables.section(rows)]
    return parts
