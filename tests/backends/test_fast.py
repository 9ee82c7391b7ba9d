"""What makes the frameworks quicker changes no number, and is there in a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from support import worker

from common.model.spec import Dropout, ModelSpec
from common.model.zoo import ZOO
from common.training.backend import LoaderOptions

ROOT = Path(__file__).resolve().parents[2]


def printed(program: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words that a program of its own process prints."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return done.stdout.split()


@pytest.mark.parametrize("name", ["pytorch-model-1", "examples-cnn"])
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


def test_images_are_laid_out_as_most_layers_are_quick_at() -> None:
    """Channels last, unless more than a third of the convolutions have few channels normalised after them."""
    program = (
        "import torch\nfrom backends.pytorch import fast\n"
        "from common.model import BatchNorm, Conv, Flatten, ModelSpec\n"
        "from common.training.backend import Execution\n"
        "def of(*layers):\n"
        "    spec = ModelSpec('a', (*layers, Flatten()))\n"
        "    return fast.memory_format(torch.contiguous_format, spec, Execution())\n"
        "print(of(Conv(16, 3), BatchNorm()), of(Conv(15, 3), BatchNorm()))\n"
        "print(of(*[Conv(8, 3)] * 3, BatchNorm()), of(*[Conv(8, 3)] * 2, BatchNorm()))\n"
    )
    last, first = "torch.channels_last", "torch.contiguous_format"
    assert printed(program) == [last, first, last, first]


def test_tensorflow_convolves_with_onednn_on_every_cpu() -> None:
    """By default it does so only where the CPU has AVX-512 VNNI."""
    program = (
        "import tf\nfrom tensorflow.python.util import _pywrap_util_port as port\nprint(port.IsMklEnabled())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    assert printed(program, environment) == ["True"]


@pytest.mark.slow
def test_a_run_in_pytorch_leaves_its_compiler_out() -> None:
    """torch._dynamo is a second of every start; nothing but --compile needs it."""
    program = (
        "import sys, numpy as np, pytorch\n"
        "from common.training.backend import Execution\nfrom common.model.zoo import ZOO\n"
        "backend = pytorch.Backend(accelerate=False, threads=1)\n"
        "for name in ('tf-model-1', 'examples-cnn', 'nextjournal'):\n"
        "    entry = ZOO[name]\n"
        "    model = backend.build(entry.spec, entry.recipe.optimizer, execution=Execution(), seed=1)\n"
        "    images, order = np.zeros((4, 1, 28, 28), np.uint8), np.zeros((1, 4), np.int64)\n"
        "    model.train_steps(images, np.zeros(4, np.int64), order, np.ones(1))\n"
        "    model.state_dict()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert printed(program) == ["False"]
