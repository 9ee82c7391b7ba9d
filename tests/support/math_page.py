"""The Python blocks of docs/math.md, run as they stand."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "math.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@cache
def formulas() -> dict[str, Any]:
    """What the page's blocks define, run in order in one namespace as a reader would paste them."""
    namespace: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace
