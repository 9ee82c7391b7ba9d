"""--model FILE.py: the row, what does not fit, and a run that is continued."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.recorder import Recorder, RecorderBackend

from common.cli import arguments
from common.cli import main as command
from common.data.datasets import Dataset
from common.frameworks import ROOT
from common.model import own_network
from common.tables import store
from common.training import checkpoint
from common.training.backend import Backend

NETWORK = """from common.model import Adam, Dense, Flatten, ModelSpec, Recipe
NETWORK = ModelSpec("mine", (Flatten(), Dense(10)))
RECIPE = Recipe(Adam(), lr=1e-3, batch_size=500, epochs=2)
"""
Main = Callable[..., int]


class Unbuildable(RecorderBackend):
    """A framework that must not be reached."""

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        raise AssertionError("bad input must be refused before the framework is set up")


@pytest.fixture
def main(mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run the command line, on a model that learns nothing, in a folder with net.py; its exit status."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK)

    def call(*words: str, model: Recorder | None = None, backend: type[Backend] = RecorderBackend) -> int:
        monkeypatch.setattr(RecorderBackend, "model", model or Recorder())
        with pytest.raises(SystemExit) as exit_:
            command.main(backend, command.parse_arguments("pytorch", [*words, "--results", "results"]))
        assert isinstance(exit_.value.code, int)
        return exit_.value.code

    return call


def test_the_row_has_the_networks_name_and_its_files_digest(
    main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--model", "net.py", "--epochs", "1") == 0
    (row,) = store.rows(Path("results"), "results.csv")
    name, _, digest = row["model_file"].partition("@")
    assert (row["model"], name, len(digest), row["parameters"]) == ("mine", "net.py", 12, "7850")
    assert "mine in PyTorch, seed 1" in capsys.readouterr().out
    assert main("--model", "tf-model-1", "--epochs", "0") == 0
    assert store.rows(Path("results"), "results.csv")[1]["model_file"] == ""


UNFIT = {
    "too few outputs": (
        NETWORK.replace("Dense(10)", "Dense(7)"),
        "7 outputs, fewer than the 10 classes of mnist",
    ),
    "another input": (
        NETWORK.replace("Dense(10))", "Dense(10)), (3, 32, 32)"),
        "images of shape (3, 32, 32); those of mnist have (1, 28, 28)",
    ),
    "no images": (
        NETWORK.replace("Dense(10))", "Dense(10)), (784,)"),
        "shape (784,); those of mnist have (1, 28",
    ),
}


@pytest.mark.parametrize("text, message", UNFIT.values(), ids=UNFIT)
def test_a_network_that_does_not_fit_the_data_is_one_line_and_nothing_is_written(
    text: str, message: str, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("unfit.py").write_text(text)
    assert main("--model", "unfit.py", backend=Unbuildable) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("results").exists()


def test_a_faulty_file_is_one_line_and_nothing_is_written(
    main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("faulty.py").write_text(NETWORK + "1 / 0\n")
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments("pytorch", ["--model", "faulty.py"])
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert error == "pytorch.py: argument --model: faulty.py, line 4: ZeroDivisionError: division by zero.\n"
    assert not Path("results").exists()


def test_no_reason_is_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse has no place for the message of a ValueError or a TypeError."""

    def raises(text: str) -> None:
        raise ValueError("a class of a kind of its own.")

    monkeypatch.setattr(arguments, "entry_of", raises)
    with pytest.raises(SystemExit):
        command.parse_arguments("pytorch", ["--model", "net.py"])
    error = capsys.readouterr().err
    assert error == "pytorch.py: argument --model: net.py: ValueError: a class of a kind of its own.\n"


@pytest.mark.parametrize("line", ["sys.exit(3)", "os._exit(3)", "exit()"])
def test_a_file_that_ends_the_process_is_one_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(f"import os, sys\n{line}\n")
    command = [sys.executable, str(ROOT / "pytorch.py"), "--model", "ends.py", "--results", "results"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("pytorch.py: argument --model: ends.py, line 2: it ends the process (")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["ends.py"]


class Saved(Recorder):
    """Has the state of the network in net.py, so that its run can be continued."""

    def state_dict(self) -> dict[str, np.ndarray]:
        entry = own_network.load("net.py")
        shapes = checkpoint.state_shapes(entry.spec, entry.recipe.optimizer)
        state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return state | {"optimizer.step": np.array(self.steps)}


def test_a_run_is_continued_with_the_file_named_again(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "net.py:NETWORK", "--save-model", "saved", "--epochs", "2"]
    assert main(*words, model=Saved(interrupt_at=130)) == 130
    assert "--model net.py:NETWORK" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments("pytorch", ["--resume", "saved.last-epoch"])
    assert exit_.value.code == 2
    assert "with --model net.py:mine" in capsys.readouterr().err
    words = ["--resume", "saved.last-epoch", "--model", "net.py", "--epochs", "2"]
    Path("net.py").write_text(NETWORK + "# a remark\n")
    own_network._NETWORKS.clear()
    assert main(*words, model=Saved()) == 0
    interrupted, finished = store.rows(Path("results"), "results.csv")
    assert (interrupted["status"], finished["status"]) == ("interrupted", "ok")
    assert interrupted["recipe_hash"] == finished["recipe_hash"]
    assert interrupted["model_file"] != finished["model_file"]
