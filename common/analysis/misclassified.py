"""The recorded wrong predictions by test image, network and framework, filtered and in pages.

They are read from errors.csv; no prediction is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from common.analysis import pooling
from common.analysis.frames import Tables
from common.data.datasets import Labels

KEY = ["model", "framework", "index", "predicted"]
NO_DIGIT = -1
"""In a filter: an output above 9, which networks with more than ten outputs can predict."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The values that rows must have; None accepts all.

    With `one_only`, only digits that a network got wrong in one framework and never in the other.
    """

    label: int | None = None
    predicted: int | None = None
    model: str | None = None
    framework: str | None = None
    one_only: bool = False


def misclassified_digits(tables: Tables, labels: Labels, *, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each network, framework, test image and wrong prediction of `runs`.

    They are of one data set: by default those of the zoo's own recipes on MNIST.

    Besides KEY it has the image's `label`, the number of `runs` that made the prediction, and `of` how many
    runs.
    """
    runs = pooling.judged_runs(tables.runs) if runs is None else runs
    names = runs.set_index("run")[["model", "framework"]]
    errors = tables.errors[tables.errors["run"].isin(set(names.index))].join(names, on="run")
    counted = errors.groupby(KEY, as_index=False).size().rename(columns={"size": "runs"})
    totals = runs.groupby(["model", "framework"], as_index=False).size().rename(columns={"size": "of"})
    return counted.merge(totals, on=["model", "framework"]).assign(label=labels[counted["index"]])


def select(digits: pd.DataFrame, choice: Filter) -> pd.DataFrame:
    """The rows of `misclassified_digits` that a filter accepts."""
    selected = digits
    if choice.one_only:
        # Before the filter by framework, which would drop the rows of the other one.
        frameworks = selected.groupby(["model", "index"])["framework"].transform("nunique")
        selected = selected[frameworks == 1]
    for column in ("label", "predicted", "model", "framework"):
        wanted = getattr(choice, column)
        if column == "predicted" and wanted == NO_DIGIT:
            selected = selected[selected[column] > 9]
        elif wanted is not None:
            selected = selected[selected[column] == wanted]
    return selected


def page(digits: pd.DataFrame, *, start: int, count: int) -> tuple[int, list[dict[str, Any]]]:
    """The number of test images, and `count` of them from `start` on, those wrong most often first.

    Each has its index, its label, and the wrong `predictions` with network, framework and runs.
    """
    error_rate = (digits["runs"] / digits["of"]).groupby(digits["index"]).sum()
    order = error_rate.sort_values(ascending=False, kind="stable").index
    shown = []
    for index in order[start : start + count]:
        rows = digits[digits["index"] == index].sort_values(["runs", "model"], ascending=[False, True])
        predictions = rows[["model", "framework", "predicted", "runs", "of"]].to_dict("records")
        shown.append({"index": int(index), "label": int(rows["label"].iloc[0]), "predictions": predictions})
    return len(order), shown
