"""--dataset of the subcommands that measure: what they run, what rows carry, which tables lack them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.own_data import TEST, TRAIN, write_npz, write_pictures
from support.tables import add_run, digits

from common.analysis import frames
from common.bench import __main__ as bench
from common.bench import aa, measure, misclassified
from common.bench.requested_data import Data
from common.cli.profile import summarise
from common.frameworks import PAIR
from common.model.own_network import entry_of
from common.report import rounding_tables, speed_ratios, timings
from common.tables import store

NETWORK = """
from common.model import Adam, Affine, Dense, Flatten, ModelSpec, Recipe

NETWORK = ModelSpec("coloured", (Flatten(), Dense(5)), input_shape=(3, 20, 24))
RECIPE = Recipe(Adam(), lr=0.001, batch_size=10, epochs=400, augment=Affine(rotation=5.0))
"""
IMAGES = 5 * TRAIN, 5 * TEST


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The options that name a folder of colour pictures."""
    folder = write_pictures(tmp_path / "photos")
    return ["--dataset", str(folder), "--data-dir", str(tmp_path / "cache")]


@pytest.fixture
def network(tmp_path: Path) -> str:
    file = tmp_path / "coloured.py"
    file.write_text(NETWORK)
    return str(file)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have been run; each writes invented numbers."""
    seen: list[list[str]] = []

    def run(command: list[str]) -> None:
        seen.append(command)
        framework = dict(zip(("pytorch.py", "tf.py"), PAIR, strict=True))[Path(command[1]).name]
        figures = [("step", "epoch", "ms"), ("step", "bare loop", "ms"), ("preparation", "augmentation", "s")]
        written = {
            "--profile": {
                "measurements": [
                    {"measure": measure, "arm": arm, "unit": unit, **summarise([2.5])}
                    for measure, arm, unit in figures
                ],
                **{"device": "cpu", "threads": 1, "framework_version": "9"},
            },
            "--trace": {"losses": [1.5, 1.25], "accuracy": None, "framework_version": "9"},
        }
        if command[-2] in written:
            Path(command[-1]).write_text(json.dumps(written[command[-2]]))
        else:
            folder = Path(command[command.index("--results") + 1])
            entry = entry_of(command[command.index("--model") + 1])
            seconds = {"total_seconds": 50.0, "cpu_seconds": 9.0, "import_seconds": 2.0}
            add_run(folder, framework=framework, entry=entry, errors={}, **seconds)

    monkeypatch.setattr(measure, "run_script", run)
    return seen


def dataset_of(folder: Path, table: str) -> str:
    (name,) = {row["dataset"] for row in store.rows(folder, table)}
    return name


def test_traces_are_of_the_named_data(
    words: list[str],
    network: str,
    commands: list[list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "results"
    options = ["--models", network, "--seeds", "1", "--results", str(folder), *words]
    assert bench.main(["traces", "steps", *options]) == 0
    assert all(words[1] == command[command.index("--dataset") + 1] for command in commands)
    assert dataset_of(folder, "traces.csv").startswith("photos@")
    assert "| `coloured` | 1 |" in capsys.readouterr().out


def grey(folder: Path) -> str:
    """A user's network that fits MNIST."""
    file = folder / "grey.py"
    file.write_text(NETWORK.replace(", input_shape=(3, 20, 24)", "").replace("Dense(5)", "Dense(10)"))
    return str(file)


def measure_both(folder: Path, model: str, data: str) -> None:
    options = ["--models", model, "--dataset", data, "--results", str(folder)]
    assert bench.main(["traces", "steps", "--seeds", "1", *options]) == 0
    assert bench.main(["speed", "overhead", *options]) == 0


@pytest.mark.parametrize("own", [False, True])
def test_rows_of_other_data_and_of_own_networks_are_in_no_table_of_the_zoo(
    commands: list[list[str]], tmp_path: Path, *, own: bool
) -> None:
    folder, other = tmp_path / "results", tmp_path / "other"
    measure_both(other, "under-8k", "mnist")
    measure_both(folder, "under-8k", "mnist")
    measure_both(folder, *((grey(tmp_path), "mnist") if own else ("under-8k", "fashion-mnist")))
    tables, alone = frames.read(folder), frames.read(other)
    assert len(tables.speed) == 2 * len(alone.speed)
    of_zoo, rest = frames.apart(tables)
    for name in ("speed", "traces"):
        rows, expected = (getattr(each, name).drop(columns="sitting") for each in (of_zoo, alone))
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), expected.reset_index(drop=True))
        assert len(getattr(rest, name)) == len(expected)
    assert rounding_tables.section(of_zoo.traces) == rounding_tables.section(alone.traces)
    assert timings.section(of_zoo.speed) == timings.section(alone.speed)


def test_times_of_a_users_network_are_printed(
    words: list[str],
    network: str,
    commands: list[list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without PART what is of any data; an augmented epoch has no number of steps there."""
    folder = tmp_path / "results"
    assert bench.main(["speed", "--models", network, "--results", str(folder), *words]) == 0
    assert [command[-2] for command in commands] == ["--profile"] * 4
    assert sum("--compile" in command for command in commands) == 2
    assert dataset_of(folder, "speed.csv").startswith("photos@")
    assert "| `coloured` | PyTorch | 2.500 | 2.500 |  |  |" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["native-loaders", "idioms", "race", "startup"])
def test_parts_that_are_of_mnist_are_refused(
    part: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["speed", "profiles", part, "--results", str(tmp_path / "results"), *words])
    assert ended.value.code == 2
    assert f"{part} is measured with networks of the zoo on MNIST" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_an_aa_test_trains_as_many_images_on_small_data(
    words: list[str],
    network: str,
    commands: list[list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """20,000 // 60 epochs of the recipe's 400; the whole run has all epochs of all images."""
    folder = tmp_path / "results"
    assert bench.main(["aa", "--models", network, "--rounds", "2", "--results", str(folder), *words]) == 0
    assert {command[command.index("--epochs") + 1] for command in commands} == {"333"}
    assert not any("--validation" in command for command in commands)
    values = {row["measure"]: row["value"] for row in store.rows(folder, "speed.csv")}
    assert (values["again training_images"], values["again test_images"]) == tuple(map(str, IMAGES))
    assert (values["again all_training_images"], values["again all_test_images"]) == tuple(map(str, IMAGES))
    assert values["again trained_images"] == str(333 * 60)
    assert "| `coloured` | memory, MiB | 512 | 512 | 1.000 (1.000" in capsys.readouterr().out
    speed = frames.read(folder).speed
    assert "Not measured" not in speed_ratios.tables(speed, {"coloured": entry_of(network).recipe})
    assert "Not measured" in speed_ratios.tables(frames.apart(frames.read(folder))[0].speed)


def test_an_epoch_of_large_data_is_enough() -> None:
    data = Data("large@0123456789ab", "large", training_images=50_000, test_images=7)
    assert aa.length_of("speedrun", data) == aa.Length(epochs=1)
    small = Data("small@0123456789ab", "small", 4_000, 7)
    assert aa.length_of("tf-model-1", small).epochs == 5
    assert aa.length_of("speedrun", small).epochs == entry_of("speedrun").recipe.epochs


def test_an_ablation_is_of_the_named_data(
    words: list[str], network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of MNIST count as no runs of it."""
    folder = tmp_path / "results"
    for framework in PAIR:
        add_run(folder, framework=framework, entry=entry_of(network))
    options = ["--seeds", "1", "--dry-run", "--results", str(folder), *words]
    assert bench.main(["ablation", network, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    tasks = [line for line in lines if line.startswith("coloured ") and "seed 1 photos@" in line]
    assert len(tasks) == 2 * len(["none", "init", "optimizer", "all"])
    options = ["--seeds", "1", "--dry-run", "--results", str(folder)]
    assert bench.main(["ablation", grey(tmp_path), *options]) == 0
    assert "photos" not in capsys.readouterr().out


SUBCOMMANDS = [["ablation"], ["traces", "--models"], ["speed", "--models"], ["aa", "--models"]]


@pytest.mark.parametrize("subcommand", SUBCOMMANDS, ids=lambda words: words[0])
def test_a_network_that_does_not_fit_is_refused(
    subcommand: list[str],
    words: list[str],
    network: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With both shapes, and nothing is written: on other data, and a network of other shape on MNIST."""
    for model, data in (("under-8k", words), (network, [])):
        with pytest.raises(SystemExit) as ended:
            bench.main([*subcommand, model, *data, "--results", str(tmp_path / "results")])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert "(1, 28, 28)" in error
        assert "(3, 20, 24)" in error
        assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


UNFIT = {
    "a batch of more images than there are": ("batch_size=61", "more than the 60 training images of photos@"),
    "moments of colours": ("moments=MomentNormalization()", "for grey images"),
    "a shift of the whole image": ("augment=Affine(translation=21.0)", "augment.translation=21 is too large"),
    "augmentation at test time": ("tta_shift=20", "tta_shift=20 is too large"),
}
TRAINED = [["run", "--models"], ["compare"], *SUBCOMMANDS]


def refused(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command ends, and writes nothing, where `folder` is there and where not."""
    for results in (folder, folder / "new"):
        with pytest.raises(SystemExit) as ended:
            bench.main([*words, "--results", str(results)])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert list(folder.iterdir()) == []
    return error


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("subcommand", TRAINED, ids=lambda words: words[0])
@pytest.mark.parametrize("change, sentence", UNFIT.values(), ids=UNFIT)
def test_a_recipe_that_does_not_fit_is_refused_before_anything_is_written(
    subcommand: list[str],
    change: str,
    sentence: str,
    words: list[str],
    network: str,
    empty: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The sentence names no flag, as some of the commands have none for a recipe."""
    text = f"from dataclasses import replace\nfrom common.model import MomentNormalization\n{NETWORK}"
    Path(network).write_text(f"{text}RECIPE = replace(RECIPE, {change})\n")
    error = refused([*subcommand, network, *words], empty, capsys)
    assert sentence in error
    assert "--" not in error


@pytest.mark.parametrize("subcommand", TRAINED, ids=lambda words: words[0])
def test_images_without_any_difference_are_refused_before_anything_is_written(
    subcommand: list[str], network: str, empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = write_npz(tmp_path / "black.npz", x_train=np.zeros((5 * TRAIN, 20, 24, 3), np.uint8))
    words = ["--dataset", str(black), "--data-dir", str(tmp_path / "cache")]
    assert "All pixels" in refused([*subcommand, network, *words], empty, capsys)


TOO_LITTLE = {
    "a changed batch": (["--vary", "lr=0.1", "--vary", "batch_size=61"], "The batch size 61 is more than"),
    "all held out": (["--validation", "60"], "From 1 to 59 of the 60 training images can be held out"),
    "less than a batch left": (["--validation", "55"], "the 5 training images of photos@"),
}


@pytest.mark.parametrize("options, sentence", TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_trials_that_do_not_fit_are_refused_before_anything_is_written(
    options: list[str],
    sentence: str,
    words: list[str],
    network: str,
    empty: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sentence in refused(["run", "--models", network, *words, *options], empty, capsys)


def test_a_dry_run_refuses_what_a_run_would(
    words: list[str], network: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(network).write_text(NETWORK.replace("batch_size=10", "batch_size=61"))
    for subcommand in (["run", "--models"], ["compare"], ["ablation"]):
        assert "The batch size 61" in refused([*subcommand, network, "--dry-run", *words], empty, capsys)


def test_of_mnist_recipe_and_held_out_images_are_checked_without_a_download(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--models", "tf-model-1", "--data-dir", str(tmp_path / "none"), "--validation", "59999"]
    assert "more than the 1 training images of mnist-validation-59999" in refused(words, empty, capsys)
    assert not (tmp_path / "none").exists()


def test_a_channel_of_one_value_in_a_batch_is_not_normalised(
    words: list[str], network: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PyTorch refuses it, TensorFlow trains."""
    text = NETWORK.replace("Dense(5)", "Dense(5), BatchNorm()").replace(
        "import Adam", "import BatchNorm, Adam"
    )
    Path(network).write_text(text.replace("batch_size=10", "batch_size=1"))
    assert "needs at least two values" in refused(["compare", network, *words], empty, capsys)


def test_misclassified_images_of_other_data_have_its_classes(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_npz(tmp_path / "photos.npz")
    words = ["--models", network, "--dataset", str(file), "--data-dir", str(tmp_path / "cache")]
    folder = tmp_path / "results"
    assert bench.main(["misclassified", *words, "--results", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "no recorded runs" in printed
    name = printed.split(": ")[0] if "@" in printed.split(": ")[0] else printed.split("\n")[1].split(": ")[0]
    add_run(folder, entry=entry_of(network), dataset=name, errors={0: 3, 4: 2})
    add_run(folder, entry=entry_of(network), seed=2, dataset=name, errors={4: 2})
    add_run(folder, entry=entry_of(network), seed=3, errors={1: 2})  # on MNIST
    assert bench.main(["misclassified", *words, "--results", str(folder)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `coloured`")]
    assert lines == [
        "| `coloured` | PyTorch | 4 | 1 | 2 of 2 runs | 2 (2) |",
        "| `coloured` | PyTorch | 0 | 0 | 1 of 2 runs | 3 (1) |",
    ]


def test_misclassified_images_have_the_names_of_the_classes(
    words: list[str],
    network: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = digits()
    named = type(dataset)("photos@0123456789ab", dataset.train, dataset.test, tuple("abcdefghij"))
    monkeypatch.setattr(misclassified, "load", lambda *_, **__: named)
    add_run(tmp_path, entry=entry_of(network), dataset=named.name, errors={13: 2, 7: 12})
    assert bench.main(["misclassified", "--models", network, "--results", str(tmp_path), *words]) == 0
    printed = capsys.readouterr().out
    assert "| 13 | d | 1 of 1 runs | c (1) |" in printed
    assert "| 7 | h | 1 of 1 runs | 12 (1) |" in printed
