"""A user's own files are read without a warning; names and headers are refused in a sentence."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.own_data import CLASSES, arrays, images

from common.data import layouts
from common.data.datasets import DataError
from common.data.idx import FILES, encode_idx


def picture(file_format: str = "png", *, palette: bool = False, **settings: object) -> bytes:
    image, buffer = Image.fromarray(images()[0][0]), io.BytesIO()
    (image.convert("P") if palette else image).save(buffer, file_format, **settings)
    return buffer.getvalue()


def pictures(content: bytes, *labels: str) -> dict[str, bytes]:
    """The same picture once in each folder."""
    return {f"{part}/{label}/0.png": content for part in ("train", "test") for label in labels}


def npy(array: np.ndarray, header: str) -> bytes:
    """A file of NumPy's format."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + array.tobytes()


def npz(files: Mapping[str, bytes]) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.npy", content)
    return {"things.npz": buffer.getvalue()}


WARNED = {
    "transparency of a palette": picture(palette=True, transparency=b"\xff" * 256),
    "EXIF data cut short": picture("jpeg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("content", WARNED.values(), ids=WARNED)
def test_pictures_that_pillow_warns_of_are_read_in_silence(content: bytes) -> None:
    with pytest.raises(UserWarning), Image.open(io.BytesIO(content)) as image:
        ImageOps.exif_transpose(image).convert("RGB")
    assert layouts.pictures(pictures(content, *CLASSES)).classes == CLASSES


@pytest.mark.filterwarnings("error")
def test_arrays_of_python_2_are_read_in_silence() -> None:
    """The sizes of their shapes end in L."""
    files = {}
    for name, array in arrays().items():
        shape = "".join(f"{size}L," for size in array.shape)
        files[name] = npy(array, f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape})}}")
    contents = npz(files)
    np.testing.assert_array_equal(layouts.npz(contents).test.images, arrays()["x_test"])


@pytest.mark.parametrize("header", ["{'descr': '|u1', 'shape': ()}", " " * 20_000], ids=["keys", "length"])
def test_what_numpy_reports_of_a_header_is_in_a_sentence(header: str) -> None:
    contents = npz({name: npy(array, header) for name, array in arrays().items()})
    with pytest.raises(DataError) as caught:
        layouts.npz(contents)
    sentence = str(caught.value)
    assert sentence.startswith("things.npz cannot be read: Header ")
    assert sentence.isprintable()
    assert sentence.endswith(".")


@pytest.mark.parametrize("label", ["\udcff", "a\nb", "\x1b[2J", "\u2028"], ids=ascii)
def test_a_class_whose_name_cannot_be_printed_is_refused(label: str) -> None:
    with pytest.raises(DataError, match=r"; a class has a name of printable characters\.$") as caught:
        layouts.pictures(pictures(picture(), "cup", label))
    assert str(caught.value).isprintable()


def test_a_class_has_a_name_in_any_script() -> None:
    names = "naïve", "\u0645\u06cc\u200c\u0634\u0648\u062f", "日本"
    assert set(layouts.pictures(pictures(picture(), *names)).classes) == set(names)


@pytest.mark.parametrize("line", [b"1 27", b"1", b"1 \xff", b"1 57343", b"one 65"], ids=repr)
def test_a_mapping_without_printable_characters_is_refused(line: bytes) -> None:
    pixels, labels = images()
    parts = [encode_idx(np.ascontiguousarray(pixels[..., 0])), encode_idx(labels)]
    contents = dict(zip(FILES, parts * 2, strict=True))
    assert layouts.idx(contents | {"mapping.txt": b"1 65\n2 66"}).classes == ("0", "A", "B", "3", "4")
    with pytest.raises(DataError, match=r"^mapping.txt cannot be read: a line is not a label .*\.$"):
        layouts.idx(contents | {"mapping.txt": line})
