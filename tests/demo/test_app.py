"""The demo's server and its processes: answers, refusals, restarts.

The processes here are small programs with the protocol of the frameworks' own, which test_page.py starts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from support.predictor import PROGRAM
from support.tables import add_run, digits

from common.analysis import frames, misclassified
from common.cli.predict_server import checkpoint_path
from common.demo import app, worker
from common.demo.app import Demo, application
from common.demo.guard import HEADERS
from common.demo.preprocess import LARGEST, LARGEST_COLOURED
from common.demo.worker import PredictorProcess
from common.frameworks import FRAMEWORKS
from common.report.explorer import page as explorer

COMMAND = [sys.executable, "-c", PROGRAM]
PICTURE = [[0.0] * 40 for _ in range(10)] + [[0.0] * 10 + [255.0] * 6 + [0.0] * 24 for _ in range(30)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with networks whose process answers, ends, stays silent, or answers with an error."""
    folder = tmp_path_factory.mktemp("demo")
    for model in ("speedrun", "nextjournal", "under-5k", "under-8k", "best"):
        checkpoint_path(folder, model, "pytorch").touch()
    dataset = digits()
    add_run(folder, errors={3: 5, 14: 9})
    add_run(folder, framework="tensorflow", errors={3: 8})
    tables = frames.read(folder)
    errors = misclassified.misclassified_digits(tables, dataset.test.labels)
    workers = {name: PredictorProcess(name, folder, command=COMMAND) for name in FRAMEWORKS}
    server = application(
        Demo(dataset.test, tables, errors, workers, folder), hosts=["127.0.0.1", "testserver"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "LEAST_LIFE_SECONDS", 0.05)
        patch.setattr(worker, "ANSWER_SECONDS", 1.0)
        with TestClient(server) as client:
            ready(client)
            yield client


def ready(client: TestClient) -> None:
    """Wait until both processes are ready."""
    until = time.monotonic() + 30
    while set(client.get("/api/state").json().values()) != {"ready"}:
        assert time.monotonic() < until
        time.sleep(0.05)


def predict(client: TestClient, **request: Any) -> Any:
    return client.post("/api/predict", json={"model": "speedrun", "picture": PICTURE, **request})


def test_every_framework_answers_and_the_image_is_returned(client: TestClient) -> None:
    response = predict(client).json()
    assert np.array(response["image"]).shape == (28, 28)
    assert set(response["answers"]) == set(FRAMEWORKS)
    assert response["answers"]["pytorch"]["probabilities"] == [0.1] * 10


def test_a_coloured_picture_is_read(client: TestClient) -> None:
    coloured = [[[value] * 3 for value in row] for row in PICTURE]
    assert predict(client, picture=coloured).json()["image"] == predict(client).json()["image"]


def test_a_prepared_picture_is_not_preprocessed_again(client: TestClient) -> None:
    image = client.get("/api/digits/3").json()["image"]
    assert predict(client, picture=image, prepared=True).json()["image"] == image


def test_a_process_that_dies_is_reported_and_restarted_while_the_other_continues(client: TestClient) -> None:
    worker = client.app.state.demo.workers["pytorch"]  # type: ignore[attr-defined]
    first = worker.process.pid
    worker.process.kill()
    answers = predict(client).json()["answers"]
    assert "restart" in answers["pytorch"]["down"]
    assert "probabilities" in answers["tensorflow"]
    ready(client)
    assert worker.process.pid != first
    assert "probabilities" in predict(client).json()["answers"]["pytorch"]


@pytest.mark.parametrize(
    "model, words",
    [("nextjournal", "has ended"), ("under-5k", "1 seconds"), ("under-8k", "No."), ("best", "finite")],
)
def test_no_answer_has_a_reason(client: TestClient, model: str, words: str) -> None:
    answers = predict(client, model=model).json()["answers"]
    assert all(words in answer["down"] for answer in answers.values())
    ready(client)
    assert "probabilities" in predict(client).json()["answers"]["pytorch"]


NAN = json.dumps([[float("nan")] * 28] * 28)


@pytest.mark.parametrize(
    "body, status, words",
    [
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[1]", 400, "not a JSON object"),
        (b"{}", 404, "no checkpoint of a network null"),
        (b'{"model": "resnet"}', 404, 'no checkpoint of a network "resnet"'),
        (b'{"model": "../../etc/passwd"}', 404, "no checkpoint of a network"),
        (b'{"model": {"a": 1}}', 404, "no checkpoint of a network"),
        (b'{"model": "tf-model-1"}', 404, "no checkpoint of a network"),
        (b'{"model": "speedrun"}', 422, "picture is a list of rows"),
        (b'{"model": "speedrun", "picture": [[0, 1], [0]]}', 422, "all of one length"),
        (b'{"model": "speedrun", "picture": [[], []]}', 422, "8 to 1024 pixels a side"),
        (b'{"model": "speedrun", "picture": [["a"]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "picture": [[true]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "picture": [[256]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "picture": [[[0, 0, 256]]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "picture": [[[0, 0, 0], 0]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "picture": [[[0, 0]]]}', 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "prepared": true, "picture": [[[0, 0, 0]]]}', 422, "28 rows of 28"),
        (b'{"model": "speedrun", "picture": [[1' + b"0" * 400 + b"]]}", 422, "numbers from 0 to 255"),
        (f'{{"model": "speedrun", "picture": {NAN}}}'.encode(), 422, "numbers from 0 to 255"),
        (b'{"model": "speedrun", "prepared": true, "picture": [[0]]}', 422, "28 rows of 28"),
        (json.dumps({"model": "speedrun", "picture": [[0] * 28] * 28}).encode(), 422, "nothing drawn"),
        (b" " * (app.LARGEST_REQUEST + 1), 413, "at most"),
    ],
    ids=lambda value: value[:60].decode(errors="replace") if isinstance(value, bytes) else None,
)
def test_bad_requests_are_refused_in_a_sentence(
    client: TestClient, body: bytes, status: int, words: str
) -> None:
    response = client.post("/api/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert words in response.json()["error"]
    assert "probabilities" in predict(client).json()["answers"]["tensorflow"], "and nothing has died of it"


@pytest.mark.parametrize("side, pixel", [(LARGEST, 255), (LARGEST_COLOURED, [255, 255, 255])])
def test_the_largest_picture_is_read(client: TestClient, side: int, pixel: Any) -> None:
    """Also when it is white, with a space after each comma."""
    picture = [[pixel] * side for _ in range(side)]
    body = json.dumps({"model": "speedrun", "picture": picture}).encode()
    response = client.post("/api/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert "nothing drawn" in response.json()["error"]


def test_a_body_that_does_not_arrive_ends(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After BODY_SECONDS, or with the connection; neither is a traceback."""
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)

    async def status(message: dict[str, Any] | None) -> int:
        statuses = []

        async def receive() -> Any:
            if message is None:
                await asyncio.sleep(60)
            return message

        async def send(response: Any) -> None:
            statuses.append(response.get("status"))

        scope = {
            **{"type": "http", "method": "POST", "path": "/api/predict", "raw_path": b"/api/predict"},
            **{"query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http"},
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        }
        await client.app(scope, receive, send)
        return int(statuses[0])

    assert asyncio.run(status(None)) == 408
    assert asyncio.run(status({"type": "http.disconnect"})) == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://testserver:81"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_requests_of_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    body = {"model": "speedrun", "picture": PICTURE}
    assert client.post("/api/predict", json=body, headers=headers).status_code == 403
    if headers.get("sec-fetch-mode") != "navigate":
        assert client.get("/digits/3.png", headers=headers).status_code == 403


def test_the_page_itself_and_a_link_to_it_are_answered(client: TestClient) -> None:
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert (
        client.post("/api/predict", json={"model": "speedrun", "picture": PICTURE}, headers=own).status_code
        == 200
    )
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    simple = client.post("/api/predict", content=b"{}", headers={"content-type": "text/plain"})
    assert simple.status_code == 415


@pytest.mark.parametrize(
    "path", ["/", "/script.js", "/digits/3.png", "/api/models", "/nothing", "/api/predict"]
)
def test_every_response_has_the_headers(client: TestClient, path: str) -> None:
    for headers in ({}, {"host": "example.org"}, {"origin": "null"}):
        response = client.get(path, headers=headers)
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


def test_all_results_are_served_under_a_policy_of_their_own(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page allows its own scripts alone; the other headers are those of every response."""
    monkeypatch.setattr(explorer, "_library", lambda: "")
    response = client.get("/results")
    assert response.status_code == 200
    assert "tf-model-1-pytorch-0" in response.text
    policy = response.headers["content-security-policy"]
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS | {
        "content-security-policy": policy
    }
    assert "frame-ancestors 'none'" in policy
    assert "default-src" not in policy
    assert "default-src 'none'; script-src 'sha256-" in response.text


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", ""])
def test_other_hosts_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/models", headers={"host": host}).status_code == 400
    assert client.get("/api/models", headers={"host": "127.0.0.1:8000"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../zoo.py",
        "/%2e%2e/zoo.py",
        "/..%2fzoo.py",
        "/%2e%2e/%2e%2e/README.md",
        "//etc/passwd",
        "/digits/../../zoo.py",
        "/digits/100.png",
        "/digits/-1.png",
        "/api/digits/99999999999999999999",
        "/api/digits/" + "9" * 5000,
        "/digits/" + "9" * 5000 + ".png",
        "/api/digits/x",
        "/nothing",
    ],
)
def test_no_other_file_is_read(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (400, 404)
    assert "import" not in response.text


def test_the_page_and_the_digits_are_served(client: TestClient) -> None:
    assert "Draw a digit" in client.get("/").text
    assert (
        client.get("/script.js").status_code
        == client.get("/style.css").status_code
        == client.get("/base.css").status_code
        == 200
    )
    png = client.get("/digits/3.png")
    assert png.headers["content-type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")
    setup = client.get("/api/models").json()
    assert [framework["name"] for framework in setup["frameworks"]] == list(FRAMEWORKS)
    assert setup["first"] in setup["zoo"]
    names = [model["name"] for model in setup["models"]]
    assert sorted(names) == ["best", "nextjournal", "speedrun", "under-5k", "under-8k"]
    assert names == [name for name in setup["zoo"] if name in names]


def test_the_gallery_follows_the_query(client: TestClient) -> None:
    assert client.get("/api/mistakes").json()["total"] == 2
    only = client.get("/api/mistakes", params={"one_only": "yes", "framework": "pytorch", "label": ""}).json()
    assert [digit["index"] for digit in only["digits"]] == [14]
    assert client.get("/api/mistakes", params={"predicted": "none"}).json()["total"] == 0
    for query in (
        {"label": "none"},
        {"label": "10"},
        {"model": "resnet"},
        {"framework": "jax"},
        {"start": "-1"},
        {"start": "x" * 9},
    ):
        response = client.get("/api/mistakes", params=query)
        assert response.status_code == 422
        assert next(iter(query.values())) in response.json()["error"]
