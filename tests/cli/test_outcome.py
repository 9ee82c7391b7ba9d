"""A run ends with its accuracy beside the recorded ones of its settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import OWN, add_run

from common.cli import outcome


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Seeds 1 to 3 of PyTorch, one of TensorFlow, and runs with other settings."""
    folder = tmp_path / "recorded"
    for seed, accuracy in ((1, 97.0), (2, 98.0), (3, 99.0), (3, 99.0)):
        add_run(folder, seed=seed, accuracy=accuracy, numerics=2)
    add_run(folder, accuracy=90.0, numerics=1)
    add_run(folder, accuracy=91.0, native="init")
    add_run(folder, accuracy=92.0, recipe={"lr": 0.5})
    add_run(folder, accuracy=None, status="diverged")
    add_run(folder, "nextjournal", accuracy=93.0)
    add_run(folder, framework="tensorflow", accuracy=97.5)
    return folder


def test_recorded_seeds_of_the_same_settings_and_newest_arithmetic_are_beside_it(
    tmp_path: Path, recorded: Path
) -> None:
    run = add_run(tmp_path / "runs", run="own", accuracy=97.25, train_seconds=4.21, total_seconds=6.3)
    own, beside = outcome.lines(run, recorded, results=tmp_path)
    assert all(part in own for part in ("tf-model-1", "PyTorch", "97.25 %", "4.2 s", "6.3 s"))
    # 98 -+ 4.303 / sqrt(3), by the table of Student's t
    assert "PyTorch 98.00 % (3 seeds 97.00 to 99.00, 95 % interval of the mean 95.52 to 100.48)" in beside
    assert "TensorFlow 97.50 % (one seed)" in beside


def test_a_run_is_not_beside_itself(tmp_path: Path) -> None:
    run = add_run(tmp_path)
    assert "No run" in outcome.lines(run, tmp_path, results=tmp_path)[1]


def test_a_run_that_did_not_finish_has_no_lines(tmp_path: Path, recorded: Path) -> None:
    assert (
        outcome.lines(add_run(tmp_path, accuracy=None, status="diverged"), recorded, results=tmp_path) == []
    )


@pytest.mark.parametrize("text", ["", "not a table", "framework,model\n"])
def test_a_table_that_cannot_be_read_does_not_end_the_run_with_an_error(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "results.csv").write_text(text)
    assert "No run" in outcome.lines(add_run(tmp_path / "runs"), folder, results=tmp_path)[1]


def test_a_network_of_an_own_file_is_beside_the_runs_in_its_folder(tmp_path: Path, recorded: Path) -> None:
    first = add_run(tmp_path, entry=OWN, run="first", accuracy=97.25)
    alone = outcome.lines(first, recorded, results=tmp_path)[1]
    assert alone == f"{tmp_path} has no other run of it. tf.py with the same options trains it in TensorFlow."
    second = add_run(tmp_path, entry=OWN, run="second", framework="tensorflow", accuracy=97.5)
    beside = outcome.lines(second, recorded, results=tmp_path)[1]
    assert beside == f"Other runs of it in {tmp_path}: PyTorch 97.25 % (one seed)."
