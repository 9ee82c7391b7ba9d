"""`bench mistakes` records the runs of a network, framework and seed at once, and goes on where it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.bench import __main__ as bench
from common.bench import measure
from common.bench.mistakes import Process
from common.frameworks import FRAMEWORKS
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store

WORDS = ["mistakes", "--models", "tf-model-1", "--seeds", "2", "--results"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are started; each writes what a script would, at the fourth Ctrl-C comes."""
    started: list[list[str]] = []

    def run(command: list[str]) -> None:
        started.append(command)
        if len(started) == 4:
            raise KeyboardInterrupt
        model = command[command.index("--model") + 1]
        script = Path(command[1]).name
        framework = next(name for name, entry in FRAMEWORKS.items() if entry.script == script)
        facts = {"status": "ok", "accuracy": 97.0, "loss": 0.1, "difference": 0.0, "floor": 1e-6}
        names = Process(framework, model, 1).runs
        entry = ZOO[model]
        written = {"device": "cpu", "threads": 2, "framework_version": "1", "numerics": 1}
        written |= {"recipe_hash": recipe_hash(entry.spec, entry.recipe)}
        written |= {"outcomes": [{"mistake": name, **facts} for name in sorted(names)]}
        Path(command[command.index("--mistakes") + 1]).write_text(json.dumps(written))

    monkeypatch.setattr(measure, "run_script", run)
    return started


def test_an_interrupted_bench_goes_on_where_it_stopped(
    commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*WORDS, str(tmp_path)]) == 130
    printed = capsys.readouterr().out
    assert "4 processes, 0 in the table already, 4 to run." in printed
    assert "left" in printed
    rows = store.rows(tmp_path, "mistakes.csv")
    ended = [Process(name, "tf-model-1", seed) for seed in (1, 2) for name in FRAMEWORKS][:3]
    assert len(rows) == sum(len(process.runs) for process in ended)
    assert {(row["framework"], row["seed"]) for row in rows} == {(p.framework, str(p.seed)) for p in ended}

    assert bench.main([*WORDS, str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "4 processes, 3 in the table already, 1 to run." in printed
    assert "| `loss-sum` | PyTorch | passes | +0.00 (+0.00 to +0.00) |" in printed
    assert len(commands) == 5
    assert commands[3][1:-1] == commands[4][1:-1]  # but for the file that it writes


def test_a_dry_run_names_the_processes(
    commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    assert bench.main([*WORDS, str(folder), "--frameworks", "tensorflow", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "tf-model-1 tensorflow seed 1",
        "tf-model-1 tensorflow seed 2",
    ]
    assert not commands
    assert not folder.exists()
