"""The result of the repetition that docs/repetition.md announces: in words, and as tables of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from common.analysis import repetition, significance
from common.analysis.repetition import Repetition
from common.analysis.significance import ALPHA
from common.report import cells
from common.report.markdown import markdown

TITLE = "Repetition"
DRAWS = 100_000
"""Draws of chance's sums for the parts that are no test."""


def section(runs: pd.DataFrame) -> str:
    """The test's result beside the other seeds; until every pair is recorded, only how many are missing."""
    total = sum(map(len, repetition.SEEDS.values()))
    announced = (
        "Fresh seeds, and what would be concluded from them, were written down before they were run "
        "([docs/repetition.md](docs/repetition.md)): are the differences between the frameworks as large as "
        "chance alone makes them?"
    )
    result = repetition.repetition(runs)
    if result is None:
        return f"Of {total} announced pairs of runs {len(repetition.missing(runs))} are missing. {announced}"
    words = "as large as"
    if result.p < ALPHA:
        words = "smaller than" if result.smaller < result.larger else "larger than"
    parts = repetition.parts(runs)
    lost = ", ".join(f"`{model}` seed {seed}" for model, seed in repetition.diverged(runs))
    tested = [pairs for pairs in parts["fresh"].values() if len(pairs) > 1]
    return "\n\n".join(
        [
            f"The differences between the frameworks are {words} chance alone makes them: over "
            f"{sum(map(len, tested))} fresh pairs of {len(tested)} networks the sum of t² is "
            f"{result.statistic:.1f} (two-sided p-value {cells.p_value(result.p)}).",
            *([f"A run diverged and has no accuracy, so its pair counts as none: {lost}."] if lost else []),
            announced,
            "FIRST SEEDS are those before the fresh ones, ALL SEEDS every one that is recorded. N is the "
            "number of pairs.",
            _differences(parts),
            "SUM OF T² is over the networks with two pairs or more. P AS SMALL and P AS LARGE are the "
            "probabilities of a sum no larger and of one no smaller by chance alone. Only the fresh seeds "
            "are a test. The first ones are not all those that suggested it: some were recorded again with "
            "newer arithmetic, and `pytorch-model-1` was another network then, so their sum is not that of "
            "the page.",
            _sums(parts, result),
        ]
    )


def _differences(parts: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """By network: number of pairs and mean difference of each part."""
    rows = [
        [f"`{model}`", *(cell for part in parts.values() for cell in _cells(part[model]))]
        for model in repetition.SEEDS
    ]
    head = ["MODEL", *(cell for part in parts for cell in ("N", f"{part.upper()} SEEDS"))]
    return markdown(head, rows, right=range(1, len(head)))


def _cells(differences: Sequence[float]) -> list[str]:
    if not differences:
        return ["0", ""]
    comparison = significance.compare(differences, [0.0] * len(differences))
    return [str(comparison.n), cells.difference(comparison)]


def _sums(parts: Mapping[str, Mapping[str, Sequence[float]]], fresh: Repetition) -> str:
    """By part: the sum of squared t-values beside chance; `fresh` is the test's result."""
    rows = []
    for part, by_network in parts.items():
        samples = [differences for differences in by_network.values() if len(differences) > 1]
        sums = fresh
        if part != "fresh":
            squares = list(map(repetition.squared_t, samples))
            sums = repetition.compared_with_chance(squares, list(map(len, samples)), draws=DRAWS)
        rows.append(
            [
                *(f"{part} seeds", str(len(samples)), f"{sums.statistic:.1f}"),
                *(cells.p_value(sums.smaller), cells.p_value(sums.larger)),
            ]
        )
    head = "PART | NETWORKS | SUM OF T² | P AS SMALL | P AS LARGE"
    return markdown(head.split(" | "), rows, right=range(1, 5))
