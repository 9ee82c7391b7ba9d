"""The checkpoint of a run's last whole epoch, on a model in NumPy whose weights depend on every batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.jobs import job
from support.recorder import Array, Recorder, RecorderBackend
from support.tables import digits

from common.model.zoo import ZOO
from common.tables import store
from common.training import checkpoint
from common.training.checkpoint import CheckpointError, last_epoch_path
from common.training.job import Job, Part
from common.training.run import execute

NAMES = ("dense1.weight", "optimizer.step")


class Learner(Recorder):
    """Its weight and its optimizer state are sums over all steps, each a little shrunk by the next one."""

    def __init__(self, losses: Mapping[int, float] | None = None, *, interrupt_at: int = 0) -> None:
        super().__init__(losses, interrupt_at=interrupt_at)
        self.values = dict.fromkeys(NAMES, 0.0)

    def train_steps(self, images: Array, labels: Array, order: Array, *rates: Any) -> tuple[Array, Array]:
        result = super().train_steps(images, labels, order, *rates)
        for batch, rate in zip(order, rates[0], strict=True):
            self.values = {name: 0.9 * value + rate * batch[0] for name, value in self.values.items()}
        return result

    def state_dict(self) -> dict[str, Array]:
        return {name: np.array(value) for name, value in self.values.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self.values |= {name: float(state[name].ravel()[0]) for name in NAMES if name in state}


def planned(folder: Path, *, epochs: int = 6, averaged: int = 0, **changes: Any) -> Job:
    folder.mkdir(exist_ok=True)
    recipe = replace(ZOO["tf-model-1"].recipe, epochs=epochs, averaged_epochs=averaged, batch_size=8)
    files = {"results": folder, "save_model": folder / "model.safetensors"}
    return job("tf-model-1", epochs, recipe=recipe, **{**files, "resume_command": "to resume", **changes})


def run(planned: Job, model: Learner) -> tuple[str, list[str]]:
    """How it ended, and what it printed."""
    lines: list[str] = []

    class Backend(RecorderBackend):
        pass

    Backend.model = model
    status = execute(Backend(accelerate=False, threads=1), digits(), planned, show=lines.append)
    return status, lines


STEPS = len(digits().train) // 8
"""Of an epoch."""


@pytest.mark.parametrize("averaged", [0, 1, 2, 4])
@pytest.mark.parametrize("step", [STEPS + 1, 3 * STEPS, 3 * STEPS + 1, 5 * STEPS + 1])
def test_an_interrupted_run_keeps_its_last_whole_epoch(tmp_path: Path, averaged: int, step: int) -> None:
    """Up to those whose weights are averaged. The run that continues it ends as the run in one go."""
    whole = planned(tmp_path / "whole", averaged=averaged)
    assert run(whole, Learner())[0] == "ok"
    begun = planned(tmp_path / "part", averaged=averaged)
    status, lines = run(begun, Learner(interrupt_at=step))
    assert begun.save_model
    file = last_epoch_path(begun.save_model)
    saved = checkpoint.read(file)
    assert status == "interrupted"
    assert str(file) in lines[-1]
    assert "to resume" in lines[-1]
    assert file.name == "model.last-epoch.safetensors"
    assert not begun.save_model.exists()
    epoch = saved.metadata["epoch"]
    assert epoch == min((step - 1) // STEPS, 6 - max(1, averaged))
    assert [part["epochs"] for part in saved.metadata["parts"]] == [epoch]

    parts = tuple(Part(**part) for part in saved.metadata["parts"])
    rest = replace(begun, start=saved.state, start_epoch=epoch, resumed=file, earlier_parts=parts)
    assert run(rest, Learner())[0] == "ok"
    assert whole.save_model
    expected, continued = checkpoint.read(whole.save_model), checkpoint.read(begun.save_model)
    assert continued.state == expected.state
    assert rest.recipe_hash("pytorch") == whole.recipe_hash("pytorch")
    assert sorted(path.suffix for path in begun.save_model.parent.glob("*model*")) == [".safetensors"]


def test_a_run_without_a_whole_epoch_keeps_none(tmp_path: Path) -> None:
    status, lines = run(planned(tmp_path), Learner(interrupt_at=STEPS))
    assert status == "interrupted"
    assert not [line for line in lines if "last-epoch" in line]
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_resumed_run_that_is_interrupted_at_once_names_the_file_that_it_had(tmp_path: Path) -> None:
    begun = planned(tmp_path)
    run(begun, Learner(interrupt_at=3 * STEPS))
    assert begun.save_model
    file = last_epoch_path(begun.save_model)
    before = file.read_bytes()
    rest = replace(begun, start=checkpoint.read(file).state, start_epoch=2, resumed=file)
    _, lines = run(rest, Learner(interrupt_at=1))
    assert str(file) in lines[-1]
    assert file.read_bytes() == before


def test_a_run_that_diverges_keeps_the_epoch_before(tmp_path: Path) -> None:
    status, lines = run(planned(tmp_path), Learner({2 * STEPS + 1: np.nan}))
    assert status == "diverged"
    assert checkpoint.read(tmp_path / "model.last-epoch.safetensors").metadata["epoch"] == 2
    assert "model.last-epoch.safetensors" in lines[-1]


@pytest.mark.parametrize("changes", [{"results": None}, {"save_model": None}], ids=str)
def test_a_run_that_saves_nothing_saves_no_epoch(tmp_path: Path, changes: dict[str, None]) -> None:
    assert run(planned(tmp_path, **changes), Learner())[0] == "ok"
    assert not list(tmp_path.glob("*.safetensors"))


def test_an_epoch_that_cannot_be_saved_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write

    def full(path: Path, *rest: Any) -> None:
        if "last-epoch" in path.name:
            raise CheckpointError("No space left on device.")
        write(path, *rest)

    monkeypatch.setattr(checkpoint, "write", full)
    status, lines = run(planned(tmp_path, epochs=3), Learner())
    assert status == "ok"
    assert sum("No space left" in line for line in lines) == 2
    assert checkpoint.read(tmp_path / "model.safetensors").metadata["epoch"] == 3


def test_a_run_that_is_interrupted_while_it_is_recorded_has_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = store.append, []

    def interrupted(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        append(*arguments)

    monkeypatch.setattr("common.training.run.store.append", interrupted)
    assert run(planned(tmp_path, epochs=1), Learner())[0] == "ok"
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]
