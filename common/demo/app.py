"""The demo's server: its page, networks with a checkpoint, predictions, misclassified digits, the explorer.

Each framework predicts in a process of its own (`common.demo.worker`); this one imports none. Only requests
that name one of the given hosts are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from common.analysis import misclassified
from common.analysis.frames import Tables
from common.analysis.misclassified import Filter
from common.cli.predict_server import checkpoint_path
from common.data.datasets import Digits
from common.demo.guard import Guard
from common.demo.preprocess import DrawingError, to_mnist
from common.demo.worker import FIRST_MODEL, PredictorDown, PredictorProcess
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.report.explorer import page as explorer
from common.report.explorer.page import LibraryError

PAGE = Path(__file__).with_name("page")
# Bytes: a picture of 1024 x 1024 numbers of three digits, or 512 x 512 colours, with commas and spaces
LARGEST_REQUEST = 6 << 20
BODY_SECONDS = 20.0
GALLERY_PAGE = 60  # misclassified digits a response


@dataclass(frozen=True)
class Demo:
    """Sources of the server's answers: test digits, tables, errors, processes by framework, checkpoints."""

    test: Digits
    tables: Tables
    misclassified: pd.DataFrame
    workers: dict[str, PredictorProcess]
    checkpoints: Path

    @functools.cached_property
    def explorer(self) -> str:
        """The page with all results. Raises LibraryError."""
        return explorer.page(self.tables)

    def models(self) -> list[dict[str, Any]]:
        """Networks with a checkpoint of at least one framework, in the zoo's order."""
        available = []
        for name, entry in ZOO.items():
            trained = [
                framework
                for framework in FRAMEWORKS
                if checkpoint_path(self.checkpoints, name, framework).exists()
            ]
            if trained:
                model = {"name": name, "parameters": entry.spec.parameters, "frameworks": trained}
                available.append(model)
        return available


def application(demo: Demo, *, hosts: Sequence[str]) -> Starlette:
    """The server; the frameworks' processes start and end with it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
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
            Route("/api/digits/{index}", _digit),
            Route("/digits/{index}.png", _digit_picture),
            Route("/results", _results),
            Route("/base.css", _base_style),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guard), Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: _error_response},  # type: ignore[dict-item]
        lifespan=lifespan,
    )
    app.state.demo = demo
    return app


async def _error_response(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


async def _models(request: Request) -> Response:
    """Frameworks, networks with a checkpoint, the one to preselect, and the names of all networks."""
    frameworks = [
        {"name": framework.name, "title": framework.title, "colour": framework.colour}
        for framework in FRAMEWORKS.values()
    ]
    models = request.app.state.demo.models()
    return JSONResponse({"frameworks": frameworks, "models": models, "first": FIRST_MODEL, "zoo": list(ZOO)})


async def _state(request: Request) -> Response:
    workers = request.app.state.demo.workers
    return JSONResponse({framework: worker.state for framework, worker in workers.items()})


async def _predict(request: Request) -> Response:
    """The image that the networks were given, and each framework's answer or why there is none.

    The request is {"model": NAME, "picture": rows of numbers from 0 to 255, or of [red, green, blue]}. With
    "prepared": true the picture is a digit as MNIST has it, and is not preprocessed again.
    """
    demo: Demo = request.app.state.demo
    body = _json_object(await _body(request))
    name = body.get("model")
    if name not in [model["name"] for model in demo.models()]:
        raise HTTPException(404, f"There is no checkpoint of a network {json.dumps(name)[:60]}.")
    picture = _array(body.get("picture"))
    try:
        # On a thread: a large photo takes half a second.
        prepare = _prepared if body.get("prepared") is True else to_mnist
        image = await asyncio.to_thread(prepare, picture)
    except DrawingError as error:
        raise HTTPException(422, str(error)) from None
    question = {"model": name, "image": image.tolist()}
    answers = await asyncio.gather(*(_answer(worker, question) for worker in demo.workers.values()))
    return JSONResponse({"image": image.tolist(), "answers": dict(zip(demo.workers, answers, strict=True))})


async def _answer(worker: PredictorProcess, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return await worker.predict(question)
    except PredictorDown as error:
        return {"down": str(error)}


async def _mistakes(request: Request) -> Response:
    """The number of misclassified test digits that the query selects, and one page of them."""
    demo: Demo = request.app.state.demo
    query = request.query_params
    choice = Filter(
        label=_digit_or_none(query.get("label")),
        predicted=_digit_or_none(query.get("predicted"), no_digit=True),
        model=_allowed_or_none(query.get("model"), tuple(ZOO)),
        framework=_allowed_or_none(query.get("framework"), tuple(FRAMEWORKS)),
        one_only=_allowed_or_none(query.get("one_only"), ("yes",)) is not None,
    )
    start = query.get("start", "0")
    if not start.isascii() or not start.isdigit() or len(start) > 6:
        raise HTTPException(422, f"start is a whole number from 0, not {start[:40]}.")
    selected = misclassified.select(demo.misclassified, choice)
    total, digits = misclassified.page(selected, start=int(start), count=GALLERY_PAGE)
    return JSONResponse({"total": total, "digits": digits})


async def _digit(request: Request) -> Response:
    index = _index(request)
    test = request.app.state.demo.test
    return JSONResponse({"image": test.images[index].tolist(), "label": int(test.labels[index])})


async def _digit_picture(request: Request) -> Response:
    _, png = cv2.imencode(".png", request.app.state.demo.test.images[_index(request)])
    return Response(png.tobytes(), media_type="image/png", headers={"cache-control": "max-age=86400"})


async def _base_style(request: Request) -> Response:
    return FileResponse(explorer.BASE)


async def _results(request: Request) -> Response:
    """The explorer. Its own security policy, in the page, is stricter: it needs no network."""
    demo: Demo = request.app.state.demo
    try:
        text = await asyncio.to_thread(lambda: demo.explorer)
    except LibraryError as error:
        raise HTTPException(501, str(error)) from None
    policy = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return HTMLResponse(text, headers={"content-security-policy": policy})


def _index(request: Request) -> int:
    text: str = request.path_params["index"]
    count = len(request.app.state.demo.test)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < count):
        raise HTTPException(
            404, f"There is no test digit {text[:40]}; they are numbered from 0 to {count - 1}."
        )
    return int(text)


async def _body(request: Request) -> bytes:
    """The request's body. Its size is counted as it arrives, as the header may state another."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "The content type of a request is application/json.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_REQUEST:
                    raise HTTPException(413, f"A request has at most {LARGEST_REQUEST:,} bytes.")
    except TimeoutError:
        raise HTTPException(408, f"A request arrives within {BODY_SECONDS:.0f} seconds.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The request ended early.") from None
    return bytes(body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The request is not JSON.") from None
    if not isinstance(parsed, dict):
        raise HTTPException(400, "The request is not a JSON object.")
    return parsed


def _array(rows: Any) -> Any:
    """Rows of numbers as an array (H, W), of colours as (H, W, 3). Raises HTTPException for anything else."""
    nested = isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows)
    if not nested or len({len(row) for row in rows}) > 1:
        raise HTTPException(422, "picture is a list of rows, all of one length.")
    pixels = [pixel for row in rows for pixel in row]
    coloured = bool(pixels) and all(isinstance(pixel, list) and len(pixel) == 3 for pixel in pixels)
    values = [value for pixel in pixels for value in pixel] if coloured else pixels
    if not all(type(value) in (int, float) and 0 <= value <= 255 for value in values):
        raise HTTPException(422, "A picture's values are numbers from 0 to 255, or lists of three.")
    return np.array(rows, np.float64)


def _prepared(picture: Any) -> Any:
    if picture.shape != (28, 28):
        raise DrawingError(f"A prepared picture is 28 rows of 28 numbers; its shape is {picture.shape}.")
    return np.round(picture).astype(np.uint8)


def _digit_or_none(text: str | None, *, no_digit: bool = False) -> int | None:
    if no_digit and text == "none":
        return misclassified.NO_DIGIT
    digit = _allowed_or_none(text, (*"0123456789", *(["none"] if no_digit else [])))
    return None if digit is None else int(digit)


def _allowed_or_none(text: str | None, allowed: Sequence[str]) -> str | None:
    """`text`, or None where it is empty. Raises HTTPException where it is not one of `allowed`."""
    if text in (None, ""):
        return None
    if text not in allowed:
        raise HTTPException(422, f"{text[:40]} is none of {', '.join(allowed)}.")
    return text
