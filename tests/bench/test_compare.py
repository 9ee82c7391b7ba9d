"""`bench compare`: what it runs, in which order and with how many threads, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from support.own_data import TEST, images, write_npz, write_pictures
from support.tables import add_run

from common.bench import __main__ as bench
from common.bench import probe, tasks
from common.bench.lock import locked
from common.bench.tasks import Interrupted, Outcome, Task
from common.frameworks import PAIR, ROOT
from common.model.own_network import entry_of
from common.model.recipe import recipe_hash
from common.tables import cores, machine, store

CORES = 4
NETWORK = """
from common.model import Adam, Dense, Entry, Flatten, ModelSpec, Recipe

RECIPE = Recipe(Adam(), lr=0.001, batch_size=100, epochs=1)
tiny = Entry(ModelSpec("tiny", (Flatten(), Dense(10))), RECIPE)
wide = Entry(ModelSpec("wide", (Flatten(), Dense(8), Dense(10))), RECIPE)
"""


class Runs:
    """Stands in for the runs of tasks: each leaves a row, and is kept with its threads and workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[tuple[Task, int]] = []
        self.probed: list[Task] = []
        self.interrupt_at = 0
        self.others = 0

    def run_task(self, task: Task, *, threads: int, log: Path | None, **_: object) -> Outcome:
        self.ran.append((task, threads))
        folder = self.folder / str(len(self.ran))
        self._add(folder, task, threads, at_once=self.others + (1.0 if log else 2.0))
        tables = store.complete_tables(folder)
        outcome = Outcome(status=0, tables=tables, last_lines="", machine="here", seconds=2.0)
        if len(self.ran) == self.interrupt_at:
            raise Interrupted([outcome])
        return outcome

    def _add(self, folder: Path, task: Task, threads: int, at_once: float) -> None:
        place = {"machine": "here", "threads": threads, "at_once": at_once, "load_before": 0.1}
        columns = {"seed": task.seed, "dataset": task.dataset, "run": store.new_run(), **place}
        add_run(folder, framework=task.framework, entry=task.entry, accuracy=90 + task.seed / 100, **columns)

    def seconds_of(self, todo: Sequence[Task], **_: object) -> list[float]:
        self.probed += todo
        return [30.0] * len(todo)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The runs of a machine with CORES cores."""
    result = Runs(tmp_path / "ran")
    monkeypatch.setattr(tasks, "run_task", result.run_task)
    monkeypatch.setattr(probe, "seconds_of", result.seconds_of)
    monkeypatch.setattr(machine, "name", lambda: "here")
    for module in ("common.bench.plan", "common.tables.cores"):
        monkeypatch.setattr(f"{module}.cores", lambda: CORES)
    assert cores.cores() == CORES
    return result


@pytest.fixture
def network(tmp_path: Path) -> str:
    file = tmp_path / "net.py"
    file.write_text(NETWORK)
    return f"{file}:tiny"


def compare(network: str, folder: Path, *words: str) -> int:
    return bench.main(["compare", network, "--seeds", "3", "--results", str(folder), *words])


def test_a_file_reaches_a_verdict_and_runs_nothing_twice(
    runs: Runs, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pair of the first seed runs last and alone, on all cores."""
    folder = tmp_path / "results"
    html = folder / "page.html"  # the folder is made by the first run
    assert compare(network, folder, "--html", str(html)) == 0
    seeds = [(task.seed, threads) for task, threads in runs.ran]
    assert sorted(seeds[:4]) == [(2, 1), (2, 1), (3, 1), (3, 1)]
    assert seeds[4:] == [(1, CORES), (1, CORES)]
    assert {task.framework for task in runs.probed} == set(PAIR)
    printed = capsys.readouterr().out
    # 4 runs of 30 s on 4 cores, and 2 one after the other.
    assert "6 runs of tiny; 4 to run for the accuracy, 4 at once" in printed
    assert "About 0:01:30." in printed
    assert printed.index("About") < printed.index("seed 2")
    assert "Accuracy: equivalent" in printed
    assert "one pair of runs, no interval" in printed
    with Image.open(folder / "tiny-mnist.png") as image:
        assert image.format == "PNG"
    assert "<table id=runs>" in html.read_text()
    assert {path.name for path in folder.iterdir()} >= {"results.csv", "epochs.csv", "tiny-mnist.png"}

    assert compare(network, folder) == 0
    assert len(runs.ran) == 6
    assert "6 runs of tiny, all in the tables already." in capsys.readouterr().out


def test_more_seeds_run_without_a_second_pair(
    runs: Runs, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How long they take is known by the rows."""
    assert compare(network, tmp_path) == 0
    runs.probed.clear()
    capsys.readouterr()
    assert bench.main(["compare", network, "--seeds", "4", "--results", str(tmp_path)]) == 0
    assert [(task.seed, threads) for task, threads in runs.ran[6:]] == [(4, 1), (4, 1)]
    assert runs.probed == []
    assert "2 to run for the accuracy" in capsys.readouterr().out


def test_another_network_recipe_or_data_set_runs_anew(runs: Runs, network: str, tmp_path: Path) -> None:
    assert compare(network, tmp_path) == 0
    assert compare(network.replace(":tiny", ":wide"), tmp_path) == 0
    assert compare(network, tmp_path, "--dataset", "fashion-mnist") == 0
    assert len(runs.ran) == 18
    assert (tmp_path / "tiny-fashion-mnist.png").exists()
    edited = tmp_path / "edited.py"
    edited.write_text(NETWORK.replace("lr=0.001", "lr=0.002"))
    assert compare(f"{edited}:tiny", tmp_path) == 0
    assert len(runs.ran) == 24
    edited.write_text(NETWORK + "# a remark changes nothing that is trained\n")
    copied = tmp_path / "copied.py"
    copied.write_text(edited.read_text())
    assert compare(f"{copied}:tiny", tmp_path) == 0
    assert len(runs.ran) == 24


COLOURED = """
from common.model import Adam, Dense, Flatten, ModelSpec, Recipe

NETWORK = ModelSpec("coloured", (Flatten(), Dense(5)), input_shape=(3, 20, 24))
RECIPE = Recipe(Adam(), lr=0.001, batch_size=10, epochs=1)
"""


def test_data_of_a_user_are_named_with_their_digest(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So other pixels are another data set, and their runs are not pooled."""
    file, folder = tmp_path / "coloured.py", tmp_path / "results"
    file.write_text(COLOURED)
    words = ["--dataset", str(write_npz(tmp_path / "photos.npz")), "--data-dir", str(tmp_path / "cache")]
    assert compare(str(file), folder, *words) == 0
    (name,) = {row["dataset"] for row in store.rows(folder, "results.csv")}
    assert re.fullmatch(r"photos@[0-9a-f]{12}", name)
    assert {task.data.address for task, _ in runs.ran} == {str(tmp_path / "photos.npz")}
    assert (folder / f"coloured-{name.replace('@', '-')}.png").exists()
    assert f"{name} has 15 test images, so one of them is 6.7 points" in capsys.readouterr().out
    assert compare(str(file), folder, *words) == 0
    assert len(runs.ran) == 6
    write_npz(tmp_path / "photos.npz", x_test=images(each=TEST, seed=2)[0])
    assert compare(str(file), folder, *words) == 0
    assert len(runs.ran) == 12


def test_a_network_that_does_not_fit_the_data_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With both shapes, and nothing is written, here and by `bench run`."""
    file, folder = tmp_path / "coloured.py", tmp_path / "results"
    file.write_text(COLOURED)
    data = ["--dataset", str(write_npz(tmp_path / "photos.npz")), "--data-dir", str(tmp_path / "cache")]
    for words in (
        ["compare", str(file)],
        ["compare", "tf-model-1", *data],
        ["--models", "tf-model-1", *data],
    ):
        with pytest.raises(SystemExit) as ended:
            bench.main([*words, "--results", str(folder)])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert all(sides in error for sides in ("28", "20", "24"))
        assert error.count("\n") == 1
    assert not folder.exists()


def test_a_pair_that_shared_its_machine_is_repeated(
    runs: Runs, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.others = 1
    assert compare(network, tmp_path) == 0
    assert "had the machine to itself" in capsys.readouterr().out
    runs.others = 0
    assert compare(network, tmp_path) == 0
    assert [task.seed for task, _ in runs.ran[6:]] == [1, 1]
    assert "trains" in capsys.readouterr().out


@pytest.mark.parametrize("name, value", [("bench.plan.cores", 1), ("tables.machine.name", "another")])
def test_times_of_other_cores_or_another_machine_are_measured_again(
    runs: Runs, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    assert compare(network, tmp_path) == 0
    monkeypatch.setattr(f"common.{name}", lambda: value)
    assert compare(network, tmp_path) == 0
    assert [task.seed for task, _ in runs.ran[6:]] == [1, 1]


def test_times_of_an_accelerator_stand_in_for_none_of_the_cpu(
    runs: Runs, network: str, tmp_path: Path
) -> None:
    assert compare(network, tmp_path) == 0
    place = {"machine": "here", "threads": CORES, "at_once": 1.0, "load_before": 0.1, "device": "cuda a GPU"}
    for framework in PAIR:
        add_run(
            tmp_path, framework=framework, entry=entry_of(network), started="2026-02-01T00:00:00Z", **place
        )
    assert compare(network, tmp_path) == 0
    assert [task.seed for task, _ in runs.ran[6:]] == [1, 1]


def test_an_interrupted_comparison_goes_on(
    runs: Runs, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.interrupt_at = 3
    assert compare(network, tmp_path, "--workers", "1") == 130
    assert "run it again to continue" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))
    runs.interrupt_at = 0
    assert compare(network, tmp_path, "--workers", "1") == 0
    rows = store.rows(tmp_path, "results.csv")
    assert len(rows) == 6


def test_a_folder_that_cannot_be_used_is_refused_before_the_first_step(
    runs: Runs, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with locked(tmp_path):
        assert compare(network, tmp_path) == 2
    assert "another bench" in capsys.readouterr().err
    assert compare(network, tmp_path / "file") == 2
    assert f"results to {tmp_path / 'file'}: " in capsys.readouterr().err
    data = ["--dataset", str(write_npz(tmp_path / "photos.npz")), "--data-dir", str(tmp_path / "cache")]
    assert compare(network, tmp_path / "file" / "new" / "results", *data) == 2
    error = capsys.readouterr().err
    assert f"results to {tmp_path / 'file' / 'new' / 'results'}: Not a directory." in error
    assert error.count("\n") == 1
    assert not (tmp_path / "cache").exists()  # not even the data were read
    assert runs.probed == []
    assert runs.ran == []


def test_with_one_worker_every_run_has_all_cores(runs: Runs, network: str, tmp_path: Path) -> None:
    assert compare(network, tmp_path, "--workers", "1") == 0
    assert {threads for _, threads in runs.ran} == {CORES}


def test_a_network_that_cannot_be_trained_in_a_framework_is_one_line(
    runs: Runs,
    network: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object, **__: object) -> list[float]:
        raise store.ResultsError("tf.py: there is no such layer.")

    monkeypatch.setattr(probe, "seconds_of", fails)
    assert compare(network, tmp_path / "results") == 2
    assert capsys.readouterr().err == "bench: tf.py: there is no such layer.\n"
    assert runs.ran == []
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "words, sentence",
    [
        ([], "the following arguments are required: MODEL"),
        (["none.py"], "none.py does not exist."),
        (["tf-model-2"], "did you mean tf-model-1?"),
        (["tf-model-1", "--html", "no/page.html"], "there is no folder no"),
        (["tf-model-1", "--dataset", "fashion"], "fashion is not"),
        (["tf-model-1", "--workers", "0"], "0 is not a whole number"),
    ],
    ids=str,
)
def test_bad_input_writes_nothing(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    with pytest.raises(SystemExit) as ended:
        bench.main(["compare", *words, "--results", str(folder)])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not folder.exists()


def test_a_recipe_without_an_epoch_is_not_compared(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NETWORK.replace("epochs=1", "epochs=0"))
    with pytest.raises(SystemExit) as ended:
        compare(network, tmp_path / "results", "--dry-run")
    assert ended.value.code == 2
    assert "epochs=0" in capsys.readouterr().err


def test_a_dry_run_prints_the_runs(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results"
    assert compare("tf-model-1", folder, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "tf-model-1 pytorch seed 1",
        "tf-model-1 tensorflow seed 1",
    ]
    assert not folder.exists()


@pytest.mark.slow
def test_a_file_is_compared_from_a_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In both frameworks, with two seeds: one after the other for the times, one at once."""
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probe, "seconds_of", lambda *_, **__: [4.0, 6.0])
    assert bench.main(["compare", "net.py:tiny", "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "over 2 pairs of runs with one seed" in printed
    rows = store.rows(tmp_path / "runs", "results.csv")
    assert sorted((row["seed"], row["framework"]) for row in rows) == [
        (str(seed), framework) for seed in (1, 2) for framework in sorted(PAIR)
    ]
    assert {row["recipe_hash"] for row in rows} == {
        recipe_hash(entry_of("net.py:tiny").spec, entry_of("net.py:tiny").recipe)
    }
    assert all(float(row["accuracy"]) > 80 for row in rows)
    assert (tmp_path / "runs" / "tiny-mnist.png").stat().st_size < 150_000
    assert not (ROOT / "runs" / "tiny-mnist.png").exists()


@pytest.mark.slow
def test_it_is_a_command_in_any_folder_with_the_project_on_the_path(tmp_path: Path) -> None:
    """As docs/own-network.md has it: a file with a network and a folder of pictures."""
    (tmp_path / "coloured.py").write_text(COLOURED)
    write_pictures(tmp_path / "photos")
    before = sorted(tmp_path.rglob("*"))
    words = ["coloured.py", "--dataset", "photos", "--data-dir", str(tmp_path / "cache"), "--dry-run"]
    ended = subprocess.run(
        [sys.executable, "-m", "common.bench", "compare", *words],
        **{"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}},
        **{"capture_output": True, "text": True, "check": True, "timeout": 300},
    )
    assert sum(line.startswith("coloured ") for line in ended.stdout.splitlines()) == 2 * 10
    shutil.rmtree(tmp_path / "cache")
    assert sorted(tmp_path.rglob("*")) == before
