"""The expected seconds of a run that nobody has recorded, by its first steps."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from common.bench.reason import error_line
from common.bench.tasks import LAST_LINES, Task
from common.cli.parent_watch import ends_with_parent
from common.tables.store import ResultsError

SECONDS = 3.0
"""Of training that is timed, or the whole run if that is shorter."""

STEPS = 20
"""Training steps between two printed lines."""

TESTS = 1.06
"""Seconds of epochs with their tests over those without: a sixth as many images, and a third of the work."""

PROGRESS = re.compile(r"epoch (\d+)/(\d+)  step +(\d+)/(\d+)  ")


def seconds_of(tasks: Sequence[Task], *, data_dir: Path | None, threads: int) -> list[float]:
    """Expected seconds of each task, all of which are started at once and ended after some steps.

    Raises ResultsError for one that ends with an error; the others are ended then, as on Ctrl-C.
    """
    with (
        ThreadPoolExecutor(len(tasks)) as pool,
        tempfile.TemporaryDirectory() as folder,
        ends_with_parent() as child,
    ):
        processes: list[subprocess.Popen[str]] = []
        try:
            for task in tasks:
                command = task.command(Path(folder), data_dir, threads=threads)
                command += ["--log-interval", str(STEPS)]
                output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
                processes.append(subprocess.Popen(command, text=True, **output, **child))
            futures = [pool.submit(_seconds, process) for process in processes]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
            return [future.result() for future in futures]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _seconds(process: subprocess.Popen[str]) -> float:
    """Expected seconds of the run of a process that has just been started."""
    started_at = time.perf_counter()
    lines: list[str] = []
    marks: list[tuple[float, int]] = []  # seconds since the start, and the steps until then
    assert process.stdout
    for line in process.stdout:
        lines = [*lines[1 - LAST_LINES :], line]
        if progress := PROGRESS.match(line):
            epoch, epochs, step, steps = map(int, progress.groups())
            marks.append((time.perf_counter() - started_at, (epoch - 1) * steps + step))
            if marks[-1][0] - marks[0][0] >= SECONDS:
                process.kill()
                return expected(marks, epochs * steps)
    if process.wait() not in (0, 1):
        raise ResultsError(error_line("".join(lines)))
    return time.perf_counter() - started_at


def expected(marks: Sequence[tuple[float, int]], steps: int) -> float:
    """Expected seconds of a run of `steps`, by (seconds, steps until then) of its first and last mark."""
    (first_at, first), (last_at, last) = marks[0], marks[-1]
    return last_at + TESTS * (last_at - first_at) / (last - first) * (steps - last)
