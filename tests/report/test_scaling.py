"""The model of how long a matrix takes, and the page that tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import frames
from common.bench import measure
from common.model.zoo import ZOO
from common.report import scaling
from common.report.scaling import reckoned
from common.tables import store


@pytest.mark.parametrize(
    "seconds, workers, expected",
    [
        ([1, 2, 3], 1, 6),
        ([1, 2, 3], 2, 4),  # 1 and 2 begin; 3 follows 1
        ([3, 2, 1], 2, 3),
        ([5], 1000, 5),
        ([1] * 24, 2, 12),
        ([1] * 25, 2, 13),
    ],
    ids=str,
)
def test_cells_go_to_the_worker_that_is_free_first(
    seconds: list[float], workers: int, expected: float
) -> None:
    assert reckoned(seconds, workers=workers) == expected


def test_the_start_counts_once_and_what_surrounds_a_cell_each_time() -> None:
    assert reckoned([10.0] * 4, workers=2, start=3.0, around=0.5) == 3 + 2 * 10.5


def add(folder: Path, workers: int, **values: float) -> None:
    rows = [
        measure.row(
            **{
                "measure": f"scale {name}",
                "framework": "",
                "model": "tf-model-1",
                "arm": f"{workers} workers",
            },
            **{"sitting": "2026", "value": value, "low": value, "high": value, "unit": "s", "rounds": 24},
        )
        for name, value in values.items()
    ]
    store.append_rows(folder, "speed.csv", rows)


def test_the_page_tells_what_was_reckoned_and_what_was_measured(tmp_path: Path) -> None:
    assert scaling.page(frames.read(tmp_path)) == ""
    add(tmp_path, 1, wall=250.0, start=2.0, cell=9.0, around=1.0)
    add(tmp_path, 2, wall=144.0, start=1.0, cell=11.0, around=1.0)
    page = scaling.page(frames.read(tmp_path))
    assert "| 1 | 24 | 2.0 | 9.0 | 1.0 | 242.0 | 250.0 | -3.2 % |" in page
    assert "| 2 | 24 | 1.0 | 11.0 | 1.0 | 122.0 | 144.0 | -15.3 % |" in page
    assert "Not yet: there are no times of" in page
    for model in ZOO:
        for framework in ("pytorch", "tensorflow"):
            add_run(tmp_path, model, framework, total_seconds=100.0)
            add_run(tmp_path, model, framework, total_seconds=900.0, at_once=2)
    page = scaling.page(frames.read(tmp_path))
    cells = 2 * len(ZOO) * 30
    assert f"{cells} cells" in page
    assert f"| 1 | {(2 + cells * 101) / 3600:.2f} | 1 | 100% |" in page
    assert "The longest cell, 2 minutes" in page


def test_the_recorded_prediction_is_within_15_percent() -> None:
    """Of both numbers of workers that were measured here."""
    table = frames.read(Path(__file__).resolve().parents[2] / "results").speed
    found = table[table["measure"].isin(scaling.PARTS)]
    found = found[found["sitting"] == found["sitting"].max()]
    guesses = scaling.predicted(found)
    assert tuple(guesses) == scaling.MEASURED
    for workers, guess in guesses.items():
        part = found[found["arm"] == f"{workers} workers"].set_index("measure")
        assert guess == pytest.approx(part["value"]["scale wall"], rel=0.15)
