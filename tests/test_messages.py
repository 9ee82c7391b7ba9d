"""Messages keep their values, and a worker answers what it can, refuses, and reports what failed."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from common import messages

WORKER = """
from common import messages
def twice(x):
    print("a library prints")
    return {"x": 2 * x}
def refuse():
    raise messages.InputError("It is too small.")
def fail():
    raise ValueError("two\\nlines")
messages.serve({"twice": twice, "refuse": refuse, "fail": fail, "read": input})
"""


def through_a_pipe(value: object) -> Any:
    stream = io.BytesIO()
    messages.send(stream, value)
    stream.seek(0)
    return messages.receive(stream)


def test_values_and_arrays_arrive_as_they_were_sent() -> None:
    sent = {"a": [1, 2.5, None, "text", True], "b": {"c": np.arange(6.0).reshape(2, 3)}, "d": np.float32(0.5)}
    received = through_a_pipe(sent)
    assert received["a"] == sent["a"]
    np.testing.assert_array_equal(received["b"]["c"], sent["b"]["c"])  # type: ignore[index]
    assert received["d"] == 0.5
    assert through_a_pipe([np.float32([1]), np.int64([2])])[1].dtype == np.int64


def test_an_array_of_python_objects_is_not_sent() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        messages.send(io.BytesIO(), np.array([{}]))


def test_the_end_of_a_stream_is_no_message() -> None:
    with pytest.raises(messages.Ended):
        messages.receive(io.BytesIO(b"half"))


def test_a_worker_answers_refuses_and_reports() -> None:
    requests = io.BytesIO()
    messages.send(requests, {"verb": "twice", "arguments": {"x": np.array([1.0, 2.0])}})
    messages.send(requests, {"verb": "read", "arguments": {}})
    messages.send(requests, {"verb": "refuse", "arguments": {}})
    messages.send(requests, {"verb": "fail", "arguments": {}})
    done = subprocess.run([sys.executable, "-c", WORKER], input=requests.getvalue(), capture_output=True)
    answers = io.BytesIO(done.stdout)
    np.testing.assert_array_equal(messages.receive(answers)["result"]["x"], [2.0, 4.0])
    assert messages.receive(answers)["failed"].startswith("EOFError")
    assert messages.receive(answers) == {"refused": "It is too small."}
    assert messages.receive(answers)["failed"] == "ValueError: two lines"
    assert done.returncode == 0
    assert b"a library prints" in done.stderr
