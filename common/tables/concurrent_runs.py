"""The largest number of runs at once on this machine; the times of a run that shared it are not comparable.

Every run registers in a file that all runs of a user on a machine share. Runs in containers with a folder of
temporary files of their own are not counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from common.tables import machine

FOLDER = Path(tempfile.gettempdir()) / f"template-ml-{os.getuid() if hasattr(os, 'getuid') else 'runs'}"
WAIT_SECONDS = 5


class ConcurrentRuns:
    """This process among the runs of its machine, from the call of the constructor until the process ends."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder, self.name = folder, ""
        with contextlib.suppress(OSError, Timeout, ImportError), self._lock():
            self.name = _name(os.getpid()) or ""
            alive = {name: peak for name, peak in self._read().items() if _is_alive(name)}
            alive.setdefault(self.name, 1)
            self._write({name: max(peak, len(alive)) for name, peak in alive.items()})

    def peak(self) -> int | None:
        """The largest number of runs at once since this one started, itself included; None if unknown."""
        with contextlib.suppress(OSError, Timeout), self._lock():
            return self._read().get(self.name)
        return None

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Raises OSError where the folder cannot be used, or another user can change what is in it."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        # Anybody can make a folder or a link of this name in a shared folder of temporary files.
        about = self.folder.lstat()
        own = stat.S_ISDIR(about.st_mode) and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if hasattr(os, "getuid") and not (own and about.st_uid == os.getuid()):
            raise PermissionError(f"{self.folder} is not a folder that only this user can write to.")
        with FileLock(self.folder / "lock", timeout=WAIT_SECONDS):
            yield

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(peak) for name, peak in json.loads(self._path.read_bytes()).items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):
            return {}  # no runs yet, or a damaged file: the runs that come next are counted again

    def _write(self, runs: dict[str, int]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(runs))
        temporary.replace(self._path)

    @property
    def _path(self) -> Path:
        return self.folder / "runs.json"


def _name(pid: int) -> str | None:
    """Number and, as numbers are used again, start time of a running process; None if it has ended."""
    import psutil

    try:
        return f"{pid}-{machine.start_time(pid):.2f}"
    except psutil.Error:
        return None


def _is_alive(name: str) -> bool:
    pid = name.partition("-")[0]
    return pid.isdigit() and _name(int(pid)) == name
