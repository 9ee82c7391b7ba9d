"""The pictures of a user's own data have its shape and the names of its classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.own_data import CLASSES, TEST, images
from support.tables import add_run

from common.analysis import frames
from common.data.datasets import Dataset, Digits
from common.report import __main__ as command
from common.report import digit_figures, output, own_pictures

THINGS = Dataset("things@0123456789ab", Digits(*images()), Digits(*images(each=TEST)), CLASSES)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Runs on the data, on another version of it, and on MNIST."""
    for framework in ("pytorch", "tensorflow"):
        add_run(tmp_path, framework=framework, dataset=THINGS.name, errors={0: 4, 5: 2, 14: 7})
    add_run(tmp_path, "speedrun", dataset="things@ba9876543210")
    add_run(tmp_path, "under-5k")
    return tmp_path


def test_the_pictures_are_of_the_runs_on_these_pixels(results: Path) -> None:
    tables = frames.read(results)
    paths = own_pictures.draw(tables, THINGS, results / "plots")
    names = ["own-images.png", "own-classes.png", "own-confusion-tf-model-1.png", "own-wrong.png"]
    assert [path.name for path in paths] == names
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width > 500
    other = Dataset("others@0123456789ab", THINGS.train, THINGS.test, CLASSES)
    assert own_pictures.planned(tables, other) == []


def test_a_run_that_failed_hides_none_of_older_arithmetic(results: Path) -> None:
    add_run(results, dataset=THINGS.name, status="failed", accuracy=None, reason="no memory", numerics=9)
    assert own_pictures.planned(frames.read(results), THINGS)


def test_runs_without_their_errors_have_no_confusion_matrix(results: Path) -> None:
    tables = frames.read(results)
    tables = dataclasses.replace(tables, errors=tables.errors[:0])
    files = [picture.file for picture in own_pictures.planned(tables, THINGS)]
    assert files == ["own-images.png", "own-classes.png"]


def test_classes_have_their_names(results: Path) -> None:
    errors = frames.read(results).errors.assign(share=0.5)
    errors = errors[errors["run"].str.startswith("tf-model-1")]
    matrix = digit_figures.confusion_matrix(THINGS.test.labels, errors, runs=2, classes=5)
    assert matrix.tolist() == [
        [2, 0, 0, 0, 1, 0],
        [0, 2, 1, 0, 0, 0],
        [0, 0, 3, 0, 0, 0],
        [0, 0, 0, 3, 0, 0],
        [0, 0, 0, 0, 2, 1],
    ]
    (axes,) = digit_figures.confusion({"PyTorch": (matrix, 2)}, model="m", classes=CLASSES).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    assert axes.get_xticklabels()[-1].get_text() == "none"
    (axes,) = digit_figures.most_often_wrong(THINGS.test, errors, classes=CLASSES).axes
    shown = [text.get_text().split("\n")[0] for text in axes.texts]
    assert shown == ["anvil → egg", "bell → cup", "egg → 7"]
    assert axes.images[0].get_array().shape == (20, 24, 3)
    left, right, bottom, top = axes.images[0].get_extent()
    assert (right - left, bottom - top) == (24, 20)


def test_there_is_no_room_for_the_names_of_many_classes() -> None:
    names = [str(number) for number in range(300)]
    (axes,) = digit_figures.confusion({"PyTorch": (np.ones((300, 301)), 1)}, model="m", classes=names).axes
    assert not list(axes.texts)


def test_the_report_of_a_folder_has_them(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "load", lambda text, **_: THINGS)
    monkeypatch.setattr(output.plots, "draw", lambda *_: [])
    monkeypatch.setattr(own_pictures, "draw", lambda *_: [])
    assert command.main(["--results", str(results), "--dataset", "things"]) == 0
    assert "![tf-model-1: confusion matrix](plots/own-confusion-tf-model-1.png)" in (
        results / "report.md"
    ).read_text(encoding="utf-8")
    monkeypatch.setattr(
        output, "load", lambda text, **_: Dataset("others@0123456789ab", THINGS.train, THINGS.test, CLASSES)
    )
    assert command.main(["--results", str(results), "--dataset", "others"]) == 2
    assert "has no finished run on others@0123456789ab." in capsys.readouterr().err


def test_the_pictures_need_a_folder_of_tables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.main(["--dataset", "things"])
    assert exit_.value.code == 2
    assert "--dataset is for --results DIR" in capsys.readouterr().err
