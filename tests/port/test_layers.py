"""Pairs of a few layers, each a case that ports meet: what agrees, and what is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.ports import causes, saved

from common.port.check import Question
from common.port.run import compare
from common.port.workers import Workers

pytestmark = pytest.mark.slow


def two_files(folder: Path, pytorch: str, keras: str, *, after: tuple[str, str] = ("", "")) -> Question:
    """A comparison in double precision of two lists of layers; `after` is further code of each file."""
    left, right = saved(
        folder,
        f"from torch import nn\n\ndef build():\n    return nn.Sequential({pytorch})\n{after[0]}",
        "import keras\nfrom keras import layers\n\n"
        f"def build():\n    return keras.Sequential([{keras}])\n{after[1]}",
        name="build",
    )
    return Question(left=left, right=right, precisions=("float64",))


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


@pytest.mark.parametrize(
    "pytorch, keras",
    [
        (
            "nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 36, 4)",
            "keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(3, 3), layers.Flatten(), "
            "layers.Dense(4)",
        ),
        (
            "nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3, eps=1e-3, momentum=0.01), nn.Flatten(), nn.Linear(18, 4)",
            "keras.Input((8, 2)), layers.Conv1D(3, 3), parity.BatchNormalization(), layers.Flatten(), "
            "layers.Dense(4)",
        ),
    ],
    ids=["Rescaling, whose scale Keras holds in single precision", "unbiased variance of sequences"],
)
def test_equal_models_agree(pytorch: str, keras: str, workers: Workers, tmp_path: Path) -> None:
    question = two_files(tmp_path, pytorch, keras)
    left, right = tmp_path / "net_torch.py", tmp_path / "net_keras.py"
    if "Rescaling" in keras:
        text = left.read_text().replace("nn.Sequential(", "nn.Sequential(Scaled(), ")
        scaled = "class Scaled(nn.Module):\n    def forward(self, x):\n        return x / 255\n"
        left.write_text(text.replace("import nn\n", f"import nn\n\n{scaled}"))
    right.write_text("from backends.tensorflow import parity\n" + right.read_text())
    report = compare(workers, question)
    assert report.agree
    assert not report.findings


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("losses", [True, False])
def test_maps_are_compared_with_labels_in_the_layout_of_each_side(
    workers: Workers, tmp_path: Path, channels: int, losses: bool
) -> None:
    after = ("loss = nn.MSELoss()", "loss = keras.losses.MeanSquaredError()") if losses else ("", "")
    question = two_files(
        tmp_path,
        f"nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, {channels}, 3, padding=1)",
        "keras.Input((6, 6, 1)), layers.Conv2D(4, 3, padding='same', activation='relu'), "
        f"layers.Conv2D({channels}, 3, padding='same')",
        after=after,
    )
    report = compare(workers, question)
    assert report.agree
    assert not report.findings
    assert {row.stage for row in report.rows} >= {"gradient", *(["loss"] if losses else [])}


def test_a_loss_of_tokens_that_takes_probabilities_is_found(workers: Workers, tmp_path: Path) -> None:
    """It is not described for outputs (N, T, V), and ends no command."""
    after = (
        "def loss(outputs, labels):\n    return nn.functional.cross_entropy(outputs.mT, labels.long())",
        "loss = keras.losses.SparseCategoricalCrossentropy()",
    )
    keras = "keras.Input((5, 3)), layers.Dense(4)"
    question = two_files(tmp_path, "nn.Linear(3, 4)", keras, after=after)
    random = np.random.default_rng(0)
    batch = {"x": random.normal(size=(8, 5, 3)), "y": random.integers(0, 4, (8, 5))}
    report = compare(workers, dataclasses.replace(question, **batch))
    assert ("loss", "unknown") in causes(report)


@pytest.mark.parametrize(
    "pytorch, keras, found",
    [
        (
            "nn.Conv2d(3, 3, 3, stride=2, padding=1, groups=3), nn.Flatten(), nn.Linear(3 * 16, 4)",
            "keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3, strides=2, padding='same'), "
            "layers.Flatten(), layers.Dense(4)",
            [("forward", "padding-same-stride")],
        ),
        (
            "nn.Linear(5, 8), nn.ReLU6(), nn.Linear(8, 4)",
            "keras.Input((5,)), layers.Dense(8), layers.ReLU(), layers.Dense(4)",
            [("forward", "activation")],
        ),
        (
            "nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 6), nn.Linear(6, 4)",
            "keras.Input((5,)), layers.Dense(8), layers.Dense(6), layers.Dropout(0.5), layers.Dense(4)",
            [("statistics", "dropout-kind"), ("statistics", "dropout-kind")],
        ),
        (
            "nn.Conv1d(2, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 8, 4)",
            "keras.Input((8, 2)), layers.Conv1D(3, 3, padding='causal'), layers.Flatten(), layers.Dense(4)",
            [("forward", "padding-same-stride")],
        ),
    ],
    ids=["a depthwise kernel", "ReLU6", "a dropout in another place", "causal"],
)
def test_a_difference_is_named(
    pytorch: str, keras: str, found: list[tuple[str, str]], workers: Workers, tmp_path: Path
) -> None:
    report = compare(workers, two_files(tmp_path, pytorch, keras))
    assert causes(report) == found
    if "causal" in keras:
        assert report.findings[0].fix["pytorch"].startswith("nn.ZeroPad1d((2, 0))")


def test_a_layer_that_is_called_twice_keeps_its_inherent_variance_in_both(
    workers: Workers, tmp_path: Path
) -> None:
    left, right = saved(
        tmp_path,
        """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3, eps=1e-3, momentum=0.01)
        self.head = nn.Linear(3 * 16, 4)

    def forward(self, x):
        for _ in range(2):
            x = self.norm(self.conv(x)).relu()
        return self.head(x.flatten(1))
""",
        """
import keras
from keras import layers

def build():
    x = inputs = keras.Input((4, 4, 3))
    conv, norm = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()
    for _ in range(2):
        x = keras.ops.relu(norm(conv(x)))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))
""",
    )
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert report.agree
    assert {finding.cause for finding in report.findings} == {"batchnorm-variance"}


def test_a_forgotten_momentum_has_its_line(workers: Workers, tmp_path: Path) -> None:
    keras = "keras.Input((5,)), layers.Dense(4)"
    optimizers = (
        "import torch\ndef optimizer(parameters):\n    return torch.optim.SGD(parameters, 0.1, momentum=0.9)",
        "def optimizer():\n    return keras.optimizers.SGD(0.1)",
    )
    report = compare(workers, two_files(tmp_path, "nn.Linear(5, 4)", keras, after=optimizers))
    (finding,) = (finding for finding in report.findings if not finding.inherent)
    assert (finding.cause, finding.where) == ("unknown", "SGD / SGD (momentum)")
    assert finding.fix == {"pytorch": "momentum=0.0", "keras": "momentum=0.9"}


def test_parallel_branches_are_paired_whatever_the_order_of_their_calls(
    workers: Workers, tmp_path: Path
) -> None:
    """A functional Keras model calls layers by their depth, so the shorter branch begins later."""
    left, right = saved(
        tmp_path,
        """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.other = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.drop = nn.Dropout(0.2)
        self.conv1, self.conv2 = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(3, eps=1e-3, momentum=0.01) for _ in range(2))
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        one, two = self.norm1(self.conv1(x)), self.norm2(self.conv2(x)).relu()
        x = torch.cat([one, two], 1)[:, :3] + one
        x = torch.cat([self.second(self.first(x).relu()), self.drop(self.other(x)).relu()], 1).mean((2, 3))
        q, k, v = self.q(x), self.k(x), self.v(x)
        return self.head(self.drop(q.tanh()) * k.sigmoid() + self.drop(v))
""",
        """
import keras
from keras import layers

def build():
    inputs = keras.Input((5, 5, 3))
    first, second, other = (layers.Conv2D(3, 3, padding="same") for _ in range(3))
    conv1, conv2 = (layers.Conv2D(3, 3, padding="same") for _ in range(2))
    norm1, norm2 = layers.BatchNormalization(), layers.BatchNormalization()
    two = layers.ReLU()(norm2(conv2(inputs)))
    one = norm1(conv1(inputs))
    x = layers.Concatenate()([one, two])[..., :3] + one
    short = layers.ReLU()(layers.Dropout(0.2)(other(x)))
    x = layers.Concatenate()([second(layers.ReLU()(first(x))), short])
    x = keras.ops.mean(x, (1, 2))
    q, k, v = (layers.Dense(6) for _ in range(3))
    x = layers.Dropout(0.2)(keras.ops.tanh(q(x))) * keras.ops.sigmoid(k(x)) + layers.Dropout(0.2)(v(x))
    return keras.Model(inputs, layers.Dense(4)(x))
""",
    )
    report = compare(workers, Question(left=left, right=right))
    assert report.agree
    assert {finding.cause for finding in report.findings} <= {"batchnorm-variance"}


@pytest.mark.parametrize(
    "pytorch, keras",
    [
        ("nn.Hardtanh(0, 6)", "layers.ReLU(max_value=6)"),
        ("nn.LeakyReLU(1 / 3)", "layers.LeakyReLU(negative_slope=1 / 3)"),
    ],
)
def test_an_activation_with_another_name_is_no_difference(
    workers: Workers, tmp_path: Path, pytorch: str, keras: str
) -> None:
    question = two_files(
        tmp_path,
        f"nn.Linear(5, 8), {pytorch}, nn.Linear(8, 4)",
        f"keras.Input((5,)), layers.Dense(8), {keras}, layers.Dense(4)",
    )
    report = compare(workers, dataclasses.replace(question, precisions=("float64", "float32")))
    assert report.agree
    assert not report.findings


def test_what_a_forward_pass_makes_has_the_precision_of_the_comparison(
    workers: Workers, tmp_path: Path
) -> None:
    question = two_files(tmp_path, "Shifted(), nn.Linear(5, 4)", "keras.Input((5,)), layers.Dense(4)")
    left = tmp_path / "net_torch.py"
    shifted = "class Shifted(nn.Module):\n    def forward(self, x):\n        return x @ torch.eye(5)\n"
    left.write_text(f"import torch\n{left.read_text()}\n{shifted}")
    assert compare(workers, dataclasses.replace(question, precisions=("float64", "float32"))).agree
