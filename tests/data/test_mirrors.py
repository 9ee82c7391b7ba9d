"""Web mirrors, against a local server: right files, wrong files, servers that hang."""

import contextlib
import io
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.standin import CONTENT, HASHES, publish

from common.data import datasets, download, idx
from common.data.download import DownloadError
from common.data.idx import FILES


def load(folder: Path, *mirrors: download.Mirror) -> list[str]:
    """The lines that are logged when the stand-in is loaded from these mirrors."""
    log: list[str] = []
    registry = {"tiny": datasets.DatasetFiles(HASHES, mirrors)}
    datasets.load("tiny", data_dir=folder, log=log.append, registry=registry)
    return log


def test_a_mirror_provides_the_files(web: tuple[Path, str], tmp_path: Path) -> None:
    publish(web[0])
    cache = tmp_path / "cache" / "tiny"
    missing, attempt, outcome = load(tmp_path / "cache", download.Mirror(web[1]))
    assert "train-images-idx3-ubyte is missing" in missing
    assert web[1] in attempt
    assert web[1] in outcome
    assert str(cache) in outcome
    assert {path.name: path.read_bytes() for path in cache.glob("[!.]*")} == CONTENT


def damage_gzip(folder: Path) -> None:
    path = folder / f"{FILES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])


def show_a_login_page(folder: Path) -> None:
    (folder / f"{FILES[0]}.gz").write_bytes(b"<html>Please log in</html>")


def change_a_pixel(folder: Path) -> None:
    publish(folder, CONTENT | {FILES[2]: CONTENT[FILES[2]][:-1] + b"\x07"})


def remove_a_file(folder: Path) -> None:
    (folder / f"{FILES[3]}.gz").unlink()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (damage_gzip, "train-images-idx3-ubyte.gz is not a whole gzip file"),
        (show_a_login_page, "train-images-idx3-ubyte.gz is not a whole gzip file"),
        (change_a_pixel, "t10k-images-idx3-ubyte is damaged: its SHA-256 is "),
        (remove_a_file, "404"),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_is_tried(
    harm: Callable[[Path], None], reason: str, web: tuple[Path, str], tmp_path: Path
) -> None:
    bad, good = web[0] / "bad", web[0] / "good"
    publish(bad)
    publish(good)
    harm(bad)
    log = load(tmp_path, download.Mirror(f"{web[1]}bad/"), download.Mirror(f"{web[1]}good/"))
    assert f"{web[1]}bad/: " in log[2]
    assert reason in log[2]
    assert f"{web[1]}good/" in log[4]
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").glob("[!.]*")} == CONTENT


def test_a_mirror_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = download.Mirror(f"http://127.0.0.1:{silent.getsockname()[1]}/", answer_seconds=0.3)
        with pytest.raises(DownloadError, match=r"0\.3 seconds"):
            mirror.fetch(tmp_path)
    with pytest.raises(DownloadError, match="refused"):
        replace(mirror, answer_seconds=60.0).fetch(tmp_path)


def test_a_mirror_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FILE_SECONDS", 0.3)
    given_up = threading.Event()

    def drip(server: socket.socket) -> None:
        for _ in range(2):  # the question whether it answers, and the first file
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                if connection.recv(4096).startswith(b"GET"):
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n")
                    while not given_up.wait(0.05):
                        connection.sendall(b"x")
                else:
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        with pytest.raises(DownloadError, match=r"0\.3 seconds"):
            download.Mirror(f"http://127.0.0.1:{server.getsockname()[1]}/").fetch(tmp_path)
        given_up.set()
        thread.join()


def test_too_much_is_refused(web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (idx, download):
        monkeypatch.setattr(module, "MAX_BYTES", 1000)
    publish(web[0], {FILES[0]: bytes(5000)})
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz holds more than 1000 bytes"):
        download.Mirror(web[1]).fetch(tmp_path)
    (web[0] / f"{FILES[0]}.gz").write_bytes(bytes(5000))
    with pytest.raises(DownloadError, match=r"train-images-idx3-ubyte\.gz is longer than 1000 bytes"):
        download.Mirror(web[1]).fetch(tmp_path)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_shows_on_a_terminal_only(
    is_terminal: bool, web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(web[0])
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    download.Mirror(web[1]).fetch(tmp_path)
    download.run_command("sleeper", (sys.executable, "-c", "import time; time.sleep(0.5)"), tmp_path)
    shown = screen.getvalue()
    assert ("train-images-idx3-ubyte.gz" in shown, "sleeper at work" in shown) == (is_terminal, is_terminal)
    assert is_terminal or not shown
