"""Small data sets as users bring them: colour pictures of 20 x 24 in five classes, in each layout."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.data.idx import FILES, encode_idx

CLASSES = ("anvil", "bell", "cup", "drum", "egg")
TRAIN, TEST = 12, 3  # images of each class


def images(
    classes: int = 5, each: int = TRAIN, *, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colour images (N, 20, 24, 3), each with a bright block in the place of its class, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes, dtype=np.uint8), each)
    result = random.integers(0, 80, (len(labels), 20, 24, 3), np.uint8)
    for image, label in zip(result, labels, strict=True):
        image[4 * (label % 5) : 4 * (label % 5) + 4, :, label % 3] = 220
    return result, labels


def arrays(**changes: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    """The arrays of an .npz file, some of them changed."""
    x_train, y_train = images()
    x_test, y_test = images(each=TEST, seed=1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test, **changes}


def write_npz(path: Path, **changes: NDArray[np.generic]) -> Path:
    np.savez(path, **arrays(**changes))
    return path


def write_pictures(folder: Path, suffix: str = ".png", *, grey: bool = False) -> Path:
    """train/LABEL/N.png and test/LABEL/N.png."""
    for part, each in (("train", TRAIN), ("test", TEST)):
        pixels, labels = images(each=each, seed=part == "test")
        for place, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            path = folder / part / CLASSES[label] / f"{place}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] if grey else image).save(path)
    return folder


def write_idx(folder: Path, names: tuple[str, ...] = FILES, *, zipped: bool = False, first: int = 0) -> Path:
    """Four IDX files of grey images of 20 x 24, with labels from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = []
    for each, seed in ((TRAIN, 0), (TEST, 1)):
        pixels, labels = images(each=each, seed=seed)
        contents += [encode_idx(np.ascontiguousarray(pixels[..., 0])), encode_idx(labels + np.uint8(first))]
    for name, content in zip(names, contents, strict=True):
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)
    return folder
