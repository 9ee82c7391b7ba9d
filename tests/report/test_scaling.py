"""The predicted makespan, and docs/scale.md, which compares it with the measured one."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.analysis import frames
from common.bench import measure
from common.report import scaling
from common.report.scaling import makespan
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
def test_tasks_start_on_the_first_free_worker(seconds: list[float], workers: int, expected: float) -> None:
    assert makespan(seconds, workers=workers) == expected


def test_the_start_counts_once_and_the_overhead_once_a_task() -> None:
    assert makespan([10.0] * 4, workers=2, start=3.0, overhead=0.5) == 3 + 2 * 10.5


def add(folder: Path, workers: int, *, sitting: str = "2026", **values: float) -> None:
    rows = [
        measure.row(
            **{
                "measure": f"scale {name}",
                "framework": "",
                "model": "tf-model-1",
                "arm": f"{workers} workers",
            },
            **{"sitting": sitting, "value": value, "low": value, "high": value, "unit": "s", "rounds": 24},
        )
        for name, value in values.items()
    ]
    store.append_rows(folder, "speed.csv", rows)


def test_the_page_has_the_predicted_and_the_measured_seconds(tmp_path: Path) -> None:
    assert scaling.page(frames.read(tmp_path)) == ""
    add(tmp_path, 1, wall=250.0, start=2.0, cell=9.0, around=1.0)
    add(tmp_path, 2, wall=144.0, start=1.0, cell=11.0, around=1.0)
    page = scaling.page(frames.read(tmp_path))
    assert "| 1 | 24 | 2.0 | 9.0 | 1.0 | 242.0 | 250.0 | -3.2 % |" in page
    assert "| 2 | 24 | 1.0 | 11.0 | 1.0 | 122.0 | 144.0 | -15.3 % |" in page
    add(tmp_path, 1, sitting="2027", wall=9.0, start=2.0, cell=3.0, around=1.0)  # and then interrupted
    assert scaling.page(frames.read(tmp_path)) == page


def test_the_page_has_the_runs_at_once(tmp_path: Path) -> None:
    """Of the last session, whether or not workers were measured."""
    about = {"measure": scaling.AT_ONCE, "framework": "", "model": "speedrun", "unit": "s", "rounds": 6}
    for session, values in (("2025", (1.0, 1.0)), ("2026", (40.0, 20.0))):
        rows = [
            measure.row(
                **about, sitting=session, arm=arm, threads=threads, value=value, low=value, high=value
            )
            for arm, threads, value in zip((scaling.ONE, scaling.MANY), (2, 1), values, strict=True)
        ]
        store.append_rows(tmp_path, "speed.csv", rows)
    page = scaling.page(frames.read(tmp_path))
    assert "| `speedrun` | 6 | 40.0 | 20.0 | 2.00 |" in page
    assert "on 2 threads each, and 2 at once" in page
    assert "PREDICTED" not in page


@pytest.mark.slow
def test_the_recorded_prediction_is_within_15_percent() -> None:
    """For both measured numbers of workers."""
    session = scaling.last_session(frames.read(Path(__file__).resolve().parents[2] / "results"))
    predictions = scaling.predicted(session)
    assert {f"{workers} workers" for workers in predictions} == set(session["arm"])
    for workers, prediction in predictions.items():
        measured = session[session["arm"] == f"{workers} workers"].set_index("measure")
        assert prediction == pytest.approx(measured["value"]["scale wall"], rel=0.15)
