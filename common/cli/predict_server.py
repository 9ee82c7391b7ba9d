"""A framework's process that predicts digits for another one: a line of JSON in, a line of JSON out.

{"id": N, "model": NAME, "image": 28 rows of 28 numbers from 0 to 255} is answered with {"id": N,
"probabilities": ten numbers, "milliseconds": of the prediction}, or {"id": N, "error": a sentence}. It ends
when its input does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from common.model.zoo import ZOO
from common.training import checkpoint
from common.training.backend import Backend, Execution, Model

READY = {"ready": True}


def checkpoint_path(folder: Path, model: str, framework: str) -> Path:
    """Where the demo keeps a network as a framework has trained it."""
    return folder / f"{model}-{framework}.safetensors"


def serve(framework: Backend, folder: Path, requests: Iterable[str], answers: TextIO) -> None:
    """Answer every request, in order; networks are built when they are first asked for, and kept."""
    models: dict[str, Model] = {}
    _tell(answers, READY)
    for asked in map(json.loads, requests):
        try:
            answer = _answer(framework, folder, models, asked)
        except checkpoint.CheckpointError as error:
            answer = {"error": str(error)}
        _tell(answers, {"id": asked["id"], **answer})


def _answer(
    framework: Backend, folder: Path, models: dict[str, Model], asked: dict[str, Any]
) -> dict[str, Any]:
    name = asked["model"]
    if name not in models:
        models[name] = _loaded(framework, checkpoint_path(folder, name, framework.name), name)
    image = np.array(asked["image"], np.uint8)[None]
    begun = time.perf_counter()
    logits = models[name].predict(ZOO[name].recipe.to_input(image))
    seconds = time.perf_counter() - begun
    shifted = logits[0, :10].astype(np.float64)
    powers = np.exp(shifted - shifted.max())
    return {"probabilities": (powers / powers.sum()).tolist(), "milliseconds": 1000 * seconds}


def _loaded(framework: Backend, path: Path, name: str) -> Model:
    """The network with its weights, warm. Raises CheckpointError where there are none."""
    entry = ZOO[name]
    state = checkpoint.load_weights(path, entry.spec)
    model = framework.build(entry.spec, entry.recipe.optimizer, execution=Execution(), seed=1)
    model.load_state_dict(state)
    model.predict(np.zeros((1, *entry.spec.input_shape), np.float32))
    return model


def _tell(answers: TextIO, told: dict[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()
