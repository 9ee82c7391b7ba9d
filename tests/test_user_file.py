"""A user's file is run, and what is wrong with it is one line with the place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import user_file
from common.frameworks import ROOT
from common.messages import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "net.py"
    path.write_text(text)
    return path


def test_a_callable_is_called(tmp_path: Path) -> None:
    path = write(tmp_path, "def build(width=3):\n    return [width]\n")
    module = user_file.load(path)
    assert user_file.call(module, "build", path) == [3]
    path.write_text("def build():\n    return 4\n")
    assert user_file.call(user_file.load(path), "build", path) == 4


def test_a_file_imports_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_net.py").write_text("SIZE = 5\n")
    path = write(tmp_path, "from neighbour_of_net import SIZE\n")
    assert user_file.load(path).SIZE == 5
    other = tmp_path / "other"
    other.mkdir()
    (other / "neighbour_of_net.py").write_text("SIZE = 6\n")
    path = write(other, "from neighbour_of_net import SIZE\n")
    assert user_file.load(path).SIZE == 6


@pytest.mark.parametrize(
    "text, name, words",
    [
        ("import nowhere_at_all\n", "build", ["nowhere_at_all", "net.py:1"]),
        ("def build(:\n", "build", ["SyntaxError", "net.py:1"]),
        ("\nraise SystemExit(3)\n", "build", ["SystemExit: 3, which ends the process", "net.py:2"]),
        ("def build():\n    exit()\n", "build", ["ends the process", "net.py:2"]),
        ("def other():\n    pass\n", "build", ["no callable 'build'", "other"]),
        ("build = 3\n", "build", ["no callable 'build'", "none"]),
        ("def build(width):\n    pass\n", "build", ["without arguments", "width"]),
        ("def build():\n\n    raise ValueError('too\\nbig')\n", "build", ["ValueError: too big", "net.py:3"]),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, name: str, words: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        user_file.call(user_file.load(path), name, path)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_fault_of_a_neighbour_is_at_the_line_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "unparsable_neighbour.py").write_text("\n\n\nx = (\n")
    path = write(tmp_path, "\nimport unparsable_neighbour\n")
    with pytest.raises(InputError, match=r"never closed.*\(net\.py:2\)"):
        user_file.load(path)


ENDS = """
import os
import threading
from pathlib import Path
from common import user_file
from common.messages import InputError

path = Path("net.py")
for text in ("import os\\nos._exit(0)\\n", "from os import _exit as leave\\n\\nleave(0)\\n"):
    path.write_text(text)
    try:
        user_file.load(path)
    except InputError as error:
        print(error)
text = "import os\\nif os.fork() == 0:\\n    os._exit(7)\\n"
path.write_text(text + "STATUS = os.waitstatus_to_exitcode(os.wait()[1])\\n")
print(user_file.load(path).STATUS)
with user_file.contained():
    threading.Thread(target=os._exit, args=(5,)).start()
    threading.Event().wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs processes that fork")
def test_a_file_that_ends_the_process_at_once_is_named(tmp_path: Path) -> None:
    """Another thread, which has its reasons, and a forked process end as ever."""
    command = [sys.executable, "-c", ENDS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    first, second, status = ended.stdout.splitlines()
    assert "SystemExit: 0, which ends the process (net.py:2)" in first
    assert "(net.py:3)" in second
    assert (status, ended.returncode) == ("7", 5)


def test_a_missing_file_and_an_address_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        user_file.load(tmp_path / "none.py")
    with pytest.raises(InputError, match="is not a file"):
        user_file.load(tmp_path)
    with pytest.raises(InputError, match=r"FILE\.py:NAME"):
        user_file.split_address("net.py")
    assert user_file.split_address("a/net.py:Net") == (Path("a/net.py"), "Net")
