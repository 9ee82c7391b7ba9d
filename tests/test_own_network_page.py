"""The example files of docs/own-network.md train alike in both frameworks, and its commands are accepted."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from support import worker

from common import check
from common.cli.invocation import parse
from common.cli.parser import Parser
from common.cli.requested_job import requested_job
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS, ROOT
from common.model.own_network import load
from common.report import __main__ as report

PAGE = (ROOT / "docs" / "own-network.md").read_text(encoding="utf-8")
FILES = {
    text.partition("\n")[0].removeprefix("# "): text
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
}
ADDRESSES = ("plain.py", "widths.py:NARROW", "widths.py:WIDE", "dropped.py", "flowers.py")
TRAINED = ADDRESSES[0], ADDRESSES[1], ADDRESSES[3]
"""WIDE is NARROW again, and the pictures of flowers.py are not at hand."""
COMMANDS = [
    line
    for block in re.findall(r"^```text\n(.*?)^```$", PAGE, flags=re.DOTALL | re.M)
    for line in block.splitlines()
]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands start in, with the files of the page."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_is_short_and_has_the_networks_of_the_page(examples: Path) -> None:
    assert {address.partition(":")[0] for address in ADDRESSES} == set(FILES)
    for text in FILES.values():
        lines = text.splitlines()
        assert 10 <= len([line for line in lines if line]) <= 20
        assert max(map(len, lines)) <= 105
    assert [load(address).name for address in ADDRESSES] == ["plain", "narrow", "wide", "dropped", "flowers"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accepted(command: str, examples: Path) -> None:
    program, *words = shlex.split(command)
    assert program == "python"
    scripts = {about.script: name for name, about in FRAMEWORKS.items()}
    if words[0] in scripts:
        parse(scripts[words[0]], words[1:])
        return
    module, options = words[1], words[2:]
    if module == "common.bench":
        parser = Parser()
        subcommand = "run" if options[0].startswith("--") else options.pop(0)
        importlib.import_module(f"common.bench.{subcommand}").add_arguments(parser)
    else:
        parser = {"common.report": report.parser, "common.check": check.parser}[module]()
    parser.parse_args(options)


@pytest.mark.slow
@pytest.mark.parametrize("address", TRAINED)
def test_both_frameworks_train_the_examples_alike(address: str, examples: Path, few_digits: Dataset) -> None:
    words = ["--model", address, "--precision", "float64", "--trace", "losses.json"]
    job = requested_job(parse("pytorch", words))
    first, second = worker.run_pair("trace", dataset=few_digits, job=job)
    assert len(first.losses) == len(few_digits.train) // job.recipe.batch_size
    np.testing.assert_allclose(first.losses, second.losses, rtol=1e-9)
