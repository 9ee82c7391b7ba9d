"""Four small IDX files that stand in for a data set; a source of them, and a folder for a web server."""

import gzip
import hashlib
from pathlib import Path

import numpy as np

from common.data import idx
from common.data.download import Downloader
from common.data.idx import FILES

TRAIN, TEST = 30, 12


def stand_in(seed: int = 0) -> dict[str, bytes]:
    """Four small IDX files, images random and mostly dark, so that CSV numbers have one to three digits."""
    random = np.random.default_rng(seed)
    arrays = []
    for count in (TRAIN, TEST):
        ink = random.integers(0, 256, (count, 28, 28), np.uint8)
        arrays += [ink * (ink % 3 == 0), random.integers(0, 10, count, np.uint8)]
    return {file: idx.encode_idx(array) for file, array in zip(FILES, arrays, strict=True)}


CONTENT = stand_in()
HASHES = {file: hashlib.sha256(raw).hexdigest() for file, raw in CONTENT.items()}


def fetch(source: Downloader, folder: Path) -> dict[str, bytes]:
    workplace = folder / "workplace"
    workplace.mkdir(exist_ok=True)
    return source.fetch(workplace)


def publish(folder: Path, files: dict[str, bytes] = CONTENT) -> None:
    folder.mkdir(exist_ok=True)
    for file, raw in files.items():
        (folder / f"{file}.gz").write_bytes(gzip.compress(raw))
