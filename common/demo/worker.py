"""The server's side of a framework's process: starts it, requests predictions, restarts it when it ends.

A process answers one request at a time; further ones wait here. One that does not answer in time is killed
and restarted. The other frameworks' processes are not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.frameworks import FRAMEWORKS

FIRST_MODEL = "speedrun"
"""Trained where there is no checkpoint yet, one epoch in a few seconds, and preselected on the page. The
scripts' own default networks, as their sources have them, are not as good at digits."""

START_SECONDS, ANSWER_SECONDS = 120.0, 20.0
LEAST_LIFE_SECONDS = 2.0  # between two starts, doubled after each that fails, up to
LONGEST_PAUSE_SECONDS = 60.0
REASON_LETTERS = 300

# Ctrl-C at the terminal must not reach the process, which would print a traceback; it ends with its input.
if sys.platform == "win32":
    OWN_GROUP: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    OWN_GROUP: dict[str, Any] = {"start_new_session": True}

LAUNCHERS = (
    "TF_CONFIG",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)
"""Environment variables of a platform's launcher. A process of the demo is no rank of a distributed run."""


def without_launchers(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without the variables of LAUNCHERS."""
    return {name: value for name, value in environment.items() if name not in LAUNCHERS}


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
        self.last_line = ""  # of its stderr

    async def run(self) -> None:
        """Start the process, and again each time it ends or cannot be started."""
        pause = LEAST_LIFE_SECONDS
        try:
            while True:
                reason = ""
                try:
                    pause = LEAST_LIFE_SECONDS if await self._start_and_wait() else 2 * pause
                except (OSError, ValueError) as error:  # no memory or file for it, a line without end
                    reason, pause = str(error), 2 * pause
                self.stop(reason or self.last_line)
                pause = min(pause, LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(pause)
        finally:
            self.stop()
            if self.process:
                await self.process.wait()

    async def _start_and_wait(self) -> bool:
        """Wait for the end of a new process; whether it was ready before."""
        self.last_line = ""
        pipe = asyncio.subprocess.PIPE
        process = self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=without_launchers(os.environ),
            **OWN_GROUP,
        )
        errors = asyncio.create_task(self._read_errors(process))
        ready = False
        try:
            with contextlib.suppress(PredictorDown):
                while not (await self._message(process, START_SECONDS)).get("ready"):
                    pass
                ready = True
                self.state = "ready"
            await process.wait()
            with contextlib.suppress(TimeoutError):  # a process that it started may hold the pipe
                await asyncio.wait_for(asyncio.shield(errors), 1)
        finally:
            errors.cancel()
        return ready

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last line that is printed as an error: the reason, should the process end."""
        assert process.stderr
        rest = b""
        while part := await process.stderr.read(1 << 12):
            *lines, rest = (rest + part)[-(1 << 13) :].split(b"\n")
            for line in filter(bytes.strip, lines):
                self.last_line = line.decode(errors="replace").strip()[:REASON_LETTERS]

    async def predict(self, question: dict[str, Any]) -> dict[str, Any]:
        """The process's answer. Raises PredictorDown with the reason if there is none."""
        async with self.turn:
            process = self.process
            if self.state != "ready" or process is None or process.stdin is None:
                raise PredictorDown(f"It is {self.state}.")
            self.requests += 1
            number = self.requests
            try:
                process.stdin.write(json.dumps({**question, "id": number}).encode() + b"\n")
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                self._end(process)
                raise PredictorDown("It has ended and is being restarted.") from None
            answer = await self._message(process, ANSWER_SECONDS)
            while answer.get("id") != number:  # the answer to a request that was cancelled
                answer = await self._message(process, ANSWER_SECONDS)
        if "error" in answer:
            raise PredictorDown(str(answer["error"]))
        if not all(map(math.isfinite, answer["probabilities"])):
            raise PredictorDown("Its probabilities are not finite numbers.")
        return answer

    async def _message(self, process: asyncio.subprocess.Process, seconds: float) -> dict[str, Any]:
        """The next line of its output that is a JSON object; lines that libraries print are skipped."""
        assert process.stdout
        try:
            async with asyncio.timeout(seconds):
                while line := await process.stdout.readline():
                    with contextlib.suppress(ValueError):
                        message = json.loads(line)
                        if isinstance(message, dict):
                            return message
        except ValueError:  # of readline: more than its limit without the end of a line
            self._end(process)
            raise PredictorDown("It printed a line without an end and is being restarted.") from None
        except TimeoutError:
            self._end(process)
            raise PredictorDown(
                f"It gave no answer in {seconds:.0f} seconds and is being restarted."
            ) from None
        self._end(process)  # it has ended, or has closed its output
        raise PredictorDown("It has ended and is being restarted.")

    def _end(self, process: asyncio.subprocess.Process) -> None:
        """Kill `process`, unless another has replaced it."""
        if process is self.process:
            self.stop()

    def stop(self, reason: str = "") -> None:
        """Kill the process, whatever it is doing."""
        self.state = f"restarting ({reason})" if reason else "restarting"
        if self.process and self.process.stdin:
            self.process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
