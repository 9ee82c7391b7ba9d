"""The block of docs/port.md has the shares, a row for each cause, and each comparison that is not right."""

from __future__ import annotations

from pathlib import Path

from support.port_rows import add_comparison, add_planted

from common.analysis import frames
from common.report import port_tables


def block(folder: Path) -> str:
    return port_tables.block(frames.frame(folder, "ports.csv"))


def test_nothing_recorded_is_one_sentence(tmp_path: Path) -> None:
    assert block(tmp_path) == port_tables.NOTHING


def test_shares_causes_and_failures(tmp_path: Path) -> None:
    for model in ("speedrun", "best", "smallest"):
        add_planted(tmp_path, "activation", "forward/activation", model=model)
    add_planted(tmp_path, "activation", "forward/input-scaling")
    add_planted(tmp_path, "batchnorm-epsilon", "forward/unknown", framework="tensorflow")
    add_planted(tmp_path, "unknown", "forward/unknown")
    for seed in (1, 2):
        add_comparison(tmp_path, seed=seed, precision="float64 float32")
    text = block(tmp_path)
    assert "In 5 comparisons, of 2 causes in 4 networks, the stage is right in all" in text
    assert "the cause in 60.0 % (3 of 5); another cause is named in 20.0 % (1 of 5)." in text
    assert "1 networks compared with themselves in float64 and float32 with 2 seeds" in text
    assert "no false alarm" in text
    assert "| `activation` | 4 | 4 | 4 | 3 | 1 |" in text
    assert "- `tf-model-1`, `activation` in PyTorch's file: forward: input-scaling" in text
    assert "- `tf-model-1`, `batchnorm-epsilon` in TensorFlow's file: forward: unknown" in text
    assert "False alarms" not in text


def test_false_alarms_and_times(tmp_path: Path) -> None:
    add_planted(tmp_path, "activation", "forward/activation")
    add_comparison(tmp_path, seed=3, found="training/unknown")
    add_comparison(tmp_path, mutant="command", seconds=31.4, threads=2, load=2.04)
    text = block(tmp_path)
    assert "1 false alarm." in text
    assert "False alarms:\n\n- `tf-model-1`, `none` (seed 3): training: unknown" in text
    assert "`tf-model-1`, 101,770 parameters, 31 s, on 2 cores at a load average of 2.0 before." in text
