"""Sessions of measurements: which processes they start, in which order, and the rows they append."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from support.tables import add_run, add_variants, digits

from common.analysis import aa as analysis_aa
from common.analysis import rounding
from common.bench import __main__ as bench
from common.bench import aa, measure, speed
from common.bench.arguments import UsageError
from common.bench.requested_data import MNIST
from common.bench.tasks import Task
from common.cli.profile import ROUNDS, summarise
from common.frameworks import FRAMEWORKS, PAIR
from common.model.zoo import ZOO
from common.tables import store
from common.tables.store import ResultsError


def test_seconds_until_a_line() -> None:
    program = "import time; print('no'); print('yes, now', flush=True); time.sleep(60)"
    assert 0 < speed.seconds_until([sys.executable, "-c", program], "yes") < 30


def test_the_time_left_is_that_of_work_of_the_same_kind() -> None:
    todo = ["best", "speedrun"]
    assert measure.time_left(todo, {}) == ""
    assert measure.time_left(todo, {"best": [10.0, 20.0]}) == ", about 0:00:30 left"
    assert measure.time_left(todo, {"best": [10.0, 20.0], "speedrun": [4.0]}) == ", about 0:00:19 left"


def test_a_process_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    session = measure.Session(folder=tmp_path, data_dir=None, models=["x"], frameworks=["pytorch"])
    with pytest.raises(ResultsError, match=r"failed: pytorch\.py: .* x is not in the zoo"):
        list(speed.profiles(session))
    with pytest.raises(ResultsError, match="ended without a line that begins with 'never'"):
        speed.seconds_until([sys.executable, "-c", "print('other')"], "never")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Command lines that would have been run; each leaves a row whose seconds are its place, from 1."""
    seen: list[list[str]] = []

    def run(command: list[str]) -> None:
        seen.append(command)
        if "--profile" in command:
            figure = {"measure": "step", "arm": "epoch", "unit": "ms", **summarise([2.5])}
            written = {"device": "cpu", "threads": 1, "framework_version": "9", "measurements": [figure]}
            Path(command[command.index("--profile") + 1]).write_text(json.dumps(written))
        else:
            folder = Path(command[command.index("--results") + 1])
            framework = {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[Path(command[1]).name]
            seconds = {"train_seconds": float(len(seen)), "total_seconds": 50.0, "cpu_seconds": 9.0}
            seconds |= {"import_seconds": 2.0}
            add_run(folder, framework=framework, **seconds)

    monkeypatch.setattr(measure, "run_script", run)
    return seen


def test_the_row_of_a_run_that_fails_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(command: list[str]) -> None:
        add_run(Path(command[command.index("--results") + 1]), status="diverged")
        raise store.ResultsError("it failed")

    monkeypatch.setattr(measure, "run_script", diverge)
    session = measure.Session(folder=tmp_path, data_dir=None, models=["tf-model-1"], frameworks=PAIR)
    with pytest.raises(store.ResultsError):
        measure.train(session, "pytorch", "tf-model-1")
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["diverged"]


def test_arms_take_turns_and_seeds_are_the_same(trained: list[list[str]], tmp_path: Path) -> None:
    session = measure.Session(
        folder=tmp_path, data_dir=None, models=["tf-model-1"], frameworks=["tensorflow"]
    )
    made = list(speed.native_loaders(session))
    arms = [command[command.index("--loader") + 1] for command in trained]
    assert arms == ["memory", "native", "native", "memory"] * (ROUNDS // 2) + ["memory", "native"]
    seeds = [command[command.index("--seed") + 1] for command in trained]
    assert seeds == [str(seed) for seed in range(1, 6) for _ in arms[:2]]
    by_arm = {row.arm: row for row in made if row.measure == "idiom train_seconds"}
    assert (by_arm["memory"].value, by_arm["native"].value) == (5.0, 6.0)
    assert (by_arm["memory"].low, by_arm["memory"].high, by_arm["memory"].rounds) == (1.0, 9.0, 5)


def test_race_interleaves_frameworks_and_networks(trained: list[list[str]], tmp_path: Path) -> None:
    session = measure.Session(
        folder=tmp_path, data_dir=None, models=speed.RACE, frameworks=["pytorch", "tensorflow"]
    )
    made = list(speed.time_to_accuracy(session))
    assert len(trained) == 4 * speed.RACE_SEEDS
    names = [Path(command[1]).name for command in trained[:8]]
    assert names == [*["pytorch.py"] * 2, *["tf.py"] * 4, *["pytorch.py"] * 2]
    assert {row.rounds for row in made} == {speed.RACE_SEEDS}


def test_a_session_is_appended_and_printed(
    trained: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["speed", "profiles", "--models", "tf-model-1", "--frameworks", "pytorch"]
    assert bench.main([*words, "--results", str(tmp_path)]) == 0
    (row,) = store.rows(tmp_path, "speed.csv")
    assert (row["measure"], row["value"], row["threads"], row["framework_version"]) == (
        "step",
        "2.5",
        "1",
        "9",
    )
    assert row["sitting"]
    assert "### Steps over a bare loop" in capsys.readouterr().out
    words = ["speed", "overhead", "profiles", "--models", "tf-model-1", "--frameworks", "pytorch"]
    assert bench.main([*words, "--results", str(tmp_path)]) == 0
    assert len(trained) == 2  # steps over a bare loop are a part of profiles
    assert bench.main([words[0], *words[1:2], *words[3:], "--results", str(tmp_path)]) == 0
    assert trained[2][-4:-1] == ["--epochs", "1", "--profile"]


def test_every_round_has_both_arms_of_both_frameworks(
    trained: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With one seed a round; the runs leave no rows but those of the session, which are printed as a
    table."""
    monkeypatch.setattr(aa, "load", lambda *_, **__: digits())
    assert bench.main(["aa", "--models", "tf-model-1", "--results", str(tmp_path)]) == 0
    frameworks = [Path(command[1]).name for command in trained]
    pytorch, tensorflow = (FRAMEWORKS[name].script for name in PAIR)
    assert frameworks[:8] == [
        *(pytorch, tensorflow, tensorflow, pytorch),
        *(tensorflow, pytorch, pytorch, tensorflow),
    ]
    seeds = [command[command.index("--seed") + 1] for command in trained]
    assert seeds == [str(seed) for seed in range(1, ROUNDS + 1) for _ in range(4)]
    made = store.rows(tmp_path, "speed.csv")
    seconds = [row for row in made if row["measure"] == "again train_seconds"]
    assert len(seconds) == len(trained)
    assert [(row["framework"], row["arm"], row["value"]) for row in seconds[:6]] == [
        ("pytorch", "A 1", "1"),
        ("tensorflow", "A 1", "2"),
        ("tensorflow", "B 1", "3"),
        ("pytorch", "B 1", "4"),
        ("tensorflow", "B 2", "5"),
        ("pytorch", "B 2", "6"),
    ]
    assert store.rows(tmp_path, "results.csv") == []
    page = capsys.readouterr().out
    assert f"1 networks, {ROUNDS} rounds" in page
    assert "| `tf-model-1` | memory, MiB | 512 | 512 | 1.000 (1.000" in page
    assert set(analysis_aa.QUANTITIES) <= {
        line.split(" | ")[1].partition(",")[0] for line in page.splitlines() if line.startswith("| `")
    }


def test_a_run_beside_others_ends_the_session(
    trained: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aa, "load", lambda *_, **__: digits())
    monkeypatch.setattr(aa, "train", lambda *_: {"at_once": "2"})
    assert bench.main(["aa", "--models", "tf-model-1", "--results", str(tmp_path)]) == 1
    assert store.rows(tmp_path, "speed.csv") == []


def test_the_expected_duration_is_that_of_recorded_runs(tmp_path: Path) -> None:
    """tf-model-1 takes 2.5 s beside its steps and nine tests of 0.1 s; its 8 epochs of 468 steps of 128
    images, 20 s each."""
    images = 8 * 468 * 128
    for framework in PAIR:
        columns = {"predict_seconds": 0.1, "images_per_second": images / 160, "train_seconds": 160.0}
        add_run(tmp_path, framework=framework, total_seconds=163.4, **columns)
    session = measure.Session(folder=tmp_path, data_dir=None, models=["tf-model-1"], frameworks=PAIR)
    rows = store.rows(tmp_path, "results.csv")
    assert "about 0:54:28" in aa.expected(session, 5, rows)
    assert "under-8k" in aa.expected(dataclasses.replace(session, models=["tf-model-1", "under-8k"]), 5, rows)
    assert "about" not in aa.expected(session, 5, [])


@pytest.mark.parametrize("model", ZOO)
def test_the_runs_of_a_session_train_many_steps_and_test_without_augmentation(model: str) -> None:
    length, recipe = aa.length_of(model, MNIST), ZOO[model].recipe
    assert length.counts(model, MNIST)["trained_images"] > 50 * recipe.batch_size
    assert ("tta_shift=0" in length.words(model)) == (recipe.tta_shift > 0)


def test_a_run_of_large_batches_has_two_steps(tmp_path: Path) -> None:
    """The speed is that of the steps after the first."""
    for size, epochs in ((10_001, 1), (20_000, 1), (30_000, 1), (30_001, 2), (60_000, 2)):
        file = network_file(tmp_path, f"large_{size}", batch_size=size)
        length = aa.length_of(str(file), MNIST)
        assert length == aa.Length(epochs=epochs)
        assert length.counts(str(file), MNIST)["trained_images"] >= 2 * size


def test_a_recipe_of_one_step_has_no_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = network_file(tmp_path, "single", batch_size=60_000, epochs=1)
    with pytest.raises(SystemExit, match="2"):
        bench.main(["aa", "--models", str(file), "--rounds", "2", "--results", str(tmp_path)])
    assert "trains fewer than two steps on mnist; a speed takes two." in capsys.readouterr().err


def test_a_network_under_two_addresses_is_measured_once_and_two_of_one_name_are_refused(
    tmp_path: Path,
) -> None:
    first, same, other = (
        network_file(tmp_path, name, batch_size=size)
        for name, size in (("first", 64), ("same", 64), ("other", 32))
    )
    assert measure.distinct([str(first), f"{first}:NETWORK", str(same), "best", "best"]) == [
        str(first),
        "best",
    ]
    with pytest.raises(UsageError, match=r"first\.py and .*other\.py are two networks with the name tiny"):
        measure.distinct([str(first), str(other)])


def network_file(folder: Path, name: str, *, batch_size: int, epochs: int = 2) -> Path:
    """A file with a network of the name `tiny`."""
    file = folder / f"{name}.py"
    file.write_text(
        "from common.model import SGD, Dense, Flatten, ModelSpec, Recipe\n"
        'NETWORK = ModelSpec("tiny", (Flatten(), Dense(10)))\n'
        f"RECIPE = Recipe(SGD(), lr=0.1, batch_size={batch_size}, epochs={epochs})\n"
    )
    return file


def test_the_frameworks_take_turns_in_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def seconds_until(command: list[str], line: str) -> float:
        started.append(command)
        return float(len(started))

    monkeypatch.setattr(speed, "seconds_until", seconds_until)
    session = measure.Session(folder=tmp_path, data_dir=None, models=[], frameworks=PAIR)
    rows = list(speed.startup(session))
    assert {row.model for row in rows} == {speed.START_MODEL}
    assert [FRAMEWORKS[PAIR[0]].script in " ".join(command) for command in started[:12:3]] == [
        *(True, False, False, True)
    ]
    assert len(rows) == 6
    assert {row.rounds for row in rows} == {ROUNDS}


def test_traces_are_recorded_of_every_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        accuracy = 90.0 + len(commands) / 100 if "--epochs" in command else None
        losses = [2.0, 1.5 + len(commands) / 1e3]
        written = {"losses": losses, "accuracy": accuracy, "framework_version": "9"}
        Path(command[command.index("--trace") + 1]).write_text(json.dumps(written))

    monkeypatch.setattr(measure, "run_script", run)
    words = ["--models", "under-8k", "--results", str(tmp_path)]
    assert bench.main(["traces", "steps", "--seeds", "2", *words]) == 0
    rows = store.rows(tmp_path, "traces.csv")
    assert len(rows) == 2 * len(commands) == 2 * 2 * len(rounding.ARMS) * len(FRAMEWORKS)
    assert sum("--perturb" in command for command in commands) == 2 * 2
    assert {row["loss"] for row in rows if row["step"] == "1"} == {"2.0"}
    first = [Path(command[1]).name for command in commands[:: 2 * len(rounding.ARMS)]]
    assert first == [FRAMEWORKS[name].script for name in PAIR]
    printed = capsys.readouterr().out
    count = 2 * len(rounding.ARMS)
    assert f"under-8k seed 1: 1 of {count} traces done, about 0:00:00 left" in printed
    assert f"under-8k seed 2: {count} of {count} traces done" in printed
    assert "| `under-8k` | 2 |" in printed
    commands.clear()
    assert bench.main(["traces", "epoch", "--seeds", "4", *words]) == 0
    new = store.rows(tmp_path, "traces.csv")[len(rows) :]
    assert [row["seed"] for row in new] == [str(seed) for seed in (1, 2, 3, 4) for _ in range(4)]
    assert {row["step"] for row in new} == {"2"}
    # Each seed: both frameworks, then both from the perturbed start; an accuracy of 0.01 more each time.
    # Squares of the ways to pair them: 8, 2 and 10. In 66 of 81 cases four seeds have a sum of 32 at most.
    assert "| `under-8k` | 4 | 0.010 | 0.020 | 0.01 | 0.02 | 0.81 |" in capsys.readouterr().out


def test_an_ablation_runs_the_variants_that_are_missing_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_variants(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.0), all=(97.0, 97.0))
    add_run(tmp_path, native="init", machine="another")
    add_run(tmp_path, native="init", threads=1)
    monkeypatch.setattr("common.tables.machine.name", lambda: "a machine")
    words = ["ablation", "tf-model-1", "--seeds", "1", "--threads", "2", "--dry-run"]
    assert bench.main([*words, "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "changes nothing; it is not run" in lines[0]
    assert lines[2:] == [
        f"tf-model-1 {framework} seed 1 native {variant}"
        for variant in ("init", "optimizer")
        for framework in ("pytorch", "tensorflow")
    ]
    task = Task("tf-model-1", "pytorch", 1, "all")
    assert task.command(tmp_path, None)[-2:] == ["--native", "all"]


def test_the_workers_of_an_ablation_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(tmp_path, native="init", threads=4)
    add_run(tmp_path, native="optimizer", threads=2)
    monkeypatch.setattr("common.tables.machine.name", lambda: "a machine")
    monkeypatch.setattr("common.tables.cores.cores", lambda: 4)
    words = ["ablation", "tf-model-1", "--frameworks", "pytorch", "--seeds", "1", "--workers", "2"]
    assert bench.main([*words, "--dry-run", "--results", str(tmp_path)]) == 0
    todo = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(" native ")[1:] for line in todo] == [[], ["init"], ["all"]]
