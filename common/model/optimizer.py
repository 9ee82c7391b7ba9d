"""Update rules with their constants and slots: PyTorch's formulas, for every framework.

The learning rate comes from the schedule, and so does momentum where the schedule cycles it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from common.checked import Between, Checked

Share = Annotated[float, Between(0, 1, below=True)]
Positive = Annotated[float, Between(0, above=True)]


@dataclass(frozen=True, kw_only=True)
class SGD(Checked):
    """v = momentum * v + g; w -= lr * v, or w -= lr * (g + momentum * v) with Nesterov.

    (torch.optim.SGD: the rate stays outside the velocity.)
    """

    kind: ClassVar[str] = "SGD"

    momentum: Share = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            self.refuse(f"nesterov=True requires a momentum above 0, not {self.momentum}")


@dataclass(frozen=True, kw_only=True)
class Adam(Checked):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= lr m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t) and v' = v / (1 - b2^t): eps is added after the bias correction (torch.optim.Adam;
    Kingma and Ba, 2015).
    """

    kind: ClassVar[str] = "Adam"

    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Positive = 1e-8


@dataclass(frozen=True, kw_only=True)
class Adadelta(Checked):
    """a = rho a + (1 - rho) g^2; d = g sqrt(b + eps) / sqrt(a + eps); b = rho b + (1 - rho) d^2; w -= lr d.

    (torch.optim.Adadelta; Zeiler, 2012.)
    """

    kind: ClassVar[str] = "Adadelta"

    rho: Share = 0.9
    eps: Positive = 1e-6


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
