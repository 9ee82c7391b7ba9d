"""The stage of the forward pass: inference mode, operation by operation, until nothing differs.

The first operation beyond the floor is recomputed on the Keras side under each hypothesis; the one that
brings it to the floor is the cause and stays in place, and the comparison starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes, pairing
from common.port.check import DRAWS, EPSILON, MARGIN, ROUNDED, Check
from common.port.hypotheses import Hypothesis, Place, Point, attributes, hypotheses, same
from common.port.pairing import Operation, Step, Trace
from common.port.weights import realigned
from common.port.workers import WorkerError

Array = NDArray[Any]
STAGE = "forward"
HEALED = "agrees further on"
"""The verdict of an operation in another place on the other side, where that changes nothing that follows."""


def run(check: Check) -> None:
    """Compare the traces and mend the first difference until there is none; record all."""
    _active_dropout(check)
    if STAGE in check.mends.unknown and check.before is None:
        return
    verdicts: dict[Place, tuple[Point, str]] = {}
    floors: dict[Place, float] = {}
    while True:
        new = not floors
        steps, points, view = measure(check, floors)
        point = _first(check, steps, [point for point in points if point.place not in verdicts])
        if point is None and new:
            break
        if point is None:  # to the floors of the models as they are mended now
            floors.clear()
            continue
        if rounded := _rounded_constant(check, steps, point):
            check.mends.right += rounded
            verdicts[point.place] = point, ROUNDED
        elif (hypothesis := _explanation(check, steps, point, view)) and hypothesis.rounding:
            check.mends.right += hypothesis.mends
            verdicts[point.place] = point, ROUNDED
        elif hypothesis:
            for part in hypothesis.parts or [hypothesis]:
                where = part.where or point.where
                check.find(STAGE, where, part.cause, point.difference, point.floor, part.fix)
                check.mends.right += part.mends
                check.mends.left_skips += part.skips
                check.mends.left_heads += part.left_heads
                check.mends.heads |= part.heads
            verdicts[point.place] = point, "differs"
        else:
            _force(check, steps, point, view)
            check.find(STAGE, point.where, "unknown", point.difference, point.floor, causes.both("", ""))
            verdicts[point.place] = point, "differs"
        check.mend()
    _other_functions(check, steps, points, verdicts)
    for point in points:
        beyond = check.beyond(point.difference, point.floor)
        shown, verdict = verdicts.get(point.place, (point, HEALED if beyond else "agrees"))
        if point.place[1] != "inputs" or point.place in verdicts:
            check.row(STAGE, shown.where, shown.difference, shown.floor, verdict)
    check.steps = steps
    check.outputs, check.single = view[0].outputs[0], len(view[0].outputs) == 1
    check.channels_moved = any(p.layout == "channels moved" for p in points if p.place == (0, "model"))


def _other_functions(
    check: Check, steps: Sequence[Step], points: Sequence[Point], verdicts: dict[Place, tuple[Point, str]]
) -> None:
    """Record activations that are other functions, where these inputs do not show it: ReLU6 gets none above 6
    from initial weights."""
    for point in points:
        number, what = point.place
        left = steps[number].left if what == "outputs" else None
        if left is None or left.kind != "activation" or point.place in verdicts:
            continue
        if check.beyond(point.difference, point.floor):  # in another place on the other side
            continue
        for hypothesis in attributes(steps[number], steps, number):
            if not _mends(check, point, [hypothesis]):  # it is not what it was taken for
                continue
            check.find(STAGE, point.where, hypothesis.cause, point.difference, point.floor, hypothesis.fix)
            check.mends.right += hypothesis.mends
            verdicts[point.place] = point, "differs"
    check.mend()


def _first(check: Check, steps: Sequence[Step], points: Sequence[Point]) -> Point | None:
    """Origin of the first difference that reaches a layer with weights or the outputs.

    That is the first operation that differs since the last such layer that agrees: ReLU and pooling, say, may
    be in another order.
    """
    window: list[Point] = []
    for point in points:
        number, what = point.place
        left = steps[number].left if what == "outputs" else None
        decisive = left is None or bool(left.weights)
        if check.beyond(point.difference, point.floor):
            window.append(point)
            if decisive:
                return window[0]
        elif decisive and what != "outputs":
            window = []
    return None


def _rounded_constant(check: Check, steps: Sequence[Step], point: Point) -> list[dict[str, Any]]:
    """The mends for an activation that is the same on both sides, if only a constant that Keras holds in
    single precision makes the difference; wherever it is, as it may show there in training alone."""
    number, what = point.place
    left, right = steps[number].left, steps[number].right
    if what != "outputs" or point.difference > EPSILON["float32"] or check.precision == "float32":
        return []
    assert left
    assert right
    if left.kind != "activation" or not _same_attributes(left, right):
        return []
    mends = [
        {"index": step.right.index, "attributes": dict(left.attributes)}
        for step in steps
        if step.left and step.right and step.left.kind == step.right.kind == left.kind
        if _same_attributes(left, step.left) and _same_attributes(left, step.right)
    ]
    return mends if _mends(check, point, [Hypothesis("", mends)]) else []


def _same_attributes(left: Operation, right: Operation) -> bool:
    return left.attributes.keys() == right.attributes.keys() and all(
        same(value, right.attributes[name]) for name, value in left.attributes.items()
    )


def measure(check: Check, floors: dict[Place, float]) -> tuple[list[Step], list[Point], tuple[Trace, Trace]]:
    """The alignment of new traces, every comparison in order, and the traces.

    Fills in what `floors` lack: all of them at first, and later those of arrays that have one shape only
    since a difference before them was mended.
    """
    view = check.traces()
    steps = realigned(check.steps, *view)
    points = list(_points(check, steps, view, []))
    if any(point.place not in floors for point in points):
        moved = [check.traces(ulp=seed) for seed in DRAWS]
        measured = {point.place: point.floor for point in _points(check, steps, view, moved)}
        floors.update(measured | floors)
    return steps, [replace(point, floor=floors[point.place]) for point in points], view


def _points(
    check: Check, steps: Sequence[Step], view: tuple[Trace, Trace], moved: Sequence[tuple[Trace, Trace]]
) -> Iterator[Point]:
    def floor(place: Place, left: Any, right: Any) -> float:
        """The largest difference that a move of one unit, or single precision, makes on either side."""
        changes = [check.epsilon]
        for side, array in enumerate((left, right)):
            own = array(view[side])
            changes += [pairing.difference(own, array(other[side])) for other in moved]
            if moved:
                changes.append(check.rounding((STAGE, side, place), own))
        return max(changes)

    for number, step in enumerate(steps):
        left, right = step.left, step.right
        if left is None or right is None:
            continue
        p, k = left.index, right.index
        if left.weights and pairing.layouts(left.inputs, right.inputs):
            apart, layout = pairing.closest(left.inputs, right.inputs, check.flats)
            place = number, "inputs"
            base = floor(place, lambda t, p=p: t.operations[p].inputs, lambda t, k=k: t.operations[k].inputs)
            yield Point(place, f"inputs of {step.name}", apart, base, layout)
        apart, layout = pairing.closest(left.outputs, right.outputs, check.flats)
        place = number, "outputs"
        base = floor(place, lambda t, p=p: t.operations[p].outputs, lambda t, k=k: t.operations[k].outputs)
        yield Point(place, step.name, apart, base, layout)
    for number, (first, second) in enumerate(zip(view[0].outputs, view[1].outputs, strict=True)):
        apart, layout = pairing.closest(first, second)
        place = number, "model"
        base = floor(place, lambda t, n=number: t.outputs[n], lambda t, n=number: t.outputs[n])
        name = "outputs" if len(view[0].outputs) == 1 else f"outputs {number}"
        yield Point(place, name, apart, base, layout)


def _explanation(
    check: Check, steps: Sequence[Step], point: Point, view: tuple[Trace, Trace]
) -> Hypothesis | None:
    """The first hypothesis that brings the point to its floor, each tried alone."""
    attributes = []
    for hypothesis in hypotheses(check, steps, point, view):
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


def _mends(check: Check, point: Point, together: Sequence[Hypothesis]) -> bool:
    """Whether these together bring the point to its floor."""
    mends = [mend for hypothesis in together for mend in hypothesis.mends]
    skips = [index for hypothesis in together for index in hypothesis.skips]
    heads = [index for hypothesis in together for index in hypothesis.left_heads]
    check.workers.both(
        "mend",
        left={"skipped": [*check.mends.left_skips, *skips], "heads": [*check.mends.left_heads, *heads]},
        right={"mends": [*check.mends.right, *mends]},
    )
    try:
        view = check.traces()
    except WorkerError:  # the model no longer runs, as with a map of another size: that explains nothing
        return False
    finally:
        check.mend()
    points = _points(check, realigned(check.steps, *view), view, [])
    found = next(other for other in points if other.place == point.place)
    if any(hypothesis.ordered for hypothesis in together) and found.layout != "same":
        return False
    return not check.beyond(found.difference, point.floor)


def _force(check: Check, steps: Sequence[Step], point: Point, view: tuple[Trace, Trace]) -> None:
    """Give the Keras side PyTorch's array at a point that nothing explains, so that the rest is compared."""
    number, what = point.place
    if what == "model":
        return
    left, right = steps[number].left, steps[number].right
    assert left
    assert right
    array = left.inputs if what == "inputs" else left.outputs
    if array.ndim > 2 and point.layout != "same":  # also of maps of different sizes, which have no layout
        array = np.moveaxis(array, 1, -1)
    if point.layout == "flattened":
        flat = next(flat for flat in check.flats if np.prod(flat) == array.shape[1])
        array = pairing.features_to_keras(array, flat)
    check.mends.right.append({"index": right.index, what: np.ascontiguousarray(array)})


def _active_dropout(check: Check) -> None:
    """Record every dropout that changes its inputs in inference mode, and switch it off; and where a model
    computes something else when it is called again, after which nothing can be compared."""
    view = check.traces()
    for step in realigned(check.steps, *view):
        for operation in (step.left, step.right):
            if operation is None or operation.kind != "dropout":
                continue
            apart = pairing.difference(operation.inputs, operation.outputs)
            if not apart:
                continue
            fix = causes.fix("dropout-active", step.left, step.right)
            check.row(STAGE, step.name, apart, 0.0, "differs")
            check.find(STAGE, step.name, "dropout-active", apart, 0.0, fix)
            if operation is step.left:
                check.mends.left_skips.append(operation.index)
            else:
                check.mends.right.append({"index": operation.index, "skip": True})
    check.mend()
    for first, second in zip(check.traces(), check.traces(), strict=True):
        for one, other in zip(first.operations, second.operations, strict=True):
            arrays = {"inputs of ": (one.inputs, other.inputs), "": (one.outputs, other.outputs)}
            for prefix, (before, after) in arrays.items():
                apart = pairing.difference(before, after)
                if apart > MARGIN[check.precision] * check.epsilon:
                    where = f"{prefix}{one.name}, which differ from call to call"
                    check.row(STAGE, where, apart, 0.0, "differs")
                    check.find(STAGE, where, "unknown", apart, 0.0, causes.both("", ""))
                    return
