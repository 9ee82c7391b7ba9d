"""One file of pins for conda, make and CI, and facts that stand in two files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from common.tables import store

ROOT = Path(__file__).resolve().parents[1]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def pins(name: str) -> dict[str, str]:
    """Package to version in a requirements file, without the files it includes."""
    lines = [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith(("#", "-r ")))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_pins_are_exact(name: str) -> None:
    for package, version in pins(name).items():
        assert re.fullmatch(r"\d+(\.\d+)+", version), package


def test_frameworks_and_libraries_are_pinned() -> None:
    required = {"torch", "torchvision", "tensorflow", "keras", "numpy", "pandas", "matplotlib"}
    assert required <= set(pins("requirements.txt"))


def test_conda_environment_uses_the_pins_of_requirements_txt() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == "template-ml"
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r requirements.txt"]}


@needs_make
def test_make_help_lists_every_target() -> None:
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "run", "test", "test-fast", "check", "report", "demo", "help"):
        assert re.search(rf"^make {target} ", help_text, re.MULTILINE), target


@needs_make
def test_make_check_runs_the_linters_and_make_test_the_whole_suite() -> None:
    """Read from make's own plan, which expands variables and prerequisites."""
    plan = subprocess.run(
        ["make", "--dry-run", "check", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = {tuple(line.rpartition("/")[2].split()) for line in plan.splitlines()}
    for command in (
        "ruff format --check .",
        "ruff check .",
        "mypy",
        "lint-imports",
        "python -m pytest -n 2 --dist loadfile",
    ):
        assert tuple(command.split()) in commands, command


@needs_make
def test_make_run_says_what_it_needs_first_and_writes_to_an_ignored_folder() -> None:
    # Under `make test` the flags of the outer make would add lines about folders.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "--dry-run", "run"]
    plan = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    ).stdout.splitlines()
    assert "GB" in plan[0]
    assert "minutes" in plan[1]
    python = [line.partition("python ")[2] for line in plan if re.search(r"/python \S+", line)]
    assert python[-5:] == [
        "pytorch.py --results runs",
        "tf.py --results runs",
        "pytorch.py --model speedrun --results runs",
        "tf.py --model speedrun --results runs",
        "-m common.report --results runs",
    ]
    assert "runs/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8").splitlines()
    for words in python[-5:]:
        assert page.count(f"python {words}") == 2  # without make, on POSIX and on Windows


def test_version_and_license_stand_in_the_citation() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["title"] == project["name"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_the_changelog_lists_every_recorded_recipe() -> None:
    recorded = {row["recipe_hash"] for row in store.rows(ROOT / "results", "results.csv")}
    listed = set(re.findall(r"`([0-9a-f]{12})`", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    assert recorded == listed
