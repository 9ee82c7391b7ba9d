"""The announced test waits for every pair, and finds sums of t squared that are too small and too large."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from support.tables import add_run

from common.analysis import frames, repetition
from common.frameworks import PAIR, ROOT
from common.model.zoo import ZOO
from common.report import repetition_tables


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition.compared_with_chance, "__kwdefaults__", {"draws": 20_000})
    monkeypatch.setattr(repetition_tables, "DRAWS", 20_000)


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A run in each framework for every network and fresh seed."""
    folder = tmp_path_factory.mktemp("runs")
    for model, framework in ((model, framework) for model in repetition.SEEDS for framework in PAIR):
        add_run(folder, model, framework, errors={})
    runs = frames.read(folder).runs
    repeated = [
        runs[runs["model"] == model].assign(seed=seed, run=lambda rows, seed=seed: rows["run"] + f"-{seed}")
        for model, seeds in repetition.SEEDS.items()
        for seed in seeds
    ]
    return pd.concat(repeated, ignore_index=True)


def with_differences(runs: pd.DataFrame, scale: float, shift: float = 0.0) -> pd.DataFrame:
    """The runs with differences between the frameworks: of this mean, with a spread of 0.1 points, where each
    network's mean over seeds is `scale` times what chance would give it."""
    random, changed = np.random.default_rng(3), runs.copy()
    for model, seeds in repetition.SEEDS.items():
        differences = random.normal(size=len(seeds))
        mean = differences.mean()
        by_seed = dict(zip(seeds, 0.1 * (differences - mean + scale * mean) + shift, strict=True))
        rows = (changed["model"] == model) & (changed["framework"] == PAIR[0])
        changed.loc[rows, "accuracy"] += changed.loc[rows, "seed"].map(by_seed)
    return changed


def test_the_seeds_are_those_of_the_page() -> None:
    text = (ROOT / "docs" / "repetition.md").read_text(encoding="utf-8")
    announced = {}
    for line in text.splitlines():
        if found := re.fullmatch(r"\| (`.*`.*) \| (\d+) to (\d+) \| (\d+) \|", line):
            seeds = range(int(found[2]), int(found[3]) + 1)
            assert len(seeds) == int(found[4])
            announced |= dict.fromkeys(re.findall("`([^`]+)`", found[1]), seeds)
    assert announced == repetition.SEEDS
    assert set(announced) == {entry.name for entry in ZOO.values() if entry.judged}
    assert all(seeds[-1] <= ZOO[model].planned_seeds for model, seeds in announced.items())


def test_the_limits_of_the_page_are_those_of_the_test() -> None:
    """Simulated here with other draws; and the sum that is significant is so by the test."""
    sizes = [len(seeds) for seeds in repetition.SEEDS.values()]
    random = np.random.default_rng(11)
    sums = sum(scipy.stats.t.rvs(size - 1, size=100_000, random_state=random) ** 2 for size in sizes)
    assert np.quantile(sums, [0.025, 0.5, 0.975]) == pytest.approx([6.0, 17.3, 56.1], rel=0.03)
    text = (ROOT / "docs" / "repetition.md").read_text(encoding="utf-8")
    assert all(limit in text for limit in ("6.0", "17.3", "56.1"))
    assert (
        repetition.compared_with_chance([5.9], sizes, draws=200_000).p
        < 0.05
        < repetition.compared_with_chance([6.2], sizes, draws=200_000).p
    )


def test_one_large_sample_is_nearly_chi_square() -> None:
    result = repetition.compared_with_chance([3.841], [2000], draws=100_000)
    assert result.larger == pytest.approx(0.05, abs=0.004)
    assert result.p == pytest.approx(0.1, abs=0.008)


def test_squared_t_is_that_of_students_test() -> None:
    differences = [0.1, -0.05, 0.2, 0.02]
    expected = scipy.stats.ttest_1samp(differences, 0.0).statistic ** 2
    assert repetition.squared_t(differences) == pytest.approx(expected)
    assert repetition.squared_t([0.0, 0.0]) == 0
    assert repetition.squared_t([0.1, 0.1]) == float("inf")


@pytest.mark.parametrize(
    "scale, shift, words",
    [(0.2, 0.0, "smaller than"), (1.0, 0.0, "as large as"), (1.0, 0.2, "larger than")],
)
def test_the_page_has_the_result(all_runs: pd.DataFrame, scale: float, shift: float, words: str) -> None:
    assert f"{words} chance alone makes them" in repetition_tables.section(
        with_differences(all_runs, scale, shift)
    )


def test_without_every_pair_there_is_no_result(all_runs: pd.DataFrame) -> None:
    less = all_runs[~((all_runs["model"] == "best") & (all_runs["seed"] == 6))]
    assert repetition.missing(less) == [("best", 6)]
    assert repetition.repetition(less) is None
    page = repetition_tables.section(less)
    assert "Of 100 announced pairs of runs 1 are missing." in page
    assert "t²" not in page


def test_a_pair_of_which_a_run_diverged_is_none_and_is_named(all_runs: pd.DataFrame) -> None:
    runs = with_differences(all_runs, 1.0)
    lost = (runs["model"] == "best") & (runs["seed"] == 6) & (runs["framework"] == PAIR[1])
    runs.loc[lost, "status"] = "diverged"
    runs.loc[lost, "accuracy"] = np.nan
    assert repetition.missing(runs) == []
    assert repetition.diverged(runs) == [("best", 6)]
    assert len(repetition.parts(runs)["fresh"]["best"]) == 4
    page = repetition_tables.section(runs)
    assert "over 99 fresh pairs" in page
    assert "its pair counts as none: `best` seed 6." in page
    again = pd.concat([runs, all_runs[lost].assign(run="again")], ignore_index=True)
    assert repetition.diverged(again) == []


def test_a_divergence_of_older_arithmetic_leaves_its_pair_missing(all_runs: pd.DataFrame) -> None:
    newer = all_runs["framework"] == PAIR[0]
    runs = all_runs.assign(numerics=np.where(newer, 2.0, 1.0))
    lost = (runs["model"] == "best") & (runs["seed"] == 6) & newer
    runs.loc[lost, ["status", "numerics"]] = "diverged", 1.0
    assert repetition.diverged(runs) == []
    assert repetition.missing(runs) == [("best", 6)]


def test_a_network_of_which_most_runs_diverged_is_left_out(all_runs: pd.DataFrame) -> None:
    runs = with_differences(all_runs, 1.0)
    lost = (runs["model"] == "best") & (runs["seed"] > 6)
    runs.loc[lost, "status"] = "diverged"
    without = all_runs[all_runs["model"] != "best"]
    result = repetition.repetition(runs)
    assert result is not None
    rest = [pairs for name, pairs in repetition.parts(runs)["fresh"].items() if name != "best"]
    assert len(rest) == without["model"].nunique()
    assert result.statistic == pytest.approx(sum(map(repetition.squared_t, rest)))


def test_runs_on_another_device_stand_in_for_none_and_hide_none(all_runs: pd.DataFrame) -> None:
    there = all_runs[(all_runs["framework"] == PAIR[0]) & (all_runs["model"] == "best")]
    many = [there.assign(device="a GPU", seed=there["seed"] + shift, run="gpu") for shift in range(20)]
    runs = pd.concat([all_runs, *many], ignore_index=True)
    assert repetition.missing(runs) == []
    alone = runs[(runs["model"] != "best") | (runs["framework"] == PAIR[1]) | (runs["device"] == "a GPU")]
    assert len(repetition.missing(alone)) == 5


def test_other_seeds_do_not_count(all_runs: pd.DataFrame) -> None:
    others = all_runs.assign(seed=all_runs["seed"] + 100)
    assert len(repetition.missing(others)) == 100
    both = pd.concat([with_differences(all_runs, 1.0), others.assign(accuracy=50.0)], ignore_index=True)
    alone, result = (repetition.repetition(runs) for runs in (with_differences(all_runs, 1.0), both))
    assert alone == result


def test_first_and_fresh_seeds_stand_beside_one_another(all_runs: pd.DataFrame) -> None:
    """Three first seeds of `best`, one of `mlp-tuned`, which has no t, and a seed after the fresh ones."""
    added = []
    for model, seed, difference in (
        *(("best", 1, 0.1), ("best", 2, 0.2), ("best", 3, 0.3)),
        *(("best", 11, 0.5), ("mlp-tuned", 1, 0.4)),
    ):
        rows = all_runs[(all_runs["model"] == model) & (all_runs["seed"] == repetition.SEEDS[model].start)]
        accuracy = 99.0 + difference * (rows["framework"] == PAIR[0])
        added.append(rows.assign(seed=seed, run=rows["run"] + f"-{seed}", accuracy=accuracy))
    runs = pd.concat([with_differences(all_runs, 1.0), *added], ignore_index=True)
    parts = repetition.parts(runs)
    assert parts["first"]["best"] == pytest.approx([0.1, 0.2, 0.3])
    assert (len(parts["fresh"]["best"]), len(parts["all"]["best"])) == (5, 9)
    assert parts["first"]["mlp-tuned"] == pytest.approx([0.4])
    assert parts["first"]["smallest"] == []
    assert parts["all"]["smallest"] == parts["fresh"]["smallest"]
    page = repetition_tables.section(runs)
    line = next(line for line in page.splitlines() if line.startswith("| `best`"))
    assert [cell.split()[0] for cell in line.split("|")[2:4]] == ["3", "+0.200"]
    assert "| first seeds | 1 | 12.0 |" in page  # 3 * (0.2 / 0.1)^2
    statistic = repetition.repetition(runs).statistic  # type: ignore[union-attr]
    assert f"| fresh seeds | 13 | {statistic:.1f} |" in page


def test_no_part_is_shown_before_every_pair_is_there(all_runs: pd.DataFrame) -> None:
    less = all_runs[~((all_runs["model"] == "best") & (all_runs["seed"] == 6))]
    assert repetition.parts(less) == {}
    assert "|" not in repetition_tables.section(less)
