"""A Python file of the user's own: it is run, and what is wrong with it is named with the line."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import itertools
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from common.messages import InputError, last_line

_numbers = itertools.count(1)
_folders: list[str] = []  # that `load` put on the path: one at most


def split_address(address: str) -> tuple[Path, str]:
    """The file and the name of `FILE.py:NAME`. Raises InputError."""
    file, separator, name = address.rpartition(":")
    if not separator or not file.endswith(".py"):
        raise InputError(f"{address} must be FILE.py:NAME, the name of a callable in the file.")
    return Path(file), name


def require(path: Path) -> None:
    """Raise InputError unless there is a file at `path`."""
    if not path.is_file():
        raise InputError(f"{path} does not exist." if not path.exists() else f"{path} is not a file.")


def load(path: Path) -> ModuleType:
    """The module of a file, run anew at each call, with its folder on the path for its own imports.

    Raises InputError for a file that is not there, that raises, or that ends the process.
    """
    require(path)
    name = f"user_file_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _make_importable(str(path.resolve().parent))
    try:
        with contained():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(f"{path} cannot be run: {raised(error, path)}.") from error
    return module


def _make_importable(folder: str) -> None:
    """Put `folder` on the path in place of the last file's, whose neighbours are forgotten: another folder
    may have others of the same names, and the same one may have newer ones."""
    if _folders:
        last = _folders.pop()
        sys.path.remove(last)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and os.path.dirname(file) == last and name != "__main__":
                del sys.modules[name]
    if folder not in sys.path:
        sys.path.append(folder)
        _folders.append(folder)
    importlib.invalidate_caches()


def call(module: ModuleType, name: str, path: Path) -> Any:
    """The value of a callable of the module, called without arguments. Raises InputError."""
    function = getattr(module, name, None)
    if not callable(function):
        own = vars(module).items()
        names = [other for other, value in own if callable(value) and other[:1] not in "_"]
        has = f"it has {', '.join(names)}" if names else "it has none"
        raise InputError(f"{path} has no callable {name!r}; {has}.")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a callable without a signature
        parameters = []
    collects = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in collects]
    if needed:
        raise InputError(
            f"{path}:{name} cannot be called without arguments: it requires {', '.join(needed)}."
        )
    try:
        with contained():
            return function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(f"{path}:{name} raised {raised(error, path)}.") from error


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Let `os._exit` raise SystemExit, as `sys.exit` does, so that a file that ends the process is named; go
    back to the working folder afterwards.

    In this thread alone: others end the process with reason, and so do processes that the file forks.
    """
    exit_process, here = os._exit, (os.getpid(), threading.get_ident())

    def leave(status: int) -> NoReturn:
        if (os.getpid(), threading.get_ident()) != here:
            exit_process(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        with contextlib.chdir("."):
            yield
    finally:
        os._exit = exit_process


def line_at_fault(error: BaseException, path: Path) -> int | None:
    """The line of the file at `path` that has a syntax error, or the last of its lines that led to `error`;
    None where none did."""
    if isinstance(error, SyntaxError) and error.filename and _is(error.filename, path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if _is(frame.filename, path)]
    return lines[-1] if lines else None


def _is(filename: str, path: Path) -> bool:
    return filename == str(path) or Path(filename).resolve() == path.resolve()


def raised(error: BaseException, path: Path) -> str:
    """`ValueError: message (net.py:12)`: the last line of the exception, and the line at fault in the file at
    `path`, or where that has none the last place of all."""
    reason = last_line(error).rstrip(".")
    if isinstance(error, SystemExit):
        reason += ", which ends the process"
    frames = traceback.extract_tb(error.__traceback__)
    if line := line_at_fault(error, path):
        return f"{reason} ({path.name}:{line})"
    return f"{reason} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else reason
