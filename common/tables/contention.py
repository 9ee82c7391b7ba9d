"""Cores that other processes use meanwhile: the times of a run that lacks some are not comparable.

The load average does not show it: it is that of the last minute, so in a bench that of the run before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from common.tables import machine

TOLERANCE = 0.5
"""Cores that may be lacking without a warning: the system itself is never quite idle."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Processor seconds of the machine and of this process until the moment `wall`; cores of the machine."""

    wall: float
    machine: float
    process: float
    cores: int

    @classmethod
    def now(cls) -> Usage | None:
        """The usage until now; None where psutil cannot be imported."""
        try:
            import psutil
        except ImportError:
            return None
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)  # Linux alone has the second
        guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice already
        return cls(
            wall=time.perf_counter(),
            machine=sum(times) - idle - guest,
            process=machine.cpu_seconds(),
            cores=psutil.cpu_count() or 1,
        )


def warning(before: Usage, after: Usage, *, threads: int) -> str:
    """A line if, between two moments, other work left fewer of the machine's cores than a run has threads,
    else nothing."""
    seconds = after.wall - before.wall
    if seconds <= 0:
        return ""
    others = (after.machine - before.machine - after.process + before.process) / seconds
    if others + threads <= after.cores + TOLERANCE:
        return ""
    line = f"Warning: other work takes {others:.1f} of the machine's {after.cores} cores, and this run has"
    if threads == 1:
        return f"{line} 1 thread: its times are not comparable."
    return f"{line} {threads} threads: its times are not comparable. --threads 1 is often fastest there."
