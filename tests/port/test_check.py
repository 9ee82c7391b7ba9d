"""Two processes and a small network: each difference is found in its stage, with its cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ports

from common.messages import InputError
from common.port.check import Question, Report
from common.port.run import compare
from common.port.workers import Workers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as both:
        yield both


def causes(report: Report) -> list[tuple[str, str]]:
    return [(finding.stage, finding.cause) for finding in report.findings]


def test_the_same_network_agrees_in_both_precisions(workers: Workers, tmp_path: Path) -> None:
    left, right = ports.write(tmp_path)
    report = compare(workers, Question(left=left, right=right))
    assert report.agree, report.findings
    assert {row.precision for row in report.rows} == {"float64", "float32"}
    assert {row.verdict for row in report.rows} <= {"agrees", "agrees in float32"}


HEAD = "self.fc2(F.leaky_relu(self.fc1(x), 0.2))"
CASES: dict[str, tuple[str, ports.Changes, ports.Changes]] = {
    "batchnorm-epsilon": ("forward", {}, {"BatchNormalization()": "BatchNormalization(epsilon=1e-5)"}),
    "padding-same-stride": (
        "forward",
        {"stride=2, padding=0": "stride=2, padding=1"},
        {"strides=2)": 'strides=2, padding="same")', "MaxPooling2D(2)": "MaxPooling2D(2)"},
    ),
    "activation": ("forward", {}, {'activation="gelu"': "activation=None"}),
    "gelu-approximation": (
        "forward",
        {"F.gelu(self.conv2(x))": 'F.gelu(self.conv2(x), approximate="tanh")'},
        {},
    ),
    "leaky-relu-slope": ("forward", {"0.2)": "0.01)"}, {}),
    "softmax-output": ("forward", {HEAD: f"F.softmax({HEAD}, 1)"}, {}),
    "missing-bias": ("weights", {}, {"layers.Dense(12)": "layers.Dense(12, use_bias=False)"}),
    "input-scaling": ("forward", {"self.conv1(x)": "self.conv1(x / 255)"}, {}),
    "dropout-active": ("forward", {"self.drop(x.flatten(1))": "F.dropout(x.flatten(1), 0.3)"}, {}),
    "pooling-padding": (
        "forward",
        {"F.gelu(self.conv2(x)), 2)": "F.gelu(self.conv2(x)), 3, 2, 1)"},
        {"MaxPooling2D(2)": 'MaxPooling2D(3, 2, padding="same")'},
    ),
    "unknown": ("forward", {"F.gelu(self.conv2(x))": "F.gelu(self.conv2(x)).flip(2)"}, {}),
}


@pytest.mark.parametrize("cause", CASES)
def test_a_difference_is_found_with_its_cause(workers: Workers, tmp_path: Path, cause: str) -> None:
    stage, pytorch, keras = CASES[cause]
    left, right = ports.write(tmp_path, pytorch=pytorch, keras=keras)
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert causes(report) == [(stage, cause)]
    assert report.findings[0].difference > report.findings[0].floor
    assert cause == "unknown" or all(report.findings[0].fix.values())


def test_several_differences_are_all_found(workers: Workers, tmp_path: Path) -> None:
    """Two of them in one layer, one of them explained by nothing."""
    left, right = ports.write(
        tmp_path,
        pytorch={"0.2)": "0.01)", "F.gelu(self.conv2(x))": "F.gelu(self.conv2(x)).flip(2)"},
        keras={
            "strides=2)": 'strides=2, activation="relu")',
            "BatchNormalization()": "BatchNormalization(epsilon=1e-5)",
        },
    )
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    expected = ["activation", "batchnorm-epsilon", "unknown", "leaky-relu-slope"]
    assert causes(report) == [("forward", cause) for cause in expected]


BAD = {
    "without arguments": ({"def __init__(self)": "def __init__(self, width)"}, {}),
    "not an nn.Module": ({"class Net(nn.Module)": "class Net(dict)", "super().__init__()": "return"}, {}),
    "not a keras.Model": ({}, {"return keras.Sequential([": "return list(["}),
    "numbers of outputs": ({f"return {HEAD}": f"return {HEAD}, x"}, {}),
    "conv2 [6, 4, 3, 3] [6] | -": ({}, {"Conv2D(6, 3": "Conv2D(8, 3"}),
    "does not fit": ({"nn.Conv2d(1, 4": "nn.Conv2d(2, 4"}, {}),
    "no callable 'build'": ({}, {"def build": "def built"}),
    "ZeroDivisionError: division by zero (net_keras.py:6)": ({}, {"return keras": "1 / 0; return keras"}),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line(workers: Workers, tmp_path: Path, words: str) -> None:
    pytorch, keras = BAD[words]
    left, right = ports.write(tmp_path, pytorch=pytorch, keras=keras)
    with pytest.raises(InputError) as error:
        compare(workers, Question(left=left, right=right))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
