"""Why a script failed, from what it printed."""

from __future__ import annotations

import re

from common.frameworks import FRAMEWORKS

EXCEPTION = re.compile(r"[\w.]*(Error|Exception|Interrupt)(: |$)")


def error_line(output: str) -> str:
    """The line of a script's output that gives the reason of its failure: its own, or that of an exception,
    after which another thread may have printed; else the last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    scripts = tuple(f"{framework.script}: " for framework in FRAMEWORKS.values())
    errors = [line for line in lines if line.startswith(scripts) or EXCEPTION.match(line)]
    return (errors or lines or ["no output"])[-1]
