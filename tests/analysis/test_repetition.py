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
    for simulated in (repetition.compared_with_chance, repetition.summed):
        monkeypatch.setattr(simulated, "__kwdefaults__", {"draws": 20_000})
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
    (later,) = re.findall(r"\*\*A network entered later\*\*, (.*) \(", text)
    judged = {entry.name for entry in ZOO.values() if entry.judged}
    assert set(announced) == judged - set(re.findall("`([^`]+)`", later))
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
    assert repetition.squared_t([0.1, 99.51 - 99.41, 99.5 - 99.4]) == float("inf")


@pytest.mark.parametrize(
    "scale, shift, words",
    [
        (0.2, 0.0, "frameworks smaller than"),
        (1.0, 0.0, "neither smaller nor larger"),
        (1.0, 0.2, "frameworks larger than"),
    ],
)
def test_the_page_has_the_result(all_runs: pd.DataFrame, scale: float, shift: float, words: str) -> None:
    page = repetition_tables.section(with_differences(all_runs, scale, shift))
    assert words in page.partition("chance alone makes them")[0]


def test_of_a_sum_that_is_too_large_the_networks_that_differ_are_named(all_runs: pd.DataFrame) -> None:
    """One network has a difference of its own, far above its spread."""
    runs = with_differences(all_runs, 1.0)
    own = (runs["model"] == "tf-model-1") & (runs["framework"] == PAIR[0])
    runs.loc[own, "accuracy"] += 0.3
    assert list(repetition.different(repetition.recorded(runs))) == ["tf-model-1"]
    conclusion = repetition_tables.section(runs).partition("\n")[0]
    assert "larger than" in conclusion
    assert "By themselves differ, adjusted for the number of networks: `tf-model-1` by +0." in conclusion
    ordinary = with_differences(all_runs, 1.0)
    assert "By themselves" not in repetition_tables.section(ordinary)


def test_runs_that_were_not_two_at_once_are_counted(all_runs: pd.DataFrame) -> None:
    runs = with_differences(all_runs, 1.0).assign(at_once=2)
    assert "at once, which" not in repetition_tables.section(runs)
    best, dense = (runs["model"] == name for name in ("best", "mlp-tuned"))
    runs.loc[dense, "at_once"] = 4
    runs.loc[best & (runs["seed"] == 7), "at_once"] = 1
    page = repetition_tables.section(runs)
    assert "Of the fresh runs 22 did not run two at once, as was announced" in page
    assert "`mlp-tuned` 20 (4 at once), `best` 2 (1 at once)." in page


def test_without_every_pair_there_is_no_result(all_runs: pd.DataFrame) -> None:
    less = all_runs[~((all_runs["model"] == "best") & (all_runs["seed"] == 6))]
    assert repetition.missing(repetition.recorded(less)) == [("best", 6)]
    page = repetition_tables.section(less)
    assert "Of 100 announced pairs of runs 1 are missing." in page
    assert "t²" not in page


def test_a_pair_of_which_a_run_diverged_is_none_and_is_named(all_runs: pd.DataFrame) -> None:
    runs = with_differences(all_runs, 1.0)
    lost = (runs["model"] == "best") & (runs["seed"] == 6) & (runs["framework"] == PAIR[1])
    runs.loc[lost, "status"] = "diverged"
    runs.loc[lost, "accuracy"] = np.nan
    assert repetition.missing(repetition.recorded(runs)) == []
    assert repetition.recorded(runs)["best"].diverged == {6}
    assert len(repetition.recorded(runs)["best"].differences) == 4
    page = repetition_tables.section(runs)
    assert "over 99 fresh pairs" in page
    assert "its pair counts as none: `best` seed 6." in page
    again = pd.concat([runs, all_runs[lost].assign(run="again")], ignore_index=True)
    assert repetition.recorded(again)["best"].diverged == set()


def test_a_divergence_of_older_arithmetic_leaves_its_pair_missing(all_runs: pd.DataFrame) -> None:
    newer = all_runs["framework"] == PAIR[0]
    runs = all_runs.assign(numerics=np.where(newer, 2.0, 1.0))
    lost = (runs["model"] == "best") & (runs["seed"] == 6) & newer
    runs.loc[lost, ["status", "numerics"]] = "diverged", 1.0
    assert repetition.recorded(runs)["best"].diverged == set()
    assert repetition.missing(repetition.recorded(runs)) == [("best", 6)]


def test_a_network_of_which_most_runs_diverged_is_left_out(all_runs: pd.DataFrame) -> None:
    runs = with_differences(all_runs, 1.0)
    lost = (runs["model"] == "best") & (runs["seed"] > 6)
    runs.loc[lost, "status"] = "diverged"
    without = all_runs[all_runs["model"] != "best"]
    fresh = repetition.recorded(runs)
    result = repetition.summed(fresh)
    rest = [network.sample for name, network in fresh.items() if name != "best"]
    assert len(rest) == result.networks == without["model"].nunique()
    assert result.statistic == pytest.approx(sum(map(repetition.squared_t, rest)))


def test_runs_on_another_device_stand_in_for_none_and_hide_none(all_runs: pd.DataFrame) -> None:
    there = all_runs[(all_runs["framework"] == PAIR[0]) & (all_runs["model"] == "best")]
    many = [there.assign(device="a GPU", seed=there["seed"] + shift, run="gpu") for shift in range(20)]
    runs = pd.concat([all_runs, *many], ignore_index=True)
    assert repetition.missing(repetition.recorded(runs)) == []
    diverged = there.assign(device="a GPU", status="diverged", run="gpu")
    few = pd.concat([all_runs[(all_runs["model"] != "best") | (all_runs["seed"] != 6)], diverged, *many])
    assert repetition.missing(repetition.recorded(few)) == [("best", 6)]
    alone = runs[(runs["model"] != "best") | (runs["framework"] == PAIR[1]) | (runs["device"] == "a GPU")]
    assert len(repetition.missing(repetition.recorded(alone))) == 5


def test_other_seeds_do_not_count(all_runs: pd.DataFrame) -> None:
    others = all_runs.assign(seed=all_runs["seed"] + 100)
    assert len(repetition.missing(repetition.recorded(others))) == 100
    both = pd.concat([with_differences(all_runs, 1.0), others.assign(accuracy=50.0)], ignore_index=True)
    alone, result = (repetition.recorded(runs) for runs in (with_differences(all_runs, 1.0), both))
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
    first, fresh, every = (repetition.recorded(runs, part) for part in repetition.PARTS)
    assert first["best"].differences == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
    assert (len(fresh["best"].sample), len(every["best"].sample)) == (5, 9)
    assert first["mlp-tuned"].sample == pytest.approx([0.4])
    assert first["smallest"].sample == []
    assert every["smallest"] == fresh["smallest"]
    page = repetition_tables.section(runs)
    line = next(line for line in page.splitlines() if line.startswith("| `best`"))
    assert [cell.split()[0] for cell in line.split("|")[2:4]] == ["3", "+0.200"]
    assert "| first seeds | 1 | 12.0 |" in page  # 3 * (0.2 / 0.1)^2
    assert f"| fresh seeds | 13 | {repetition.summed(fresh).statistic:.1f} |" in page


def test_no_part_is_shown_before_every_pair_is_there(all_runs: pd.DataFrame) -> None:
    less = all_runs[~((all_runs["model"] == "best") & (all_runs["seed"] == 6))]
    assert "|" not in repetition_tables.section(less)
