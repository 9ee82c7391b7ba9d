"""Who may know whom: imports point downwards, no framework in common/, few may print."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(ROOT.glob("common/*.py"))
FRAMEWORKS = {"torch", "torchvision", "tensorflow", "keras", "pytorch", "tf"}

# From the bottom up; a module imports only from rows above its own.
FLOORS = (
    {"identity"},
    {
        "spec",
        "schedule",
        "optimizer",
        "carriers",
        "results",
        "machine",
        "markdown",
        "fingerprint",
        "dropout",
        "drawing",
        "neighbours",
        "share",
        "columns",
    },
    {"data", "augment"},
    {"moments"},
    {"recipe", "weights", "backend"},
    {"zoo"},
    {"train", "stats", "defaults"},
    {"run", "gallery", "pace", "verdicts", "ladder", "chaos", "serving", "mistakes"},
    {"profile", "trace", "charts", "timings"},
    {"benchmarks"},
    {"arguments"},
    {"cli", "inference"},
    {"speed", "demo"},
    {"plots", "cells"},
    {"cluster", "trials"},
    {"scale"},
    {"report", "check", "bench"},
)
PRINTING = {"cli", "bench", "report", "check", "demo"}
LONGEST = {
    "tf.py": 710,
    "pytorch.py": 515,
}  # a whole backend is one file, Keras' with the optimizers it has not


def imports(path: Path) -> set[str]:
    """Names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= (
                {node.module or ""}
                if node.module != "common"
                else {f"common.{alias.name}" for alias in node.names}
            )
    return found


def test_every_module_has_its_floor() -> None:
    assert {path.stem for path in MODULES} - {"__init__"} == set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_downwards(path: Path) -> None:
    floor = next((number for number, names in enumerate(FLOORS) if path.stem in names), 0)
    below = {f"common.{name}" for names in FLOORS[:floor] for name in names}
    ours = {name for name in imports(path) if name.startswith("common.")}
    assert ours <= below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_common_knows_no_framework(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & FRAMEWORKS


@pytest.mark.parametrize(
    "script, foreign",
    [("pytorch.py", {"tensorflow", "keras", "tf"}), ("tf.py", {"torch", "torchvision", "pytorch"})],
)
def test_each_script_knows_one_framework(script: str, foreign: set[str]) -> None:
    assert not {name.split(".")[0] for name in imports(ROOT / script)} & foreign


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_commands_print(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    prints = any(isinstance(call, ast.Name) and call.id == "print" for call in calls)
    assert not prints or path.stem in PRINTING


@pytest.mark.parametrize("path", [*MODULES, ROOT / "pytorch.py", ROOT / "tf.py"], ids=lambda path: path.name)
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
    assert not loaded & (FRAMEWORKS - {"pytorch", "tf"} | {"pandas", "matplotlib", "cv2"})


@pytest.mark.parametrize("path", [*MODULES, ROOT / "pytorch.py", ROOT / "tf.py"], ids=lambda path: path.stem)
def test_no_pickle_no_eval_and_no_shell(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {
        "pickle",
        "shelve",
        "marshal",
        "dill",
        "joblib",
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            bare = isinstance(node.func, ast.Name)
            assert not (bare and named in ("eval", "exec", "compile", "__import__"))
            assert named not in ("popen", "getoutput", "extractall", "create_subprocess_shell")
            assert ast.unparse(node.func) != "os.system"
            assert not any(word.arg == "shell" for word in node.keywords)
