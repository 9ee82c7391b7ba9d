"""The command line of the bench: what its subcommands refuse, and what `--help` imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.bench import __main__ as bench
from common.frameworks import ROOT

REFUSED = [
    (["--cluster", "tcp://127.0.0.1:1", "--workers", "2"], "not allowed with"),
    (["--models", "tf-model-1", "--seed", "3"], "unrecognized arguments: --seed 3"),
    (["--workers", "0"], "0 is not a whole number of at least 1"),
    (["--seeds", "9" * 400], "... is not a whole number of at least 1 and at most 10,000."),
    (["--first-seed", "4294967295"], "4294967295 is not a whole number of at least 1"),
    (["--threads", "99999999999"], "99999999999 is not a whole number of at least 1"),
    (["--vary", "lr=fast"], "lr=fast: fast is not a number."),
    (["--models", "undr-8k"], "did you mean under-8k?"),
    (["run", "--speed"], "unrecognized arguments: --speed"),
    (["--speed", "--aa"], "unrecognized arguments: --speed --aa"),
    (["--vary", "lr=1", "--speed"], "unrecognized arguments: --speed"),
    (["ablation"], "the following arguments are required: MODEL"),
    (["ablation", "tf-model-1", "--cluster", "tcp://127.0.0.1:1"], "unrecognized arguments: --cluster"),
    (["ablation", "tf-model-1", "--vary", "lr=1"], "unrecognized arguments: --vary"),
    (["ablation", "tf-model-1", "--validation", "10"], "unrecognized arguments: --validation"),
    (["aa", "--seeds", "3"], "unrecognized arguments: --seeds"),
    (["traces", "steps", "--seeds", "0"], "--seeds"),
    (["aa", "--rounds", "1"], "--rounds"),
    (["traces", "step"], "did you mean steps?"),
    (["defaults", "--data-dir", "x"], "unrecognized arguments: --data-dir"),
    (["speed", "--accelerated"], "unrecognized arguments: --accelerated"),
    (["speed", "everything"], "everything is not a part"),
    (["scaling", "--workers=3"], "unrecognized arguments: --workers=3"),
    (["scaling", "threads"], "threads is not a part; choose from workers, at-once."),
    (["misclassified", "--count", "0"], "0 is not a whole number of at least 1"),
    (["--results", "a"], "--results is given twice."),
    (["--vary", "epochs=2", "epochs=3"], "--vary changes epochs 2 times"),
    (["sped"], "'sped' is unknown; did you mean speed? Choose from run, "),
    (["--model", "tf-model-1"], "unrecognized arguments: --model tf-model-1; did you mean --models?"),
]


@pytest.mark.parametrize("words, sentence", REFUSED, ids=str)
def test_options_that_a_subcommand_does_not_use_are_refused(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main([*words, "--results", str(tmp_path / "results")])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "words, tasks",
    [
        (["--models", "tf-model-1", "tf-model-1"], 2),
        (["--models", "tf-model-1", "--models", "under-5k", "tf-model-1"], 4),
        (["--models", "tf-model-1", "--frameworks", "pytorch", "pytorch"], 1),
        (["--models", "tf-model-1", "--vary", "lr=0.1", "--vary", "lr=0.10", "--vary", "lr=0.2"], 4),
    ],
    ids=str,
)
def test_what_is_named_twice_runs_once(
    words: list[str], tasks: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*words, "--seeds", "1", "--dry-run", "--results", str(tmp_path)]) == 0
    assert f"{tasks} to run." in capsys.readouterr().out


def test_a_dry_run_makes_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    words = ["--models", "tf-model-1", "--seeds", "1", "--dry-run", "--results", str(folder)]
    assert bench.main(words) == 0
    assert not folder.exists()


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.log").mkdir()
    assert bench.main(["--models", "tf-model-1", "--seeds", "1", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "bench.log") in error
    assert error.count("\n") == 1


def test_help_imports_neither_pandas_nor_a_framework() -> None:
    """Of the bench and of each subcommand, in one process."""
    program = (
        "import sys, contextlib, io\n"
        "from common.bench import __main__ as bench\n"
        "for words in ([], *([name] for name in bench.SUBCOMMANDS)):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as printed:\n"
        "        bench.main([*words, '--help'])\n"
        "    assert 'usage: python -m common.bench' in printed.getvalue(), words\n"
        "slow = {'pandas', 'scipy', 'matplotlib', 'dask', 'distributed', 'torch', 'tensorflow', 'keras'}\n"
        "print(slow & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "set()"
