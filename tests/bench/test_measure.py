"""What a training step costs over a loop that does nothing but step; what is imported for `--help`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import worker

from common.data.batches import Scaling, epoch_order
from common.data.datasets import Dataset
from common.model.spec import Dropout, ModelSpec
from common.model.zoo import ZOO
from common.training.backend import LoaderOptions

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize("name", ["pytorch-model-1-head", "examples-cnn"])
def test_quicker_layers_change_no_number(name: str, random: np.random.Generator) -> None:
    """Loss and gradients in double precision, dropout off: of the layers as they are written, as `--loader
    native` has them, and of those that a run takes."""
    layers = tuple(layer for layer in ZOO[name].spec.layers if not isinstance(layer, Dropout))
    work = {
        "spec": ModelSpec(name, layers),
        "optimizer": ZOO[name].recipe.optimizer,
        "images": random.normal(size=(8, 1, 28, 28)),
        "labels": random.integers(0, 10, 8),
        "precision": "float64",
    }
    plain = worker.run("pytorch", "gradients", feed=LoaderOptions(), **work)
    quick = worker.run("pytorch", "gradients", **work)
    for key, value in plain.items():
        np.testing.assert_allclose(quick[key], value, rtol=1e-10, atol=1e-13)


def test_a_run_in_pytorch_leaves_its_compiler_out() -> None:
    """torch._dynamo is a second of every start; nothing but --compile needs it."""
    program = (
        "import sys, numpy as np, pytorch\n"
        "from common.training.backend import Execution\nfrom common.model.zoo import ZOO\n"
        "backend = pytorch.PyTorch(accelerate=False, threads=1)\n"
        "for name in ('tf-model-1', 'examples-cnn', 'nextjournal'):\n"
        "    entry = ZOO[name]\n"
        "    model = backend.build(entry.spec, entry.recipe.optimizer, execution=Execution(), seed=1)\n"
        "    images, order = np.zeros((4, 1, 28, 28), np.uint8), np.zeros((1, 4), np.int64)\n"
        "    model.train_steps(images, np.zeros(4, np.int64), order, np.ones(1))\n"
        "    model.state_dict()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


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
