"""A user's own data: the three layouts, their cache and name, and all that is refused in one sentence."""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.own_data import CLASSES, TEST, TRAIN, arrays, images, write_idx, write_npz, write_pictures

from common.data import layouts, source
from common.data.batches import scaling_of
from common.data.datasets import DataError, Dataset
from common.data.idx import FILES, encode_idx


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)


def load(path: Path | str, log: list[str] | None = None) -> Dataset:
    """The data at `path`, with a cache beside it."""
    cache = Path(path).parent / "cache"
    return source.load(str(path), data_dir=cache, log=([] if log is None else log).append)


def grey(count: int) -> np.ndarray:
    return np.ascontiguousarray(images(each=count)[0][..., 0])


def test_pictures_are_read_by_class_and_the_last_training_images_are_of_all_classes(tmp_path: Path) -> None:
    dataset = load(write_pictures(tmp_path / "My things!"))
    assert dataset.name.startswith("My-things@")
    assert dataset.classes == CLASSES
    assert dataset.input_shape == (3, 20, 24)
    pixels, labels = images(each=TEST, seed=1)
    order = sorted(range(len(labels)), key=lambda place: (CLASSES[labels[place]], str(place)))
    np.testing.assert_array_equal(dataset.test.images, pixels[order])
    np.testing.assert_array_equal(dataset.test.labels, labels[order])
    assert sorted(dataset.train.labels.tolist()) == sorted([*range(5)] * TRAIN)
    assert len(set(dataset.train.labels[-20:].tolist())) == 5
    pixels, labels = images()
    for image, label in zip(dataset.train.images, dataset.train.labels, strict=True):
        assert (pixels[labels == label] == image).all(axis=(1, 2, 3)).any()


def test_jpeg_grey_pictures_and_numbers_as_classes(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "things", ".JPG", grey=True)
    for part in ("train", "test"):
        for number, name in zip(("10", "9", "2", "1", "0"), CLASSES, strict=True):
            (folder / part / name).rename(folder / part / number)
    (folder / "train" / ".DS_Store").touch()
    (folder / "train" / "9" / "Thumbs.db").touch()
    dataset = load(folder)
    assert dataset.input_shape == (1, 20, 24)
    assert dataset.classes == ("0", "1", "2", "9", "10")


def test_one_colour_picture_makes_the_set_coloured(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "things", grey=True)
    assert load(folder).input_shape == (1, 20, 24)
    Image.fromarray(images()[0][0]).save(folder / "train" / "bell" / "colour.png")
    dataset = load(folder)
    assert dataset.input_shape == (3, 20, 24)
    assert (dataset.test.images == dataset.test.images[..., :1]).all()


MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a palette": lambda image: image.convert("P"),
    "two colours": lambda image: image.convert("1"),
    "opaque": lambda image: image.convert("LA"),
}


@pytest.mark.parametrize("mode", MODES)
def test_grey_pictures_of_other_modes_stay_grey(tmp_path: Path, mode: str) -> None:
    folder = write_pictures(tmp_path / "things", grey=True)
    path = folder / "test" / "egg" / "grey.png"
    MODES[mode](Image.fromarray(grey(1)[0])).save(path)
    assert load(folder).input_shape == (1, 20, 24)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "things", grey=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: the picture lies on its side
    lying = np.zeros((24, 20), np.uint8)
    lying[:, :4] = 255
    Image.fromarray(lying).save(folder / "test" / "anvil" / "0.png", exif=exif)
    upright = load(folder).test.images[0]
    assert upright.shape == (20, 24)
    assert upright[:4].all()
    assert not upright[4:].any()


@pytest.mark.parametrize(
    "names, wanted",
    [
        (FILES, ""),
        (tuple(name.replace("-idx", ".idx") for name in FILES), ""),
        (tuple(f"emnist-letters-{name.replace('t10k', 'test')}" for name in FILES), ""),
        (tuple(f"emnist-letters-{name.replace('t10k', 'test')}" for name in FILES), "emnist-letters"),
    ],
    ids=["MNIST", "dots", "EMNIST", "EMNIST by name"],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
def test_idx_files_as_they_are_downloaded(
    tmp_path: Path, names: tuple[str, ...], wanted: str, *, zipped: bool
) -> None:
    folder = write_idx(tmp_path / "kuzushiji", names, zipped=zipped)
    if wanted:  # beside another data set
        write_idx(folder, tuple(f"emnist-mnist-{name}" for name in FILES))
        with pytest.raises(
            DataError, match=r"of several data sets; name one of .*emnist-letters, .*emnist-mnist"
        ):
            load(folder)
    dataset = load(folder / wanted)
    assert dataset.name.startswith(f"{wanted or 'kuzushiji'}@")
    np.testing.assert_array_equal(dataset.train.images, grey(TRAIN))
    np.testing.assert_array_equal(dataset.train.labels, images()[1])
    assert dataset.classes == ("0", "1", "2", "3", "4")


def test_labels_from_one_and_the_names_of_emnist(tmp_path: Path) -> None:
    names = tuple(f"emnist-letters-{name}" for name in FILES)
    folder = write_idx(tmp_path / "letters", names, first=1)
    assert load(folder).classes == ("1", "2", "3", "4", "5")
    mapping = "".join(f"{label} {64 + label} {96 + label}\n" for label in range(1, 6))
    (folder / "emnist-letters-mapping.txt").write_text(mapping)
    dataset = load(folder)
    assert dataset.classes == ("Aa", "Bb", "Cc", "Dd", "Ee")
    np.testing.assert_array_equal(dataset.train.labels, images()[1])


def test_labels_of_qmnist(tmp_path: Path) -> None:
    """Eight numbers of 32 bits for each image, of which the first is the class."""
    folder = write_idx(
        tmp_path / "q", ("qmnist-train-images-idx3-ubyte", "a", "qmnist-test-images-idx3-ubyte", "b")
    )
    for name, part in (("a", "train"), ("b", "test")):
        raw = (folder / name).read_bytes()
        labels = np.frombuffer(raw, np.uint8, offset=8)
        columns = np.stack([labels, *[np.full(len(labels), 77)] * 7], axis=1).astype(">i4")
        header = b"\0\0\x0c\2" + len(labels).to_bytes(4) + (8).to_bytes(4)
        (folder / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(gzip.compress(header + columns.tobytes()))
        (folder / name).unlink()
    np.testing.assert_array_equal(load(folder).train.labels, images()[1])


def test_npz_as_keras_has_it(tmp_path: Path) -> None:
    plain = load(write_npz(tmp_path / "things.npz"))
    assert plain.name.startswith("things@")
    np.testing.assert_array_equal(plain.train.images, images()[0])
    columns = {name: array[:, None].astype(np.int64) for name, array in arrays().items() if name[0] == "y"}
    same = load(write_npz(tmp_path / "columns.npz", **columns))
    assert same.name.partition("@")[2] == plain.name.partition("@")[2]
    channel = load(write_npz(tmp_path / "grey.npz", x_train=grey(TRAIN)[..., None], x_test=grey(TEST)))
    assert channel.input_shape == (1, 20, 24)


def test_more_than_256_classes(tmp_path: Path) -> None:
    labels = np.arange(300)
    pixels = (labels[:, None, None] % np.arange(1, 26).reshape(5, 5)).astype(np.uint8)
    of_labels = {"y_train": labels, "y_test": labels, "x_train": pixels, "x_test": pixels}
    dataset = load(write_npz(tmp_path / "many.npz", **of_labels))
    assert dataset.test.labels.tolist() == labels.tolist()
    again = load(tmp_path / "many.npz")
    assert again.test.labels.tolist() == labels.tolist()


def test_they_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, log = write_pictures(tmp_path / "things"), list[str]()
    first = load(folder, log)
    (cached,) = (tmp_path / "cache" / "own").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(layouts, "_decode", lambda *_: pytest.fail("decoded again"))
        again = load(folder, log)
    assert [again.name, again.classes] == [first.name, first.classes]
    np.testing.assert_array_equal(again.train.images, first.train.images)
    assert "decoded, and kept" in log[0]
    assert "decoded before" in log[2]
    cached.write_bytes(cached.read_bytes()[:-3000])
    assert load(folder).name == first.name
    assert load(folder, log).name == first.name
    assert "decoded before" in log[-2]


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    log = list[str]()
    assert load(write_npz(tmp_path / "things.npz"), log).name.startswith("things@")
    assert "not kept" in log[0]


def test_a_changed_pixel_or_label_is_another_data_set(tmp_path: Path) -> None:
    x_train, y_train = images()
    names = {load(write_npz(tmp_path / "things.npz")).name}
    x_train[0, 0, 0, 0] ^= 1
    names.add(load(write_npz(tmp_path / "things.npz", x_train=x_train)).name)
    y_train[0] = 1
    names.add(load(write_npz(tmp_path / "things.npz", y_train=y_train)).name)
    assert len(names) == 3


def test_the_name_of_a_data_set_is_not_a_path(
    tmp_path: Path, mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    assert source.load("mnist").name == "mnist"


def test_mean_and_deviation_of_mnist_are_those_of_the_recipes(mnist: Dataset) -> None:
    scaling = scaling_of(mnist.train.images)
    assert (round(scaling.mean, 4), round(scaling.std, 4)) == (0.1307, 0.3081)


def test_a_class_without_test_images_is_not_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "things")
    shutil.rmtree(folder / "test" / "cup")
    dataset = load(folder)
    assert dataset.classes == CLASSES
    assert set(dataset.test.labels.tolist()) == {0, 1, 3, 4}


# What is refused


def npz_with(**changes: object) -> Callable[[Path], Path]:
    return lambda folder: write_npz(folder / "things.npz", **changes)  # type: ignore[arg-type]


def npz_without_labels(folder: Path) -> Path:
    np.savez(folder / "things.npz", **{name: array for name, array in arrays().items() if name != "y_test"})
    return folder / "things.npz"


def a_file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def pictures_with(name: str, content: bytes) -> Callable[[Path], Path]:
    """Pictures and one more file."""

    def make(folder: Path) -> Path:
        path = write_pictures(folder / "things") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return folder / "things"

    return make


def png(array: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, format="png")
    return buffer.getvalue()


def pictures_without(name: str, *, keep_folder: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write_pictures(folder / "things") / name
        shutil.rmtree(path)
        if keep_folder:
            path.mkdir()
        return folder / "things"

    return make


def idx_with(name: str, content: bytes | None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write_idx(folder / "things") / name
        path.unlink() if content is None else path.write_bytes(content)
        return folder / "things"

    return make


def empty_folders(folder: Path) -> Path:
    for part in ("train", "test"):
        (folder / "things" / part).mkdir(parents=True)
    return folder / "things"


def an_empty_folder(folder: Path) -> Path:
    (folder / "things").mkdir()
    return folder / "things"


_LABELS = images()[1]
_TRANSPARENT = np.full((20, 24, 4), 100, np.uint8)
_CUT = png(images()[0][0])[:-200]
_DEEP = cv2.imencode(".png", images()[0][0].astype(np.uint16))[1]
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder / "nowhere", "There is no folder or file"),
    "an empty folder": (an_empty_folder, "has neither IDX files"),
    "a text": (a_file("things.txt", b"hello"), "things.txt is neither a folder nor an .npz file"),
    "no archive": (a_file("things.npz", b"hello"), "things.npz is not a whole .npz file"),
    "a pickle": (npz_with(x_train=np.array([{}, []], object)), "an array of Python objects, which is never"),
    "a missing array": (npz_without_labels, "has no y_test; it has x_train, y_train, x_test"),
    "fractions": (npz_with(x_train=images()[0] / 255), "x_train is float64; pixels are whole numbers"),
    "large pixels": (npz_with(x_train=images()[0].astype(int) + 100), "has pixels from 100 to 320"),
    "channel first": (npz_with(x_train=images()[0].transpose(0, 3, 1, 2)), "x_train is 60 x 3 x 20 x 24; "),
    "one-hot labels": (npz_with(y_train=np.eye(5, dtype=int)[_LABELS]), "y_train is 60 x 5; labels are N"),
    "too few labels": (npz_with(y_train=_LABELS[:-1]), "60 training images and 59 labels"),
    "no test images": (npz_with(x_test=images(each=0)[0], y_test=_LABELS[:0]), "0 test images and 0 labels"),
    "skipped labels": (npz_with(y_train=_LABELS * np.uint8(2)), "labels from 0 to 8 skip 5, 7"),
    "labels from 3": (
        npz_with(y_train=_LABELS + 3, y_test=images(each=TEST)[1] + 3),
        "labels are from 3 to 7",
    ),
    "a negative label": (npz_with(y_train=_LABELS.astype(int) - 1), "labels are from -1 to 4"),
    "a label of 64 bits": (
        npz_with(y_train=np.where(_LABELS == 4, np.uint64(2**64 - 1), _LABELS.astype(np.uint64))),
        "(labels 0 to 18446744073709551615) and 60",
    ),
    "more classes than images": (npz_with(y_test=np.arange(15) * 10), "141 classes (labels 0 to 140) and 60"),
    "an empty class": (npz_with(y_train=np.minimum(_LABELS, 3)), "The class 4 has no training image"),
    "one class": (npz_with(y_train=_LABELS * 0, y_test=np.zeros(15, int)), "The number of classes is 1; "),
    "two sizes": (npz_with(x_test=images(each=TEST)[0][:, :, :-1]), "must have one shape"),
    "no picture": (pictures_with("train/cup/x.png", b"hello"), "train/cup/x.png is no whole PNG image."),
    "half a picture": (pictures_with("train/cup/x.png", _CUT), "train/cup/x.png is no whole PNG image"),
    "another format": (pictures_with("train/cup/x.bmp", b""), "train/cup/x.bmp is none of .png, .jpg, .jpeg"),
    "another size": (
        pictures_with("train/cup/x.png", png(grey(1)[0, 1:])),
        "x.png has 24x19 pixels and test/",
    ),
    "transparent": (pictures_with("test/cup/x.png", png(_TRANSPARENT)), "x.png has transparent pixels"),
    "16 bits": (pictures_with("test/cup/x.png", png(grey(1)[0].astype(np.uint16))), "has 16 bits a channel"),
    "16 bits in colour": (pictures_with("test/cup/x.png", _DEEP.tobytes()), "has 16 bits a channel"),
    "a picture of no class": (pictures_with("train/x.png", png(grey(1)[0])), "train/x.png is no folder"),
    "an unknown class": (
        pictures_with("test/fly/x.png", png(images()[0][0])),
        "test/fly has images of a class",
    ),
    "empty folders": (empty_folders, "train is empty; it has a folder of images for each class"),
    "no test folder": (pictures_without("test"), "has no folder test"),
    "an empty folder of a class": (pictures_without("train/cup", keep_folder=True), "train/cup has no image"),
    "no labels": (idx_with(FILES[3], None), "has no IDX file of the labels of the test set"),
    "a damaged IDX file": (
        idx_with(FILES[0], b"\0\0\x08\3" + bytes(20)),
        f"{FILES[0]} cannot be read: it is",
    ),
    "a mapping of no characters": (
        idx_with("mapping.txt", b"1 4294967296\n"),
        "mapping.txt cannot be read: ",
    ),
    "IDX files that differ": (
        idx_with(FILES[1], encode_idx(_LABELS[1:])),
        "60 training images and 59 labels",
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make, reason", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_trained_on_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(DataError) as caught:
        load(path)
    sentence = str(caught.value)
    assert reason in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "things")
    (folder / FILES[0]).unlink()
    os.mkfifo(folder / FILES[0])
    with pytest.raises(DataError, match="a pipe or a device"):
        load(folder)


def test_what_is_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write_npz(tmp_path / "things.npz"), write_pictures(tmp_path / "things")]
    monkeypatch.setattr(layouts, "MAX_BYTES", 50_000)
    for path in paths:
        with pytest.raises(DataError, match="more than 50,000: all images are held in the memory at once"):
            load(path)
