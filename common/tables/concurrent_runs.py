"""How many runs does this machine make at once? A run that shared it has no time worth telling.

Every run announces itself in a file that all runs of a user on a machine share. Runs in containers with a
folder of temporary files of their own are not seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER = Path(tempfile.gettempdir()) / f"template-ml-{os.getuid() if hasattr(os, 'getuid') else 'runs'}"
WAIT_SECONDS = 5


class ConcurrentRuns:
    """This process among the runs of its machine, from when it is made until it ends."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder, self.me = folder, _name(os.getpid()) or ""
        with contextlib.suppress(OSError, Timeout):
            folder.mkdir(mode=0o700, exist_ok=True)
            with FileLock(folder / "lock", timeout=WAIT_SECONDS):
                alive = {name: most for name, most in self._read().items() if _alive(name)}
                alive.setdefault(self.me, 1)
                self._write({name: max(most, len(alive)) for name, most in alive.items()})

    def peak(self) -> int | None:
        """How many there were at most since this one began, itself included; None where that is not known."""
        with contextlib.suppress(OSError, Timeout), FileLock(self.folder / "lock", timeout=WAIT_SECONDS):
            return self._read().get(self.me)
        return None

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(most) for name, most in json.loads(self._path.read_bytes()).items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):
            return {}  # nobody was there, or somebody else wrote it: who comes next is counted again

    def _write(self, runs: dict[str, int]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(runs))
        temporary.replace(self._path)

    @property
    def _path(self) -> Path:
        return self.folder / "runs.json"


def _name(process: int) -> str | None:
    """A process by its number and, as numbers come again, the tick it started at; None if it has ended."""
    stat = Path(f"/proc/{process}/stat")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{process}-{fields[19]}"
    except OSError:
        pass
    if stat.parent.parent.joinpath("self").exists():
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return f"{process}-"


def _alive(name: str) -> bool:
    process = name.partition("-")[0]
    return process.isdigit() and _name(int(process)) == name
