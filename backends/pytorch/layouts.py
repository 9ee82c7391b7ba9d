"""Canonical names and layouts are PyTorch's own: this gathers a model's tensors under them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.model.optimizer import Optimizer, slots


def variables(
    module: nn.Module, optimizer: torch.optim.Optimizer, kind: Optimizer
) -> Iterator[tuple[str, torch.Tensor]]:
    """Each canonical name with the tensor that holds its array; slots are zeros before the first step.

    BatchNorm's count of batches, a scalar, is left out: nothing uses it.
    """
    for name, tensor in module.state_dict().items():
        if tensor.ndim:
            yield name, tensor
    for name, weight in module.named_parameters():
        state = optimizer.state[weight]
        for slot in slots(kind):
            yield f"optimizer.{slot}.{name}", state.get(slot, torch.zeros_like(weight))


def prepare_slots(module: nn.Module, optimizer: torch.optim.Optimizer, kind: Optimizer, steps: int) -> None:
    """Give the optimizer the slots that it would make in its first step, and the number of steps taken."""
    for weight in module.parameters():
        state = {slot: torch.zeros_like(weight) for slot in slots(kind)}
        optimizer.state[weight] = {"step": torch.tensor(float(steps), device=weight.device), **state}


def generators(device: torch.device) -> Iterator[tuple[str, torch.Tensor]]:
    """The state of each random generator that a run on `device` draws dropout masks from."""
    yield "random.pytorch", torch.get_rng_state()
    if device.type == "cuda":
        yield "random.pytorch.cuda", torch.cuda.get_rng_state(device)


def set_generators(device: torch.device, state: Mapping[str, NDArray[Any]]) -> None:
    """Set the generators from what `generators` gave, those that `state` has."""
    states = {
        name: torch.from_numpy(np.array(array)) for name, array in state.items() if name.startswith("random.")
    }
    if "random.pytorch" in states:
        torch.set_rng_state(states["random.pytorch"])
    if device.type == "cuda" and "random.pytorch.cuda" in states:
        torch.cuda.set_rng_state(states["random.pytorch.cuda"], device)
