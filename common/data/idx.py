"""IDX, the format of MNIST's files, to and from arrays; gzip and CSV, in which some sources have the images.

An IDX file is a magic number (0, 0, 8 for unsigned bytes, number of dimensions), the sizes as big-endian
uint32, and the bytes.
"""

import gzip
import io
import math
import zlib

import numpy as np
from numpy.typing import NDArray

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Training images, training labels, test images, test labels: the names every carrier uses."""

SIDE = 28
MAX_BYTES = 128 << 20
"""More than twice the largest file: what is longer is not MNIST, and need not fill the memory."""


def gunzip(file: str, content: bytes) -> bytes:
    """What a gzip file holds.  Raises ValueError, naming `file`, if it is damaged or too long."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as unzipped:
            raw = unzipped.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}.gz is not a whole gzip file ({error}).") from error
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{file}.gz holds more than {MAX_BYTES} bytes.")
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
    magic, header = bytes((0, 0, 8, rank)), 4 + 4 * rank
    if len(raw) >= 4 and raw[:4] != magic:
        meaning = f"unsigned bytes in {rank} dimension{'s'[: rank > 1]}"
        raise ValueError(
            f"it starts with the magic number 0x{raw[:4].hex()}, not 0x{magic.hex()} ({meaning})."
        )
    if len(raw) < header:
        raise ValueError(f"it is truncated: the header alone is {header} bytes and the file has {len(raw)}.")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", rank, 4))
    expected, found = math.prod(shape), len(raw) - header
    if found != expected:
        fault = "truncated" if found < expected else "too long"
        sizes = " x ".join(map(str, shape))
        raise ValueError(
            f"it is {fault}: {sizes} = {expected} bytes are announced and {found} follow the header."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy()


def decode_csv(text: bytes, *, columns: int) -> NDArray[np.uint8]:
    """A CSV of integers 0 to 255 below one line of headings, as an array (lines, columns).

    Raises ValueError for anything but digits, commas and line ends, and for a count that does not fit.
    Numbers of more than three digits or above 255 are not noticed: the hash of the result tells.
    """
    position = text.find(b"\n") + 1
    values = []
    while position < len(text):
        # Whole lines of about 1 MiB, which stay in the processor's cache: 110 MB take 0.5 s.
        end = text.find(b"\n", position + (1 << 20)) + 1 or len(text)
        values.append(_decode_digits(np.frombuffer(text, np.uint8, end - position, position)))
        position = end
    numbers = np.concatenate(values) if values else np.empty(0, np.uint8)
    if numbers.size == 0 or numbers.size % columns:
        raise ValueError(f"{numbers.size} numbers in the CSV do not make lines of {columns}.")
    return numbers.reshape(-1, columns)


def _decode_digits(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # At every byte, the number that the digits up to here make; kept where a number ends.
    value = text - np.uint8(ord("0"))
    is_digit = value < 10
    if not np.isin(text[~is_digit], np.frombuffer(b",\r\n", np.uint8)).all():
        raise ValueError("the CSV holds something other than digits, commas and line ends.")
    value *= is_digit
    number = value.copy()
    number[1:] += value[:-1] * np.uint8(10)
    number[2:] += value[:-2] * is_digit[1:-1] * np.uint8(100)
    is_last = is_digit.copy()
    is_last[:-1] &= ~is_digit[1:]
    return number[is_last]
