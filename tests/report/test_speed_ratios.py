"""The tables show a ratio only where the A/A test supports it."""

from __future__ import annotations

from pathlib import Path

from support.tables import aa_rows, add_run

from common.analysis import frames
from common.frameworks import PAIR
from common.report import speed_ratios
from common.tables import store
from common.tables.schema import SpeedRow


def table(folder: Path, *sessions: list[SpeedRow]) -> str:
    for rows in sessions:
        store.append_rows(folder, "speed.csv", rows)
    return speed_ratios.table(frames.read(folder).speed)


def test_nothing_measured(tmp_path: Path) -> None:
    assert "Not measured yet" in table(tmp_path)


def test_a_steady_clock_shows_the_ratio(tmp_path: Path) -> None:
    page = table(
        tmp_path,
        aa_rows([100.0, 102.0, 98.0], [102.0, 100.0, 98.0]),
        aa_rows([50.0, 51.0, 49.0], [51.0, 50.0, 49.0], framework="tensorflow"),
    )
    assert "| `tf-model-1` | training, images / s | 100 | 50 | 2.000 (2.000 to 2.000) | 1.000 (0.9" in page


def test_an_unsteady_clock_shows_none(tmp_path: Path) -> None:
    steady = aa_rows([50.0, 51.0], [51.0, 50.0], framework="tensorflow")
    page = table(tmp_path, aa_rows([110.0, 111.0], [100.0, 101.0]), steady)
    assert "| unsteady | " in page
    assert "| 2.000" not in page


def test_prediction_is_shown_in_images_a_second(tmp_path: Path) -> None:
    page = table(tmp_path, aa_rows([0.5, 0.5], [0.5, 0.5], column="predict_seconds"))
    assert "| prediction, images / s | 20,000 |" in page


def test_epochs_and_seconds_to_a_target(tmp_path: Path) -> None:
    for framework in PAIR:
        add_run(tmp_path, framework=framework, accuracy=98.5, seed=1)
    assert "| `tf-model-1` | 98 % | 1 | 8.0 | 16.0 | 8.0 | 16.0 | 1.000 |" in speed_ratios.section(
        frames.read(tmp_path)
    )
    store.append_rows(tmp_path, "speed.csv", aa_rows([110.0, 111.0], [100.0, 101.0]))
    page = speed_ratios.section(frames.read(tmp_path))
    assert "| 98 % | 1 | 8.0 | 16.0 | 8.0 | 16.0 | unsteady |" in page
    assert "| 99 % |" not in page
