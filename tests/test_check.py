"""The check fails for accuracies below a threshold, leaks and missing runs, and names them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.tables import OWN, add_run

from common import check
from common.analysis.thresholds import threshold
from common.frameworks import FRAMEWORKS
from common.model.entry import Recorded
from common.model.zoo import ZOO


def lowest(model: str, seeds: int) -> float:
    """The threshold of a network for the mean of so many seeds."""
    accuracy = ZOO[model].accuracy
    assert accuracy is not None
    return threshold(accuracy, seeds)


def run(folder: Path, *flags: str) -> int:
    return check.main(["--results", str(folder), *flags])


def test_means_above_the_threshold_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = lowest("tf-model-1", 2)
    add_run(tmp_path, accuracy=value - 0.5, seed=1)
    add_run(tmp_path, accuracy=value + 0.51, seed=2)
    assert run(tmp_path) == 0
    out = capsys.readouterr().out
    assert "tf-model-1" in out
    assert f"{value:.3f}" in out


def test_a_mean_below_the_threshold_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = lowest("tf-model-1", 1)
    add_run(tmp_path, accuracy=value - 0.01)
    add_run(tmp_path, framework="tensorflow", accuracy=value)
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "1 of 2" in out
    assert "below the threshold" in out
    assert "PyTorch" in out
    assert "TensorFlow" not in out


def test_a_threshold_is_for_the_number_of_seeds_not_of_runs(tmp_path: Path) -> None:
    """An accuracy that is enough for one seed, also where it was run ten times, and too low for ten."""
    accuracy = (lowest("tf-model-1", 1) + lowest("tf-model-1", 10)) / 2
    for _ in range(10):
        add_run(tmp_path, accuracy=accuracy)
    assert run(tmp_path) == 0
    for seed in range(2, 11):
        add_run(tmp_path, accuracy=accuracy, seed=seed)
    assert run(tmp_path) == 1


def test_only_the_newest_arithmetic_is_compared(tmp_path: Path) -> None:
    add_run(tmp_path, accuracy=50.0, numerics=1)
    assert run(tmp_path) == 1
    add_run(tmp_path, accuracy=99.0, numerics=2)
    assert run(tmp_path) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"recipe": {"lr": 5.0}, "native": "none"},
        {"dataset": "fashion-mnist"},
        {"dataset": "mnist-validation-10000"},
        {"native": "all"},
        {"precision": "bfloat16"},
        {"loader": "other"},
        {"status": "diverged"},
    ],
    ids=str,
)
def test_rows_with_other_settings_are_not_compared(tmp_path: Path, fields: dict[str, Any]) -> None:
    add_run(tmp_path)
    add_run(tmp_path, seed=2, accuracy=11.0, **fields)
    assert run(tmp_path) == 0


@pytest.mark.parametrize("fields", [{}, {"native": "all"}, {"dataset": "fashion-mnist"}], ids=str)
def test_100_percent_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any]
) -> None:
    add_run(tmp_path, seed=1, accuracy=98.0)
    leak = add_run(tmp_path, seed=2, accuracy=100.0, **fields)
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "leak" in out
    assert leak.run in out


def test_100_percent_of_a_few_held_out_images_is_not(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, accuracy=100.0, dataset="mnist-validation-10")
    assert run(tmp_path) == 0


def test_an_ok_run_without_accuracy_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(tmp_path, accuracy=None)
    assert run(tmp_path) == 1
    assert "no accuracy" in capsys.readouterr().out


def test_complete_requires_every_network_in_every_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, entry in list(ZOO.items()):  # invented runs gain evenly, too slowly for it
        monkeypatch.setitem(ZOO, name, dataclasses.replace(entry, last_two_epochs_threshold=None, tta=None))
    pairs = [(model, framework) for model in ZOO for framework in FRAMEWORKS]
    for model, framework in pairs[:-1]:
        add_run(tmp_path, model, framework, accuracy=99.9)
    assert run(tmp_path) == 0
    assert run(tmp_path, "--complete") == 1
    out = capsys.readouterr().out
    assert "no runs" in out.splitlines()[-1]
    assert pairs[-1][0] in out.splitlines()[-1]
    add_run(tmp_path, *pairs[-1], accuracy=99.9)
    assert run(tmp_path, "--complete") == 0


def test_a_network_without_a_recorded_accuracy_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ZOO, "tf-model-1", dataclasses.replace(ZOO["tf-model-1"], accuracy=None))
    add_run(tmp_path, accuracy=12.0)
    assert run(tmp_path) == 0
    capsys.readouterr()
    assert run(tmp_path, "--complete") == 1
    assert "no recorded accuracy" in capsys.readouterr().out


def test_recorded_accuracies_are_printed_as_entries_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invented runs gain evenly from 10 %, so the first of 8 epochs adds an eighth of the rest."""
    for framework in FRAMEWORKS:
        for seed, accuracy in ((1, 90.0), (2, 92.0)):
            add_run(tmp_path, framework=framework, seed=seed, accuracy=accuracy)
    assert run(tmp_path, "--recorded") == 0
    accuracy, first = Recorded(mean=91.0, sd=1.414, seeds=2), Recorded(mean=20.125, sd=0.177, seeds=2)
    assert capsys.readouterr().out == f"tf-model-1: {accuracy=}, first_epoch={first!r}, tta=None\n"


def test_a_check_of_nothing_does_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 1
    assert run(tmp_path, "--first-epoch") == 1
    assert "Nothing to check" in capsys.readouterr().err


def test_first_epoch_has_thresholds_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_epoch = ZOO["tf-model-1"].first_epoch
    assert first_epoch is not None
    value = threshold(first_epoch, 1)
    low = (value + lowest("tf-model-1", 1)) / 2
    add_run(tmp_path, accuracy=low, recipe={"epochs": 1})
    assert run(tmp_path) == 1  # no run of the zoo's own recipe
    assert run(tmp_path, "--first-epoch") == 0
    add_run(tmp_path, framework="tensorflow", accuracy=value - 0.1, recipe={"epochs": 1})
    capsys.readouterr()
    assert run(tmp_path, "--first-epoch") == 1
    out = capsys.readouterr().out
    assert "TensorFlow" in out
    assert "PyTorch" not in out
    assert f"{value:.3f}" in out


def test_first_epochs_of_another_recipe_are_not_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(tmp_path, accuracy=11.0, recipe={"epochs": 1, "lr": 9.0})
    assert run(tmp_path, "--first-epoch") == 1
    assert "Nothing to check" in capsys.readouterr().err


def test_first_epoch_reads_epochs_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(tmp_path, accuracy=95.0, recipe={"epochs": 1})
    (tmp_path / "epochs.csv").write_text((tmp_path / "epochs.csv").read_text().splitlines()[0] + "\n")
    assert run(tmp_path, "--first-epoch") == 1
    assert "no accuracy" in capsys.readouterr().out


def test_longer_runs_are_no_first_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(tmp_path, accuracy=99.0)
    assert run(tmp_path, "--first-epoch") == 1
    assert "Nothing to check" in capsys.readouterr().err


def test_an_unreadable_table_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    assert run(tmp_path) == 2
    assert "another header" in capsys.readouterr().err


def test_test_time_augmentation_has_a_threshold_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = dataclasses.replace(ZOO["tf-model-1"], tta=Recorded(mean=99.1, sd=0.01, seeds=10))
    monkeypatch.setitem(ZOO, "tf-model-1", entry)
    add_run(tmp_path, accuracy=98.2, shifted_accuracy=99.1)
    assert run(tmp_path) == 0
    assert "99.1" in capsys.readouterr().out
    add_run(tmp_path, accuracy=98.2, shifted_accuracy=98.8, seed=2)
    assert run(tmp_path) == 1
    assert "below the threshold" in capsys.readouterr().out
    add_run(tmp_path, accuracy=98.2, seed=3)
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "1 of 3 runs" in out
    assert "no accuracy" in out


def test_both_last_epochs_of_every_run_must_reach_their_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invented runs gain evenly from 10 %, so of 8 epochs the last but one is (accuracy - 10) / 8 lower."""
    entry = dataclasses.replace(ZOO["tf-model-1"], last_two_epochs_threshold=87.0)
    monkeypatch.setitem(ZOO, "tf-model-1", entry)
    add_run(tmp_path, accuracy=98.2)
    assert run(tmp_path) == 0
    assert "87.175" in capsys.readouterr().out
    add_run(tmp_path, accuracy=97.9, seed=2)
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "last two epochs" in out
    assert "below the threshold" in out


def test_runs_without_epochs_fail_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = next(name for name, entry in ZOO.items() if entry.last_two_epochs_threshold is not None)
    add_run(tmp_path, model, accuracy=99.9)
    (tmp_path / "epochs.csv").unlink()
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "no rows in epochs.csv" in out
    assert "nan" not in out


NETWORK = """from dataclasses import replace
from common.model import Entry, Recorded
from common.model.zoo import ZOO
BASE = ZOO["tf-model-1"]
MINE = Entry(replace(BASE.spec, name="mine"), BASE.recipe, accuracy={accuracy})
"""


def test_a_network_of_an_own_file_is_compared_with_what_its_file_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.py"
    file.write_text(NETWORK.format(accuracy="Recorded(mean=98.0, sd=0.1, seeds=10)"))
    add_run(tmp_path, entry=OWN, accuracy=98.0)
    assert run(tmp_path) == 1
    assert "--models FILE.py checks mine" in capsys.readouterr().err
    assert run(tmp_path, "--models", str(file)) == 0
    assert "mine" in capsys.readouterr().out
    add_run(tmp_path, entry=OWN, framework="tensorflow", accuracy=97.0)
    assert run(tmp_path, "--models", str(file)) == 1
    assert "below the threshold" in capsys.readouterr().out


def test_an_own_file_without_accuracies_has_no_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.py"
    file.write_text(NETWORK.format(accuracy="None"))
    add_run(tmp_path, entry=OWN, accuracy=98.0)
    assert run(tmp_path, "--models", str(file)) == 0
    assert "All 0 comparisons pass; 1 have no threshold" in capsys.readouterr().out
