"""The permutation test against its definition, and for predictions that do or do not show a framework."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from common.analysis.fingerprint import Fingerprint, disagreements, fingerprint


def table(*runs: dict[int, int]) -> pd.DataFrame:
    """Rows of errors.csv of runs r0, r1, ..., each given as its wrong predictions by image."""
    rows = [
        (f"r{run}", index, digit) for run, predicted in enumerate(runs) for index, digit in predicted.items()
    ]
    return pd.DataFrame(rows, columns=["run", "index", "predicted"])


def test_disagreements_are_counted_by_image() -> None:
    """r0 and r1 differ in image 5 (both wrong, differently) and in 7 (one wrong), not in 3."""
    errors = table({3: 1, 5: 2}, {3: 1, 5: 4, 7: 9}, {})
    counts = disagreements(errors, ["r0", "r1", "r2"])
    assert counts.tolist() == [[0, 2, 2], [2, 0, 3], [2, 3, 0]]
    assert disagreements(errors, ["r2", "r0"]).tolist() == [[0, 2], [2, 0]]


def by_hand(counts: np.ndarray, first: list[bool], seeds: list[int]) -> tuple[float, int]:
    """p-value and number of different labellings, by the definition."""

    def excess(labels: tuple[bool, ...]) -> float:
        sides: dict[bool, list[float]] = {True: [], False: []}
        for i in range(len(labels)):
            for j in range(i):
                if seeds[i] != seeds[j]:
                    sides[labels[i] == labels[j]].append(counts[i, j])
        return float(np.mean(sides[False]) - np.mean(sides[True]))

    labellings = set(permutations(first))
    observed = excess(tuple(first))
    return sum(excess(labels) >= observed - 1e-9 for labels in labellings) / len(labellings), len(labellings)


@pytest.mark.parametrize("seed", range(5))
def test_p_value_is_that_of_all_labellings(seed: int) -> None:
    random = np.random.default_rng(seed)
    half = np.triu(random.integers(0, 40, (6, 6)), 1)
    counts, first, seeds = half + half.T, [True, False, True, False, False, True], [1, 1, 2, 2, 3, 3]
    result = fingerprint(counts, first, seeds)
    assert result is not None
    assert (result.p, result.possible) == pytest.approx(by_hand(counts, first, seeds))


def errors_of(random: np.random.Generator, favourite: int) -> dict[int, int]:
    """A run that is wrong in some images at random, and often in those from `favourite` on."""
    often = favourite + random.permutation(40)[:30]
    return {int(index): 1 for index in (*random.permutation(200)[:10], *often)}


@pytest.mark.parametrize("runs", [5, 12], ids=["all labellings", "drawn labellings"])
def test_predictions_that_depend_on_the_framework_are_detected(runs: int) -> None:
    random = np.random.default_rng(0)
    first = [True] * runs + [False] * runs
    seeds = [*range(runs), *range(runs)]

    def tested(*favourites: int) -> Fingerprint:
        errors = [errors_of(random, favourites[not own]) for own in first]
        names = [f"r{run}" for run in range(len(errors))]
        result = fingerprint(disagreements(table(*errors), names), first, seeds)
        assert result is not None
        return result

    different, equal = tested(1000, 2000), tested(1000, 1000)
    assert different.p < 0.01
    assert different.excess > 10
    assert different.possible == {5: 252, 12: 2_704_156}[runs]
    assert equal.p > different.p
    assert abs(equal.excess) < different.excess / 5


def test_one_run_of_a_framework_gives_no_test() -> None:
    assert fingerprint(np.ones((3, 3), np.int64), [True, False, False], [1, 1, 2]) is None
