"""A permutation test of whether wrong predictions alone identify the framework that made them.

Two runs disagree on a test image if they predict different digits. The statistic is the mean disagreement of
runs of two frameworks less that of runs of one framework; the runs' labels are permuted to count how often
chance brings at least as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.analysis.pooling import Group

MAX_PERMUTATIONS = 20_000
"""Up to this number all permutations are counted; of more, this many are drawn."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Mean disagreements in images `between` frameworks and `within` one; the one-sided p-value; and the
    number of possible permutations.

    `p` is the fraction of permutations with at least the observed excess.
    """

    between: float
    within: float
    p: float
    possible: int

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
    """The test of two frameworks' groups, with one run for each seed and framework."""
    runs = pd.concat([first.runs, second.runs]).drop_duplicates(["framework", "seed"])
    counts = disagreements(errors, list(runs["run"]))
    return fingerprint(counts, list(runs["framework"] == first.framework), list(runs["seed"]))


def fingerprint(counts: NDArray[np.int64], first: Sequence[bool], seeds: Sequence[int]) -> Fingerprint | None:
    """The test from `disagreements`, the marks of the runs of the first framework, and the runs' seeds.

    Pairs of one seed are left out: they share initial weights and order, so they agree more, and they are
    always of different frameworks. None if no pairs remain to compare: each framework needs two runs.
    """
    label = np.array(first)
    n, k = len(label), int(label.sum())
    if min(k, n - k) < 2:
        return None
    pairs = np.not_equal.outer(np.array(seeds), np.array(seeds)).astype(np.int64)
    between, within = (float(part[0]) for part in _means(label[None], counts, pairs))
    if not math.isfinite(between - within):
        return None
    possible = math.comb(n, k)
    if possible <= MAX_PERMUTATIONS:
        labels = np.zeros((possible, n), bool)
        for row, positions in zip(labels, combinations(range(n), k), strict=True):
            row[list(positions)] = True
    else:
        labels = np.random.default_rng(0).permuted(np.tile(label, (MAX_PERMUTATIONS, 1)), axis=1)
        # The labels as they are count as one of the permutations (Phipson and Smyth, 2010).
        labels = np.concatenate([label[None], labels])
    across, inside = _means(labels, counts, pairs)
    # The tolerance lets equal sums in another order of summation count as equal. NaN (no pairs) never counts.
    p = float((across - inside >= between - within - 1e-9).mean())
    return Fingerprint(between=between, within=within, p=p, possible=possible)


def _means(
    labels: NDArray[np.bool_], counts: NDArray[np.int64], pairs: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean disagreement between and within the two sides of each row of `labels`, over `pairs`."""
    side = labels.astype(np.float64)
    sums = []
    for matrix in (counts * pairs, pairs):
        across = 2 * np.einsum("pi,ij,pj->p", side, matrix, 1 - side, optimize=True)
        sums.append((across, matrix.sum() - across))
    (across, inside), (across_pairs, inside_pairs) = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return across / across_pairs, inside / inside_pairs
