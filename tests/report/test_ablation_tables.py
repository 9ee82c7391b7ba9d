"""The tables of an ablation have its means and effects, and a sentence on the gap."""

from __future__ import annotations

from pathlib import Path

from support.tables import add_run, add_variants

from common.analysis import frames
from common.report import ablation_tables


def section(folder: Path) -> str:
    return ablation_tables.section(frames.read(folder).runs)


def test_nothing_run_yet(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0))
    assert "python -m common.bench" in section(tmp_path)
    assert "|" not in section(tmp_path)


def test_the_gap_and_its_parts_are_in_a_sentence(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.01, 99.0), init=(99.08, 98.9), norm=(99.03, 99.0))
    add_variants(tmp_path, optimizer=(99.01, 99.0), all=(99.1, 98.89))
    page = section(tmp_path)
    assert "PyTorch minus TensorFlow is +0.21 (+0.21 to +0.21) points" in page
    assert "+0.17 (+0.17 to +0.17) from initialisation" in page
    assert "+0.02 (+0.02 to +0.02) from normalisation" in page
    assert "+0.01 (+0.01 to +0.01) with everything pinned" in page
    assert "+0.01 (+0.01 to +0.01) from the parts' interaction" in page
    assert "adjusted for all its 14 effects" in page
    assert "| TensorFlow | `init` (negative control) | 3 |" in page
    assert "| PyTorch | `init` | 3 |" in page
    assert "EFFECT S" not in page  # three seeds are too few for seconds


def test_seconds_stand_beside_accuracies_where_enough_runs_had_the_machine(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=5, none=(99.0, 99.0), init=(99.1, 98.9))
    page = section(tmp_path)
    assert "| EFFECT | TRAIN S | EFFECT S |" in page
    assert "| 10.0 | +0.0 (+0.0 to +0.0) |" in page


def test_an_unfinished_ablation_shows_the_recorded_variants(tmp_path: Path) -> None:
    """One seed has no interval; without the variant `all` there is no gap to attribute."""
    add_variants(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.1), init=(97.2, 97.0))
    page = section(tmp_path)
    assert "| PyTorch | `init` | 1 | 97.22 | +0.20 (one pair) |" in page
    assert "initialisation" not in page
    assert "tf-model-1 has neither BatchNorm nor GroupNorm" in page


def test_the_pinned_accuracy_is_over_the_seeds_of_the_other_variants(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.1, 98.9))
    add_run(tmp_path, "under-5k", seed=9, accuracy=50.0)
    page = section(tmp_path)
    assert "| PyTorch | none (pinned) | 3 | 99.04 |" in page
