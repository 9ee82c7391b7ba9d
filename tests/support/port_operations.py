"""Operations of a traced model, for tests of what pairs and describes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.port.pairing import Operation


def operation(index: int, kind: str, **changes: Any) -> Operation:
    """An operation of a kind with 2 examples of 4 features."""
    fields: dict[str, Any] = {
        "index": index,
        "name": f"{kind}{index}",
        "layer": f"{kind}{index}",
        "kind": kind,
        "attributes": {},
        "weights": {},
        "inputs": np.zeros((2, 4)),
        "outputs": np.zeros((2, 4)),
    }
    return Operation(**(fields | changes))
