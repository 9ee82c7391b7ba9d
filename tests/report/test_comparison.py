"""A folder's few runs are compared in words: with pairs, without, and beside the recorded verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_pairs, add_run

from common.analysis import frames
from common.analysis.frames import Tables
from common.frameworks import PAIR
from common.report import comparison

EQUIVALENT = [0.02, -0.01, 0.02, -0.02, 0.01]


@pytest.fixture
def recorded(tmp_path: Path) -> Tables:
    """Five pairs of speedrun, and one of examples-cnn."""
    add_pairs(tmp_path / "results", EQUIVALENT, "speedrun")
    add_pairs(tmp_path / "results", [0.25], "examples-cnn")
    return frames.read(tmp_path / "results")


@pytest.mark.parametrize(
    "model, differences, own, beside",
    [
        (
            "speedrun",
            [0.03],
            "one pair of runs, no interval yet",
            "the recorded 5 pairs: equivalent, +0.004 ",
        ),
        ("speedrun", EQUIVALENT, "5 pairs: equivalent, +0.004 points (-0.", "the recorded 5 pairs: equiv"),
        ("speedrun", [0.3, 0.35, 0.28, 0.31, 0.33], "5 pairs: different, +0.314", "the recorded 5 pairs"),
        ("nextjournal", [0.03], "one pair of runs, no interval yet", "no interval is recorded"),
        ("examples-cnn", [0.03], "one pair of runs, no interval yet", "no interval is recorded"),
    ],
)
def test_the_verdict_of_pairs_has_the_recorded_one_beside_it(
    tmp_path: Path, recorded: Tables, model: str, differences: list[float], own: str, beside: str
) -> None:
    add_pairs(tmp_path / "runs", differences, model)
    (sentence,) = comparison.sentences(frames.read(tmp_path / "runs"), recorded)
    assert sentence.startswith(f"`{model}`: {own}")
    assert f"; {beside}" in sentence


def test_a_run_without_its_pair_has_the_recorded_accuracy_beside_it(tmp_path: Path, recorded: Tables) -> None:
    add_run(tmp_path, "speedrun", "tensorflow", accuracy=98.76)
    add_run(tmp_path, "nextjournal", "pytorch", accuracy=97.65)
    add_run(tmp_path, "nextjournal", "tensorflow", status="diverged", accuracy=None)
    not_recorded, alone = comparison.sentences(frames.read(tmp_path), recorded)
    assert "no finished run of its recipe in PyTorch" in alone
    assert "TensorFlow 98.76 % (n=1), recorded 98.03 ± 0.02 % (n=5)" in alone
    assert "no finished run of its recipe in TensorFlow" in not_recorded
    assert "PyTorch 97.65 % (n=1), none recorded" in not_recorded


def test_runs_that_are_not_compared_have_the_reason(tmp_path: Path, recorded: Tables) -> None:
    add_run(tmp_path, "speedrun", "pytorch", world_size=1)
    add_run(tmp_path, "speedrun", "tensorflow", world_size=2)
    (reason,) = comparison.sentences(frames.read(tmp_path), recorded)
    assert "speedrun" in reason
    assert "world_size: 1 and 2" in reason


def test_a_network_without_a_verdict_has_its_accuracies(tmp_path: Path, recorded: Tables) -> None:
    for framework in PAIR:
        add_run(tmp_path / "own", "pytorch-model-1-printed", framework, accuracy=36.0)
    (sentence,) = comparison.sentences(frames.read(tmp_path / "own"), recorded)
    assert sentence == (
        "`pytorch-model-1-printed`: 36.00 % in PyTorch and 36.00 % in TensorFlow; this network has no "
        "verdict."
    )


def test_without_runs_of_the_recipes_there_is_nothing_to_compare(tmp_path: Path, recorded: Tables) -> None:
    add_run(tmp_path, "speedrun", native="all")
    assert comparison.text(frames.read(tmp_path), recorded) == comparison.NOTHING


def test_the_terminal_has_a_line_for_each_network(tmp_path: Path, recorded: Tables) -> None:
    add_pairs(tmp_path, [0.03], "speedrun")
    add_run(tmp_path, "tf-model-1", "tensorflow", accuracy=97.61)
    tables = frames.read(tmp_path)
    head, *lines = comparison.text(tables, recorded).splitlines()
    assert head.split() == ["MODEL", "PYTORCH", "%", "TENSORFLOW", "%", "DIFFERENCE"]
    assert [line.split() for line in lines[:3]] == [
        ["tf-model-1", "97.61"],
        ["speedrun", "98.04", "98.01", "+0.030"],
        [],
    ]
    assert lines[1].rindex("98.01") == lines[0].rindex("97.61")
    assert lines[3:] == [sentence.replace("`", "") for sentence in comparison.sentences(tables, recorded)]
