"""Of the processes that make one run together, which one is this? Their launcher says so in the environment:
torchrun in variables, TensorFlow's users in TF_CONFIG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.frameworks import FRAMEWORKS

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class LauncherError(Exception):
    """What the launcher says makes no sense; the message is for the person at the terminal."""


@dataclass(frozen=True)
class World:
    """Process `rank`, from 0, `of` so many, `here` of them on this machine. Process 0 tells of the run and
    writes its rows."""

    rank: int = 0
    size: int = 1
    local_size: int = 1

    def shard(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process' images of each batch: order (steps, batch) to (steps, batch / of)."""
        return np.ascontiguousarray(order[:, self.rank :: self.size])

    def seed(self, seed: int) -> int:
        """Of what a process draws itself; process 0 draws what a run in one process does."""
        return seed + 1_000_003 * self.rank


def read_world(framework: str, environment: Mapping[str, str]) -> World:
    """What is said in `environment` to a process of `framework`. Raises ShareError."""
    found = (
        _of_torchrun(environment)
        if FRAMEWORKS[framework].launcher == "torchrun"
        else _of_tf_config(environment)
    )
    if not 0 <= found.rank < found.size:
        raise LauncherError(f"Process {found.rank} of {found.size} cannot be: they are counted from 0.")
    return found


def _of_torchrun(environment: Mapping[str, str]) -> World:
    if not all(name in environment for name in TORCHRUN):
        return World()
    try:
        rank, of, here = (
            int(environment.get(name, 1)) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        )
    except ValueError:
        raise LauncherError("RANK and WORLD_SIZE, which torchrun sets, must be whole numbers.") from None
    return World(rank, of, here)


def _of_tf_config(environment: Mapping[str, str]) -> World:
    text = environment.get("TF_CONFIG", "")
    if not text:
        return World()
    try:
        config: dict[str, Any] = json.loads(text)
        chiefs, workers = (config["cluster"].get(kind, []) for kind in ("chief", "worker"))
        kind, index = config["task"]["type"], int(config["task"]["index"])
        own = {"chief": chiefs, "worker": workers}[kind]
        if not 0 <= index < len(own):
            raise ValueError
        machines = [address.rpartition(":")[0] for address in (*chiefs, *workers)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LauncherError(
            'TF_CONFIG must be like {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
            '"index": 0}}, the index that of this process.'
        ) from None
    rank = index if kind == "chief" else len(chiefs) + index
    return World(rank, len(machines), machines.count(machines[rank]))
