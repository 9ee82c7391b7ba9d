"""`python -m common.demo`: a page on this machine to draw digits on, and what both frameworks say they are.

Each framework predicts in a process of its own (`common.demo.worker`); this one imports none. It listens on
127.0.0.1 unless told otherwise, and answers only requests that name this machine as their host.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from common.analysis import frames, misclassified
from common.analysis.misclassified import Filter
from common.cli.arguments import number
from common.cli.predict_server import checkpoint_path
from common.data.datasets import DataError, Digits, load
from common.demo.preprocess import DrawingError, to_mnist
from common.demo.worker import PredictorDown, PredictorProcess
from common.frameworks import FRAMEWORKS, ROOT, display_name
from common.model.zoo import ZOO
from common.tables.store import ResultsError

FIRST = "speedrun"
"""Trained where there is no checkpoint yet, one epoch in a few seconds. The scripts' own default networks, as
their sources have them, are not as good at digits."""

PAGE = Path(__file__).with_name("page")
LARGEST_REQUEST = 4 << 20  # bytes: a picture of 1024 x 1024 numbers
SHOWN = 60  # wrong digits in a page of the gallery


@dataclass(frozen=True)
class Demo:
    """What the page shows: the test digits, the recorded mistakes, the processes, the checkpoints."""

    test: Digits
    known: pd.DataFrame
    workers: dict[str, PredictorProcess]
    checkpoints: Path

    def models(self) -> list[dict[str, Any]]:
        """Networks with a checkpoint of some framework, in the zoo's order."""
        found = []
        for name, entry in ZOO.items():
            there = [
                framework
                for framework in FRAMEWORKS
                if checkpoint_path(self.checkpoints, name, framework).exists()
            ]
            if there:
                found.append({"name": name, "parameters": entry.spec.parameters, "frameworks": there})
        return found


def application(demo: Demo, *, hosts: Sequence[str]) -> Starlette:
    """The server; the frameworks' processes start and end with it."""

    @contextlib.asynccontextmanager
    async def alive(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(worker.run()) for worker in demo.workers.values()]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = Starlette(
        routes=[
            Route("/api/models", _models),
            Route("/api/state", _state),
            Route("/api/predict", _predict, methods=["POST"]),
            Route("/api/mistakes", _mistakes),
            Route("/api/digits/{index:int}", _digit),
            Route("/digits/{index:int}.png", _picture),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: _refused},  # type: ignore[dict-item]
        lifespan=alive,
    )
    app.state.demo = demo
    return app


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


async def _models(request: Request) -> Response:
    return JSONResponse({"models": request.app.state.demo.models(), "first": FIRST, "zoo": list(ZOO)})


async def _state(request: Request) -> Response:
    workers = request.app.state.demo.workers
    return JSONResponse({framework: worker.state for framework, worker in workers.items()})


async def _predict(request: Request) -> Response:
    """{"model": NAME, "picture": rows of numbers from 0 to 255}; with "prepared": true they are taken as they
    are. The image that the networks saw, and each framework's answer or why there is none."""
    demo: Demo = request.app.state.demo
    asked = _object(await _body(request))
    name = asked.get("model")
    if name not in [model["name"] for model in demo.models()]:
        raise HTTPException(404, f"There is no checkpoint of a network {json.dumps(name)[:60]}.")
    picture = _array(asked.get("picture"))
    try:
        image = _taken(picture) if asked.get("prepared") is True else to_mnist(picture)
    except DrawingError as error:
        raise HTTPException(422, str(error)) from None
    question = {"model": name, "image": image.tolist()}
    answers = await asyncio.gather(*(_answer(worker, question) for worker in demo.workers.values()))
    return JSONResponse({"image": image.tolist(), "answers": dict(zip(demo.workers, answers, strict=True))})


async def _answer(worker: PredictorProcess, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return await worker.ask(question)
    except PredictorDown as error:
        return {"down": str(error)}


async def _mistakes(request: Request) -> Response:
    demo: Demo = request.app.state.demo
    asked = request.query_params
    choice = Filter(
        label=_digit_of(asked.get("label")),
        predicted=_digit_of(asked.get("predicted")),
        model=_one_of(asked.get("model"), tuple(ZOO)),
        framework=_one_of(asked.get("framework"), tuple(FRAMEWORKS)),
        one_only=_one_of(asked.get("one_only"), ("yes",)) is not None,
    )
    start = asked.get("start", "0")
    if not start.isascii() or not start.isdigit() or len(start) > 6:
        raise HTTPException(422, "start is a whole number from 0.")
    total, shown = misclassified.page(misclassified.select(demo.known, choice), start=int(start), count=SHOWN)
    return JSONResponse({"total": total, "digits": shown})


async def _digit(request: Request) -> Response:
    index = _index(request)
    test = request.app.state.demo.test
    return JSONResponse({"image": test.images[index].tolist(), "label": int(test.labels[index])})


async def _picture(request: Request) -> Response:
    _, png = cv2.imencode(".png", request.app.state.demo.test.images[_index(request)])
    return Response(png.tobytes(), media_type="image/png", headers={"cache-control": "max-age=86400"})


def _index(request: Request) -> int:
    index: int = request.path_params["index"]
    if index >= len(request.app.state.demo.test):
        raise HTTPException(404, f"There is no test digit {index}.")
    return index


async def _body(request: Request) -> bytes:
    """Of a request that is not too large. Read as it comes: its header may not tell the truth."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_REQUEST:
            raise HTTPException(413, f"A request has at most {LARGEST_REQUEST:,} bytes.")
    return body


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The request is not JSON.") from None
    if not isinstance(asked, dict):
        raise HTTPException(400, "The request is not a JSON object.")
    return asked


def _array(rows: Any) -> Any:
    """Rows of numbers as an array; what is none of that is refused."""
    sound = isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows)
    if not sound or len({len(row) for row in rows}) > 1:
        raise HTTPException(422, "picture is a list of rows, all of one length.")
    if not all(type(value) in (int, float) and 0 <= value <= 255 for row in rows for value in row):
        raise HTTPException(422, "A picture's values are numbers from 0 to 255.")
    return np.array(rows, np.float64)


def _taken(picture: Any) -> Any:
    if picture.shape != (28, 28):
        raise DrawingError("A prepared picture is 28 rows of 28 numbers from 0 to 255.")
    return np.round(picture).astype(np.uint8)


def _digit_of(text: str | None) -> int | None:
    found = _one_of(text, tuple("0123456789"))
    return None if found is None else int(found)


def _one_of(text: str | None, allowed: Sequence[str]) -> str | None:
    if text in (None, ""):
        return None
    if text not in allowed:
        raise HTTPException(422, f"{text[:40]} is none of {', '.join(allowed)}.")
    return text


# The command


def train_first(checkpoints: Path) -> int:
    """Train FIRST in each framework that has no checkpoint at all, showing its progress; an exit status."""
    for framework, about in FRAMEWORKS.items():
        if any(checkpoint_path(checkpoints, name, framework).exists() for name in ZOO):
            continue
        print(
            f"No checkpoint of {display_name(framework)} is in {checkpoints} yet: {FIRST} is trained first."
        )
        with tempfile.TemporaryDirectory() as results:
            file = checkpoint_path(checkpoints, FIRST, framework)
            words = ["--model", FIRST, "--epochs", "1", "--save-model", str(file), "--results", results]
            done = subprocess.run([*about.command, *words])
        if done.returncode:
            return done.returncode
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line of this module."""
    result = argparse.ArgumentParser(
        prog="python -m common.demo",
        description="Draw a digit in the browser; both frameworks say what it is.",
    )
    add = result.add_argument
    add("--host", default="127.0.0.1", help="(default: %(default)s: this machine alone)")
    add("--port", type=number(int, 0, 65535), default=8000, help="(default: %(default)s)")
    add(
        "--checkpoints", type=Path, default=ROOT / "checkpoints", metavar="DIR", help="(default: checkpoints)"
    )
    add("--results", type=Path, default=ROOT / "results", metavar="DIR", help="(default: results)")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where the data is kept (default: the user's cache folder)",
    )
    return result


def main(words: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit status."""
    options = parser().parse_args(words)
    try:
        status = train_first(options.checkpoints)
        if status:
            return status
        test = load("mnist", data_dir=options.data_dir, log=print).test
        known = misclassified.misclassified_digits(frames.read(options.results), test.labels)
    except (DataError, ResultsError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    workers = {framework: PredictorProcess(framework, options.checkpoints) for framework in FRAMEWORKS}
    demo = Demo(test, known, workers, options.checkpoints)
    app = application(demo, hosts=["127.0.0.1", "localhost", options.host])
    print(f"Draw at http://{options.host}:{options.port}/ (Ctrl-C ends it).", flush=True)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    return 0
