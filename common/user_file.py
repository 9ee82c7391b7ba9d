"""What is read from a Python file of the user's own, which is run for it."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

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

    Raises InputError for a file that is not there or that raises.
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
        spec.loader.exec_module(module)
    except Exception as error:
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
        return function()
    except Exception as error:
        raise InputError(f"{path}:{name} raised {raised(error, path)}.") from error


def raised(error: Exception, path: Path) -> str:
    """`ValueError: message (net.py:12)`: the last line of the exception, and the last place in the file."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, SyntaxError) and error.lineno:
        place = f"{path.name}:{error.lineno}"
    elif own:
        place = f"{path.name}:{own[-1].lineno}"
    else:
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else path.name
    return f"{last_line(error).rstrip('.')} ({place})"
