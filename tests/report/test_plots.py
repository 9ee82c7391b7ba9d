"""The same rows give the same bytes, and the figures draw what is in them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer
from support.tables import add_run, add_traces, digits

from common.analysis import frames
from common.model.zoo import ZOO
from common.report import digit_figures, drawing, epochs, overview, plots
from common.report import first_steps as steps_figure

MODELS = ("tf-model-1", "nextjournal", "under-5k")
LARGEST_FILE = 150 * 1024
ROOT = Path(__file__).resolve().parents[2]


def fill(folder: Path) -> frames.Tables:
    for model in reversed(MODELS):  # rows are in no order
        for framework in ("tensorflow", "pytorch"):
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
    expected = [
        *(
            "answer.png",
            "class-counts.png",
            "overview.png",
            "accuracy-against-parameters.png",
            "lr-per-epoch.png",
        ),
        *("accuracy-per-epoch.png", "loss-per-epoch.png", "loss-against-examples.png", "predictions.png"),
        *("confusion-under-5k.png", "wrong-digits.png", "wrong-under-5k.png"),
    ]
    assert [path.name for path in drawn] == expected


@pytest.mark.slow
def test_pictures_are_small_files(drawn: list[Path]) -> None:
    committed = sorted((ROOT / "results" / "plots").glob("*.png"))
    sizes = {path.name: path.stat().st_size for path in (*drawn, *committed)}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}


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


def test_a_repeated_seed_moves_no_point(tables: frames.Tables, tmp_path: Path) -> None:
    fill(tmp_path)
    add_run(tmp_path, "tf-model-1", "pytorch", seed=1, accuracy=98.4)
    repeated = frames.read(tmp_path)
    for name in ("overview.png", "accuracy-against-parameters.png"):
        picture = next(picture for picture in plots.planned(tables) if picture.file == name)
        first, second = (
            plots.save(picture, plots._material(part), tmp_path).read_bytes() for part in (tables, repeated)
        )
        assert first == second, name


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


def test_the_networks_have_the_zoos_order_in_every_picture(tables: frames.Tables) -> None:
    material = plots._material(tables, digits())
    order = list(MODELS)
    rows = [text.get_text().splitlines()[0] for text in overview.overview(material).axes[0].get_yticklabels()]
    assert rows == order
    for draw in (epochs.accuracy_per_epoch, epochs.loss_per_epoch):
        assert [axes.get_title() for axes in draw(material).axes] == order


def test_epochs_of_one_framework_alone_are_not_drawn(tables: frames.Tables) -> None:
    runs = tables.runs[(tables.runs["model"] == MODELS[0]) & (tables.runs["framework"] == "pytorch")]
    epochs_left = tables.epochs[~tables.epochs["run"].isin(runs["run"])]
    some = dataclasses.replace(tables, epochs=epochs_left)
    assert plots.incomplete(some)["epochs.csv"] == [MODELS[0]]


def test_a_network_without_a_verdict_is_in_no_picture(tmp_path: Path) -> None:
    add_run(tmp_path, "pytorch-model-1-printed")
    add_run(tmp_path)
    assert plots._material(frames.read(tmp_path)).models() == ["tf-model-1"]


def error_bars(axes: matplotlib.axes.Axes) -> list[list[list[float]]]:
    """The ends of all error bars, in data, in the order in which they were drawn."""
    bars = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    return [segment.tolist() for bar in bars for segment in bar.lines[2][0].get_segments()]


@pytest.fixture
def three_seeds(tmp_path: Path) -> drawing.Material:
    """Three seeds, of which one has three runs, which count as one: accuracies of 98, 98.2 and 98.7."""
    for seed, accuracy in ((1, 98.0), (2, 98.2), (3, 98.6), (3, 98.8), (3, 98.7)):
        add_run(tmp_path, "nextjournal", seed=seed, accuracy=accuracy, loss=accuracy / 100)
    return plots._material(frames.read(tmp_path), digits())


def test_error_bars_of_accuracies_are_students_intervals_over_seeds(three_seeds: drawing.Material) -> None:
    seeds = [98.0, 98.2, 98.7]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(seeds), scipy.stats.sem(seeds))
    (bar,) = error_bars(overview.overview(three_seeds).axes[0])
    assert [end for end, _ in bar] == pytest.approx([100 - high, 100 - low])
    (bar,) = error_bars(overview.accuracy_against_parameters(three_seeds).axes[0])
    assert [end for _, end in bar] == pytest.approx([100 - high, 100 - low])


def test_bands_of_epochs_are_intervals_over_seeds(three_seeds: drawing.Material) -> None:
    """The invented accuracies rise in equal steps from 10 %, before the first of three epochs."""
    errors = [np.log(100 - (10 + (accuracy - 10) * 2 / 3)) for accuracy in (98.0, 98.2, 98.7)]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(errors), scipy.stats.sem(errors))
    (axes,) = epochs.accuracy_per_epoch(three_seeds).axes
    (band,) = axes.collections
    corners = sorted({y for x, y in band.get_paths()[0].vertices if x == 2})
    assert corners == pytest.approx([math.exp(low), math.exp(high)], rel=1e-5)
    (line,) = axes.lines
    assert np.asarray(line.get_xdata()).tolist() == [1, 2, 3]
    assert np.asarray(line.get_ydata())[1] == pytest.approx(math.exp(np.mean(errors)))


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    add_run(tmp_path, "nextjournal", accuracy=98.0)
    (bar,) = error_bars(overview.overview(plots._material(frames.read(tmp_path))).axes[0])
    assert [end for end, _ in bar] == pytest.approx([2, 2])


def test_an_interval_of_two_seeds_stretches_no_axis(tmp_path: Path) -> None:
    """Of accuracies of 98.0 and 98.4 the interval reaches beyond 100 %."""
    for seed, accuracy in ((1, 98.0), (2, 98.4)):
        add_run(tmp_path, "nextjournal", seed=seed, accuracy=accuracy)
    material = plots._material(frames.read(tmp_path))
    assert overview.overview(material).axes[0].get_xlim()[1] > 1
    assert overview.accuracy_against_parameters(material).axes[0].get_ylim()[1] > 0.1


def test_rates_are_the_recipes_and_those_recorded(tables: frames.Tables) -> None:
    """640 images in batches of 64 are ten steps an epoch of `under-5k`; the others' rate is constant."""
    (axes,) = epochs.learning_rate(plots._material(tables, digits())).axes
    assert axes.get_title().splitlines()[0] == "under-5k"
    planned, *recorded = (np.asarray(line.get_xdata()) for line in axes.lines)
    assert len(planned) == 120
    assert [len(points) for points in recorded] == [12, 12]
    caption = next(p.caption for p in plots.planned(tables) if p.file == "lr-per-epoch.png")
    assert "`tf-model-1`, `nextjournal`" in caption


def test_a_network_of_one_epoch_has_no_panel_of_curves(tmp_path: Path) -> None:
    add_run(tmp_path, "speedrun")
    files = {picture.file for picture in plots.planned(frames.read(tmp_path))}
    assert "lr-per-epoch.png" in files
    assert not files & {"accuracy-per-epoch.png", "loss-per-epoch.png"}
    add_run(tmp_path)
    tables = frames.read(tmp_path)
    assert [axes.get_title() for axes in epochs.loss_per_epoch(plots._material(tables)).axes] == [
        "tf-model-1"
    ]
    caption = next(p.caption for p in plots.planned(tables) if p.file == "accuracy-per-epoch.png")
    assert "`speedrun`" in caption


def test_names_in_the_figure_of_parameters_cover_neither_each_other_nor_a_point(tmp_path: Path) -> None:
    for model, entry in ZOO.items():
        if entry.judged:
            add_run(tmp_path, model, accuracy=entry.accuracy.mean)
    figure = overview.accuracy_against_parameters(plots._material(frames.read(tmp_path)))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    names = {text.get_text(): text.get_window_extent() for text in axes.texts if text.get_text()}
    assert set(names) >= {model for model, entry in ZOO.items() if entry.judged}
    boxes = list(names.values())
    assert not [1 for place, box in enumerate(boxes) if any(map(box.overlaps, boxes[:place]))]
    for line in axes.lines:
        for x, y in axes.transData.transform(line.get_xydata()):
            assert not [name for name, box in names.items() if box.contains(x, y)]


def test_a_framework_keeps_its_colour_whoever_else_is_there() -> None:
    assert drawing.look("pytorch", ["pytorch", "tensorflow"]) == drawing.look("pytorch", ["jax", "pytorch"])
    looks = {
        drawing.look(name, ["pytorch", "tensorflow", "jax", "mlx"]) for name in ("pytorch", "jax", "mlx")
    }
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
    errors = pd.DataFrame(wrong, columns=["run", "index", "predicted"]).assign(share=1 / 3)
    figure = digit_figures.most_often_wrong(digits().test, errors, count=2)
    assert texts(figure) == ["5 → 8\n100 %", "0 → 7\n67 %"]


def test_networks_count_the_same_whatever_their_number_of_runs(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        add_run(tmp_path, "tf-model-1", seed=seed, errors={1: 7})
    add_run(tmp_path, "nextjournal", errors={2: 8, 5: 6})
    material = plots._material(frames.read(tmp_path), digits())
    assert texts(plots.wrong_images(material)) == ["1 → 7\n50 %", "2 → 8\n50 %", "5 → 6\n50 %"]


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
    predicted = (0, 4, 2, 3, 4, 0)
    assert shown == [f"label {label}, predicted {digit}" for label, digit in enumerate(predicted)]


def test_loss_is_drawn_against_whole_batches(tmp_path: Path) -> None:
    add_run(tmp_path, "nextjournal")
    material = plots._material(frames.read(tmp_path), digits(train=650))
    (axes,) = epochs.loss_against_examples(material).axes
    test, train = (container.lines[0] for container in axes.containers)
    assert np.asarray(test.get_xdata()).tolist() == [0, 640, 1280, 1920]
    assert np.asarray(train.get_xdata()).tolist() == [320, 960, 1600]


def test_the_first_steps_have_a_row_a_network_in_one_unit(tmp_path: Path) -> None:
    """Differences in nats: 2e-12 in double precision; in single 4e-6 between the frameworks, 1e-6 within."""

    def losses(framework: str, precision: str, perturb: str) -> list[float]:
        if precision == "float64":
            return [1.0, 2.0 + 2e-12 * (framework == "pytorch")]
        return [1.0, 2.0 + 4e-6 * (framework == "pytorch") + 1e-6 * (perturb == "ulp")]

    for seed in (1, 2):
        add_traces(tmp_path, losses, seed=seed)
    tables = frames.read(tmp_path)
    figure = steps_figure.first_steps(plots._material(tables))
    double, single = figure.axes
    assert [text.get_text() for text in double.get_yticklabels()] == ["under-8k"]
    medians = [[float(bar.lines[0].get_xdata()[0]) for bar in axes.containers] for axes in (double, single)]
    assert medians == [pytest.approx([2e-12], rel=1e-3, abs=0), pytest.approx([4e-6, 1e-6, 1e-6], rel=1e-3)]
    assert [[len(line.get_xdata()) for line in axes.lines if line.get_alpha()] for axes in figure.axes] == [
        [2],
        [2, 2, 2],
    ]
