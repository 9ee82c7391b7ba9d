"""The demo's command: its port, its addresses, and the first training."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.tables import digits

from common.analysis import frames, misclassified
from common.cli.parent_watch import VARIABLE
from common.cli.predict_server import checkpoint_path
from common.demo import __main__ as demo
from common.demo.address import accepted_hosts, listen, own_addresses, urls
from common.demo.app import Demo, application
from common.demo.worker import FIRST_MODEL
from common.frameworks import FRAMEWORKS


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_wildcard_accepts_the_machines_own_addresses(host: str, tmp_path: Path) -> None:
    dataset = digits()
    tables = frames.read(tmp_path)
    errors = misclassified.misclassified_digits(tables, dataset.test.labels)
    server = application(Demo(dataset.test, tables, errors, {}, tmp_path), hosts=accepted_hosts(host))
    client = TestClient(server)
    addresses = [f"[{address}]" if ":" in address else address for address in own_addresses()]
    for named in (*addresses, socket.gethostname(), "localhost"):
        assert client.get("/api/models", headers={"host": f"{named}:8000"}).status_code == 200, named
    for named in ("example.org", "198.51.100.7", "[2001:db8::7]"):
        assert client.get("/api/models", headers={"host": named}).status_code == 400, named


def test_an_address_alone_accepts_no_other_of_the_machine() -> None:
    assert accepted_hosts("127.0.0.1") == ["127.0.0.1", "localhost", "[::1]"]
    assert "[2001:db8::7]" in accepted_hosts("2001:DB8::7")
    assert urls("::1", 80) == ["http://[::1]:80/"]
    assert urls("0.0.0.0", 80)[0] == "http://127.0.0.1:80/"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost"])
def test_a_free_port_is_taken_at_once(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    with listen(host, 0) as listening:
        port = listening.getsockname()[1]
        assert port > 0
        with socket.create_connection(("::1" if host == "::1" else "127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            listen(host, port)


@pytest.mark.parametrize("host", ["127.0.0.1", "198.51.100.7", "x" * 70])
def test_an_address_that_cannot_be_had_is_one_line_before_any_work(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "train_first", None)
    monkeypatch.setattr(demo, "load", None)
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert demo.main(["--host", host, "--port", port, "--checkpoints", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert host in captured.err
    assert port in captured.err


SCRIPT = f"""
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
file = Path(words[words.index("--save-model") + 1])
seen = {{"watched": "{VARIABLE}" in os.environ, "launched": "TF_CONFIG" in os.environ}}
file.with_suffix(".json").write_text(json.dumps({{"words": words, **seen}}))
if "STATUS" != "0":
    sys.exit(int("STATUS"))
file.touch()
"""


def scripts(folder: Path, monkeypatch: pytest.MonkeyPatch, statuses: list[int]) -> None:
    """Frameworks whose scripts note how they are started, and end with these statuses."""
    frameworks = {}
    for (name, framework), status in zip(FRAMEWORKS.items(), statuses, strict=True):
        script = folder / f"{name}.py"
        script.write_text(SCRIPT.replace("STATUS", str(status)))
        frameworks[name] = replace(framework, script=str(script))
    monkeypatch.setattr(demo, "FRAMEWORKS", frameworks)


def test_the_first_training_reads_the_given_data_and_ends_with_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts(tmp_path, monkeypatch, [0, 0])
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert demo.train_first(tmp_path, tmp_path / "data") == 0
    for framework in FRAMEWORKS:
        note = checkpoint_path(tmp_path, FIRST_MODEL, framework).with_suffix(".json").read_text()
        assert f'"--data-dir", "{tmp_path / "data"}"' in note
        assert '"watched": true' in note
        assert '"launched": false' in note


@pytest.mark.parametrize("statuses, status", [([0, 2], 0), ([2, 0], 0), ([1, 2], 2), ([0, 0], 0)])
def test_one_framework_is_enough(
    statuses: list[int], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts(tmp_path, monkeypatch, statuses)
    assert demo.train_first(tmp_path, None) == status


def test_one_framework_with_a_checkpoint_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts(tmp_path, monkeypatch, [2, 2])
    first = next(iter(FRAMEWORKS))
    checkpoint_path(tmp_path, "best", first).touch()
    assert demo.train_first(tmp_path, None) == 0
    assert not checkpoint_path(tmp_path, FIRST_MODEL, first).with_suffix(".json").exists()
