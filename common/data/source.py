"""The data that --dataset names: a data set of `datasets.DATASETS`, or a folder or file of the user's own.

A user's own data are decoded once and kept in the cache under a digest of their files, so a changed file is
noticed. Their name in the tables ends in a digest of the decoded pixels and labels, so runs on two versions
of the data are never pooled.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import files
from common.data import datasets, layouts
from common.data.datasets import DATASETS, DataError, Dataset, Digits, cache_folder
from common.data.idx import FILES
from common.data.layouts import ARRAYS, IDX_NAME, IGNORED, MAX_BYTES, SUFFIXES, Decoded, too_large
from common.printable import printable

DECODER = 2
"""Raised by hand when a layout is decoded differently; what is cached by other decoders is not read."""

LONGEST_NAME = 40
IDX_PARTS = tuple((part, content) for part in ("train", "test") for content in ("images", "labels"))


@dataclass(frozen=True)
class Source:
    """A folder or file of a user's own data, in a layout of `layouts`.

    `prefix` is that of the names of the IDX files, "emnist-letters-" for example.
    """

    path: Path
    layout: Callable[[dict[str, bytes]], Decoded]
    name: str
    prefix: str = ""

    def files(self) -> dict[str, Path]:
        """The files by their names inside the folder, in the order of these. Raises DataError."""
        if self.layout is layouts.npz:
            return {self.path.name: self.path}
        if self.layout is layouts.idx:
            return dict(sorted(_idx_files(self.path, self.prefix).items()))
        return dict(sorted(_picture_files(self.path)))


def is_own(dataset: str) -> bool:
    """Whether a value of the column `dataset` names a user's own data."""
    return "@" in dataset


def find(text: str) -> Source:
    """The user's own data at a path. Raises DataError, as one sentence, where there are none."""
    path = files.expanded(text)
    try:
        if path.is_dir():
            return _find_in(path)
        if path.is_file():
            if path.suffix.lower() == ".npz":
                return Source(path, layouts.npz, _safe(path.stem))
            raise DataError(f"{path} is neither a folder nor an .npz file.")
        prefix = f"{path.name}-"
        if path.parent.is_dir() and prefix in _prefixes(path.parent):
            _idx_files(path.parent, prefix)
            return Source(path.parent, layouts.idx, _safe(path.name), prefix)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    raise DataError(f"There is no folder or file {path}.")


def load(
    text: str = "mnist", *, data_dir: Path | None = None, log: Callable[[str], None] = lambda line: None
) -> Dataset:
    """The data set of a name in DATASETS, else the user's own at a path, from the cache if it is there.

    Data of one's own have the name NAME@DIGEST: that of the folder or file, and twelve hexadecimal digits of
    pixels and labels. `log` gets a line for each step. Raises DataError.
    """
    if text in DATASETS:
        return datasets.load(text, data_dir=data_dir, log=log)
    source = find(text)
    try:
        contents = _contents(source)
        cached = cache_folder(data_dir) / "own" / f"{_digest_of_files(contents)[:32]}.npz"
        decoded = _read_cached(cached)
        if decoded:
            log(f"{source.name}: decoded before, and read from the cache {cached}.")
        else:
            decoded = source.layout(contents)
            _keep(cached, decoded, lambda line: log(f"{source.name}: {line}"))
    except DataError as error:
        named = str(error).startswith(source.path.name)
        raise DataError(printable(f"{'' if named else f'{source.path}: '}{error}")) from None
    except OSError as error:
        raise DataError(
            printable(f"{error.filename or source.path} cannot be read: {error.strerror or error}.")
        ) from None
    name = f"{source.name}@{_digest(decoded)[:12]}"
    dataset = Dataset(name, decoded.train, decoded.test, decoded.classes)
    shape = "x".join(map(str, dataset.input_shape))
    log(
        f"{name}: {len(dataset.train):,} training and {len(dataset.test):,} test images of {shape} "
        f"(channels x height x width), {len(dataset.classes)} classes."
    )
    return dataset


def _find_in(folder: Path) -> Source:
    name = _safe(folder.resolve().name)
    prefixes = _prefixes(folder)
    if len(prefixes) > 1:
        names = ", ".join(str(folder / prefix.removesuffix("-")) for prefix in prefixes if prefix)
        raise DataError(f"{folder} has IDX files of several data sets; name one of {names}.")
    if prefixes:
        _idx_files(folder, prefixes[0])
        return Source(folder, layouts.idx, name, prefixes[0])
    missing = [part for part in ("train", "test") if not (folder / part).is_dir()]
    if len(missing) == 1:
        raise DataError(f"{folder} has no folder {missing[0]}.")
    if missing:
        raise DataError(
            f"{folder} has neither IDX files ({', '.join(FILES)}, or .gz) nor the folders train and "
            "test with a folder of images for each class."
        )
    return Source(folder, layouts.pictures, name)


def _prefixes(folder: Path) -> list[str]:
    """The prefixes of the names of IDX files in `folder`."""
    matches = (IDX_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted({match[1] for match in matches if match})


def _idx_files(folder: Path, prefix: str) -> dict[str, Path]:
    """The four IDX files and EMNIST's mapping, by name; of a file and its .gz the file. Raises DataError."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # so that NAME replaces NAME.gz
        match = IDX_NAME.fullmatch(path.name)
        if match and match[1] == prefix:
            found["train" if match[2] == "train" else "test", match[3]] = path
    for part, content in IDX_PARTS:
        if (part, content) not in found:
            raise DataError(f"{folder} has no IDX file of the {content} of the {part} set.")
    mapping = folder / f"{prefix}mapping.txt"
    named = [*found.values(), *([mapping] if mapping.is_file() else [])]
    return {path.name: path for path in named}


def _picture_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every picture: train/LABEL/FILE, test/LABEL/FILE. Raises DataError."""
    for part in ("train", "test"):
        labels = _listed(folder / part)
        if not labels:
            raise DataError(f"{part} is empty; it has a folder of images for each class.")
        for label in labels:
            name = f"{part}/{label.name}"
            if not label.is_dir():
                raise DataError(f"{name} is no folder; images are in {part}/LABEL/FILE.")
            pictures = _listed(label)
            if not pictures:
                raise DataError(f"{name} has no image; each class needs one.")
            for picture in pictures:
                if picture.suffix.lower() not in SUFFIXES or not files.is_file(picture):
                    raise DataError(f"{name}/{picture.name} is none of {', '.join(SUFFIXES)}.")
                yield f"{name}/{picture.name}", picture


def _listed(folder: Path) -> list[Path]:
    """The entries of a folder but hidden ones and those that file managers write."""
    return sorted(
        path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in IGNORED
    )


def _contents(source: Source) -> dict[str, bytes]:
    paths = source.files()
    for path in paths.values():
        files.is_file(path)  # raises for a pipe, which would wait for a writer
    size = sum(path.stat().st_size for path in paths.values())
    if size > MAX_BYTES:
        raise too_large("The data set", size)
    return {name: path.read_bytes() for name, path in paths.items()}


def _digest_of_files(contents: dict[str, bytes]) -> str:
    """SHA-256 of the names, sizes and contents of files, and of the number of their decoder."""
    digest = hashlib.sha256(str(DECODER).encode())
    for name, content in contents.items():
        digest.update(f"\0{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def _digest(decoded: Decoded) -> str:
    """SHA-256 of shapes, pixels and labels."""
    digest = hashlib.sha256()
    for array in (decoded.train.images, decoded.train.labels, decoded.test.images, decoded.test.labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_cached(path: Path) -> Decoded | None:
    """The data that `_keep` wrote; None where they are not there, or not whole."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (file[name] for name in ARRAYS)
            classes = tuple(map(str, file["classes"]))
            decoded = Decoded(Digits(x_train, y_train), Digits(x_test, y_test), classes)
            return decoded if str(file["digest"]) == _digest(decoded) else None
    except Exception:  # whatever zlib, zipfile and NumPy raise for a damaged file
        return None


def _keep(path: Path, decoded: Decoded, log: Callable[[str], None]) -> None:
    """Write the decoded data to the cache. Where that fails, the next run decodes them again."""
    train, test = decoded.train, decoded.test
    buffer = io.BytesIO()
    images = {"x_train": train.images, "x_test": test.images}
    labels = {"y_train": train.labels, "y_test": test.labels}
    digest, classes = np.array(_digest(decoded)), np.array(decoded.classes)
    np.savez(buffer, allow_pickle=False, digest=digest, classes=classes, **images, **labels)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, buffer.getvalue())
    except OSError as error:
        log(f"decoded, but not kept in the cache {path.parent} ({error.strerror or error}).")
    else:
        log(f"decoded, and kept in the cache {path}.")


def _safe(name: str) -> str:
    """A name with letters, digits, dots, hyphens and underscores only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:LONGEST_NAME] or "data"
