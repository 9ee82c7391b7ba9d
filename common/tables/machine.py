"""The machine and the process of a run: processor, times, memory, versions, commit; the heap setting.

psutil is imported where it is used: `--help` need not load it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.tables.cores import cores

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
OWN_PATH = "common/tables/machine.py"
"""This module in the project: a repository that tracks it has the project's code."""

_REPOSITORY_VARIABLES = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_PREFIX"}
    | {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
)
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
"""Titles of vector instructions by their flag in /proc/cpuinfo, the widest first."""

_IMPORTED = time.perf_counter()
_CLOCK_OF_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Processor, cores this process may use, and operating system, in a few words.

    With the widest vector instructions that `cpuinfo` lists, as hosts of virtual machines give processors of
    different speed one name.
    """
    processor = platform.processor() or platform.machine()
    if cpuinfo.exists():
        fields = [line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line]
        facts = {key.strip(): value.strip() for key, value in fields}
        vectors = [title for flag, title in VECTORS.items() if flag in facts.get("flags", "").split()]
        processor = ", ".join([facts.get("model name", processor), *vectors[:1]])
    return f"{processor}; {cores()} cores; {platform.system()}"


def now() -> str:
    """The time in UTC, to a second, in the format of the tables."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def python() -> str:
    """Version of the interpreter."""
    return platform.python_version()


def commit(root: Path) -> str:
    """Short git commit of the tree at `root`, with `-dirty` if tracked code differs.

    Empty where no repository tracks that tree: outside git, and in a copy of the code that lies, unpacked,
    inside another repository or at its top.
    """
    # A hook's or a user's GIT_DIR would name a repository that is not the one of `root`.
    environment = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, env=environment
        ).stdout.strip()

    try:
        if not os.path.samefile(git("rev-parse", "--show-toplevel"), root):
            return ""
        git("ls-files", "--error-unmatch", "--", OWN_PATH)
        head = git("rev-parse", "--short=12", "HEAD")
        # Rows are written into results/ while runs go on, so it does not count.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!*.md")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("-dirty" if changed else "")


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # psutil has no peak on Linux, and ru_maxrss of a child starts at its parent's.
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if lines:
            return float(lines[0].split()[1]) / 1024
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource  # here, as Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def start_time(pid: int | None = None) -> float:
    """Seconds at which a process, else this one, started, since boot on Linux, elsewhere since 1970.

    Raises psutil.NoSuchProcess if there is none, or only its exit status is left, and ImportError where
    psutil cannot be imported: on Linux it needs `resource`, which not every Python has.
    """
    import psutil

    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    if _CLOCK_OF_BOOT is None:
        return float(process.create_time())
    # Linux counts from boot. psutil adds its time of boot, in whole seconds of the wall clock: subtracted
    # again, the difference is exact, and the same after the wall clock was set.
    boot = psutil.boot_time()
    return float(process.create_time() - boot)


def seconds_since_start() -> float:
    """Seconds since this process started; without psutil, since the import of this module."""
    now = time.time() if _CLOCK_OF_BOOT is None else time.clock_gettime(_CLOCK_OF_BOOT)
    try:
        return now - start_time()
    except ImportError:
        return time.perf_counter() - _IMPORTED


def cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended, all cores together."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def load() -> float | None:
    """Mean number of running and ready processes over the last minute; None where there is no such figure."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Readings at the start of a run: wall clock, CPU time, load average and, for the first run in a process,
    import time."""

    wall: float
    cpu: float
    load: float | None
    import_seconds: float | None = None

    @classmethod
    def now(cls) -> Clock:
        """The clock of a run that starts now."""
        return cls(wall=time.perf_counter(), cpu=cpu_seconds(), load=load())

    @classmethod
    def of_process(cls, *, load: float | None) -> Clock:
        """The clock of a run that started with its process, called when the framework has been imported."""
        elapsed = seconds_since_start()
        return cls(wall=time.perf_counter() - elapsed, cpu=0.0, load=load, import_seconds=elapsed)

    def wall_seconds(self) -> float:
        """Seconds since the run started."""
        return time.perf_counter() - self.wall

    def cpu_seconds(self) -> float:
        """CPU seconds since the run started."""
        return cpu_seconds() - self.cpu


def keep_freed_pages() -> bool:
    """Make glibc's malloc keep freed pages for the next step; False on systems with another C library.

    Each training step frees and allocates the same megabytes. By default, malloc returns them to the kernel,
    which must clear them again: 1.4 times the time of a step of pytorch-model-1 at batch 64.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # 32 MiB is the largest threshold for mmap that glibc accepts; it returns 0 for what it does not accept.
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(_M_TRIM_THRESHOLD, 512 << 20))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard what compiled code writes to stderr meanwhile; Python's exceptions are still raised."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
