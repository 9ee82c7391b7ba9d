"""The format of MNIST's files, to and from arrays; gzip and CSV, the formats of some download sources.

An IDX file is a magic number (0, 0, 8 for unsigned bytes, number of dimensions), the sizes as big-endian
uint32, and the bytes.
"""

import gzip
import io
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Training images, training labels, test images, test labels: the names of MNIST's files."""

SIDE = 28
ITEM_BYTES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
"""Bytes of a number, by the type in the magic number of an IDX file."""

MAX_BYTES = 128 << 20
"""More than twice the largest file: what is longer is not MNIST, and need not fill the memory."""


def gunzip(file: str, content: bytes, *, limit: int | None = None) -> bytes:
    """The content of a gzip file. Raises ValueError, naming `file`, if it is damaged or longer than `limit`,
    MAX_BYTES if none is given."""
    limit = MAX_BYTES if limit is None else limit
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as unzipped:
            raw = unzipped.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}.gz is not a whole gzip file ({error}).") from error
    if len(raw) > limit:
        raise ValueError(f"{file}.gz holds more than {limit} bytes.")
    return raw


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """`array` as IDX: magic number (0, 0, 8 for unsigned bytes, rank), sizes as big-endian uint32, data."""
    if array.dtype != np.uint8:
        raise ValueError(f"IDX files here hold uint8, not {array.dtype}.")
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def decode_idx(raw: bytes, *, rank: int) -> NDArray[np.uint8]:
    """The array of `rank` dimensions in an IDX file; it owns its memory and can be written to.

    Raises ValueError, as a sentence, for a wrong magic number and for too few or too many bytes.
    """
    return _decode(raw, rank, code=0x08, dtype="u1", meaning="unsigned bytes").astype(np.uint8)


def decode_int_idx(raw: bytes) -> NDArray[np.int32]:
    """The 32-bit numbers (N, columns) in an IDX file, as QMNIST's labels are; the class is in column 0.

    Raises ValueError as `decode_idx` does.
    """
    return _decode(raw, 2, code=0x0C, dtype=">i4", meaning="32-bit numbers").astype(np.int32)


def _decode(raw: bytes, rank: int, *, code: int, dtype: str, meaning: str) -> NDArray[Any]:
    magic, header = bytes((0, 0, code, rank)), 4 + 4 * rank
    if len(raw) >= 4 and raw[:4] != magic:
        meaning = f"{meaning} in {rank} dimension{'s'[: rank > 1]}"
        raise ValueError(
            f"it starts with the magic number 0x{raw[:4].hex()}, not 0x{magic.hex()} ({meaning})."
        )
    if len(raw) < header:
        raise ValueError(f"it is truncated: the header alone is {header} bytes and the file has {len(raw)}.")
    shape = tuple(int(length) for length in np.frombuffer(raw, ">u4", rank, 4))
    expected, size = math.prod(shape) * ITEM_BYTES[code], len(raw) - header
    if size != expected:
        fault = "truncated" if size < expected else "too long"
        sizes = " x ".join(map(str, shape if ITEM_BYTES[code] == 1 else (*shape, ITEM_BYTES[code])))
        raise ValueError(
            f"it is {fault}: {sizes} = {expected} bytes are announced and {size} follow the header."
        )
    return np.frombuffer(raw, dtype, offset=header).reshape(shape)


def is_whole_idx(raw: bytes) -> bool:
    """Whether `raw` is a complete IDX file, of any type of numbers and any number of dimensions."""
    if len(raw) < 8 or raw[:2] != b"\0\0" or raw[2] not in ITEM_BYTES:
        return False
    header = 4 + 4 * raw[3]
    sizes = [int.from_bytes(raw[start : start + 4]) for start in range(4, header, 4)]
    return len(raw) == header + math.prod(sizes) * ITEM_BYTES[raw[2]]


def decode_csv(text: bytes, *, columns: int) -> NDArray[np.uint8]:
    """A CSV of integers 0 to 255 below one line of headings, as an array (lines, columns).

    Raises ValueError where it has other cells or another number of columns.
    """
    # pandas needs a hundred times the memory of a line of empty cells.
    if max(map(len, io.BytesIO(text)), default=0) > 16 * columns:
        raise ValueError(f"the CSV has a line that is too long for {columns} columns.")
    # Imported here: `--help`, and whoever has the files, need not load it.
    import pandas as pd

    try:
        table = pd.read_csv(io.BytesIO(text), dtype=np.uint8, index_col=False).to_numpy()
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        raise ValueError(f"the CSV cannot be read: {error}.") from error
    if table.shape[1] != columns or len(table) == 0:
        raise ValueError(f"the CSV has {len(table)} lines of {table.shape[1]} columns, not of {columns}.")
    return table
