"""What ran it: processor, memory, versions, commit; and the heap setting that both frameworks run under."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_STARTED = time.perf_counter()


def name() -> str:
    """Processor, cores this process may use, and operating system, in a few words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = [
            line.split(":", 1)[1]
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = found[0].strip() if found else model
    return f"{model}; {cores()} cores; {platform.system()}"


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_each(processes: int) -> int:
    """For each of so many processes that share this machine, at least one."""
    return max(1, cores() // processes)


def now() -> str:
    """The time in UTC, to a second, as the tables have it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def python() -> str:
    """Version of the interpreter."""
    return platform.python_version()


def commit(root: Path) -> str:
    """Short git commit of the tree at `root`, with `-dirty` if tracked code differs; empty outside git."""
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        # Rows are written into results/ while runs go on, so it does not count.
        tracked = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!*.md"]
        status = subprocess.run(tracked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("-dirty" if status.stdout.strip() else "")


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB.

    VmHWM where there is one: ru_maxrss of a child starts at its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if lines:
            return float(lines[0].split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def seconds_since_start() -> float:
    """Seconds since this process began (since this module's import where the system cannot tell)."""
    stat, uptime = Path("/proc/self/stat"), Path("/proc/uptime")
    if stat.exists() and uptime.exists():
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        return float(uptime.read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    return time.perf_counter() - _STARTED


def cpu_seconds() -> float:
    """Processor seconds of this process and of the children it has waited for, all cores together."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def load() -> float | None:
    """How many processes ran or were ready to on average over the last minute; None where not told."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Where a run begins: the readings from which its seconds and CPU seconds are counted, the load before,
    and, of the first run of a process, the seconds until the framework was imported."""

    wall: float
    cpu: float
    load: float | None
    import_seconds: float | None = None

    @classmethod
    def now(cls) -> Clock:
        """For a run that begins here."""
        return cls(wall=time.perf_counter(), cpu=cpu_seconds(), load=load())

    @classmethod
    def of_process(cls, *, load: float | None) -> Clock:
        """For a run that began with its process, in which the framework has been imported just now."""
        since = seconds_since_start()
        return cls(wall=time.perf_counter() - since, cpu=0.0, load=load, import_seconds=since)

    def wall_seconds(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.wall

    def cpu_seconds(self) -> float:
        """CPU seconds since the run began."""
        return cpu_seconds() - self.cpu


def keep_freed_pages() -> bool:
    """Tell glibc's malloc to keep freed pages for the next step; False where there is no glibc.

    Each training step frees and asks again for the same megabytes. Left alone, malloc returns them to the
    kernel, which must clear them again: 1.4 times the time of a step of pytorch-model-1 at batch 64.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # 32 MiB is the largest threshold that glibc takes for mmap; what it does not know it answers with 0.
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(_M_TRIM_THRESHOLD, 512 << 20))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what compiled code writes to stderr nowhere meanwhile; Python's exceptions still come through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
