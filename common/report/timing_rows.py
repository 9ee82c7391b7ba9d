"""The latest rows of speed.csv by network and framework."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from common.analysis import aa
from common.analysis.pooling import sort_key
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO

STAGES = ("input", "forward", "backward", "optimizer", "rest")
BATCHES = (1, 100, 10_000)
OPTIONS = ("default", "compile", "bfloat16")
REFERENCE = "one-epoch-215k"
"""The network over which the seconds to 99 % are reported."""


@dataclass(frozen=True, eq=False)
class Timings:
    """The latest rows of a network in a framework.

    `clock_errors` are those of the A/A tests of its training throughput, by aa.PLACE. `reference` is
    REFERENCE in the same framework, if that was measured.
    """

    framework: str
    model: str
    rows: pd.DataFrame
    clock_errors: Mapping[tuple[object, ...], float]
    reference: Timings | None = None

    def of(self, measure: str, arm: str | None = None) -> pd.DataFrame:
        """The rows of a measure, of one arm or of all."""
        rows = self.rows[self.rows["measure"] == measure]
        return rows if arm is None else rows[rows["arm"] == arm]

    def clock_error(self, measure: str) -> float:
        """That of the place where the measure was; infinite without an A/A test there."""
        rows = self.of(measure)
        return self.clock_errors.get(tuple(rows[aa.PLACE].iloc[-1]), math.inf) if len(rows) else math.inf

    def value(self, measure: str, arm: str, column: str = "value") -> float | None:
        """A column of the measure's row; None where it was not measured."""
        rows = self.of(measure, arm)
        return float(rows[column].iloc[-1]) if len(rows) else None


def latest(speed: pd.DataFrame) -> list[Timings]:
    """For each network and framework the rows of the last session of each measure, in the zoo's order.

    Of the starts, only those of the network that was measured last: both frameworks start the same one. Of
    the kernels, only those of the session whose stages are shown: a later profile may have none, as of a step
    that TensorFlow compiles.
    """
    clocks = {place: aa.training_clocks(rows) for place, rows in speed.groupby(aa.PLACE)}
    speed = speed[speed["framework"] != ""]
    last = speed[
        speed["sitting"] == speed.groupby(["model", "framework", "measure"])["sitting"].transform("max")
    ]
    starts = last[last["measure"] == "start"].sort_values("sitting")
    last = last.drop(starts[starts["model"] != starts["model"].iloc[-1:].squeeze()].index)
    by_name: dict[tuple[str, str], Timings] = {}
    # REFERENCE comes first, so that the other networks find it.
    names = sorted(
        set(zip(last["model"], last["framework"], strict=True)), key=lambda name: name[0] != REFERENCE
    )
    for model, framework in names:
        rows = last[(last["model"] == model) & (last["framework"] == framework)]
        of_stages = rows.loc[rows["measure"] == "part", "sitting"].max()
        rows = rows[~((rows["measure"] == "kernel") & (rows["sitting"] < of_stages))]
        errors = {place: errors.get((model, framework), math.inf) for place, errors in clocks.items()}
        reference = by_name.get((REFERENCE, framework))
        by_name[model, framework] = Timings(framework, model, rows, errors, reference)
    return sorted(
        by_name.values(),
        key=lambda timings: (sort_key(timings.model, ZOO), sort_key(timings.framework, FRAMEWORKS)),
    )


def over(upper: float | None, lower: float | None) -> float | None:
    """The quotient; None without both values, and over 0."""
    return upper / lower if upper and lower else None
