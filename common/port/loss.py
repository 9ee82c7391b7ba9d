"""The stage of the loss: both losses of the same outputs and labels.

Each side's loss is described as a function of logits, through the softmax with which its model ends, if it
does: a model with softmax and a loss of probabilities is a model of logits and a loss of logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.activations import ELEMENTWISE, log_softmax, softmax
from common.frameworks import PAIR, display_name
from common.messages import InputError
from common.port import causes, losses, pairing
from common.port.check import DRAWS, Check
from common.port.losses import FORMS, Case, Description, Loss, encoded
from common.port.workers import Worker, WorkerError

Array = NDArray[Any]
STAGE = "loss"
WHERE = "loss"
ATTRIBUTES = {
    "broadcast": "loss-broadcast",
    "input": "softmax-output",
    "smoothing": "label-smoothing",
    "reduction": "loss-reduction",
}
HEADS: dict[str, Callable[[Array], Array]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sigmoid": ELEMENTWISE["sigmoid"],
}


def run(check: Check) -> None:
    """Compare the losses, describe both if they differ, and choose the loss of the stages that follow."""
    check.y = _labels(check)
    if not all(check.has_loss):
        missing = "neither file has" if not any(check.has_loss) else "only one file has"
        check.report.skipped[STAGE] = f"{missing} a `loss`"
    if not check.single:
        check.report.skipped[STAGE] = (
            "the models have several outputs, of which only the first is trained here"
        )
    if STAGE in check.report.skipped:
        check.mends.standard = _stand_in(check)
        return
    cases = _cases(check)
    try:
        check.forms = tuple(_form(check, side, cases[0]) for side in (0, 1))  # type: ignore[assignment]
    except InputError as error:
        if check.question.y is not None:
            raise
        check.report.skipped[STAGE] = f"no --batch has labels, and of random ones: {error}"
        check.mends.standard = _stand_in(check)
        return
    left, right = (_loss(check, side) for side in (0, 1))
    z, y = cases[0]
    values = left(z, y), right(z, y)
    floor = check.epsilon
    for seed in DRAWS:
        moved = _moved(z, seed)
        for loss, own in ((left, values[0]), (right, values[1])):
            floor = max(floor, pairing.difference(np.atleast_1d(loss(moved, y)), np.atleast_1d(own)))
    apart = _difference(*values)
    if not check.row(STAGE, WHERE, apart, floor):
        check.mends.standard = _stand_in(check) if np.ndim(values[0]) else check.mends.standard
        return
    tolerance = 64 * max(floor, check.epsilon)
    described = [losses.describe(loss, cases, tolerance) for loss in (left, right)]
    names = _apart(*described)
    if not names:
        check.find(STAGE, WHERE, "unknown", apart, floor, causes.both("", ""))
        return
    first, second = described
    assert first
    assert second
    for name in names:
        cause = ATTRIBUTES[name]
        found = any(f.cause == cause == "softmax-output" for f in check.report.findings)
        if not found:  # with the outputs, where it was found
            check.find(STAGE, WHERE, cause, apart, floor, _fix(name, first, second))
    check.mends.standard = _standard(first)


def _labels(check: Check) -> Array:
    """The labels of the batch, or random ones: classes for outputs (N, C), else numbers 0 and 1, for maps one
    for each value."""
    if check.question.y is not None:
        return check.question.y
    outputs = check.outputs
    generator = np.random.default_rng(check.question.seed + 1)
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return generator.integers(0, min(outputs.shape[1], 10), len(outputs))
    return generator.integers(0, 2, outputs.shape if outputs.ndim > 2 else len(outputs)).astype(float)


def _cases(check: Check) -> list[Case]:
    """Outputs with their labels: the batch's own, and other numbers of examples and other values."""
    z, y = check.outputs, check.y
    generator = np.random.default_rng(3)
    half = len(z) // 2
    wider = z[:half] * 1.5 + generator.normal(size=z[:half].shape)
    return [(z, y), (z[:half], y[:half]), (wider, y[half : 2 * half])]


def _form(check: Check, side: int, case: Case) -> str:
    """The first of FORMS that a side's loss accepts. Raises InputError if it accepts none."""
    reasons = []
    for form in FORMS:
        try:
            _ask(check, side, *case, form)
        except WorkerError as error:
            reasons.append(str(error))
            continue
        return form
    name = display_name(PAIR[0]) if side == 0 else "Keras"
    raise InputError(f"The loss of {name} does not accept the outputs and labels: {reasons[0][:300]}.")


def _loss(check: Check, side: int) -> Loss:
    return lambda z, y: _ask(check, side, z, y, check.forms[side])


def _ask(check: Check, side: int, z: Array, y: Array, form: str) -> float | Array:
    """A side's loss as a function of logits."""
    worker: Worker = (check.workers.left, check.workers.right)[side]
    head = HEADS.get(check.mends.heads.get(side, ""), np.asarray)
    outputs, labels = check.of_side(side, head(z)), check.of_side(side, encoded(y, z, form))
    answer: Any = worker.ask("loss", outputs=outputs, labels=labels)
    array: Array = np.array(answer)
    return array if array.ndim else float(array)


def _moved(z: Array, seed: int) -> Array:
    """Values one unit in the last place away."""
    up = np.random.default_rng(seed).random(z.shape) < 0.5
    return np.asarray(np.nextafter(z, np.where(up, np.inf, -np.inf).astype(z.dtype)))


def _difference(left: float | Array, right: float | Array) -> float:
    a, b = np.atleast_1d(left), np.atleast_1d(right)
    return pairing.difference(a, b) if a.shape == b.shape else np.inf


def _apart(first: Description | None, second: Description | None) -> list[str]:
    """Attributes in which the two differ; empty if one is not described or they are of two kinds."""
    if first is None or second is None or first.kind != second.kind:
        return []
    a, b = asdict(first), asdict(second)
    return [name for name in ATTRIBUTES if not _alike(a[name], b[name])]


def _alike(first: Any, second: Any) -> bool:
    """Whether two settings are the same; an amount of smoothing is found but for rounding."""
    amounts = isinstance(first, float) and isinstance(second, float)
    return math.isclose(first, second, rel_tol=1e-3, abs_tol=1e-5) if amounts else first == second


def _standard(description: Description) -> dict[str, Any]:
    """The loss that stands in for both from here on: PyTorch's, of logits."""
    return {
        "kind": description.kind,
        "smoothing": description.smoothing,
        "reduction": "sum" if description.reduction == "sum" else "mean",
    }


def _stand_in(check: Check) -> dict[str, Any]:
    """A loss for models without one: of classes if the labels are some, else of squares."""
    outputs, y = check.outputs, check.y
    if outputs.ndim == 2 and outputs.shape[1] > 1 and np.issubdtype(y.dtype, np.integer):
        return {"kind": "cross-entropy"}
    return {"kind": "squares"} if y.size == outputs.size else {"kind": "outputs"}


def _fix(name: str, left: Description, right: Description) -> dict[str, str]:
    """The line for each side that gives its loss what the other one's has."""
    match name:
        case "smoothing":
            logits = "from_logits=True, " if right.input == "logits" else ""
            return causes.both(
                f"nn.CrossEntropyLoss(label_smoothing={right.smoothing:g})",
                f"keras.losses.CategoricalCrossentropy({logits}label_smoothing={left.smoothing:g}) of "
                "one-hot labels",
            )
        case "reduction":
            keras = {"mean": "sum_over_batch_size", "none": None}.get(left.reduction, "sum")
            return causes.both(
                f'reduction="{right.reduction}" in the loss', f'reduction="{keras}" in the loss'
            )
        case "broadcast":
            one = "outputs.squeeze(1), or labels.unsqueeze(1)"
            return causes.both(
                f"loss({one})", "keras.ops.squeeze(outputs, 1), or keras.ops.expand_dims(labels, 1)"
            )
    return causes.both(
        "a loss of logits: nn.CrossEntropyLoss or nn.BCEWithLogitsLoss, and no softmax before it",
        "from_logits=True in the loss if the model ends without softmax, and False if it ends with it",
    )
