"""The tables show a ratio only where the clock bears it, and the error of the clock elsewhere."""

from __future__ import annotations

from pathlib import Path

import scipy.stats
from support.tables import aa_rows, add_run

from common.analysis import frames
from common.frameworks import PAIR
from common.report import speed_ratios
from common.tables import store
from common.tables.schema import SpeedRow


def tables(folder: Path, *sessions: list[SpeedRow]) -> str:
    for rows in sessions:
        store.append_rows(folder, "speed.csv", rows)
    return speed_ratios.tables(frames.read(folder).speed)


def test_nothing_measured(tmp_path: Path) -> None:
    assert "Not measured yet" in tables(tmp_path)


def test_an_exact_clock_shows_the_ratio(tmp_path: Path) -> None:
    page = tables(
        tmp_path,
        aa_rows([100.0, 102.0, 98.0], [102.0, 100.0, 98.0]),
        aa_rows([50.0, 51.0, 49.0], [51.0, 50.0, 49.0], framework="tensorflow"),
    )
    assert "| `tf-model-1` | 2.000 (2.000 to 2.000) |  |  |  | 1.000 (1.000 to 1.000) |  |" in page
    assert "| `tf-model-1` | training, images / s | 100 | 50 | 1.000 (0.9" in page
    assert "geometric mean" not in page


def test_an_inexact_clock_shows_its_error(tmp_path: Path) -> None:
    """The second framework's A over B is a factor and its inverse: their logarithms' standard error is the
    factor's logarithm."""
    for day, factor in ((1, 1.05), (2, 1.2)):
        session = f"2026-01-0{day}T00:00:00+00:00"
        page = tables(
            tmp_path / str(day),
            aa_rows([100.0, 100.0], [100.0, 100.0], session=session),
            aa_rows([100 * factor, 100], [100, 100 * factor], framework="tensorflow", session=session),
        )
        error = 100 * (factor ** float(scipy.stats.t.ppf(0.975, 1)) - 1)
        cell = f"A/A ±{error:.0f} %" if day == 1 else "A/A beyond ±100 %"
        assert f"| `tf-model-1` | {cell} |" in page


def test_the_mean_over_networks_is_the_last_row(tmp_path: Path) -> None:
    for model in ("tf-model-1", "under-8k", "best"):
        for framework, value in zip(PAIR, (50.0, 100.0), strict=True):
            rows = aa_rows([value, value], [value, value], model=model, framework=framework)
            store.append_rows(tmp_path, "speed.csv", rows)
    ratios = tables(tmp_path).split("\n\n")[0].splitlines()
    assert [line.split(" | ")[0] for line in ratios[2:]] == [
        *(f"| `{model}`" for model in ("tf-model-1", "under-8k", "best")),
        "| geometric mean",
    ]
    assert "| geometric mean | 0.500 (0.500 to 0.500) |" in ratios[-1]


def test_epochs_and_seconds_to_a_target(tmp_path: Path) -> None:
    for framework in PAIR:
        for seed in (1, 2):
            add_run(tmp_path, framework=framework, accuracy=98.5, seed=seed, at_once=1)
    page = speed_ratios.section(frames.read(tmp_path))
    assert "| `tf-model-1` | 98 % | 2 | 8.0, 8.0 | 16.0, 16.0 | no A/A test |" in page
    for framework in PAIR:
        rows = aa_rows([50.0, 50.2], [50.1, 50.1], framework=framework)
        store.append_rows(tmp_path, "speed.csv", rows)
    page = speed_ratios.section(frames.read(tmp_path))
    assert "| 98 % | 2 | 8.0, 8.0 | 16.0, 16.0 | 1.000 (1.000 to 1.000) |" in page
    assert "| 99 % |" not in page
