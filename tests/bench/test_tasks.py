"""Which tasks are missing, in which order they run, and how long they are expected to take."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from support.tables import add_run

from common.bench.reason import error_line
from common.bench.requested_data import Data
from common.bench.tasks import Task, failed_row, missing, seconds_left, tasks_of
from common.frameworks import PAIR
from common.model.own_network import entry_of
from common.model.recipe import recipe_hash
from common.tables import store


def add(folder: Path, task: Task, **columns: object) -> None:
    """Append a row as a run of the zoo's own recipe would leave it."""
    add_run(folder, framework=task.framework, entry=entry_of(task.model), seed=task.seed, **columns)


@pytest.mark.parametrize(
    "printed, reason",
    [
        (
            "Traceback:\n  x\nModuleNotFoundError: No module named 'keras'\nmnist: read from",
            "ModuleNotFoundError: No",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory.\nTried 2 GiB\n", "torch.OutOfMemoryError: CUDA"),
        ("pytorch.py: Cannot write results to x.\nepoch 1\n", "pytorch.py: Cannot write results to x."),
        ("one\nthe last line\n\n", "the last line"),
        ("", "no output"),
    ],
)
def test_the_reason_is_the_line_of_the_error(printed: str, reason: str) -> None:
    assert error_line(printed).startswith(reason)


def test_seeds_come_first_and_frameworks_alternate_who_begins() -> None:
    a, b = "under-5k", "tf-model-1"
    order = tasks_of([a, b], ["pytorch", "tensorflow"], [1, 2])
    assert [(task.model, task.framework, task.seed) for task in order] == [
        *((a, "pytorch", 1), (a, "tensorflow", 1), (b, "pytorch", 1), (b, "tensorflow", 1)),
        *((a, "tensorflow", 2), (a, "pytorch", 2), (b, "tensorflow", 2), (b, "pytorch", 2)),
    ]


@pytest.mark.parametrize(
    "columns, counts",
    [
        ({}, True),
        ({"status": "diverged"}, True),
        ({"status": "interrupted"}, False),
        ({"status": "failed"}, False),
        ({"native": "init"}, False),
        ({"precision": "float64"}, False),
        ({"loader": "native"}, False),
        ({"dataset": "fashion-mnist"}, False),
        ({"dataset": "mnist-validation-10000"}, False),
        ({"recipe_hash": "0" * 12}, False),
        ({"device": "cuda (H200)"}, False),
    ],
    ids=str,
)
def test_only_a_finished_run_of_the_recipe_completes_a_task(
    tmp_path: Path, columns: dict[str, object], counts: bool
) -> None:
    task, other = Task("tf-model-1", "pytorch", 2), Task("tf-model-1", "pytorch", 3)
    add(tmp_path, task, **columns)
    todo = missing([task, other], store.rows(tmp_path, "results.csv"))
    assert todo == ([other] if counts else [task, other])


def test_rows_of_older_arithmetic_complete_no_task_where_newer_ones_exist(tmp_path: Path) -> None:
    tasks = tasks_of(["tf-model-1", "nextjournal"], PAIR, [1, 2])
    for task in tasks:
        add(tmp_path, task)
        add(tmp_path, task, numerics=1)
    assert missing(tasks, store.rows(tmp_path, "results.csv")) == []
    newer = Task("nextjournal", "tensorflow", 2)
    add(tmp_path, newer, numerics=2)
    assert missing(tasks, store.rows(tmp_path, "results.csv")) == [Task("nextjournal", "tensorflow", 1)]


def test_rows_of_another_machine_with_newer_arithmetic_count(tmp_path: Path) -> None:
    task = Task("tf-model-1", "pytorch", 1)
    add(tmp_path, task, numerics=1, machine="here")
    here = {"machine": "here"}
    assert missing([task], store.rows(tmp_path, "results.csv"), where=here) == []
    add(tmp_path, task, numerics=2, machine="there")
    assert missing([task], store.rows(tmp_path, "results.csv"), where=here) == [task]


def test_a_resumed_run_is_no_measure_of_the_time(tmp_path: Path) -> None:
    task = Task("tf-model-1", "pytorch", 1)
    add(tmp_path, task, total_seconds=80.0)
    add(tmp_path, task, total_seconds=1.0, train_seconds=None)
    assert seconds_left([task], store.rows(tmp_path, "results.csv")) == pytest.approx(80)


def test_a_changed_recipe_is_a_different_task(tmp_path: Path) -> None:
    tasks = tasks_of(
        ["tf-model-1"], ["pytorch"], [1], overrides=[["lr=0.5", "epochs=2"], []], validation=10000
    )
    changed, plain = tasks
    assert str(changed) == "tf-model-1 pytorch seed 1 lr=0.5 epochs=2"
    command = changed.command(tmp_path)
    assert command[command.index("--validation") :] == [
        *("--validation", "10000", "--lr", "0.5", "--vary", "epochs=2")
    ]
    changed_hash = recipe_hash(changed.entry.spec, changed.entry.recipe)
    add(tmp_path, plain)  # on the test set
    assert missing(tasks, store.rows(tmp_path, "results.csv")) == tasks
    add(tmp_path, plain, dataset="mnist-validation-10000")
    assert missing(tasks, store.rows(tmp_path, "results.csv")) == [changed]
    add(tmp_path, changed, dataset="mnist-validation-10000", recipe_hash=changed_hash)
    assert missing(tasks, store.rows(tmp_path, "results.csv")) == []


NETWORK = """
from common.model import Adam, Dense, Flatten, ModelSpec, Recipe

NETWORK = ModelSpec("mine", (Flatten(), Dense(10)))
RECIPE = Recipe(Adam(), lr=0.001, batch_size=100, epochs=1)
"""


def test_a_file_is_run_once_and_found_from_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "net.py"
    file.write_text(f"{NETWORK}\nopen({str(tmp_path / 'runs')!r}, 'a').write('x')\n")
    monkeypatch.chdir(tmp_path)
    for address in ("net.py", "net.py:mine"):
        (task,) = tasks_of([address], ["pytorch"], [1])
        assert task.name == "mine"
        assert str(tmp_path / address) in task.command(tmp_path)
    assert (tmp_path / "runs").read_text() == "x"


def test_a_network_of_a_file_is_a_task(tmp_path: Path) -> None:
    """Once, whatever the file is called; its rows are told from another version's by the recipe."""
    file, copy, edited = (tmp_path / f"{name}.py" for name in ("net", "copy", "edited"))
    file.write_text(NETWORK)
    copy.write_text(f"{NETWORK}# a remark")
    edited.write_text(NETWORK.replace("epochs=1", "epochs=2"))
    (task,) = tasks_of([str(file)], ["pytorch"], [1])
    assert str(task) == "mine pytorch seed 1"
    failed = failed_row(task, "no memory", machine_name="here")
    assert (failed.model, failed.model_file) == ("mine", task.entry.file)
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301
    command = task.command(tmp_path)
    assert command[command.index("--model") + 1] == str(file)
    assert missing([task], store.rows(tmp_path, "results.csv")) == [task]
    add(tmp_path, task)
    rows = store.rows(tmp_path, "results.csv")
    assert rows[0]["model"] == "mine"
    named = [str(file), f"{file}:NETWORK", f"{file}:mine", str(copy), str(edited), "tf-model-1"]
    others = tasks_of(named, ["pytorch"], [1])
    assert [task.model for task in others] == [str(file), str(edited), "tf-model-1"]
    assert missing(others, rows) == others[1:]
    assert seconds_left(others[1:2], rows) == pytest.approx(2 * float(rows[0]["total_seconds"]))


def test_another_data_set_is_a_different_task(tmp_path: Path) -> None:
    """Also where training images are held out."""
    data = Data("photos@0123456789ab", "/data/photos")
    tasks = [
        *tasks_of(["tf-model-1"], ["pytorch"], [1]),
        *tasks_of(["tf-model-1"], ["pytorch"], [1], data=data),
        *tasks_of(["tf-model-1"], ["pytorch"], [1], data=data, validation=100),
    ]
    assert [task.dataset for task in tasks] == ["mnist", data.name, f"{data.name}-validation-100"]
    assert ["--dataset" in task.command(tmp_path) for task in tasks] == [False, True, True]
    assert data.address in tasks[1].command(tmp_path)
    for count, task in enumerate(tasks, start=1):
        add(tmp_path, task, dataset=task.dataset)
        assert missing(tasks, store.rows(tmp_path, "results.csv")) == tasks[count:]


def test_expected_seconds_are_those_of_the_runs_most_like_the_task(tmp_path: Path) -> None:
    add(tmp_path, Task("tf-model-1", "pytorch", 1), total_seconds=10.0)
    add(tmp_path, Task("tf-model-1", "pytorch", 2), total_seconds=20.0)
    add(tmp_path, Task("nextjournal", "tensorflow", 1), total_seconds=100.0)
    rows = store.rows(tmp_path, "results.csv")
    todo = [Task("tf-model-1", "pytorch", 3), Task("nextjournal", "pytorch", 1)]
    assert seconds_left(todo[:1], rows) == pytest.approx(15)
    assert seconds_left(todo, rows) == pytest.approx(115)
    assert seconds_left(todo, []) is None
