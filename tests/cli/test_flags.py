"""The flags of the command line: refusals, defaults, lists and help."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from common.cli import main as command
from common.cli.arguments import parser
from common.cli.requested_job import requested_job
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO

REFUSED = {
    "unknown model": (["--model", "resnet"], "resnet is not in the zoo; "),
    "no batch": (["--batch-size", "0"], "0 is not a whole number of at least 1 and at most 60,000."),
    "too large a batch": (["--batch-size", "60001"], "60001 is not a whole number of at least 1 and at most"),
    "half a batch": (["--batch-size", "1.5"], "1.5 is not a whole number of at least 1"),
    "no test batch": (["--test-batch-size", "0"], "0 is not a whole number of at least 1"),
    "negative epochs": (["--epochs", "-1"], "-1 is not a whole number of at least 0 "),
    "epochs in words": (["--epochs", "two"], "two is not a whole number of at least 0 and at most 100,000."),
    "rate not a number": (["--lr", "nan"], "nan is not a number above 0."),
    "infinite rate": (["--lr", "inf"], "inf is not a number above 0."),
    "no rate": (["--lr", "0"], "0 is not a number above 0."),
    "negative seed": (["--seed", "-3"], "-3 is not a whole number of at least 0 and at most 4,294,967,295."),
    "no seeds": (["--seeds", "0"], "0 is not a whole number of at least 1 "),
    "no threads": (["--threads", "0"], "0 is not a whole number of at least 1 "),
    "seed above 32 bits": (["--seed", "4294967296"], "4294967296 is not a whole number of at least 0 and at"),
    "seed of 400 digits": (["--seed", "9" * 400], f"{'9' * 60}... is not a whole number of at least 0"),
    "seed of 5,000 digits": (["--seed", "9" * 5000], f"{'9' * 60}... is not a whole number of at least 0"),
    "epochs of 400 digits": (["--epochs", "9" * 400], f"{'9' * 60}... is not a whole number of at least 0"),
    "interval of 400 digits": (["--log-interval", "9" * 400], "... is not a whole number of at least 1"),
    "a line break": (["--epochs", "1\n\x1b[2J2"], "1??[2J2 is not a whole number"),
    "a last seed above 32 bits": (
        ["--seed", "4294967295", "--seeds", "2"],
        "would be 4,294,967,296; a seed is",
    ),
    "threads by the billion": (["--threads", "99999999999"], "99999999999 is not a whole number of at least"),
    "workers by the billion": (
        ["--loader", "native", "--num-workers", "1000000000"],
        "is not a whole number",
    ),
    "epochs by the billion": (["--epochs", "1000000000000"], "1000000000000 is not a whole number of at"),
    "more steps than a schedule holds": (
        ["--epochs", "100000", "--batch-size", "1", "--model", "tf-model-1"],
        "100,000 epochs of batches of 1 are 6,000,000,000 steps; at most 100,000,000 are.",
    ),
    "a batch of one, normalised": (
        ["--model", "speedrun", "--batch-size", "1"],
        "--batch-size 1: speedrun normalises each channel over a batch",
    ),
    "unknown data set": (
        ["--dataset", "cifar"],
        "cifar is not a data set; choose from mnist, fashion-mnist, FOLDER, FILE.npz.",
    ),
    "unknown precision": (["--precision", "float16"], "float16 is not a precision; did you mean bfloat16?"),
    "unknown native part": (
        ["--native", "padding"],
        "padding is not a part; choose from init, norm, ",
    ),
    "unknown loader": (["--loader", "disk"], "disk is not a loader; "),
    "native loader that cannot augment": (
        ["--loader", "native", "--model", "under-5k"],
        "the recipe of under-5k augments them.",
    ),
    "native loader that cannot moment-normalise": (
        ["--loader", "native", "--vary", "moments=Moments"],
        " moment-normalises them.",
    ),
    "workers of the loader from memory": (
        ["--num-workers", "2"],
        "--pin-memory are options of --loader native.",
    ),
    "negative workers": (
        ["--loader", "native", "--num-workers", "-1"],
        "-1 is not a whole number of at least",
    ),
    "all images held out": (
        ["--validation", "60000"],
        "60000 is not a whole number of at least 0 and at most 59,999",
    ),
    "batch larger than what is left": (
        ["--validation", "59000", "--batch-size", "1001"],
        "--batch-size 1001 is more than the 1,000 training images that are left.",
    ),
    "two starts": (["--resume", "a", "--checkpoint", "b"], "--resume and --checkpoint exclude each other"),
    "a first batch of what has one": (["--resume", "a", "--dry-run"], "--dry-run trains a first batch;"),
    "one file for two runs": (["--seeds", "2", "--save-model", "a"], "--seeds 2 makes several runs"),
    "perturbed checkpoint": (
        ["--perturb", "ulp", "--checkpoint", "a"],
        "not with --checkpoint, --resume, --nat",
    ),
    "perturbed native start": (
        ["--perturb", "ulp", "--native", "all"],
        "not with --checkpoint, --resume, --nat",
    ),
    "rate by another way": (["--vary", "lr=1"], "--vary lr=1: use --lr"),
    "cycled momentum of Adam": (
        ["--model", "under-8k", "--vary", "optimizer=Adam()"],
        "the optimizer is Adam(): write OneCycle(momentum=None).",
    ),
    "no change": (["--vary", "schedule=OneCycle", "x"], "FIELD=VALUE"),
    "trace of two epochs": (
        ["--trace", "losses.json", "--epochs", "2"],
        "--trace accepts --epochs 1, or no --epochs for 100 steps; not 2.",
    ),
    "trace into no folder": (
        ["--trace", "no/where.json"],
        "no/where.json cannot be written: there is no folder no",
    ),
    "trace into a folder": (["--trace", "docs"], "docs cannot be written: it is a folder."),
    "profile into a folder": (["--profile", "."], " cannot be written: it is a folder."),
    "defaults into a folder": (["--defaults", "docs"], "docs cannot be written: it is a folder."),
    "trace onto a table": (
        ["--trace", "results/epochs.csv", "--model", "best"],
        "epochs.csv is a file of the tables",
    ),
    "mistakes without training": (
        ["--mistakes", "a.json", "--epochs", "0"],
        "--mistakes trains: --epochs must be at least 1, not 0.",
    ),
    "mistakes of another recipe": (
        ["--mistakes", "a.json", "--vary", "tta_shift=1"],
        "--vary is not for --mistakes, which accepts",
    ),
    "mistakes onto a table": (["--mistakes", "results/mistakes.csv"], "is a file of the tables"),
    "trace into nothing": (["--trace", ""], "an empty text is no path."),
    "checkpoint onto a table": (
        ["--save-model", "docs/../results/results.csv"],
        "is a file of the tables",
    ),
    "checkpoint without a name": (["--save-model", ""], "an empty text is no path."),
    "nothing to save": (["--epochs", "0", "--save-model", "a"], "A run of 0 epochs only tests"),
    "nothing to save of a recipe": (
        ["--vary", "epochs=0", "--save-model", "a"],
        "A run of 0 epochs only tests",
    ),
    "trace of a recipe without epochs": (
        ["--trace", "a", "--vary", "epochs=0"],
        "has 0 epochs.",
    ),
    "misspelt model": (["--model", "nextjurnal"], "did you mean nextjournal?"),
    "data set without a name": (["--dataset", ""], "an empty text is no path."),
    "misspelt data set": (["--dataset", "fashion_mnist"], "did you mean fashion-mnist?"),
    "two modes": (["--profile", "--trace", "a"], "argument --trace: not allowed with argument --profile"),
    "a number twice": (["--epochs", "2", "--seed", "1", "--epochs", "2"], "--epochs is given twice."),
    "a default twice": (["--seeds", "1", "--seeds", "3"], "--seeds is given twice."),
    "a path twice": (["--results", "a", "--results=b"], "--results is given twice."),
    "a field twice": (["--vary", "epochs=2", "--vary", "epochs=3"], "--vary changes epochs 2 times"),
    "two other modes": (["--defaults", "--serve", "a"], "argument --serve: not allowed with argument --defa"),
    "list and trace": (["--list", "--trace", "a"], "argument --trace: not allowed with argument --list"),
    "seeds of a trace": (
        ["--trace", "a", "--seeds", "3"],
        "--seeds is not for --trace, which accepts",
    ),
    "epochs of a profile": (["--profile", "--epochs", "3"], "--profile accepts --epochs 1"),
    "seeds of a profile": (
        ["--profile", "--seeds", "3", "--resume", "a"],
        "--resume, --seeds are not for --profile",
    ),
    "model of all defaults": (["--defaults", "--model", "mlp-tuned"], "--model is not for --defaults"),
    "dry run of a server": (
        ["--serve", "a", "--dry-run"],
        "--dry-run is not for --serve",
    ),
    "list of one": (["--list", "--model", "best"], "--model is not for --list, which accepts no other"),
    "unknown flag": (["--gamma", "0.7"], "unrecognized arguments: --gamma 0.7"),
    "misspelt flag": (["--epocs", "3"], "unrecognized arguments: --epocs 3; did you mean --epochs?"),
}


@pytest.mark.parametrize("words, message", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_bad_flags_are_one_line_and_exit_status_2(
    framework: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments(framework, words)
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith(FRAMEWORKS[framework].script + ": ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_a_native_optimizer_that_cannot_follow_the_schedule_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--model", "under-8k", "--native", "optimizer"]
    assert command.parse_arguments("pytorch", words).native == ("optimizer",)
    with pytest.raises(SystemExit):
        command.parse_arguments("tensorflow", words)
    assert "TensorFlow's own SGD keeps one momentum" in capsys.readouterr().err
    assert command.parse_arguments("tensorflow", [*words, "--vary", "schedule.momentum=none"])


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("results", "data-dir", "save-model", "checkpoint", "resume", "trace", "profile", "serve"):
        parsed = parser("pytorch").parse_args([f"--{name}=~/there"])
        assert getattr(parsed, name.replace("-", "_")) == tmp_path / "there", name
    assert parser("pytorch").parse_args(["--results=~nobody-of-that-name/x"]).results.name == "x"


def test_repeated_lists_add_up() -> None:
    words = ["--vary", "label_smoothing=0.9", "--vary", "averaged_epochs=1"]
    words += ["--native", "init", "--native", "norm", "init"]
    invocation = command.parse_arguments("pytorch", words)
    assert invocation.vary == ("label_smoothing=0.9", "averaged_epochs=1")
    assert invocation.native == ("init", "norm")
    recipe = requested_job(invocation).recipe
    assert (recipe.label_smoothing, recipe.averaged_epochs) == (0.9, 1)


def test_list_shows_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.parse_arguments("pytorch", ["--list"])
    listed = capsys.readouterr().out
    assert exit_.value.code == 0
    for entry in ZOO.values():
        facts = [
            f"{entry.name}: {entry.spec.parameters:,} parameters",
            f"{entry.spec.multiply_adds:,} multiply-adds",
        ]
        facts += [f"accuracy {entry.accuracy}", entry.source, entry.claim, entry.assumed]
        assert all(fact in listed for fact in facts), entry.name


def test_defaults_are_the_documented_ones() -> None:
    default = command.parse_arguments("tensorflow", [])
    promised = {"model": "tf-model-1", "test_batch_size": 1000, "log_interval": 100, "loader": None}
    assert {name: getattr(default, name) for name in promised} == promised
    assert default.mode is None
    assert command.parse_arguments("pytorch", []).model == "pytorch-model-1"


@pytest.mark.parametrize("mode", [("--trace", "losses.json"), ("--profile",), ("--dry-run",)], ids=str)
def test_only_a_run_is_recorded(mode: tuple[str, ...]) -> None:
    assert requested_job(command.parse_arguments("pytorch", [])).results == Path("results")
    assert requested_job(command.parse_arguments("pytorch", list(mode))).results is None


def test_an_invocation_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        command.parse_arguments("pytorch", []).seed = 3  # type: ignore[misc]


def test_help_has_its_flags_in_groups() -> None:
    text = parser("pytorch").format_help()
    titles = re.findall(r"^([\w ]+):$", text, re.MULTILINE)
    assert titles == ["options", "data", "network", "run", "output", "modes"]
    options = text[text.index("\noptions:") : text.index("\ndata:")]
    assert re.findall(r"--[a-z-]+", options) == ["--help"], "every other flag is in a named group"
