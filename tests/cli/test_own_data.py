"""--dataset with a user's own data, on a model that learns nothing: rows, checkpoints, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.own_data import write_npz, write_pictures
from support.recorder import Recorder, RecorderBackend

from common.analysis.frames import read
from common.cli import main as command
from common.cli.requested_job import requested_job
from common.data.batches import scaling_of
from common.data.datasets import Dataset
from common.data.idx import FILES, encode_idx
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store
from common.training import checkpoint

Main = Callable[..., tuple[int, str]]
SMALL = ("--model", "nextjournal", "--batch-size", "10", "--epochs", "1")


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """The exit status of a command line, and what it prints on stderr."""

    def call(*words: object) -> tuple[int, str]:
        model = Recorder()
        entry = ZOO["nextjournal"]
        shapes = checkpoint.state_shapes(entry.spec, entry.recipe.optimizer)
        state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        state["optimizer.step"] = np.array(6)
        monkeypatch.setattr(model, "state_dict", lambda: state)
        monkeypatch.setattr(RecorderBackend, "model", model)
        places = ["--results", str(tmp_path / "results"), "--data-dir", str(tmp_path / "cache")]
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            command.main(RecorderBackend, command.parse_arguments("pytorch", [*places, *map(str, words)]))
        assert isinstance(exit_.value.code, int)
        return exit_.value.code, capsys.readouterr().err

    return call


@pytest.fixture
def letters(tmp_path: Path, mnist: Dataset) -> Path:
    """A folder of 60 and 30 of MNIST's images as IDX files of another data set."""
    folder = tmp_path / "my letters"
    folder.mkdir()
    arrays = [
        mnist.train.images[:60],
        mnist.train.labels[:60],
        mnist.test.images[:30],
        mnist.test.labels[:30],
    ]
    for name, array in zip(FILES, arrays, strict=True):
        (folder / name).write_bytes(encode_idx(array))
    return folder


def test_the_row_names_the_data_and_their_digest(
    main: Main, letters: Path, tmp_path: Path, mnist: Dataset
) -> None:
    assert main(*SMALL, "--dataset", letters) == (0, "")
    assert main(*SMALL, "--dataset", letters, "--validation", "20") == (0, "")
    raw = bytearray((letters / FILES[0]).read_bytes())
    raw[500] ^= 1
    (letters / FILES[0]).write_bytes(raw)
    assert main(*SMALL, "--dataset", letters) == (0, "")
    first, held_out, changed = store.rows(tmp_path / "results", "results.csv")
    name, _, digest = first["dataset"].partition("@")
    assert (name, len(digest)) == ("my-letters", 12)
    assert held_out["dataset"] == f"{first['dataset']}-validation-20"
    assert changed["dataset"].startswith("my-letters@")
    assert changed["dataset"] != first["dataset"]
    expected = command.parse_arguments("pytorch", list(SMALL))
    job = requested_job(expected)
    assert first["recipe_hash"] == recipe_hash(job.spec, job.recipe)
    wrong = read(tmp_path / "results").errors.groupby("run").size()
    nines = int((mnist.test.labels[:30] == 9).sum())
    assert wrong[first["run"]] == 30 - nines


def test_the_images_are_scaled_by_their_own_mean(
    main: Main, letters: Path, mnist: Dataset, tmp_path: Path
) -> None:
    saved = tmp_path / "model.safetensors"
    assert main(*SMALL, "--dataset", letters, "--save-model", saved) == (0, "")
    metadata = checkpoint.read(saved).metadata
    scaling = scaling_of(mnist.train.images[:60])
    assert metadata["scaling"] == {"mean": scaling.mean, "std": scaling.std}
    assert metadata["data"] == store.rows(tmp_path / "results", "results.csv")[0]["dataset"]


def test_a_run_is_resumed_on_the_same_pixels_wherever_they_are(
    main: Main, letters: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "model.safetensors"
    assert main(*SMALL, "--dataset", letters, "--save-model", saved) == (0, "")
    assert main("--resume", saved, "--epochs", "2") == (0, "")
    moved = tmp_path / "elsewhere"
    shutil.move(letters, moved)
    status, error = main("--resume", saved, "--epochs", "2")
    assert (status, error.count("\n")) == (2, 1)
    assert f"There is no folder or file {letters}" in error
    status, error = main("--resume", saved, "--epochs", "2", "--dataset", moved)
    assert (status, error.count("\n")) == (2, 1)
    assert "was trained on my-letters@" in error, "the name is a part of what a row is compared by"
    (tmp_path / "again").mkdir()
    same_name = shutil.move(moved, tmp_path / "again" / "my letters")
    assert main("--resume", saved, "--epochs", "2", "--dataset", same_name) == (0, "")
    status, error = main("--resume", saved, "--epochs", "2", "--dataset", "mnist")
    assert (status, error.count("\n")) == (2, 1)


def test_a_network_that_does_not_fit_is_refused_with_both_shapes(main: Main, tmp_path: Path) -> None:
    status, error = main(*SMALL, "--dataset", write_pictures(tmp_path / "things"))
    assert (status, error.count("\n")) == (2, 1)
    assert "nextjournal requires images of shape (1, 28, 28); those of things@" in error
    assert "have (3, 20, 24)." in error
    assert not (tmp_path / "results").exists()


REFUSED: dict[str, tuple[str, str]] = {
    "no such folder": ("no/where", "There is no folder or file no/where."),
    "no such file": ("nothing.npz", "There is no folder or file nothing.npz."),
    "a folder without data": (".", "has neither IDX files"),
    "a folder of nobody": ("~nobody-here", "~nobody-here is not a data set; choose from mnist"),
    "data of nobody": ("~nobody-here/x.npz", "There is no folder or file ~nobody-here/x.npz."),
    "a long text": ("x" * 300, f"{'x' * 60}... is not a data set; choose from mnist"),
    "a long path": (f"./{'x' * 300}", "cannot be read: File name too long."),
    "a file of another kind": ("tf.txt", "tf.txt is neither a folder nor an .npz file."),
}


@pytest.mark.parametrize("text, reason", REFUSED.values(), ids=REFUSED)
def test_a_path_without_data_is_one_line(
    text: str, reason: str, main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tf.txt").touch()
    monkeypatch.chdir(tmp_path)
    status, error = main("--dataset", text)
    assert (status, error.count("\n")) == (2, 1)
    assert reason in error
    assert [path.name for path in tmp_path.iterdir()] == ["tf.txt"]


def test_data_that_cannot_be_used_are_one_line(main: Main, tmp_path: Path) -> None:
    bad = write_npz(tmp_path / "things.npz", x_train=np.array([{}], object))
    status, error = main(*SMALL, "--dataset", bad)
    assert (status, error.count("\n")) == (2, 1)
    assert "never unpickled" in error
    assert [path.name for path in tmp_path.iterdir()] == ["things.npz"]


def test_a_batch_of_more_images_than_there_are(main: Main, letters: Path, tmp_path: Path) -> None:
    status, error = main("--model", "nextjournal", "--dataset", letters)
    assert (status, error.count("\n")) == (2, 1)
    assert "The batch size 64 is more than the 60 training images of my-letters@" in error
    assert not (tmp_path / "results").exists()
