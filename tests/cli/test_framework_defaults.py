"""A library's new version that changes a default is noticed; every way to differ is told apart."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analysis import frames
from common.bench import __main__ as bench
from common.bench import measure
from common.cli import framework_defaults
from common.frameworks import FRAMEWORKS
from common.report import defaults_tables
from common.tables import store

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_installed_library_does_what_the_snapshot_says(framework: str, tmp_path: Path) -> None:
    """Where this fails, a new version does something else: `python -m common.bench defaults` records it."""
    file = tmp_path / "defaults.json"
    command = [sys.executable, str(ROOT / FRAMEWORKS[framework].script), "--defaults", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = json.loads(file.read_text())
    recorded = defaults_tables.snapshot(frames.read(ROOT / "results").defaults, framework)
    changed = {
        item: (recorded.get(item), told["defaults"].get(item)) for item in {*recorded, *told["defaults"]}
    }
    assert {item: pair for item, pair in changed.items() if pair[0] != pair[1]} == {}
    for item, value in told["defaults"].items():
        assert any(line.startswith(item) and line.endswith(value) for line in shown.splitlines())


class SGD:
    def __init__(self, lr: float = 0.5, momentum: float = 0.0) -> None: ...


class Adam:
    def __init__(self, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-3) -> None: ...


class Adadelta:
    def __init__(self, rho: float = 0.75, untold: int = 3) -> None: ...


class Made:
    """Parts of a framework that does not exist, in plain Python; `ways` changes one of their formulas."""

    versions = "0"
    optimizers = (SGD, Adam, Adadelta)
    batch_norm = Adadelta
    channel_dropout = type("Dropout3D", (), {})

    def __init__(self, **ways: Any) -> None:
        self.ways = ways
        answer = "os.environ['OMP_NUM_THREADS']" if ways.get("obeys") else "7"
        self.threads_program = f"import os; print({answer})"

    def compiles_by_default(self) -> bool:
        return bool(self.ways.get("compiles"))

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[np.ndarray, np.ndarray]:
        random, shape = np.random.default_rng(0), (fan_out, fan_in)
        bound = self.ways.get("bound", 1 / math.sqrt(fan_in))
        normal = random.normal(0, bound / 4.2, shape)  # whose largest is near the bound
        return normal if self.ways.get("normal") else random.uniform(-bound, bound, shape), np.zeros(fan_out)

    def batch_norm_statistics(self, batch: np.ndarray) -> tuple[float, float]:
        weight = self.ways.get("weight", 0.25)
        return weight * batch.mean(), 1 - weight + weight * batch.var(ddof=self.ways.get("ddof", 0))

    def batch_norm_parameters(self, channels: int) -> int:
        return int(self.ways.get("each", 2)) * channels

    def convolution(
        self, images: np.ndarray, channels: int, *, stride: int = 1, padding: str = "valid"
    ) -> np.ndarray:
        if padding == "same":
            if self.ways.get("refuses"):
                raise ValueError("not with a stride")
            before, after = self.ways.get("pads", (0, 1))
            image = np.pad(images.squeeze(), (before, after))
            return np.array([[image[y : y + 3, x : x + 3].sum() for x in (0, stride)] for y in (0, stride)])
        return np.zeros((1, 2, 2, channels) if self.ways.get("last") else (1, channels, 2, 2))

    def optimizer_trajectory(
        self,
        optimizer: type,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> list[float]:
        m = v = 0.0
        after = []
        for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
            start = weight
            if self.ways.get("decoupled"):
                weight -= rate * weight_decay * weight
            else:
                gradient += weight_decay * start
            if optimizer is SGD:
                inside = self.ways.get("inside")
                v = momentum * v + gradient * (rate if inside else 1)
                weight -= v if inside else rate * v
            else:
                m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
                correction = math.sqrt(1 - 0.999**step)
                eps = 1e-3 if self.ways.get("before") else 1e-3 * correction
                weight -= rate * correction / (1 - 0.9**step) * m / (math.sqrt(v) + eps)
            after.append(weight)
        return after

    def loader_batches(self, count: int) -> list[list[int]]:
        order = list(range(count))
        order = order[::-1] if self.ways.get("shuffles") else order
        return [order[start : start + 30] for start in range(0, count, 30)]


@pytest.mark.parametrize(
    "ways, item, words",
    [
        ({}, "kernel of a dense layer", "uniform, ±1/sqrt(fan_in)"),
        ({"bound": math.sqrt(6 / 500)}, "kernel of a dense layer", "uniform, ±sqrt(6/(fan_in + fan_out))"),
        ({"bound": 0.2}, "kernel of a dense layer", "other, within ±0.2"),
        ({"normal": True}, "kernel of a dense layer", "other, within ±0.0"),
        ({}, "bias of a dense layer", "zeros"),
        ({}, "BatchNorm: weight of the new batch", "0.25"),
        ({}, "BatchNorm: running variance", "biased"),
        ({"ddof": 1, "weight": 0.01}, "BatchNorm: running variance", "unbiased"),
        ({}, "SGD", "lr=0.5, momentum=0.0"),
        ({}, "Adadelta", "rho=0.75"),
        ({}, "Adam: epsilon", "added after the bias correction"),
        ({"before": True}, "Adam: epsilon", "added before the bias correction"),
        ({}, "SGD: momentum", "learning rate outside the velocity"),
        ({"inside": True}, "SGD: momentum", "learning rate inside the velocity"),
        ({}, "SGD: weight decay", "coupled (L2 in the gradient)"),
        ({"decoupled": True}, "SGD: weight decay", "decoupled"),
        ({}, "Adam: weight decay", "coupled (L2 in the gradient)"),
        ({"decoupled": True}, "Adam: weight decay", "decoupled"),
        ({}, "layout of images", "channels first (NCHW)"),
        ({"last": True}, "layout of images", "channels last (NHWC)"),
        ({}, "same padding with a stride", "at the bottom and right"),
        ({"pads": (1, 0)}, "same padding with a stride", "at the top and left"),
        ({"refuses": True}, "same padding with a stride", "refused: not with a stride"),
        ({}, "dropout of whole channels", "Dropout3D"),
        ({}, "usual loader", "batches of 30, in order"),
        ({"shuffles": True}, "usual loader", "batches of 30, shuffled"),
        ({}, "OMP_NUM_THREADS", "ignored"),
        ({"obeys": True}, "OMP_NUM_THREADS", "obeyed"),
        ({}, "compilation", "off"),
        ({"compiles": True}, "compilation", "on"),
        ({}, "parameters of BatchNorm on 7 channels", "14, without running statistics"),
        ({"each": 4}, "parameters of BatchNorm on 7 channels", "28, with running statistics"),
    ],
    ids=str,
)
def test_every_way_is_told(ways: dict[str, Any], item: str, words: str) -> None:
    assert framework_defaults.read_defaults(Made(**ways))[item].startswith(words)


def test_they_are_recorded_and_shown_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last reading counts, whatever an earlier one said."""
    values = iter("abcd")

    def run(command: list[str]) -> None:
        told = {"framework_version": "9", "defaults": {"an item": next(values)}}
        Path(command[command.index("--defaults") + 1]).write_text(json.dumps(told))

    monkeypatch.setattr(measure, "run_script", run)
    for second in ("00", "01"):
        monkeypatch.setattr(
            "common.tables.machine.now", lambda second=second: f"2026-01-01T00:00:{second}+00:00"
        )
        assert bench.main(["defaults", "--results", str(tmp_path)]) == 0
    assert "| an item | c | d |" in capsys.readouterr().out
    rows = frames.read(tmp_path).defaults
    assert defaults_tables.snapshot(rows, "tensorflow") == {"an item": "d"}
    assert "Read from PyTorch 9 and TensorFlow 9." in defaults_tables.side_by_side(rows)
    assert len(store.rows(tmp_path, "defaults.csv")) == 4
