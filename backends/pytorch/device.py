"""PyTorch's device: a CPU or an accelerator, set so that a run can be repeated bit by bit."""

from __future__ import annotations

import os
import shutil
import sys

import torch

from backends.pytorch import distributed
from common.training.backend import Unavailable


def choose(*, accelerate: bool, threads: int) -> torch.device:
    """The accelerator of this process if there is one that has double precision, in which losses are summed,
    and it is to be used, else the CPU."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # whose convolutions keep three digits
    torch.backends.cudnn.deterministic = True  # a run can be repeated, and resumed, bit by bit
    accelerator = torch.accelerator.current_accelerator(check_available=True) if accelerate else None
    if accelerator is None or accelerator.type == "mps":
        return torch.device("cpu")
    return distributed.own_accelerator(accelerator)


def name(place: torch.device) -> str:
    """`cpu`, or the kind of accelerator, with the name of the card."""
    return f"cuda ({torch.cuda.get_device_name(place)})" if place.type == "cuda" else place.type


def check_compiler(place: torch.device) -> None:
    """Raise Unavailable if torch.compile lacks the C++ compiler that it calls on a CPU."""
    compiler = os.environ.get("CXX", {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++"))
    if place.type == "cpu" and not shutil.which(compiler):
        raise Unavailable(
            f"--compile needs a C++ compiler; {compiler} is not on the PATH, nor CXX set to one."
        )
