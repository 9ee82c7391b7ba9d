"""The expected seconds of a run that nobody has recorded, by its first steps."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

    Raises ResultsError for one that ends with an error.
    """
    with ThreadPoolExecutor(len(tasks)) as pool, tempfile.TemporaryDirectory() as folder:
        commands = [task.command(Path(folder), data_dir, threads=threads) for task in tasks]
        return list(pool.map(_seconds, commands))


def _seconds(command: Sequence[str]) -> float:
    """Expected seconds of the run of one command."""
    started_at = time.perf_counter()
    lines: list[str] = []
    marks: list[tuple[float, int]] = []  # seconds since the start, and the steps until then
    with ends_with_parent() as child:
        process = subprocess.Popen(
            [*command, "--log-interval", str(STEPS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **child,
        )
        assert process.stdout
        try:
            for line in process.stdout:
                lines = [*lines[1 - LAST_LINES :], line]
                if progress := PROGRESS.match(line):
                    epoch, epochs, step, steps = map(int, progress.groups())
                    marks.append((time.perf_counter() - started_at, (epoch - 1) * steps + step))
                    if marks[-1][0] - marks[0][0] >= SECONDS:
                        return expected(marks, epochs * steps)
            process.wait()
        finally:
            process.kill()
            process.wait()
    if process.returncode not in (0, 1):
        raise ResultsError(error_line("".join(lines)))
    return time.perf_counter() - started_at


def expected(marks: Sequence[tuple[float, int]], steps: int) -> float:
    """Expected seconds of a run of `steps`, by (seconds, steps until then) of its first and last mark."""
    (first_at, first), (last_at, last) = marks[0], marks[-1]
    return last_at + TESTS * (last_at - first_at) / (last - first) * (steps - last)
