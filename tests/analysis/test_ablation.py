"""What a rung moves is a paired difference, and the gap between the frameworks is the sum of its parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import ablation, frames
from common.bench import __main__ as bench
from common.bench.tasks import Task
from common.model.zoo import ZOO

ALL = "init+norm+optimizer"


def climb(
    folder: Path, *, seeds: int = 3, model: str = "under-5k", **accuracies: tuple[float, float]
) -> None:
    """Runs on rungs, each with its accuracy in PyTorch and in TensorFlow; seeds move all runs alike."""
    for rung, pair in accuracies.items():
        for framework, accuracy in zip(("pytorch", "tensorflow"), pair, strict=True):
            for seed in range(1, seeds + 1):
                told = {
                    "native": ablation.native_column(rung),
                    "accuracy": accuracy + seed / 50,
                    "seed": seed,
                }
                add_run(folder, model, framework, **told)


def test_rungs_are_the_parts_that_a_network_has() -> None:
    assert ablation.variants(ZOO["under-5k"].spec) == ["none", "init", "norm", "optimizer", "all"]
    assert ablation.variants(ZOO["tf-model-1"].spec) == ["none", "init", "optimizer", "all"]
    assert "has no BatchNorm" in ablation.inapplicable_parts(ZOO["tf-model-1"].spec)["norm"]


def test_the_gap_is_laid_to_its_parts(tmp_path: Path) -> None:
    """0.21 points with all native: 0.17 of initialisation, 0.02 of the norm, 0.01 matched, 0.01 together."""
    climb(tmp_path, none=(99.01, 99.0), init=(99.08, 98.9), norm=(99.03, 99.0))
    climb(tmp_path, optimizer=(99.01, 99.0), all=(99.1, 98.89))
    (found,) = ablation.ablations(frames.read(tmp_path).runs)
    page = ablation.section(frames.read(tmp_path).runs)
    assert "PyTorch less TensorFlow is +0.21 (+0.21 to +0.21) points" in page
    assert "+0.17 (+0.17 to +0.17) is initialisation" in page
    assert "+0.02 (+0.02 to +0.02) is batch normalisation" in page
    assert "+0.01 (+0.01 to +0.01) is there when all is matched" in page
    assert "+0.01 comes of the parts together" in page
    moved = found.effect("tensorflow", "init", "accuracy")
    assert moved is not None
    assert moved.mean == pytest.approx(-0.1)
    assert moved.n == 3


def test_a_ladder_is_of_one_machine(tmp_path: Path) -> None:
    """Matched runs elsewhere, better and quicker ones, are not on it."""
    climb(tmp_path, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed, machine, accuracy, seconds in ((2, "another", 99.9, 5.0), (4, "another", 99.9, 5.0)):
        told = {"seed": seed, "machine": machine, "accuracy": accuracy, "train_seconds": seconds}
        add_run(tmp_path, "under-5k", **told)
    (found,) = ablation.ablations(frames.read(tmp_path).runs)
    seconds_moved, moved = (found.effect("pytorch", "init", name) for name in ("train_seconds", "accuracy"))
    assert seconds_moved is not None
    assert moved is not None
    assert (seconds_moved.n, seconds_moved.mean) == (3, 0.0)
    assert (moved.n, moved.mean) == (3, pytest.approx(0.1))
    assert "| PyTorch | matched | 3 | 99.04 |" in ablation.section(frames.read(tmp_path).runs)


def test_matched_runs_alone_are_no_ladder(tmp_path: Path) -> None:
    climb(tmp_path, none=(99.0, 99.0))
    assert ablation.ablations(frames.read(tmp_path).runs) == []
    assert "No ladder has been run yet" in ablation.section(frames.read(tmp_path).runs)


def test_an_unfinished_ladder_shows_what_there_is(tmp_path: Path) -> None:
    """One seed has no interval; without the last rung there is no gap to be laid to parts."""
    climb(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.1), init=(97.2, 97.0))
    page = ablation.section(frames.read(tmp_path).runs)
    assert "| PyTorch | `init` | 1 | 97.22 | +0.20 (one pair) |" in page
    assert "is initialisation" not in page
    assert "Not run: tf-model-1 has no BatchNorm" in page


def test_runs_of_other_recipes_are_on_no_rung(tmp_path: Path) -> None:
    climb(tmp_path, none=(99.0, 99.0), init=(99.0, 99.0))
    add_run(tmp_path, "under-5k", native="init", accuracy=10.0, recipe={"lr": 0.5})
    (found,) = ablation.ablations(frames.read(tmp_path).runs)
    assert len(found.groups["pytorch", "init"].runs) == 3


def test_bench_runs_the_rungs_that_are_missing_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    climb(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.0), all=(97.0, 97.0))
    add_run(tmp_path, native="init", machine="another")
    monkeypatch.setattr("common.tables.machine.name", lambda: "a machine")
    words = ["ablation", "tf-model-1", "--seeds", "1", "--dry-run", "--results", str(tmp_path)]
    assert bench.main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert "changes nothing; it is not run" in said[0]
    assert said[2:] == [
        f"tf-model-1 {framework} seed 1 native {rung}"
        for rung in ("init", "optimizer")
        for framework in ("pytorch", "tensorflow")
    ]
    cell = Task("tf-model-1", "pytorch", 1, "all")
    assert cell.command(tmp_path, None)[-2:] == ["--native", "all"]
