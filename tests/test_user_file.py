"""A user's file is run, and what is wrong with it is one line with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import user_file
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


def test_a_missing_file_and_an_address_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        user_file.load(tmp_path / "none.py")
    with pytest.raises(InputError, match="is not a file"):
        user_file.load(tmp_path)
    with pytest.raises(InputError, match=r"FILE\.py:NAME"):
        user_file.split_address("net.py")
    assert user_file.split_address("a/net.py:Net") == (Path("a/net.py"), "Net")
