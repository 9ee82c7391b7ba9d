"""Hypotheses that may explain a difference at a place of the forward pass: each with its mend and its fix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from common.port import causes, pairing
from common.port.check import EPSILON, Check
from common.port.pairing import Operation, Step, Trace

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
    left_heads: Sequence[int] = ()
    heads: dict[int, str] = field(default_factory=dict)
    rounding: bool = False  # whether the cause is a constant in single precision, which is no finding
    ordered: bool = False  # whether features must then be in one order: no other layout counts


def hypotheses(
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
    if what == "outputs" and step is [other for other in steps if other.left and other.right][-1]:
        yield from _heads(steps, [], point)
    if what == "outputs":
        yield from attributes(step, steps, number)
    yield from _extra(alone)
    yield from _scaling(check, *_before_padding(step, alone))
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


def attributes(step: Step, steps: Sequence[Step], number: int) -> Iterator[Hypothesis]:
    """Each attribute that differs between the operations of a pair, as PyTorch has it."""
    left, right = step.left, step.right
    assert left
    assert right
    if left.kind != right.kind:
        return
    own, other = dict(left.attributes), dict(right.attributes)
    before: Any = []
    if "pads" in own:
        before = _pads_before(steps, number, "right", len(own["pads"]))
        own["pads"] = _sum(own["pads"], _pads_before(steps, number, "left", len(own["pads"])))
        other["pads"] = _sum(other["pads"], before)
    names = [name for name in own if name not in ("bias", "groups") and not same(own[name], other.get(name))]
    for name in names:
        cause = causes.of_attribute(left.kind, name, left.attributes, right.attributes)
        if cause is None:
            continue
        mend = {"index": right.index, "attributes": {name: own[name]}}
        if name in ("pads", "counts_padding"):
            # In place of all padding there is: what a layer before it added is cut off first.
            padding = {key: own[key] for key in ("pads", "counts_padding") if key in own}
            mend |= {"attributes": padding, "crop": before}
            left, right = _replaced(left, pads=own["pads"]), _replaced(right, pads=other["pads"])
        if left.kind == "activation":
            mend["attributes"] = {**own}
        yield Hypothesis(cause, [mend], fix=causes.fix(cause, left, right), where=step.name)
        if left.kind == "activation":
            return


def same(own: Any, other: Any) -> bool:
    """Whether an attribute is the same on both sides, but for a number that is held in single precision or
    was found from values."""
    if isinstance(own, float) and isinstance(other, float):
        return math.isclose(own, other, rel_tol=1e-5)
    return bool(own == other)


def _replaced(operation: Operation, **attributes: Any) -> Operation:
    return replace(operation, attributes={**operation.attributes, **attributes})


def _pads_before(steps: Sequence[Step], number: int, side: str, axes: int) -> list[list[int]]:
    """The pads of a padding of one side alone just before an operation, or none on each axis."""
    for step in _alone(steps[:number]):
        operation = getattr(step, side)
        if operation is not None and operation.kind == "pad" and len(operation.attributes["pads"]) == axes:
            return [list(pair) for pair in operation.attributes["pads"]]
    return [[0, 0]] * axes


def _sum(first: Any, second: Any) -> list[list[int]]:
    return [[a + c, b + d] for (a, b), (c, d) in zip(first, second, strict=True)]


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


def _before_padding(step: Step, alone: Sequence[Step]) -> tuple[Operation, Operation]:
    """The operation of each side that gets the images as they are: a padding of that side alone, if any."""
    left, right = step.left, step.right
    for other in reversed(alone):
        if other.left is not None and other.left.kind == "pad":
            left = other.left
        if other.right is not None and other.right.kind == "pad":
            right = other.right
    assert left
    assert right
    return left, right


def _scaling(check: Check, left: Operation, right: Operation) -> Iterator[Hypothesis]:
    """Inputs of the two that are a multiple of each other, plus a constant."""
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
        size = max(abs(scale - 1), abs(offset) / abs(x).max())
        if size < 1e-9:
            continue
        mend = {"index": right.index, "scale": scale, "offset": offset}
        if size < EPSILON["float32"]:  # Keras holds the scale of Rescaling in single precision
            yield Hypothesis("", [mend], rounding=True)
            continue
        fix = causes.fix("input-scaling", left, right, scale=scale, offset=offset)
        yield Hypothesis("input-scaling", [mend], fix=fix)


def _heads(steps: Sequence[Step], alone: Sequence[Step], point: Point) -> Iterator[Hypothesis]:
    """Softmax or the like at the end of one side, or another one at the end of each."""
    last = [step for step in [*alone, *steps[-1:]] if _is_head(step.left) or _is_head(step.right)]
    lefts = [step.left for step in last if step.left is not None and _is_head(step.left)]
    rights = [step.right for step in last if step.right is not None and _is_head(step.right)]
    mends = [{"index": operation.index, "skip": True, "head": True} for operation in rights]
    fix = causes.fix("softmax-output", lefts[0] if lefts else None, rights[0] if rights else None)
    both = {str(operation.attributes["function"]) for operation in (*lefts, *rights)}
    # Two heads of which one is no logarithm of the other are two activations.
    if (mends or lefts) and not (lefts and rights and both != {"softmax", "log_softmax"}):
        functions = {0: lefts, 1: rights}
        yield Hypothesis(
            "softmax-output",
            mends,
            fix=fix,
            left_heads=[operation.index for operation in lefts],
            heads={side: str(own[-1].attributes["function"]) for side, own in functions.items() if own},
        )
    yield from _extra(alone)


def _is_head(operation: Operation | None) -> bool:
    return operation is not None and operation.attributes.get("function") in causes.PROBABILITIES


def _flatten(steps: Sequence[Step], view: tuple[Trace, Trace], point: Point) -> Iterator[Hypothesis]:
    """The features of the last Flatten in PyTorch's order, or without the permutation before it."""
    for operation in reversed(view[1].operations):
        if operation.kind == "flatten" and operation.inputs.ndim == 4:
            # A single channel has one order: what would permute it is a transposed image.
            several = min(operation.inputs.shape[1:]) > 1
            for order in ("channels_first", *(["channels_last"] if several else [])):
                mend = {"index": operation.index, order: True}
                fix = causes.fix("flatten-order", None, operation, permuted=order == "channels_last")
                yield Hypothesis("flatten-order", [mend], fix=fix, ordered=True)
            return
