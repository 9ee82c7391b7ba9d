"""The stage of the optimizer: steps of both on the same gradients, with a change of the learning rate.

Each side's steps are repeated in NumPy from the settings that it has; then the Keras rule is given PyTorch's
settings, as few as bring the difference to the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.port import causes, updates
from common.port.check import ROUNDED, Check
from common.port.updates import Rule

Array = NDArray[Any]
STAGE = "optimizer"
SCALES = (1.0, 30.0, 0.3, 3.0, 0.1)
"""Of the gradients of each step in turn: large ones reach a limit of clipping, small ones an epsilon."""

CAUSES = {
    "rate": "learning-rate",
    "decay": "weight-decay",
    "decay_kind": "weight-decay-kind",
    "nesterov": "nesterov",
    "clip": "gradient-clipping",
    "epsilon": "optimizer-epsilon",
    "epsilon_place": "optimizer-epsilon-place",
    "rate_place": "momentum-learning-rate",
}
OTHERS = ("momentum", "dampening", "betas", "correction", "rho", "start", "amsgrad", "centered")
"""Settings that no cause is named for."""

LIMITS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0)
"""Limits of clipping that are tried where a user's own optimizer clips by itself."""


def run(check: Check) -> None:
    """Compare the weights after each step; find the settings that make the difference."""
    if not all(check.has_optimizer):
        missing = "neither file has" if not any(check.has_optimizer) else "only one file has"
        check.report.skipped |= dict.fromkeys((STAGE, "training"), f"{missing} an `optimizer`")
        return
    left, right = check.workers.both("optimizer")
    where = f"{left['classes'][0]} / {right['classes'][0]}"
    state = check.workers.left.ask("read")
    weights = {name: np.asarray(state[name], float) for name in check.trained}
    check.factors = factors(check.question.steps, scheduled="schedule" in right["settings"])
    gradients = _gradients(check, weights)
    actual = _steps(check, gradients)
    noise = _noise(check, weights, actual)
    apart, floor = worst(check, weights, *actual, noise=noise)
    if not check.beyond(apart, floor):
        check.row(STAGE, where, apart, floor)
        return

    def fits(rule: Rule, after: Sequence[Mapping[str, Array]]) -> bool:
        computed = updates.trajectory(rule, weights, gradients, check.factors)
        return not check.beyond(*worst(check, weights, after, computed, noise=noise))

    first = _described(updates.pytorch(left["classes"], left["settings"]), actual[0], fits)
    second = _described(updates.keras(right["classes"], right["settings"]), actual[1], fits)
    names = None
    if first is not None and second is not None and first.kind == second.kind:
        second = updates.without_rounding(second, first)
        names = _settings(first, second, lambda rule: fits(rule, actual[0]))
    check.row(STAGE, where, apart, floor, ROUNDED if names == [] else "differs")
    if names is None:
        check.find(STAGE, where, "unknown", apart, floor, causes.both("", ""))
        return
    assert first
    assert second
    for name in names:
        place = where if name in CAUSES else f"{where} ({name})"
        cause = CAUSES.get(name, "unknown")
        check.find(STAGE, place, cause, apart, floor, _fix(name, first, second))
    check.mends.unknown.discard(
        STAGE
    )  # every difference is a setting, named or not, and PyTorch's from here on
    check.mends.rule = first


def factors(steps: int, *, scheduled: bool = False) -> list[float]:
    """Factors of the learning rate: a tenth in the second half, but where a schedule sets the rate."""
    half = (steps + 1) // 2
    return [1.0] * steps if scheduled else [1.0] * half + [0.1] * (steps - half)


def _gradients(check: Check, weights: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Random gradients of many sizes for each step."""
    generator = np.random.default_rng(check.question.seed + 2)
    return [
        {
            name: SCALES[step % len(SCALES)]
            * generator.normal(size=array.shape)
            * 10 ** generator.uniform(-3, 0, array.shape)
            for name, array in weights.items()
        }
        for step in range(check.question.steps)
    ]


def _steps(
    check: Check, gradients: Sequence[Mapping[str, Array]]
) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    """The weights of both after each step, under PyTorch's names."""
    answers = check.workers.both(
        "optimize",
        left={"gradients": gradients, "factors": check.factors},
        right={"gradients": [check.names.to_keras(step) for step in gradients], "factors": check.factors},
    )
    return answers[0], [check.names.to_pytorch(step) for step in answers[1]]


def _noise(
    check: Check, start: Mapping[str, Array], actual: tuple[Sequence[Mapping[str, Array]], ...]
) -> list[dict[str, float]]:
    """For each step and array, how far the change since the start is from the same side's own in double
    precision: Keras computes Adam's bias correction, one minus nearly one, in the weights' precision."""
    return [
        {
            name: max(
                check.rounding((STAGE, side, step, name), after[step][name] - weights)
                for side, after in enumerate(actual)
            )
            for name, weights in start.items()
        }
        for step in range(check.question.steps)
    ]


def worst(
    check: Check,
    start: Mapping[str, Array],
    left: Sequence[Mapping[str, Array]],
    right: Sequence[Mapping[str, Array]],
    *,
    noise: Sequence[Mapping[str, float]],
) -> tuple[float, float]:
    """The largest difference of the changes since the start, relative to the largest change of an array; and
    its floor: a unit in the last place of the weights relative to that change, or the `noise`."""
    found = 0.0, check.epsilon
    for first, second, rounding in zip(left, right, noise, strict=True):
        for name, weights in start.items():
            a, b = first[name] - weights, second[name] - weights
            size = max(float(np.abs(a).max()), float(np.abs(b).max()))
            if not size:
                continue
            apart = float(np.abs(a - b).max()) / size
            unit = check.epsilon * float(np.abs(weights).max()) / size
            floor = max(check.epsilon, unit, rounding[name])
            if not np.isfinite(apart) or apart / floor > found[0] / found[1]:
                found = (apart if np.isfinite(apart) else np.inf), floor
    return found


def _described(rule: Rule | None, after: Sequence[Mapping[str, Array]], fits: Any) -> Rule | None:
    """The rule if it computes the steps, or the same with clipping; None if neither does."""
    if rule is None or fits(rule, after):
        return rule
    for kind in ("global", "norm", "value"):
        for limit in LIMITS:
            if fits(clipping := replace(rule, clip=(kind, limit)), after):
                return clipping
    return None


def _settings(left: Rule, right: Rule, fits: Any) -> list[str] | None:
    """The fewest settings of the left rule that make the right one compute what the left one does; None if
    all of them do not."""
    if not left.decay or not right.decay:
        right = replace(right, decay_kind=left.decay_kind)
    names = [name for name in (*CAUSES, *OTHERS) if getattr(left, name) != getattr(right, name)]

    def as_left(chosen: Sequence[str]) -> Rule:
        copied = [*chosen, "slack"] if "clip" in chosen else chosen
        return replace(right, **{name: getattr(left, name) for name in copied})

    if not fits(as_left(names)):
        return None

    for name in list(names):
        others = [other for other in names if other != name]
        if fits(as_left(others)):
            names = others
    return names


def _fix(name: str, left: Rule, right: Rule) -> dict[str, str]:
    """The argument of each side's optimizer that gives it the other one's setting."""
    match name:
        case "rate":
            return causes.both(f"lr={right.rate:g}", f"learning_rate={left.rate:g}")
        case "decay_kind" if left.decay_kind == "decoupled":
            return causes.both("torch.optim.Adam", f"keras.optimizers.AdamW(weight_decay={left.decay:g})")
        case "decay" | "decay_kind":
            return causes.both(_torch_decay(left, right.decay), _keras_decay(left))
        case "nesterov":
            return causes.both(f"nesterov={right.nesterov}", f"nesterov={left.nesterov}")
        case "epsilon":
            return causes.both(f"eps={right.epsilon:g}", f"epsilon={left.epsilon:g}")
        case "epsilon_place" | "rate_place" if left.kind not in ("adam", "sgd"):
            return causes.both("", "")
        case "epsilon_place":
            return causes.both(
                "a subclass of torch.optim.Adam that adds eps before the bias correction",
                "backends.tensorflow.parity.Adam, which adds epsilon after the bias correction",
            )
        case "rate_place":
            return causes.both(
                "momentum buffers times the old rate over the new one, at each change of the rate",
                "backends.tensorflow.parity.SGD, which has the rate outside the velocity",
            )
        case "clip":
            return causes.both(_torch_clip(right.clip), _keras_clip(left.clip))
        case "momentum" | "amsgrad" | "centered":
            return causes.both(f"{name}={getattr(right, name)}", f"{name}={getattr(left, name)}")
        case "betas":
            return causes.both(f"betas={right.betas}", "beta_1={}, beta_2={}".format(*left.betas))
        case "rho":
            argument = "rho" if left.kind == "adadelta" else "alpha"
            return causes.both(f"{argument}={right.rho:g}", f"rho={left.rho:g}")
        case "start":
            argument = "initial_accumulator_value"
            return causes.both(f"{argument}={right.start:g}", f"{argument}={left.start:g}")
    return causes.both("", "")


def _torch_decay(left: Rule, decay: float) -> str:
    """Keras' decoupled decay in PyTorch."""
    if not decay or left.decay_kind == "decoupled":
        return f"weight_decay={decay:g}"
    return (
        f"torch.optim.AdamW(weight_decay={decay:g}), whose decay is decoupled, or in SGD the decay times "
        "the rate, subtracted from the weights"
    )


def _keras_decay(left: Rule) -> str:
    """PyTorch's decay in Keras, whose optimizers have the decoupled one."""
    if not left.decay or left.decay_kind == "decoupled":
        return f"weight_decay={left.decay:g}"
    return (
        f"no weight_decay, and keras.regularizers.L2({left.decay / 2:g}), which adds it to the gradient, as "
        "kernel_regularizer, bias_regularizer, gamma_regularizer and beta_regularizer of the layers"
    )


def _torch_clip(clip: tuple[str, float] | None) -> str:
    if clip is None:
        return "no clipping"
    kind, limit = clip
    if kind == "value":
        return f"nn.utils.clip_grad_value_(parameters, {limit:g}) before each step of the optimizer"
    each = "parameters" if kind == "global" else "parameter, for each one alone"
    return f"nn.utils.clip_grad_norm_({each}, {limit:g}) before each step of the optimizer"


def _keras_clip(clip: tuple[str, float] | None) -> str:
    if clip is None:
        return "no clipping"
    names = {"global": "global_clipnorm", "norm": "clipnorm", "value": "clipvalue"}
    return f"{names[clip[0]]}={clip[1]:g}"
