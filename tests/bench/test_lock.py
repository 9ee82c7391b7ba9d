"""A folder of tables has one bench at a time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.bench.lock import locked
from common.tables.store import ResultsError


@pytest.mark.parametrize(
    "deleted",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(sys.platform != "linux", reason="needs names of sockets")
        ),
    ],
)
def test_a_second_bench_is_refused(tmp_path: Path, *, deleted: bool) -> None:
    """Also if somebody deletes the file of the lock; another folder is free, and this one afterwards."""
    folder, other = tmp_path / "one", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    with locked(folder):
        if deleted:
            (folder / ".bench.lock").unlink()
        with pytest.raises(ResultsError, match="another bench"), locked(folder):
            pass
        with locked(other):
            pass
    with locked(folder):
        pass
