"""Pairs of a few layers, each a case that ports meet: what agrees, and what is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ports import causes

from common.port.check import Question
from common.port.run import compare
from common.port.workers import Workers

pytestmark = pytest.mark.slow


def two_files(folder: Path, pytorch: str, keras: str, *, after: tuple[str, str] = ("", "")) -> Question:
    """A comparison in double precision of two lists of layers; `after` is further code of each file."""
    left, right = folder / "net_torch.py", folder / "net_keras.py"
    left.write_text(f"from torch import nn\n\ndef build():\n    return nn.Sequential({pytorch})\n{after[0]}")
    right.write_text(
        "import keras\nfrom keras import layers\n\n"
        f"def build():\n    return keras.Sequential([{keras}])\n{after[1]}"
    )
    return Question(left=f"{left}:build", right=f"{right}:build", precisions=("float64",))


def test_a_compiled_loss_is_the_mean_that_fit_makes_of_it(workers: Workers, tmp_path: Path) -> None:
    keras = "keras.Input((5,)), layers.Dense(3, activation='softmax')"
    compiled = """
plain = build

def build():
    model = plain()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model
"""
    after = "loss = nn.NLLLoss()", compiled
    question = two_files(tmp_path, "nn.Linear(5, 3), nn.LogSoftmax(1)", keras, after=after)
    report = compare(workers, question)
    assert [cause for cause in causes(report) if cause[0] == "loss"] == []
    assert any(row.stage == "loss" for row in report.rows)


def test_sequences_that_are_flattened_in_two_orders_are_no_difference(
    workers: Workers, tmp_path: Path
) -> None:
    question = two_files(
        tmp_path,
        "nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 6, 4)",
        "keras.Input((8, 2)), layers.Conv1D(3, 3, activation='relu'), layers.Flatten(), layers.Dense(4)",
    )
    report = compare(workers, question)
    assert report.agree
    assert not report.findings


def test_maps_of_two_sizes_are_a_finding(workers: Workers, tmp_path: Path) -> None:
    """The rest is compared from PyTorch's map on."""
    question = two_files(
        tmp_path,
        "nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3, eps=1e-3), nn.AdaptiveAvgPool2d(1), "
        "nn.Flatten(), nn.Linear(3, 4)",
        "keras.Input((8, 8, 1)), layers.Conv2D(3, 3, padding='same'), layers.BatchNormalization(), "
        "layers.GlobalAveragePooling2D(), layers.Dense(4)",
    )
    found = [cause for cause in causes(compare(workers, question)) if cause[0] == "forward"]
    assert found == [("forward", "unknown")]


def test_one_output_is_compared_with_labels_in_its_shape(workers: Workers, tmp_path: Path) -> None:
    after = (
        "loss = nn.BCEWithLogitsLoss()",
        "loss = keras.losses.BinaryCrossentropy(from_logits=True)",
    )
    question = two_files(tmp_path, "nn.Linear(5, 1)", "keras.Input((5,)), layers.Dense(1)", after=after)
    report = compare(workers, question)
    assert report.agree
    assert any(row.stage == "loss" for row in report.rows)


def test_an_activation_may_be_a_layer(workers: Workers, tmp_path: Path) -> None:
    question = two_files(
        tmp_path,
        "nn.Linear(5, 4), nn.LeakyReLU(0.2), nn.Linear(4, 3)",
        "keras.Input((5,)), layers.Dense(4, activation=layers.LeakyReLU(0.1)), layers.Dense(3)",
    )
    found = [cause for cause in causes(compare(workers, question)) if cause[0] == "forward"]
    assert found == [("forward", "leaky-relu-slope")]


def test_two_activations_at_the_end_are_not_probabilities_and_logits(
    workers: Workers, tmp_path: Path
) -> None:
    question = two_files(
        tmp_path,
        "nn.Linear(5, 3), nn.Sigmoid()",
        "keras.Input((5,)), layers.Dense(3, activation='softmax')",
    )
    (found,) = [cause for cause in causes(compare(workers, question)) if cause[0] == "forward"]
    assert found != ("forward", "softmax-output")
