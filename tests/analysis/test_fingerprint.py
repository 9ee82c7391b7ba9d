"""The permutation test against its definition, and for predictions that do or do not show a framework."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from support.tables import add_run

from common.analysis import frames, pooling
from common.analysis.fingerprint import disagreements, fingerprint, framework_fingerprint


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


def by_hand(counts: np.ndarray) -> tuple[float, int]:
    """p-value and number of different labellings, by the definition: each seed's labels swapped or not."""
    seeds = len(counts) // 2

    def excess(swapped: tuple[int, ...]) -> float:
        labels = [*swapped, *(1 - swap for swap in swapped)]
        sides: dict[bool, list[float]] = {True: [], False: []}
        for i in range(2 * seeds):
            for j in range(i):
                if i % seeds != j % seeds:
                    sides[labels[i] == labels[j]].append(counts[i, j])
        return float(np.mean(sides[False]) - np.mean(sides[True]))

    labellings = [(0, *rest) for rest in product((0, 1), repeat=seeds - 1)]
    observed = excess(labellings[0])
    return sum(excess(swaps) >= observed - 1e-9 for swaps in labellings) / len(labellings), len(labellings)


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 6])
def test_p_value_is_that_of_all_swaps_within_seeds(seeds: int) -> None:
    random = np.random.default_rng(seeds)
    half = np.triu(random.integers(0, 40, (2 * seeds, 2 * seeds)), 1)
    counts = half + half.T
    result = fingerprint(counts)
    assert result is not None
    assert (result.p, result.possible) == pytest.approx(by_hand(counts))
    different = [counts[i, j] for i in range(seeds) for j in range(seeds, 2 * seeds) if j - i != seeds]
    assert result.between == pytest.approx(np.mean(different))


def test_fewer_than_six_seeds_cannot_reach_five_percent() -> None:
    """Frameworks that never agree with each other and always with themselves."""
    least = {}
    for seeds in (2, 5, 6, 10, 20):
        side = np.repeat([0, 1], seeds)
        result = fingerprint(100 * (side[:, None] != side))
        assert result is not None
        assert result.p == pytest.approx(result.least_p, rel=0.1)
        least[seeds] = result.least_p
    assert least[5] > 0.05 > least[6]
    assert least[20] < 1e-4


def invented(random: np.random.Generator, *, seeds: int, own: float) -> NDArray[np.int64]:
    """Disagreements of runs wrong in images of their seed, 10 others, and `own` of their framework's."""
    wrong = np.zeros((2 * seeds, 400), bool)
    for seed in range(seeds):
        shared = random.permutation(100)[:60]
        for run in (seed, seeds + seed):
            wrong[run, shared] = True
            wrong[run, 100 + random.permutation(200)[:10]] = True
            wrong[run, 300 + 50 * (run >= seeds) + np.flatnonzero(random.random(50) < own)] = True
    return (wrong[:, None] != wrong).sum(2)


def p_value(counts: NDArray[np.int64]) -> float:
    result = fingerprint(counts)
    assert result is not None
    return result.p


def test_without_an_effect_one_in_twenty_is_significant() -> None:
    """The real size of the test at 5 %: of 256 labellings of nine seeds 12 may be as extreme, 4.7 %."""
    random = np.random.default_rng(0)
    p = np.array([p_value(invented(random, seeds=9, own=0)) for _ in range(600)])
    assert (p <= 0.05).mean() == pytest.approx(12 / 256, abs=3 * np.sqrt(0.047 * 0.953 / 600))
    assert p.mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("seeds", [6, 20], ids=["all labellings", "drawn labellings"])
def test_predictions_that_depend_on_the_framework_are_detected(seeds: int) -> None:
    random = np.random.default_rng(0)
    assert p_value(invented(random, seeds=seeds, own=0.5)) < 0.05
    assert p_value(invented(random, seeds=seeds, own=0)) > 0.05


def test_one_seed_gives_no_test() -> None:
    assert fingerprint(np.ones((2, 2), np.int64)) is None


def test_seeds_in_common_are_compared_with_one_run_each(tmp_path: Path) -> None:
    """Seeds 1 and 2 are common, 2 is repeated in PyTorch, 3 is TensorFlow's alone."""
    for seed, image in ((1, 1), (2, 2), (2, 50)):
        add_run(tmp_path, seed=seed, errors={image: 0})
    for seed in (3, 2, 1):
        add_run(tmp_path, framework="tensorflow", seed=seed, errors={seed: 0, 9: 0})
    tables = frames.read(tmp_path)
    first, second = pooling.groups(tables.runs)
    result = framework_fingerprint(first, second, tables.errors)
    assert result is not None
    assert (result.between, result.within, result.seeds) == (3, 2, 2)
