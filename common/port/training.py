"""The stage of training: real steps of both on the batch, without dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes
from common.port.check import DRAWS, Check
from common.port.updates import Optimizer

Array = NDArray[Any]
STAGE = "training"


def run(check: Check) -> None:
    """Compare the loss of each step, and how far the weights moved in all of them."""
    start = check.workers.left.ask("read")
    left = _train(check, "left", None)
    moved = [_train(check, "left", seed) for seed in DRAWS]
    if check.mends.rule is None:
        right = _train(check, "right", None)
        moved_right = [_train(check, "right", seed) for seed in DRAWS]
    else:
        right, moved_right = _as_pytorch(check, start), []
    losses = [np.array(answer["losses"]) for answer in (left, right)]
    for step in range(check.question.steps):
        own = [losses[0][step], losses[1][step]]
        floor = check.epsilon
        for side, answers in enumerate((moved, moved_right)):
            floor = max(floor, check.rounding((STAGE, side, step), losses[side][step : step + 1]))
            for answer in answers:
                floor = max(floor, _relative(answer["losses"][step], own[side]))
        where = f"loss of step {step + 1}"
        apart = _relative(*own)
        if check.row(STAGE, where, apart, floor):
            check.find(STAGE, where, "unknown", apart, floor, causes.both("", ""))
            return
    apart, floor = 0.0, check.epsilon
    ends = [check.names.to_pytorch(answer["weights"]) for answer in (right, *moved_right)]
    for name in check.trained:
        size = np.abs(left["weights"][name] - start[name]).max()
        if not size:
            continue
        noise = [answer["weights"][name] - left["weights"][name] for answer in moved]
        noise += [end[name] - ends[0][name] for end in ends[1:]]
        noise += [
            _from_double(check, side, name, end[name]) for side, end in enumerate((left["weights"], ends[0]))
        ]
        here = max(check.epsilon, *(float(np.abs(change).max() / size) for change in noise))
        change = float(np.abs(left["weights"][name] - ends[0][name]).max() / size)
        if change / here > apart / floor:
            apart, floor = change, here
    if check.row(STAGE, "weights after all steps", apart, floor):
        check.find(STAGE, "weights after all steps", "unknown", apart, floor, causes.both("", ""))


def _train(check: Check, side: str, ulp: int | None) -> dict[str, Any]:
    number = int(side == "right")
    worker = check.workers.right if number else check.workers.left
    return dict(
        worker.ask(
            "train",
            labels=check.labels(number),
            factors=check.factors,
            standard=check.mends.standard,
            ulp=ulp,
        )
    )


def _as_pytorch(check: Check, start: Mapping[str, Array]) -> dict[str, Any]:
    """The steps of the Keras model with PyTorch's update rule, computed here."""
    assert check.mends.rule
    worker = check.workers.right
    before = worker.ask("read")
    optimizer = Optimizer(check.mends.rule)
    weights: dict[str, Array] = {name: start[name] for name in check.trained}
    losses: list[float] = []
    for factor in check.factors:
        answer = worker.ask("gradients", labels=check.labels(1), standard=check.mends.standard, keep=True)
        losses.append(answer["loss"])
        gradients = check.names.to_pytorch(answer["gradients"])
        weights = optimizer.step(weights, {name: gradients[name] for name in check.trained}, factor)
        worker.ask("write", arrays=check.names.to_keras(weights))
    after = worker.ask("read")
    worker.ask("write", arrays=before)
    return {"losses": losses, "weights": after}


def _from_double(check: Check, side: int, name: str, weights: Array) -> Array:
    """The weights less their own in double precision, or zeros where these were not computed."""
    key = (STAGE, side, name)
    check.rounding(key, weights)
    before = check.before.doubles if check.before is not None else {}
    return np.asarray(weights - before.get(key, weights))


def _relative(left: float, right: float) -> float:
    scale: float = max(abs(left), abs(right))
    if not np.isfinite(scale):
        return np.inf
    return abs(left - right) / scale if scale else 0.0
