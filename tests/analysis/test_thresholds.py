"""A threshold passes an honest rerun of any number of seeds, and finds a lost third of a point in ten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from support.tables import add_run

from common.analysis import frames, pooling, thresholds
from common.analysis.thresholds import LEVEL, threshold
from common.model.entry import Recorded
from common.model.zoo import ZOO

JUDGED = {name: entry.accuracy for name, entry in ZOO.items() if entry.judged}
RERUNS = 20_000


def test_a_threshold_by_hand() -> None:
    """99 - t(18 degrees, 0.2 %) * 0.1 * sqrt(1 + 1/10), with t 3.2966 from a table."""
    assert threshold(Recorded(mean=99.0, sd=0.1, seeds=10), 1) == pytest.approx(98.65421, abs=1e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_an_honest_rerun_passes(seeds: int, correlation: float) -> None:
    """Of one seed and of as many as were recorded; two frameworks' accuracies of a seed are correlated."""
    random = np.random.default_rng(0)
    shared = random.standard_normal((RERUNS, 1, seeds)) * np.sqrt(correlation)
    recorded = shared + random.standard_normal((RERUNS, 2, seeds)) * np.sqrt(1 - correlation)
    means, sds = recorded.mean((1, 2)), np.sqrt(recorded.var(2, ddof=1).mean(1))
    for again in (1, seeds):
        lowest = means + sds * threshold(Recorded(mean=0.0, sd=1.0, seeds=seeds), again)
        rerun = random.standard_normal((RERUNS, again)).mean(1)
        assert (rerun < lowest).mean() < 0.01


@pytest.mark.parametrize("model", JUDGED)
def test_a_loss_of_three_tenths_fails_in_ten_seeds(model: str) -> None:
    """In at least 80 % of reruns of the spread that was recorded; one seed passes."""
    accuracy = JUDGED[model]
    assert accuracy is not None
    random = np.random.default_rng(0)
    one, ten = (
        accuracy.mean + accuracy.sd * random.standard_normal((RERUNS, seeds)).mean(1) for seeds in (1, 10)
    )
    assert (one >= threshold(accuracy, 1)).mean() > 0.99
    assert (ten - 0.3 < threshold(accuracy, 10)).mean() > 0.8


def test_more_seeds_have_a_higher_threshold() -> None:
    recorded = Recorded(mean=99.0, sd=0.1, seeds=10)
    values = [threshold(recorded, seeds) for seeds in (1, 2, 5, 10, 100)]
    assert values == sorted(values)
    assert scipy.stats.norm.sf((99.0 - values[0]) / 0.1) < LEVEL


def test_recorded_accuracies_are_of_seeds_in_both_frameworks(tmp_path: Path) -> None:
    """PyTorch 98 and 99, of which 99 in three runs; TensorFlow 96, 97 and 98."""
    for seed, accuracy in ((1, 98.0), (2, 98.9), (2, 99.0), (2, 99.1)):
        add_run(tmp_path, seed=seed, accuracy=accuracy)
    for seed, accuracy in ((1, 96.0), (2, 97.0), (3, 98.0)):
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=accuracy)
    groups = pooling.groups(frames.read(tmp_path).runs)
    assert thresholds.recorded(groups, "accuracy") == Recorded(mean=97.75, sd=0.866, seeds=2)
    assert thresholds.recorded(groups, "shifted_accuracy") is None


def test_one_seed_has_no_spread_to_record(tmp_path: Path) -> None:
    for framework, seeds in (("pytorch", (1, 2)), ("tensorflow", (1,))):
        for seed in seeds:
            add_run(tmp_path, framework=framework, seed=seed)
    assert thresholds.recorded(pooling.groups(frames.read(tmp_path).runs), "accuracy") is None
