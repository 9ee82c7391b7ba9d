"""The data sets: cache, sources and refusals, on stand-ins of a few images."""

import gzip
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.standin import CONTENT, HASHES, TEST, TRAIN, stand_in

from common.data import datasets, download, idx
from common.data.datasets import DataError, Dataset, DatasetFiles
from common.data.download import DownloadError
from common.data.idx import FILES

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fake:
    """A source that is a value: it provides `files`, or fails with `reason`."""

    name: str
    files: dict[str, bytes] | None = None
    reason: str = "out of order."

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        if self.files is None:
            raise DownloadError(self.reason)
        return self.files


def load(folder: Path, *wanted: download.Downloader, log: list[str] | None = None) -> Dataset:
    registry = {"tiny": DatasetFiles(HASHES, wanted)}
    return datasets.load("tiny", data_dir=folder, log=([] if log is None else log).append, registry=registry)


def fill_cache(folder: Path) -> Path:
    load(folder, Fake("the filler", CONTENT))
    return folder / "tiny"


def files_in(folder: Path) -> dict[str, bytes]:
    """Names and contents of the files that are not hidden."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def is_stand_in(dataset: Dataset) -> bool:
    arrays = (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels)
    return [idx.encode_idx(array) for array in arrays] == list(CONTENT.values())


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)


def test_a_second_load_reads_the_cache(tmp_path: Path) -> None:
    cache, log = fill_cache(tmp_path), list[str]()
    assert is_stand_in(load(tmp_path, Fake("nobody"), log=log))
    (line,) = log
    assert str(cache) in line


def flip_a_byte(raw: bytes) -> bytes:
    return raw[:100] + bytes([raw[100] ^ 1]) + raw[101:]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda raw: raw[:500], "12 x 28 x 28 = 9408 bytes are announced and 484 follow"),
        (lambda raw: b"", "it is truncated"),
        (lambda raw: raw + b"!", "12 x 28 x 28 = 9408 bytes are announced and 9409 follow"),
        (lambda raw: b"\0\0\x08\1" + raw[4:], "0x00000801, not 0x00000803"),
    ],
    ids=["truncated", "empty", "too long", "wrong magic"],
)
def test_a_damaged_cache_is_noticed_named_and_downloaded_again(
    harm: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    cache, log = fill_cache(tmp_path), list[str]()
    path = cache / "t10k-images-idx3-ubyte"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged"):
        load(tmp_path, Fake("nobody"))
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT), log=log))
    assert str(cache) in log[0]
    assert "t10k-images-idx3-ubyte is damaged" in log[0]
    assert reason in log[0]
    assert path.read_bytes() == CONTENT[path.name]
    assert is_stand_in(load(tmp_path))


def test_a_changed_byte_in_the_default_folder_is_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_default_folder", lambda: tmp_path)
    path = fill_cache(tmp_path) / FILES[2]
    path.write_bytes(flip_a_byte(path.read_bytes()))
    log = list[str]()
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT), log=log))
    assert f"{FILES[2]} is damaged: its SHA-256 is " in log[0]
    assert path.read_bytes() == CONTENT[path.name]


OTHER_DATA = {
    "other images": stand_in(seed=1)[FILES[2]],
    "float32": b"\0\0\x0d\1" + (3).to_bytes(4) + bytes(12),
    "four dimensions": b"\0\0\x08\4" + b"".join(n.to_bytes(4) for n in (2, 3, 1, 2)) + bytes(12),
    "one byte changed": flip_a_byte(CONTENT[FILES[2]]),
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("other", OTHER_DATA)
@pytest.mark.parametrize(
    "beside", [FILES[:0], FILES[:2], FILES[3:]], ids=["alone", "after ours", "before ours"]
)
def test_complete_idx_files_of_other_data_are_reported_and_kept(
    tmp_path: Path, other: str, beside: tuple[str, ...], *, zipped: bool
) -> None:
    """Also where the first fault is that another file is missing."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for file in beside:
        (folder / file).write_bytes(CONTENT[file])
    path = folder / f"{FILES[2]}{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(OTHER_DATA[other]) if zipped else OTHER_DATA[other])
    before = files_in(folder)
    with pytest.raises(DataError) as refusal:
        load(tmp_path, Fake("somebody", CONTENT))
    assert str(path) in str(refusal.value)
    assert "--data-dir" in str(refusal.value)
    assert files_in(folder) == before


def test_files_placed_by_hand_may_be_gzipped(tmp_path: Path) -> None:
    cache = fill_cache(tmp_path)
    for file in FILES[1:]:
        (cache / f"{file}.gz").write_bytes(gzip.compress((cache / file).read_bytes()))
    (cache / FILES[1]).unlink()
    (cache / FILES[2]).write_bytes(b"damaged")
    assert is_stand_in(load(tmp_path))
    (cache / f"{FILES[2]}.gz").write_bytes(b"damaged")
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte is damaged: it starts with the magic number"
    ):
        load(tmp_path)
    (cache / f"{FILES[1]}.gz").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz is not a whole gzip file"):
        load(tmp_path)


ODD_PLACES: dict[str, Callable[[Path], None]] = {
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to(os.devnull),
    "a huge file": lambda path: (path.touch(), os.truncate(path, idx.MAX_BYTES + 1)),  # type: ignore[return-value]
}


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and links")
@pytest.mark.parametrize("place", ODD_PLACES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_cannot_be_data_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, suffix: str
) -> None:
    """It is named and kept in a folder that the user named, and replaced in the default folder."""
    path = tmp_path / "tiny" / f"{FILES[0]}{suffix}"
    path.parent.mkdir()
    ODD_PLACES[place](path)
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(place) if self == path else read(self))
    before = path.lstat()
    with pytest.raises(DataError, match="--data-dir") as refusal:
        load(tmp_path, Fake("somebody", CONTENT))
    assert str(path) in str(refusal.value)
    assert path.lstat() == before
    monkeypatch.setattr(datasets, "_default_folder", lambda: tmp_path)
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT)))


def test_workplaces_of_killed_downloads_are_removed(tmp_path: Path) -> None:
    precious, folder = tmp_path / "precious", tmp_path / "tiny"
    for name in ("precious", "tiny/.fetch-abcd1234/0", "tiny/.fetch-notes"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    (folder / ".fetch-abcd1234" / "link").symlink_to(precious)
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT)))
    assert [path.name for path in folder.glob(".fetch*")] == [".fetch-notes"]
    assert list(precious.iterdir())


def test_the_words_of_a_source_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    log = list[str]()
    with pytest.raises(DataError) as caught:
        load(tmp_path, Fake("somebody", reason="404 \x1b]0;title\x07\r\nfine"), log=log)
    assert all(line.isprintable() for line in (*log, *str(caught.value).splitlines()))


def test_wrong_bytes_are_never_cached(tmp_path: Path) -> None:
    other = stand_in(seed=1)
    with pytest.raises(DataError, match="the liar: train-images-idx3-ubyte is damaged: its SHA-256 is"):
        load(tmp_path, Fake("the liar", other))
    with pytest.raises(DataError, match="the liar: t10k-labels-idx1-ubyte is damaged: its SHA-256 is"):
        load(tmp_path, Fake("the liar", CONTENT | {FILES[3]: other[FILES[3]]}))
    assert not files_in(tmp_path / "tiny")


def test_an_interrupted_download_leaves_whole_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []

    def replace_two(source: Path, target: Path) -> None:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target.name)
        Path(source).rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_two)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path, Fake("somebody", CONTENT))
    assert files_in(tmp_path / "tiny") == {file: CONTENT[file] for file in moved}
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT)))


LOADER = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.standin import CONTENT, HASHES
from common.data import datasets
folder, mode = Path(sys.argv[1]), sys.argv[3]
class Slow:
    name = "the slow one"
    def fetch(self, workplace):
        if mode == "once":
            print("downloading", flush=True)
            while not (folder / "go").exists():
                time.sleep(0.01)
        return CONTENT
registry = {"tiny": datasets.DatasetFiles(HASHES, (Slow(),))}
for _ in range(1 if mode == "once" else 20):
    train = datasets.load("tiny", data_dir=folder, registry=registry).train
    if mode != "once":
        (folder / "tiny" / "train-images-idx3-ubyte").unlink(missing_ok=True)
print(int(train.images.sum()))
"""


def start_loaders(folder: Path, mode: str) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", LOADER, str(folder), str(ROOT / "tests"), mode]
    return [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]


INK = int(idx.decode_idx(CONTENT[FILES[0]], rank=3).sum())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that another process reads")
def test_processes_may_download_at_once(tmp_path: Path) -> None:
    processes = start_loaders(tmp_path, "again and again")
    assert [int(process.communicate(timeout=300)[0]) for process in processes] == [INK] * 3
    assert files_in(tmp_path / "tiny") == {file: CONTENT[file] for file in FILES[1:]}


@pytest.mark.slow
def test_of_processes_that_start_together_one_downloads(tmp_path: Path) -> None:
    processes = start_loaders(tmp_path, "once")
    while not (tmp_path / "tiny").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    time.sleep(0.5)  # for all of them to reach the lock; one that is later finds the files
    (tmp_path / "go").touch()
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert sorted(printed) == sorted([f"{INK}\n", f"{INK}\n", f"downloading\n{INK}\n"])


def test_when_nothing_works_each_source_is_listed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "tiny"
    monkeypatch.setenv("PATH", str(tmp_path))
    debian = download.DebianPackage("tiny-data", folder="./usr/share/datasets/tiny")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "cache", Fake("the first", reason="Connection refused."), debian)
    _, first, second, third, by_hand = str(caught.value).splitlines()
    assert str(cache) in first
    assert "train-images-idx3-ubyte is missing" in first
    assert "the first: Connection refused." in second
    assert "tiny-data (apt-get download): apt-get is not installed." in third
    assert str(cache) in by_hand
    assert all(word in by_hand for word in (*FILES, "--data-dir", "MNIST_DATA_DIR"))


def a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path / "file"


def a_loop(tmp_path: Path) -> Path:
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path / "loop"


def a_forbidden_folder(tmp_path: Path) -> Path:
    (tmp_path / "forbidden").mkdir(mode=0)
    return tmp_path / "forbidden"


AS_ROOT = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")


@pytest.mark.skipif(os.name == "nt", reason="the reasons of Windows have other words")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (a_file, "Not a directory"),
        (a_loop, "Too many levels of symbolic links"),
        pytest.param(a_forbidden_folder, "Permission denied", marks=AS_ROOT),
    ],
)
def test_a_data_folder_that_cannot_be_used(make: Callable[[Path], Path], reason: str, tmp_path: Path) -> None:
    folder = make(tmp_path)
    with pytest.raises(DataError) as caught:
        load(folder, Fake("somebody", CONTENT))
    assert all(word in str(caught.value) for word in (str(folder / "tiny"), reason, "--data-dir"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no HOME")
def test_which_folder_is_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets.cache_folder(None).name == "template-ml"
    assert tmp_path in datasets.cache_folder(None).parents
    monkeypatch.setenv("MNIST_DATA_DIR", "~/digits")
    assert datasets.cache_folder(None) == tmp_path / "home" / "digits"
    assert datasets.cache_folder(Path("here")) == tmp_path / "here"
    monkeypatch.setenv("MNIST_DATA_DIR", "")
    assert datasets.cache_folder(None).name == "template-ml"


def test_an_unknown_name() -> None:
    with pytest.raises(DataError, match=r'"cifar".*mnist and fashion-mnist'):
        datasets.load("cifar")


def test_the_sources_of_the_real_data_and_their_order() -> None:
    kinds = {name: [type(c).__name__ for c in files.sources] for name, files in datasets.DATASETS.items()}
    assert kinds == {
        "mnist": ["Mirror", "Mirror", "CsvWheel"],
        "fashion-mnist": ["Mirror", "DebianPackage"],
    }
    for files in datasets.DATASETS.values():
        assert tuple(files.sha256) == FILES
        assert all(len(bytes.fromhex(digest)) == 32 for digest in files.sha256.values())


REAL_FOLDER = datasets.cache_folder(None)
REAL = {"mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], "fashion-mnist": [6000] * 10}


@pytest.mark.parametrize("name", REAL)
def test_the_real_data_if_they_are_here(name: str) -> None:
    if not (REAL_FOLDER / name / FILES[0]).exists():
        pytest.skip(f"{name} is not in the cache {REAL_FOLDER}")
    registry = {name: replace(datasets.DATASETS[name], sources=())}
    dataset = datasets.load(name, data_dir=REAL_FOLDER, registry=registry)
    assert datasets.class_counts(dataset.train.labels).tolist() == REAL[name]
    assert dataset.test.images.shape == (10_000, 28, 28)


@pytest.mark.parametrize(
    ("file", "array", "reason"),
    [
        (FILES[3], np.full(TEST, 11, np.uint8), "Label 11 of image 0"),
        (FILES[1], np.zeros(TRAIN - 1, np.uint8), "30 images and 29 labels"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_load(
    file: str, array: NDArray[np.uint8], reason: str, tmp_path: Path
) -> None:
    files = CONTENT | {file: idx.encode_idx(array)}
    hashes = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    registry = {"odd": DatasetFiles(hashes, (Fake("somebody", files),))}
    with pytest.raises(DataError, match=reason):
        datasets.load("odd", data_dir=tmp_path, registry=registry)
