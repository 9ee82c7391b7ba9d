"""Traces: what is compared, that the committed ones hold, and that each framework makes them as it should."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from support import worker
from support.jobs import job

from common.analysis import frames, rounding
from common.bench import __main__ as bench
from common.bench import measure
from common.cli.trace import STEPS
from common.data.batches import Scaling
from common.data.datasets import Dataset
from common.model.zoo import ZOO
from common.report import plots
from common.tables import store
from common.tables.schema import TraceRow
from common.training import initial_weights
from common.training.backend import Execution
from common.training.dropout_masks import Masks

ROOT = Path(__file__).resolve().parents[2]


def record(
    folder: Path, losses: Callable[[str, str, str], list[float]], sitting: str = "2026-01-01T00:00:00"
) -> None:
    """Rows of a sitting of one network; `losses` of (framework, precision, perturb)."""
    about = {"machine": "", "framework_version": "", "commit": "", "seed": 1, "model": "under-8k"}
    for framework in worker.FRAMEWORKS:
        for precision, perturb in rounding.ARMS:
            told = {"framework": framework, "precision": precision, "perturb": perturb, "sitting": sitting}
            steps = enumerate(losses(framework, precision, perturb), start=1)
            rows = [TraceRow(**about, **told, step=step, loss=repr(loss)) for step, loss in steps]
            store.append_rows(folder, "traces.csv", rows)


def grown(framework: str, precision: str, perturb: str) -> list[float]:
    """TensorFlow is 1e-11 off in double precision, 4 baselines in single, which grow tenfold a step."""
    if precision == "float64":
        return [2.0, 2.0 * (1 + 1e-11 * (framework == "tensorflow"))]
    off = 4e-6 * (framework == "tensorflow") + 1e-6 * (perturb == "ulp")
    return [2.0 + off, 2.0 + 10 * off]


def test_differences_are_of_the_arms_they_name(tmp_path: Path) -> None:
    record(tmp_path, grown)
    (one,) = rounding.trace_comparisons(frames.read(tmp_path).traces)
    assert one.float64_error == pytest.approx([0, 1e-11], abs=1e-14)
    assert one.between_frameworks == pytest.approx([4e-6, 4e-5])
    assert one.self_baselines["pytorch"] == pytest.approx([1e-6, 1e-5])
    assert one.excess_ratio == pytest.approx(4.0)
    assert "| `under-8k` | 1.0e-11 | 4.0e-06 | 4.0e-05 | 1.0e-05 | 1.0e-05 | 4.0 |" in rounding.section(
        frames.read(tmp_path).traces
    )


def test_the_last_whole_sitting_counts_and_none_is_said(tmp_path: Path) -> None:
    assert "Not traced yet" in rounding.section(frames.read(tmp_path).traces)
    record(tmp_path, lambda *_: [1.0])
    record(tmp_path, lambda framework, *_: [2.0 + (framework == "pytorch")], "2026-02-01T00:00:00")
    (one,) = rounding.trace_comparisons(frames.read(tmp_path).traces)
    assert one.between_frameworks == pytest.approx([1.0])
    assert one.excess_ratio == pytest.approx(1 / one.unit)
    assert one.unit == np.spacing(np.float32(3))


def test_recorded_epochs_part_no_more_than_rounding_does() -> None:
    """At 5 %, all networks together: three seeds of one could not show it."""
    found = list(rounding.first_epoch_comparisons(frames.read(ROOT / "results").traces))
    assert {one.model for one in found} == set(ZOO)
    assert rounding.fisher_p(found) > 0.05


def test_many_networks_show_what_one_cannot() -> None:
    """Fisher's statistic of nine times 1/84, the least that three seeds can come to, and of nine halves."""
    apart = rounding.FirstEpochComparison("", [1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert apart.p == pytest.approx(1 / 84)
    assert rounding.fisher_p([apart] * 9) == pytest.approx(scipy.stats.chi2.sf(18 * np.log(84), 18))
    alike = rounding.FirstEpochComparison("", [0.2, 0.5, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert rounding.fisher_p([alike] * 9) > 0.2


@pytest.mark.parametrize("name", ZOO)
def test_recorded_traces_hold(name: str) -> None:
    """In double precision to 1e-10; in single precision within five times what rounding alone does."""
    found = {one.model: one for one in rounding.trace_comparisons(frames.read(ROOT / "results").traces)}
    assert len(found[name].float64_error) == STEPS
    assert found[name].float64_error.max() <= rounding.FLOAT64_TOLERANCE
    assert found[name].excess_ratio <= 5


def test_curves_are_drawn_for_every_network(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    record(tmp_path, grown)
    traced = list(rounding.trace_comparisons(frames.read(tmp_path).traces))
    figure: Figure = plots.curves.chaos(plots.curves.Material([], None, None, traced))  # type: ignore[arg-type]
    (axes,) = figure.axes
    assert axes.get_title() == "under-8k"
    assert [len(line.get_ydata()) for line in axes.lines] == [2] * 4


@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_perturbed_start_is_one_unit_in_the_last_place_away(framework: str) -> None:
    """And its run is never pooled with the others."""
    planned = job("under-5k", 3)
    moved = dataclasses.replace(planned, perturb=True)
    plain, other = (worker.run(framework, "started", job=one) for one in (planned, moved))
    for name in planned.spec.weights:
        np.testing.assert_array_equal(other[name], np.nextafter(plain[name], np.float32(np.inf)))
    assert moved.recipe_hash != planned.recipe_hash
    assert initial_weights.perturbed({"w": np.zeros(1, np.float32)})["w"] > 0


def test_both_frameworks_trace_the_same_with_dropout(few_digits: Dataset) -> None:
    planned = job("nextjournal", 3, execution=Execution(precision="float64", scaling=Scaling(0.1, 0.3)))
    pytorch, tensorflow = (
        worker.run(framework, "trace", dataset=few_digits, job=planned, whole=True)
        for framework in worker.FRAMEWORKS
    )
    np.testing.assert_allclose(pytorch.losses, tensorflow.losses, rtol=1e-10)
    assert len(pytorch.losses) == len(few_digits.train) // planned.recipe.batch_size
    assert pytorch.accuracy == tensorflow.accuracy > 0


def test_masks_keep_their_share_and_scale_the_rest() -> None:
    masks = Masks(0.25, "dropout1", seed=3)
    first, second = masks((200, 50), "float64"), masks((200, 50), "float64")
    assert set(np.unique(first)) == {0.0, 1 / 0.75}
    assert first.mean() == pytest.approx(1.0, abs=0.03)
    assert (first != second).any()
    np.testing.assert_array_equal(first, Masks(0.25, "dropout1", seed=3)((200, 50), "float64"))
    assert (first != Masks(0.25, "dropout2", seed=3)((200, 50), "float64")).any()
    whole = Masks(0.5, "drop", seed=1, whole_channels=True)((8, 4, 5, 5), "float32")
    assert whole.dtype == np.float32
    assert (whole == whole[:, :, :1, :1]).all()
    assert len(np.unique(whole)) == 2


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
    assert len(rows) == 2 * len(commands) == 2 * len(rounding.ARMS) * len(worker.FRAMEWORKS)
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


def test_a_difference_beyond_rounding_has_a_small_p() -> None:
    assert rounding.FirstEpochComparison(
        "x", [0.5, 0.6, 0.7], [0.1, 0.2, 0.1, 0.3, 0.2, 0.1]
    ).p == pytest.approx(1 / 84, abs=0.01)
    assert rounding.FirstEpochComparison("x", [0.1, 0.2, 0.1], [0.1, 0.2, 0.1, 0.3, 0.2, 0.1]).p > 0.4
