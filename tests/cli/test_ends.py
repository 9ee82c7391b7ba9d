"""Ends that are not a command's own: signals, closed pipes, full devices, ASCII, missing libraries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS, ROOT
from common.tables import store
from common.training import checkpoint

SCRIPTS = [framework.script for framework in FRAMEWORKS.values()]
RECORDER = str(ROOT / "tests" / "support" / "recorder_script.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
RUN = ["--model", "tf-model-1", "--no-accel", "--threads", "1"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and devices of POSIX")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in the project's folder, where $PY is this Python."""
    variables = {**ENVIRONMENT, "PY": sys.executable, "RECORDER": RECORDER, **environment}
    words = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_closed_pipe_ends_a_list_quietly() -> None:
    ended = shell("$PY pytorch.py --list | head -1; $PY -m common.bench --dry-run | head -1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == 2


def test_a_run_whose_reader_ends_is_recorded(tmp_path: Path, mnist: Dataset) -> None:
    ended = shell(f"$PY $RECORDER {' '.join(RUN)} --epochs 2 --results {tmp_path} | head -2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]


@pytest.mark.slow
@full
def test_a_full_device_loses_the_output_alone(tmp_path: Path, mnist: Dataset) -> None:
    ended = shell(f"$PY $RECORDER {' '.join(RUN)} --epochs 1 --results {tmp_path} > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr == "The output cannot be written: No space left on device.\n"
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]
    for command in ("pytorch.py --list", "-m common.check"):
        ended = shell(f"$PY {command} > /dev/full")
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), command


def test_closed_streams_are_no_tables(tmp_path: Path, mnist: Dataset) -> None:
    ended = shell(f"$PY $RECORDER {' '.join(RUN)} --epochs 1 --results {tmp_path} <&- >&- 2>&-")
    assert ended.returncode == 0
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]


@pytest.mark.slow
def test_an_ascii_terminal_gets_ascii() -> None:
    for command in (
        "pytorch.py --list",
        "pytorch.py --model \N{MULTIPLICATION SIGN}",
        "-m common.bench --help",
    ):
        ended = shell(f"$PY {command}", PYTHONIOENCODING="ascii")
        assert "Traceback" not in ended.stderr, command
        assert (ended.stdout + ended.stderr).isascii()
    assert "+/-" in shell("$PY pytorch.py --list", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_framework_is_one_line(script: str, tmp_path: Path, mnist: Dataset) -> None:
    for package in ("torch", "keras"):
        (tmp_path / f"{package}.py").write_text(f'raise ModuleNotFoundError("No module named {package}")')
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    ended = shell(f"$PY {script} --results {tmp_path / 'results'}", PYTHONPATH=path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{script}: No module named ")
    assert ended.stderr.count("\n") == 1


INTERRUPTED = """
import os, runpy, signal, sys
moment, module = sys.argv[1:3]
def interrupt(event, arguments):
    if event in ("import", "open") and str(arguments[0]).endswith(moment):
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
sys.argv = sys.argv[2:]
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["numpy", "common.model.zoo", "results.csv"])
@pytest.mark.parametrize("command", ["bench --dry-run", "check", "report --check"])
def test_ctrl_c_in_a_command_is_one_line(command: str, moment: str) -> None:
    """While it imports its modules, which takes longest, and when it opens a table."""
    words = [sys.executable, "-c", INTERRUPTED, moment, *f"common.{command}".split()]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (130, "Interrupted.\n")


READING = """
import sys, time
from common.cli import main
main.load = lambda *names, **options: time.sleep(600)
main._startup(main.parse("pytorch", ["--model", "tf-model-1"]))
sys.exit(3)
"""


def test_the_end_does_not_wait_for_data() -> None:
    """As while a download hangs: neither Ctrl-C nor a line on bad input may take its minutes."""
    words = [sys.executable, "-c", READING]
    assert subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, timeout=120, check=False).returncode == 3


def in_second_epoch(folder: Path) -> subprocess.Popen[str]:
    """A run whose first epoch has been saved."""
    words = ["--epochs", "5000", "--results", str(folder), "--save-model", str(folder / "model.safetensors")]
    process = subprocess.Popen(
        [sys.executable, RECORDER, *RUN, *words],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_in_training_is_a_row(name: str, tmp_path: Path, mnist: Dataset) -> None:
    """Sent five times, as by somebody impatient. The last whole epoch is saved."""
    process, number = in_second_epoch(tmp_path), signal.Signals[name]
    for _ in range(5):
        process.send_signal(number)
        time.sleep(0.02)
    output, error = process.communicate(timeout=300)
    assert (process.returncode, error) == (128 + number, "")
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["interrupted"]
    last_epoch = tmp_path / "model.last-epoch.safetensors"
    assert checkpoint.read(last_epoch).metadata["epoch"] >= 1
    assert f"python {RECORDER} --resume {last_epoch} --epochs 5000" in output.splitlines()[-1]
    assert not [name for name in os.listdir(tmp_path) if "template-ml" in name or name == "model.safetensors"]


def test_a_killed_run_leaves_its_last_whole_epoch(tmp_path: Path, mnist: Dataset) -> None:
    process = in_second_epoch(tmp_path)
    process.kill()
    process.communicate(timeout=300)
    assert checkpoint.read(tmp_path / "model.last-epoch.safetensors").metadata["epoch"] >= 1
