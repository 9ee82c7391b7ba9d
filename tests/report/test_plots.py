"""The same rows give the same bytes, and the figures draw what is in them."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tables import add_run, add_traces, digits

from common.analysis import frames
from common.analysis.rounding import first_steps
from common.report import curves, digit_figures, plots

MODELS = ("tf-model-1", "nextjournal")


def fill(folder: Path) -> frames.Tables:
    for model in MODELS:
        for framework in ("pytorch", "tensorflow"):
            for seed in (1, 2):
                accuracy = 98 + 0.1 * seed + 0.3 * (framework == "pytorch")
                add_run(folder, model, framework, seed=seed, accuracy=accuracy, errors={seed: 9, 30: 1})
    add_run(folder, "nextjournal", "pytorch", seed=9, native="all", accuracy=12.0, errors={55: 1})
    return frames.read(folder)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> frames.Tables:
    return fill(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def drawn(tables: frames.Tables, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return plots.draw(tables, digits(), tmp_path_factory.mktemp("first") / "plots")


@pytest.mark.slow
def test_what_is_planned_is_what_is_drawn(tables: frames.Tables, drawn: list[Path]) -> None:
    assert [path.name for path in drawn] == [picture.file for picture in plots.planned(tables)]
    assert sorted(path.name for path in drawn[0].parent.iterdir()) == sorted(path.name for path in drawn)
    expected = {
        *("overview.png", "accuracy-against-parameters.png", "accuracy-per-epoch.png", "loss-per-epoch.png"),
        *("lr-per-epoch.png", "loss-against-examples.png", "samples.png", "predictions.png"),
        *("class-counts.png", "wrong-digits.png"),
        *(f"{kind}-{model}.png" for kind in ("confusion", "wrong") for model in MODELS),
    }
    assert {path.name for path in drawn} == expected


@pytest.mark.slow
def test_the_same_rows_give_the_same_bytes(
    tables: frames.Tables, drawn: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 31.0)  # a user's own settings
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "black")
    shuffled = frames.Tables(*(part.sample(frac=1, random_state=1) for part in vars(tables).values()))
    for first, second in zip(drawn, plots.draw(shuffled, digits(), tmp_path), strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


@pytest.mark.slow
def test_no_date_and_no_software_in_the_files(drawn: list[Path]) -> None:
    for path in drawn:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert not any(chunk in content for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME")), path.name


@pytest.mark.slow
def test_another_row_gives_another_picture(drawn: list[Path], tmp_path: Path) -> None:
    fill(tmp_path)
    add_run(tmp_path, "tf-model-1", "pytorch", seed=3, accuracy=97.0)
    tables = frames.read(tmp_path)
    overview = next(picture for picture in plots.planned(tables) if picture.file == "overview.png")
    path = plots.save(overview, plots._material(tables), tmp_path)
    assert path.read_bytes() != next(one for one in drawn if one.name == path.name).read_bytes()


def test_a_repeated_seed_moves_no_point(drawn: list[Path], tmp_path: Path) -> None:
    fill(tmp_path)
    add_run(tmp_path, "tf-model-1", "pytorch", seed=1, accuracy=98.4)
    tables = frames.read(tmp_path)
    for name in ("overview.png", "accuracy-against-parameters.png"):
        picture = next(picture for picture in plots.planned(tables) if picture.file == name)
        path = plots.save(picture, plots._material(tables), tmp_path)
        assert path.read_bytes() == next(one for one in drawn if one.name == name).read_bytes(), name


def test_rows_with_other_settings_are_in_no_picture(tables: frames.Tables) -> None:
    material = plots._material(tables)
    assert {native for group in material.groups for native in group.runs["native"]} == {"none"}
    assert 55 not in set(material.errors["index"])


def test_nothing_is_planned_without_runs_of_the_zoos_recipes(tmp_path: Path) -> None:
    assert plots.planned(frames.read(tmp_path)) == []
    add_run(tmp_path, native="all")
    assert plots.planned(frames.read(tmp_path)) == []


def test_a_run_without_errors_has_no_wrong_images(tmp_path: Path) -> None:
    add_run(tmp_path, accuracy=100.0, errors={})
    files = [picture.file for picture in plots.planned(frames.read(tmp_path))]
    assert "confusion-tf-model-1.png" in files
    assert not [file for file in files if file.startswith("wrong")]


def test_a_framework_keeps_its_colour_whoever_else_is_there() -> None:
    assert curves.look("pytorch", ["pytorch", "tensorflow"]) == curves.look("pytorch", ["jax", "pytorch"])
    looks = {curves.look(name, ["pytorch", "tensorflow", "jax", "mlx"]) for name in ("pytorch", "jax", "mlx")}
    assert len(looks) == 3


@given(st.data())
def test_a_confusion_matrix_holds_every_image_of_every_run(data: st.DataObject) -> None:
    labels = digits().test.labels
    runs = data.draw(st.integers(1, 3))
    wrong = [
        (run, index, (true + data.draw(st.integers(1, 1567))) % 1568)
        for run in range(runs)
        for index, true in enumerate(labels[:12].tolist())
        if data.draw(st.booleans())
    ]
    errors = pd.DataFrame(wrong, columns=["run", "index", "predicted"]).astype("int64")
    matrix = digit_figures.confusion_matrix(labels, errors, runs=runs)
    assert matrix.shape == (10, 11)
    np.testing.assert_allclose(matrix.sum(axis=1), np.bincount(labels))
    assert matrix.sum() - np.trace(matrix) == pytest.approx(len(wrong) / runs)
    assert matrix[:, 10].sum() == pytest.approx(sum(digit > 9 for _, _, digit in wrong) / runs)


def texts(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_digits_wrong_most_often_come_first() -> None:
    wrong = [("a", 5, 3), ("b", 5, 8), ("c", 5, 8), ("a", 40, 7), ("b", 40, 7), ("c", 2, 1)]
    errors = pd.DataFrame(wrong, columns=["run", "index", "predicted"])
    figure = digit_figures.most_often_wrong(digits().test, errors, runs=3, count=2)
    assert texts(figure) == ["5 → 8\n3 of 3", "0 → 7\n2 of 3"]


def test_every_wrong_image_of_a_run_is_shown() -> None:
    errors = pd.DataFrame({"run": "a", "index": [31, 4], "predicted": [7, 1500]})
    figure = digit_figures.wrong_in_run(digits().test, errors, run="a run")
    assert texts(figure) == ["4 → 1500", "1 → 7"]
    assert len(figure.axes[0].images) == 2


def test_a_network_that_is_mostly_wrong_does_not_fill_metres() -> None:
    errors = pd.DataFrame({"run": "r", "index": range(90), "predicted": 11})
    figure = digit_figures.wrong_in_run(digits().test, errors, run="a run", most=30)
    assert len(figure.axes[0].images) == 30
    assert "first 30 of 90" in figure.get_suptitle()


def test_predictions_follow_the_recorded_errors(tmp_path: Path) -> None:
    add_run(tmp_path, "nextjournal", errors={1: 4, 5: 0})
    material = plots._material(frames.read(tmp_path), digits())
    shown = [axes.get_title() for axes in plots._predictions(material).axes]
    assert shown == [f"Prediction: {digit}" for digit in (0, 4, 2, 3, 4, 0)]
    shown = [axes.get_title() for axes in plots._samples(material).axes]
    assert shown == [f"Ground truth: {digit}" for digit in range(6)]


def test_loss_is_drawn_against_whole_batches(tmp_path: Path) -> None:
    add_run(tmp_path, "nextjournal")
    material = plots._material(frames.read(tmp_path), digits(train=650))
    test, train = curves.loss_against_examples(material).axes[0].lines
    assert np.asarray(test.get_xdata()).tolist() == [0, 640, 1280, 1920]
    assert np.asarray(train.get_xdata()).tolist() == [320, 960, 1600]


def test_epoch_0_is_in_the_accuracy_figure(tables: frames.Tables) -> None:
    figure = curves.accuracy_per_epoch(plots._material(tables))
    assert [axes.get_title() for axes in figure.axes] == ["tf-model-1", "nextjournal"]
    for axes in figure.axes:
        assert all(np.min(np.asarray(line.get_xdata())) == 0 for line in axes.lines)
        low, high = axes.get_ylim()
        assert low >= 90
        assert high < 1.7


def test_the_first_steps_have_a_panel_a_network_and_four_lines(tmp_path: Path) -> None:
    add_traces(tmp_path, lambda framework, precision, perturb: [2.0 + (perturb == "ulp") * 1e-6, 1.0])
    traced = [steps.comparisons[0] for steps in first_steps(frames.read(tmp_path).traces)]
    empty = frames.read(tmp_path)
    figure = curves.first_steps(curves.Material([], empty.epochs, empty.errors, traced))
    (axes,) = figure.axes
    assert axes.get_title() == "under-8k"
    assert [len(np.asarray(line.get_ydata())) for line in axes.lines] == [2] * 4
