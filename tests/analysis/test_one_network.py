"""The comparison of one network: which rows count for the accuracy, and which for times and memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.tables import add_pairs, add_run, timing_row

from common.analysis import frames, significance
from common.analysis.one_network import OneNetwork, one_network
from common.frameworks import PAIR
from common.model.zoo import ZOO
from common.report.one_network import sentences
from common.tables import store

ENTRY = ZOO["tf-model-1"]
ALONE = {"at_once": 1.0, "load_before": 0.5, "machine": "a machine, of 2 cores"}


def compared(folder: Path, dataset: str = "mnist") -> OneNetwork:
    return one_network(frames.read(folder), ENTRY, dataset)


def add_pair(folder: Path, seconds: tuple[float, float], **fields: object) -> None:
    for framework, value in zip(PAIR, seconds, strict=True):
        add_run(folder, framework=framework, train_seconds=value, **(ALONE | fields))


@pytest.mark.parametrize(
    "other",
    [
        {"recipe_hash": "0" * 12},
        {"dataset": "fashion-mnist"},
        {"native": "init"},
        {"precision": "float64"},
        {"status": "diverged", "accuracy": None},
    ],
    ids=str,
)
def test_runs_of_another_recipe_or_data_set_are_left_out(other: dict[str, object], tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, 0.03])
    add_run(tmp_path, "under-8k", accuracy=50.0)
    add_run(tmp_path, **({"accuracy": 50.0} | other))
    network = compared(tmp_path)
    assert network.verdict is not None
    assert network.verdict.comparison.n == 2
    assert network.verdict.comparison.mean == pytest.approx(0.02)
    assert set(network.tables.epochs["run"]) <= set(network.tables.runs["run"])


def test_a_run_that_failed_hides_none_of_older_arithmetic(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, 0.03])
    numerics = float(frames.read(tmp_path).runs["numerics"].max()) + 1
    add_run(tmp_path, status="failed", accuracy=None, reason="no memory", numerics=numerics)
    network = compared(tmp_path)
    assert network.verdict is not None
    assert network.verdict.comparison.n == 2


def test_runs_on_different_devices_are_refused_in_a_sentence(tmp_path: Path) -> None:
    for framework, device in zip(PAIR, ("cuda a GPU", "cpu"), strict=True):
        add_run(tmp_path, framework=framework, device=device)
    network = compared(tmp_path)
    assert network.verdict is None
    assert network.refusal == (
        "Runs of tf-model-1 that differ in device: cuda a GPU and cpu are not compared."
    )
    assert sentences(network)[0] == f"Accuracy: {network.refusal}"


def test_another_data_set_has_its_own_comparison(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, 0.03])
    assert compared(tmp_path, "fashion-mnist").verdict is None
    for framework in PAIR:
        add_run(tmp_path, framework=framework, dataset="fashion-mnist", accuracy=80.0)
    network = compared(tmp_path, "fashion-mnist")
    assert [group.summary("accuracy").mean for group in network.groups.values()] == [80.0, 80.0]


def test_measured_times_are_of_the_data_set(tmp_path: Path) -> None:
    row = timing_row("step", "epoch", 1.0)
    rows = [row, dataclasses.replace(row, value=2.0, dataset="fashion-mnist")]
    store.append_rows(tmp_path, "speed.csv", rows)
    assert list(compared(tmp_path).tables.speed["value"]) == [1.0]
    assert list(compared(tmp_path, "fashion-mnist").tables.speed["value"]) == [2.0]


def test_the_verdict_is_adjusted_for_no_other_network(tmp_path: Path) -> None:
    differences = [0.2, 0.3, 0.25, 0.22]
    add_pairs(tmp_path, differences)
    add_pairs(tmp_path, [0.5, -0.5, 0.4], "under-8k")
    verdict = compared(tmp_path).verdict
    assert verdict is not None
    expected = significance.compare(differences, [0.0] * len(differences))
    assert verdict.p_difference == pytest.approx(expected.p_difference)
    assert verdict.verdict == "different"


def test_one_framework_has_no_verdict(tmp_path: Path) -> None:
    add_run(tmp_path)
    network = compared(tmp_path)
    assert network.verdict is None
    assert list(network.groups) == [PAIR[0]]
    add_run(tmp_path, framework=PAIR[1], seed=2)
    assert compared(tmp_path).verdict is None  # no seed in common


@pytest.mark.parametrize(
    "shared",
    [
        {"at_once": 2.0},
        {"at_once": None},
        {"load_before": 4.0},
        {"status": "diverged"},
        {"import_seconds": None},  # not the first run of its process
    ],
    ids=str,
)
def test_times_are_of_runs_that_were_alone(shared: dict[str, object], tmp_path: Path) -> None:
    add_pair(tmp_path, (1.0, 2.0), **({"accuracy": None} if "status" in shared else {}) | shared)
    assert compared(tmp_path).ratio("train_seconds") is None
    add_pair(tmp_path, (30.0, 20.0), seed=2)
    network = compared(tmp_path)
    assert list(network.timed.index) == [2]
    assert network.values("train_seconds") == ([30.0], [20.0])
    ratio = network.ratio("train_seconds")
    assert ratio is not None
    assert (ratio.mean, ratio.interval, ratio.n) == (pytest.approx(1.5), None, 1)


@pytest.mark.parametrize(
    "column, other",
    [("threads", 1), ("machine", "another"), ("commit", "f" * 12), ("framework_version", "1.2.2")],
)
def test_times_are_of_one_setting_the_last(column: str, other: object, tmp_path: Path) -> None:
    add_pair(tmp_path, (1.0, 2.0), started="2026-01-01T00:00:00Z", **{column: other})
    add_pair(tmp_path, (3.0, 2.0), seed=2, started="2026-01-02T00:00:00Z")
    add_pair(tmp_path, (6.0, 2.0), seed=3, started="2026-01-03T00:00:00Z")
    network = compared(tmp_path)
    assert network.values("train_seconds") == ([3.0, 6.0], [2.0, 2.0])
    ratio = network.ratio("train_seconds")
    assert ratio is not None
    assert ratio.interval is not None
