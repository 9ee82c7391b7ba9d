"""Ends of a command that are not its own: Ctrl-C and other signals, a closed pipe, a full device, a terminal
without all characters, a missing library. Each is one line and an exit status, and no traceback.

It imports nothing slow: a command calls `start` before its other imports.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import signal
import sys
import unicodedata
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, ClassVar, NoReturn

_ASCII = {
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{RIGHTWARDS ARROW}": "->",
}
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Standard:
    """State of the process: its wrapped streams, whether `start` was called, the signal received."""

    outputs: ClassVar[dict[str, _Output]] = {}
    started = False
    received: int = signal.SIGINT


class _Output(io.RawIOBase):
    """A standard stream that discards what follows its first error, so that the work goes on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, data: Any) -> int:
        content = bytes(data)
        while self.error is None:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:
                select.select([], [self.descriptor], [])
            except OSError as error:
                self.error = error
        return len(content)


def start(command: str) -> None:
    """Prepare this process for `command`, the name that begins its error messages."""
    _Standard.started = True
    _open_closed_streams()
    codecs.register_error("plain", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="plain")
        if os.name == "posix":
            output = _Standard.outputs[name] = _Output(stream.fileno())
            options: dict[str, Any] = {
                "line_buffering": stream.line_buffering,
                "write_through": stream.write_through,
            }
            buffer = io.BufferedWriter(output)
            setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, "plain", **options))
    signal.signal(signal.SIGINT, _end)
    sys.excepthook = _hook(command)


def run(main: Callable[[], int]) -> NoReturn:
    """Exit with the status of `main`, or 130 on Ctrl-C, 143 and 129 on SIGTERM and SIGHUP."""
    catch_signals(once=False)
    try:
        status = main()
    except KeyboardInterrupt:
        ignore_signals()
        status = interrupted()
    sys.exit(final_status(interrupted_status() if status == 130 else status))


def catch_signals(*, once: bool) -> None:
    """Let SIGINT raise KeyboardInterrupt, in a command also SIGTERM and SIGHUP; with `once` further ones are
    ignored while a row is written."""

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        _Standard.received = number
        if once:
            ignore_signals()
        raise KeyboardInterrupt

    # Shells start background jobs with SIGINT ignored, and nohup its command with SIGHUP: only the first is
    # restored.
    for number in _SIGNALS if _Standard.started else [signal.SIGINT]:
        if number != getattr(signal, "SIGHUP", None) or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Ignore the signals that interrupt: the command is about to end."""
    for number in _SIGNALS if _Standard.started else []:
        signal.signal(number, signal.SIG_IGN)


def interrupted_status() -> int:
    """The exit status after the signal that was received, 130 after Ctrl-C."""
    return 128 + _Standard.received


def interrupted() -> int:
    """Print that the command was interrupted; its exit status."""
    _print_error("Interrupted.")
    return interrupted_status()


def final_status(status: int) -> int:
    """The exit status of a command whose work ended with `status`: 1 instead of 0 if its output was lost,
    unless a closed pipe lost it (`| head`)."""
    output = _Standard.outputs.get("stdout")
    if output is None:
        return status
    sys.stdout.flush()
    if output.error is None or output.error.errno == errno.EPIPE:
        return status
    _print_error(f"The output cannot be written: {output.error.strerror}.")
    return status or 1


def _open_closed_streams() -> None:
    """Open the null device in place of closed standard streams: a table would get their descriptors."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free one
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Characters that the terminal's encoding lacks, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = []
    for letter in error.object[error.start : error.end]:
        decomposed = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        letters.append(_ASCII.get(letter) or decomposed or "?")
    return "".join(letters), error.end


def _end(number: int, _: FrameType | None) -> NoReturn:
    """End the process at once: there is nothing to record while it imports its modules."""
    _print_error("Interrupted.")
    os._exit(128 + number)


def _hook(command: str) -> Callable[[type[BaseException], BaseException, TracebackType | None], Any]:
    """An excepthook that reports a library that is missing or cannot be loaded in one line, with status 2."""

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, ImportError):
            sys.__excepthook__(kind, error, traceback)
            return
        reason = (str(error).splitlines() or [kind.__name__])[0]
        _print_error(f"{command}: {reason}. Install what requirements.txt lists.")
        sys.stdout.flush()
        os._exit(2)

    return hook


def _print_error(line: str) -> None:
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        pass  # there is nobody left to read it
