"""Two processes and a small network: each difference is found in its stage, with its cause; and the port of
docs/port.md."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from support import ports
from support.ports import causes

from common.frameworks import ROOT
from common.messages import InputError
from common.port import __main__ as command
from common.port.check import STAGES, Question
from common.port.run import compare
from common.port.workers import Workers

pytestmark = pytest.mark.slow


@pytest.fixture
def commands(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line uses the processes of the module."""
    monkeypatch.setattr(command, "Workers", lambda **_: contextlib.nullcontext(workers))


def test_the_same_network_agrees_in_both_precisions(workers: Workers, tmp_path: Path) -> None:
    left, right = ports.write(tmp_path)
    report = compare(workers, Question(left=left, right=right))
    assert report.agree
    assert causes(report) == []
    assert causes(report, inherent=True) == [("statistics", "batchnorm-variance")]
    assert {(row.stage, row.precision) for row in report.rows} == {
        (stage, precision) for stage in STAGES for precision in ("float64", "float32")
    }
    assert not report.skipped


HEAD = "self.fc2(F.leaky_relu(self.fc1(x), 0.2))"
SGD, KERAS_SGD = "torch.optim.SGD(parameters, lr=0.1)", "keras.optimizers.SGD(0.1)"
SPARSE = "SparseCategoricalCrossentropy(from_logits=True)"
BUNDLES: list[tuple[ports.Changes, ports.Changes, list[tuple[str, str]]]] = [
    (
        {
            "stride=2, padding=0": "stride=2, padding=1",
            "self.conv1(x)": "self.conv1(x / 255)",
            "F.gelu(self.conv2(x))": 'F.gelu(self.conv2(x), approximate="tanh")',
            "CrossEntropyLoss()": "CrossEntropyLoss(label_smoothing=0.1)",
            SGD: "torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True)",
        },
        {
            "strides=2)": 'strides=2, padding="same")',
            "BatchNormalization()": "BatchNormalization(epsilon=1e-5, momentum=0.9)",
            "layers.Dense(12)": "layers.Dense(12, use_bias=False)",
            KERAS_SGD: "keras.optimizers.SGD(0.01, momentum=0.9)",
        },
        [
            ("weights", "missing-bias"),
            ("forward", "input-scaling"),
            ("forward", "padding-same-stride"),
            ("forward", "batchnorm-epsilon"),
            ("forward", "gelu-approximation"),
            ("statistics", "batchnorm-momentum"),
            ("loss", "label-smoothing"),
            ("optimizer", "learning-rate"),
            ("optimizer", "nesterov"),
        ],
    ),
    (
        {
            "F.relu(self.bn1(": "F.silu(self.bn1(",
            "F.gelu(self.conv2(x)), 2)": "F.gelu(self.conv2(x)), 3, 2, 1)",
            "self.drop(x.flatten(1))": "F.dropout(x.flatten(1), 0.3)",
            HEAD: f"F.softmax({HEAD.replace('0.2', '0.01')}, 1)",
            SGD: "torch.optim.Adam(parameters, weight_decay=0.01)",
        },
        {
            "MaxPooling2D(2)": 'MaxPooling2D(3, 2, padding="same")',
            SPARSE: 'SparseCategoricalCrossentropy(from_logits=True, reduction="sum")',
            KERAS_SGD: "keras.optimizers.AdamW(weight_decay=0.01, global_clipnorm=1.0)",
            "Dropout(0.3)": "Dropout(0.4)",
        },
        [
            ("forward", "dropout-active"),
            ("forward", "activation"),
            ("forward", "pooling-padding"),
            ("forward", "leaky-relu-slope"),
            ("forward", "softmax-output"),
            ("statistics", "dropout-kind"),
            ("loss", "loss-reduction"),
            ("optimizer", "weight-decay-kind"),
            ("optimizer", "gradient-clipping"),
            ("optimizer", "optimizer-epsilon"),
        ],
    ),
    (
        {"F.gelu(self.conv2(x))": "F.gelu(self.conv2(x)).flip(2)", "0.2)": "0.01)"},
        {"strides=2)": 'strides=2, activation="relu")'},
        [("forward", "activation"), ("forward", "unknown"), ("forward", "leaky-relu-slope")],
    ),
    (
        {f"return {HEAD}": f"return F.log_softmax({HEAD}, 1)", "CrossEntropyLoss()": "NLLLoss()"},
        {
            "layers.Dense(10)": 'layers.Dense(10, activation="softmax")',
            SPARSE: SPARSE.replace("True", "False"),
        },
        [("forward", "softmax-output")],
    ),
    (
        {"F.gelu(self.conv2(x))": "F.gelu(self.conv2(x)) * torch.rand(())"},
        {},
        [("forward", "unknown")],  # not even the same as itself
    ),
    (
        {"self.conv1(x)": "self.conv1(x / 255)", "padding=0": "padding=1"},
        {"layers.Conv2D(4, 3": "layers.ZeroPadding2D(1), layers.Conv2D(4, 3"},
        [("forward", "input-scaling")],
    ),
]


@pytest.mark.parametrize("bundle", range(len(BUNDLES)))
def test_all_differences_are_found_in_one_run(workers: Workers, tmp_path: Path, bundle: int) -> None:
    pytorch, keras, expected = BUNDLES[bundle]
    left, right = ports.write(tmp_path, pytorch=pytorch, keras=keras)
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert causes(report) == expected
    for finding in report.findings:
        assert finding.difference > finding.floor
        assert finding.cause == "unknown" or all(finding.fix.values())
    assert ("training" in report.skipped) == (("forward", "unknown") in expected)


def test_without_a_loss_both_precisions_are_compared(workers: Workers, tmp_path: Path) -> None:
    left, right = ports.write(
        tmp_path,
        pytorch={"loss = nn.CrossEntropyLoss()": ""},
        keras={f"loss = keras.losses.{SPARSE}": ""},
    )
    report = compare(workers, Question(left=left, right=right))
    assert report.agree
    assert {row.precision for row in report.rows if row.stage == "gradient"} == {"float64", "float32"}
    assert set(report.skipped) == {"loss"}


def test_layers_that_work_in_place_are_computed_on_a_copy_where_they_are_left_out(
    workers: Workers, tmp_path: Path
) -> None:
    """Dropout is off in every stage, and a function that one side alone has is its cause."""
    left, right = ports.write(
        tmp_path,
        pytorch={
            "nn.Dropout(0.3)": "nn.Dropout(0.3, inplace=True)",
            HEAD: HEAD.replace("0.2", "0.2, inplace=True"),
        },
    )
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert report.agree
    floors = {row.where: row.floor for row in report.rows if row.stage in ("statistics", "gradient")}
    del floors["conv1.bias / conv2d.bias"]  # before a normalisation it has no gradient but rounding
    assert max(floors.values()) < 1e-9
    left, right = ports.write(tmp_path, pytorch={"F.gelu(self.conv2(x))": "F.relu_(F.gelu(self.conv2(x)))"})
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert causes(report) == [("forward", "activation")]


FLAT_TORCH = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(14 * 14, 10))
"""
FLAT_KERAS = """
import keras

def build():
    return keras.Sequential([keras.Input((14, 14)), keras.layers.Flatten(), keras.layers.Dense(10)])
"""


def test_images_without_an_axis_of_channels_are_the_same_on_both_sides(
    workers: Workers, tmp_path: Path
) -> None:
    left, right = tmp_path / "flat_torch.py", tmp_path / "flat_keras.py"
    left.write_text(FLAT_TORCH)
    right.write_text(FLAT_KERAS)
    question = Question(left=f"{left}:build", right=f"{right}:build", precisions=("float64",))
    report = compare(workers, question)
    assert report.agree
    assert not report.findings


def test_what_is_in_another_order_is_no_difference(workers: Workers, tmp_path: Path) -> None:
    """ReLU before or after pooling, and a Flatten whose order the next kernel takes in."""
    left, right = ports.write(
        tmp_path,
        pytorch={"x.flatten(1)": "x.permute(0, 2, 3, 1).flatten(1)", "F.gelu": "F.relu"},
        keras={
            'padding="same", activation="gelu")': 'padding="same")',
            "layers.MaxPooling2D(2)": "layers.MaxPooling2D(2), layers.ReLU()",
        },
    )
    report = compare(workers, Question(left=left, right=right, precisions=("float64",)))
    assert report.agree
    assert causes(report) == []


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


PAGE = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples" / "port"


def test_the_example_differs_as_the_page_says(
    commands: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{EXAMPLES / 'net_torch.py'}:Net", f"{EXAMPLES / 'net_keras.py'}:build"]
    files = ["--json", str(tmp_path / "port.json"), "--plot", str(tmp_path / "port.png")]
    assert command.main([*words, *files, "--precision", "float64"]) == 1
    output = capsys.readouterr().out
    told = re.findall(r"^\d\. ([\w-]+ \(\w+, float64\))|^   (\w+: .*)$", PAGE, re.MULTILINE)
    assert len(told) == 12
    assert all(a in output and b in output for a, b in told)
    written = json.loads((tmp_path / "port.json").read_text())
    assert not written["agree"]
    assert {finding["cause"] for finding in written["findings"] if finding["inherent"]} == {
        "batchnorm-variance",
        "momentum-learning-rate",
    }
    assert all(set(finding["fix"]) == {"pytorch", "keras"} for finding in written["findings"])
    assert (tmp_path / "port.png").read_bytes().startswith(b"\x89PNG")


def test_the_example_agrees_with_the_lines_of_the_page(
    commands: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"```text\n(layers.*?)```", PAGE, re.DOTALL)
    assert block
    padding, norm, head = block[1].strip().splitlines()
    text = (EXAMPLES / "net_keras.py").read_text(encoding="utf-8")
    for old, new in (
        ('layers.Conv2D(16, 3, strides=2, padding="same"),', padding),
        ("layers.BatchNormalization(),", norm),
        ('layers.Dense(10, activation="softmax"),', head),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mended.py").write_text(text)
    words = [f"{EXAMPLES / 'net_torch.py'}:Net", f"{tmp_path / 'mended.py'}:build"]
    assert command.main([*words, "--precision", "float64"]) == 0
    assert "agree but for what is inherent" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, reason",
    [
        (["none.py:Net", "none.py:build"], "does not exist"),
        (["net_torch.py", "net_keras.py:build"], "FILE.py:NAME"),
        (["net_torch.py:Net", "net_keras.py:build", "--weights", "net_torch.py"], "must end with .pt"),
        (["net_torch.py:Net", "net_keras.py:build", "--weights", "whole.pt"], "no state_dict"),
        (["net_torch.py:Net", "net_keras.py:build", "--batch", "net_torch.py"], "no .npz file"),
        (["net_torch.py:Net", "net_keras.py:build", "--batch", "batch.npz"], "[4, 1, 9, 9]"),
        (["net_torch.py:Net", "net_keras.py:build", "--json", "none/port.json"], "no folder"),
    ],
)
def test_a_bad_command_is_one_line_and_status_2(
    commands: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    reason: str,
) -> None:
    ports.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    np.savez("batch.npz", x=np.zeros((4, 1, 9, 9)), y=np.zeros(4, int))
    Path("whole.pt").write_bytes(b"\x80\x02cmodule\nClass\nq\x00.")
    with pytest.raises(SystemExit) as ended:
        command.main([str(tmp_path / word) if word.endswith((":Net", ":build")) else word for word in words])
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert reason in error
    assert "Traceback" not in error
