"""Cores that this process may use, by its affinity and by the quota of its control groups (a container's)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def cores() -> int:
    """Number of cores this process may use; a quota of a part of a core counts as a core."""
    return math.ceil(min(_by_affinity(), quota()))


def cores_each(processes: int) -> int:
    """Number of cores for each of `processes` that share this machine, at least one."""
    return max(1, cores() // processes)


def quota(root: Path = Path("/")) -> float:
    """Smallest quota of processor time, in cores, of this process's control groups and those above them;
    infinite where there is none. The system's files are read below `root`.

    No library has it: Python and psutil count the cores that the scheduler may choose from.
    """
    quotas = [math.inf]
    for group, mount in _groups(root):
        # A container sees its own group at the mount point, whatever path of the host its process has.
        for folder in (mount / group, *(mount / group).parents):
            quotas += _quotas(folder)
            if folder == mount:
                break
    return min(quotas)


def _groups(root: Path) -> Iterator[tuple[str, Path]]:
    """Path of each control group that may limit processor time, and the mount point of its hierarchy."""
    mounts = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        group = path.strip("/")
        if not controllers:  # version 2, beside version 1 in a folder of its own
            yield group, mounts
            yield group, mounts / "unified"
        elif "cpu" in controllers.split(","):
            yield group, mounts / controllers
            yield group, mounts / "cpu"


def _quotas(folder: Path) -> Iterator[float]:
    """Cores that the files of a control group allow: at most one of the two versions has a limit."""
    words = _read(folder / "cpu.max").split()
    words += [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    for microseconds, period in zip(words[::2], words[1::2], strict=False):
        if microseconds.isdigit() and period.isdigit() and int(microseconds) and int(period):
            yield int(microseconds) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _by_affinity() -> int:
    """Number of cores that the scheduler may choose from for this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    import psutil

    process = psutil.Process()
    # Windows has an affinity, macOS has none.
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
