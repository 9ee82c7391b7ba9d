"""A run from start to row: build, train, report, record, save. The same for every framework."""

from __future__ import annotations

import dataclasses
import datetime
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from common.data.datasets import Dataset
from common.frameworks import ROOT
from common.model.recipe import short_name
from common.tables import machine, store
from common.tables.concurrent_runs import ConcurrentRuns
from common.tables.schema import EpochRow, ErrorRow, Run, Status
from common.training import checkpoint, initial_weights, numerics
from common.training.backend import Backend, LoaderOptions, Model, PeerLost
from common.training.doubts import chance_level, doubts
from common.training.job import Job
from common.training.loop import Diverged, Epoch, Progress, train


def execute(
    framework: Backend,
    dataset: Dataset,
    job: Job,
    *,
    show: Callable[[str], None],
    clock: machine.Clock | None = None,
    concurrent_runs: ConcurrentRuns | None = None,
    recorded: Callable[[Run], None] | None = None,
) -> Status:
    """Run `job`; in the process of rank 0 also write its rows and its checkpoint, and beside that, until it
    ends, a checkpoint of its last whole epoch. Return how it ended.

    `show` receives each line of output. `clock` has the readings at the start of the run if that was earlier
    than this call. `concurrent_runs` counts the runs of this machine meanwhile.
    `recorded` receives the row that is written.
    """
    clock = clock or machine.Clock.now()
    build_seconds = None
    started = machine.now()
    epochs: list[Epoch] = []
    status: Status = "ok"
    sentence = ""
    first_rank = job.execution.world.rank == 0
    last_epoch, last_epoch_saved = job.last_epoch, job.resumes_last_epoch
    try:
        started_at = time.perf_counter()
        model = build(framework, job)
        build_seconds = time.perf_counter() - started_at
        for epoch in _train_and_report(framework, model, dataset, job, show if first_rank else _discard):
            epochs.append(epoch)
            if last_epoch and first_rank and job.is_resumable_after(epoch.epoch):
                last_epoch_saved |= _save_epoch(model, framework, job, last_epoch, epoch.epoch, show)
    except Diverged as error:
        status, sentence = "diverged", str(error)
    except PeerLost as error:
        # The launcher may end this process too, but not before its row is written.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        status, sentence = "interrupted", f"Another process of this run has ended: {error}"
    except KeyboardInterrupt:
        status, sentence = "interrupted", "Interrupted."
    if sentence and (first_rank or status == "interrupted"):
        show(sentence)
    if not first_rank:
        return status
    if (results := job.results) is not None:

        def record() -> Run:
            row = _row(
                *(framework, dataset, job, epochs),
                status=status,
                started=started,
                clock=clock,
                build_seconds=build_seconds,
                at_once=concurrent_runs.peak() if concurrent_runs else None,
            )
            store.append(results, row, *_epoch_and_error_rows(row, epochs, dataset))
            return row

        try:
            row = record()
        except KeyboardInterrupt:
            # The run has ended: it is recorded all the same, and later signals are ignored.
            row = record()
        if recorded:
            recorded(row)
        if row.reason:
            show(f"Warning: {row.reason}")
        show(f"Run {row.run} is in {results / 'results.csv'}.")
    if job.save_model and last_epoch and status == "ok":
        _save(model, framework, job, job.save_model, job.recipe.epochs)
        show(f"The checkpoint is in {job.save_model}.")
        last_epoch.unlink(missing_ok=True)
    elif last_epoch_saved:
        show(_how_to_go_on(job, status))
    return status


def _how_to_go_on(job: Job, status: Status) -> str:
    """Possible uses of the checkpoint of the last whole epoch of a run that did not end well."""
    if status == "diverged" or not job.resume_command:
        return f"The last whole epoch is in {job.last_epoch}; --checkpoint starts a new run from its weights."
    return f"The last whole epoch is in {job.last_epoch}; this continues the run: {job.resume_command}"


def build(framework: Backend, job: Job) -> Model:
    """Return the model of `job` before its first step."""
    model = framework.build(job.spec, job.recipe.optimizer, execution=job.execution, seed=job.seed)
    if job.start is not None:
        try:
            model.load_state_dict(job.start)
        except (RuntimeError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise checkpoint.CheckpointError(f"The checkpoint cannot be loaded: {reason}") from None
    elif "init" not in job.execution.native:
        weights = initial_weights.initial(job.spec, job.seed)
        model.load_state_dict(initial_weights.perturbed(weights) if job.perturb else weights)
    return model


def _discard(line: str) -> None:
    """Print nothing: rank 0 alone reports the progress of a run in several processes."""


def _train_and_report(
    framework: Backend, model: Model, dataset: Dataset, job: Job, show: Callable[[str], None]
) -> Iterator[Epoch]:
    """Train; show each report and yield each epoch as it ends."""
    native_loader = framework.native_loader if job.execution.loader else None
    seconds_before = 0.0
    for event in train(model, dataset, job, native_loader=native_loader):
        match event:
            case Progress():
                show(_progress_line(event, job, seconds_before))
            case Epoch():
                seconds_before += event.training.seconds if event.training else 0.0
                show(_epoch_line(event, job))
                yield event


def _progress_line(progress: Progress, job: Job, seconds_before: float) -> str:
    """Report of `progress` with the time left; earlier epochs of this process took `seconds_before`."""
    steps_done = (progress.epoch - 1 - job.start_epoch) * progress.steps + progress.step
    steps_left = (job.recipe.epochs - job.start_epoch) * progress.steps - steps_done
    seconds_left = (seconds_before + progress.seconds) / steps_done * steps_left
    width = len(str(progress.steps))
    return (
        f"epoch {progress.epoch}/{job.recipe.epochs}  step {progress.step:{width}}/{progress.steps}  "
        f"loss {progress.loss:.4f}  accuracy {progress.accuracy:6.2f} %  "
        f"left {datetime.timedelta(seconds=round(seconds_left))}"
    )


def _epoch_line(epoch: Epoch, job: Job) -> str:
    test = f"test loss {epoch.test.loss:.4f} accuracy {epoch.test.accuracy:.2f} %"
    if epoch.test.tta_accuracy is not None:
        test += f" (with test-time augmentation {epoch.test.tta_accuracy:.2f} %)"
    if epoch.training is None:
        return f"before training: {test}"
    training = epoch.training
    return (
        f"epoch {epoch.epoch}/{job.recipe.epochs}: train loss {training.loss:.4f} "
        f"accuracy {training.accuracy:.2f} %, {test}, {training.seconds:.1f} s"
    )


def _save(model: Model, framework: Backend, job: Job, path: Path, epoch: int) -> None:
    """Save the run after `epoch`."""
    origin = {"framework": framework.name, "framework_version": framework.version, "epoch": epoch}
    parts = [dataclasses.asdict(part) for part in job.parts(framework.name, epoch=epoch)]
    history = {"start": job.start_digest, "parts": parts}
    checkpoint.write(path, model.state_dict(), {**job.settings, **origin, **history})


def _save_epoch(
    model: Model, framework: Backend, job: Job, path: Path, epoch: int, show: Callable[[str], None]
) -> bool:
    """Save the run in the middle, after `epoch`; whether that could be done. A full disk does not end it."""
    try:
        _save(model, framework, job, path, epoch)
    except checkpoint.CheckpointError as error:
        show(f"Warning: {error} The run goes on.")
        return False
    return True


def _row(
    framework: Backend,
    dataset: Dataset,
    job: Job,
    epochs: Sequence[Epoch],
    *,
    status: Status,
    started: str,
    clock: machine.Clock,
    build_seconds: float | None,
    at_once: int | None,
) -> Run:
    """The row of a run. Values that a failed run did not reach, and a resumed run's times of training, are
    None."""
    last = epochs[-1] if epochs and status == "ok" else None
    training = last.training if last else None
    trained = [epoch.training for epoch in epochs if epoch.training]
    timed = trained if last and trained and not job.start_epoch else []
    seconds = sum(epoch.seconds for epoch in timed)
    first_step = timed[0].first_step_seconds if timed else None
    steady_images = sum(epoch.images for epoch in timed) - job.recipe.batch_size  # without the first step's
    return Run(
        reason=_doubts(job, dataset, last) if last else "",
        framework=framework.name,
        model=job.spec.name,
        batch_size=job.recipe.batch_size,
        epochs=job.recipe.epochs,
        accuracy=last.test.accuracy if last else None,
        parameters=job.spec.parameters,
        train_accuracy=training.accuracy if training else None,
        loss=last.test.loss if last else None,
        train_loss=training.loss if training else None,
        seed=job.seed,
        train_seconds=seconds if timed else None,
        first_step_seconds=first_step,
        predict_seconds=last.test.seconds if last else None,
        images_per_second=steady_images / (seconds - first_step) if steady_images and first_step else None,
        peak_memory_mib=machine.peak_memory_mib(),
        total_seconds=clock.wall_seconds(),
        dataset=dataset.name,
        optimizer=short_name(job.recipe.optimizer),
        schedule=short_name(job.recipe.schedule),
        lr=job.recipe.lr,
        augment=short_name(job.recipe.augment),
        native="+".join(sorted(job.execution.native)) or "none",
        loader=_loader_cell(job.execution.loader),
        precision=job.execution.precision + ("+compile" if job.execution.compiled else ""),
        device=framework.device,
        threads=framework.threads,
        world_size=job.execution.world.size,
        machine=machine.name(),
        framework_version=framework.version,
        python=machine.python(),
        commit=machine.commit(ROOT),
        recipe_hash=job.recipe_hash(framework.name),
        status=status,
        started=started,
        run=store.new_run(),
        import_seconds=clock.import_seconds,
        build_seconds=build_seconds,
        cpu_seconds=clock.cpu_seconds(),
        load_before=clock.load,
        load_after=machine.load(),
        at_once=at_once,
        shifted_accuracy=last.test.tta_accuracy if last else None,
        numerics=numerics.number(framework.numerics, job.spec, job.recipe.optimizer),
        model_file=job.model_file or None,
    )


def _doubts(job: Job, dataset: Dataset, last: Epoch) -> str:
    """Doubts about the result of a complete run; none about an untrained network's."""
    if last.training is None and job.start is None:
        return ""
    losses = {"test loss": last.test.loss}
    if last.training:
        losses["training loss"] = last.training.loss
    chance = chance_level(dataset.test.labels)
    return doubts(last.test.accuracy, losses, chance=chance, outputs=job.spec.outputs)


def _epoch_and_error_rows(
    run: Run, epochs: Sequence[Epoch], dataset: Dataset
) -> tuple[list[EpochRow], list[ErrorRow]]:
    """Rows of every epoch that ended, and of the test images that a complete run gets wrong at its end."""
    rows = [
        EpochRow(
            run=run.run,
            epoch=epoch.epoch,
            lr=epoch.training.lr if epoch.training else None,
            train_loss=epoch.training.loss if epoch.training else None,
            train_accuracy=epoch.training.accuracy if epoch.training else None,
            loss=epoch.test.loss,
            accuracy=epoch.test.accuracy,
            seconds=epoch.training.seconds if epoch.training else 0.0,
        )
        for epoch in epochs
    ]
    if run.status != "ok":
        return rows, []
    predicted = epochs[-1].test.predicted
    wrong = np.flatnonzero(predicted != dataset.test.labels)
    return rows, [ErrorRow(run=run.run, index=int(index), predicted=int(predicted[index])) for index in wrong]


def _loader_cell(options: LoaderOptions | None) -> str:
    """Column `loader` of a row: `memory`, `native`, `native(num_workers=2 pin_memory=True)`."""
    if options is None:
        return "memory"
    changed = [f"num_workers={options.num_workers}"] if options.num_workers else []
    changed += ["pin_memory=True"] if options.pin_memory else []
    return f"native({' '.join(changed)})" if changed else "native"
