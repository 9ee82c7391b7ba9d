"""The predictor that runs in a framework's process for `common.demo`: a line of JSON in, a line of JSON out.

{"id": N, "model": NAME, "image": 28 rows of 28 numbers from 0 to 255} is answered with {"id": N,
"probabilities": ten numbers, "milliseconds": time of the prediction}, or {"id": N, "error": a sentence}. The
process ends when its input does.
"""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from common.model.zoo import ZOO
from common.training import checkpoint
from common.training.backend import Backend, Execution, Model

READY = {"ready": True}
PREPARATION = ("mean=", "std=", "moments=", "moments.")
"""Beginnings of the changes of a recipe that decide how an image is prepared."""


def checkpoint_path(folder: Path, model: str, framework: str) -> Path:
    """File in which the demo keeps a network trained in a framework."""
    return folder / f"{model}-{framework}.safetensors"


def serve(framework: Backend, folder: Path, requests: Iterable[str], answers: TextIO) -> None:
    """Answer every request, in order; a network is built at the first request for it, and kept until its
    checkpoint is another file. No checkpoint ends the process."""
    models: dict[str, tuple[object, Model]] = {}
    _write_line(answers, READY)
    for request in map(json.loads, requests):
        try:
            answer = _answer(framework, folder, models, request)
        except checkpoint.CheckpointError as error:
            answer = {"error": str(error)}
        except Exception as error:
            path = checkpoint_path(folder, request["model"], framework.name)
            answer = {"error": f"{path} cannot be used ({type(error).__name__}: {error})."}
        _write_line(answers, {"id": request["id"], **answer})


def _answer(
    framework: Backend, folder: Path, models: dict[str, tuple[object, Model]], request: dict[str, Any]
) -> dict[str, Any]:
    from scipy.special import softmax  # 0.4 s that only this mode needs

    name = request["model"]
    path = checkpoint_path(folder, name, framework.name)
    version = _version(path)
    if name not in models or models[name][0] != version:
        models[name] = version, _load(framework, path, name)
    image = np.array(request["image"], np.uint8)[None]
    started_at = time.perf_counter()
    logits = models[name][1].predict(ZOO[name].recipe.to_input(image))
    seconds = time.perf_counter() - started_at
    probabilities = softmax(logits[0, :10].astype(np.float64))
    if not np.isfinite(probabilities).all():
        raise checkpoint.CheckpointError(
            f"Its probabilities are not finite numbers; {path} may have NaN weights."
        )
    return {"probabilities": probabilities.tolist(), "milliseconds": 1000 * seconds}


def _version(path: Path) -> object:
    """Changes when another checkpoint is saved at `path`. Raises CheckpointError where there is no file."""
    try:
        status = path.stat()
    except OSError as error:
        raise checkpoint.CheckpointError(f"Cannot read the checkpoint {path}: {error.strerror}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise checkpoint.CheckpointError(f"{path} is not a file.")  # a pipe would be waited for
    return status.st_mtime_ns, status.st_size, status.st_ino


def _load(framework: Backend, path: Path, name: str) -> Model:
    """The network with its trained weights, after a first prediction, which is slower than later ones.

    Raises CheckpointError.
    """
    entry = ZOO[name]
    saved = checkpoint.read(path)
    checkpoint.check(saved, path, entry.spec)
    data = saved.metadata.get("data", saved.metadata.get("dataset", "mnist"))
    if data != "mnist":
        raise checkpoint.CheckpointError(
            f"{path} was trained on {data}; the page is for the digits of MNIST."
        )
    changes = saved.metadata.get("vary", [])
    if vary := [change for change in changes if change.startswith(PREPARATION)]:
        raise checkpoint.CheckpointError(
            f"{path} was trained with {' '.join(vary)}; the page prepares images as the zoo's recipe does."
        )
    execution = Execution(native=frozenset(saved.metadata.get("native", [])))
    model = framework.build(entry.spec, entry.recipe.optimizer, execution=execution, seed=1)
    model.load_state_dict({name: saved.state[name] for name in (*entry.spec.weights, *entry.spec.statistics)})
    model.predict(np.zeros((1, *entry.spec.input_shape), np.float32))
    return model


def _write_line(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()
