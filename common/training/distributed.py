"""Rank and world size of this process, read from the environment that a launcher sets: torchrun's variables,
or TF_CONFIG for TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.frameworks import FRAMEWORKS

MAX_PROCESSES = 65_536
TIMEOUT_SECONDS = 60
"""Patience of a process that waits for another process of its run."""
TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class LauncherError(Exception):
    """The launcher's variables contradict each other; the message is for the person at the terminal."""


@dataclass(frozen=True)
class World:
    """The processes that make one run together: the `rank` of this one, from 0, their number `size`, and the
    number `local_size` of those on this machine. Rank 0 reports the run and writes its rows."""

    rank: int = 0
    size: int = 1
    local_size: int = 1

    def shard(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of each batch: order (steps, batch) to (steps, batch / size)."""
        return np.ascontiguousarray(order[:, self.rank :: self.size])

    def seed(self, seed: int) -> int:
        """Seed of the numbers that this process draws itself; rank 0 draws those of a run in one process."""
        return (seed + 1_000_003 * self.rank) % 2**32


def read_world(framework: str, environment: Mapping[str, str]) -> World:
    """The world that `environment` describes to a process of `framework`. Raises LauncherError."""
    read = _read_torchrun if FRAMEWORKS[framework].launcher == "torchrun" else _read_tf_config
    world = read(environment)
    if not 0 <= world.rank < world.size:
        raise LauncherError(
            f"The launcher gives a process rank {world.rank}, which must be from 0 to {world.size - 1}."
        )
    return world


def _read_torchrun(environment: Mapping[str, str]) -> World:
    if not all(name in environment for name in TORCHRUN):
        return World()
    try:
        rank, size, local_size = (
            int(environment.get(name, 1)) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        )
        port = int(environment["MASTER_PORT"])
    except ValueError:
        raise LauncherError(
            "RANK, WORLD_SIZE, LOCAL_WORLD_SIZE and MASTER_PORT, which torchrun sets, must be whole numbers."
        ) from None
    if not 1 <= local_size <= MAX_PROCESSES or not 1 <= size <= MAX_PROCESSES:
        raise LauncherError(
            f"WORLD_SIZE {size} and LOCAL_WORLD_SIZE {local_size} must be from 1 to {MAX_PROCESSES:,}."
        )
    if not 0 <= port <= 65535:
        raise LauncherError(f"MASTER_PORT {port} must be from 0 to 65535.")
    if not environment["MASTER_ADDR"]:
        raise LauncherError("MASTER_ADDR, which torchrun sets, is empty: it must name the first machine.")
    return World(rank, size, local_size)


def _read_tf_config(environment: Mapping[str, str]) -> World:
    text = environment.get("TF_CONFIG", "")
    if not text:
        return World()
    try:
        config: dict[str, Any] = json.loads(text)
        chiefs, workers = (config["cluster"].get(kind, []) for kind in ("chief", "worker"))
        kind, index = config["task"]["type"], int(config["task"]["index"])
        own_kind = {"chief": chiefs, "worker": workers}[kind]
        lists = isinstance(chiefs, list) and isinstance(workers, list)
        if not lists or not 0 <= index < len(own_kind):
            raise ValueError
        machines = [address.rpartition(":")[0] for address in (*chiefs, *workers)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise LauncherError(
            'TF_CONFIG must be like {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
            '"index": 0}}, with the index of this process.'
        ) from None
    rank = index if kind == "chief" else len(chiefs) + index
    return World(rank, len(machines), machines.count(machines[rank]))
