"""Update rules of both frameworks in NumPy, with every point in which they differ as a setting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Rule:
    """An update rule.

    `epsilon_place` is "after" the bias correction or the root (PyTorch), or "before" it (Keras); `rate_place`
    is "outside" (PyTorch) or "inside" (Keras) the velocity; `decay_kind` is "coupled", added to the gradient,
    or "decoupled", taken from the weight; `clip` is ("norm", of each array), ("global", norm of all) or
    ("value", of each number), with its limit.
    """

    kind: str
    rate: float
    momentum: float = 0.0
    nesterov: bool = False
    dampening: float = 0.0
    decay: float = 0.0
    decay_kind: str = "decoupled"
    epsilon: float = 0.0
    epsilon_place: str = "after"
    rate_place: str = "outside"
    betas: tuple[float, float] = (0.9, 0.999)
    correction: tuple[float, float] = (0.9, 0.999)  # the betas of Adam's bias correction
    rho: float = 0.9
    start: float = 0.0  # of Adagrad's accumulator
    amsgrad: bool = False
    centered: bool = False
    clip: tuple[str, float] | None = None
    slack: float = 0.0  # added to the norms of clipping


KINDS = {
    "SGD": "sgd",
    "Adam": "adam",
    "AdamW": "adam",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
}
"""The kind of rule of a class of either framework."""


def pytorch(classes: Sequence[str], settings: Mapping[str, Any]) -> Rule | None:
    """The rule of the first known class of torch.optim, with its group's settings; None if none is known."""
    name = next((name for name in classes if name in KINDS), None)
    if name is None or settings.get("maximize"):
        return None
    first, second = settings.get("betas", (0.9, 0.999))
    betas = float(first), float(second)
    decoupled = name == "AdamW" or settings.get("decoupled_weight_decay", False)
    return Rule(
        kind=KINDS[name],
        rate=float(settings["lr"]),
        momentum=float(settings.get("momentum", 0.0)),
        nesterov=bool(settings.get("nesterov")),
        dampening=float(settings.get("dampening", 0.0)),
        decay=float(settings.get("weight_decay", 0.0)),
        decay_kind="decoupled" if decoupled else "coupled",
        epsilon=float(settings.get("eps", 0.0)),
        epsilon_place="both" if name == "Adadelta" else "after",
        betas=betas,
        correction=betas,
        rho=float(settings.get("rho", settings.get("alpha", 0.9))),
        start=float(settings.get("initial_accumulator_value", 0.0)),
        amsgrad=bool(settings.get("amsgrad")),
        centered=bool(settings.get("centered")),
        slack=1e-6,  # of nn.utils.clip_grad_norm_
    )


def keras(classes: Sequence[str], settings: Mapping[str, Any]) -> Rule | None:
    """The rule of the first known class of keras.optimizers, with its settings; None if none is known.

    Keras casts some constants to the weights' precision from single precision, in which they are rounded.
    """
    name = next((name for name in classes if name in KINDS), None)
    if name is None or settings.get("schedule") or settings.get("use_ema"):
        return None
    clips = {"clipnorm": "norm", "global_clipnorm": "global", "clipvalue": "value"}
    clip = next(((kind, float(settings[key])) for key, kind in clips.items() if settings.get(key)), None)

    def rounded(key: str, default: float) -> float:
        value = settings.get(key)
        return float(np.float32(default if value is None else value))

    return Rule(
        kind=KINDS[name],
        rate=float(settings["learning_rate"]),
        momentum=rounded("momentum", 0.0) if name == "SGD" else float(settings.get("momentum", 0.0)),
        nesterov=bool(settings.get("nesterov")),
        decay=rounded("weight_decay", 0.0),
        epsilon=float(settings.get("epsilon", 0.0)),
        epsilon_place="both" if name == "Adadelta" else "before",
        rate_place="inside",
        betas=(float(settings.get("beta_1", 0.9)), float(settings.get("beta_2", 0.999))),
        correction=(rounded("beta_1", 0.9), rounded("beta_2", 0.999)),
        rho=float(settings.get("rho", 0.9)),
        start=rounded("initial_accumulator_value", 0.0),
        amsgrad=bool(settings.get("amsgrad")),
        centered=bool(settings.get("centered")),
        clip=clip,
    )


def without_rounding(rule: Rule, other: Rule) -> Rule:
    """The rule with the other one's constants where the two are the same in single precision."""

    def same(name: str) -> bool:
        own, wanted = getattr(rule, name), getattr(other, name)
        return own is not None and np.array_equal(np.float32(own), np.float32(wanted))

    names = [name for name in ("momentum", "correction", "start", "decay") if same(name)]
    names += ["slack"] if rule.clip == other.clip else []
    return replace(rule, **{name: getattr(other, name) for name in names})


class Optimizer:
    """A rule with its state for weights of any names, which `step` updates."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.steps = rule, 0
        self.state: dict[str, dict[str, Array]] = {}

    def step(self, weights: Arrays, gradients: Arrays, factor: float = 1.0) -> dict[str, Array]:
        """The weights after one step at the rule's rate times a factor."""
        self.steps += 1
        rule, rate = self.rule, self.rule.rate * factor
        result = {}
        for name, g in clipped(rule.clip, gradients, rule.slack).items():
            w = weights[name]
            if rule.decay and rule.decay_kind == "coupled":
                g = g + rule.decay * w
            elif rule.decay:
                w = w - rule.decay * rate * w
            result[name] = w - self._change(self.state.setdefault(name, {}), g, rate)
        return result

    def _change(self, state: dict[str, Array], g: Array, rate: float) -> Array:
        rule, zeros = self.rule, np.zeros_like(g)
        match rule.kind:
            case "sgd":
                return self._momentum(state, g, rate)
            case "adam":
                first, second = rule.betas
                m = state["m"] = first * state.get("m", zeros) + (1 - first) * g
                v = state["v"] = second * state.get("v", zeros) + (1 - second) * g * g
                if rule.amsgrad:
                    v = state["max"] = np.maximum(state.get("max", zeros), v)
                corrected = math.sqrt(1 - rule.correction[1] ** self.steps)
                rate = rate / (1 - rule.correction[0] ** self.steps)
                if rule.epsilon_place == "after":
                    return rate * m / (np.sqrt(v) / corrected + rule.epsilon)
                return rate * corrected * m / (np.sqrt(v) + rule.epsilon)
            case "rmsprop":
                v = state["v"] = rule.rho * state.get("v", zeros) + (1 - rule.rho) * g * g
                if rule.centered:
                    mean = state["mean"] = rule.rho * state.get("mean", zeros) + (1 - rule.rho) * g
                    v = v - mean * mean
                return self._momentum(state, g / self._root(v), rate)
            case "adagrad":
                v = state["v"] = state.get("v", zeros + rule.start) + g * g
                return rate * g / self._root(v)
        a = state["a"] = rule.rho * state.get("a", zeros) + (1 - rule.rho) * g * g
        change = g * np.sqrt(state.get("b", zeros) + rule.epsilon) / np.sqrt(a + rule.epsilon)
        state["b"] = rule.rho * state.get("b", zeros) + (1 - rule.rho) * change * change
        return np.asarray(rate * change)

    def _root(self, v: Array) -> Array:
        if self.rule.epsilon_place == "after":
            return np.asarray(np.sqrt(v) + self.rule.epsilon)
        return np.asarray(np.sqrt(v + self.rule.epsilon))

    def _momentum(self, state: dict[str, Array], g: Array, rate: float) -> Array:
        """The change by a velocity of g, with the rate in its place."""
        rule = self.rule
        if not rule.momentum:
            return rate * g
        scaled = rate * g if rule.rate_place == "inside" else g
        own = scaled * (1 - rule.dampening) if "velocity" in state else scaled
        v = state["velocity"] = rule.momentum * state.get("velocity", np.zeros_like(g)) + own
        change = scaled + rule.momentum * v if rule.nesterov else v
        return np.asarray(change if rule.rate_place == "inside" else rate * change)


def clipped(clip: tuple[str, float] | None, gradients: Arrays, slack: float = 0.0) -> dict[str, Array]:
    """Gradients within a limit; a `global` norm is that of all of them together."""
    if clip is None:
        return dict(gradients)
    kind, limit = clip
    if kind == "value":
        return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}
    if kind == "global":
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients.values()))
        return {name: g * min(1.0, limit / (norm + slack)) if norm else g for name, g in gradients.items()}
    norms = {name: math.sqrt(float((g * g).sum())) for name, g in gradients.items()}
    return {n: g * min(1.0, limit / (norms[n] + slack)) if norms[n] else g for n, g in gradients.items()}


def trajectory(
    rule: Rule, weights: Arrays, gradients: Sequence[Arrays], factors: Sequence[float]
) -> list[dict[str, Array]]:
    """The weights after each step on given gradients."""

    def steps() -> Iterator[dict[str, Array]]:
        optimizer, current = Optimizer(rule), dict(weights)
        for step, factor in zip(gradients, factors, strict=True):
            current = optimizer.step(current, step, factor)
            yield current

    return list(steps())
