"""Both scripts as a person runs them: real processes, real frameworks, the real digits."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.analysis.frames import read
from common.data.datasets import Dataset

ROOT = Path(__file__).resolve().parents[2]
scripts = pytest.mark.parametrize("script", ["pytorch.py", "tf.py"])


def start(script: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / script), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(script: str, *words: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    process = start(script, *words)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


@scripts
def test_help_is_instant(script: str) -> None:
    """A third of a second; the best of five, as the machine may be busy."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        status, out, _ = run(script, "--help")
        seconds.append(time.perf_counter() - begun)
        assert status == 0
        assert "--save-model FILE" in out
    assert min(seconds) < 1 / 3


@scripts
def test_default_run_shows_its_course_and_is_recorded(script: str, mnist: Dataset, tmp_path: Path) -> None:
    status, out, error = run(script, "--model", "tf-model-1", "--epochs", "1", "--results", str(tmp_path))
    assert (status, error) == (0, "")
    assert re.search(r"^(pytorch|tensorflow) \S+ on .+, \d+ threads$", out, re.MULTILINE)
    assert re.search(r"^dense1 +Dense\(128\) +128 +100,480$", out, re.MULTILINE)
    assert re.search(r"^tf-model-1 +101,770$", out, re.MULTILINE)
    assert (
        len(
            re.findall(
                r"^epoch 1/1  step +\d+/468  loss \S+  accuracy +\S+ %  left 0:00:0\d$", out, re.MULTILINE
            )
        )
        == 5
    )
    final = re.search(r"^epoch 1/1: .*test loss \S+ accuracy (\S+) %", out, re.MULTILINE)
    (row,) = read(tmp_path).runs.to_dict("records")
    assert final
    assert float(final[1]) == pytest.approx(row["accuracy"])
    assert row["accuracy"] > 92
    assert row["framework"] == {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[script]
    assert row["run"] in out
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|", row["commit"])


def test_checkpoint_travels_between_the_scripts(mnist: Dataset, tmp_path: Path) -> None:
    """Trained in PyTorch, tested in TensorFlow, trained on there, tested in PyTorch: to the last digit."""

    def tested(out: str) -> list[str]:
        return re.findall(r"test loss \S+ accuracy (\S+) %", out)

    common = ["--model", "tf-model-1", "--results", str(tmp_path)]
    first, second = (str(tmp_path / name) for name in ("first.safetensors", "second.safetensors"))
    _, trained, _ = run("pytorch.py", *common, "--epochs", "1", "--save-model", first)
    _, checked, _ = run("tf.py", *common, "--epochs", "0", "--checkpoint", first)
    assert tested(checked) == tested(trained)[-1:]
    status, onward, _ = run("tf.py", *common, "--epochs", "2", "--resume", first, "--save-model", second)
    assert status == 0
    _, checked, _ = run("pytorch.py", *common, "--epochs", "0", "--checkpoint", second)
    assert tested(checked) == tested(onward)[-1:]
    assert list(read(tmp_path).runs["epochs"]) == [1, 0, 2, 0]


@scripts
def test_a_rate_that_explodes_is_recorded(script: str, mnist: Dataset, tmp_path: Path) -> None:
    words = ["--model", "nextjournal", "--epochs", "1", "--lr", "1e30", "--results", str(tmp_path)]
    status, out, error = run(script, *words)
    assert (status, error) == (1, "")
    assert re.search(
        r"^The loss is (nan|inf) at step \d+ of epoch 1: training diverged\.$", out, re.MULTILINE
    )
    assert list(read(tmp_path).runs["status"]) == ["diverged"]


@scripts
def test_ctrl_c_is_clean(script: str, mnist: Dataset, tmp_path: Path) -> None:
    process = start(script, "--model", "examples-cnn", "--log-interval", "10", "--results", str(tmp_path))
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 1/14  step "):
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (error, "Interrupted." in out) == ("", True)
    tables = read(tmp_path)
    assert list(tables.runs["status"]) == ["interrupted"]
    assert list(tables.epochs["epoch"]) == [0]


@scripts
@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_other_precisions_run(script: str, precision: str, mnist: Dataset, tmp_path: Path) -> None:
    words = [
        "--model",
        "under-8k",
        "--dry-run",
        "--precision",
        precision,
        "--results",
        str(tmp_path / "none"),
    ]
    status, out, error = run(script, *words)
    assert (status, error) == (0, "")
    losses = [float(text) for text in re.findall(r"loss (\S+)", out)]
    assert losses
    assert all(1 < loss < 4 for loss in losses)
    assert not (tmp_path / "none").exists()


@scripts
def test_clothes_train_too(script: str, tmp_path: Path) -> None:
    """Fashion-MNIST, real: fetched where it is not in the cache yet."""
    words = [
        "--dataset",
        "fashion-mnist",
        "--model",
        "tf-model-1",
        "--epochs",
        "1",
        "--results",
        str(tmp_path),
    ]
    status, _, error = run(script, *words)
    assert (status, error) == (0, "")
    (row,) = read(tmp_path).runs.to_dict("records")
    assert row["dataset"] == "fashion-mnist"
    assert 75 < row["accuracy"] < 90


@scripts
def test_trace_is_the_first_steps_and_no_run(script: str, mnist: Dataset, tmp_path: Path) -> None:
    """From the shared start and from one a rounding away."""
    losses = {}
    for perturb in ((), ("--perturb", "ulp")):
        file = tmp_path / "trace.json"
        status, _, error = run(script, "--model", "tf-model-1", *perturb, "--trace", str(file))
        assert (status, error) == (0, "")
        losses[perturb] = json.loads(file.read_text())["losses"]
    plain, other = losses.values()
    assert len(plain) == 100
    assert plain[-1] < plain[0] < 3
    assert plain != other
    assert plain == pytest.approx(other, rel=1e-3)
