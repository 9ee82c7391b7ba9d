"""Which test digits were wrong, by whom, and as what: the recorded errors, to be looked through.

From errors.csv and the runs of the zoo's own recipes; nothing is predicted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.analysis import pooling
from common.analysis.frames import Tables

KEY = ["model", "framework", "index", "predicted"]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What to show of them; None is everything. With `one_only` digits that a network got wrong in one
    framework and never in the other."""

    label: int | None = None
    predicted: int | None = None
    model: str | None = None
    framework: str | None = None
    one_only: bool = False


def misclassified_digits(tables: Tables, labels: NDArray[np.uint8]) -> pd.DataFrame:
    """A row for each network, framework, test image and wrong answer, with the `label`, the number of `runs`
    that gave it and `of` how many."""
    runs = pooling.zoo_runs(tables.runs)
    about = runs.set_index("run")[["model", "framework"]]
    errors = tables.errors[tables.errors["run"].isin(set(about.index))].join(about, on="run")
    counted = errors.groupby(KEY, as_index=False).size().rename(columns={"size": "runs"})
    made = runs.groupby(["model", "framework"], as_index=False).size().rename(columns={"size": "of"})
    return counted.merge(made, on=["model", "framework"]).assign(label=labels[counted["index"]])


def select(known: pd.DataFrame, choice: Filter) -> pd.DataFrame:
    """The rows of `mistakes` that a choice leaves."""
    kept = known
    if choice.one_only:
        # Before the framework is chosen: it must be known whether the other one was wrong as well.
        sides = kept.groupby(["model", "index"])["framework"].transform("nunique")
        kept = kept[sides == 1]
    for column in ("label", "predicted", "model", "framework"):
        wanted = getattr(choice, column)
        if wanted is not None:
            kept = kept[kept[column] == wanted]
    return kept


def page(kept: pd.DataFrame, *, start: int, count: int) -> tuple[int, list[dict[str, Any]]]:
    """How many digits there are, and `count` of them from `start` on: index, label, who said what in how many
    runs; those first that were wrong most often."""
    share = (kept["runs"] / kept["of"]).groupby(kept["index"]).sum()
    order = share.sort_values(ascending=False, kind="stable").index
    shown = []
    for index in order[start : start + count]:
        mine = kept[kept["index"] == index].sort_values(["runs", "model"], ascending=[False, True])
        said = mine[["model", "framework", "predicted", "runs", "of"]].to_dict("records")
        shown.append({"index": int(index), "label": int(mine["label"].iloc[0]), "said": said})
    return len(order), shown
