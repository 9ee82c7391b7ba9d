"""Both scripts as a person runs them: real processes, real frameworks, the real digits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import worker

from common.analysis.frames import read
from common.cli.invocation import parse
from common.cli.requested_job import requested_job
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [framework.script for framework in FRAMEWORKS.values()]
CHECKPOINT = "model.safetensors"
FirstRuns = dict[str, tuple[Path, str]]
scripts = pytest.mark.parametrize("script", SCRIPTS)


def start(script: str, *words: str) -> subprocess.Popen[str]:
    # On a busy machine two threads that wait for each other take many times as long as one.
    command = [sys.executable, str(ROOT / script), "--threads", "1", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(script: str, *words: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    process = start(script, *words)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


@scripts
@pytest.mark.parametrize("flag", ["--help", "--list"])
def test_nothing_slow_is_imported_for_an_answer(script: str, flag: str) -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / script), flag]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0
    assert ("--save-model FILE" if flag == "--help" else "tf-model-1") in ended.stdout
    modules = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "common.cli.main" in modules
    assert not {"torch", "tensorflow", "keras", "pandas", "matplotlib", "cv2", "scipy.special"} & modules


def accuracies(out: str) -> list[str]:
    """Test accuracies that a run prints."""
    return re.findall(r"test loss \S+ accuracy (\S+) %", out)


@pytest.fixture(scope="module")
def first_runs(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> FirstRuns:
    """For each script, the folder with the rows and the checkpoint of a run of one epoch, and its output."""
    runs = {}
    for script in SCRIPTS:
        folder = tmp_path_factory.mktemp("first")
        words = ["--model", "tf-model-1", "--epochs", "1", "--results", str(folder)]
        status, out, error = run(script, *words, "--save-model", str(folder / CHECKPOINT))
        assert (status, error) == (0, "")
        runs[script] = folder, out
    return runs


@pytest.mark.slow
@scripts
def test_a_run_reports_its_progress_and_is_recorded(script: str, first_runs: FirstRuns) -> None:
    folder, out = first_runs[script]
    assert re.search(r"^(pytorch|tensorflow) \S+ on .+, \d+ threads$", out, re.MULTILINE)
    assert re.search(r"^dense1 +Dense\(128\) +128 +100,480$", out, re.MULTILINE)
    assert re.search(r"^tf-model-1 +101,770$", out, re.MULTILINE)
    progress = r"^epoch 1/1  step +\d+/468  loss \S+  accuracy +\S+ %  left 0:\d\d:\d\d$"
    assert len(re.findall(progress, out, re.MULTILINE)) == 5
    final = re.search(r"^epoch 1/1: .*test loss \S+ accuracy (\S+) %", out, re.MULTILINE)
    (row,) = read(folder).runs.to_dict("records")
    assert final
    assert float(final[1]) == pytest.approx(row["accuracy"])
    assert row["accuracy"] > 92
    assert row["framework"] == {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[script]
    assert row["run"] in out
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|", row["commit"])


@pytest.mark.slow
def test_checkpoint_travels_between_the_scripts(first_runs: FirstRuns, tmp_path: Path) -> None:
    """Trained in PyTorch, tested in TensorFlow, trained on there, tested in PyTorch: to the last digit."""
    folder, trained = first_runs["pytorch.py"]
    words = ["--model", "tf-model-1", "--results", str(tmp_path)]
    first, second = str(folder / CHECKPOINT), str(tmp_path / CHECKPOINT)
    _, checked, _ = run("tf.py", *words, "--epochs", "0", "--checkpoint", first)
    assert accuracies(checked) == accuracies(trained)[-1:]
    status, onward, _ = run("tf.py", *words, "--epochs", "2", "--resume", first, "--save-model", second)
    assert status == 0
    _, checked, _ = run("pytorch.py", *words, "--epochs", "0", "--checkpoint", second)
    assert accuracies(checked) == accuracies(onward)[-1:]
    assert list(read(tmp_path).runs["epochs"]) == [0, 2, 0]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process")
@scripts
def test_ctrl_c_is_clean(script: str, mnist: Dataset, tmp_path: Path) -> None:
    # Batches of one make an epoch of 6,000 lines: more than a pipe holds before the signal comes.
    words = ["--model", "tf-model-1", "--batch-size", "1", "--log-interval", "10"]
    process = start(script, *words, "--results", str(tmp_path))
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 1/8  step "):
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert (error, "Interrupted." in out) == ("", True)
    tables = read(tmp_path)
    assert list(tables.runs["status"]) == ["interrupted"]
    assert list(tables.epochs["epoch"]) == [0]


@pytest.mark.slow
@scripts
def test_trace_is_the_first_steps(script: str, mnist: Dataset, tmp_path: Path) -> None:
    """From weights one unit in the last place larger than the shared ones."""
    words = ["--model", "tf-model-1", "--no-accel"]
    framework = {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[script]
    job = requested_job(parse(framework, words))
    plain = list(worker.run(framework, "trace", dataset=mnist, job=job).losses)
    file = tmp_path / "trace.json"
    status, _, error = run(script, *words, "--perturb", "ulp", "--trace", str(file))
    assert (status, error) == (0, "")
    perturbed = json.loads(file.read_text())["losses"]
    assert len(perturbed) == len(plain) == 100
    assert plain[-1] < plain[0] < 3
    assert plain != perturbed
    assert plain == pytest.approx(perturbed, rel=1e-3)
