"""What a training step costs over a loop that does nothing but step; what is imported for `--help`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import worker

from common.data import Dataset, Scaling, epoch_order
from common.zoo import ZOO

ROOT = Path(__file__).resolve().parents[1]
MOST = 1.25
SITTINGS = 3  # the machine may be shared: one quiet sitting is enough


@pytest.mark.parametrize(
    "framework, name, rounds", [("pytorch", "pytorch-model-1", 7), ("tensorflow", "tf-model-1", 20)]
)
def test_steps_cost_little_more_than_a_bare_loop(
    framework: str, name: str, rounds: int, mnist: Dataset
) -> None:
    """At batch 32, 100 steps a call as in a run; both loops in turn, the quickest of `rounds` each."""
    entry = ZOO[name]
    work = {
        "spec": entry.spec,
        "optimizer": entry.recipe.optimizer,
        "images": mnist.train.images[:, None],
        "scaling": Scaling(entry.recipe.mean, entry.recipe.std),
        "labels": mnist.train.labels.astype(np.int64),
        "order": epoch_order(60_000, batch_size=32, seed=1, epoch=1)[:100],
        "rate": np.full(100, entry.recipe.lr),
    }
    ratios: list[float] = []
    while len(ratios) < SITTINGS and min(ratios, default=MOST + 1) > MOST:
        ours, bare = worker.run(framework, "overhead", rounds=rounds, **work)
        ratios.append(ours / bare)
    assert min(ratios) <= MOST


@pytest.mark.parametrize("script", ["pytorch.py", "tf.py"])
def test_help_is_answered_at_once(script: str) -> None:
    """Well under the second that importing a framework takes; the quickest of several, as above."""
    command = [sys.executable, str(ROOT / script), "--help"]
    seconds = []
    for _ in range(8):
        begun = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.3
