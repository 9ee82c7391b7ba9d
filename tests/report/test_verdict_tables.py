"""The verdicts are in both tables, and why networks have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_pairs, add_run

from common.analysis import frames
from common.analysis.verdicts import ONE_RUN
from common.report import verdict_tables


@pytest.mark.parametrize(
    "differences, verdict",
    [
        ([0.01, -0.01, 0.02, -0.02, 0.0], "equivalent"),
        ([0.3, 0.35, 0.28, 0.31, 0.33], "different"),
        ([0.5], ONE_RUN),
    ],
)
def test_the_verdict_is_in_both_tables(tmp_path: Path, differences: list[float], verdict: str) -> None:
    add_pairs(tmp_path, differences)
    tables = frames.read(tmp_path)
    for page in (verdict_tables.summary_table(tables), verdict_tables.details(tables)):
        assert f"| {verdict} |" in page


def test_a_refused_comparison_is_listed(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, 0.2])
    add_run(tmp_path, "nextjournal", "pytorch", threads=1)
    add_run(tmp_path, "nextjournal", "tensorflow", threads=2)
    tables = frames.read(tmp_path)
    for page in (verdict_tables.summary_table(tables), verdict_tables.details(tables)):
        last = page.splitlines()[-1]
        assert "nextjournal" in last
        assert "threads" in last


def test_no_pairs(tmp_path: Path) -> None:
    assert verdict_tables.summary_table(frames.read(tmp_path)) == ""
    assert "|" not in verdict_tables.details(frames.read(tmp_path))


def test_runs_of_a_third_framework_leave_the_verdicts_as_they_are(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01, 0.02])
    before = verdict_tables.summary_table(frames.read(tmp_path))
    add_run(tmp_path, framework="jax")
    assert before
    assert verdict_tables.summary_table(frames.read(tmp_path)) == before
