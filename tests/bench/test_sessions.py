"""Sessions of traces and ablations: what is started, in which order, and the rows that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tables import add_run, add_variants

from common.analysis import rounding
from common.bench import __main__ as bench
from common.bench import measure
from common.bench.tasks import Task
from common.frameworks import FRAMEWORKS
from common.tables import store


def test_bench_records_every_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        accuracy = 90.0 + len(commands) / 100 if "--epochs" in command else None
        losses = [2.0, 1.5 + len(commands) / 1e3]
        told = {"losses": losses, "accuracy": accuracy, "framework_version": "9"}
        Path(command[command.index("--trace") + 1]).write_text(json.dumps(told))

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


def test_bench_runs_the_rungs_that_are_missing_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_variants(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.0), all=(97.0, 97.0))
    add_run(tmp_path, native="init", machine="another")
    monkeypatch.setattr("common.tables.machine.name", lambda: "a machine")
    words = ["ablation", "tf-model-1", "--seeds", "1", "--dry-run", "--results", str(tmp_path)]
    assert bench.main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert "changes nothing; it is not run" in said[0]
    assert said[2:] == [
        f"tf-model-1 {framework} seed 1 native {rung}"
        for rung in ("init", "optimizer")
        for framework in ("pytorch", "tensorflow")
    ]
    cell = Task("tf-model-1", "pytorch", 1, "all")
    assert cell.command(tmp_path, None)[-2:] == ["--native", "all"]
