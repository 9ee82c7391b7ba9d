"""Do a network's predictions betray the framework? A permutation test on wrong predictions alone.

Two runs disagree on a test image if they say different digits. The statistic is the mean disagreement of runs
of two frameworks less that of runs of one; labels are dealt to the runs anew to see how often chance does as
much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 20_000
"""Permutations that are all gone through; of more there are, as many are drawn."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Mean disagreements in images, `excess` = between - within; the p-value, one-sided: the share of
    permutations with at least that excess; and how many permutations are possible."""

    between: float
    within: float
    p: float
    possible: int

    @property
    def excess(self) -> float:
        return self.between - self.within


def disagreements(errors: pd.DataFrame, runs: Sequence[str]) -> NDArray[np.int64]:
    """In how many test images each two of `runs` differ, (runs, runs), from rows of errors.csv.

    What a run has no row for it got right, so two runs differ where only one has a row, or both say another.
    """
    places = {run: place for place, run in enumerate(runs)}
    known = errors[errors["run"].isin(places)]
    images, columns = np.unique(known["index"].to_numpy(np.int64), return_inverse=True)
    said = np.full((len(runs), len(images)), -1)
    said[known["run"].map(places).to_numpy(np.int64), columns] = known["predicted"].to_numpy(np.int64)
    counts: NDArray[np.int64] = (said[:, None] != said[None]).sum(axis=2)
    return counts


def fingerprint(counts: NDArray[np.int64], first: Sequence[bool], seeds: Sequence[int]) -> Fingerprint | None:
    """From `disagreements`, which runs are of the first framework, and their seeds.

    Pairs of one seed are left out: they share their start and order, so they agree more, and they are always
    across the frameworks. None where nothing remains to compare: each framework needs two runs.
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
    if possible <= MOST:
        dealt = np.zeros((possible, n), bool)
        for row, places in zip(dealt, combinations(range(n), k), strict=True):
            row[list(places)] = True
    else:
        dealt = np.random.default_rng(0).permuted(np.tile(label, (MOST, 1)), axis=1)
        # The labels as they are count as one of the permutations (Phipson and Smyth, 2010).
        dealt = np.concatenate([label[None], dealt])
    across, inside = _means(dealt, counts, pairs)
    # Sums of other orders of the same numbers are as much; what has no pairs is not.
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
