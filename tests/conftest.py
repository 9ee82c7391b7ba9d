"""What the tests share: the real data, and the rule that this process imports no framework."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from common.data.datasets import Dataset, Digits, load

# A machine that is busy with something else is slow, not wrong.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """The real digits; fetched if they are not in the cache yet."""
    return load("mnist")


@pytest.fixture(scope="session")
def few_digits(mnist: Dataset) -> Dataset:
    """The first 2,000 training and 500 test digits."""
    first = {"train": 2000, "test": 500}
    parts = {side: getattr(mnist, side) for side in first}
    cut = {
        side: Digits(parts[side].images[:count], parts[side].labels[:count]) for side, count in first.items()
    }
    return Dataset("mnist", **cut)


@pytest.fixture(autouse=True, scope="session")
def no_framework_here() -> Iterator[None]:
    """Frameworks live in processes of their own; one imported here would crash when the other follows."""
    yield
    assert not {"torch", "tensorflow", "keras"} & set(sys.modules)


@pytest.fixture
def random() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(7)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address of the local server that shows it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
