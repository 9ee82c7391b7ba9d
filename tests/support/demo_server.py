"""The demo as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.cli.predict_server import checkpoint_path
from common.frameworks import FRAMEWORKS, ROOT
from common.model.zoo import ZOO
from common.training import checkpoint
from common.training.initial_weights import initial


@dataclass(frozen=True)
class Server:
    """A running demo: its process, address and folder of checkpoints."""

    process: psutil.Process
    address: str
    checkpoints: Path


@contextlib.contextmanager
def running(checkpoints: Path) -> Iterator[Server]:
    """A demo that finds no checkpoint and trains the first network; the second has its initial weights."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--checkpoints", str(checkpoints)]
    process = subprocess.Popen(
        [sys.executable, "-m", "common.demo", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        assert process.stdout
        printed = []
        for line in process.stdout:
            printed.append(line)
            if address in line:
                break
        assert address in printed[-1]
        second = ZOO["tf-model-1"].spec
        for framework in FRAMEWORKS:
            assert checkpoint_path(checkpoints, "speedrun", framework).exists()
            path = checkpoint_path(checkpoints, second.name, framework)
            checkpoint.write(path, initial(second, seed=1), {"model": second.name})
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}api/state") as answer:
                if answer.read().count(b"ready") == 2:
                    break
            assert time.monotonic() < until
            time.sleep(0.2)
        yield Server(psutil.Process(process.pid), address, checkpoints)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
