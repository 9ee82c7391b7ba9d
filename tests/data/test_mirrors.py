"""Web mirrors, against a local server: what they bring, what is refused, what a bad one costs."""

import io
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.standin import CONTENT, HASHES, publish

from common.data import datasets, download, idx
from common.data.download import DownloadError
from common.data.idx import FILES


def test_a_mirror_brings_the_files(web: tuple[Path, str], tmp_path: Path) -> None:
    publish(web[0])
    log: list[str] = []
    cache = tmp_path / "cache" / "tiny"
    registry = {"tiny": datasets.DatasetFiles(HASHES, (download.Mirror(web[1]),))}
    datasets.load("tiny", data_dir=tmp_path / "cache", log=log.append, registry=registry)
    assert log == [
        f"tiny: looked into the cache {cache}: train-images-idx3-ubyte is missing. Fetching the files.",
        f"tiny: trying the mirror {web[1]} ...",
        f"tiny: the mirror {web[1]} brought all four files; checked, and kept in {cache}.",
    ]
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
        (remove_a_file, "HTTP 404 (File not found) for "),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_asked(
    harm: Callable[[Path], None], reason: str, web: tuple[Path, str], tmp_path: Path
) -> None:
    bad, good = web[0] / "bad", web[0] / "good"
    publish(bad)
    publish(good)
    harm(bad)
    log: list[str] = []
    mirrors = (download.Mirror(f"{web[1]}bad/"), download.Mirror(f"{web[1]}good/"))
    datasets.load(
        "tiny", data_dir=tmp_path, log=log.append, registry={"tiny": datasets.DatasetFiles(HASHES, mirrors)}
    )
    assert f"tiny: the mirror {web[1]}bad/: {reason}" in log[2]
    assert "good/ brought all four files" in log[4]


def test_a_mirror_that_refuses_or_hangs_costs_little(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = download.Mirror(f"http://127.0.0.1:{silent.getsockname()[1]}/", answer_seconds=0.3)
        started = time.monotonic()
        with pytest.raises(DownloadError, match=r"^no answer within 0\.3 seconds\.$"):
            hanging.fetch(tmp_path)
        assert time.monotonic() - started < 3
    with pytest.raises(DownloadError, match="refused"):
        replace(hanging, answer_seconds=5.0).fetch(tmp_path)


def test_a_mirror_that_drips_meets_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FILE_SECONDS", 0.3)

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(1000):
                    connection.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        mirror = download.Mirror(f"http://127.0.0.1:{server.getsockname()[1]}/")
        started = time.monotonic()
        with pytest.raises(DownloadError, match="not complete within"):
            mirror.fetch(tmp_path)
        assert time.monotonic() - started < 5


def test_too_much_is_refused(web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (idx, download):
        monkeypatch.setattr(module, "MAX_BYTES", 1000)
    publish(web[0], {FILES[0]: bytes(5000)})
    with pytest.raises(DownloadError, match=r"train-images-idx3-ubyte\.gz holds more than 1000 bytes"):
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
