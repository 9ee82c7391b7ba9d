"""The command line of a script, parsed and checked: one frozen record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.checked import RecipeError
from common.cli.arguments import BY_FLAG, MAX_SEED, MODES, flag, parser
from common.cli.paths import output_error
from common.cli.threads import ThreadsError, default_threads
from common.cli.trace import STEPS
from common.data.datasets import DATASETS, TRAINING_IMAGES, Dataset
from common.frameworks import FRAMEWORKS
from common.model.entry import Entry
from common.model.overrides import with_overrides
from common.model.own_network import entry_of
from common.model.recipe import Recipe
from common.model.schedule import OneCycle
from common.model.zoo import ZOO
from common.tables.concurrent_runs import ConcurrentRuns
from common.tables.contention import Usage
from common.tables.store import is_table
from common.training import checkpoint
from common.training.backend import NATIVE_PARTS
from common.training.distributed import LauncherError, World, read_world
from common.training.fit import MAX_STEPS, normalises_one_value


@dataclass(frozen=True, kw_only=True)
class Startup:
    """State of a process from before it imports the framework: the load of the machine, its processor time,
    the count of concurrent runs, and the data set that a thread reads during the import."""

    load: float | None = None
    usage: Usage | None = None
    concurrent_runs: ConcurrentRuns | None = None
    dataset: Future[Dataset] | None = None


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A script's command line: a field for each flag, None where a flag was not given and has no default of
    its own (it then comes from a checkpoint or the recipe); the processes of the run; threads; start-up."""

    framework: str
    world: World
    startup: Startup = Startup()

    dataset: str | None
    data_dir: Path | None
    validation: int | None
    loader: str | None
    num_workers: int
    pin_memory: bool

    model: str
    vary: tuple[str, ...] | None
    native: tuple[str, ...] | None
    perturb: str | None
    checkpoint: Path | None

    epochs: int | None
    batch_size: int | None
    test_batch_size: int
    lr: float | None
    seed: int | None
    seeds: int
    resume: Path | None
    precision: str | None
    compile: bool | None
    no_accel: bool
    threads: int

    results: Path
    save_model: Path | None
    log_interval: int
    dry_run: bool

    list: bool
    profile: Path | None
    trace: Path | None
    mistakes: Path | None
    defaults: Path | None
    serve: Path | None

    @property
    def entry(self) -> Entry:
        """The network that --model names, with its own recipe."""
        return entry_of(self.model)

    @property
    def mode(self) -> str | None:
        """Name of what the script does instead of a run, a key of MODES; None for a run."""
        return next((mode for mode in MODES if getattr(self, mode)), None)


def parse(framework: str, words: Sequence[str] | None = None) -> Invocation:
    """Parse and check the command line of the script of `framework`. An error in it is printed as one
    line on stderr, and the process exits with status 2."""
    command = parser(framework)
    flags: dict[str, Any] = vars(command.parse_args(words))
    defaults = {name: command.get_default(name) for name in flags}
    given = {name for name, value in flags.items() if value != defaults[name]}
    for error in _mode_errors(given):
        command.error(error)
    try:
        if flags["resume"] and "model" not in command.given:
            flags["model"] = _saved_model(flags["resume"]) or flags["model"]
        world = read_world(framework, os.environ)
        computed = {
            "threads": flags["threads"] or default_threads(world.local_size, os.environ),
            "vary": tuple(flags["vary"]) if flags["vary"] else None,
            "native": _expand(flags["native"]) if flags["native"] else None,
        }
        invocation = Invocation(framework=framework, world=world, **(flags | computed))
        recipe = varied(invocation.entry, invocation.vary or ()).recipe
    except (RecipeError, LauncherError, ThreadsError, checkpoint.CheckpointError) as error:
        command.error(str(error))
    for errors in (_run_errors, _loader_errors, _world_errors):
        for sentence in errors(invocation, recipe):
            command.error(sentence)
    return invocation


def _saved_model(path: Path) -> str | None:
    """The network of a checkpoint; None if there is none, which is reported when the run is made.

    Raises CheckpointError for a network of a user's file: a checkpoint does not decide what is run as code.
    """
    try:
        metadata = checkpoint.read(path).metadata
    except checkpoint.CheckpointError:
        return None
    model, file = metadata.get("model"), metadata.get("model_file")
    if file:
        name = str(file).partition("@")[0]
        raise checkpoint.CheckpointError(
            f"{path} has the network {model} of {name}: name the file too, with --model {name}:{model}."
        )
    return model if isinstance(model, str) and model in ZOO else None


def varied(entry: Entry, changes: Sequence[str]) -> Entry:
    """`entry` with a changed recipe. Raises RecipeError for a field that has a flag of its own."""
    refuse_repeated(changes)
    for change in changes:
        name = change.partition("=")[0]
        if name in BY_FLAG:
            raise RecipeError(f"--vary {change}: use {BY_FLAG[name]} for this field.")
    return replace(entry, recipe=with_overrides(entry.recipe, changes))


def refuse_repeated(changes: Sequence[str]) -> None:
    """Raise RecipeError if two changes are of one field."""
    fields = [change.partition("=")[0] for change in changes]
    for field in fields:
        if fields.count(field) > 1:
            raise RecipeError(f"--vary changes {field} {fields.count(field)} times; name one value.")


def _expand(parts: Sequence[str]) -> tuple[str, ...]:
    """Parts that --native names, with `all` written out."""
    return tuple(sorted(NATIVE_PARTS if "all" in parts else set(parts)))


def _mode_errors(given: set[str]) -> Iterator[str]:
    """Flags among those given that a mode among them would ignore."""
    for mode, accepted in MODES.items():
        ignored = sorted(given - accepted - {mode})
        if mode in given and ignored:
            flags = ", ".join(map(flag, ignored)) + (" is" if len(ignored) == 1 else " are")
            others = ", ".join(map(flag, sorted(accepted))) or "no other flag"
            yield f"{flags} not for {flag(mode)}, which accepts {others}."


def _run_errors(invocation: Invocation, recipe: Recipe) -> Iterator[str]:
    """Contradictions between flags that any run may have."""
    batch_size = invocation.batch_size or recipe.batch_size
    images = TRAINING_IMAGES - (invocation.validation or 0)
    own_data = invocation.dataset not in (None, *DATASETS)  # whose size is not read yet
    if batch_size > images and not own_data:
        yield f"--batch-size {batch_size} is more than the {images:,} training images that are left."
    trained = recipe.epochs if invocation.epochs is None else invocation.epochs
    epochs = max(recipe.epochs, trained)
    if (steps := epochs * (images // batch_size)) > MAX_STEPS and not own_data:
        yield f"{epochs:,} epochs of batches of {batch_size} are {steps:,} steps; at most {MAX_STEPS:,} are."
    if (last := (invocation.seed or 0) + invocation.seeds - 1) > MAX_SEED:
        yield f"The last of --seeds {invocation.seeds} would be {last:,}; a seed is at most {MAX_SEED:,}."
    if normalises_one_value(invocation.entry.spec, batch_size // invocation.world.size):
        yield (
            f"--batch-size {batch_size}: {invocation.model} normalises each channel over a batch, "
            "which needs at least two values."
        )
    if (trained == 0 and invocation.save_model) or (invocation.epochs == 0 and invocation.resume):
        yield "A run of 0 epochs only tests: there is nothing to save or to continue."
    if invocation.trace and recipe.epochs == 0:
        yield f"--trace trains: the recipe of {invocation.model} has 0 epochs."
    if invocation.trace and invocation.epochs not in (None, 1):
        yield f"--trace accepts --epochs 1, or no --epochs for {STEPS} steps; not {invocation.epochs}."
    if invocation.mistakes and recipe.epochs == 0:
        yield f"--mistakes trains: the recipe of {invocation.model} has 0 epochs."
    elif invocation.mistakes and trained == 0:
        yield "--mistakes trains: --epochs must be at least 1, not 0."
    if (
        invocation.profile
        and invocation.epochs is not None
        and (invocation.epochs != 1 or invocation.compile)
    ):
        yield f"--profile accepts --epochs 1, without --compile; not {invocation.epochs}."
    if invocation.resume and invocation.checkpoint:
        yield "--resume and --checkpoint exclude each other: one continues a run, one starts a new one."
    if invocation.resume and invocation.dry_run:
        yield "--dry-run trains a first batch; --resume goes on after one."
    about = FRAMEWORKS[invocation.framework]
    cycled = isinstance(recipe.schedule, OneCycle) and recipe.schedule.momentum
    if (
        cycled
        and not invocation.resume
        and "optimizer" in (invocation.native or ())
        and not about.cycles_momentum
    ):
        yield (
            f"--native optimizer: {about.title}'s own SGD keeps one momentum, and {invocation.model} "
            "cycles it; add --vary schedule.momentum=none."
        )
    if invocation.seeds > 1 and (invocation.resume or invocation.save_model):
        yield f"--seeds {invocation.seeds} makes several runs; --resume and --save-model are for one."
    if invocation.perturb and (
        invocation.checkpoint or invocation.resume or "init" in (invocation.native or ())
    ):
        yield "--perturb changes the shared initial weights: not with --checkpoint, --resume, --native init."
    for file in (invocation.profile, invocation.trace, invocation.mistakes, invocation.defaults):
        if file and (error := output_error(file)):
            yield error
    names = "save_model", "profile", "trace", "mistakes", "defaults"
    outputs = [(name, getattr(invocation, name)) for name in names]
    if invocation.save_model:
        outputs.append(("save_model", checkpoint.last_epoch_path(invocation.save_model)))
    for name, file in outputs:
        if file and is_table(file, invocation.results):
            yield f"{flag(name)} {file} is a file of the tables; name another one."


def _loader_errors(invocation: Invocation, recipe: Recipe) -> Iterator[str]:
    """Features of a recipe that the native loader lacks, and options that the loader in use lacks."""
    native = invocation.loader == "native"
    # A run that goes on has the changes of the recipe in its checkpoint, and was allowed.
    if native and not invocation.resume and (recipe.augment or recipe.moments):
        feature = "augments" if recipe.augment else "moment-normalises"
        yield f"--loader native uses images unchanged; the recipe of {invocation.model} {feature} them."
    if not native and not invocation.resume and (invocation.num_workers or invocation.pin_memory):
        yield "--num-workers and --pin-memory are options of --loader native."
    about = FRAMEWORKS[invocation.framework]
    if invocation.pin_memory and not about.pins_memory:
        yield f"--pin-memory: {about.native_loader} cannot put batches in page-locked memory."


def _world_errors(invocation: Invocation, recipe: Recipe) -> Iterator[str]:
    """Flags that a run in several processes does not support."""
    size, batch_size = invocation.world.size, invocation.batch_size or recipe.batch_size
    if size == 1:
        return
    if batch_size % size:
        yield f"--batch-size {batch_size} cannot be divided equally among {size} processes."
    for name in ("profile", "compile", "resume"):
        if getattr(invocation, name):
            yield f"{flag(name)} is for a run in one process, not in {size}."
    if invocation.loader == "native":
        yield f"--loader native is for a run in one process, not in {size}."
