"""Update rules with their constants and slots: PyTorch's formulas, for every framework.

The learning rate comes from the schedule, and so does momentum where the schedule cycles it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class SGD:
    """v = momentum * v + g; w -= lr * v, or w -= lr * (g + momentum * v) with Nesterov.

    (torch.optim.SGD: the rate stays outside the velocity.)
    """

    kind: ClassVar[str] = "SGD"

    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True)
class Adam:
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= lr m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t) and v' = v / (1 - b2^t): eps is added after the bias correction (torch.optim.Adam;
    Kingma and Ba, 2015).
    """

    kind: ClassVar[str] = "Adam"

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass(frozen=True)
class Adadelta:
    """a = rho a + (1 - rho) g^2; d = g sqrt(b + eps) / sqrt(a + eps); b = rho b + (1 - rho) d^2; w -= lr d.

    (torch.optim.Adadelta; Zeiler, 2012.)
    """

    kind: ClassVar[str] = "Adadelta"

    rho: float = 0.9
    eps: float = 1e-6


Optimizer = SGD | Adam | Adadelta

# Arrays kept for each weight, under torch's names; a checkpoint names them `optimizer.SLOT.WEIGHT`.
SLOTS: dict[type, tuple[str, ...]] = {
    SGD: ("momentum_buffer",),
    Adam: ("exp_avg", "exp_avg_sq"),
    Adadelta: ("square_avg", "acc_delta"),
}


def slots(optimizer: Optimizer) -> tuple[str, ...]:
    """Names of the arrays `optimizer` keeps for each weight; plain gradient descent keeps none."""
    if isinstance(optimizer, SGD) and not optimizer.momentum:
        return ()
    return SLOTS[type(optimizer)]
