"""One file of pins: what conda, make and CI install, and what is installed."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parents[1]


def pins(name: str) -> dict[str, str]:
    """Package to version of the pins in a requirements file, not those it includes."""
    lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith(("#", "-r ")))


def test_environment_takes_its_pins_from_the_one_file() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == "template-ml"
    *conda, pip = environment["dependencies"]
    names = [MatchSpec(text).name for text in conda]
    assert [str(getattr(name, "normalized", name)) for name in names] == ["python", "pip"]
    assert MatchSpec(conda[0]).version == "3.11.*" or str(MatchSpec(conda[0]).version).startswith(
        ("3.11", "==3.11")
    )
    assert pip == {"pip": ["-r requirements.txt"]}
    assert "--requirement requirements.txt" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("package, pinned", (pins("requirements.txt") | pins("requirements-dev.txt")).items())
def test_what_is_pinned_is_installed(package: str, pinned: str) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", pinned)
    assert version(package).split("+")[0] == pinned


def test_fixed_packages_are_there() -> None:
    fixed = {"torch", "torchvision", "tensorflow", "keras", "numpy", "pandas", "matplotlib"}
    assert fixed <= set(pins("requirements.txt"))


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "run", "test", "check", "report", "help"):
        assert re.search(rf"^make {target} ", listed, re.MULTILINE), target


def test_ci_runs_what_the_makefile_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("make test", "make check", "-m common.report --check", "-m common.check --complete"):
        assert command in script
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps
