"""The demo's end of a framework's process: started, asked, and started again when it dies.

A process answers one question at a time, so they wait in line here. One that does not answer in time is taken
for dead. The other framework's goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.frameworks import FRAMEWORKS

START_SECONDS, ANSWER_SECONDS = 120.0, 20.0
LEAST_LIFE_SECONDS = 2.0  # between two starts


class PredictorDown(Exception):
    """There is no answer; the message says why, for who looks at the page."""


class PredictorProcess:
    """A framework's process. `run` keeps it alive until it is cancelled; `ask` waits for its answer."""

    def __init__(self, framework: str, checkpoints: Path, *, command: Sequence[str] | None = None) -> None:
        self.framework = framework
        serve = [*FRAMEWORKS[framework].command, "--no-accel", "--serve", str(checkpoints)]
        self.command = list(command or serve)
        self.process: asyncio.subprocess.Process | None = None
        self.state = "starting"
        self.turn = asyncio.Lock()
        self.asked = 0

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
        # Its own session: Ctrl-C at the terminal comes to it by way of its closed input, without a traceback.
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True
        )
        with contextlib.suppress(PredictorDown):
            while not (await self._line(START_SECONDS)).get("ready"):
                pass
            self.state = "ready"

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises Down with the reason if there is none."""
        async with self.turn:
            if self.state != "ready" or self.process is None or self.process.stdin is None:
                raise PredictorDown(f"It is {self.state}.")
            self.asked += 1
            try:
                self.process.stdin.write(json.dumps({**question, "id": self.asked}).encode() + b"\n")
                await self.process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                self.state = "restarting"
                raise PredictorDown("It has ended and is being restarted.") from None
            answer = await self._line(ANSWER_SECONDS)
            while answer.get("id") != self.asked:  # one that nobody waited for
                answer = await self._line(ANSWER_SECONDS)
        if "error" in answer:
            raise PredictorDown(str(answer["error"]))
        return answer

    async def _line(self, seconds: float) -> dict[str, Any]:
        """The next line of its output that is JSON; what libraries print is passed over."""
        assert self.process
        assert self.process.stdout
        try:
            async with asyncio.timeout(seconds):
                while line := await self.process.stdout.readline():
                    with contextlib.suppress(ValueError):
                        told = json.loads(line)
                        if isinstance(told, dict):
                            return told
        except TimeoutError:
            self.stop()
            raise PredictorDown(
                f"It gave no answer in {seconds:.0f} seconds and is being restarted."
            ) from None
        self.state = "restarting"
        raise PredictorDown("It has ended and is being restarted.")

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.state = "restarting"
        if self.process and self.process.stdin:
            self.process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
