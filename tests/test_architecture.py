"""Imports point down, no framework in common/, and files stay short."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("common/**/*.py"), ROOT / "pytorch.py", ROOT / "tf.py"])
LONGEST = {"tf.py": 710, "pytorch.py": 520}


def contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the contracts of pyproject.toml in `folder`."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_contracts_hold() -> None:
    done = contracts(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "file, line, contract",
    [
        ("common/demo/page/inner/deep.py", "import torch", "imports a framework"),
        (
            "common/analysis/deep/deeper/deepest.py",
            "def f():\n    from tensorflow import nn",
            "imports a framework",
        ),
        ("common/data/upward.py", "from common.training import run", "Arrows point down"),
        ("common/report/sideways.py", "from common.bench import tasks", "never imports the bench"),
    ],
)
def test_a_broken_contract_is_reported(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """Also three folders deep and inside a function."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "common", tmp_path / "common")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in path.relative_to(tmp_path).parents:
        (tmp_path / folder / "__init__.py").touch()
    path.write_text(f"{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == 1
    broken = [row for row in done.stdout.splitlines() if "BROKEN" in row]
    assert any(contract in row for row in broken), done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST.get(path.name, 400)


@pytest.mark.parametrize("script", ["pytorch.py", "tf.py"])
@pytest.mark.parametrize("flag", ["--help", "--list"])
def test_help_and_zoo_import_no_framework(script: str, flag: str) -> None:
    """Asked of the interpreter itself, which lists every module it loads."""
    command = [sys.executable, "-X", "importtime", str(ROOT / script), flag]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "common" in loaded
    assert not loaded & {"torch", "torchvision", "tensorflow", "keras", "pandas", "matplotlib", "cv2"}
