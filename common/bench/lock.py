"""One bench at a time for a folder of tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from common.tables.store import ResultsError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`: a second bench would run the same tasks, and each would slow the other's.

    Raises ResultsError if another bench holds it.
    """
    lock = FileLock(folder / ".bench.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ResultsError(f"another bench is writing to {folder}.") from None
    try:
        yield
    finally:
        lock.release()
