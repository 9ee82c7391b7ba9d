"""The result of the repetition that docs/repetition.md announces: in words, and as tables of its parts."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from common.analysis import repetition, significance
from common.analysis.repetition import FRESH, Recorded, Sum
from common.analysis.significance import ALPHA
from common.report import cells
from common.report.markdown import markdown

TITLE = "Repetition"
DRAWS = 100_000
"""Sums that are simulated for a part that is no test: as precise as two digits need."""

ANNOUNCED_AT_ONCE = 2


def section(runs: pd.DataFrame) -> str:
    """The test's result beside the other seeds; until every pair is recorded, only how many are missing."""
    announced = (
        "Fresh seeds, and what would be concluded from them, were written down before they were run "
        "(docs/repetition.md): are the differences between the frameworks as large as "
        "chance alone makes them?"
    )
    fresh = repetition.recorded(runs)
    if missing := repetition.missing(fresh):
        total = sum(map(len, repetition.SEEDS.values()))
        return f"Of {total} announced pairs of runs {len(missing)} are missing. {announced}"
    result = repetition.summed(fresh)
    parts = {part: fresh if part == FRESH else repetition.recorded(runs, part) for part in repetition.PARTS}
    return "\n\n".join(
        [
            *(_conclusion(fresh, result), announced, *_departures(fresh)),
            "FIRST SEEDS are those before the fresh ones, ALL SEEDS every one that is recorded. N is the "
            "number of pairs.",
            _differences(parts),
            "SUM OF T² is over the networks with two pairs or more. P AS SMALL and P AS LARGE are the "
            "probabilities of a sum no larger and of one no smaller by chance alone. Only the fresh seeds "
            "are a test, as only they were announced. The first seeds were so much alike that they suggested "
            "it, and all seeds contain them; no cause is known. Some of the first were recorded again since, "
            "with newer arithmetic, and `pytorch-model-1` was another network then, so their sum is not that "
            "in docs/repetition.md.",
            _sums(parts, result),
        ]
    )


def _conclusion(fresh: Mapping[str, Recorded], result: Sum) -> str:
    """Conclusion of the test; of a sum that is too large also in which networks the frameworks differ."""
    words, named = "neither smaller nor larger than", ""
    if result.p < ALPHA and result.smaller < result.larger:
        words = "smaller than"
    elif result.p < ALPHA:
        words = "larger than"
        found = [
            f"`{model}` by {cells.difference(test)}" for model, test in repetition.different(fresh).items()
        ]
        named = f" By themselves differ, adjusted for the number of networks: {', '.join(found) or 'none'}."
    return (
        f"This test finds the differences between the frameworks {words} chance alone makes them: over "
        f"{result.pairs} fresh pairs of {result.networks} networks the sum of t² is {result.statistic:.1f} "
        f"(two-sided p-value {cells.p_value(result.p)}).{named}"
    )


def _departures(fresh: Mapping[str, Recorded]) -> list[str]:
    """Sentences on pairs lost to a divergence and on runs that did not run as announced, if there are any."""
    lost = [f"`{model}` seed {seed}" for model, own in fresh.items() for seed in sorted(own.diverged)]
    others = {
        model: {count: runs for count, runs in sorted(own.at_once.items()) if count != ANNOUNCED_AT_ONCE}
        for model, own in fresh.items()
    }
    networks = [
        f"`{model}` {' and '.join(f'{runs} ({count} at once)' for count, runs in own.items())}"
        for model, own in others.items()
        if own
    ]
    sentences = []
    if lost:
        sentences.append(
            f"A run diverged and has no accuracy, so its pair counts as none: {', '.join(lost)}."
        )
    if networks:
        number = sum(runs for own in others.values() for runs in own.values())
        sentences.append(
            f"Of the fresh runs {number} did not run two at once, as was announced, which can change no "
            f"accuracy: {', '.join(networks)}."
        )
    return sentences


def _differences(parts: Mapping[str, Mapping[str, Recorded]]) -> str:
    """By network: number of pairs and mean difference of each part."""
    rows = [
        [f"`{model}`", *(cell for part in parts.values() for cell in _cells(part[model].sample))]
        for model in repetition.SEEDS
    ]
    head = ["MODEL", *(cell for part in parts for cell in ("N", f"{part.upper()} SEEDS"))]
    return markdown(head, rows, right=range(1, len(head)))


def _cells(differences: list[float]) -> list[str]:
    if not differences:
        return ["0", ""]
    comparison = significance.compare_differences(differences)
    return [str(comparison.n), cells.difference(comparison)]


def _sums(parts: Mapping[str, Mapping[str, Recorded]], fresh: Sum) -> str:
    """By part: the sum of squared t-values beside chance; `fresh` is the test's result."""
    rows = []
    for part, by_network in parts.items():
        result = fresh if part == FRESH else repetition.summed(by_network, draws=DRAWS)
        rows.append(
            [
                *(f"{part} seeds", str(result.networks), f"{result.statistic:.1f}"),
                *(cells.p_value(result.smaller), cells.p_value(result.larger)),
            ]
        )
    head = "PART | NETWORKS | SUM OF T² | P AS SMALL | P AS LARGE"
    return markdown(head.split(" | "), rows, right=range(1, 5))
