"""The server's side of a framework's process: starts it, requests predictions, restarts it when it ends.

A process answers one request at a time; further ones wait here. One that does not answer in time is killed
and restarted. The other frameworks' processes are not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.frameworks import FRAMEWORKS

START_SECONDS, ANSWER_SECONDS = 120.0, 20.0
LEAST_LIFE_SECONDS = 2.0  # between two starts

# Ctrl-C at the terminal must not reach the process, which would print a traceback; it ends with its input.
if sys.platform == "win32":
    OWN_GROUP: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    OWN_GROUP: dict[str, Any] = {"start_new_session": True}


class PredictorDown(Exception):
    """There is no prediction; the message gives the reason, for the user of the page."""


class PredictorProcess:
    """A framework's process. `run` keeps it alive until it is cancelled; `predict` waits for its answer."""

    def __init__(self, framework: str, checkpoints: Path, *, command: Sequence[str] | None = None) -> None:
        self.framework = framework
        serve = [*FRAMEWORKS[framework].command, "--no-accel", "--serve", str(checkpoints)]
        self.command = list(command or serve)
        self.process: asyncio.subprocess.Process | None = None
        self.state = "starting"
        self.turn = asyncio.Lock()
        self.requests = 0

    async def run(self) -> None:
        """Start the process, and again each time it ends."""
        try:
            while True:
                await self._start()
                assert self.process
                await self.process.wait()
                self.state = "restarting"
                await asyncio.sleep(LEAST_LIFE_SECONDS)
        finally:
            self.stop()
            if self.process:
                await self.process.wait()

    async def _start(self) -> None:
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=nowhere, **OWN_GROUP
        )
        with contextlib.suppress(PredictorDown):
            while not (await self._message(START_SECONDS)).get("ready"):
                pass
            self.state = "ready"

    async def predict(self, question: dict[str, Any]) -> dict[str, Any]:
        """The process's answer. Raises PredictorDown with the reason if there is none."""
        async with self.turn:
            if self.state != "ready" or self.process is None or self.process.stdin is None:
                raise PredictorDown(f"It is {self.state}.")
            self.requests += 1
            try:
                self.process.stdin.write(json.dumps({**question, "id": self.requests}).encode() + b"\n")
                await self.process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                self.state = "restarting"
                raise PredictorDown("It has ended and is being restarted.") from None
            answer = await self._message(ANSWER_SECONDS)
            while answer.get("id") != self.requests:  # the answer to a request that was cancelled
                answer = await self._message(ANSWER_SECONDS)
        if "error" in answer:
            raise PredictorDown(str(answer["error"]))
        return answer

    async def _message(self, seconds: float) -> dict[str, Any]:
        """The next line of its output that is a JSON object; lines that libraries print are skipped."""
        assert self.process
        assert self.process.stdout
        try:
            async with asyncio.timeout(seconds):
                while line := await self.process.stdout.readline():
                    with contextlib.suppress(ValueError):
                        message = json.loads(line)
                        if isinstance(message, dict):
                            return message
        except TimeoutError:
            self.stop()
            raise PredictorDown(
                f"It gave no answer in {seconds:.0f} seconds and is being restarted."
            ) from None
        self.state = "restarting"
        raise PredictorDown("It has ended and is being restarted.")

    def stop(self) -> None:
        """Kill the process, whatever it is doing."""
        self.state = "restarting"
        if self.process and self.process.stdin:
            self.process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
