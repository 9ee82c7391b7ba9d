"""`bench ports`: compare networks with planted mistakes, and with none, and record what common.port finds.

Each comparison is a row, written when it ends; a bench that was interrupted goes on with those that the table
lacks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.bench.arguments import add_execution, add_results
from common.bench.measure import run_locked, time_left
from common.bench.proof.catalogue import MUTANTS
from common.bench.proof.mutant import Mutant
from common.bench.proof.networks import NETWORKS, OWN, PLANTED, written
from common.bench.proof.source import Sources
from common.bench.reason import error_line
from common.cli.arguments import one_of
from common.cli.paths import path
from common.frameworks import PAIR, ROOT
from common.messages import InputError
from common.port.check import REVISION, Finding, Question
from common.port.run import compare
from common.port.workers import WorkerError, Workers
from common.tables import machine, store
from common.tables.cores import cores
from common.tables.schema import COMMAND, NONE, PortRow

TABLE = "ports.csv"
TIMED = ("tf-model-1", "best")
"""Networks of about 100,000 parameters, dense and of convolutions, of which the whole command is timed."""
SEEDS = (1, 2, 3)
"""Of a network's comparisons with itself."""
SHARP, BOTH = ("float64",), ("float64", "float32")
BATCH_SIZE = 8
"""Of comparisons with a mistake; networks are compared with themselves on a batch of the usual size."""
PER_PROCESS = 40
"""Comparisons after which the two processes are started anew: neither gives all memory back."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A comparison of a network: with a mistake in the file of `framework`, or with itself."""

    model: str
    mutant: str = NONE
    framework: str = ""
    seed: int = 1
    precisions: Sequence[str] = SHARP

    def __str__(self) -> str:
        side = f" {self.framework}" if self.framework else ""
        return f"{self.model} {self.mutant}{side} seed {self.seed}"

    @property
    def kind(self) -> tuple[str, int]:
        """Comparisons of one kind take about as long."""
        return self.model, len(self.precisions)

    @property
    def key(self) -> tuple[str, ...]:
        """The cells by which the table's rows are recognised."""
        return self.model, self.mutant, self.framework, str(self.seed), " ".join(self.precisions)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench ports`."""
    parser.add_argument(
        "--models",
        nargs="+",
        type=one_of(NETWORKS, "a network"),
        default=NETWORKS,
        metavar="NAME",
        help=f"networks of the zoo, and {', '.join(OWN)} of docs/examples/port (default: all)",
    )
    names = [NONE, COMMAND, *dict.fromkeys(mutant.name for mutant in MUTANTS)]
    parser.add_argument(
        "--mutants",
        nargs="+",
        type=one_of(names, "a mistake"),
        default=names,
        metavar="NAME",
        help=f"mistakes, {NONE} for networks compared with themselves, {COMMAND} for the time of the whole "
        "command (default: all)",
    )
    parser.add_argument(
        "--sources", type=path, metavar="DIR", help="keep the two files of each comparison in DIR"
    )
    add_results(parser)
    add_execution(parser)


def run(options: argparse.Namespace) -> int:
    """Make the comparisons that the table lacks, print the section of docs/port.md; an exit status."""
    if options.dry_run:
        print("\n".join(map(str, missing(options))))
        return 0
    saved = "The rows of comparisons that ended are saved; run it again to continue."
    return run_locked(options.results, lambda: _recorded(options), saved=saved)


def _recorded(options: argparse.Namespace) -> str:
    """The section, with the rows that the table lacked, which are recorded first."""
    _run_all(missing(options), options)
    from common.analysis import frames
    from common.report import port_tables

    return port_tables.block(frames.frame(options.results, TABLE))


def tasks() -> Iterator[Task]:
    """All comparisons: each mistake in every network of PLANTED that has room for it, on alternating sides;
    every network with itself; and each mistake on the other side."""
    names = list(dict.fromkeys(mutant.name for mutant in MUTANTS))
    ways: tuple[list[Task], list[Task]] = [], []
    for number, model in enumerate(PLANTED):
        for mutant in MUTANTS:
            if planted(model, mutant) is None:
                continue
            sides = [m.framework for m in MUTANTS if m.name == mutant.name and planted(model, m) is not None]
            turn = (number + names.index(mutant.name)) % len(sides)
            task = Task(model=model, mutant=mutant.name, framework=mutant.framework)
            ways[sides.index(mutant.framework) != turn].append(task)
    yield from ways[0]
    yield from (Task(model=model, mutant=COMMAND, precisions=BOTH) for model in TIMED)
    yield from (Task(model=model, seed=seed, precisions=BOTH) for model in NETWORKS for seed in SEEDS)
    yield from ways[1]


def planted(model: str, mutant: Mutant) -> Sources | None:
    """The files of a network with a mistake; None where there is no room for it."""
    right = written(model, mutant.variant)
    if right is None:
        return None
    texts = [change(text) for change, text in zip(mutant.prepared, (right.left, right.right), strict=True)]
    side = PAIR.index(mutant.framework)
    if None in texts or (wrong := mutant.change(str(texts[side]))) is None:
        return None
    texts[side] = wrong
    return Sources(*map(str, texts))


def missing(options: argparse.Namespace) -> list[Task]:
    """The comparisons of the present revision of the check that have no row; prints how many."""
    wanted = [task for task in tasks() if task.model in options.models and task.mutant in options.mutants]
    present = {
        (row["model"], row["mutant"], row["framework"], row["seed"], row["precision"])
        for row in store.rows(options.results, TABLE)
        if row["revision"] == str(REVISION)
    }
    todo = [task for task in wanted if task.key not in present]
    print(
        f"{len(wanted)} comparisons, {len(wanted) - len(todo)} in the table already, {len(todo)} to make.",
        flush=True,
    )
    return todo


def _run_all(todo: Sequence[Task], options: argparse.Namespace) -> None:
    """Make each comparison, record its row, and print the expected time of those that remain."""
    seconds: dict[tuple[str, int], list[float]] = {}
    done = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.sources or Path(temporary)
        while done < len(todo):
            with Workers(threads=options.threads) as workers:
                for task in todo[done : done + PER_PROCESS]:
                    left = time_left([later.kind for later in todo[done:]], seconds)
                    print(f"{done} done, {task}, {len(todo) - done - 1} to come{left}", flush=True)
                    row = measured(workers, task, folder, threads=options.threads or cores())
                    store.append_rows(options.results, TABLE, [row])
                    seconds.setdefault(task.kind, []).append(row.seconds)
                    done += 1
                    print(f"    {row.seconds:.1f} s: {row.found or row.reason or '-'}", flush=True)
                    if workers.ended:
                        break


def measured(workers: Workers, task: Task, folder: Path, *, threads: int) -> PortRow:
    """The row of a comparison, of which the files are left in a folder of `folder`.

    A comparison that cannot be made is a row without findings, with the reason.
    """
    mutant = next((m for m in MUTANTS if (m.name, m.framework) == (task.mutant, task.framework)), None)
    texts = written(task.model) if mutant is None else planted(task.model, mutant)
    assert texts
    place = folder / "-".join(filter(None, [task.model, task.mutant, task.framework]))
    place.mkdir(parents=True, exist_ok=True)
    left, right = place / "net_torch.py", place / "net_keras.py"
    left.write_text(texts.left, encoding="utf-8")
    right.write_text(texts.right, encoding="utf-8")
    addresses = f"{left}:Net", f"{right}:build"
    load, started, clock = machine.load(), machine.now(), time.perf_counter()
    question = Question(
        left=addresses[0],
        right=addresses[1],
        precisions=task.precisions,
        seed=task.seed,
        batch_size=BATCH_SIZE if mutant else Question.batch_size,
    )
    findings: Sequence[Finding] = ()
    reason = ""
    try:
        own_processes = task.mutant == COMMAND
        findings = _of_command(addresses) if own_processes else compare(workers, question).findings
    except (InputError, WorkerError) as error:
        reason = " ".join(str(error).split())[:300]
    seconds = time.perf_counter() - clock
    return PortRow(
        model=task.model,
        mutant=task.mutant,
        framework=task.framework,
        cause=mutant.cause if mutant else "",
        stages=" ".join(mutant.stages) if mutant else "",
        seed=task.seed,
        precision=" ".join(task.precisions),
        batch_size=question.batch_size,
        found=_listed(findings, inherent=False),
        inherent=_listed(findings, inherent=True),
        reason=reason,
        seconds=seconds,
        parameters=_parameters(workers, addresses[0]),
        load=load,
        threads=cores() if task.mutant == COMMAND else threads,
        revision=REVISION,
        machine=machine.name(),
        versions=_versions(workers),
        python=machine.python(),
        commit=machine.commit(ROOT),
        started=started,
        run=store.new_run(),
    )


def _of_command(addresses: tuple[str, str]) -> list[Finding]:
    """The command's findings, in processes of its own. Raises WorkerError if it does not end as it should."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "port.json")
        command = [sys.executable, "-m", "common.port", *addresses, "--json", str(file)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode not in (0, 1):
            raise WorkerError(error_line(ended.stderr))
        written = json.loads(file.read_text(encoding="utf-8"))
    return [
        Finding(**{name: value for name, value in finding.items() if name != "inherent"})
        for finding in written["findings"]
    ]


def _listed(findings: Sequence[Finding], *, inherent: bool) -> str:
    """Stage and cause of each finding that is inherent, or is not, once each and in order."""
    chosen = [f"{finding.stage}/{finding.cause}" for finding in findings if finding.inherent == inherent]
    return " ".join(dict.fromkeys(chosen))


def _parameters(workers: Workers, address: str) -> int:
    """Trained values of the PyTorch model; 0 where it cannot be built or its process has ended."""
    try:
        workers.left.ask("load", address=address, precision="float32", seed=1)
        arrays = workers.left.ask("read")
    except (InputError, WorkerError):
        return 0
    return sum(array.size for name, array in arrays.items() if "running_" not in name)


def _versions(workers: Workers) -> str:
    """Versions of both frameworks and of Keras; empty where a process has ended."""
    try:
        answers = workers.both("versions")
    except WorkerError:
        return ""
    return ", ".join(f"{name} {version}" for answer in answers for name, version in answer.items())
