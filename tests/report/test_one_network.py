"""The comparison of one network in words, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.tables import add_pairs, add_run

from common.analysis import frames
from common.analysis.one_network import OneNetwork
from common.analysis.one_network import one_network as compare
from common.frameworks import PAIR
from common.model.zoo import ZOO
from common.report import one_network, one_network_figure, plots

ALONE = {"at_once": 1.0, "load_before": 0.5}


def compared(folder: Path) -> OneNetwork:
    return compare(frames.read(folder), ZOO["tf-model-1"], "mnist")


def add_timed(folder: Path, seed: int, rates: tuple[float, float]) -> None:
    for framework, rate in zip(PAIR, rates, strict=True):
        columns = {"images_per_second": rate, "peak_memory_mib": 500.0 if framework == PAIR[0] else 1000.0}
        add_run(folder, framework=framework, seed=seed, **columns, **ALONE)


@pytest.mark.parametrize(
    "differences, words",
    [
        ([0.01, 0.0, -0.01], "Accuracy: equivalent. "),
        ([0.5, 0.6, 0.55], "Accuracy: different. PyTorch minus TensorFlow is +0.550 points"),
        ([0.2, -0.2, 0.1], "Accuracy: inconclusive. "),
        ([0.2], "which has no interval"),
        ([], "no finished run in PyTorch and TensorFlow."),
    ],
)
def test_the_verdict_on_the_accuracy(differences: list[float], words: str, tmp_path: Path) -> None:
    add_pairs(tmp_path, differences)
    text = one_network.text(compared(tmp_path))
    assert words in text
    assert ("there is a verdict with a probability of 80 %" in text) == ("inconclusive" in words)


def test_the_seeds_that_an_inconclusive_verdict_needs_are_those_of_the_whole(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.2, -0.2, 0.1])
    network = compared(tmp_path)
    assert network.verdict is not None
    assert network.verdict.more_seeds is not None
    assert f"--seeds {3 + network.verdict.more_seeds} " in one_network.accuracy(network)


def test_one_pair_of_times_has_a_ratio_without_interval(tmp_path: Path) -> None:
    add_timed(tmp_path, 1, (30_000.0, 20_000.0))
    network = compared(tmp_path)
    assert one_network.speed(network).startswith(
        "PyTorch trains 50 % faster (one pair of runs, no interval). "
    )
    assert "one pair of runs, no interval" in one_network.speed(network)
    assert one_network.memory(network).startswith(
        "PyTorch takes 50 % less (one pair of runs, no interval). 500 MiB"
    )
    lines = [line.split() for line in one_network.table(network).splitlines()]
    assert ["images", "/", "s", "30,000", "20,000", "1.500", "1", "+", "1"] in lines


def test_several_pairs_of_times_have_intervals(tmp_path: Path) -> None:
    for seed, rate in enumerate((19_000.0, 20_000.0, 21_000.0), start=1):
        add_timed(tmp_path, seed, (20_000.0, rate))
    network = compared(tmp_path)
    assert one_network.speed(network).startswith("no difference found: PyTorch over TensorFlow is 1.0")
    assert "3 pairs of runs" in one_network.speed(network)
    assert one_network.memory(network).startswith("PyTorch takes 50 % less (95 % 50 to 50 %).")
    for seed, rate in enumerate((29_000.0, 30_000.0, 31_000.0), start=1):
        add_timed(tmp_path, seed, (20_000.0, rate))
    assert one_network.speed(compared(tmp_path)).startswith("TensorFlow trains 50 % faster (95 % ")


def test_times_of_runs_at_once_are_not_reported(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, 0.0])
    network = compared(tmp_path)
    assert "had the machine to itself" in one_network.speed(network)
    assert "had the machine to itself" in one_network.memory(network)
    assert "images / s" not in one_network.table(network)


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_the_picture_is_small(seeds: int, tmp_path: Path) -> None:
    """Also of one pair, which has no interval, and of none."""
    for seed in range(1, seeds + 1):
        add_timed(tmp_path, seed, (20_000.0 + seed, 30_000.0))
    picture = tmp_path / "picture.png"
    plots.write_png(picture, lambda: one_network_figure.figure(compared(tmp_path)))
    assert picture.stat().st_size < 150_000
    with Image.open(picture) as image:
        assert image.width > 3 * image.height


def test_the_picture_has_the_whole_interval_and_no_scale_without_values(tmp_path: Path) -> None:
    for seed, accuracies in enumerate([(90.0, 92.0), (94.0, 90.0), (91.0, 91.5)], start=1):
        for framework, accuracy in zip(PAIR, accuracies, strict=True):
            add_run(tmp_path, framework=framework, seed=seed, accuracy=accuracy)
    network = compared(tmp_path)
    assert network.verdict is not None
    assert network.verdict.comparison.interval is not None
    low, high = network.verdict.comparison.interval
    _, difference, *rates = one_network_figure.figure(network).axes
    left, right = difference.get_xlim()
    assert left < low < high < right
    assert [len(axes.get_xticks()) for axes in rates] == [0, 0]
