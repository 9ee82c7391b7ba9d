"""One run in several processes that torchrun started: gradients averaged, results added up, peers watched."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import distributed, nn

from common.training.backend import PeerLost
from common.training.distributed import TIMEOUT_SECONDS, World


def own_accelerator(device: torch.device) -> torch.device:
    """The accelerator of this process: torchrun starts a process for each."""
    if "LOCAL_RANK" not in os.environ:
        return device
    device = torch.device(device.type, int(os.environ["LOCAL_RANK"]))
    torch.accelerator.set_device_index(device.index)
    return device


def connect(world: World, device: torch.device) -> None:
    """Join the other processes of the run, once for this process."""
    if world.size > 1 and not distributed.is_initialized():
        kind = "nccl" if device.type == "cuda" else "gloo"
        with peer_errors(world):
            distributed.init_process_group(kind, timeout=datetime.timedelta(seconds=TIMEOUT_SECONDS))
        atexit.register(distributed.destroy_process_group)  # or gloo's threads may abort the process


def average_gradients(module: Any, world: World) -> Any:
    """`module` whose gradients are means over the processes.

    Each process normalises by its own images; running statistics are those of rank 0.
    """
    if world.size == 1:
        return module
    with peer_errors(world):
        return nn.parallel.DistributedDataParallel(module)


def total(values: torch.Tensor, world: World) -> NDArray[Any]:
    """Sum over all processes of the run, element by element."""
    if world.size > 1:
        distributed.all_reduce(values)
    array: NDArray[Any] = values.cpu().numpy()
    return array


@contextlib.contextmanager
def peer_errors(world: World) -> Iterator[None]:
    """Raise PeerLost where another process of the run has ended."""
    try:
        yield
    except RuntimeError as error:  # gloo has no error of its own for a connection that has closed
        no_memory = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if world.size == 1 or no_memory:
            raise
        raise PeerLost(str(error).splitlines()[0]) from error
