"""Every command of the pages works as it is written, in a copy of the project that has made `make run`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.tables import add_pairs

from common import check
from common.bench.__main__ import SUBCOMMANDS
from common.cli import arguments
from common.cli.invocation import parse
from common.cli.parser import Parser
from common.data.datasets import Dataset
from common.demo import __main__ as demo
from common.frameworks import FRAMEWORKS, ROOT
from common.port import __main__ as port
from common.report import __main__ as report
from common.tables.schema import TABLES

PAGES = [
    *("README.md", "docs/install.md", "docs/method.md", "docs/zoo.md", "docs/command-line.md"),
    *("docs/columns.md", "docs/bench.md", "docs/demo.md", "docs/questions.md", "docs/port.md"),
]
"""The pages whose commands, flags and files are tested."""

LINKING = sorted(
    {
        *PAGES,
        "CONTRIBUTING.md",
        "SECURITY.md",
        *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
    }
)
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
TYPED = re.sub(r"<!-- ([a-z-]+):begin -->.*?<!-- \1:end -->", "", TEXT, flags=re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", TYPED, flags=re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"`([^`]+)`", PROSE)


def commands() -> list[str]:
    """Every command once: the lines of code blocks that are not text, and what is code in the prose."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TYPED, flags=re.DOTALL | re.MULTILINE)
    lines = [
        line for language, block in blocks if not language for line in block.replace("\\\n", "").splitlines()
    ]
    programs = r"(python|make|conda|pip|dask|torchrun|\.) .*|\.venv\\.*"
    return list(dict.fromkeys([*lines, *(code for code in INLINE if re.fullmatch(programs, code))]))


# Checks of commands that are not run


def text_of(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def is_the_folder_of_make(words: list[str]) -> None:
    assert f"VENV := {words[-1]}\n" in text_of("Makefile")


def is_a_file(words: list[str]) -> None:
    assert (ROOT / words[-1]).is_file()


def is_pinned(words: list[str]) -> None:
    assert set(words[2:]) <= set(re.findall(r"^([\w-]+)==", text_of("requirements-dev.txt"), re.MULTILINE))


def is_the_environment_of_conda(words: list[str]) -> None:
    assert words[-1] == yaml.safe_load(text_of("environment.yml"))["name"]


def accepted_by_the_script(words: list[str]) -> None:
    """A script accepts the words behind its name and the variables before it, torchrun its own flags."""
    place = next(place for place, word in enumerate(words) if word.endswith(".py"))
    (framework,) = (name for name, about in FRAMEWORKS.items() if about.script == words[place])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (word.split("=", 1) for word in words[:place] if re.match("[A-Z_]+=", word)):
            patch.setenv(name, value)
        parse(framework, words[place + 1 :])
    if words[0] == "torchrun":
        torch = importlib.util.find_spec("torch")
        assert torch
        source = (Path(str(torch.origin)).parent / "distributed" / "run.py").read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in words[:place] if word.startswith("--"))


def accepted_by_dask(words: list[str]) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    command = importlib.import_module(f"distributed.cli.dask_{words[1]}").main
    command.make_context(words[1], words[2:])


def accepted_by_the_bench(words: list[str]) -> None:
    parser = bench_parser(words[3])
    parser.parse_args(words[4:])


def accepted_by_the_demo(words: list[str]) -> None:
    demo.parser().parse_args(words[3:])


def accepted_by_the_port(words: list[str]) -> None:
    options = port.parser().parse_args(words[3:])
    for address in (options.left, options.right):
        is_a_file([address.rpartition(":")[0]])


def nothing(words: list[str]) -> None:
    """The rule has the whole command."""


def bench_parser(subcommand: str) -> Parser:
    parser = Parser(allow_abbrev=False)
    importlib.import_module(f"common.bench.{subcommand}").add_arguments(parser)
    return parser


RULES: dict[str, str | Callable[[list[str]], None]] = {
    # These train, test or draw for too long: they run with further words.
    r"python (pytorch|tf)\.py( --(?!defaults).*)?": "--dry-run",
    r"python -m common\.bench( --.*| (compare|mistakes|ports).*)?": "--dry-run",
    r"python -m common\.report": "--check",
    r"python -m pytest.*": "--collect-only tests/test_identity.py",
    r"make (?!help).*": "--dry-run",
    # tests/cli/test_framework_defaults.py runs these.
    r"python (pytorch|tf)\.py --defaults": accepted_by_the_script,
    # These serve, measure for an hour, or are for several machines or processes.
    r"python -m common\.demo.*": accepted_by_the_demo,
    # tests/port/test_check.py runs this.
    r"python -m common\.port .*": accepted_by_the_port,
    r"python -m common\.bench (speed|aa|ablation|traces).*": accepted_by_the_bench,
    r"dask .*": accepted_by_dask,
    r"(torchrun|TF_CONFIG=).*": accepted_by_the_script,
    # These make or choose an environment, and download it.
    r"(python3\.11|py -3\.11) -m venv .*": is_the_folder_of_make,
    r"python -m pip install -r .*": is_a_file,
    r"pip install .*": is_pinned,
    r"conda activate .*": is_the_environment_of_conda,
    r"conda env create|\. \.venv/bin/activate|\.venv\\Scripts\\activate": nothing,
}
"""By the whole command. The first rule that matches a command says which words it runs with, or which check
there is instead of a run; a command without a rule runs as it is."""


def rule(command: str) -> str | None:
    return next((pattern for pattern in RULES if re.fullmatch(pattern, command)), None)


def words_added(command: str) -> str | Callable[[list[str]], None]:
    pattern = rule(command)
    return RULES[pattern] if pattern else ""


def shared(command: str) -> bool:
    """Whether the dry run of a longer command has all the words of this one."""
    longer = [other for other in commands() if set(other.split()) > set(command.split())]
    return words_added(command) == "--dry-run" and any(rule(other) == rule(command) for other in longer)


RUN = [command for command in commands() if isinstance(words_added(command), str) and not shared(command)]
NOT_RUN = [command for command in commands() if callable(words_added(command))]


@pytest.fixture(scope="module")
def project(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, with a pair of runs in runs/."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("The tracked files are those of a clone.")
    folder = tmp_path_factory.mktemp("project")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in files.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    add_pairs(folder / "runs", [0.03], "speedrun")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_a_command_works(command: str, project: Path) -> None:
    added = words_added(command)
    assert isinstance(added, str)
    program, *words = shlex.split(command, comments=True) + added.split()
    # Under `make test` the flags of the outer make would be those of the inner one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    executable = shutil.which(program, path=environment["PATH"])
    if program == "make" and executable is None:
        pytest.skip("make is not installed")
    assert executable, program
    ended = subprocess.run(
        [executable, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert ended.stdout.strip()


@pytest.mark.parametrize("command", NOT_RUN)
def test_a_command_that_is_not_run_is_checked(command: str) -> None:
    instead = words_added(command)
    assert callable(instead)
    instead(shlex.split(command, comments=True, posix="\\" not in command))


def test_every_rule_has_a_command() -> None:
    assert {rule(command) for command in commands()} - {None} == set(RULES)


@functools.cache
def flags() -> set[str]:
    """The flags of all commands."""
    parsers = [check.parser(), demo.parser(), port.parser(), report.parser()]
    parsers += [arguments.parser(name) for name in FRAMEWORKS] + [bench_parser(name) for name in SUBCOMMANDS]
    return {flag for parser in parsers for flag in re.findall(r"--[a-z-]+", parser.format_help())}


def test_every_flag_in_the_prose_exists() -> None:
    named = {flag for code in INLINE if code.startswith("-") for flag in re.findall(r"--[a-z-]+", code)}
    assert named
    assert named <= flags()


def test_every_file_in_the_prose_exists() -> None:
    made = r"(runs|checkpoints|DIR)/.*"
    named = {code for code in INLINE if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(py|csv|md|txt)", code)}
    named = {code for code in named if not re.fullmatch(made, code) and code not in TABLES}
    assert named
    assert not {
        name for name in named if not any((ROOT / place / name).exists() for place in ("", "results"))
    }


@pytest.mark.parametrize("page", LINKING)
def test_every_link_to_a_file_leads_to_its_heading(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        if name.endswith(".png"):  # tests/report/test_pages.py has the pictures
            continue
        target = (ROOT / page).parent / name if name else ROOT / page
        if target.is_dir() and not anchor:
            continue
        text = target.read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, (name, anchor)
