"""Paths of the command line: how they are read, and files that a mode writes, which are tried before the
work."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import files


class OutputError(Exception):
    """A file that cannot be written; the message is one line for the person at the terminal."""


def path(text: str) -> Path:
    """The path that a flag names. `~` is expanded here, as a shell leaves it in `--results=~/runs`."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text is no path.")
    return files.expanded(text)


def output_error(file: Path) -> str | None:
    """Why a mode cannot write its JSON to `file`, if it cannot; nothing is created or changed."""
    try:
        if not file.parent.is_dir():
            return f"{file} cannot be written: there is no folder {file.parent}."
        if file.is_dir():
            return f"{file} cannot be written: it is a folder."
        if file.is_file():
            file.open("r+b").close()
        elif not file.exists() and not os.access(file.parent, os.W_OK):
            return f"{file} cannot be written: its folder does not permit it."
    except OSError as error:
        return f"{file} cannot be written: {error.strerror or error}."
    return None


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write what a mode measured, a file as a whole or not at all. Raises OutputError."""
    content = json.dumps(values).encode()
    try:
        if file.exists() and not file.is_file():  # a device or a pipe
            file.write_bytes(content)
        else:
            files.write(file.resolve(), content)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}.") from None
