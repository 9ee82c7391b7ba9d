"""The stage of the forward pass: inference mode, operation by operation, until nothing differs.

The first operation beyond the floor is recomputed on the Keras side under each hypothesis; the one that
brings it to the floor is the cause and stays in place, and the comparison starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes, pairing
from common.port.check import DRAWS, EPSILON, Check
from common.port.pairing import Operation, Step, Trace
from common.port.weights import realigned

Array = NDArray[Any]
STAGE = "forward"
Place = tuple[int, str]
"""Number of the step in the alignment, and "inputs", "outputs" or "model" (the model's outputs)."""


@dataclass(frozen=True)
class Point:
    """A comparison of two arrays at a place, and the layout in which they are closest."""

    place: Place
    where: str
    difference: float
    floor: float
    layout: str


@dataclass(frozen=True)
class Hypothesis:
    """A cause, what each side computes otherwise if it is right, and the fix; or several in one place."""

    cause: str
    mends: Sequence[dict[str, Any]] = ()
    skips: Sequence[int] = ()
    fix: dict[str, str] = field(default_factory=dict)
    where: str = ""
    parts: Sequence[Hypothesis] = ()


def run(check: Check) -> None:
    """Compare the traces and mend the first difference until there is none; record all."""
    _active_dropout(check)
    verdicts: dict[Place, tuple[Point, str]] = {}
    while True:
        steps, points, view = measure(check)
        beyond = [p for p in points if check.beyond(p.difference, p.floor) and p.place not in verdicts]
        if not beyond:
            break
        point = beyond[0]
        if rounded := _rounded_constant(check, steps, point):
            check.right_mends.append(rounded)
            verdicts[point.place] = point, "agrees in float32"
        elif hypothesis := _explanation(check, steps, point, view):
            for part in hypothesis.parts or [hypothesis]:
                where = part.where or point.where
                check.find(STAGE, where, part.cause, point.difference, point.floor, part.fix)
                check.right_mends += part.mends
                check.left_skips += part.skips
            verdicts[point.place] = point, "differs"
        else:
            _force(check, steps, point, view)
            check.find(STAGE, point.where, "unknown", point.difference, point.floor, causes.both("", ""))
            verdicts[point.place] = point, "differs"
        check.mend()
    for point in points:
        shown, verdict = verdicts.get(point.place, (point, "agrees"))
        if point.place[1] != "inputs" or point.place in verdicts:
            check.row(STAGE, shown.where, shown.difference, shown.floor, verdict)
    check.steps = steps


def _rounded_constant(check: Check, steps: Sequence[Step], point: Point) -> dict[str, Any] | None:
    """The mend for an activation that is the same on both sides, if only a constant that Keras holds in
    single precision makes the difference."""
    number, what = point.place
    left, right = steps[number].left, steps[number].right
    if what != "outputs" or point.difference > EPSILON["float32"] or check.precision == "float32":
        return None
    assert left
    assert right
    if left.kind != "activation" or dict(left.attributes) != dict(right.attributes):
        return None
    mend = {"index": right.index, "attributes": dict(left.attributes)}
    return mend if _mends(check, point, [Hypothesis("", [mend])]) else None


def measure(check: Check) -> tuple[list[Step], list[Point], tuple[Trace, Trace]]:
    """The alignment of new traces, every comparison in order, and the traces."""
    view = check.traces()
    moved = [check.traces(ulp=seed) for seed in DRAWS]
    steps = realigned(check.steps, *view)
    return steps, list(_points(check, steps, view, moved)), view


def _points(
    check: Check, steps: Sequence[Step], view: tuple[Trace, Trace], moved: Sequence[tuple[Trace, Trace]]
) -> Iterator[Point]:
    def floor(left: Any, right: Any) -> float:
        """The largest difference that a move of one unit makes on either side."""
        changes = [pairing.difference(left(view[0]), left(other[0])) for other in moved]
        changes += [pairing.difference(right(view[1]), right(other[1])) for other in moved]
        return max([check.epsilon, *changes])

    for number, step in enumerate(steps):
        left, right = step.left, step.right
        if left is None or right is None:
            continue
        p, k = left.index, right.index
        if left.weights and pairing.layouts(left.inputs, right.inputs):
            apart, layout = pairing.closest(left.inputs, right.inputs, check.flats)
            base = floor(lambda t, p=p: t.operations[p].inputs, lambda t, k=k: t.operations[k].inputs)
            yield Point((number, "inputs"), f"inputs of {step.name}", apart, base, layout)
        apart, layout = pairing.closest(left.outputs, right.outputs, check.flats)
        base = floor(lambda t, p=p: t.operations[p].outputs, lambda t, k=k: t.operations[k].outputs)
        yield Point((number, "outputs"), step.name, apart, base, layout)
    for number, (first, second) in enumerate(zip(view[0].outputs, view[1].outputs, strict=True)):
        apart, layout = pairing.closest(first, second)
        base = floor(lambda t, n=number: t.outputs[n], lambda t, n=number: t.outputs[n])
        name = "outputs" if len(view[0].outputs) == 1 else f"outputs {number}"
        yield Point((number, "model"), name, apart, base, layout)


def _explanation(
    check: Check, steps: Sequence[Step], point: Point, view: tuple[Trace, Trace]
) -> Hypothesis | None:
    """The first hypothesis that brings the point to its floor, each tried alone."""
    attributes = []
    for hypothesis in _hypotheses(check, steps, point, view):
        if _mends(check, point, [hypothesis]):
            return hypothesis
        if any(mend.get("attributes") for mend in hypothesis.mends):
            attributes.append(hypothesis)
    if len(attributes) < 2 or not _mends(check, point, attributes):
        return None
    for hypothesis in list(attributes):
        others = [other for other in attributes if other is not hypothesis]
        if _mends(check, point, others):
            attributes = others
    return Hypothesis("", parts=attributes)


def _mends(check: Check, point: Point, hypotheses: Sequence[Hypothesis]) -> bool:
    """Whether these together bring the point to its floor."""
    mends = [mend for hypothesis in hypotheses for mend in hypothesis.mends]
    skips = [index for hypothesis in hypotheses for index in hypothesis.skips]
    check.workers.both(
        "mend",
        left={"skipped": [*check.left_skips, *skips]},
        right={"mends": [*check.right_mends, *mends]},
    )
    view = check.traces()
    points = _points(check, realigned(check.steps, *view), view, [])
    found = next(other for other in points if other.place == point.place)
    check.mend()
    return not check.beyond(found.difference, point.floor)


def _hypotheses(
    check: Check, steps: Sequence[Step], point: Point, view: tuple[Trace, Trace]
) -> Iterator[Hypothesis]:
    number, what = point.place
    before = steps[:number] if what != "model" else steps
    alone = _alone(before)
    if what == "model":
        yield from _heads(steps, alone, point)
        yield from _flatten(steps, view, point)
        return
    step = steps[number]
    assert step.left
    assert step.right
    if what == "outputs":
        yield from _attributes(check, step, steps, number)
    yield from _extra(alone)
    yield from _scaling(check, step)
    if what == "outputs" and step.left.outputs.ndim == 2:
        yield from _flatten(steps, view, point)


def _alone(steps: Sequence[Step]) -> list[Step]:
    """Operations of one side alone since the last pair."""
    result: list[Step] = []
    for step in reversed(steps):
        if step.left is not None and step.right is not None:
            break
        result.append(step)
    return result


def _attributes(check: Check, step: Step, steps: Sequence[Step], number: int) -> Iterator[Hypothesis]:
    """Each attribute that differs, as PyTorch has it."""
    left, right = step.left, step.right
    assert left
    assert right
    if left.kind != right.kind:
        return
    own, other = dict(left.attributes), dict(right.attributes)
    if "pads" in own:
        own["pads"] = _with_pad_before(steps, number, "left", own["pads"])
        other["pads"] = _with_pad_before(steps, number, "right", other["pads"])
        own_first, mended = own["pads"], _without(own["pads"], other["pads"], right.attributes["pads"])
    names = [name for name in own if name not in ("bias", "groups") and own[name] != other.get(name)]
    for name in names:
        cause = causes.of_attribute(left.kind, name, left.attributes, right.attributes)
        if cause is None:
            continue
        value = own[name]
        changed = {name: value}
        if name == "pads":
            if mended is None:
                continue
            changed = {"pads": mended, **({"counts_padding": own["counts_padding"]} if "mode" in own else {})}
            left = _replaced(left, pads=own_first)
        if left.kind == "activation":
            changed = {**own}
        mend = {"index": right.index, "attributes": changed}
        yield Hypothesis(cause, [mend], fix=causes.fix(cause, left, right))
        if left.kind == "activation":
            return


def _replaced(operation: Operation, **attributes: Any) -> Operation:
    from dataclasses import replace

    return replace(operation, attributes={**operation.attributes, **attributes})


def _with_pad_before(steps: Sequence[Step], number: int, side: str, pads: Any) -> Any:
    """The pads of an operation and of a padding of its side alone just before it."""
    for step in _alone(steps[:number]):
        operation = getattr(step, side)
        if (
            operation is not None
            and operation.kind == "pad"
            and len(operation.attributes["pads"]) == len(pads)
        ):
            extra = operation.attributes["pads"]
            return [[a + c, b + d] for (a, b), (c, d) in zip(pads, extra, strict=True)]
    return pads


def _without(wanted: Any, present: Any, own: Any) -> Any:
    """The pads that an operation needs of its own to have the wanted ones in all; None if fewer than none."""
    result = [
        [a - (b - c) for a, b, c in zip(first, second, third, strict=True)]
        for first, second, third in zip(wanted, present, own, strict=True)
    ]
    return None if min(min(pair) for pair in result) < 0 else result


def _extra(alone: Sequence[Step]) -> Iterator[Hypothesis]:
    """Each operation without a partner as if it were not there."""
    for step in alone:
        operation = step.left or step.right
        assert operation
        if operation.kind != "activation":
            continue
        fix = causes.fix("activation", step.left, step.right)
        if step.left:
            yield Hypothesis("activation", (), [operation.index], fix=fix, where=step.name)
        else:
            mend = {"index": operation.index, "skip": True}
            yield Hypothesis("activation", [mend], fix=fix, where=step.name)


def _scaling(check: Check, step: Step) -> Iterator[Hypothesis]:
    """Inputs of the two that are a multiple of each other, plus a constant."""
    left, right = step.left, step.right
    assert left
    assert right
    for array in pairing.layouts(left.inputs, right.inputs, check.flats).values():
        x, y = left.inputs.ravel(), array.ravel()
        if x.std() == 0 or y.std() == 0:
            continue
        scale = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
        if scale == 0:
            continue
        offset = float(y.mean() - scale * x.mean())
        if pairing.difference(scale * x + offset, y) > 1e3 * check.epsilon:
            continue
        if abs(scale - 1) < 1e-9 and abs(offset) < 1e-9 * abs(x).max():
            continue
        mend = {"index": right.index, "scale": scale, "offset": offset}
        fix = causes.fix("input-scaling", left, right, scale=scale, offset=offset)
        yield Hypothesis("input-scaling", [mend], fix=fix)


def _heads(steps: Sequence[Step], alone: Sequence[Step], point: Point) -> Iterator[Hypothesis]:
    """Softmax or the like at the end of one side, or another one at the end of each."""
    last = [step for step in [*alone, *steps[-1:]] if _is_head(step.left) or _is_head(step.right)]
    lefts = [step.left for step in last if step.left is not None and _is_head(step.left)]
    rights = [step.right for step in last if step.right is not None and _is_head(step.right)]
    mends = [{"index": operation.index, "skip": True, "head": True} for operation in rights]
    fix = causes.fix("softmax-output", lefts[0] if lefts else None, rights[0] if rights else None)
    if mends or lefts:
        yield Hypothesis("softmax-output", mends, [operation.index for operation in lefts], fix=fix)
    yield from _extra(alone)


def _is_head(operation: Operation | None) -> bool:
    return operation is not None and operation.attributes.get("function") in causes.PROBABILITIES


def _flatten(steps: Sequence[Step], view: tuple[Trace, Trace], point: Point) -> Iterator[Hypothesis]:
    """The features of the last Flatten in PyTorch's order."""
    for operation in reversed(view[1].operations):
        if operation.kind == "flatten" and operation.inputs.ndim == 4:
            mend = {"index": operation.index, "channels_first": True}
            yield Hypothesis("flatten-order", [mend], fix=causes.fix("flatten-order", None, operation))
            return


def _force(check: Check, steps: Sequence[Step], point: Point, view: tuple[Trace, Trace]) -> None:
    """Give the Keras side PyTorch's array at a point that nothing explains, so that the rest is compared."""
    number, what = point.place
    if what == "model":
        return
    left, right = steps[number].left, steps[number].right
    assert left
    assert right
    array = left.inputs if what == "inputs" else left.outputs
    if point.layout == "channels moved":
        array = np.moveaxis(array, 1, -1)
    if point.layout == "flattened":
        flat = next(flat for flat in check.flats if np.prod(flat) == array.shape[1])
        array = pairing.features_to_keras(array, flat)
    check.right_mends.append({"index": right.index, what: np.ascontiguousarray(array)})


def _active_dropout(check: Check) -> None:
    """Record every dropout that changes its inputs in inference mode, and switch it off."""
    view = check.traces()
    for step in realigned(check.steps, *view):
        for operation in (step.left, step.right):
            if operation is None or operation.kind != "dropout":
                continue
            apart = pairing.difference(operation.inputs, operation.outputs)
            if apart:
                check.find(
                    STAGE,
                    step.name,
                    "dropout-active",
                    apart,
                    0.0,
                    causes.fix("dropout-active", step.left, step.right),
                )
                check.row(STAGE, step.name, apart, 0.0, "differs")
                if operation is step.left:
                    check.left_skips.append(operation.index)
                else:
                    check.right_mends.append({"index": operation.index, "skip": True})
    check.mend()
