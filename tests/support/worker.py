"""Tasks that run in a framework's own process: two frameworks in one process crash.

`run(framework, task, **arguments)` calls `task(backend, **arguments)` from this module over there.
Arguments and results are plain Python and NumPy values.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from common import frameworks
from common.cli import profile as profiling
from common.cli.trace import Trace
from common.cli.trace import trace as take_trace
from common.data.batches import Scaling, normalise
from common.data.datasets import Dataset, Digits
from common.model.optimizer import Optimizer
from common.model.spec import ModelSpec
from common.training import initial_weights
from common.training.backend import Execution, LoaderOptions
from common.training.evaluate import evaluate
from common.training.job import Job
from common.training.mistaken import Outcome, outcomes
from common.training.run import build as build_job
from common.training.run import execute as run_job

SCRIPTS = {name: Path(framework.script).stem for name, framework in frameworks.FRAMEWORKS.items()}
FRAMEWORKS = tuple(SCRIPTS)


@cache
def _pool(framework: str, plain: bool) -> ProcessPoolExecutor:
    start = partial(_empty_fast, framework) if plain else None
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=start)
    atexit.register(pool.shutdown, cancel_futures=True)
    return pool


def run(framework: str, task: str, *, plain: bool = False, **arguments: Any) -> Any:
    """Result of `task` in the process of `framework`, which stays for the next task; with `plain` in one
    whose backends/FRAMEWORK/fast.py is empty."""
    return _submit(framework, task, plain, arguments).result(timeout=600)


def run_pair(task: str, *, plain: bool = False, **arguments: Any) -> tuple[Any, Any]:
    """Results of `task` in the two frameworks that are compared, which do it at the same time."""
    first, second = (_submit(framework, task, plain, arguments) for framework in frameworks.PAIR)
    return first.result(timeout=600), second.result(timeout=600)


def _submit(framework: str, task: str, plain: bool, arguments: dict[str, Any]) -> Future[Any]:
    return _pool(framework, plain).submit(_call, framework, task, arguments)


def _empty_fast(framework: str) -> None:
    """Let every function of fast.py return its first argument."""
    importlib.import_module(SCRIPTS[framework])
    fast = importlib.import_module(f"backends.{framework}.fast")
    functions = inspect.getmembers(
        fast, lambda member: inspect.isfunction(member) and member.__module__ == fast.__name__
    )
    assert functions
    for name, _ in functions:
        setattr(fast, name, lambda first, *rest, **options: first)


@cache
def start_backend(framework: str) -> Any:
    """The backend of `framework` in this process, on the CPU unless TEST_ON_ACCELERATOR is set.

    On one thread: on a busy machine two that wait for each other took 20 s where one takes half a second.
    """
    accelerate = "TEST_ON_ACCELERATOR" in os.environ
    return importlib.import_module(SCRIPTS[framework]).Backend(accelerate=accelerate, threads=1)


def _call(framework: str, task: str, arguments: dict[str, Any]) -> Any:
    return globals()[task](start_backend(framework), **arguments)


def build(
    backend: Any,
    spec: ModelSpec,
    optimizer: Optimizer,
    *,
    precision: str = "float32",
    native: tuple[str, ...] = (),
    compiled: bool = False,
    scaling: Scaling = Scaling(),
    feed: LoaderOptions | None = None,
    masks: int | None = None,
    smoothing: float = 0.0,
    state: dict[str, Any] | None = None,
    seed: int = 1,
) -> Any:
    """A model of `spec` that starts from `state`, or from the initial weights of `seed`."""
    execution = Execution(
        precision=precision,
        native=frozenset(native),
        compiled=compiled,
        scaling=scaling,
        loader=feed,
        masks=masks,
        label_smoothing=smoothing,
    )
    model = backend.build(spec, optimizer, execution=execution, seed=seed)
    model.load_state_dict(initial_weights.initial(spec, seed) if state is None else state)
    return model


def predict(backend: Any, *, images: np.ndarray, **model: Any) -> np.ndarray:
    """Logits of a model in inference mode."""
    return build(backend, **model).predict(images)


def state(backend: Any, **model: Any) -> dict[str, np.ndarray]:
    """State of a model that has only been built and loaded."""
    return build(backend, **model).state_dict()


def parameters(backend: Any, **model: Any) -> int:
    """Number of trained values, as the framework itself counts them."""
    module = build(backend, **model).module
    trained = module.trainable_variables if backend.name == "tensorflow" else module.parameters()
    return sum(int(np.prod(weight.shape)) for weight in trained)


def native_init(backend: Any, *, spec: ModelSpec, optimizer: Optimizer, seed: int) -> dict[str, np.ndarray]:
    """State of a model whose weights the framework has drawn."""
    built = backend.build(spec, optimizer, execution=Execution(native=frozenset({"init"})), seed=seed)
    return built.state_dict()


def steps(
    backend: Any,
    *,
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rate: np.ndarray,
    momentum: np.ndarray | None = None,
    test: np.ndarray | None = None,
    **model: Any,
) -> dict[str, Any]:
    """Losses and correct counts of training steps, the state after them, and logits of `test` images."""
    built = build(backend, **model)
    losses, correct = built.train_steps(images, labels, order, rate, momentum)
    logits = None if test is None else built.predict(test)
    return {"losses": losses, "correct": correct, "state": built.state_dict(), "logits": logits}


def mutated_steps(backend: Any, *, kind: str, mutant: str, **arguments: Any) -> dict[str, Any]:
    """`steps` of a network whose layers of a kind have a planted mistake, one of `support.mutants`."""
    page = importlib.import_module(SCRIPTS[backend.name])
    plant = importlib.import_module(f"support.mutants_{backend.name}").MUTANTS[mutant]
    build_layer = page.build_layer

    def build_mutant(node: Any, execution: Execution) -> Any:
        layer = build_layer(node, execution)
        return plant(layer) if node.layer.kind == kind else layer

    page.build_layer = build_mutant
    try:
        return steps(backend, **arguments)
    finally:
        page.build_layer = build_layer


def execute(backend: Any, *, dataset: Dataset, job: Job, interrupt_at: str | None = None) -> str:
    """How a run of the command line's own machinery ended; one that prints a line which begins with
    `interrupt_at` is interrupted."""

    def show(line: str) -> None:
        print(line)
        if interrupt_at and line.startswith(interrupt_at):
            raise KeyboardInterrupt

    return run_job(backend, dataset, job, show=show)


def accuracy(backend: Any, *, dataset: Dataset, job: Job) -> float:
    """Test accuracy of the weights that `job` starts from, in percent."""
    model = backend.build(job.spec, job.recipe.optimizer, execution=job.execution, seed=1)
    model.load_state_dict(job.start)
    scaled = partial(normalise, scaling=job.recipe.scaling)
    labels = dataset.test.labels.astype(np.int64)
    return evaluate(model, dataset.test.images, labels, scaled, batch_size=1000).accuracy


def own_epoch(
    backend: Any,
    *,
    digits: Digits,
    rate: np.ndarray,
    batch_size: int,
    momentum: np.ndarray | None = None,
    loader_seeds: Sequence[int] = (1,),
    **model: Any,
) -> dict[str, Any]:
    """Losses and correct counts of the last epoch of the framework's own loader, one for each of its seeds,
    and the state after it."""
    built = build(backend, **model)
    for seed in loader_seeds:
        parts = list(
            backend.native_loader.train_epoch(built, digits, rate, momentum, batch_size=batch_size, seed=seed)
        )
    losses, correct = (np.concatenate(told) for told in zip(*parts, strict=True))
    return {"losses": losses, "correct": correct, "state": built.state_dict()}


def is_compiled(backend: Any, **model: Any) -> bool:
    """Whether the model's steps go through the framework's compiler."""
    built = build(backend, **model)
    return bool(built.xla if backend.name == "tensorflow" else hasattr(built.step, "__wrapped__"))


def compiled_updates(
    backend: Any, *, optimizer: Optimizer, start: np.ndarray, gradients: np.ndarray, rates: list[float]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A weight after each step by PyTorch's optimizer, and by the formulas that `--compile` compiles."""
    import torch

    from backends.pytorch import parity
    from common.model.optimizer import slots

    page = importlib.import_module(SCRIPTS["pytorch"])
    weight, own = (torch.tensor(start, requires_grad=grad) for grad in (False, True))
    built = page.build_optimizer(optimizer, [own], Execution())
    constants, state = built.param_groups[0], [torch.zeros_like(weight) for _ in slots(optimizer)]
    by_pytorch, by_formula = [], []
    for steps, (gradient, rate) in enumerate(zip(torch.from_numpy(gradients), rates, strict=True), 1):
        constants["lr"], own.grad = rate, gradient
        built.step()
        values = torch.tensor(parity.update_numbers(optimizer, constants, steps), dtype=weight.dtype)
        parity.update(optimizer, constants, weight, gradient, state, values)
        by_pytorch.append(own.detach().numpy().copy())
        by_formula.append(weight.numpy().copy())
    return by_pytorch, by_formula


def gradients(
    backend: Any, *, images: np.ndarray, labels: np.ndarray, **model: Any
) -> dict[str, np.ndarray | float]:
    """PyTorch's loss on a batch and its gradient for each weight, as a training step computes them."""
    built = build(backend, **model)
    built.module.train()
    _, loss = built.forward_loss(*built.to_device(images, labels))
    loss.backward()
    found = {name: weight.grad.cpu().numpy().copy() for name, weight in built.module.named_parameters()}
    return {"loss": loss.item(), **found}


def one_cycles(backend: Any, *, cases: Sequence[tuple[float, ...]]) -> list[list[tuple[float, float]]]:
    """(rate, momentum) at each step of torch's OneCycleLR, for each of `cases`: the number of steps, then the
    settings of OneCycle in their order."""
    import torch

    tables = []
    for total, pct_start, div_factor, final_div_factor, low, high in cases:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=int(total),
            pct_start=pct_start,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            base_momentum=low,
            max_momentum=high,
        )
        table = []
        for step in range(int(total)):
            group = optimizer.param_groups[0]
            table.append((group["lr"], group["momentum"]))
            optimizer.step()
            if step < total - 1:
                schedule.step()
        tables.append(table)
    return tables


def started(backend: Any, *, job: Job) -> dict[str, np.ndarray]:
    """State of a job's model before its first step."""
    return build_job(backend, job).state_dict()


def trace(backend: Any, *, dataset: Dataset, job: Job, whole: bool = False) -> Trace:
    """A job's first steps, or first epoch."""
    return take_trace(backend, dataset, job, whole=whole)


def profile(backend: Any, *, dataset: Dataset, job: Job) -> list[profiling.Measurement]:
    """All figures of a network, measured briefly."""
    profiling.ROUNDS, profiling.ROUND_SECONDS, profiling.PREDICTIONS = 2, 0.05, {1: 3, 100: 2, 10_000: 1}
    return list(profiling.profile(backend, dataset, job))


def mistaken(backend: Any, *, dataset: Dataset, job: Job) -> list[Outcome]:
    """The end of a job without a mistake, and with each that is at home in the framework."""
    return list(outcomes(backend, dataset, job))
