"""Decoders of the three layouts of a user's own data: IDX files, .npz arrays, folders of pictures.

Each is given the content of the files by name and returns arrays. Nothing in a file is executed or unpickled.
Raises DataError, as one sentence with the file, for all that cannot be trained on.
"""

from __future__ import annotations

import io
import math
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.augment import MAX_SIDE
from common.data.datasets import DataError, Digits
from common.data.idx import decode_idx, decode_int_idx, gunzip

MAX_BYTES = 2 << 30
"""Of the files, and of the decoded arrays. A set that is larger than the memory would be read here, batch by
batch, instead of whole."""

MAX_CLASSES = 1000
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""Of an .npz file, as Keras' data sets name them."""

IDX_NAME = re.compile(r"(.*?)(train|t10k|test)-(images|labels)[-.]idx[123]-(?:ubyte|int)(?:\.gz)?")
"""Prefix, part and content in the name of an IDX file: MNIST's, EMNIST's and QMNIST's names."""

CLASS_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
"""No control character, line break or surrogate, as which Python reads what is not UTF-8 in a folder's name:
the figures cannot have them."""

SUFFIXES = (".png", ".jpg", ".jpeg")
IGNORED = ("Thumbs.db", "desktop.ini")
PNG_DEPTH = 24
"""The offset in a PNG file of the byte with its bits a channel. Pillow reduces 16 to 8 without a word."""
_ORDER = 0xDA7A


@dataclass(frozen=True, eq=False)
class Decoded:
    """Training and test images, and the names of their classes by label."""

    train: Digits
    test: Digits
    classes: tuple[str, ...]


def too_large(what: str, size: int) -> DataError:
    """The error for `size` bytes of files or arrays."""
    return DataError(
        f"{what} has {size:,} bytes, more than {MAX_BYTES:,}: all images are held in the memory at once."
    )


def idx(contents: Mapping[str, bytes]) -> Decoded:
    """The data of four IDX files, and of EMNIST's mapping.txt if it is there."""
    arrays: dict[tuple[bool, str], NDArray[Any]] = {}
    names: dict[int, str] = {}
    for name, content in contents.items():
        try:
            if name.endswith("mapping.txt"):
                names = _mapping(content)
                continue
            match = IDX_NAME.fullmatch(name)
            assert match
            raw = content
            if name.endswith(".gz"):
                raw = gunzip(name.removesuffix(".gz"), content, limit=MAX_BYTES)
            if match[3] == "images":
                array: NDArray[Any] = decode_idx(raw, rank=3)
            else:
                array = _qmnist_labels(raw) if raw[2:4] == b"\x0c\2" else decode_idx(raw, rank=1)
        except ValueError as error:
            raise DataError(f"{name} cannot be read: {error}") from None
        arrays[match[2] == "train", match[3]] = array
    train, test = ((arrays[part, "images"], arrays[part, "labels"]) for part in (True, False))
    return _from_arrays(*train, *test, names)


def _mapping(content: bytes) -> dict[int, str]:
    """The class names by label in EMNIST's mapping.txt: lines of a label and codes of characters."""
    lines = (line.split() for line in content.splitlines())
    try:
        names = {
            int(label): "".join(chr(int(code)) for code in codes) for label, *codes in filter(None, lines)
        }
        valid = all(map(CLASS_NAME.fullmatch, names.values()))
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        raise ValueError("a line is not a label and the codes of its printable characters.")
    return names


def _qmnist_labels(content: bytes) -> NDArray[Any]:
    """The first of the numbers that QMNIST has for each image."""
    numbers = decode_int_idx(content)
    if not numbers.shape[1]:
        raise ValueError("its images have no label.")
    return numbers[:, 0]


def npz(contents: Mapping[str, bytes]) -> Decoded:
    """The data of one .npz file with ARRAYS; arrays of objects are not read."""
    ((name, content),) = contents.items()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise too_large(f"The content of {name}", size)
        with (
            warnings.catch_warnings(action="ignore"),
            np.load(io.BytesIO(content), allow_pickle=False) as file,
        ):
            missing = [array for array in ARRAYS if array not in file.files]
            if missing:
                raise DataError(
                    f"{name} has no {' and no '.join(missing)}; it has {', '.join(file.files) or 'nothing'}."
                )
            arrays = {array: file[array] for array in ARRAYS}
    except DataError:
        raise
    except ValueError as error:
        if "Object arrays" in str(error):
            raise DataError(f"{name} has an array of Python objects, which is never unpickled.") from None
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{name} cannot be read: {reason}.") from None
    except Exception as error:  # whatever zlib, zipfile and NumPy raise for a damaged file
        raise DataError(f"{name} is not a whole .npz file ({error or type(error).__name__}).") from None
    for array, values in arrays.items():
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
            kind = getattr(values, "dtype", "no array")
            raise DataError(
                f"{name}: {array} is {kind}; pixels are whole numbers from 0 to 255, and so are labels."
            )
    return _from_arrays(
        _pixels(name, "x_train", arrays),
        _labels(name, "y_train", arrays),
        _pixels(name, "x_test", arrays),
        _labels(name, "y_test", arrays),
        {},
    )


def _pixels(name: str, array: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    images = arrays[array]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(
            f"{name}: {array} is {_sizes(images.shape)}; images are N x height x width, or N x height x "
            "width x 1 or 3 channels."
        )
    if images.size and not 0 <= images.min() <= images.max() <= 255:
        raise DataError(f"{name}: {array} has pixels from {images.min()} to {images.max()}, not 0 to 255.")
    grey = images.ndim == 4 and images.shape[3] == 1
    return np.ascontiguousarray(images[..., 0] if grey else images, np.uint8)


def _labels(name: str, array: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    labels = arrays[array]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"{name}: {array} is {_sizes(labels.shape)}; labels are N, one number for each image."
        )
    return labels


def _from_arrays(
    train_images: NDArray[np.uint8],
    train_labels: NDArray[Any],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[Any],
    names: Mapping[int, str],
) -> Decoded:
    """The data of arrays with numbers as labels: all from 0, or from 1, to the largest."""
    for part, images, labels in (
        ("training", train_images, train_labels),
        ("test", test_images, test_labels),
    ):
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"There are {len(images)} {part} images and {len(labels)} labels; each image needs one."
            )
    used = {label for labels in (train_labels, test_labels) for label in np.unique(labels).tolist()}
    first, last = min(used), max(used)
    count = last - first + 1
    if first not in (0, 1):
        raise DataError(f"The labels are from {first} to {last}; they must begin at 0 or at 1.")
    if count > len(train_labels):
        raise DataError(
            f"There are {count:,} classes (labels {first} to {last}) and {len(train_labels):,} training "
            "images; each class needs one."
        )
    if skipped := sorted(set(range(first, min(last, first + MAX_CLASSES))) - used):
        raise DataError(f"The labels from {first} to {last} skip {', '.join(map(str, skipped[:10]))}.")
    return _checked(
        train_images,
        train_labels.astype(np.int64) - first,
        test_images,
        test_labels.astype(np.int64) - first,
        tuple(names.get(label, str(label)) for label in range(first, last + 1)),
    )


def pictures(contents: Mapping[str, bytes]) -> Decoded:
    """The data of pictures by the names train/LABEL/FILE and test/LABEL/FILE.

    The test images are in the order of their names, the training images in a random order that depends on
    their number alone, so that the last of them, which --validation holds out, are of all classes. The set is
    grey if all pictures are.
    """
    labels = {
        part: sorted({PurePath(name).parts[1] for name in contents if name.startswith(part)}, key=_natural)
        for part in ("train/", "test/")
    }
    classes = labels["train/"]
    if unknown := [label for label in labels["test/"] if label not in classes]:
        raise DataError(f"test/{unknown[0]} has images of a class that train has no folder of.")
    if unnamed := [label for label in classes if not CLASS_NAME.fullmatch(label)]:
        raise DataError(f"train has the folder {unnamed[0]!r}; a class has a name of printable characters.")
    number = {label: place for place, label in enumerate(classes)}
    names = sorted(contents)
    images = _decode_all(names, contents)
    of_labels = np.array([number[PurePath(name).parts[1]] for name in names])
    train = np.flatnonzero([name.startswith("train/") for name in names])
    test = np.flatnonzero([name.startswith("test/") for name in names])
    train = train[np.random.default_rng(_ORDER).permutation(len(train))]
    return _checked(images[train], of_labels[train], images[test], of_labels[test], tuple(classes))


def _natural(label: str) -> tuple[int, int, str]:
    """A key that sorts whole numbers by value, before other names."""
    return (0, int(label), label) if label.isascii() and label.isdigit() else (1, 0, label)


def _decode_all(names: list[str], contents: Mapping[str, bytes]) -> NDArray[np.uint8]:
    """The pictures as one array: grey (N, H, W) if all are grey, else (N, H, W, 3)."""
    arrays: list[NDArray[np.uint8]] = []
    channels = 1
    for name in names:
        arrays.append(array := _decode(name, contents[name]))
        first, channels = arrays[0], 3 if array.ndim == 3 else channels
        if array.shape[:2] != first.shape[:2]:
            raise DataError(
                f"{name} has {array.shape[1]}x{array.shape[0]} pixels and {names[0]} has "
                f"{first.shape[1]}x{first.shape[0]}; all images must have one size."
            )
        _require_size(math.prod(first.shape[:2]) * channels * len(names))
    if channels == 1:
        return np.stack(arrays)
    return np.stack([array if array.ndim == 3 else np.repeat(array[..., None], 3, 2) for array in arrays])


def _require_size(size: int) -> None:
    if size > MAX_BYTES:
        raise too_large("The decoded data set", size)


def _decode(name: str, content: bytes) -> NDArray[np.uint8]:
    """A picture as (H, W) or (H, W, 3), turned upright as its EXIF orientation says."""
    # Imported here: most runs have no pictures.
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the sides are checked below, in a sentence of our own
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image,
        ):
            _require_sides(name, image.height, image.width)
            mode = image.mode
            depth = content[PNG_DEPTH] if image.format == "PNG" else 8
            if depth > 8:
                raise DataError(f"{name} has {depth} bits a channel; save it with 8.")
            upright = ImageOps.exif_transpose(image)
            alpha = mode.endswith("A") or "transparency" in image.info
            if alpha and upright.convert("RGBA").getchannel("A").getextrema()[0] != 255:
                raise DataError(f"{name} has transparent pixels; save it without transparency.")
            array = np.asarray(upright.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    except DataError:
        raise
    except Exception as error:  # decoders raise many types for damaged files
        kind = "PNG" if name.lower().endswith(".png") else "JPEG"
        reason = "" if "cannot identify" in str(error) else f" ({error})"
        raise DataError(f"{name} is no whole {kind} image{reason}.") from None
    if mode == "P" and (array == array[..., :1]).all():
        array = array[..., 0]  # a palette of greys
    return array


def _require_sides(name: str, height: int, width: int) -> None:
    if not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise DataError(f"{name} has {width}x{height} pixels; a side has from 1 to {MAX_SIDE}.")


def _checked(
    train_images: NDArray[np.uint8],
    train_labels: NDArray[np.int64],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Decoded:
    """The data, if each class has a training image; a class may lack test images. Labels are from 0."""
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"The training images are {_sizes(train_images.shape[1:])} and the test images "
            f"{_sizes(test_images.shape[1:])}; all must have one shape."
        )
    _require_sides("An image", *train_images.shape[1:3])
    _require_size(train_images.nbytes + test_images.nbytes)
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DataError(f"The number of classes is {len(classes):,}; it must be from 2 to {MAX_CLASSES:,}.")
    empty = np.flatnonzero(np.bincount(train_labels, minlength=len(classes)) == 0)
    if empty.size:
        raise DataError(f"The class {classes[empty[0]]} has no training image; each class needs one.")
    dtype: type[np.unsignedinteger[Any]] = np.uint8 if len(classes) <= 256 else np.uint16
    return Decoded(
        Digits(train_images, train_labels.astype(dtype)),
        Digits(test_images, test_labels.astype(dtype)),
        classes,
    )


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
