"""The command line: refusals, what a run writes, exit statuses."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.recorder import Recorder, RecorderBackend

from common.analysis import pooling
from common.analysis.frames import read
from common.bench import mistakes
from common.cli import main as command
from common.cli.arguments import parser
from common.cli.requested_job import requested_job
from common.data.datasets import Dataset, load
from common.frameworks import FRAMEWORKS
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store
from common.training import checkpoint, mistaken
from common.training.backend import Unavailable

REFUSED = {
    "unknown model": (["--model", "resnet"], "resnet is not in the zoo; "),
    "no batch": (["--batch-size", "0"], "0 is not a whole number of at least 1 and at most 60,000."),
    "too large a batch": (["--batch-size", "60001"], "60001 is not a whole number of at least 1 and at most"),
    "half a batch": (["--batch-size", "1.5"], "1.5 is not a whole number of at least 1"),
    "no test batch": (["--test-batch-size", "0"], "0 is not a whole number of at least 1"),
    "negative epochs": (["--epochs", "-1"], "-1 is not a whole number of at least 0 "),
    "epochs in words": (["--epochs", "two"], "two is not a whole number of at least 0 and at most 100,000."),
    "rate not a number": (["--lr", "nan"], "nan is not a number above 0."),
    "infinite rate": (["--lr", "inf"], "inf is not a number above 0."),
    "no rate": (["--lr", "0"], "0 is not a number above 0."),
    "negative seed": (["--seed", "-3"], "-3 is not a whole number of at least 0 and at most 4,294,967,295."),
    "no seeds": (["--seeds", "0"], "0 is not a whole number of at least 1 "),
    "no threads": (["--threads", "0"], "0 is not a whole number of at least 1 "),
    "seed above 32 bits": (["--seed", "4294967296"], "4294967296 is not a whole number of at least 0 and at"),
    "seed of 400 digits": (["--seed", "9" * 400], f"{'9' * 60}... is not a whole number of at least 0"),
    "seed of 5,000 digits": (["--seed", "9" * 5000], f"{'9' * 60}... is not a whole number of at least 0"),
    "epochs of 400 digits": (["--epochs", "9" * 400], f"{'9' * 60}... is not a whole number of at least 0"),
    "interval of 400 digits": (["--log-interval", "9" * 400], "... is not a whole number of at least 1"),
    "a line break": (["--epochs", "1\n\x1b[2J2"], "1??[2J2 is not a whole number"),
    "a last seed above 32 bits": (
        ["--seed", "4294967295", "--seeds", "2"],
        "would be 4,294,967,296; a seed is",
    ),
    "threads by the billion": (["--threads", "99999999999"], "99999999999 is not a whole number of at least"),
    "workers by the billion": (
        ["--loader", "native", "--num-workers", "1000000000"],
        "is not a whole number",
    ),
    "epochs by the billion": (["--epochs", "1000000000000"], "1000000000000 is not a whole number of at"),
    "more steps than a schedule holds": (
        ["--epochs", "100000", "--batch-size", "1", "--model", "tf-model-1"],
        "100,000 epochs of batches of 1 are 6,000,000,000 steps; at most 100,000,000 are.",
    ),
    "a batch of one, normalised": (
        ["--model", "speedrun", "--batch-size", "1"],
        "--batch-size 1: speedrun normalises each channel over a batch",
    ),
    "unknown data set": (
        ["--dataset", "cifar"],
        "cifar is not a data set; choose from mnist, fashion-mnist, FOLDER, FILE.npz.",
    ),
    "unknown precision": (["--precision", "float16"], "float16 is not a precision; did you mean bfloat16?"),
    "unknown native part": (
        ["--native", "padding"],
        "padding is not a part; choose from init, norm, ",
    ),
    "unknown loader": (["--loader", "disk"], "disk is not a loader; "),
    "native loader that cannot augment": (
        ["--loader", "native", "--model", "under-5k"],
        "the recipe of under-5k augments them.",
    ),
    "native loader that cannot moment-normalise": (
        ["--loader", "native", "--vary", "moments=Moments"],
        " moment-normalises them.",
    ),
    "workers of the loader from memory": (
        ["--num-workers", "2"],
        "--pin-memory are options of --loader native.",
    ),
    "negative workers": (
        ["--loader", "native", "--num-workers", "-1"],
        "-1 is not a whole number of at least",
    ),
    "all images held out": (
        ["--validation", "60000"],
        "60000 is not a whole number of at least 0 and at most 59,999",
    ),
    "batch larger than what is left": (
        ["--validation", "59000", "--batch-size", "1001"],
        "--batch-size 1001 is more than the 1,000 training images that are left.",
    ),
    "two starts": (["--resume", "a", "--checkpoint", "b"], "--resume and --checkpoint exclude each other"),
    "one file for two runs": (["--seeds", "2", "--save-model", "a"], "--seeds 2 makes several runs"),
    "perturbed checkpoint": (
        ["--perturb", "ulp", "--checkpoint", "a"],
        "not with --checkpoint, --resume, --nat",
    ),
    "perturbed native start": (
        ["--perturb", "ulp", "--native", "all"],
        "not with --checkpoint, --resume, --nat",
    ),
    "rate by another way": (["--vary", "lr=1"], "--vary lr=1: use --lr"),
    "no change": (["--vary", "schedule=OneCycle", "x"], "FIELD=VALUE"),
    "trace of two epochs": (
        ["--trace", "losses.json", "--epochs", "2"],
        "--trace accepts --epochs 1, or no --epochs for 100 steps; not 2.",
    ),
    "trace into no folder": (
        ["--trace", "no/where.json"],
        "no/where.json cannot be written: there is no folder no",
    ),
    "trace into a folder": (["--trace", "docs"], "docs cannot be written: it is a folder."),
    "profile into a folder": (["--profile", "."], " cannot be written: it is a folder."),
    "defaults into a folder": (["--defaults", "docs"], "docs cannot be written: it is a folder."),
    "trace onto a table": (
        ["--trace", "results/epochs.csv", "--model", "best"],
        "epochs.csv is a file of the tables",
    ),
    "mistakes without training": (
        ["--mistakes", "a.json", "--epochs", "0"],
        "--mistakes trains: --epochs must be at least 1, not 0.",
    ),
    "mistakes of another recipe": (
        ["--mistakes", "a.json", "--vary", "tta_shift=1"],
        "--vary is not for --mistakes, which accepts",
    ),
    "mistakes onto a table": (["--mistakes", "results/mistakes.csv"], "is a file of the tables"),
    "trace into nothing": (["--trace", ""], "an empty text is no path."),
    "checkpoint onto a table": (
        ["--save-model", "docs/../results/results.csv"],
        "is a file of the tables",
    ),
    "checkpoint without a name": (["--save-model", ""], "an empty text is no path."),
    "nothing to save": (["--epochs", "0", "--save-model", "a"], "--epochs 0 only tests"),
    "misspelt model": (["--model", "nextjurnal"], "did you mean nextjournal?"),
    "data set without a name": (["--dataset", ""], "an empty text is no path."),
    "misspelt data set": (["--dataset", "fashion_mnist"], "did you mean fashion-mnist?"),
    "two modes": (["--profile", "--trace", "a"], "argument --trace: not allowed with argument --profile"),
    "a number twice": (["--epochs", "2", "--seed", "1", "--epochs", "2"], "--epochs is given twice."),
    "a default twice": (["--seeds", "1", "--seeds", "3"], "--seeds is given twice."),
    "a path twice": (["--results", "a", "--results=b"], "--results is given twice."),
    "a field twice": (["--vary", "epochs=2", "--vary", "epochs=3"], "--vary changes epochs 2 times"),
    "two other modes": (["--defaults", "--serve", "a"], "argument --serve: not allowed with argument --defa"),
    "list and trace": (["--list", "--trace", "a"], "argument --trace: not allowed with argument --list"),
    "seeds of a trace": (
        ["--trace", "a", "--seeds", "3"],
        "--seeds is not for --trace, which accepts",
    ),
    "epochs of a profile": (["--profile", "--epochs", "3"], "--profile accepts --epochs 1"),
    "seeds of a profile": (
        ["--profile", "--seeds", "3", "--resume", "a"],
        "--resume, --seeds are not for --profile",
    ),
    "model of all defaults": (["--defaults", "--model", "mlp-tuned"], "--model is not for --defaults"),
    "dry run of a server": (
        ["--serve", "a", "--dry-run"],
        "--dry-run is not for --serve",
    ),
    "list of one": (["--list", "--model", "best"], "--model is not for --list, which accepts no other"),
    "unknown flag": (["--gamma", "0.7"], "unrecognized arguments: --gamma 0.7"),
}


@pytest.mark.parametrize("words, message", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_bad_flags_are_one_line_and_exit_status_2(
    framework: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments(framework, words)
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith(FRAMEWORKS[framework].script + ": ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


Main = Callable[..., int]


@pytest.fixture
def main(mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run the command line on a model that learns nothing; its exit status. Rows go to `results`."""

    def call(*words: str, model: Recorder | None = None, results: bool = True) -> int:
        monkeypatch.setattr(RecorderBackend, "model", model or Recorder())
        folder = ["--results", str(tmp_path / "results")] if results else []
        invocation = command.parse_arguments("pytorch", [*folder, *words])
        with pytest.raises(SystemExit) as exit_:
            command.main(RecorderBackend, invocation)
        assert isinstance(exit_.value.code, int)
        return exit_.value.code

    return call


class Unbuildable(RecorderBackend):
    """A framework that must not be reached."""

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        raise AssertionError("bad input must be refused before the framework is set up")


def test_an_unavailable_option_is_one_line(
    mnist: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Without(RecorderBackend):
        def build(self, *_: object, **__: object) -> Recorder:
            raise Unavailable("--compile needs a C++ compiler.")

    invocation = command.parse_arguments("pytorch", ["--compile", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as exit_:
        command.main(Without, invocation)
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "pytorch.py: --compile needs a C++ compiler.\n"
    assert not store.rows(tmp_path, "results.csv")


def test_options_are_in_the_row(main: Main, tmp_path: Path) -> None:
    assert main("--compile", "--precision", "bfloat16", "--epochs", "1") == 0
    assert main("--loader", "native", "--num-workers", "2", "--pin-memory", "--epochs", "0") == 0
    rows = store.rows(tmp_path / "results", "results.csv")
    assert [(row["precision"], row["loader"]) for row in rows] == [
        ("bfloat16+compile", "memory"),
        ("float32", "native(num_workers=2 pin_memory=True)"),
    ]
    assert len(pooling.groups(read(tmp_path / "results").runs)) == 2


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


def test_a_run_is_a_row_with_its_epochs_and_errors(main: Main, mnist: Dataset, tmp_path: Path) -> None:
    assert main("--model", "tf-model-1", "--epochs", "2", "--seed", "5") == 0
    tables = read(tmp_path / "results")
    (run,) = tables.runs.to_dict("records")
    nines = int((mnist.test.labels == 9).sum())
    entry = ZOO["tf-model-1"]
    expected = {
        **{"framework": "pytorch", "model": "tf-model-1", "batch_size": 128, "epochs": 2, "seed": 5},
        **{"accuracy": nines / 100, "train_accuracy": 50.0, "train_loss": 1.0, "parameters": 101_770},
        **{"dataset": "mnist", "optimizer": "Adam()", "schedule": "Constant()", "lr": 0.001},
        **{"augment": "none", "native": "none", "loader": "memory", "precision": "float32", "device": "cpu"},
        **{"world_size": 1, "status": "ok", "framework_version": "0"},
        "recipe_hash": recipe_hash(entry.spec, replace(entry.recipe, epochs=2)),
    }
    assert {name: run[name] for name in expected} == expected
    assert 0 < run["first_step_seconds"] < run["train_seconds"] < run["total_seconds"]
    images = 2 * 468 * 128
    assert run["images_per_second"] == pytest.approx(
        (images - 128) / (run["train_seconds"] - run["first_step_seconds"]), rel=1e-4
    )
    assert list(tables.epochs["epoch"]) == [0, 1, 2]
    assert np.isnan(tables.epochs["train_loss"][0])
    assert set(tables.epochs["run"]) == set(tables.errors["run"]) == {run["run"]}
    wrong = np.flatnonzero(mnist.test.labels != 9)
    assert list(tables.errors["index"]) == list(wrong)
    assert set(tables.errors["predicted"]) == {9}


def test_seeds_are_runs_of_their_own(main: Main, tmp_path: Path) -> None:
    assert main("--model", "nextjournal", "--epochs", "1", "--seed", "3", "--seeds", "2") == 0
    runs = read(tmp_path / "results").runs
    assert list(runs["seed"]) == [3, 4]
    assert len(set(runs["run"])) == 2


def test_several_seeds_name_each_and_end_with_their_mean(
    main: Main, capsys: pytest.CaptureFixture[str], mnist: Dataset
) -> None:
    assert main("--model", "nextjournal", "--epochs", "1", "--seed", "3", "--seeds", "2") == 0
    *lines, last = capsys.readouterr().out.splitlines()
    of_runs = [line for line in lines if "epoch" in line or "Run " in line]
    assert {line.split(":")[0] for line in of_runs} == {"seed 3", "seed 4"}
    accuracy = float((mnist.test.labels == 9).mean() * 100)
    assert last.startswith(f"2 of 2 seeds: mean accuracy {accuracy:.3f} %, standard deviation 0.000")


def test_resume_takes_the_network_of_the_checkpoint(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "model")
    assert main("--resume", str(path), "--epochs", "2") == 0
    assert list(read(tmp_path / "results").runs["model"]) == ["tf-model-1"]
    assert main("--resume", str(path), "--epochs", "2", "--model", "pytorch-model-1") == 2
    assert "holds the network tf-model-1, not pytorch-model-1" in capsys.readouterr().err


def test_recipe_is_the_zoos_unless_flags_change_it(main: Main, tmp_path: Path) -> None:
    model = Recorder()
    assert (
        main("--model", "under-8k", "--epochs", "1", "--lr", "0.5", "--batch-size", "600", model=model) == 0
    )
    (run,) = read(tmp_path / "results").runs.to_dict("records")
    assert (run["lr"], run["batch_size"], run["schedule"]) == (0.5, 600, "OneCycle()")
    rates = np.concatenate([call[3] for call in model.calls])
    assert rates[0] == pytest.approx(0.5 / 25)
    assert len(rates) == 100
    entry = ZOO["under-8k"]
    changed = replace(entry.recipe, epochs=1, lr=0.5, batch_size=600)
    plain = recipe_hash(entry.spec, entry.recipe), recipe_hash(entry.spec, changed)
    assert run["recipe_hash"] not in plain, "its schedule is the beginning of a longer one"


def test_validation_reports_on_held_out_training_images(main: Main, mnist: Dataset, tmp_path: Path) -> None:
    model = Recorder()
    words = ["--model", "tf-model-1", "--epochs", "1", "--validation", "10000", "--native", "all"]
    assert main(*words, model=model) == 0
    (run,) = read(tmp_path / "results").runs.to_dict("records")
    assert run["dataset"] == "mnist-validation-10000"
    assert run["native"] == "init+norm+optimizer"
    assert run["accuracy"] == pytest.approx(float((mnist.train.labels[-10_000:] == 9).mean() * 100))
    assert len(model.calls[0][1]) == 50_000


def test_dry_run_is_one_batch_and_writes_nothing(main: Main, tmp_path: Path) -> None:
    model = Recorder()
    path = tmp_path / "model.safetensors"
    assert main("--dry-run", "--batch-size", "48", "--save-model", str(path), model=model) == 0
    assert [call[2].shape for call in model.calls] == [(1, 48)]
    assert list(tmp_path.iterdir()) == []


def test_divergence_is_recorded_and_exits_1(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "tf-model-1", "--epochs", "3", "--save-model", str(tmp_path / "a")]
    assert main(*words, model=Recorder({468 + 301: np.nan})) == 1
    assert "The loss is nan at step 301 of epoch 2: training diverged." in capsys.readouterr().out
    tables = read(tmp_path / "results")
    (run,) = tables.runs.to_dict("records")
    assert run["status"] == "diverged"
    measured = ["accuracy", "loss", "train_accuracy", "train_loss", "train_seconds", "images_per_second"]
    assert all(np.isnan(run[name]) for name in measured)
    assert list(tables.epochs["epoch"]) == [0, 1]
    assert tables.errors.empty
    assert not (tmp_path / "a").exists()


def test_a_run_at_chance_or_with_an_absurd_loss_is_ok_with_a_reason(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Learned(Recorder):
        """Right about nine images of ten."""

        def predict(self, images: np.ndarray) -> np.ndarray:
            right = np.eye(10)[self.answers[self.tested : self.tested + len(images)]]
            self.tested = (self.tested + len(images)) % len(self.answers)
            return 9.0 * right

    answers = np.array(load("mnist").test.labels)
    answers[::10] = (answers[::10] + 1) % 10
    Learned.answers, Learned.tested = answers, 0  # type: ignore[attr-defined]
    words = ("--model", "tf-model-1", "--epochs", "1")
    assert main(*words) == 0
    assert main(*words, model=Learned({7: 1e9})) == 0
    assert main(*words, model=Learned()) == 0
    assert main("--model", "tf-model-1", "--epochs", "0") == 0
    chance, absurd, sound, untrained = store.rows(tmp_path / "results", "results.csv")
    assert {row["status"] for row in (chance, absurd, sound, untrained)} == {"ok"}
    assert f"{float(chance['accuracy']):.2f} %" in chance["reason"]
    assert "training loss" in absurd["reason"]
    assert "accuracy" not in absurd["reason"]
    assert (sound["reason"], untrained["reason"]) == ("", "")
    printed = capsys.readouterr().out.splitlines()
    warnings = [line for line in printed if line.startswith("Warning: ")]
    assert warnings == [f"Warning: {row['reason']}" for row in (chance, absurd)]


def test_ctrl_c_is_recorded_and_exits_130(main: Main, tmp_path: Path) -> None:
    words = ["--model", "tf-model-1", "--seeds", "3"]
    assert main(*words, model=Recorder(interrupt_at=700)) == 130
    (run,) = read(tmp_path / "results").runs.to_dict("records")
    assert (run["status"], run["seed"]) == ("interrupted", 1)
    assert np.isnan(run["accuracy"])


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


def test_mistakes_are_printed_and_written_as_the_bench_reads_them(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"status": "ok", "accuracy": 12.5, "loss": None, "difference": None, "floor": 1e-6}
    ended = [mistaken.Outcome(mistake=name, **facts) for name in ("none", "loss-sum")]
    monkeypatch.setattr(command.mistaken, "outcomes", lambda *_: ended)
    file = tmp_path / "mistakes.json"
    assert main("--model", "tf-model-1", "--mistakes", str(file), results=False) == 0
    assert "loss-sum" in capsys.readouterr().out
    process = mistakes.Process("pytorch", "tf-model-1", 4)
    rows = list(mistakes.rows(process, json.loads(file.read_text()), "2026-01-02T03:04:05Z"))
    assert [(row.mistake, row.seed) for row in rows] == [("none", 4), ("loss-sum", 4)]
    assert {row.accuracy for row in rows} == {12.5}
    entry = ZOO["tf-model-1"]
    assert {row.recipe_hash for row in rows} == {recipe_hash(entry.spec, entry.recipe)}
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("mode", ["--trace", "--defaults"])
def test_a_file_that_cannot_be_written_is_one_line(
    main: Main, mode: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "read_defaults", lambda _: {"Adam": "lr=0.001"})
    monkeypatch.setattr(RecorderBackend, "defaults", type("Probe", (), {"versions": "0"})(), raising=False)
    assert main(mode, "/dev/full", results=False) == 2
    error = capsys.readouterr().err
    assert "/dev/full cannot be written: No space left on device" in error
    assert error.count("\n") == 1


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("results", "data-dir", "save-model", "checkpoint", "resume", "trace", "profile", "serve"):
        parsed = parser("pytorch").parse_args([f"--{name}=~/there"])
        assert getattr(parsed, name.replace("-", "_")) == tmp_path / "there", name
    assert parser("pytorch").parse_args(["--results=~nobody-of-that-name/x"]).results.name == "x"


def test_repeated_lists_add_up() -> None:
    words = ["--vary", "label_smoothing=0.9", "--vary", "averaged_epochs=1"]
    words += ["--native", "init", "--native", "norm", "init"]
    invocation = command.parse_arguments("pytorch", words)
    assert invocation.vary == ("label_smoothing=0.9", "averaged_epochs=1")
    assert invocation.native == ("init", "norm")
    recipe = requested_job(invocation).recipe
    assert (recipe.label_smoothing, recipe.averaged_epochs) == (0.9, 1)


def test_list_shows_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments("pytorch", ["--list"])
    listed = capsys.readouterr().out
    assert exit_.value.code == 0
    for entry in ZOO.values():
        facts = [
            f"{entry.name}: {entry.spec.parameters:,} parameters",
            f"{entry.spec.multiply_adds:,} multiply-adds",
        ]
        facts += [f"accuracy {entry.accuracy}", entry.source, entry.claim, entry.assumed]
        assert all(fact in listed for fact in facts), entry.name


def test_defaults_are_the_documented_ones() -> None:
    default = command.parse_arguments("tensorflow", [])
    promised = {"model": "tf-model-1", "test_batch_size": 1000, "log_interval": 100, "loader": None}
    assert {name: getattr(default, name) for name in promised} == promised
    assert default.mode is None
    assert command.parse_arguments("pytorch", []).model == "pytorch-model-1"


@pytest.mark.parametrize("mode", [("--trace", "losses.json"), ("--profile",), ("--dry-run",)], ids=str)
def test_only_a_run_is_recorded(mode: tuple[str, ...]) -> None:
    assert requested_job(command.parse_arguments("pytorch", [])).results == Path("results")
    assert requested_job(command.parse_arguments("pytorch", list(mode))).results is None


def test_an_invocation_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        command.parse_arguments("pytorch", []).seed = 3  # type: ignore[misc]


def test_help_has_its_flags_in_groups() -> None:
    text = parser("pytorch").format_help()
    titles = re.findall(r"^([\w ]+):$", text, re.MULTILINE)
    assert titles == ["options", "data", "network", "run", "output", "modes"]
    options = text[text.index("\noptions:") : text.index("\ndata:")]
    assert re.findall(r"--[a-z-]+", options) == ["--help"], "every other flag is in a named group"


def test_old_header_stops_a_run_before_it_starts(main: Main, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "results.csv").write_text("framework,model,accuracy\n")
    model = Recorder()
    assert main("--model", "tf-model-1", model=model) == 2
    assert model.calls == []
    with pytest.raises(store.ResultsError, match="found:    framework,model,accuracy"):
        store.rows(folder, "results.csv")
