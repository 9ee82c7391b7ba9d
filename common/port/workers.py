"""The two processes that hold the models, one for each framework, and requests to them.

They run the user's own files. Both stay for any number of checks, each of which loads its models anew.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from common import messages
from common.frameworks import PAIR, ROOT, display_name
from common.messages import InputError

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Environment variables that the two frameworks read the number of their threads from."""


class WorkerError(Exception):
    """A request that a process could not answer, with the last line of its exception."""


class Worker:
    """One framework's process; `ask` waits for its answer."""

    def __init__(self, framework: str, *, loud: bool = False, threads: int | None = None) -> None:
        self.framework = framework
        environment = {**os.environ, "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        if threads:
            environment |= dict.fromkeys(THREADS, str(threads))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"backends.{framework}.port"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if loud else subprocess.DEVNULL,
            env=environment,
        )
        self.waiting = False

    def begin(self, verb: str, **arguments: Any) -> None:
        """Send a request; `end` returns its answer."""
        assert self.process.stdin
        try:
            messages.send(self.process.stdin, {"verb": verb, "arguments": arguments})
        except BrokenPipeError:
            raise self._ended() from None
        self.waiting = True

    def end(self) -> Any:
        """The answer to the request. Raises InputError or WorkerError."""
        assert self.process.stdout
        self.waiting = False
        try:
            answer = messages.receive(self.process.stdout)
        except messages.Ended:
            raise self._ended() from None
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "failed" in answer:
            raise WorkerError(answer["failed"])
        return answer["result"]

    def ask(self, verb: str, **arguments: Any) -> Any:
        """The answer to a request. Raises InputError or WorkerError."""
        self.begin(verb, **arguments)
        return self.end()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.kill()  # it has nothing to save, and TensorFlow takes seconds to end
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def _ended(self) -> WorkerError:
        name = display_name(self.framework)
        return WorkerError(f"The process of {name} has ended with status {self.process.wait()}")


class Workers:
    """Both processes, as a context, with a number of threads each or the frameworks' own; `left` has PyTorch,
    `right` Keras."""

    def __init__(self, *, loud: bool = False, threads: int | None = None) -> None:
        self.left, self.right = (Worker(framework, loud=loud, threads=threads) for framework in PAIR)

    @property
    def ended(self) -> bool:
        """Whether a process has ended by itself."""
        return any(worker.process.poll() is not None for worker in (self.left, self.right))

    def both(
        self, verb: str, *, left: Mapping[str, Any] | None = None, right: Mapping[str, Any] | None = None
    ) -> tuple[Any, Any]:
        """The answers of both to one verb, computed at the same time. Raises what `ask` raises."""
        self.left.begin(verb, **(left or {}))
        try:
            self.right.begin(verb, **(right or {}))
        finally:
            try:
                first = self.left.end()
            finally:
                second = self.right.end() if self.right.waiting else None
        return first, second

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in (self.left, self.right):
            worker.close()
