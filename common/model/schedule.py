"""Learning rate and momentum at each step: pure functions from a schedule to NumPy arrays.

A schedule is relative: its values are multiplied by the recipe's `lr`. All arrays are float64 of shape
(epochs * steps,), one value a training step, so both frameworks are given identical numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, assert_never

import numpy as np
from numpy.typing import NDArray

from common.checked import Between, Checked

Divisor = Annotated[float, Between(1e-6)]
"""Two of them, one after the other, leave a finite rate."""
Share = Annotated[float, Between(0, 1)]
Momentum = Annotated[float, Between(1e-6, 1, below=True)]
"""Never 0 at any step, not even by rounding: torch.optim.SGD leaves its velocity as it was in such a step."""


@dataclass(frozen=True)
class Constant(Checked):
    """The same rate at every step."""

    kind: ClassVar[str] = "Constant"


@dataclass(frozen=True)
class StepDecay(Checked):
    """Rate multiplied by `gamma` after every epoch (torch.optim.lr_scheduler.StepLR with step_size 1)."""

    kind: ClassVar[str] = "StepDecay"

    gamma: Annotated[float, Between(0, 1, above=True)]


@dataclass(frozen=True)
class Linear(Checked):
    """Straight lines through (`epochs[i]`, `factors[i]`), read once at the start of each epoch.

    The last of `epochs` is the length of run that it is designed for; a longer run stretches it.
    """

    kind: ClassVar[str] = "Linear"

    epochs: tuple[Annotated[float, Between(0)], ...]
    factors: tuple[Annotated[float, Between(0)], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = all(earlier < later for earlier, later in pairwise(self.epochs))
        if not self.epochs or not rising or not self.epochs[-1] > 0:
            self.refuse(f"epochs={self.epochs} must increase, to above 0")
        if len(self.factors) != len(self.epochs):
            self.refuse(f"factors={self.factors} must be {len(self.epochs)}, as many as epochs={self.epochs}")
        if not any(self.factors):
            self.refuse(f"factors={self.factors} must have one above 0")


@dataclass(frozen=True, kw_only=True)
class OneCycle(Checked):
    """Cosine up from `1 / start_div` to 1 in the first `warm_up` of all steps, then cosine down, per step.

    The end is `1 / (start_div * final_div)`. With `momentum` = (low, high) the momentum cycles the other way:
    high, low at the peak, high. Formulas and defaults of torch.optim.lr_scheduler.OneCycleLR (Smith and
    Topin, "Super-Convergence", 2018).
    """

    kind: ClassVar[str] = "OneCycle"

    warm_up: Share = 0.3
    start_div: Divisor = 25.0
    final_div: Divisor = 1e4
    momentum: tuple[Momentum, Momentum] | None = (0.85, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum and self.momentum[0] > self.momentum[1]:
            self.refuse(f"momentum={self.momentum} must be (low, high), the lower first")


Schedule = Constant | StepDecay | Linear | OneCycle


def rates(schedule: Schedule, *, lr: float, epochs: int, steps: int) -> NDArray[np.float64]:
    """Learning rate at each of `epochs` times `steps` steps, shape (epochs * steps,)."""
    match schedule:
        case Constant():
            factors = np.ones(epochs)
        case StepDecay():
            factors = schedule.gamma ** np.arange(epochs, dtype=np.float64)
        case Linear():
            stretch = max(epochs / schedule.epochs[-1], 1.0)
            factors = np.interp(np.arange(epochs), np.multiply(schedule.epochs, stretch), schedule.factors)
        case OneCycle():
            low = 1 / schedule.start_div
            return lr * _cycle(schedule.warm_up, epochs * steps, low, 1.0, low / schedule.final_div)
        case _:
            assert_never(schedule)
    return lr * np.repeat(factors, steps)


def span(schedule: Schedule, epochs: int) -> float:
    """Number of epochs that decides the rates of a schedule made for `epochs`: 0 where every number gives the
    same, and for lines that are stretched by longer runs only, the last of their epochs for shorter ones."""
    match schedule:
        case Constant() | StepDecay():
            return 0
        case Linear():
            return max(epochs, schedule.epochs[-1])
        case OneCycle():
            return epochs
        case _:
            assert_never(schedule)


def momenta(schedule: Schedule, *, epochs: int, steps: int) -> NDArray[np.float64] | None:
    """Momentum at each step, shape (epochs * steps,), or None where the schedule does not cycle it."""
    if not isinstance(schedule, OneCycle) or schedule.momentum is None:
        return None
    low, high = schedule.momentum
    return _cycle(schedule.warm_up, epochs * steps, high, low, high)


def _cycle(warm_up: float, total: int, start: float, peak: float, end: float) -> NDArray[np.float64]:
    """Half a cosine from `start` to `peak`, half a cosine from there to `end`, over `total` steps."""
    step = np.arange(total, dtype=np.float64)
    turn = warm_up * total - 1
    last = total - 1
    up = step / turn if turn > 0 else np.ones(total)
    down = (step - turn) / (last - turn) if last > turn else np.ones(total)
    rising = start + (peak - start) * (1 - np.cos(np.pi * np.clip(up, 0, 1))) / 2
    falling = peak + (end - peak) * (1 - np.cos(np.pi * np.clip(down, 0, 1))) / 2
    return np.where(step <= turn, rising, falling)
