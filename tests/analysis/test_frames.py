"""Tables are read with their types, and a cell that is no number is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import frames
from common.tables.store import ResultsError


def test_a_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace(",99,", ",many,"))
    with pytest.raises(ResultsError, match=r"results\.csv, column accuracy.*many"):
        frames.read(tmp_path)
