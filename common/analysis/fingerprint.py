"""A permutation test of whether wrong predictions alone identify the framework that made them.

Two runs disagree on a test image if they predict different digits. The statistic is the mean disagreement of
runs of two frameworks less that of runs of one framework. The two runs of a seed share initial weights and
order, so if the framework has no effect they, and only they, can be exchanged: the labels are swapped within
seeds to count how often chance brings at least as much (a paired permutation test, as in Good, "Permutation
Tests", 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.analysis.pooling import Group

MAX_LABELLINGS = 20_000
"""Up to this number all labellings are counted; of more, this many are drawn."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Mean disagreements in images `between` frameworks and `within` one, the one-sided p-value, and the
    number of seeds.

    `p` is the fraction of labellings with at least the observed excess.
    """

    between: float
    within: float
    p: float
    seeds: int

    @property
    def possible(self) -> int:
        """The number of different labellings, 2^(n-1) of n seeds: swapping all seeds changes nothing."""
        return 1 << (self.seeds - 1)

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many seeds can have; above 5 % for five and fewer."""
        return 1 / min(self.possible, MAX_LABELLINGS + 1)

    @property
    def excess(self) -> float:
        """`between` less `within`."""
        return self.between - self.within


def disagreements(errors: pd.DataFrame, runs: Sequence[str]) -> NDArray[np.int64]:
    """The number of test images on which each two of `runs` disagree, (runs, runs), from rows of errors.csv.

    An image without a row was predicted right, so two runs disagree where only one has a row, or where both
    have rows with different predictions.
    """
    positions = {run: position for position, run in enumerate(runs)}
    rows = errors[errors["run"].isin(positions)]
    images, columns = np.unique(rows["index"].to_numpy(np.int64), return_inverse=True)
    predicted = np.full((len(runs), len(images)), -1)
    predicted[rows["run"].map(positions).to_numpy(np.int64), columns] = rows["predicted"].to_numpy(np.int64)
    counts: NDArray[np.int64] = (predicted[:, None] != predicted[None]).sum(axis=2)
    return counts


def framework_fingerprint(first: Group, second: Group, errors: pd.DataFrame) -> Fingerprint | None:
    """The test of two frameworks' groups over the seeds in common, with one run for each of both."""
    sides = [group.runs.drop_duplicates("seed").set_index("seed")["run"] for group in (first, second)]
    seeds = sorted(set(sides[0].index) & set(sides[1].index))
    counts = disagreements(errors, [str(side[seed]) for side in sides for seed in seeds])
    return fingerprint(counts)


def fingerprint(counts: NDArray[np.int64]) -> Fingerprint | None:
    """The test from `disagreements` of the runs of the first framework, then the second's of the same seeds.

    Pairs of one seed are left out: they agree more, and are always of different frameworks. None for fewer
    than two seeds, which have no pairs of one framework.
    """
    seeds = len(counts) // 2
    if seeds < 2:
        return None
    same = counts[:seeds, :seeds] + counts[seeds:, seeds:]
    other = counts[:seeds, seeds:] + counts[seeds:, :seeds]
    # Swapping the labels of a seed exchanges `same` and `other` in its pairs with the seeds that keep theirs.
    # The diagonal, pairs of one seed, adds as much to every labelling.
    excess = other - same
    observed = int(excess.sum())
    signs = _labellings(seeds)
    chance = np.einsum("pi,ij,pj->p", signs, excess, signs, optimize=True)
    pairs = 2 * seeds * (seeds - 1)
    return Fingerprint(
        between=float((other.sum() - np.trace(other)) / pairs),
        within=float((same.sum() - np.trace(same)) / pairs),
        p=float((chance >= observed).mean()),
        seeds=seeds,
    )


def _labellings(seeds: int) -> NDArray[np.int64]:
    """Rows of 1 and -1, a column a seed: -1 where a seed's two runs are swapped. The first swaps none.

    All labellings up to MAX_LABELLINGS. If there are more, so many are drawn, besides the first, which counts
    as one of them (Phipson and Smyth, 2010).
    """
    if 2 ** (seeds - 1) <= MAX_LABELLINGS:
        swapped = np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds) & 1
    else:
        swapped = np.random.default_rng(0).integers(0, 2, (MAX_LABELLINGS + 1, seeds))
        swapped[0] = 0
    return 1 - 2 * swapped.astype(np.int64)
