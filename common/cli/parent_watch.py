"""Ends a script when the process that started it ends, however that ends: a killed bench must not leave a run
behind that the next bench runs again.

The script's standard input is a pipe whose writing end only the parent holds. The operating system closes it
with the parent, on every platform, and reading then returns.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

VARIABLE = "TEMPLATE_ML_END_WITH_PARENT"
"""The environment variable by which a parent tells a script to watch its standard input."""


@contextlib.contextmanager
def ends_with_parent() -> Iterator[dict[str, Any]]:
    """Keyword arguments of subprocess.Popen for a script that is to end with this process, or with the
    block."""
    reading, writing = os.pipe()
    try:
        yield {"stdin": reading, "env": os.environ | {VARIABLE: "1"}}
    finally:
        os.close(reading)
        os.close(writing)


def watch_parent() -> None:
    """Exit as soon as standard input is closed, if the parent set VARIABLE; processes that this one starts do
    not."""
    if os.environ.pop(VARIABLE, None):
        threading.Thread(target=_exit_at_end_of_input, daemon=True, name="parent watch").start()


def _exit_at_end_of_input() -> None:
    # os.read, as a daemon thread inside sys.stdin.read would hold a lock that the interpreter's end requires.
    while os.read(0, 1):
        pass
    os._exit(1)
