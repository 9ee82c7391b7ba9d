"""Numbers of the backends' arithmetic: which rows are of code that computes the same today."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run, add_traces

from backends import superseded
from backends.pytorch.numerics import CHANGES as PYTORCH
from backends.superseded import main, recorded_number, superseded_traces, with_number
from backends.tensorflow.numerics import CHANGES as TENSORFLOW
from common.analysis import frames, pooling
from common.model.optimizer import SGD, Adam
from common.model.spec import BatchNorm, Conv, Dense, Flatten, GlobalAvgPool, ModelSpec
from common.model.zoo import ZOO
from common.tables import store
from common.tables.schema import TABLES_OF_A_RUN
from common.training.numerics import Change, every_run, layers, number

DENSE = ModelSpec("dense", (Flatten(), Dense(10)))
NARROW = ModelSpec("narrow", (Conv(15, 3), BatchNorm(), Conv(10, 1), GlobalAvgPool()))
WIDE = ModelSpec("wide", (Conv(16, 3), BatchNorm(), Conv(10, 1), GlobalAvgPool()))


def test_the_number_is_that_of_the_last_change_that_affects_a_network() -> None:
    changes = (Change("a", "", every_run), Change("b", "", layers(Dense)), Change("c", "", layers(BatchNorm)))
    assert number(changes, DENSE, SGD()) == 2
    assert number(changes, WIDE, SGD()) == 3
    assert number(changes[1:], WIDE, SGD()) == 2
    assert number(changes[1:2], WIDE, SGD()) == 0


def test_changes_of_tensorflow_affect_the_networks_they_alter() -> None:
    assert number(TENSORFLOW, DENSE, Adam()) > number(TENSORFLOW, DENSE, SGD())
    assert number(TENSORFLOW, NARROW, SGD()) > number(TENSORFLOW, WIDE, SGD())


@pytest.mark.parametrize("commit, expected", [("old", 1), ("new", 3)])
def test_a_row_without_a_number_has_that_of_its_commit(commit: str, expected: int) -> None:
    changes = (Change("a", "", every_run), Change("b", "", layers(BatchNorm)), Change("c", "", layers(Dense)))
    history = {"old": {"a"}, "new": {"a", "b", "c"}}
    row = {"numerics": "", "model": "tf-model-1", "commit": commit}
    assert (
        recorded_number(row, changes, contains=lambda made_by, change: change in history[made_by]) == expected
    )
    assert recorded_number(row | {"numerics": "2"}, changes) == 2


def test_a_row_of_a_network_that_left_the_zoo_is_superseded() -> None:
    row = {"numerics": "", "model": "no-such-network", "framework": "pytorch", "commit": "", "model_file": ""}
    assert with_number(row) == (row, True)
    own = row | {"model_file": "net.py@0123456789ab"}
    assert with_number(own) == (own, False)


def test_superseded_runs_leave_the_tables_with_their_epochs_and_errors(tmp_path: Path) -> None:
    entry = ZOO["tf-model-1"]
    current = number(PYTORCH, entry.spec, entry.recipe.optimizer)
    for seed, numerics in ((1, current - 1), (2, current), (3, current)):
        add_run(tmp_path, seed=seed, numerics=numerics, errors={7: 1})
    before = {name: store.rows(tmp_path, name) for name in TABLES_OF_A_RUN}
    gone = before["results.csv"][0]["run"]
    assert main(["--results", str(tmp_path)]) == 0
    assert {name: store.rows(tmp_path, name) for name in before} == before
    assert main(["--results", str(tmp_path), "--models", "speedrun", "--remove"]) == 0
    assert {name: store.rows(tmp_path, name) for name in before} == before
    assert main(["--results", str(tmp_path), "--remove"]) == 0
    for name, rows in before.items():
        assert store.rows(tmp_path, name) == [row for row in rows if row["run"] != gone]


def test_traces_of_a_session_leave_together(tmp_path: Path) -> None:
    """TensorFlow computes BatchNorm of few channels in another way since; PyTorch's rows leave with its."""
    history = {"old": {PYTORCH[0].commit, TENSORFLOW[0].commit}, "new": set()}
    history["new"] = {change.commit for change in (*PYTORCH, *TENSORFLOW)}
    rows = [
        {"sitting": commit, "model": model, "framework": framework, "commit": commit}
        for commit in history
        for model in ("under-5k", "under-8k", "a-network-of-a-user")
        for framework in ("pytorch", "tensorflow")
    ]
    found = superseded_traces(rows, contains=lambda made_by, change: change in history[made_by])
    assert found == {("old", "under-5k")}


def test_superseded_traces_leave_the_table(tmp_path: Path) -> None:
    """A commit that git does not know has none of the changes; the dense kernel after Flatten is one."""
    for model in ("tf-model-1", "a-network-of-a-user"):
        add_traces(tmp_path, lambda *arm: [2.3], model=model)
    before = store.rows(tmp_path, "traces.csv")
    assert main(["--results", str(tmp_path), "--models", "speedrun", "--remove"]) == 0
    assert store.rows(tmp_path, "traces.csv") == before
    assert main(["--results", str(tmp_path), "--remove"]) == 0
    assert {row["model"] for row in store.rows(tmp_path, "traces.csv")} == {"a-network-of-a-user"}


def test_a_clone_without_the_history_removes_no_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_traces(tmp_path, lambda *arm: [2.3])
    before = store.rows(tmp_path, "traces.csv")
    monkeypatch.setattr("backends.superseded._git", lambda *words: 128)
    superseded.contains.cache_clear()
    assert main(["--results", str(tmp_path), "--remove"]) == 2
    superseded.contains.cache_clear()
    assert "`git fetch --unshallow`" in capsys.readouterr().err
    assert store.rows(tmp_path, "traces.csv") == before


def test_runs_of_different_arithmetic_are_not_pooled(tmp_path: Path) -> None:
    for seed, numerics in ((1, 1), (2, 2), (3, 2)):
        add_run(tmp_path, seed=seed, numerics=numerics)
    groups = pooling.groups(frames.read(tmp_path).runs)
    assert sorted(len(group.runs) for group in groups) == [1, 2]


def test_frameworks_of_different_numbers_are_compared(tmp_path: Path) -> None:
    for framework, numerics in (("pytorch", 1), ("tensorflow", 3)):
        add_run(tmp_path, framework=framework, numerics=numerics)
    first, second = pooling.groups(frames.read(tmp_path).runs)
    assert len(pooling.paired(first, second)[0]) == 1
