"""The test of docs/repetition.md: are the differences over fresh seeds as large as chance makes them.

The networks, the seeds, the statistic and the level were written down before the fresh seeds were run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.analysis import pooling, significance
from common.frameworks import PAIR

SEEDS: dict[str, range] = {
    **dict.fromkeys(
        (
            *("pytorch-model-1", "tf-model-1", "nextjournal", "one-epoch-215k", "speedrun", "mlp-tuned"),
            "under-5k-tuned",
        ),
        range(11, 21),
    ),
    **dict.fromkeys(("under-8k-tuned", "smallest"), range(11, 16)),
    **dict.fromkeys(("under-5k", "examples-cnn", "under-8k", "best"), range(6, 11)),
}
"""The fresh seeds of each network."""

PARTS: dict[str, Callable[[range, int], bool]] = {
    "first": lambda fresh, seed: seed < fresh.start,
    "fresh": lambda fresh, seed: seed in fresh,
    "all": lambda fresh, seed: True,
}
"""Parts of the recorded seeds: whether a seed belongs to one, given the network's fresh seeds."""

DRAWS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """The sum over networks of t squared (t of Student's paired test), and the probabilities under chance
    alone of one at most as large and at least as large."""

    statistic: float
    smaller: float
    larger: float

    @property
    def p(self) -> float:
        """The two-sided p-value: twice the smaller probability."""
        return min(1.0, 2 * min(self.smaller, self.larger))


def missing(runs: pd.DataFrame) -> list[tuple[str, int]]:
    """The networks and seeds without a pair of runs, of which none diverged."""
    known = _of_a_diverged_run(runs)
    return [pair for pair in _without_pair(runs) if pair not in known]


def diverged(runs: pd.DataFrame) -> list[tuple[str, int]]:
    """The networks and seeds without a pair because a run diverged: it has no accuracy."""
    known = _of_a_diverged_run(runs)
    return [pair for pair in _without_pair(runs) if pair in known]


def _of_a_diverged_run(runs: pd.DataFrame) -> set[tuple[str, int]]:
    ended = runs[runs["status"].isin(["ok", "diverged"]) & runs["framework"].isin(PAIR)]
    newest = pooling.judged_runs(ended.assign(status="ok"))
    lost = newest[ended["status"].loc[newest.index] == "diverged"]
    devices = {
        (group.model, group.fields["device"]) for group in pooling.largest_groups(pooling.groups(newest))
    }
    rows = zip(lost["model"], lost["seed"], lost["device"], strict=True)
    return {(model, seed) for model, seed, device in rows if (model, device) in devices}


def _without_pair(runs: pd.DataFrame) -> list[tuple[str, int]]:
    pairs = _differences(runs)
    return [(model, seed) for model, seeds in SEEDS.items() for seed in seeds if seed not in pairs[model]]


def repetition(runs: pd.DataFrame) -> Repetition | None:
    """The test, over the networks with two pairs or more; None until every pair is recorded."""
    if missing(runs):
        return None
    samples = [list(pairs.values()) for pairs in _differences(runs).values() if len(pairs) > 1]
    return compared_with_chance(
        [squared_t(sample) for sample in samples], [len(sample) for sample in samples]
    )


def parts(runs: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """By part and network: the differences of the pairs, by seed; empty until every fresh pair is recorded.

    The other parts are no test of the page: they stand beside it.
    """
    if missing(runs):
        return {}
    return {
        part: {model: list(pairs.values()) for model, pairs in _differences(runs, part=part).items()}
        for part in PARTS
    }


def squared_t(differences: Sequence[float]) -> float:
    """The square of Student's t; of equal differences 0 if they are 0, else infinite."""
    sample = significance.summary(differences)
    assert sample.sd is not None
    if sample.sd == 0:
        return 0.0 if sample.mean == 0 else math.inf
    return sample.n * (sample.mean / sample.sd) ** 2


def compared_with_chance(squares: Sequence[float], sizes: Sequence[int], *, draws: int = DRAWS) -> Repetition:
    """The sum of `squares` of t, of samples of these `sizes`, against sums of as many independent squares
    of Student's t (Student, 1908) with one degree of freedom less than the size, simulated `draws` times."""
    random, sums = np.random.default_rng(0), np.zeros(draws)
    for size in sizes:
        sums += random.standard_t(size - 1, draws) ** 2
    statistic = math.fsum(squares)
    return Repetition(
        statistic=statistic,
        smaller=float((sums <= statistic).mean()),
        larger=float((sums >= statistic).mean()),
    )


def _differences(runs: pd.DataFrame, *, part: str = "fresh") -> dict[str, dict[int, float]]:
    """By network and seed of a part: accuracy of the first framework less the second, repeats averaged."""
    result: dict[str, dict[int, float]] = {}
    judged = pooling.judged_runs(runs)
    for model, fresh in SEEDS.items():
        rows = judged[judged["model"] == model]
        own = rows[[PARTS[part](fresh, int(seed)) for seed in rows["seed"]]] if len(rows) else rows
        groups = {group.framework: group for group in pooling.largest_groups(pooling.groups(own))}
        sides = [groups[name] for name in PAIR if name in groups]
        result[model] = {}
        if len(sides) == len(PAIR) and not pooling.differing(*sides):
            first, second = (pooling.by_seed(side, "accuracy") for side in sides)
            result[model] = {seed: first[seed] - second[seed] for seed in sorted({*first} & {*second})}
    return result
