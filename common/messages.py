"""Messages between two processes: JSON values with NumPy arrays among them, over pipes.

A message is two lengths, the JSON text, and the arrays in NumPy's own format one after another; in the text
{"array": N} stands for the Nth. Nothing in a message can run code.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import traceback
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

LENGTHS = struct.Struct("<QQ")


class InputError(Exception):
    """Something given that cannot be used; the message is one line for the person who gave it."""


class Ended(Exception):
    """The other process has closed its end."""


def send(stream: IO[bytes], value: object) -> None:
    """Write a message: dicts with text keys, lists, numbers, texts and arrays without Python objects."""
    arrays = io.BytesIO()
    count = 0

    def plain(other: object) -> object:
        nonlocal count
        if isinstance(other, np.generic):
            return other.item()
        if not isinstance(other, np.ndarray):
            raise TypeError(f"{type(other).__name__} cannot be sent")
        np.lib.format.write_array(arrays, np.asarray(other), allow_pickle=False)
        count += 1
        return {"array": count - 1}

    text = json.dumps({"value": value}, default=plain).encode()
    stream.write(LENGTHS.pack(len(text), arrays.tell()) + text)
    stream.write(arrays.getbuffer())
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message. Raises Ended if there is none."""
    text_length, arrays_length = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    text = _exactly(stream, text_length)
    content = io.BytesIO(_exactly(stream, arrays_length))
    arrays = []
    while content.tell() < arrays_length:
        arrays.append(np.lib.format.read_array(content, allow_pickle=False))

    def whole(items: dict[str, Any]) -> Any:
        return arrays[items["array"]] if items.keys() == {"array"} else items

    return json.loads(text, object_hook=whole)["value"]


def _exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise Ended
    return content


def serve(answers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests {"verb", "arguments"} from the standard input until it ends, on the standard output.

    What a user's file prints goes to stderr, and it has nothing to read: a breakpoint left in it ends with an
    error. An answer is {"result"}, {"refused": a sentence} for an InputError, or {"failed": the last line of
    the exception, "traceback"}.
    """
    requests, output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    with contextlib.suppress(Ended, BrokenPipeError):
        while True:
            request = receive(requests)
            try:
                answer = {"result": answers[request["verb"]](**request["arguments"])}
            except InputError as error:
                answer = {"refused": str(error)}
            except Exception as error:
                answer = {"failed": last_line(error), "traceback": traceback.format_exc()}
            send(output, answer)


def last_line(error: BaseException) -> str:
    """`ValueError: message`, on one line, as the last line of a traceback."""
    text = " ".join(words(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def words(error: BaseException) -> str:
    """The message of an exception, whose class may be one of a user's file; empty where it has none."""
    try:
        return str(error)
    except Exception:
        return ""
