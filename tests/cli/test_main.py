"""The command line: what a run writes, modes, exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.recorder import Recorder, RecorderBackend

from common.analysis import pooling
from common.analysis.frames import read
from common.bench import mistakes
from common.cli import main as command
from common.data.datasets import Dataset, load
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store
from common.training import mistaken
from common.training.backend import Unavailable

Main = Callable[..., int]


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


def test_old_header_stops_a_run_before_it_starts(main: Main, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "results.csv").write_text("framework,model,accuracy\n")
    model = Recorder()
    assert main("--model", "tf-model-1", model=model) == 2
    assert model.calls == []
    with pytest.raises(store.ResultsError, match="column 3 is accuracy, and batch_size is expected"):
        store.rows(folder, "results.csv")
