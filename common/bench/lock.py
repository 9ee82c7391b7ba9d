"""One bench at a time for a folder of tables."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from common.tables.store import ResultsError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`: a second bench would run the same tasks, and each would slow the other's.

    The lock is a file, and on Linux also a name that one process of the machine can hold, which excludes a
    second bench even if somebody deletes the file. Raises ResultsError if another bench holds it.
    """
    lock = FileLock(folder / ".bench.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise _held(folder) from None
    try:
        with _name_lock(folder):
            yield
    finally:
        lock.release()


@contextlib.contextmanager
def _name_lock(folder: Path) -> Iterator[None]:
    """The name of a socket that has no file; it is free again when the process ends, however it ends."""
    if sys.platform != "linux":
        yield
        return
    about = folder.stat()
    with contextlib.ExitStack() as stack:
        try:
            holder = stack.enter_context(socket.socket(socket.AF_UNIX))
            holder.bind(f"\0template-ml-bench-{about.st_dev}-{about.st_ino}")
        except OSError as error:  # in a sandbox without sockets the file alone excludes a second bench
            if error.errno == errno.EADDRINUSE:
                raise _held(folder) from None
        yield


def _held(folder: Path) -> ResultsError:
    return ResultsError(f"another bench is writing to {folder}.")
