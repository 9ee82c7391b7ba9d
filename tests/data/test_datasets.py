"""The data: the cache and what is refused, on stand-ins of a few images."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.standin import CONTENT, HASHES, TEST, TRAIN, stand_in

from common.data import batches, datasets, download, idx
from common.data.datasets import DataError, Dataset, DatasetFiles, Digits
from common.data.download import DownloadError
from common.data.idx import FILES

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fake:
    """A carrier that is a value: it brings `files`, or fails with `reason`."""

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
    """What is there for a user to see."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def is_stand_in(dataset: Dataset) -> bool:
    arrays = (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels)
    return [idx.encode_idx(array) for array in arrays] == list(CONTENT.values())


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)


def test_a_second_load_asks_nobody(tmp_path: Path) -> None:
    cache, log = fill_cache(tmp_path), list[str]()
    assert is_stand_in(load(tmp_path, Fake("nobody"), log=log))
    assert log == [f"tiny: read from the cache {cache}."]


def flip_a_byte(raw: bytes) -> bytes:
    return raw[:100] + bytes([raw[100] ^ 1]) + raw[101:]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (flip_a_byte, "its SHA-256 is "),
        (lambda raw: raw[:500], "it is truncated: 12 x 28 x 28 = 9408 bytes are announced and 484 follow"),
        (lambda raw: b"", "it is truncated: the header alone is 16 bytes and the file has 0."),
        (lambda raw: raw + b"!", "it is too long: 12 x 28 x 28 = 9408 bytes are announced and 9409 follow"),
        (lambda raw: b"\0\0\x08\1" + raw[4:], "it starts with the magic number 0x00000801, not 0x00000803 "),
    ],
    ids=["flipped", "truncated", "empty", "too long", "wrong magic"],
)
def test_a_damaged_cache_is_noticed_named_and_fetched_again(
    harm: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    cache, log = fill_cache(tmp_path), list[str]()
    path = cache / "t10k-images-idx3-ubyte"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged"):
        load(tmp_path, Fake("nobody"))
    assert is_stand_in(load(tmp_path, Fake("somebody", CONTENT), log=log))
    assert log[0].startswith(
        f"tiny: looked into the cache {cache}: t10k-images-idx3-ubyte is damaged: {reason}"
    )
    assert path.read_bytes() == CONTENT[path.name]
    assert is_stand_in(load(tmp_path))


def test_files_put_by_hand_may_be_gzipped(tmp_path: Path) -> None:
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


def test_wrong_bytes_are_never_cached(tmp_path: Path) -> None:
    other = stand_in(seed=1)
    with pytest.raises(DataError, match="the liar: train-images-idx3-ubyte is damaged: its SHA-256 is"):
        load(tmp_path, Fake("the liar", other))
    with pytest.raises(DataError, match="the liar: t10k-labels-idx1-ubyte is damaged: its SHA-256 is"):
        load(tmp_path, Fake("the liar", CONTENT | {FILES[3]: other[FILES[3]]}))
    assert not files_in(tmp_path / "tiny")


def test_an_interrupted_fetch_leaves_whole_files_only(
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


def in_a_system(tmp_path: Path) -> Path:
    """The files as a system package has them."""
    system = tmp_path / "system"
    system.mkdir()
    for file, raw in CONTENT.items():
        (system / f"{file}.gz").write_bytes(gzip.compress(raw))
    return system


LOADER = """
import json, sys
from pathlib import Path
from common.data import datasets, download
system, folder, hashes = sys.argv[1:]
registry = {"tiny": datasets.DatasetFiles(json.loads(hashes), (download.GzipFolder(Path(system)),))}
for _ in range(50):
    train = datasets.load("tiny", data_dir=Path(folder), registry=registry).train
    (Path(folder) / "tiny" / "train-images-idx3-ubyte").unlink(missing_ok=True)
print(int(train.images.sum()))
"""


def test_processes_may_fetch_at_once(tmp_path: Path) -> None:
    system = in_a_system(tmp_path)
    command = [sys.executable, "-c", LOADER, str(system), str(tmp_path / "cache"), json.dumps(HASHES)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    expected = int(idx.decode_idx(CONTENT[FILES[0]], rank=3).sum())
    assert [int(process.communicate(timeout=60)[0]) for process in running] == [expected] * 3
    assert files_in(tmp_path / "cache" / "tiny") == {file: CONTENT[file] for file in FILES[1:]}


SLOW_LOADER = """
import json, sys, time
from pathlib import Path
from common.data import datasets, download
system, folder, hashes = sys.argv[1:]
class Slow:
    name = "the slow one"
    def fetch(self, workplace):
        print("asked")
        time.sleep(2)
        return download.GzipFolder(Path(system)).fetch(workplace)
registry = {"tiny": datasets.DatasetFiles(json.loads(hashes), (Slow(),))}
datasets.load("tiny", data_dir=Path(folder), registry=registry)
"""


def test_of_processes_that_start_together_one_fetches(tmp_path: Path) -> None:
    system = in_a_system(tmp_path)
    command = [sys.executable, "-c", SLOW_LOADER, str(system), str(tmp_path / "cache"), json.dumps(HASHES)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(told) == ["", "", "asked\n"]


def test_nothing_reachable_lists_every_carrier_and_the_way_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "tiny"
    monkeypatch.setenv("PATH", str(tmp_path))
    system = download.GzipFolder(tmp_path / "system")
    npm = download.NpmPackage("tiny-data@1.0.0", folder="package/data")
    debian = download.DebianPackage("tiny-data", folder="./usr/share/datasets/tiny")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "cache", Fake("the first", reason="Connection refused."), npm, system, debian)
    assert str(caught.value) == (
        "The data set tiny could not be had. What was tried:\n"
        f"  - the cache {cache}: train-images-idx3-ubyte is missing.\n"
        "  - the first: Connection refused.\n"
        "  - the npm package tiny-data@1.0.0 (npm pack): npm is not installed.\n"
        f"  - the folder {tmp_path}/system: {tmp_path}/system/train-images-idx3-ubyte.gz: "
        "No such file or directory.\n"
        "  - the Debian package tiny-data (apt-get download): apt-get is not installed.\n"
        "To put the files by hand, place train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, as they are or gzipped (.gz), "
        f"in {cache}. Name another data folder with --data-dir or MNIST_DATA_DIR."
    )


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
    assert str(caught.value) == (
        f"The data folder {folder / 'tiny'} cannot be used ({reason}). "
        "Name another data folder with --data-dir or MNIST_DATA_DIR."
    )


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
    with pytest.raises(DataError, match=r'^There is no data set "cifar"; there is mnist and fashion-mnist.$'):
        datasets.load("cifar")


def test_who_carries_the_real_data_and_in_which_order() -> None:
    kinds = {name: [type(c).__name__ for c in source.sources] for name, source in datasets.DATASETS.items()}
    assert kinds == {
        "mnist": ["Mirror", "Mirror", "CsvWheel", "NpmPackage"],
        "fashion-mnist": ["Mirror", "GzipFolder", "DebianPackage"],
    }
    for source in datasets.DATASETS.values():
        assert tuple(source.sha256) == FILES
        assert all(len(bytes.fromhex(digest)) == 32 for digest in source.sha256.values())


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


def digits(count: int) -> Digits:
    images = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    return Digits(images, np.arange(count, dtype=np.uint8) % 10)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (
            np.zeros((3, 28, 28), np.uint8),
            np.array([1, 10, 12], np.uint8),
            "Label 10 of image 1 is out of range",
        ),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8), "There are 3 images and 2 labels"),
        (
            np.zeros((3, 28, 27), np.uint8),
            np.zeros(3, np.uint8),
            r"Images must be .* not uint8 \(3, 28, 27\)",
        ),
        (np.zeros((3, 28, 28)), np.zeros(3, np.uint8), "Images must be .* not float64"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64), "Labels must be .* not int64"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros((3, 1), np.uint8), r"Labels must be .* \(3, 1\)"),
    ],
)
def test_digits_that_do_not_fit(images: NDArray[Any], labels: NDArray[Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Digits(images, labels)


@pytest.mark.parametrize(
    ("file", "array", "reason"),
    [
        (FILES[3], np.full(TEST, 11, np.uint8), "Label 11 of image 0 is out of range; labels are 0 to 9."),
        (FILES[1], np.zeros(TRAIN - 1, np.uint8), "There are 30 images and 29 labels; both must be as many."),
    ],
)
def test_files_that_do_not_fit_are_refused_by_load(
    file: str, array: NDArray[np.uint8], reason: str, tmp_path: Path
) -> None:
    files = CONTENT | {file: idx.encode_idx(array)}
    hashes = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    registry = {"odd": DatasetFiles(hashes, (Fake("somebody", files),))}
    with pytest.raises(DataError) as caught:
        datasets.load("odd", data_dir=tmp_path, registry=registry)
    assert str(caught.value) == reason


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalise_is_the_formula_to_rounding(dtype: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1100, 28, 28), np.uint8)
    result = batches.normalise(images, mean=0.1307, std=0.3081, dtype=dtype)
    assert result.shape == (1100, 1, 28, 28)
    assert result.dtype == np.dtype(dtype)
    assert result.flags.c_contiguous
    expected = ((images / 255 - 0.1307) / 0.3081).astype(dtype)
    np.testing.assert_allclose(result[:, 0], expected, atol=4 * np.finfo(dtype).eps)


def test_normalise_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, 28, 28\), not float32 \(2, 28, 28\)"):
        batches.normalise(np.zeros((2, 28, 28), np.float32), mean=0.0, std=1.0)  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(ValueError, match="must be above 0; it is 0"):
        batches.normalise(np.zeros((2, 28, 28), np.uint8), mean=0.0, std=0)


def test_hold_out_takes_the_last_training_images() -> None:
    dataset = Dataset("tiny", digits(20), digits(5))
    held = datasets.hold_out(dataset, 6)
    assert held.name == "tiny"
    assert held.train.images[:, 0, 0].tolist() == list(range(14))
    assert held.test.images[:, 0, 0].tolist() == list(range(14, 20))
    assert held.test.labels.tolist() == [4, 5, 6, 7, 8, 9]
    assert (len(held.train), len(held.test), len(dataset.train), len(dataset.test)) == (14, 6, 20, 5)


@pytest.mark.parametrize("count", [0, -3, 20, 21])
def test_a_count_that_cannot_be_held_out(count: int) -> None:
    with pytest.raises(DataError) as caught:
        datasets.hold_out(Dataset("tiny", digits(20), digits(5)), count)
    assert str(caught.value) == f"From 1 to 19 of the 20 training images can be held out; {count} cannot."


def test_class_counts() -> None:
    assert datasets.class_counts(np.array([3, 3, 9], np.uint8)).tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    assert datasets.class_counts(np.empty(0, np.uint8)).tolist() == [0] * 10
    with pytest.raises(DataError, match=r"^Label 12 is out of range; labels are 0 to 9.$"):
        datasets.class_counts(np.array([12], np.uint8))
