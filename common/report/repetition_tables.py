"""The result of the repetition that docs/repetition.md announces, in words."""

from __future__ import annotations

import pandas as pd

from common.analysis import repetition
from common.analysis.significance import ALPHA
from common.report import cells


def section(runs: pd.DataFrame) -> str:
    """The test's result; until every pair is recorded, only how many are missing."""
    total = sum(map(len, repetition.SEEDS.values()))
    announced = (
        "Fresh seeds, and what would be concluded from them, were written down before they were run "
        "([docs/repetition.md](docs/repetition.md)): are the differences between the frameworks as large as "
        "chance alone makes them?"
    )
    result = repetition.repetition(runs)
    if result is None:
        return f"{announced} Of {total} pairs of runs, {len(repetition.missing(runs))} are missing."
    words = "as large as"
    if result.p < ALPHA:
        words = "smaller than" if result.smaller < result.larger else "larger than"
    return (
        f"{announced} Over {total} pairs of {len(repetition.SEEDS)} networks the sum of t² is "
        f"{result.statistic:.1f} (two-sided p-value {cells.p_value(result.p)}): the differences are {words} "
        "chance alone makes them."
    )
