"""Imports point down, common/ imports and lists no framework, and files stay short."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from common import model
from common.frameworks import FRAMEWORKS
from common.model.optimizer import Optimizer
from common.model.schedule import Schedule
from common.model.spec import Layer

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("common/**/*.py"), *ROOT.glob("backends/**/*.py")])


def contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the contracts of pyproject.toml in `folder`."""
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True)


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
        ("common/attic/new.py", "import math", "Arrows point down"),
        ("backends/pytorch/other.py", "import keras", "imports no TensorFlow"),
        ("backends/tensorflow/other.py", "def f():\n    import torch", "imports no PyTorch"),
        ("backends/pytorch/upward.py", "import pytorch", "imports no TensorFlow"),
    ],
)
def test_a_broken_contract_is_reported(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """Also three folders deep and inside a function."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("common", "backends"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in path.relative_to(tmp_path).parents:
        (tmp_path / folder / "__init__.py").touch()
    path.write_text(f"{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == 1
    broken = [row for row in done.stdout.splitlines() if "BROKEN" in row]
    assert any(contract in row for row in broken), done.stdout


WORDS = {
    word.lower()
    for framework in FRAMEWORKS.values()
    for word in (framework.name, framework.title, framework.script)
}
LISTS_FRAMEWORKS = {"common/frameworks.py"}


def listed_frameworks(path: Path, text: str) -> list[str]:
    """Literals in a source that are a framework's name, title or script; prose and comments are not searched.

    In Python the whole literal must be the name; in the page's files a name anywhere counts.
    """
    if path.suffix == ".py":
        literals = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        return [text for text in literals if isinstance(text, str) and text.lower() in WORDS]
    code = re.sub(r"/\*.*?\*/|<!--.*?-->|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    return re.findall("|".join(map(re.escape, sorted(WORDS))), code, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    "path",
    sorted(path for kind in ("py", "js", "html", "css") for path in ROOT.glob(f"common/**/*.{kind}")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_frameworks_are_listed_in_one_place(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() not in LISTS_FRAMEWORKS:
        assert listed_frameworks(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "file, text, words",
    [
        ("a.py", 'if framework == "pytorch":\n    pass', ["pytorch"]),
        ("a.py", 'TITLES = {"tensorflow": "TensorFlow"}', ["tensorflow", "TensorFlow"]),
        ("a.py", 'match name:\n    case "tf.py":\n        pass', ["tf.py"]),
        ("a.py", '"""PyTorch\'s formulas."""  # pytorch', []),
        ("a.py", 'print("PyTorch keeps it.")', []),
        ("a.js", "const NAMES = { pytorch: 1 }; // of pytorch", ["pytorch"]),
        ("a.html", '<option value="tensorflow"><!-- PyTorch -->', ["tensorflow"]),
        ("a.css", "/* PyTorch */ .framework.pytorch {}", ["pytorch"]),
    ],
)
def test_a_listed_framework_is_found(file: str, text: str, words: list[str]) -> None:
    assert sorted(listed_frameworks(Path(file), text)) == sorted(words)


def test_a_file_with_a_network_imports_every_kind_from_the_model_room() -> None:
    kinds = {kind.__name__ for union in (Layer, Optimizer, Schedule) for kind in get_args(union)}
    assert kinds <= set(model.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    "words",
    [
        *([script, flag] for script in ("pytorch.py", "tf.py") for flag in ("--help", "--list")),
        *(["-m", f"common.{room}", "--help"] for room in ("check", "report", "bench", "port", "demo")),
    ],
    ids=" ".join,
)
def test_help_and_zoo_import_nothing_slow(words: list[str]) -> None:
    """By the interpreter's own list of every module that it loads."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "common" in loaded
    slow = {"torch", "torchvision", "tensorflow", "keras", "pandas", "matplotlib", "scipy", "cv2", "dask"}
    assert not loaded & {*slow, "starlette", "uvicorn"}
