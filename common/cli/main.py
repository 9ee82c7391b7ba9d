"""The command line both scripts share: `parse_arguments` before the framework is imported, `main` after it.

A run is announced, shown and recorded here. Bad input is one sentence on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from common.cli.arguments import BY_FLAG, TRAINING_IMAGES, parser
from common.cli.framework_defaults import read_defaults
from common.cli.predict_server import serve
from common.cli.profile import profile
from common.cli.trace import STEPS, trace
from common.data.batches import Scaling
from common.data.datasets import DataError, Dataset, Digits, hold_out, load, validated
from common.frameworks import FRAMEWORKS
from common.model.entry import Entry, describe
from common.model.overrides import with_overrides
from common.model.recipe import Recipe, RecipeError
from common.model.spec import summary
from common.model.zoo import ENTRIES, ZOO
from common.tables import machine, store
from common.tables.concurrent_runs import ConcurrentRuns
from common.training import checkpoint
from common.training.backend import NATIVE_PARTS, Backend, Execution, LoaderOptions, Unavailable
from common.training.distributed import LauncherError, read_world
from common.training.job import Job
from common.training.run import execute


def parse_arguments(framework: str, words: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line; answers --help, --list and what is wrong by itself, and exits."""
    command = parser(framework)
    arguments = command.parse_args(words)
    if arguments.list:
        print("\n".join(map(describe, ENTRIES)))
        command.exit(0)
    try:
        recipe = _varied(ZOO[arguments.model], arguments.vary or []).recipe
        arguments.world = read_world(framework, os.environ)
    except (RecipeError, LauncherError) as error:
        command.error(str(error))
    for wrong in (_of_a_run, _of_loaders, _of_processes):
        for sentence in wrong(arguments, recipe, framework):
            command.error(sentence)
    arguments.threads = arguments.threads or machine.cores_each(arguments.world.local_size)
    arguments.loading, arguments.load, arguments.neighbours = None, machine.load(), None
    if words is None:
        arguments.neighbours = ConcurrentRuns() if arguments.world.rank == 0 else None
        # While a framework is imported Ctrl-C ends the process without a traceback; `main` takes over.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # A checkpoint names its data set itself.
        if not (arguments.resume or arguments.defaults or arguments.serve):
            # Read and verified on a thread meanwhile: an import leaves it most of a core.
            arguments.loading = ThreadPoolExecutor(1).submit(_load, arguments, arguments.dataset or "mnist")
    return arguments


def _of_a_run(arguments: argparse.Namespace, recipe: Recipe, framework: str) -> Iterator[str]:
    """What is wrong with any run that is asked for like this."""
    batch_size = arguments.batch_size or recipe.batch_size
    kept = TRAINING_IMAGES - (arguments.validation or 0)
    if batch_size > kept:
        yield f"--batch-size {batch_size} is more than the {kept:,} training images that are left."
    if arguments.epochs == 0 and (arguments.save_model or arguments.resume):
        yield "--epochs 0 only tests: there is nothing to save or to go on with."
    if arguments.trace and arguments.epochs not in (None, 1):
        yield f"--trace takes the first {STEPS} steps, or with --epochs 1 an epoch."
    if arguments.resume and arguments.checkpoint:
        yield "--resume and --checkpoint exclude each other: one goes on with a run, one starts a new one."
    if arguments.seeds > 1 and (arguments.resume or arguments.save_model):
        yield f"--seeds {arguments.seeds} makes several runs; --resume and --save-model are for one."
    if arguments.perturb and (
        arguments.checkpoint or arguments.resume or "init" in expanded(arguments.native)
    ):
        yield "--perturb is of the shared initial weights: not with --checkpoint, --resume, --native init."
    for file in (arguments.profile, arguments.trace, arguments.defaults):
        if file and not file.parent.is_dir():
            yield f"{file} cannot be written: there is no folder {file.parent}."


def _of_loaders(arguments: argparse.Namespace, recipe: Recipe, framework: str) -> Iterator[str]:
    """What a loader cannot do, or has not."""
    native = arguments.loader == "native"
    if native and (recipe.augment or recipe.moments):
        does = "augments images" if recipe.augment else "makes images alike"
        yield f"--loader native takes images as they are; the recipe of {arguments.model} {does}."
    if not native and not arguments.resume and (arguments.num_workers or arguments.pin_memory):
        yield "--num-workers and --pin-memory are knobs of --loader native."
    if arguments.pin_memory and not FRAMEWORKS[framework].pins_memory:
        yield f"--pin-memory: {FRAMEWORKS[framework].native_loader} cannot put batches in page-locked memory."


def _of_processes(arguments: argparse.Namespace, recipe: Recipe, framework: str) -> Iterator[str]:
    """What several processes cannot do together."""
    of, batch_size = arguments.world.size, arguments.batch_size or recipe.batch_size
    if of == 1:
        return
    if batch_size % of:
        yield f"--batch-size {batch_size} cannot be shared by {of} processes equally."
    for flag in ("profile", "compile", "resume"):
        if getattr(arguments, flag):
            yield f"--{flag} is for a run in one process, not in {of}."
    if arguments.loader == "native":
        yield f"--loader native is for a run in one process, not in {of}."


def main(backend: type[Backend], arguments: argparse.Namespace) -> NoReturn:
    """Do what the command line says with `backend`, and exit: 0, 1 diverged, 2 bad input, 130 interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments.world.size > 1:
        # How a launcher ends the other processes when one has died.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(_main(backend, arguments))
    except (DataError, RecipeError, checkpoint.CheckpointError, store.ResultsError, Unavailable) as error:
        print(f"{FRAMEWORKS[backend.name].script}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _main(backend: type[Backend], arguments: argparse.Namespace) -> int:
    if arguments.defaults:
        return _defaults(backend, arguments.defaults)
    if arguments.serve:
        serve(backend(accelerate=False, threads=1), arguments.serve, sys.stdin, sys.stdout)
        return 0
    clock = machine.Clock.of_process(load=arguments.load)
    job = _job(arguments)
    dataset = _dataset(arguments, job)
    if job.results:
        store.check_writable(job.results)
        if job.save_model:
            checkpoint.check_writable(job.save_model)
    if job.execution.loader is None:  # what most users run has no such setting
        machine.keep_freed_pages()
    framework = backend(accelerate=not arguments.no_accel, threads=arguments.threads)
    if arguments.world.rank == 0:
        each = f" in each of {arguments.world.size} processes" if arguments.world.size > 1 else ""
        print(
            f"{framework.name} {framework.version} on {framework.device}, {framework.threads} threads{each}"
        )
        print(summary(job.spec))
    if arguments.profile:
        return _profile(framework, dataset, job, arguments.profile)
    if arguments.trace:
        return _trace(framework, dataset, job, arguments)
    statuses = set()
    for seed in range(job.seed, job.seed + arguments.seeds):
        one = dataclasses.replace(job, seed=seed)
        statuses.add(
            execute(framework, dataset, one, show=_show, clock=clock, concurrent_runs=arguments.neighbours)
        )
        clock = machine.Clock.now()
        if "interrupted" in statuses:
            return 130
    return 1 if "diverged" in statuses else 0


def _defaults(backend: type[Backend], file: Path) -> int:
    """Show the framework's own defaults; all of them into `file`."""
    found = read_defaults(backend.defaults)
    print(f"{backend.name} {backend.defaults.versions}")
    width = max(map(len, found))
    for item, value in found.items():
        _show(f"{item:{width}}  {value}")
    file.write_text(json.dumps({"framework_version": backend.defaults.versions, "defaults": found}))
    return 0


def _trace(framework: Backend, dataset: Dataset, job: Job, arguments: argparse.Namespace) -> int:
    """The losses of first steps, or of the first epoch and the accuracy after it, into the file."""
    taken = trace(framework, dataset, job, whole=arguments.epochs is not None)
    if arguments.world.rank:
        return 0
    told = {"losses": taken.losses.tolist(), "accuracy": taken.accuracy}
    arguments.trace.write_text(json.dumps({**told, "framework_version": framework.version}))
    return 0


def _profile(framework: Backend, dataset: Dataset, job: Job, file: Path) -> int:
    """Show the figures of a network as they come; all of them into `file`."""
    figures = []
    for figure in profile(framework, dataset, job):
        figures.append(figure)
        spread = "" if figure.low == figure.high else f"  ({figure.low:.4g} to {figure.high:.4g})"
        _show(f"{figure.measure:12}  {figure.arm:40}  {figure.value:10.4g} {figure.unit}{spread}")
    about = {"device": framework.device, "threads": framework.threads, "framework_version": framework.version}
    file.write_text(json.dumps({**about, "figures": [dataclasses.asdict(figure) for figure in figures]}))
    return 0


def _show(line: str) -> None:
    print(line, flush=True)  # at once, also into a file or a pipe


def _job(arguments: argparse.Namespace) -> Job:
    """The run that the command line describes, the rest from the checkpoint it resumes or from the recipe."""
    saved = checkpoint.read(arguments.resume) if arguments.resume else None
    entry = _varied(ZOO[arguments.model], arguments.vary or (saved.metadata.get("vary", []) if saved else []))
    if saved:
        checkpoint.check(saved, arguments.resume, entry.spec, entry.recipe.optimizer)
    settings = _settings(arguments, entry, saved.metadata if saved else {})
    recipe = dataclasses.replace(
        entry.recipe,
        batch_size=settings["batch_size"],
        lr=settings["lr"],
        epochs=_epochs(arguments, entry),
    )
    if saved and saved.metadata["epoch"] >= recipe.epochs:
        done = saved.metadata["epoch"]
        raise checkpoint.CheckpointError(
            f"{arguments.resume} has {done} epochs done: --epochs must be above that, not {recipe.epochs}."
        )
    feed = LoaderOptions(num_workers=arguments.num_workers, pin_memory=arguments.pin_memory)
    job = Job(
        spec=entry.spec,
        recipe=recipe,
        schedule_epochs=max(recipe.epochs, entry.recipe.epochs),
        seed=settings["seed"],
        execution=Execution(
            precision=settings["precision"],
            native=frozenset(settings["native"]),
            compiled=settings["compile"],
            scaling=Scaling(recipe.mean, recipe.std),
            label_smoothing=recipe.label_smoothing,
            loader=feed if settings["loader"] == "native" else None,
            world=arguments.world,
        ),
        test_batch_size=arguments.test_batch_size,
        log_interval=arguments.log_interval,
        settings={"model": entry.name, "recipe": recipe.to_dict(), **settings},
        results=None if arguments.dry_run else arguments.results,
        save_model=arguments.save_model,
        perturb=settings["perturb"] is not None,
    )
    if saved:
        return dataclasses.replace(job, start=saved.state, start_epoch=saved.metadata["epoch"])
    if arguments.checkpoint:
        return dataclasses.replace(job, start=checkpoint.load_weights(arguments.checkpoint, entry.spec))
    return job


def _varied(entry: Entry, changes: Sequence[str]) -> Entry:
    """The entry with a changed recipe. Raises RecipeError for what has a flag of its own."""
    for change in changes:
        name = change.partition("=")[0]
        if name in BY_FLAG:
            raise RecipeError(f"--vary {change}: for this there is {BY_FLAG[name]}.")
    return dataclasses.replace(entry, recipe=with_overrides(entry.recipe, changes))


def _epochs(arguments: argparse.Namespace, entry: Entry) -> int:
    if arguments.epochs is None:
        return 1 if arguments.dry_run else entry.recipe.epochs
    return min(arguments.epochs, 1) if arguments.dry_run else int(arguments.epochs)


def _settings(arguments: argparse.Namespace, entry: Entry, saved: dict[str, Any]) -> dict[str, Any]:
    """What must stay the same when a run goes on: from the command line, else the checkpoint, else defaults.

    Raises CheckpointError where command line and checkpoint disagree.
    """
    default: dict[str, Any] = {
        "seed": 1,
        "batch_size": entry.recipe.batch_size,
        "lr": entry.recipe.lr,
        "precision": "float32",
        "native": [],
        "perturb": None,
        "vary": [],
        "compile": False,
        "loader": "memory",
        "dataset": "mnist",
        "validation": 0,
    }
    given = {name: getattr(arguments, name) for name in default}
    if given["native"] is not None:
        given["native"] = expanded(given["native"])
    settings = default | {name: saved[name] for name in default if name in saved}
    for name, value in given.items():
        if saved and value not in (None, settings[name]):
            flag = "--" + name.replace("_", "-")
            raise checkpoint.CheckpointError(
                f"{arguments.resume} was trained with {flag} {settings[name]} and cannot go on with {value}."
            )
    return settings | {name: value for name, value in given.items() if value is not None}


def expanded(parts: list[str] | None) -> list[str]:
    """What --native names, `all` written out."""
    return sorted(NATIVE_PARTS if "all" in (parts or []) else set(parts or []))


def _dataset(arguments: argparse.Namespace, job: Job) -> Dataset:
    """The images to train and test on, named as the tables name them."""
    name, held_out = job.settings["dataset"], job.settings["validation"]
    dataset = arguments.loading.result() if arguments.loading else _load(arguments, name)
    if held_out:
        dataset = dataclasses.replace(hold_out(dataset, held_out), name=validated(name, held_out))
    if arguments.dry_run:
        dataset = dataclasses.replace(
            dataset,
            train=_first(dataset.train, job.recipe.batch_size),
            test=_first(dataset.test, job.test_batch_size),
        )
    return dataset


def _load(arguments: argparse.Namespace, name: str) -> Dataset:
    return load(name, data_dir=arguments.data_dir, log=_show)


def _first(digits: Digits, count: int) -> Digits:
    return Digits(digits.images[:count], digits.labels[:count])
