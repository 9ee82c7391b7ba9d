"""The number of a backend's arithmetic: runs are pooled only if the code that made them computed the same.

Each backend lists the changes of its arithmetic (`backends/*/numerics.py`). A change that can alter the last
digit of a run is added to that list by hand; rows recorded before it are then superseded for the networks
that it affects, and kept for all others (`python -m backends.superseded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.model.optimizer import Optimizer
from common.model.spec import ModelSpec


@dataclass(frozen=True)
class Change:
    """A change of a backend's arithmetic.

    `commit` is the first commit that has it. `affects` is true for a network and an optimizer whose runs it
    can alter.
    """

    commit: str
    description: str
    affects: Callable[[ModelSpec, Optimizer], bool]


def number(
    changes: Sequence[Change],
    network: ModelSpec,
    optimizer: Optimizer,
    *,
    has: Callable[[Change], bool] = lambda change: True,
) -> int:
    """The number, from 1, of the last of `changes` that affects `network` and that the code `has`; 0 if none
    does."""
    affecting = (index for index, change in enumerate(changes, 1) if change.affects(network, optimizer))
    return max((index for index in affecting if has(changes[index - 1])), default=0)


def every_run(network: ModelSpec, optimizer: Optimizer) -> bool:
    """True: the change alters every run."""
    return True


def layers(*kinds: type) -> Callable[[ModelSpec, Optimizer], bool]:
    """True for networks with a layer of one of `kinds`."""
    return lambda network, optimizer: any(isinstance(node.layer, kinds) for node in network.leaves())


def optimizers(*kinds: type) -> Callable[[ModelSpec, Optimizer], bool]:
    """True for runs with an optimizer of one of `kinds`."""
    return lambda network, optimizer: isinstance(optimizer, kinds)
