"""The demo's processes: damaged checkpoints, networks of other data, and what comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors
from support.predictor import PROGRAM

from common.cli import predict_server
from common.cli.predict_server import checkpoint_path
from common.demo import worker
from common.demo.worker import PredictorDown, PredictorProcess
from common.model.zoo import ZOO
from common.training import checkpoint


def test_a_process_that_is_not_running_has_no_answer(tmp_path: Path) -> None:
    with pytest.raises(PredictorDown, match="starting"):
        asyncio.run(PredictorProcess("pytorch", tmp_path).predict({}))


def test_a_damaged_checkpoint_is_an_answer_with_an_error(tmp_path: Path) -> None:
    """And the next request is answered as well."""

    class Nothing:
        name = "pytorch"

    path = checkpoint_path(tmp_path, "speedrun", "pytorch")
    path.write_text("no checkpoint")
    requests = [
        json.dumps({"id": number, "model": "speedrun", "image": [[0] * 28] * 28}) for number in (1, 2)
    ]
    output = StringIO()
    predict_server.serve(Nothing(), tmp_path, requests, output)  # type: ignore[arg-type]
    ready, *answers = map(json.loads, output.getvalue().splitlines())
    assert ready == predict_server.READY
    assert [answer["id"] for answer in answers] == [1, 2]
    assert all(str(path) in answer["error"] for answer in answers)


class Linear:
    """A backend whose networks answer with the sum of their weights, ten times."""

    name = "pytorch"

    def build(self, *args: Any, **options: Any) -> Any:
        return self

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.total = sum(float(weights.sum()) for weights in state.values())

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.full((len(images), 10), self.total)


def served(folder: Path, models: Iterable[str]) -> list[Any]:
    requests = (
        json.dumps({"id": number, "model": model, "image": [[0] * 28] * 28})
        for number, model in enumerate(models)
    )
    output = StringIO()
    predict_server.serve(Linear(), folder, requests, output)  # type: ignore[arg-type]
    return [json.loads(line) for line in output.getvalue().splitlines()[1:]]


def save(folder: Path, model: str, value: float, **metadata: object) -> None:
    spec = ZOO[model].spec
    state = {
        name: np.full(shape, value, np.float32) for name, shape in (spec.weights | spec.statistics).items()
    }
    checkpoint.write(checkpoint_path(folder, model, "pytorch"), state, {"model": model, **metadata})


def test_networks_of_other_data_or_otherwise_prepared_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "speedrun", 0.0, dataset="mnist")
    save(tmp_path, "best", 0.0, dataset="fashion-mnist")
    save(tmp_path, "smallest", 0.0, dataset="letters", data="letters@0123456789ab")
    save(tmp_path, "under-8k", 0.0, vary=["lr=0.5", "moments.height=0.1"])
    digits, fashion, letters, varied = served(tmp_path, ["speedrun", "best", "smallest", "under-8k"])
    assert "probabilities" in digits
    assert "was trained on fashion-mnist; the page is for the digits of MNIST." in fashion["error"]
    assert "was trained on letters@0123456789ab" in letters["error"]
    assert "was trained with moments.height=0.1; the page prepares images as" in varied["error"]


def test_no_checkpoint_ends_the_process_or_has_an_answer_that_is_no_number(tmp_path: Path) -> None:
    save(tmp_path, "speedrun", 0.0)
    save(tmp_path, "tf-model-1", float("nan"))
    path = checkpoint_path(tmp_path, "best", "pytorch")
    path.write_bytes(save_safetensors({}, metadata={"template-ml": "not JSON"}))
    checkpoint_path(tmp_path, "under-5k", "pytorch").mkdir()
    nan, text, folder, missing, sound = served(
        tmp_path, ["tf-model-1", "best", "under-5k", "under-8k", "speedrun"]
    )
    assert "finite" in nan["error"]
    assert str(path) in text["error"]
    assert "under-5k" in folder["error"]
    assert "under-8k" in missing["error"]
    assert sound["probabilities"] == [0.1] * 10


def test_a_checkpoint_that_is_saved_anew_is_read(tmp_path: Path) -> None:
    def models() -> Iterator[str]:
        save(tmp_path, "speedrun", float("nan"))
        yield "speedrun"
        save(tmp_path, "speedrun", 0.0)
        yield "speedrun"

    before, after = served(tmp_path, models())
    assert "error" in before
    assert after["probabilities"] == [0.1] * 10


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def test_a_process_comes_back_whatever_kept_it_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program, one that ends with a reason, one that closes its output, an endless line."""
    monkeypatch.setattr(worker, "LEAST_LIFE_SECONDS", 0.05)
    monkeypatch.setattr(worker, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setenv("TF_CONFIG", "{}")

    async def go() -> None:
        predictor = PredictorProcess("pytorch", tmp_path, command=[str(tmp_path / "missing")])
        task = asyncio.create_task(predictor.run())
        try:
            await until(lambda: "missing" in predictor.state)
            for program in (
                "import sys; sys.exit('the reason')",
                "import os, time; os.close(1); os.write(2, b'the reason\\n'); time.sleep(60)",
                "print('x' * 200_000, flush=True); import time; time.sleep(60)",
            ):
                predictor.state = ""
                predictor.command = [sys.executable, "-c", program]
                await until(lambda: predictor.state.startswith("restarting"))
                if "the reason" in program:
                    await until(lambda: "the reason" in predictor.state)
            predictor.command = [
                sys.executable,
                "-c",
                "import os; assert 'TF_CONFIG' not in os.environ" + PROGRAM,
            ]
            await until(lambda: predictor.state == "ready")
            assert (await predictor.predict({"model": "speedrun"}))["probabilities"] == [0.1] * 10
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
