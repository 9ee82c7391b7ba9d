"""Checkpoints on the command line: what is saved, resumed and refused."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.recorder import Recorder, RecorderBackend

from common.analysis.frames import read
from common.cli import main as command
from common.data.datasets import Dataset
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store
from common.training import checkpoint

Main = Callable[..., int]


class Unbuildable(RecorderBackend):
    """A framework that must not be reached."""

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        raise AssertionError("bad input must be refused before the framework is set up")


def saved(path: Path, **about: object) -> Path:
    """A whole checkpoint of tf-model-1 after one epoch of seed 1, with `about` changed in its metadata."""
    entry = ZOO["tf-model-1"]
    shapes = checkpoint.state_shapes(entry.spec, entry.recipe.optimizer)
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    settings = {"seed": 1, "batch_size": 128, "lr": 0.001, "precision": "float32", "native": []}
    described = {"model": "tf-model-1", "epoch": 1, "dataset": "mnist", "validation": 0, **settings}
    state["optimizer.step"] = np.array(468)
    described |= about
    checkpoint.write(path, state, {name: value for name, value in described.items() if value != "missing"})
    return path


BAD_METADATA: dict[str, tuple[dict[str, object], str]] = {
    "no epoch": ({"epoch": "missing"}, "has no epoch in its metadata"),
    "epoch in words": ({"epoch": "one"}, 'has epoch "one" in its metadata, not a whole number'),
    "half an epoch": ({"epoch": 1.5}, "has epoch 1.5 in its metadata"),
    "a true epoch": ({"epoch": True}, "has epoch true in its metadata"),
    "seed too large": ({"seed": 2**32}, "has seed 4294967296 in its metadata"),
    "rate in words": ({"lr": "fast"}, "not a number above 0"),
    "no batch": ({"batch_size": 0}, "has batch_size 0 in its metadata"),
    "all held out": ({"validation": 60_000}, "has validation 60000 in its metadata"),
    "changes that are no list": ({"vary": "epochs=2"}, "not a list of changes"),
    "changes that are no text": ({"vary": [1]}, "not a list of changes"),
    "unknown part": ({"native": ["padding"]}, 'has native ["padding"] in its metadata'),
    "unknown precision": ({"precision": "float16"}, "not one of float32, bfloat16, float64"),
    "unknown loader": ({"loader": 5}, "has loader 5 in its metadata"),
    "unknown data": ({"dataset": ["mnist"]}, "not one of mnist, fashion-mnist"),
    "compiled in words": ({"compile": "no"}, "not true or false"),
    "recipe in words": ({"recipe": "Adam"}, "not an object"),
    "another recipe": (
        {"recipe": {"lr": 0.001, "optimizer": {"kind": "SGD"}}},
        "was trained with another recipe: ",
    ),
    "a recipe of fields that are gone": (
        {"recipe": {"weight_decay": 0.1}},
        "weight_decay 0.1",
    ),
    "a model that is no name": ({"model": 3}, "holds the network 3"),
}


@pytest.mark.parametrize("about, message", BAD_METADATA.values(), ids=BAD_METADATA)
def test_metadata_that_no_run_has_is_one_line(
    about: dict[str, object],
    message: str,
    main: Main,
    mnist: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = saved(tmp_path / "model", **about)
    assert main("--model", "tf-model-1", "--resume", str(path)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_workers_are_not_for_a_resumed_run_from_memory(main: Main, tmp_path: Path) -> None:
    path = saved(tmp_path / "model")
    words = ["--model", "tf-model-1", "--resume", str(path), "--epochs", "2"]
    assert main(*words, "--num-workers", "2") == 2


def test_bad_files_are_one_line_and_nothing_is_written(
    tmp_path: Path, mnist: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = saved(tmp_path / "whole.safetensors")
    other = saved(tmp_path / "other.safetensors", model="nextjournal")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-1000])
    head = tmp_path / "head.safetensors"
    head.write_bytes(whole.read_bytes()[:5])
    pickled = tmp_path / "model.pt"
    pickled.write_bytes(pickle.dumps({"model": "tf-model-1"}))
    foreign = tmp_path / "foreign.safetensors"
    save_file({"dense1.weight": np.zeros((128, 784), np.float32)}, foreign)
    bare = tmp_path / "bare.safetensors"
    checkpoint.write(bare, {"dense1.weight": np.zeros((128, 784), np.float32)}, {"model": "tf-model-1"})
    square = tmp_path / "square.safetensors"
    shapes = ZOO["tf-model-1"].spec.weights
    checkpoint.write(square, {name: np.zeros((2, 2), np.float32) for name in shapes}, {"model": "tf-model-1"})
    blocked = tmp_path / "file"
    blocked.touch()
    cases = {
        ("--checkpoint", tmp_path / "none"): "none: No such file",
        ("--checkpoint", other): "holds the network nextjournal, not tf-model-1: use --model nextjournal.",
        ("--checkpoint", cut): "cut.safetensors is not a whole safetensors file",
        ("--checkpoint", head): "head.safetensors is not a whole safetensors file",
        ("--checkpoint", pickled): "model.pt is not a whole safetensors file",
        ("--checkpoint", foreign): "foreign.safetensors has no metadata of this project",
        ("--checkpoint", bare): "bare.safetensors has no dense1.bias, which tf-model-1 needs.",
        ("--checkpoint", square): "has dense1.weight as (2, 2), not (128, 784).",
        ("--checkpoint", tmp_path): "Cannot read the checkpoint",
        ("--resume", other): "holds the network nextjournal, not tf-model-1",
        ("--resume", cut): "cut.safetensors is not a whole safetensors file",
        ("--resume", bare): "bare.safetensors has no dense1.bias",
        ("--resume", whole, "--epochs", "1"): "has 1 epochs done: --epochs must be above that, not 1.",
        ("--resume", whole, "--seed", "2"): "was trained with --seed 1; it cannot be resumed with 2.",
        (
            "--resume",
            whole,
            "--batch-size",
            "64",
        ): "was trained with --batch-size 128; it cannot be resumed with 64.",
        ("--data-dir", blocked): f"The data folder {blocked / 'mnist'} cannot be used",
        (
            "--results",
            blocked / "results",
        ): f"Cannot write results to {blocked / 'results'}: ",
        ("--save-model", blocked / "a"): f"Cannot write the checkpoint {blocked / 'a'}:",
        ("--save-model", tmp_path): f"Cannot write the checkpoint {tmp_path}: it is a folder",
        ("--save-model", Path(".")): "it is a folder",
        ("--save-model", Path(os.devnull)): "it is a device",
    }
    before = sorted(tmp_path.rglob("*"))
    for words, message in cases.items():
        results_words = (
            [] if "--results" in words or "--save-model" in words else ["--results", str(tmp_path / "new")]
        )
        command_words = ["--model", "tf-model-1", *results_words, *map(str, words)]
        if "--save-model" in words:
            command_words += ["--results", str(tmp_path / "kept")]
        invocation = command.parse_arguments("tensorflow", command_words)
        with pytest.raises(SystemExit) as exit_:
            command.main(Unbuildable, invocation)
        error = capsys.readouterr().err
        assert exit_.value.code == 2, words
        assert message in error, words
        assert error.count("\n") == 1, error
    assert [path for path in sorted(tmp_path.rglob("*")) if "kept" not in path.parts] == before


def test_resume_takes_the_network_of_the_checkpoint(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "model")
    assert main("--resume", str(path), "--epochs", "2") == 0
    assert list(read(tmp_path / "results").runs["model"]) == ["tf-model-1"]
    assert main("--resume", str(path), "--epochs", "2", "--model", "pytorch-model-1") == 2
    assert "holds the network tf-model-1, not pytorch-model-1" in capsys.readouterr().err


def test_a_resumed_run_has_the_settings_of_its_checkpoint(main: Main, tmp_path: Path) -> None:
    path = saved(tmp_path / "half.safetensors", seed=9, lr=0.25, batch_size=256)
    model = Recorder()
    assert main("--model", "tf-model-1", "--resume", str(path), "--epochs", "3", model=model) == 0
    tables = read(tmp_path / "results")
    (run,) = tables.runs.to_dict("records")
    assert (run["seed"], run["lr"], run["batch_size"], run["epochs"]) == (9, 0.25, 256, 3)
    assert list(tables.epochs["epoch"]) == [2, 3]
    assert np.isnan(run["train_seconds"]), "the seconds of its first epoch are unknown"
    assert {len(call[2][0]) for call in model.calls} == {256}


def recipe_hashes(folder: Path) -> list[str]:
    """The digests of the runs in `folder`, in the order in which they ran."""
    return [row["recipe_hash"] for row in store.rows(folder, "results.csv")]


@pytest.mark.slow
def test_a_resumed_run_keeps_what_it_started_from_and_its_schedules(main: Main, tmp_path: Path) -> None:
    """In one process or several parts: the same digest for the same run, and another for another."""

    class Whole(Recorder):
        def state_dict(self) -> dict[str, np.ndarray]:
            return checkpoint.read(Path(start)).state

    def run(*words: str) -> None:
        assert main("--model", "tf-model-1", *words, model=Whole()) == 0

    start, half, rest = (str(tmp_path / name) for name in ("start", "half", "rest"))
    cycle = ("--vary", "schedule=OneCycle(momentum=None)")
    own = recipe_hash(ZOO["tf-model-1"].spec, ZOO["tf-model-1"].recipe)
    folder = tmp_path / "results"
    saved(Path(start))
    run("--checkpoint", start, "--epochs", "1", "--save-model", half)
    run("--resume", half, "--save-model", rest, "--epochs", "2")
    run("--resume", rest)
    run("--checkpoint", start)
    *_, resumed, straight = recipe_hashes(folder)
    assert resumed == straight != own

    run(*cycle, "epochs=2")
    run(*cycle, "--epochs", "2", "--save-model", half)
    run("--resume", half, "--epochs", "3", "--save-model", rest)
    run("--resume", rest)
    run(*cycle)
    run("--resume", half, "--epochs", "12")
    run(*cycle, "--epochs", "12")
    short, begun, _, resumed, straight, stretched, long = recipe_hashes(folder)[4:]
    assert short != begun
    assert resumed == straight
    assert stretched != long


def test_the_command_that_an_interrupted_run_prints_continues_it(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the settings that no checkpoint has. A run from the start names the file that it replaces."""

    class Whole(Recorder):
        def state_dict(self) -> dict[str, np.ndarray]:
            return checkpoint.read(start).state

    start, file = saved(tmp_path / "start"), tmp_path / "a model.safetensors"
    last_epoch = tmp_path / "a model.last-epoch.safetensors"
    words = ("--model", "tf-model-1", "--epochs", "3", "--batch-size", "6000", "--vary", "averaged_epochs=2")
    words += ("--test-batch-size", "500", "--threads", "3", "--save-model", str(file))
    for first in (True, False):
        assert main(*words, model=Whole(interrupt_at=25)) == 130
        printed = capsys.readouterr().out
        assert (f"{last_epoch} is of an interrupted run" in printed) is not first
    command = shlex.split(printed.splitlines()[-1].partition("run: ")[2])
    assert command[:3] == ["python", sys.argv[0], "--resume"]
    assert checkpoint.read(last_epoch).metadata["epoch"] == 1
    assert main(*command[2:], results=False, model=Whole()) == 0
    assert "interrupted" not in capsys.readouterr().out
    runs = read(tmp_path / "results").runs
    assert list(runs["status"]) == ["interrupted", "interrupted", "ok"]
    assert set(runs["epochs"]) == {3}
    assert set(runs["threads"]) == {3}
    assert len(set(runs["recipe_hash"])) == 1
    assert (file.exists(), last_epoch.exists()) == (True, False)


def test_a_file_of_the_last_epoch_that_cannot_be_written_is_refused_before_training(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.last-epoch").mkdir()
    (tmp_path / "other.last-epoch").symlink_to(tmp_path / "results" / "epochs.csv")
    for name in ("model", "other"):
        model = Recorder()
        try:
            status = main("--model", "tf-model-1", "--save-model", str(tmp_path / name), model=model)
        except SystemExit as exit_:  # by the command line's own checks
            status = int(exit_.code or 0)
        assert (status, model.calls) == (2, [])
        error = capsys.readouterr().err
        assert f"{name}.last-epoch" in error
        assert error.count("\n") == 1


def test_the_last_epoch_of_a_run_with_averaged_ones_is_resumed_with_all_of_those(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"epochs": 4}
    path = saved(tmp_path / "model", epoch=2, vary=["averaged_epochs=2"], recipe=recipe)
    assert main("--resume", str(path), "--epochs", "3") == 2
    assert "--epochs must be at least 4, not 3." in capsys.readouterr().err
    path = saved(tmp_path / "model", epoch=3, vary=["averaged_epochs=2"], recipe=recipe)
    assert main("--resume", str(path), "--epochs", "8") == 2
    assert "averaged_epochs=2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"recipe": {"optimizer": {"kind": "SGD"}, "epochs": 8}}, "another recipe"),
        ({"network": {"name": "tf-model-1", "init": "fan-in-uniform"}}, "another network"),
        ({"vary": ["averaged=3"]}, "averaged_epochs=3"),
        ({"parts": [{"epochs": 1}]}, "parts"),
        ({"parts": [1]}, "parts"),
        ({"parts": 1}, "parts"),
        ({"parts": [{"epochs": "1", "schedule_epochs": 8, "framework": "pytorch"}]}, "parts"),
    ],
    ids=str,
)
def test_what_cannot_be_continued_is_refused(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], about: dict[str, object], words: str
) -> None:
    path = saved(tmp_path / "half", **about)
    assert main("--model", "tf-model-1", "--resume", str(path)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_saved_model_has_its_metadata(main: Main, tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.safetensors"
    assert main("--model", "tf-model-1", "--epochs", "1", "--seed", "2", "--save-model", str(path)) == 0
    about = checkpoint.read(path).metadata
    recipe = json.loads(json.dumps(replace(ZOO["tf-model-1"].recipe, epochs=1).to_dict()))
    assert (about["model"], about["framework"], about["epoch"]) == ("tf-model-1", "pytorch", 1)
    assert (about["seed"], about["recipe"]) == (2, recipe)
