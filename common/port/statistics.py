"""The stage of the statistics: what one batch in training mode, without dropout, leaves in every BatchNorm;
and what the dropout itself is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes, pairing
from common.port.check import DRAWS, Check
from common.port.hypotheses import Hypothesis, attributes
from common.port.pairing import Operation, Step

Array = NDArray[Any]
STAGE = "statistics"
ATTRIBUTES = ({"momentum"}, {"unbiased"}, {"momentum", "unbiased"})
"""Sets of attributes that are tried, the fewest first."""


@dataclass(frozen=True)
class Compared:
    """The difference at each BatchNorm by name, its floor, and the attributes that explain it."""

    differences: dict[str, float]
    floors: dict[str, float]
    beyond: list[Step]
    explained: dict[str, tuple[set[str], list[dict[str, Any]]]]

    @property
    def unexplained(self) -> list[Step]:
        """Steps whose difference no attribute of BatchNorm explains."""
        return [step for step in self.beyond if step.name not in self.explained]


def run(check: Check) -> None:
    """Compare running means and variances, then kind and rate of each dropout."""
    norms = [s for s in check.steps if s.left and s.right and s.left.kind == s.right.kind == "batchnorm"]
    if norms:
        compared = _compared(check, norms)
        if compared.unexplained:
            compared = _with_hidden(check, norms, compared)
        _record(check, norms, compared)
    for step in _dropouts(check.steps):
        _dropout(check, step)


def _dropouts(steps: Sequence[Step]) -> list[Step]:
    """Dropout of both sides in pairs: as aligned, else those with the same inputs, else those in other places
    between the same two layers with weights, in order."""
    both = [step for step in steps if "dropout" in _kinds(step) and step.left and step.right]
    # By the number of pairs with weights before each.
    lone: tuple[list[tuple[int, Operation]], ...] = ([], [])
    before = 0
    for step in steps:
        before += bool(step.left and step.right and step.left.weights)
        for side, operation, other in ((0, step.left, step.right), (1, step.right, step.left)):
            if operation is not None and other is None and operation.kind == "dropout":
                lone[side].append((before, operation))
    for same_inputs in (True, False):
        for place, left in list(lone[0]):
            for number, right in lone[1]:
                if (
                    pairing.closest(left.inputs, right.inputs)[0] < pairing.APART
                    if same_inputs
                    else place == number
                ):
                    both.append(Step(left, right))
                    lone[0].remove((place, left))
                    lone[1].remove((number, right))
                    break
    return [*both, *(Step(left, None) for _, left in lone[0]), *(Step(None, right) for _, right in lone[1])]


def _kinds(step: Step) -> set[str]:
    return {side.kind for side in (step.left, step.right) if side is not None}


def _compared(check: Check, norms: list[Step]) -> Compared:
    before, floors = _measured(check, norms)
    explained: dict[str, tuple[set[str], list[dict[str, Any]]]] = {}
    beyond = [step for step in norms if check.beyond(before[step.name], floors[step.name])]
    for names in ATTRIBUTES if beyond else ():
        tried: dict[str, list[dict[str, Any]]] = {}  # several for a layer that is called several times
        for step in beyond:
            assert step.left
            assert step.right
            wanted = {name: step.left.attributes[name] for name in names}
            if step.name not in explained and wanted.items() - step.right.attributes.items():
                wanted["momentum"] = wanted.get("momentum", step.right.attributes["momentum"]) or 1.0
                tried.setdefault(step.name, []).append({"index": step.right.index, "attributes": wanted})
        together = [mend for mends in tried.values() for mend in mends]
        check.workers.right.ask("mend", mends=[*check.mends.right, *together])
        after = _differences(check, norms, check.workers.both("statistics"))
        check.mend()
        for step in beyond:
            if step.name in tried and not check.beyond(after[step.name], floors[step.name]):
                explained[step.name] = names, tried[step.name]
    return Compared(before, floors, beyond, explained)


def _with_hidden(check: Check, norms: list[Step], compared: Compared) -> Compared:
    """The comparison with the fewest attributes of other layers mended that explain it, which are recorded;
    as it is if they do not. In inference a layer may get values too small to show what it does: a deep
    network's that is not trained yet."""
    hidden = [
        hypothesis
        for number, step in enumerate(check.steps)
        if step.left and step.right and step.left.kind != "batchnorm"
        for hypothesis in attributes(step, check.steps, number)
    ]
    base, place = list(check.mends.right), compared.unexplained[0].name

    def mended(parts: Sequence[Hypothesis]) -> Compared:
        check.mends.right = [*base, *(mend for part in parts for mend in part.mends)]
        check.mend()
        return _compared(check, norms)

    result = mended(hidden) if hidden else compared
    if result.unexplained:
        check.mends.right = base
        check.mend()
        return compared
    for part in list(hidden):
        if not mended(others := [other for other in hidden if other is not part]).unexplained:
            hidden = others
    for part in hidden:
        apart, floor = compared.differences[place], compared.floors[place]
        check.find(STAGE, part.where, part.cause, apart, floor, part.fix)
    return mended(hidden)


def _record(check: Check, norms: list[Step], compared: Compared) -> None:
    """Record all comparisons and what explains them, and mend it."""
    for step in norms:
        apart, floor = compared.differences[step.name], compared.floors[step.name]
        check.row(STAGE, step.name, apart, floor)
        if step.name in compared.explained:
            names, mends = compared.explained[step.name]
            check.mends.right += [mend for mend in mends if mend not in check.mends.right]
            for name in sorted(names):
                cause = causes.BY_ATTRIBUTE["batchnorm", name]
                fix = causes.fix(cause, step.left, step.right)
                check.find(STAGE, step.name, cause, apart, floor, fix)
        elif step in compared.beyond:
            check.find(STAGE, step.name, "unknown", apart, floor, causes.both("", ""))
    check.mend()
    mended = check.workers.both("statistics")
    for step in norms:
        _rounding(check, step, mended)


def _measured(check: Check, norms: list[Step]) -> tuple[dict[str, float], dict[str, float]]:
    """The difference at each BatchNorm, and its floor: what a move of one unit makes on either side."""
    answers = check.workers.both("statistics")
    floors = dict.fromkeys((step.name for step in norms), check.epsilon)
    for step in norms:
        floors[step.name] = max(floors[step.name], _rounding(check, step, answers))
    for seed in DRAWS:
        moved = check.workers.both("statistics", left={"ulp": seed}, right={"ulp": seed})
        for step in norms:
            for side, operation in enumerate((step.left, step.right)):
                for name in _names(operation):
                    change = pairing.difference(answers[side][name], moved[side][name])
                    floors[step.name] = max(floors[step.name], change)
    return _differences(check, norms, answers), floors


def _rounding(check: Check, step: Step, answers: tuple[Mapping[str, Array], Mapping[str, Array]]) -> float:
    """Largest distance of either side's statistics from its own in double precision."""
    return max(
        (
            check.rounding((STAGE, side, name), answers[side][name])
            for side, operation in enumerate((step.left, step.right))
            for name in _names(operation)
        ),
        default=0.0,
    )


def _differences(
    check: Check, norms: list[Step], answers: tuple[Mapping[str, Array], Mapping[str, Array]]
) -> dict[str, float]:
    right = check.names.to_pytorch(answers[1])
    return {
        step.name: max(
            (
                pairing.difference(answers[0][name], right[name])
                for name in _names(step.left)
                if name in right
            ),
            default=0.0,
        )
        for step in norms
    }


def _names(operation: Operation | None) -> list[str]:
    assert operation
    return [f"{operation.layer}.{name}" for name in operation.weights if name.startswith("running_")]


def _dropout(check: Check, step: Step) -> None:
    """Record dropout of another kind or rate. Masks are random, so kinds and rates are read, not measured."""
    kinds = [_kind(step.left), _kind(step.right)]
    if kinds[0] == kinds[1] or (None in (step.left, step.right) and _found_active(check, step)):
        check.row(STAGE, step.name, 0.0, 0.0)
        return
    apart = 1.0 if kinds[0][1] != kinds[1][1] else abs(kinds[0][0] - kinds[1][0])
    check.row(STAGE, step.name, apart, 0.0, "differs")
    fix = causes.fix("dropout-kind", step.left, step.right)
    check.find(STAGE, step.name, "dropout-kind", apart, 0.0, fix)


def _found_active(check: Check, step: Step) -> bool:
    """Whether the dropout of one side alone was found active in inference mode: one finding is enough."""
    return any(f.cause == "dropout-active" and f.where == step.name for f in check.report.findings)


def _kind(operation: Operation | None) -> tuple[float, bool]:
    """Rate, and whether whole channels are dropped, where they are more than single values."""
    if operation is None or not operation.attributes["rate"]:
        return 0.0, False
    rate = float(np.round(operation.attributes["rate"], 7))
    return rate, bool(operation.attributes["channels"] and operation.inputs.ndim > 2)
