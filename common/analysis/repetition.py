"""The test of docs/repetition.md: are the differences over fresh seeds as large as chance makes them.

The networks, the seeds, the statistic and the level were written down before the fresh seeds were run. As in
every comparison of accuracies a seed that was run twice counts once, with the mean of its runs, and runs may
differ in machine and number of threads.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.analysis import pooling, significance
from common.analysis.significance import Comparison
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

FRESH = "fresh"
PARTS: dict[str, Callable[[range, int], bool]] = {
    "first": lambda fresh, seed: seed < fresh.start,
    FRESH: lambda fresh, seed: seed in fresh,
    "all": lambda fresh, seed: True,
}
"""Parts of the recorded seeds: whether a seed belongs to one, given the network's fresh seeds. Only the fresh
seeds are a test; the other parts stand beside it."""

DRAWS = 1_000_000
"""Sums that are simulated for the test."""

EQUAL = 1e-9
"""Points of accuracy up to which differences of percentages, which are rounded, are equal."""


@dataclass(frozen=True)
class Recorded:
    """The tables' record of one network and part of the seeds: by seed the difference of the accuracies of
    its pair (the first framework less the second); the seeds without a pair because a run diverged; and how
    many runs ran with how many at once."""

    differences: Mapping[int, float]
    diverged: frozenset[int]
    at_once: Mapping[int, int]

    @property
    def sample(self) -> list[float]:
        return list(self.differences.values())


@dataclass(frozen=True, kw_only=True)
class Sum:
    """The sum over networks of t squared (t of Student's paired test), over how many networks and pairs, and
    the probabilities under chance alone of one at most as large and at least as large."""

    statistic: float
    networks: int
    pairs: int
    smaller: float
    larger: float

    @property
    def p(self) -> float:
        """The two-sided p-value: twice the smaller probability."""
        return min(1.0, 2 * min(self.smaller, self.larger))


def recorded(runs: pd.DataFrame, part: str = FRESH) -> dict[str, Recorded]:
    """The tables' record of one of PARTS, by network."""
    ended = runs[runs["status"].isin(["ok", "diverged"]) & runs["framework"].isin(PAIR)]
    lost = set(ended.loc[ended["status"] == "diverged", "run"])
    accuracy = ended["accuracy"].where(ended["status"] == "ok")
    # As finished runs: a diverged one has its place among the groups, with the newest arithmetic alone.
    judged = pooling.judged_runs(ended.assign(status="ok", accuracy=accuracy))
    return {
        model: _of_one_network(judged[(judged["model"] == model) & _in_part(judged, part, fresh)], lost)
        for model, fresh in SEEDS.items()
    }


def _in_part(runs: pd.DataFrame, part: str, fresh: range) -> pd.Series[bool]:
    return runs["seed"].map(lambda seed: PARTS[part](fresh, int(seed))).astype(bool)


def _of_one_network(runs: pd.DataFrame, lost: Collection[str]) -> Recorded:
    groups = {group.framework: group for group in pooling.largest_groups(pooling.groups(runs))}
    sides = [groups[name] for name in PAIR if name in groups]
    if len(sides) < len(PAIR) or pooling.differing(*sides):
        return Recorded({}, frozenset(), {})
    first, second = (pooling.by_seed(side, "accuracy") for side in sides)
    differences = {seed: first[seed] - second[seed] for seed in sorted({*first} & {*second})}
    rows = pd.concat([side.runs for side in sides])
    diverged = set(rows.loc[rows["run"].isin(lost), "seed"].astype(int)) - set(differences)
    return Recorded(differences, frozenset(diverged), Counter(map(int, rows["at_once"].dropna())))


def missing(fresh: Mapping[str, Recorded]) -> list[tuple[str, int]]:
    """The networks and fresh seeds that are still to be run: with neither a pair nor a run that diverged."""
    return [
        (model, seed)
        for model, seeds in SEEDS.items()
        for seed in seeds
        if seed not in fresh[model].differences and seed not in fresh[model].diverged
    ]


def squared_t(differences: Sequence[float]) -> float:
    """The square of Student's t; of equal differences 0 if they are 0, else infinite."""
    sample = significance.summary(differences)
    assert sample.sd is not None
    if sample.sd <= EQUAL:
        return 0.0 if abs(sample.mean) <= EQUAL else math.inf
    return sample.n * (sample.mean / sample.sd) ** 2


def summed(part: Mapping[str, Recorded], *, draws: int = DRAWS) -> Sum:
    """The sum over the networks with two pairs or more, compared with chance."""
    samples = [network.sample for network in part.values() if len(network.sample) > 1]
    return compared_with_chance(
        [squared_t(sample) for sample in samples], [len(sample) for sample in samples], draws=draws
    )


def compared_with_chance(squares: Sequence[float], sizes: Sequence[int], *, draws: int = DRAWS) -> Sum:
    """The sum of `squares` of t, of samples of these `sizes`, against sums of as many independent squares
    of Student's t (Student, 1908) with one degree of freedom less than the size, simulated `draws` times."""
    random, sums = np.random.default_rng(0), np.zeros(draws)
    for size in sizes:
        sums += random.standard_t(size - 1, draws) ** 2
    statistic = math.fsum(squares)
    return Sum(
        statistic=statistic,
        networks=len(sizes),
        pairs=sum(sizes),
        smaller=float((sums <= statistic).mean()),
        larger=float((sums >= statistic).mean()),
    )


def different(part: Mapping[str, Recorded]) -> dict[str, Comparison]:
    """The networks whose own pairs differ, by Student's test, adjusted for the number of networks (Holm):
    what the page announces for a sum that is too large."""
    samples = {model: network.sample for model, network in part.items() if network.sample}
    tests = {model: significance.compare_differences(sample) for model, sample in samples.items()}
    p_values = {model: test.p_difference for model, test in tests.items() if test.p_difference is not None}
    adjusted = zip(p_values, significance.holm(list(p_values.values())), strict=True)
    return {model: tests[model] for model, p in adjusted if p < significance.ALPHA}
