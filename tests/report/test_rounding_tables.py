"""The table of the first steps has the differences, the self-baselines and their ratio."""

from __future__ import annotations

from pathlib import Path

from support.tables import add_traces

from common.analysis import frames
from common.report import rounding_tables


def losses(framework: str, precision: str, perturb: str) -> list[float]:
    if precision == "float64":
        return [2.0, 2.0 * (1 + 1e-11 * (framework == "tensorflow"))]
    offset = 4e-6 * (framework == "tensorflow") + 1e-6 * (perturb == "ulp")
    return [2.0 + offset, 2.0 + 10 * offset]


def test_the_table(tmp_path: Path) -> None:
    assert "Not traced yet" in rounding_tables.section(frames.read(tmp_path).traces)
    add_traces(tmp_path, losses)
    page = rounding_tables.section(frames.read(tmp_path).traces)
    assert "| `under-8k` | 1 | 1.0e-11 | 4.0e-06 | 4.0e-05 | 1.0e-05 | 4.0 |" in page
    add_traces(tmp_path, lambda framework, *_: [2.0 + 1e-4 * (framework == "tensorflow")], seed=2)
    page = rounding_tables.section(frames.read(tmp_path).traces)
    assert "| `under-8k` | 2 | 5.0e-05 | 1.0e-04 | 1.0e-04 | 1.0e-05 | " in page
    assert " to " in page.splitlines()[-1]
