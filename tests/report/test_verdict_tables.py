"""The verdicts are in both tables, and why networks have none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.tables import add_pairs, add_run

from common.analysis import frames, verdicts
from common.analysis.verdicts import ONE_RUN
from common.model.zoo import ZOO
from common.report import verdict_tables


@pytest.mark.parametrize(
    "differences, verdict",
    [
        ([0.01, -0.01, 0.02, -0.02, 0.0], "equivalent"),
        ([0.3, 0.35, 0.28, 0.31, 0.33], "different"),
        ([0.5], ONE_RUN),
    ],
)
def test_the_verdict_is_in_both_tables(tmp_path: Path, differences: list[float], verdict: str) -> None:
    add_pairs(tmp_path, differences)
    tables = frames.read(tmp_path)
    for page in (verdict_tables.summary_table(tables), verdict_tables.details(tables)):
        assert f"| {verdict} |" in page


def test_a_refused_comparison_is_listed(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, 0.2])
    add_run(tmp_path, "nextjournal", "pytorch", world_size=1)
    add_run(tmp_path, "nextjournal", "tensorflow", world_size=2)
    tables = frames.read(tmp_path)
    for page in (verdict_tables.summary_table(tables), verdict_tables.details(tables)):
        last = page.splitlines()[-1]
        assert "nextjournal" in last
        assert "world_size" in last


def test_runs_without_their_errors_have_no_fingerprint(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, 0.03])
    add_pairs(tmp_path, [0.01, 0.03], "under-8k")
    tables = frames.read(tmp_path)
    some = tables.errors[tables.errors["run"] != tables.runs["run"].iloc[0]]
    page = verdict_tables.details(dataclasses.replace(tables, errors=some))
    assert "| `under-8k` | 2 |" in page.partition("### Fingerprint")[2]
    assert "`tf-model-1`" not in page.partition("### Fingerprint")[2]
    assert "in none of 1 network (" in page


def test_no_pairs(tmp_path: Path) -> None:
    assert verdict_tables.summary_table(frames.read(tmp_path)) == ""
    assert "|" not in verdict_tables.details(frames.read(tmp_path))


def test_runs_of_a_third_framework_leave_the_verdicts_as_they_are(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01, 0.02])
    before = verdict_tables.summary_table(frames.read(tmp_path))
    add_run(tmp_path, framework="jax")
    assert before
    assert verdict_tables.summary_table(frames.read(tmp_path)) == before


MODELS = ("tf-model-1", "nextjournal", "under-5k")


def test_one_sentence_over_all_networks_comes_first(tmp_path: Path) -> None:
    """Differences of 0.1 in each network, 97.9 and 98 % and so on: the mean is theirs."""
    for model in MODELS[:2]:
        add_pairs(tmp_path, [0.05, 0.15], model)
    assert verdict_tables.sentence(frames.read(tmp_path)) == ""
    add_pairs(tmp_path, [0.05, 0.15], MODELS[2])
    tables = frames.read(tmp_path)
    answer = verdict_tables.sentence(tables)
    assert "3 networks and 6 pairs" in answer
    assert " +0.100 points" in answer
    assert verdict_tables.details(tables).startswith(answer)


def test_missing_planned_seeds_are_named(tmp_path: Path) -> None:
    planned = ZOO["under-5k"].planned_seeds
    add_pairs(tmp_path, [0.01, -0.01] * (planned // 2), "under-5k")
    add_pairs(tmp_path, [0.3, -0.3], "nextjournal")
    tables = frames.read(tmp_path)
    text = verdict_tables.details(tables)
    wanted = ZOO["nextjournal"].planned_seeds
    assert f"Seeds still to run: `nextjournal` {wanted - 2} (of {wanted} planned)." in text
    assert f"The planned number is reached: `under-5k` {planned}." in text
    assert "| inconclusive: " in text
    assert "more seeds than planned" not in text
    assert "1 of 2 networks has yet to run some" in verdict_tables.summary_table(tables)


def test_a_network_may_stay_inconclusive_with_all_its_seeds(tmp_path: Path) -> None:
    """Its verdict says that more seeds would not be planned ones; other data have no plan to say so of."""
    differences = [0.3, -0.3] * (ZOO["under-5k"].planned_seeds // 2)
    for dataset in ("mnist", "fashion-mnist"):
        add_pairs(tmp_path, differences, "under-5k", dataset=dataset)
    tables = frames.read(tmp_path)
    assert "more seeds than planned |" in verdict_tables.details(tables)
    other = verdict_tables.other_data(tables)
    assert "more seeds |" in other
    assert "than planned" not in other


def test_no_table_has_more_than_nine_columns(tmp_path: Path) -> None:
    for model in MODELS:
        add_pairs(tmp_path, [0.1, -0.1], model)
    page = verdict_tables.details(frames.read(tmp_path))
    assert page.count("### Ratios of ") == 2
    assert max(line.count(" | ") + 1 for line in page.splitlines() if line.startswith("| ")) <= 9


def test_other_data_have_verdicts_of_their_own(tmp_path: Path) -> None:
    """Six networks on MNIST change neither the pairs nor the adjusted p-value of one on Fashion-MNIST."""
    add_pairs(tmp_path, [0.3, 0.35, 0.28], dataset="fashion-mnist")
    (alone,), _ = verdicts.judge(frames.read(tmp_path), dataset="fashion-mnist")
    for model in list(ZOO)[3:9]:
        add_pairs(tmp_path, [0.01, -0.02, 0.01, 0.0], model)
    tables = frames.read(tmp_path)
    (judged,), _ = verdicts.judge(tables, dataset="fashion-mnist")
    assert judged.comparison.n == 3
    assert judged.p_difference == alone.p_difference
    assert "tf-model-1" not in verdict_tables.summary_table(tables)
    page = verdict_tables.other_data(tables)
    assert "On Fashion-MNIST:" in page
    assert "| `tf-model-1` | 3 |" in page
    assert "| different |" in page
    assert "under-5k" not in page
