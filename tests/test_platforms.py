"""The commands on a Python without the modules and functions that Windows lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.data.datasets import Dataset

ROOT = Path(__file__).resolve().parents[1]

# Python imports a module of this name at every start, children's included.
SITECUSTOMIZE = """
import os, signal, sys
for name in ("resource", "fcntl", "pwd", "grp"):
    sys.modules[name] = None
for module, name in ((os, "fork"), (os, "killpg"), (signal, "SIGKILL")):
    if hasattr(module, name):
        delattr(module, name)
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python with `words` as its command line, without what Windows lacks; `folder` is for its own files."""
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (folder / "temporary").mkdir()
    # Without fcntl, filelock takes a file that exists for a lock that is held, and other runs leave theirs.
    changes = {"PYTHONPATH": str(folder), "TMPDIR": str(folder / "temporary"), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ | changes, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["resource", "fcntl", "pwd", "grp"])
def test_the_modules_cannot_be_imported(tmp_path: Path, name: str) -> None:
    assert "ModuleNotFoundError" in run(tmp_path, "-c", f"import {name}").stderr


@pytest.mark.parametrize("words", ["pytorch.py --help", "tf.py --help", "pytorch.py --list", "tf.py --list"])
def test_help_and_list(tmp_path: Path, words: str) -> None:
    finished = run(tmp_path, *words.split())
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "under-5k" in finished.stdout or "--model" in finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["report --check", "report --help", "check --complete", "bench --help", "demo --help"]
)
def test_commands_of_common(tmp_path: Path, words: str) -> None:
    module, flag = words.split()
    finished = run(tmp_path, "-m", f"common.{module}", flag)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("script", ["pytorch.py", "tf.py"])
def test_dry_runs(tmp_path: Path, mnist: Dataset, script: str) -> None:
    finished = run(tmp_path, script, "--dry-run", "--model", "under-5k")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "test loss" in finished.stdout
