"""The answer says what the tables bear: percentages by hand, withheld ratios, missing measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from support.tables import aa_rows, add_pairs, add_variants, timing_row

from common.analysis import frames
from common.analysis.answer import Answer
from common.frameworks import FRAMEWORKS, PAIR
from common.report import answer, answer_figure, cells
from common.tables import store

MODELS = ("tf-model-1", "nextjournal", "under-5k")
EQUAL = "with the same definitions in both, accuracy is no reason to choose"
EXACT = (1.0, 1.001, 0.999)


def add_session(
    folder: Path,
    values: Sequence[tuple[float, float]],
    *,
    quantity: str = "training",
    clock: Sequence[float] = EXACT,
) -> None:
    """Append an A/A session: for each network the value of both frameworks; arm A of the rounds is off by the
    factors `clock`."""
    for model, pair in zip(MODELS, values, strict=False):
        for framework, value in zip(FRAMEWORKS, pair, strict=False):
            a, b = [value * factor for factor in clock], [value] * len(clock)
            rows = aa_rows(a, b, quantity=quantity, model=model, framework=framework)
            store.append_rows(folder, "speed.csv", rows)


def found(folder: Path) -> Answer:
    return Answer(frames.read(folder))


@pytest.mark.parametrize(
    "differences, words",
    [
        ([0.02, -0.02, 0.01, -0.01], "no difference on average: over 3 networks and 12 pairs"),
        ([0.9, -0.9, 0.8, -0.8], "no difference found on average: over "),
        ([0.5, 0.51, 0.49, 0.5], "PyTorch is higher on average: over "),
        ([-0.5, -0.51, -0.49, -0.5], "TensorFlow is higher on average: over "),
    ],
)
def test_accuracy(tmp_path: Path, differences: list[float], words: str) -> None:
    for model in MODELS:
        add_pairs(tmp_path, differences, model)
    text = answer.accuracy(found(tmp_path))
    assert text.startswith(words)
    assert "3 networks and 12 pairs" in text
    assert ("not within the margin" in text) == (max(map(abs, differences)) > 0.1)


def test_one_pair_of_runs_has_no_verdict(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01])
    assert "By network: 1 with one pair of runs, which has no interval." in answer.accuracy(found(tmp_path))


@pytest.mark.parametrize(
    "models, words",
    [
        (MODELS[:1], "PyTorch minus TensorFlow is +0.20 points"),
        (MODELS, "over 3 networks and 9 pairs of runs PyTorch minus TensorFlow is +0.200 points"),
    ],
)
def test_other_data(tmp_path: Path, models: Sequence[str], words: str) -> None:
    add_pairs(tmp_path, [0.1, 0.1])
    assert answer.other_data(found(tmp_path)) == []
    for model in models:
        add_pairs(tmp_path, [0.1, 0.2, 0.3], model, dataset="fashion-mnist")
    (sentence,) = answer.other_data(found(tmp_path))
    assert sentence.startswith("on Fashion-MNIST ")
    assert words in sentence
    assert any("**Other data**" in line for line in answer.sentences(found(tmp_path)))
    assert "Over" not in answer.accuracy(found(tmp_path))


def test_the_faster_framework_is_named_with_its_percentage(tmp_path: Path) -> None:
    """120 over 100 and 125 over 100 images a second: 22 % in the geometric mean."""
    add_session(tmp_path, [(100.0, 120.0), (100.0, 125.0), (100.0, 122.5)])
    text = answer.training(found(tmp_path))
    assert text.startswith("TensorFlow trains 22 % faster on average ")
    assert "on average over all 3 networks measured" in text
    assert text.endswith("; by network 20 to 25 %.")


def test_less_memory_is_named_with_its_percentage(tmp_path: Path) -> None:
    add_session(tmp_path, [(80.0, 100.0), (80.0, 101.0), (81.0, 100.0)], quantity="memory")
    text = answer.memory(found(tmp_path))
    assert text.startswith("PyTorch takes 20 % less on average over all 3 networks measured (95 % ")
    assert "80 MiB in PyTorch and 100 MiB in TensorFlow" in text


def test_frameworks_that_lead_by_turns_are_counted(tmp_path: Path) -> None:
    add_session(tmp_path, [(100.0, 130.0), (130.0, 100.0), (100.0, 101.0)])
    text = answer.training(found(tmp_path))
    assert text.startswith(
        "undecided on average over all 3 networks measured: PyTorch over TensorFlow is 0.997 (0.519 to 1.913)"
    )
    assert text.endswith(
        "By network: TensorFlow trains 1 to 30 % faster in 2 of 3 networks (`tf-model-1` 30 %, "
        "`under-5k` 1 %), "
        "PyTorch trains 30 % faster in 1 of 3 networks (`nextjournal`)."
    )


def test_a_narrow_interval_with_1_in_it_has_none_ahead(tmp_path: Path) -> None:
    add_session(tmp_path, [(100.0, 101.0), (101.0, 100.0), (100.0, 100.5)])
    assert answer.training(found(tmp_path)).startswith("neither is ahead on average over all 3 networks")


def test_the_short_answer_has_only_what_is_certain(tmp_path: Path) -> None:
    models = ("tf-model-1", "nextjournal", "under-5k")
    assert answer.in_short(found(tmp_path)) == []
    for model in models:
        add_pairs(tmp_path, [0.01, -0.01, 0.01, -0.01], model)
    extent = "Measured on MNIST with networks of 4,838 to 101,770 parameters"
    assert answer.in_short(found(tmp_path)) == [f"{EQUAL}. {extent}."]
    add_session(tmp_path, [(100.0, 130.0), (100.0, 130.0), (100.0, 131.0)])
    for model, rate in zip(models, (2.0, 2.2, 2.1), strict=True):
        rows = [timing_row("predict", "batch 1", rate, framework="pytorch", model=model)]
        rows.append(timing_row("predict", "batch 1", 1.0, framework="tensorflow", model=model))
        store.append_rows(tmp_path, "speed.csv", rows)
    (sentence,) = answer.in_short(found(tmp_path))
    assert "PyTorch predicts single images faster; TensorFlow trains faster. " in sentence
    assert sentence.endswith(
        f"{extent}, times and memory on a CPU: nothing is known here of GPUs and of larger networks."
    )
    assert cells.enumerated(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    "pairs, words",
    [
        ([(100.0, 130.0), (130.0, 100.0), (100.0, 101.0)], "; which one trains faster differs by network"),
        (
            [(100.0, 130.0), (100.0, 100.0), (100.0, 100.0)],
            "; TensorFlow trains faster in 1 of 3 networks, the others are undecided",
        ),
        ([(100.0, 101.0), (101.0, 100.0), (100.0, 100.5)], ""),  # neither is ahead
        ([(100.0, 150.0)], ""),  # of one network there is no average
    ],
)
def test_the_short_answer_names_what_is_undecided(
    tmp_path: Path, pairs: list[tuple[float, float]], words: str
) -> None:
    for model in MODELS:
        add_pairs(tmp_path, [0.01, -0.01, 0.01, -0.01], model)
    add_session(tmp_path, pairs)
    (sentence,) = answer.in_short(found(tmp_path))
    assert sentence.startswith(f"{EQUAL}{words}. ")


def test_an_inexact_clock_withholds_the_mean_and_its_network(tmp_path: Path) -> None:
    add_session(tmp_path, [(100.0, 120.0), (100.0, 125.0)], clock=(1.0, 2.0, 1.0))
    text = answer.training(found(tmp_path))
    assert text == (
        "undecided: the average over all 2 networks measured is too noisy to compare "
        "(one framework against itself: ±26 %), as is each network "
        "(ahead by the mean ratio: TensorFlow in 2)."
    )


def test_where_the_mean_is_too_noisy_the_networks_that_are_not_name_the_faster_framework(
    tmp_path: Path,
) -> None:
    add_session(tmp_path, [(100.0, 150.0)])
    for model, pair in zip(MODELS[1:], ((100.0, 101.0), (101.0, 100.0)), strict=True):
        for framework, value in zip(FRAMEWORKS, pair, strict=True):
            noisy = aa_rows([3 * value, value, 2 * value], [value] * 3, model=model, framework=framework)
            store.append_rows(tmp_path, "speed.csv", noisy)
    text = answer.training(found(tmp_path))
    assert text.startswith(
        "TensorFlow trains 50 % faster in 1 of 3 networks (`tf-model-1`); the other 2 are too noisy for "
        "a ratio (ahead by the mean ratio: TensorFlow in 1, PyTorch in 1). The average over all 3 networks "
        "measured is too noisy to compare "
    )


def test_the_mean_and_the_networks_measured_exactly_enough_are_told_apart(tmp_path: Path) -> None:
    add_session(tmp_path, [(80.0, 100.0), (80.0, 101.0)], quantity="memory")
    noisy = aa_rows([200.0, 50.0, 100.0], [50.0, 200.0, 100.0], quantity="memory", model=MODELS[2])
    store.append_rows(tmp_path, "speed.csv", noisy)
    exact = aa_rows([101.0] * 3, [101.0] * 3, quantity="memory", model=MODELS[2], framework="tensorflow")
    store.append_rows(tmp_path, "speed.csv", exact)
    text = answer.memory(found(tmp_path))
    assert "on average over all 3 networks measured" in text
    assert (
        "PyTorch takes 20 to 21 % less in 2 of 3 networks (`tf-model-1` 20 %, `nextjournal` 21 %); "
        "the other one is too noisy for a ratio (ahead by the mean ratio: PyTorch in 1)." in text
    )


def test_single_images_of_the_last_session_with_both_frameworks(tmp_path: Path) -> None:
    """2 and 8 times as fast are 4 times in the geometric mean."""

    def rates(model: str, first: float, second: float | None, session: str) -> None:
        pair = {"pytorch": first, "tensorflow": second}
        rows = [
            timing_row("predict", "batch 1", value, framework=name, model=model, session=session)
            for name, value in pair.items()
            if value
        ]
        store.append_rows(tmp_path, "speed.csv", rows)

    rates("tf-model-1", 100.0, 100.0, "2026-01-01T00:00:00+00:00")
    rates("tf-model-1", 200.0, 100.0, "2026-01-02T00:00:00+00:00")
    rates("tf-model-1", 900.0, None, "2026-01-03T00:00:00+00:00")
    rates("under-5k", 800.0, 100.0, "2026-01-02T00:00:00+00:00")
    text = answer.prediction(found(tmp_path))
    assert text.startswith(
        "PyTorch predicts single images 4.0 times as fast on average over 2 networks (95 % "
    )
    assert "; by network 2.0 to 8.0 times; medians of many calls" in text


def test_start_up_of_one_network_in_both_frameworks(tmp_path: Path) -> None:
    for model, framework, seconds in (
        ("speedrun", "pytorch", 2.04),
        ("speedrun", "tensorflow", 4.26),
        ("tf-model-1", "tensorflow", 9.0),
    ):
        row = timing_row("start", "first step", seconds, framework=framework, model=model)
        store.append_rows(tmp_path, "speed.csv", [row])
    text = answer.start_up(found(tmp_path))
    assert "`speedrun` takes 2.0 s in PyTorch and 4.3 s in TensorFlow." in text
    assert "tf-model-1" not in text
    for framework, seconds in (("pytorch", 2.5), ("tensorflow", 4.0)):
        row = timing_row("start", "plain step", seconds, framework=framework, model="speedrun")
        store.append_rows(tmp_path, "speed.csv", [row])
    assert answer.start_up(found(tmp_path)).endswith(
        "4.3 s in TensorFlow (the shortest program 2.5 s in PyTorch and 4.0 s in TensorFlow)."
    )


def test_own_defaults(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), all=(99.2, 98.9))
    text = answer.defaults(found(tmp_path))
    assert "+0.30 points (95 % " in text
    assert "for `under-5k`, the only network measured in both; the interval is adjusted" in text
    assert text.startswith("PyTorch is higher with each framework's own initialisation")
    assert "alone" not in text


def test_own_defaults_that_differ_in_one_network_are_not_told_of_all(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), all=(99.2, 98.9))
    add_variants(tmp_path, model="speedrun", none=(99.0, 99.0), all=(99.0, 99.0))
    text = answer.defaults(found(tmp_path))
    assert text.startswith("PyTorch is higher in 1 of 2 networks with each framework's own initialisation")


def test_own_defaults_name_the_largest_certain_difference(tmp_path: Path) -> None:
    add_variants(tmp_path, model="speedrun", none=(99.0, 99.0), all=(99.2, 98.9))
    add_variants(tmp_path, model="under-5k", none=(99.0, 99.0), all=(98.9, 99.1))
    add_variants(tmp_path, model="tf-model-1", none=(99.0, 99.0), all=(99.0, 99.0))
    text = answer.defaults(found(tmp_path))
    assert text.startswith(
        "PyTorch is higher in 1 of 3 networks and TensorFlow in 1 with each framework's own"
    )
    assert "for `speedrun`, the largest certain difference of 3 networks" in text


def test_own_defaults_of_one_seed_have_no_interval(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=1, none=(99.0, 99.0), all=(99.2, 98.9))
    text = answer.defaults(found(tmp_path))
    assert text.startswith("too few seeds for an interval with each framework's own initialisation")
    assert text.endswith("is +0.30 points for `under-5k`, the only network measured in both.")


def test_the_part_that_makes_most_of_the_difference_is_named(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.1, 99.0), norm=(99.0, 98.6), optimizer=(99.0, 99.0))
    add_variants(tmp_path, all=(99.1, 98.6))
    text = answer.defaults(found(tmp_path))
    assert (
        "; normalisation alone makes +0.40 points (95 % +0.40 to +0.40); all intervals are adjusted" in text
    )


def test_each_subject_that_was_not_measured_is_named_with_its_command(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01])
    accuracy, *others = answer.sentences(found(tmp_path))
    assert accuracy.startswith("**Accuracy**")
    assert len(others) == 5
    assert all("python -m common.bench" in line for line in others)


def test_without_pairs_there_is_no_answer(tmp_path: Path) -> None:
    assert answer.block(found(tmp_path)) == ""


def test_the_terminal_has_no_marks_of_markdown() -> None:
    assert answer.plain("**A**: `b` [c](d.md)") == "A: b c"


def colours(axes: Axes) -> set[str]:
    return {to_hex(str(line.get_color())).upper() for line in axes.lines if line.get_marker() == "o"}


def test_a_point_has_the_colour_of_the_better_framework(tmp_path: Path) -> None:
    for model, difference in zip(MODELS, (0.0, 0.5, -0.5), strict=True):
        add_pairs(tmp_path, [difference + 0.01, difference - 0.01], model)
    add_session(tmp_path, [(120.0, 100.0)] * 3)
    add_session(tmp_path, [(120.0, 100.0)] * 3, quantity="memory")
    accuracy, training, prediction, memory, start = answer_figure.figure(found(tmp_path)).axes
    first, second = (framework.colour.upper() for framework in FRAMEWORKS.values())
    assert colours(accuracy) == {first, second, answer_figure.NEUTRAL.upper()}
    assert colours(training) == {first}
    assert colours(memory) == {second}
    for panel in (prediction, start):
        assert [text.get_text() for text in panel.texts] == ["not measured yet"]


def test_an_interval_longer_than_the_axis_ends_in_arrows(tmp_path: Path) -> None:
    for model, spread in zip(MODELS, (0.01, 0.02, 1.0), strict=True):
        add_pairs(tmp_path, [spread, -spread], model)
    accuracy = answer_figure.figure(found(tmp_path)).axes[0]
    left, right = accuracy.get_xlim()
    assert right < 0.5
    arrows = [line.get_xydata().tolist() for line in accuracy.lines if line.get_marker() in {"<", ">"}]
    assert arrows == [[[left, 2]], [[right, 2]]]


def test_a_point_of_an_inexact_clock_is_hollow_and_has_no_interval(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01])
    add_session(tmp_path, [(120.0, 100.0)], clock=(1.0, 3.0, 0.3))
    training = answer_figure.figure(found(tmp_path)).axes[1]
    assert colours(training) == {answer_figure.NEUTRAL.upper()}
    (point,) = [line for line in training.lines if line.get_marker() == "o"]
    assert point.get_markerfacecolor() == "white"
    (interval,) = [line for line in training.lines if list(line.get_ydata()) == [0, 0]]
    assert len(set(interval.get_xdata())) == 1


def test_machines_and_versions_of_the_times_are_named(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01])
    rows = [timing_row("predict", "batch 1", 1.0, framework=name, machine="a fast machine") for name in PAIR]
    alone = timing_row("predict", "batch 1", 1.0, machine="one that ran PyTorch alone", session="2027")
    store.append_rows(tmp_path, "speed.csv", [*rows, alone])
    (row, _) = rows
    assert answer.block(found(tmp_path)).endswith(
        f"were measured with PyTorch {row.framework_version} and TensorFlow {row.framework_version} on a "
        f"fast machine, no GPU used. {answer.WORDS}"
    )
