"""The stage of the gradient: of each parameter, in training mode without dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes, pairing
from common.port.check import DRAWS, Check

Array = NDArray[Any]
STAGE = "gradient"


def run(check: Check) -> None:
    """Compare the gradient of every pair of parameters by the loss of both."""
    answers = _gradients(check, None)
    moved = [_gradients(check, seed) for seed in DRAWS]
    right = _to_pytorch(check, answers[1])
    own = {partner: key for key, partner in check.names.partners.items()}
    check.trained = [name for name in answers[0] if name in right]
    for name in dict.fromkeys([*answers[0], *right]):
        where = f"{name} / {own.get(name, '-')}"
        if name not in right or name not in answers[0]:
            check.row(STAGE, where, np.inf, check.epsilon, "differs")
            check.find(STAGE, where, "unknown", np.inf, check.epsilon, causes.both("", ""))
            continue
        floor = max(
            check.epsilon,
            check.rounding((STAGE, 0, name), answers[0][name]),
            check.rounding((STAGE, 1, name), right[name]),
        )
        for first, second in moved:
            changed = _to_pytorch(check, second)
            floor = max(floor, pairing.difference(answers[0][name], first[name]))
            floor = max(floor, pairing.difference(right[name], changed[name]))
        apart = pairing.difference(answers[0][name], right[name])
        if check.row(STAGE, where, apart, floor):
            check.find(STAGE, where, "unknown", apart, floor, causes.both("", ""))


def _gradients(check: Check, ulp: int | None) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    common = {"standard": check.mends.standard, "ulp": ulp}
    answers = check.workers.both(
        "gradients",
        left={"labels": check.labels(0), **common},
        right={"labels": check.labels(1), **common},
    )
    return answers[0]["gradients"], answers[1]["gradients"]


def _to_pytorch(check: Check, gradients: Mapping[str, Array]) -> dict[str, Array]:
    return check.names.to_pytorch(gradients)
