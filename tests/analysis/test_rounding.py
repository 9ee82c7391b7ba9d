"""Which traces are compared with which, and that the committed ones differ by no more than rounding."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from support.tables import add_traces

from common.analysis import frames, rounding
from common.cli.trace import STEPS
from common.frameworks import PAIR, ROOT
from common.model.zoo import ZOO

JUDGED = [entry.name for entry in ZOO.values() if entry.judged]


def growing_losses(framework: str, precision: str, perturb: str) -> list[float]:
    """TensorFlow is 1e-11 off in double precision, 4 self-baselines in single, which grow tenfold a step."""
    if precision == "float64":
        return [2.0, 2.0 * (1 + 1e-11 * (framework == "tensorflow"))]
    offset = 4e-6 * (framework == "tensorflow") + 1e-6 * (perturb == "ulp")
    return [2.0 + offset, 2.0 + 10 * offset]


@pytest.fixture(scope="module")
def traces() -> pd.DataFrame:
    """The committed ones."""
    return frames.frame(ROOT / "results", "traces.csv")


@pytest.fixture(scope="module")
def recorded(traces: pd.DataFrame) -> dict[str, rounding.FirstSteps]:
    return {steps.model: steps for steps in rounding.first_steps(traces)}


def only_comparison(folder: Path) -> rounding.TraceComparison:
    (steps,) = rounding.first_steps(frames.read(folder).traces)
    (comparison,) = steps.comparisons
    return comparison


def test_differences_are_of_the_arms_they_name(tmp_path: Path) -> None:
    add_traces(tmp_path, growing_losses)
    comparison = only_comparison(tmp_path)
    assert comparison.float64_error == pytest.approx([0, 1e-11], abs=1e-14)
    assert comparison.between_frameworks == pytest.approx([4e-6, 4e-5])
    assert comparison.self_baselines["pytorch"] == pytest.approx([1e-6, 1e-5])
    assert comparison.excess_ratio == pytest.approx(4.0)


def test_the_last_complete_session_counts(tmp_path: Path) -> None:
    assert rounding.first_steps(frames.read(tmp_path).traces) == []
    add_traces(tmp_path, lambda *_: [1.0])
    add_traces(tmp_path, lambda framework, *_: [2.0 + (framework == "pytorch")], session="2026-02-01")
    comparison = only_comparison(tmp_path)
    assert comparison.between_frameworks == pytest.approx([1.0])
    assert comparison.excess_ratio == pytest.approx(1 / comparison.unit)
    assert comparison.unit == np.spacing(np.float32(3))


def test_recorded_epochs_differ_by_no_more_than_rounding_explains(traces: pd.DataFrame) -> None:
    """Between the frameworks on average less than twice what rounding alone does; 1 is no difference. The
    page names the networks without such traces."""
    comparisons = list(rounding.first_epoch_comparisons(traces))
    missing = (ROOT / "benchmarks.md").read_text().partition("First epochs still to trace: ")[2]
    named = re.findall("`(.+?)`", missing.partition(".")[0])
    assert sorted([*named, *(comparison.model for comparison in comparisons)]) == sorted(JUDGED)
    assert rounding.mean_ratio(comparisons) < 2


def test_the_overall_ratio_is_of_the_largest_differences_of_all_steps_and_seeds() -> None:
    def comparison(between: list[float], within: list[float]) -> rounding.TraceComparison:
        nothing = np.zeros(2)
        baselines = dict(zip(PAIR, (np.array(within), nothing), strict=True))
        return rounding.TraceComparison("", 1, 1e-7, nothing, nothing, np.array(between), baselines)

    steps = rounding.FirstSteps([comparison([0.1, 0.3], [0.2, 0.0]), comparison([0.0, 0.2], [0.0, 0.6])])
    assert steps.overall_ratio == pytest.approx(0.5)
    assert rounding.FirstSteps([comparison([0.0, 1e-6], [0.0, 0.0])]).overall_ratio == pytest.approx(10)


def apart(between: list[float], within: list[float]) -> rounding.FirstEpochComparison:
    """Accuracies that differ by so much between the frameworks and within each, by seed."""
    rows = [[[99, 99 + w], [99 + b, 99 + b + w]] for b, w in zip(between, within, strict=True)]
    return rounding.FirstEpochComparison("", np.array(rows))


def test_mean_ratio_is_the_geometric_mean_of_the_ratios_of_means() -> None:
    half, four = (apart([x, 3 * x], [0.2, 0.2]) for x in (0.05, 0.4))
    assert (half.ratio, four.ratio) == (pytest.approx(0.5), pytest.approx(4))
    assert rounding.mean_ratio([half, four]) == pytest.approx(2**0.5)
    assert apart([0.0], [0.0]).ratio == 1


def test_many_networks_show_a_difference_that_one_cannot() -> None:
    """Fisher's statistic of nine times 1/27, the least p-value of three seeds."""
    different = apart([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    assert different.p == pytest.approx(1 / 27)
    assert rounding.fisher_p([different] * 9) == pytest.approx(scipy.stats.chi2.sf(18 * np.log(27), 18))
    alike = apart([0.1, 0.2, 0.1], [0.1, 0.2, 0.1])
    assert rounding.fisher_p([alike] * 9) > 0.2
    assert apart([0.0, 0.0], [0.5, 0.5]).p == 1


def test_the_p_value_is_that_of_chance_under_chance(random: np.random.Generator) -> None:
    """Of accuracies that are random alone at most 5 % have a p-value of at most 5 %, and nearly so many."""
    draws = [rounding.FirstEpochComparison("", random.normal(99, 0.1, (5, 2, 2))) for _ in range(1000)]
    assert 0.03 < np.mean([draw.p <= 0.05 for draw in draws]) < 0.07


def test_quartiles_are_over_seeds(tmp_path: Path) -> None:
    """Ratios of 1, 2, 3, 5 and 9: order statistics of five are its quartiles."""
    for seed, ratio in enumerate((5, 1, 9, 2, 3), start=1):

        def losses(framework: str, precision: str, perturb: str, ratio: int = ratio) -> list[float]:
            return [2.0 + 1e-3 * (ratio * (framework == "tensorflow") + (perturb == "ulp"))]

        add_traces(tmp_path, losses, seed=seed)
    (steps,) = rounding.first_steps(frames.read(tmp_path).traces)
    assert [comparison.seed for comparison in steps.comparisons] == [1, 2, 3, 4, 5]
    assert steps.quartiles == pytest.approx((2, 3, 5))
    assert steps.largest(lambda comparison: comparison.between_frameworks) == pytest.approx(9e-3)


@pytest.mark.parametrize("model", JUDGED)
def test_recorded_traces_agree_in_double_precision(
    recorded: dict[str, rounding.FirstSteps], model: str
) -> None:
    """At first always: later rounding grows in double precision too, with few seeds of the largest rates."""
    for comparison in recorded[model].comparisons:
        assert len(comparison.float64_error) == STEPS
        assert comparison.float64_error[: STEPS // 2].max() <= rounding.FLOAT64_TOLERANCE


def test_recorded_traces_agree_in_double_precision_to_their_end(
    recorded: dict[str, rounding.FirstSteps],
) -> None:
    error, within, others = rounding.in_double_precision(list(recorded.values()))
    assert error <= rounding.FLOAT64_TOLERANCE
    assert len(others) <= 0.05 * within


def test_recorded_traces_agree_in_single_precision(recorded: dict[str, rounding.FirstSteps]) -> None:
    """Half of all seeds within five times what rounding alone does."""
    comparisons = [comparison for steps in recorded.values() for comparison in steps.comparisons]
    assert np.median([comparison.excess_ratio for comparison in comparisons]) <= 5
