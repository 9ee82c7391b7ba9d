"""Sessions of measurements: which processes they start, in which order, and the rows they append."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.tables import add_run, add_variants

from common.analysis import rounding
from common.bench import __main__ as bench
from common.bench import aa, measure, speed
from common.bench.tasks import Task
from common.cli.profile import ROUNDS, summarise
from common.frameworks import FRAMEWORKS
from common.tables import store
from common.tables.store import ResultsError


def test_seconds_until_a_line() -> None:
    program = "import time; print('no'); print('yes, now', flush=True); time.sleep(60)"
    assert 0 < speed.seconds_until([sys.executable, "-c", program], "yes") < 30


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
            written = {"device": "cpu", "threads": 1, "framework_version": "9", "figures": [figure]}
            Path(command[command.index("--profile") + 1]).write_text(json.dumps(written))
        else:
            folder = Path(command[command.index("--results") + 1])
            framework = {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[Path(command[1]).name]
            seconds = {"train_seconds": float(len(seen)), "total_seconds": 50.0, "cpu_seconds": 9.0}
            add_run(folder, framework=framework, **seconds)

    monkeypatch.setattr(measure, "run_script", run)
    return seen


def test_arms_take_turns_and_seeds_are_the_same(trained: list[list[str]], tmp_path: Path) -> None:
    session = measure.Session(
        folder=tmp_path, data_dir=None, models=["tf-model-1"], frameworks=["tensorflow"]
    )
    made = list(speed.native_loaders(session))
    arms = [command[command.index("--loader") + 1] for command in trained]
    assert arms == ["memory", "native"] * ROUNDS
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
    assert [Path(command[1]).name for command in trained[:4]] == ["pytorch.py"] * 2 + ["tf.py"] * 2
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
    trained: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one seed a round; the runs leave no rows but those of the session, which are printed as a
    table."""
    assert bench.main(["aa", "--models", "tf-model-1", "--results", str(tmp_path)]) == 0
    frameworks = [Path(command[1]).name for command in trained]
    assert frameworks[:8] == ["pytorch.py", "tf.py"] * 2 + ["tf.py", "pytorch.py"] * 2
    seeds = [command[command.index("--seed") + 1] for command in trained]
    assert seeds == [str(seed) for seed in range(1, ROUNDS + 1) for _ in range(4)]
    made = store.rows(tmp_path, "speed.csv")
    assert len(made) == len(trained) * len(aa.COLUMNS)
    seconds = [row for row in made if row["measure"] == "again train_seconds"]
    assert [(row["framework"], row["arm"], row["value"]) for row in seconds[2:5]] == [
        ("pytorch", "B 1", "3"),
        ("tensorflow", "B 1", "4"),
        ("tensorflow", "A 2", "5"),
    ]
    assert store.rows(tmp_path, "results.csv") == []
    assert "| `tf-model-1` | training, images / s | 30,000 | 30,000 | 1.000 (1.000" in capsys.readouterr().out


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
    assert bench.main(["traces", "steps", *words]) == 0
    rows = store.rows(tmp_path, "traces.csv")
    assert len(rows) == 2 * len(commands) == 2 * len(rounding.ARMS) * len(FRAMEWORKS)
    assert sum("--perturb" in command for command in commands) == 2
    assert {row["loss"] for row in rows if row["step"] == "1"} == {"2.0"}
    assert "| `under-8k` |" in capsys.readouterr().out
    commands.clear()
    assert bench.main(["traces", "epoch", "--seeds", "4", *words]) == 0
    new = store.rows(tmp_path, "traces.csv")[len(rows) :]
    assert [row["seed"] for row in new] == [str(seed) for seed in (1, 2, 3, 4) for _ in range(4)]
    assert {row["step"] for row in new} == {"2"}
    # Each seed: both frameworks, then both from the perturbed start; an accuracy of 0.01 more each.
    assert "| `under-8k` | 4 | 0.010 | 0.020 | 0.01 | 0.02 | 1.00 |" in capsys.readouterr().out


def test_an_ablation_runs_the_variants_that_are_missing_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_variants(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.0), all=(97.0, 97.0))
    add_run(tmp_path, native="init", machine="another")
    monkeypatch.setattr("common.tables.machine.name", lambda: "a machine")
    words = ["ablation", "tf-model-1", "--seeds", "1", "--dry-run", "--results", str(tmp_path)]
    assert bench.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "changes nothing; it is not run" in lines[0]
    assert lines[2:] == [
        f"tf-model-1 {framework} seed 1 native {variant}"
        for variant in ("init", "optimizer")
        for framework in ("pytorch", "tensorflow")
    ]
    task = Task("tf-model-1", "pytorch", 1, "all")
    assert task.command(tmp_path, None)[-2:] == ["--native", "all"]
