"""The tables that are made of a session's rows."""

from __future__ import annotations

from pathlib import Path

from support.tables import aa_rows, timing_row

from common.analysis import frames
from common.report import timings
from common.tables import store
from common.tables.schema import SpeedRow

LATER = "2026-02-01T00:00:00+00:00"


def section(folder: Path, *rows: SpeedRow) -> str:
    """The tables of these rows, by way of the file."""
    store.append_rows(folder, "speed.csv", rows)
    return timings.section(frames.read(folder).speed)


def test_nothing_measured(tmp_path: Path) -> None:
    assert section(tmp_path) == "Not measured yet."


def test_race_is_over_the_reference_of_the_same_framework(tmp_path: Path) -> None:
    clocks = [
        row
        for model in (timings.REFERENCE, "speedrun")
        for row in aa_rows([100.0, 100.2], [100.1, 100.1], model=model)
    ]
    page = section(
        tmp_path,
        *clocks,
        timing_row("race train_seconds", "run", 4.0, model=timings.REFERENCE),
        timing_row("race train_seconds", "run", 1.0, model="speedrun"),
        timing_row("race mean accuracy", "run", 99.05, model="speedrun"),
        timing_row("race train_seconds", "run", 3.0, model="speedrun", framework="tensorflow"),
    )
    assert f"| `{timings.REFERENCE}` | PyTorch | 4.00 | 1 |" in page
    assert "| `speedrun` | PyTorch | 1.00 | 0.25 |  | 99.05 (99.05 to 99.05) | 1 |" in page
    assert "| `speedrun` | TensorFlow | 3.00 |  |" in page


def test_races_of_two_sessions_have_no_ratio(tmp_path: Path) -> None:
    page = section(
        tmp_path,
        timing_row("race train_seconds", "run", 4.0, model=timings.REFERENCE),
        timing_row("race train_seconds", "run", 1.0, model="speedrun", session=LATER),
    )
    assert "| `speedrun` | PyTorch | 1.00 |  |" in page


def test_only_the_latest_session_of_a_measure_counts(tmp_path: Path) -> None:
    page = section(
        tmp_path,
        *aa_rows([100.0, 100.2], [100.1, 100.1]),
        timing_row("start", "first step", 2.1, session=LATER),
        timing_row("start", "plain step", 2.0, session=LATER),
        timing_row("start", "first step", 9.0),
        timing_row("start", "plain step", 1.0),
        timing_row("start", "help", 0.1),
        timing_row("idiom train_seconds", "memory", 2.0),
        timing_row("idiom train_seconds", "native", 7.0),
    )
    assert "| `tf-model-1` | PyTorch |  | 2.10 | 2.00 | 1.05 |" in page
    assert "| `tf-model-1` | PyTorch | 2.00 | 7.00 | 3.50 |" in page


def test_stages_in_percent_and_share_of_the_product(tmp_path: Path) -> None:
    stages = [timing_row("part", *pair) for pair in zip(timings.STAGES, (1, 3, 4, 1, 1), strict=True)]
    page = section(
        tmp_path,
        *stages,
        timing_row("gflops", "training", 80.0),
        timing_row("gflops", "product", 200.0),
    )
    assert "| `tf-model-1` | PyTorch | 10 | 30 | 40 | 10 | 80 (40 %) |" in page


def test_a_table_without_all_it_needs_has_no_row(tmp_path: Path) -> None:
    page = section(tmp_path, *(timing_row("part", stage, 1.0) for stage in timings.STAGES))
    assert "GFLOP/S" not in page


def test_overhead_and_augmentation(tmp_path: Path) -> None:
    """under-5k has 937 steps of 10 ms in an epoch; 0.937 s of augmentation are a tenth of it."""
    page = section(
        tmp_path,
        timing_row("step", "epoch", 10.0, model="under-5k"),
        timing_row("step", "bare loop", 8.0, model="under-5k"),
        timing_row("overhead", "epoch", 1.25, model="under-5k"),
        timing_row("preparation", "augmentation", 0.937, model="under-5k"),
    )
    assert "| `under-5k` | PyTorch | 10.000 | 8.000 | 1.250 (1.250 to 1.250) | 10.0 |" in page


def test_the_longest_kernels_come_first(tmp_path: Path) -> None:
    kernels = [timing_row("kernel", name, float(ms)) for ms, name in enumerate("abcdefg")]
    page = section(tmp_path, *kernels)
    assert "|  | `g` 6.00, `f` 5.00, `e` 4.00, `d` 3.00, `c` 2.00 |" in page


def test_kernels_older_than_the_stages_are_left_out(tmp_path: Path) -> None:
    """The later session had no kernels: those of the earlier one are not of the step that is shown."""
    kernel = timing_row("kernel", "Execute", 1.43, machine="earlier")
    assert "`Execute` 1.43" in section(tmp_path, kernel, timing_row("part", "forward", 1.0))
    page = section(tmp_path, timing_row("part", "forward", 1.0, session=LATER))
    assert "Execute" not in page
    assert "earlier" not in page


def test_the_machines_are_those_of_the_rows_that_are_shown(tmp_path: Path) -> None:
    """Of rows without a framework, as of several processes at once, another page tells."""
    page = section(
        tmp_path,
        timing_row("gflops", "training", 80.0),
        timing_row("scale wall", "1", 1.0, framework="", machine="another"),
    )
    assert "another" not in page


def test_a_ratio_of_training_times_needs_a_clock_that_bears_it(tmp_path: Path) -> None:
    page = section(
        tmp_path,
        timing_row("idiom train_seconds", "memory", 2.0, framework="tensorflow"),
        timing_row("idiom train_seconds", "native", 7.0, framework="tensorflow"),
    )
    assert "| 2.00 | 7.00 | no A/A test |" in page
    noisy = aa_rows([200.0, 50.0, 100.0], [50.0, 200.0, 100.0], framework="tensorflow")
    assert "| 2.00 | 7.00 | A/A " in section(tmp_path, *noisy)
    elsewhere = aa_rows([100.0, 100.2], [100.1, 100.1], framework="tensorflow", session=LATER, machine="b")
    assert "| 2.00 | 7.00 | A/A " in section(tmp_path, *elsewhere)
    exact = aa_rows([100.0, 100.2], [100.1, 100.1], framework="tensorflow", session=LATER, commit="new")
    assert "| 2.00 | 7.00 | 3.50 |" in section(tmp_path, *exact)


def test_the_starts_are_those_of_one_network(tmp_path: Path) -> None:
    starts = [
        timing_row("start", arm, seconds, model=model, framework=framework, session=session)
        for model, framework, session in (
            ("tf-model-1", "tensorflow", "2026-01-01"),
            ("under-8k", "pytorch", LATER),
            ("under-8k", "tensorflow", LATER),
        )
        for arm, seconds in (("first step", 4.0), ("plain step", 2.0))
    ]
    page = section(tmp_path, *starts)
    assert "tf-model-1" not in page
    assert page.count("| `under-8k` |") == 2


def test_options_are_counted_by_framework(tmp_path: Path) -> None:
    page = section(
        tmp_path,
        *(
            timing_row("option", arm, value, framework=framework, model=model)
            for framework, model, values in (
                ("pytorch", "tf-model-1", (2.0, 1.0)),
                ("pytorch", "speedrun", (2.0, 3.0)),
                ("tensorflow", "speedrun", (2.0, 20.0)),
            )
            for arm, value in zip(("default", "compile"), values, strict=True)
        ),
    )
    assert (
        "with compile in 1 of 2 networks in PyTorch (at worst 1.5 times as long) and with compile in 0 of 1 "
        "networks in TensorFlow (at worst 10.0 times as long)."
    ) in page


def test_the_slowest_single_images_are_compared(tmp_path: Path) -> None:
    rows = []
    for model, first, second in (("tf-model-1", 2.0, 1.0), ("speedrun", 1.0, 2.0)):
        for framework, value in (("pytorch", first), ("tensorflow", second)):
            about = {"framework": framework, "model": model}
            rows.append(timing_row("predict", "batch 1", 100.0, **about))
            rows.append(timing_row("predict p99", "batch 1", value, **about))
    assert "The slowest 1 % take longer in PyTorch in 1 of 2 networks." in section(tmp_path, *rows)
