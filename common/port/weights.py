"""The stage of the weights: arrays are paired, carried from one side to the other, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.messages import InputError
from common.port import causes, pairing
from common.port.check import Check
from common.port.pairing import Names, Step, Trace

Array = NDArray[Any]
STAGE = "weights"
TRIALS = 100
"""Exchanged partners that are tried at most, each with a pass of both models."""


def run(check: Check) -> None:
    """Pair all arrays, give both sides the same ones, and record what has no partner or differs.

    Raises InputError with both lists where an array but a bias has no partner.
    """
    left, right = check.traces()
    if len(left.outputs) != len(right.outputs):
        raise InputError(
            f"The models have different numbers of outputs: {len(left.outputs)} and {len(right.outputs)}."
        )
    check.steps = pairing.align(left.operations, right.operations)
    names = pairing.names(check.steps, {})
    arrays = check.workers.both("read")
    _require_partners(check.steps, names, *arrays)
    own = {name: np.array(array) for name, array in arrays[1].items()}
    _carry(check, names, arrays)
    check.mend()
    left, right = check.traces()
    check.steps = realigned(check.steps, left, right)
    check.flats = pairing.flats(left.operations, right.operations)
    check.names = pairing.names(check.steps, check.flats)
    if check.own_weights:
        _compare(check, arrays[0], own)
    _carry(check, check.names, arrays)
    if not check.own_weights:
        _untangle(check, arrays)
    after = check.workers.both("read")
    carried = check.names.to_pytorch(after[1])
    for step in check.steps:
        if step.left is None or step.right is None or not step.left.weights:
            continue
        if not check.own_weights:
            pairs = [(after[0][n], carried[n]) for n in _keys(step) if n in carried]
            difference = max((pairing.difference(a, b) for a, b in pairs), default=0.0)
            check.row(STAGE, step.name, difference, 0.0)
    _missing_biases(check, after)


def _untangle(check: Check, arrays: tuple[Mapping[str, Array], Mapping[str, Array]]) -> None:
    """Exchange the partners of two layers, or of two chains of layers, wherever less of the model differs
    then: the sides can call parallel branches in another order."""
    differing, _ = _differing(check)
    tried: set[tuple[str, ...]] = set()
    while differing:
        for chains in _exchanges(check.steps):
            key = tuple(check.steps[number].name for chain in chains for number in chain)
            if key in tried:
                continue
            if len(tried) == TRIALS:
                return
            tried.add(key)
            steps, names = check.steps, check.names
            check.steps = list(steps)
            for i, j in zip(*chains, strict=True):
                check.steps[i] = Step(steps[i].left, steps[j].right)
                check.steps[j] = Step(steps[j].left, steps[i].right)
            check.names = pairing.names(check.steps, check.flats)
            _carry(check, check.names, arrays)
            now, aligned = _differing(check)
            if now < differing:
                differing, check.steps = now, aligned
                break
            check.steps, check.names = steps, names
            _carry(check, names, arrays)
        else:
            return


def _exchanges(steps: Sequence[Step]) -> Iterator[tuple[list[int], list[int]]]:
    """Chains of pairs, by their numbers in `steps`, that could exchange their partners: all have fitting
    arrays, and one of the first layers has the inputs of the other's partner."""
    layers = Counter(step.left.layer for step in steps if step.left)
    numbers = [
        number
        for number, step in enumerate(steps)
        if step.left and step.right and step.left.weights and layers[step.left.layer] == 1
    ]
    for first, i in enumerate(numbers):
        for second, j in enumerate(numbers[first + 1 :], first + 1):
            if not (_has_inputs_of(steps[i], steps[j]) or _has_inputs_of(steps[j], steps[i])):
                continue
            for length in range(1, min(second - first, len(numbers) - second) + 1):
                a, b = numbers[first + length - 1], numbers[second + length - 1]
                if not (_fits(steps[a], steps[b]) and _fits(steps[b], steps[a])):
                    break
                yield numbers[first : first + length], numbers[second : second + length]


def _has_inputs_of(step: Step, other: Step) -> bool:
    """Whether a pair's left operation has the inputs of the right one of another pair."""
    assert step.left
    assert other.right
    return pairing.closest(step.left.inputs, other.right.inputs)[0] < pairing.APART


def _fits(step: Step, other: Step) -> bool:
    """Whether a pair's left operation fits the right one of another pair as well as its own."""
    assert step.left
    assert step.right
    assert other.right
    return pairing.score(step.left, other.right) == pairing.score(step.left, step.right)


def _differing(check: Check) -> tuple[int, list[Step]]:
    """The number of inputs and outputs of paired layers with weights, and of outputs, that differ; and the
    steps in the traces that show it."""
    view = check.traces()
    steps = realigned(check.steps, *view)
    pairs = list(zip(view[0].outputs, view[1].outputs, strict=True))
    for step in steps:
        if step.left and step.right and step.left.weights:
            pairs += [(step.left.inputs, step.right.inputs), (step.left.outputs, step.right.outputs)]
    return sum(pairing.closest(*pair, check.flats)[0] > pairing.APART for pair in pairs), steps


def realigned(steps: list[Step], left: Trace, right: Trace) -> list[Step]:
    """The same alignment of newer traces."""
    return [
        Step(
            None if step.left is None else left.operations[step.left.index],
            None if step.right is None else right.operations[step.right.index],
        )
        for step in steps
    ]


def _keys(step: Step) -> list[str]:
    assert step.left
    return [f"{step.left.layer}.{name}" for name in step.left.weights]


def _carry(check: Check, names: Names, arrays: tuple[Mapping[str, Array], Mapping[str, Array]]) -> None:
    """Give one side the arrays of the other: the Keras side PyTorch's, unless only Keras' were given."""
    if check.carry_left:
        check.workers.left.ask("write", arrays=names.to_pytorch(arrays[1]))
    else:
        check.workers.right.ask("write", arrays=names.to_keras(arrays[0]))


def _require_partners(
    steps: list[Step], names: Names, left: Mapping[str, Array], right: Mapping[str, Array]
) -> None:
    """Raise InputError with both lists side by side if an array but a bias has no partner."""
    paired = {*names.partners.values()}, {*names.partners}
    alone = [
        [name for name in arrays if name not in partners and not name.endswith(".bias")]
        for arrays, partners in zip((left, right), paired, strict=True)
    ]
    norms = {f"{s.layer}" for step in steps for s in (step.left, step.right) if s and s.kind in pairing.NORMS}
    alone = [[name for name in side if name.rpartition(".")[0] not in norms] for side in alone]
    unpaired = [step for step in steps if _has_weights(step) and not (step.left and step.right)]
    if not any(alone) and not unpaired:
        return
    rows = [
        " | ".join("-" if s is None else f"{s.name} {s.shape}" for s in (step.left, step.right))
        for step in steps
        if any(s and s.weights for s in (step.left, step.right))
    ]
    outside = [name for side in alone for name in side if name.rpartition(".")[0] not in _layers(steps)]
    rest = f"; in no layer of either list: {', '.join(outside)}" if outside else ""
    raise InputError(f"The weights cannot be paired (PyTorch | Keras): {'; '.join(rows) or 'none'}{rest}.")


def _has_weights(step: Step) -> bool:
    return any(side is not None and bool(side.weights) for side in (step.left, step.right))


def _layers(steps: list[Step]) -> set[str]:
    return {str(side.layer) for step in steps for side in (step.left, step.right) if side}


def _missing_biases(check: Check, arrays: tuple[Mapping[str, Array], Mapping[str, Array]]) -> None:
    """Record biases, scales and offsets that one side lacks; they become neutral and are not trained."""
    writes: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for step in check.steps:
        if step.left is None or step.right is None:
            continue
        for side, (own, other) in enumerate(((step.left, step.right), (step.right, step.left))):
            for name in own.weights.keys() - other.weights.keys():
                if own.kind != other.kind:
                    continue
                key = f"{own.layer}.{name}"
                array = arrays[side][key]
                neutral = np.full_like(array, 1.0 if name in ("weight", "running_var") else 0.0)
                writes[side][key] = neutral
                check.frozen[side].add(key)
                apart = pairing.difference(array, neutral)
                cause = "missing-bias" if name == "bias" else "unknown"
                check.row(STAGE, f"{step.name}: {name} without a partner", apart or 1.0, 0.0)
                fix = causes.fix(cause, step.left, step.right)
                check.find(STAGE, step.name, cause, apart or 1.0, 0.0, fix)
    check.workers.both(
        "write",
        left={"arrays": writes[0], "frozen": sorted(check.frozen[0])},
        right={"arrays": writes[1], "frozen": sorted(check.frozen[1])},
    )
    check.mends.unknown.discard(STAGE)  # what has no partner is neutral now


def _compare(check: Check, left: Mapping[str, Array], right: Mapping[str, Array]) -> None:
    """Compare the weights that each side has of its own; they are the left one's afterwards."""
    found = check.names.to_pytorch(right)
    plain = pairing.names(check.steps, {}).to_pytorch(right)
    for step in check.steps:
        if step.left is None or step.right is None:
            continue
        keys = [key for key in _keys(step) if key in found]
        apart = max((pairing.difference(left[key], found[key]) for key in keys), default=0.0)
        if keys and check.row(STAGE, step.name, apart, 0.0):
            unpermuted = max(pairing.difference(left[key], plain[key]) for key in keys)
            cause = "unknown" if check.beyond(unpermuted, 0.0) else "flatten-order"
            check.find(STAGE, step.name, cause, apart, 0.0, causes.fix(cause, step.left, step.right))
    check.mends.unknown.discard(STAGE)  # both have the left one's weights now
