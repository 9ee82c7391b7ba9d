"""One process at a time changes a folder; a file is whole or not there, and nothing is left beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common import files
from common.printable import printable

posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes, links and locks of folders")


@pytest.mark.parametrize("deleted", [False, pytest.param(True, marks=posix)])
def test_a_locked_folder_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, deleted: bool
) -> None:
    """As long as it takes, with one line that names the lock; also if somebody deletes the lock's file."""
    monkeypatch.setattr(files, "WARNING_SECONDS", 0.0)
    monkeypatch.setattr(files, "POLL_SECONDS", 0.001)
    entered = threading.Event()

    def enter() -> None:
        with files.locked(tmp_path):
            entered.set()

    with files.locked(tmp_path):
        if deleted:
            (tmp_path / ".lock").unlink()
        second = threading.Thread(target=enter)
        second.start()
        while second.is_alive() and not caplog.records:
            time.sleep(0.01)
        assert not entered.is_set()
    second.join()
    assert entered.is_set()
    (line,) = caplog.messages
    assert str(tmp_path) in line


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def temporary_of(process: int) -> str:
    mine = files._new_temporary(Path.cwd()).name
    return mine.replace(f"-{os.getpid()}.", f"-{process}.")


@pytest.mark.parametrize(
    "action",
    [files.check_writable, lambda folder: files.write(folder / "file", b"new")],
    ids=["check", "write"],
)
def test_files_of_killed_processes_are_removed(tmp_path: Path, action: Callable[[Path], None]) -> None:
    """Only theirs: other processes are at work, and files of other names are somebody else's."""
    own, dead = temporary_of(os.getpid()), temporary_of(dead_process())
    others = {temporary_of(os.getppid()), ".another-host-1.template-ml", ".file.1", f"{dead}.txt"}
    for name in (own, dead, *others):
        (tmp_path / name).write_text("x")
    action(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {"file"} == others


@posix
def test_a_link_that_has_the_name_of_a_temporary_file_is_removed_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / temporary_of(os.getpid())).symlink_to(tmp_path / "precious")
    files.write(tmp_path / "folder" / "file", b"new")
    assert (tmp_path / "precious").read_text() == "old"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_is_not_written_whole_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "file").write_text("old")

    def fail(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        files.write(tmp_path / "file", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.is_file(tmp_path / "file")
    assert not files.is_file(tmp_path / "none")
    assert not files.is_file(tmp_path / "file" / "below")
    with pytest.raises(OSError, match="directory"):
        files.is_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"), [("plain ± ü", "plain ± ü"), ("a\x1b[31mb\nc\x9b\u202ed", r"a\x1b[31mb\nc\x9b\u202ed")]
)
def test_text_for_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_folder_that_could_be_made_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "there").mkdir()
    files.check_creatable(tmp_path / "a" / "b" / "c")
    files.check_creatable(tmp_path / "there")
    with pytest.raises(NotADirectoryError):
        files.check_creatable(tmp_path / "file" / "b")
    with pytest.raises(OSError, match="File name too long"):
        files.check_creatable(tmp_path / "a" / ("b" * 300) / "c")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "there"]
