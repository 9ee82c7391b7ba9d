"""Files of a user in the current folder are no modules of a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.frameworks import FRAMEWORKS, ROOT

NETWORK = """from helper import WIDTH
from common.model import Adam, Dense, Flatten, ModelSpec, Recipe
NETWORK = ModelSpec("mine", (Flatten(), Dense(WIDTH)))
RECIPE = Recipe(Adam(), lr=1e-3, batch_size=500, epochs=2)
"""
SHADOW = "raise SystemExit('a file of the user')\n"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in the folder of a user."""
    command, environment = [sys.executable, *words], os.environ | {"PYTHONPATH": str(ROOT)}
    options: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, cwd=folder, env=environment, check=False, **options)


@pytest.mark.parametrize("module", ["bench", "check", "report", "port", "demo"])
def test_files_with_the_names_of_modules_are_not_imported(module: str, tmp_path: Path) -> None:
    for name in ("copy", "random", "queue", "select", "dataclasses", "numpy"):
        (tmp_path / f"{name}.py").write_text(SHADOW)
    ended = run(tmp_path, "-m", f"common.{module}", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_nor_are_they_in_the_processes_of_the_port(framework: str, tmp_path: Path) -> None:
    """Which end with their standard input."""
    for name in ("copy", "random", "queue"):
        (tmp_path / f"{name}.py").write_text(SHADOW)
    ended = run(tmp_path, "-m", f"backends.{framework}.port")
    assert ended.returncode == 0
    assert "a file of the user" not in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "common.bench", "compare", "net.py", "--dry-run"),
        ("-m", "common.check", "--models", "net.py"),
        (str(ROOT / "pytorch.py"), "--model", "net.py"),
    ],
    ids=str,
)
def test_a_network_that_imports_its_neighbour_is_refused_everywhere(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "helper.py").write_text("WIDTH = 10\n")
    (tmp_path / "net.py").write_text(NETWORK)
    ended = run(tmp_path, *words)
    assert ended.returncode == 2
    assert "net.py, line 1: ModuleNotFoundError: No module named 'helper'." in ended.stderr
    assert ended.stderr.count("\n") == 1
