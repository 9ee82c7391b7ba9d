"""PyTorch: a backend and a script. `python pytorch.py --help`.

The networks are described in common/zoo.py; here is how PyTorch builds, trains and saves one.
"""

from __future__ import annotations

from common.cli.main import main, parse_arguments

# --help and wrong flags are answered before the seconds that importing a framework takes.
arguments = parse_arguments("pytorch") if __name__ == "__main__" else None

import atexit
import contextlib
import datetime
import inspect
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from common.data.batches import Scaling
from common.data.datasets import Digits
from common.model import spec
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer, slots
from common.tables import machine
from common.training.backend import (
    DefaultsProbe,
    Execution,
    LoaderOptions,
    Native,
    PeerLost,
    Precision,
    Stage,
    Unavailable,
)
from common.training.distributed import World
from common.training.dropout_masks import Masks

Array = NDArray[Any]
PATIENCE_SECONDS = 60  # with another process of a run


class LayoutKeepingFlatten(nn.Flatten):
    """Flatten whose gradient has the layout of its input: without that it comes channels-first to the pooling
    before, whose own gradient then takes 1.1 ms instead of 0.15 (examples-cnn, two cores)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.requires_grad and inputs.is_contiguous(memory_format=torch.channels_last):
            inputs.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return super().forward(inputs)


class QuickDropout(nn.Dropout):
    """Dropout that cuts its masks from 64 random bits at a time, 16 for each value (so `p` is kept to 2^-16).

    PyTorch's own draws one value after the other on one thread of a CPU: 2.4 ms where this takes 0.4
    (examples-cnn).
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training or inputs.device.type != "cpu":
            return super().forward(inputs)
        words = torch.empty(-(-inputs.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16).as_strided(inputs.shape, inputs.stride())
        kept = (drawn >= round(self.p * 2**16) - 2**15).to(inputs.dtype)
        return inputs * kept.div_(1 - self.p)


class GivenDropout(nn.Module):
    """Dropout with masks from NumPy."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        mask = self.masks(tuple(inputs.shape), str(inputs.dtype).removeprefix("torch."))
        return inputs * torch.from_numpy(mask).to(inputs.device)


def layer(node: spec.Node, execution: Execution) -> nn.Module:
    """The PyTorch layer of one node of a network. PyTorch's own BatchNorm is what `norm` is pinned to."""
    into, native = node.input_shape[0], execution.native
    match node.layer:
        case spec.Conv(out_channels, kernel_size, padding, stride, groups, bias):
            return nn.Conv2d(
                into, out_channels, kernel_size, stride=stride, padding=padding, groups=groups, bias=bias
            )
        case spec.BatchNorm(eps, momentum):
            norm = nn.BatchNorm2d if len(node.input_shape) == 3 else nn.BatchNorm1d
            return norm(into) if "norm" in native else norm(into, eps=eps, momentum=momentum)
        case spec.Activation():
            return nn.ReLU()
        case spec.MaxPool(kernel_size):
            return nn.MaxPool2d(kernel_size)
        case spec.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case spec.Flatten():
            return nn.Flatten()
        case spec.Dense(out_features, bias):
            return nn.Linear(into, out_features, bias=bias)
        case (spec.Dropout() | spec.SpatialDropout()) as dropped if execution.masks is not None:
            whole = isinstance(dropped, spec.SpatialDropout)
            return GivenDropout(Masks(dropped.rate, node.name, execution.masks, whole))
        case spec.Dropout(rate):
            return nn.Dropout(rate)
        case spec.SpatialDropout(rate):
            return nn.Dropout2d(rate)
        case _:
            assert_never(node.layer)


def quickened(modules: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The same layers as a CPU is quicker at them: the two above, and ReLU after the max pooling it precedes.

    That changes no number and leaves a quarter of the values to do (a step of pytorch-model-1: 3.5 ms instead
    of 3.7, of examples-cnn 22 instead of 24).
    """
    quick = list(modules)
    for index, (name, module) in enumerate(quick):
        match module:
            case nn.Flatten():
                quick[index] = (name, LayoutKeepingFlatten())
            case nn.Dropout():
                quick[index] = (name, QuickDropout(module.p))
            case nn.MaxPool2d() if index and isinstance(quick[index - 1][1], nn.ReLU):
                quick[index - 1 : index + 1] = [(name, module), quick[index - 1]]
    return quick


def update_without_compiler(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """The optimizer's step without what surrounds it for torch.compile and profilers, 0.03 ms a step.

    That also imports torch._dynamo when it is first used: a second of every start.
    """
    step = inspect.unwrap(type(optimizer).step)
    return torch.no_grad()(lambda: step(optimizer))


def update_rule(
    optimizer: Optimizer, parameters: Any, native: Native, *, fused: bool
) -> torch.optim.Optimizer:
    """The PyTorch optimizer; its learning rate is set before each step. `native` leaves its constants alone.

    `fused` takes one kernel for all weights where there is such a one, else one call for each operation.
    """
    ours = "optimizer" not in native
    one_kernel: dict[str, Any] = {"fused": True} if fused else {}
    match optimizer:
        case SGD(momentum, nesterov):
            return torch.optim.SGD(parameters, lr=0.0, momentum=momentum, nesterov=nesterov, **one_kernel)
        case Adam(beta1, beta2, eps):
            constants: dict[str, Any] = {"betas": (beta1, beta2), "eps": eps} if ours else {}
            return torch.optim.Adam(parameters, lr=0.0, **one_kernel, **constants)
        case Adadelta(rho, eps):
            constants = {"rho": rho, "eps": eps} if ours else {}
            return torch.optim.Adadelta(parameters, lr=0.0, foreach=fused or None, **constants)
        case _:
            assert_never(optimizer)


def layout(network: spec.ModelSpec) -> torch.memory_format:
    """Memory format of a network's weights and images, by what was measured on two cores of a CPU.

    Channels last is what oneDNN convolves in: a step of under-8k takes 30 ms instead of 46. But there PyTorch
    normalises few channels slowly: a step of under-5k, whose narrowest has 4, takes 16.5 ms instead of 10.3.
    """
    normalised = [node.input_shape for node in network.nodes() if isinstance(node.layer, spec.BatchNorm)]
    channels = [shape[0] for shape in normalised if len(shape) == 3]
    return torch.channels_last if min(channels, default=16) >= 16 else torch.contiguous_format


def data_loader(digits: Digits, feed: LoaderOptions, scaling: Scaling, *, batch_size: int, seed: int) -> Any:
    """Batches as torchvision's users load MNIST: an image at a time, through its transforms."""
    # Imported here: most runs need not wait for it.
    from torchvision import datasets, transforms

    # Its constructor reads files; these digits are in memory and verified already.
    dataset = object.__new__(datasets.MNIST)
    dataset.data = torch.from_numpy(digits.images)
    dataset.targets = torch.from_numpy(digits.labels).long()
    dataset.target_transform = None
    scaled = [transforms.ToTensor(), transforms.Normalize((scaling.mean,), (scaling.std,))]
    dataset.transform = transforms.Compose(scaled)
    return torch.utils.data.DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=feed.num_workers,
        pin_memory=feed.pin_memory,
        generator=torch.Generator().manual_seed(seed),
    )


def paces(rate: Array, momentum: Array | None) -> Iterator[tuple[float, float | None]]:
    """Learning rate and momentum of each step; None leaves the optimizer's own momentum."""
    return zip(rate.tolist(), repeat(None) if momentum is None else momentum.tolist())


@contextlib.contextmanager
def together(share: World) -> Iterator[None]:
    """What the other processes of a run must be there for."""
    try:
        yield
    except RuntimeError as error:  # gloo has no error of its own for a connection that has closed
        if share.size == 1:
            raise
        raise PeerLost(str(error).splitlines()[0]) from error


class TorchModel:
    """A network and its optimizer on one device (`common.backend.Model`)."""

    def __init__(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, device: torch.device, execution: Execution
    ) -> None:
        self.device, self.loader, self.scaling = device, execution.loader, execution.scaling
        self.smoothing = execution.label_smoothing
        self.dtype = torch.float64 if execution.precision == "float64" else torch.float32
        self.reduced = execution.precision == "bfloat16"
        native = execution.native
        modules = [(node.name, layer(node, execution)) for node in network.nodes()]
        plain = self.loader is not None or execution.compiled
        self.module = nn.Sequential(OrderedDict(modules if plain else quickened(modules)))
        self.layout = torch.contiguous_format if self.loader else layout(network)
        self.module.to(device, self.dtype).to(memory_format=self.layout)
        self.world = execution.world
        self.forward = torch.compile(self.module) if execution.compiled else self.module
        if self.world.size > 1:
            # Averages gradients. Each process normalises by its own images; statistics are the first one's.
            with together(self.world):
                self.forward = nn.parallel.DistributedDataParallel(self.module)
        if not plain:
            # Told here what it would import torch._dynamo to be told: see update_without_compiler.
            adding = inspect.unwrap(torch.optim.Optimizer.add_param_group)
            vars(adding).setdefault("__dynamo_disable", adding)
        self.optimizer = update_rule(optimizer, self.module.parameters(), native, fused=self.loader is None)
        self.update = self.optimizer.step if plain else update_without_compiler(self.optimizer)
        self.slots = slots(optimizer)
        self.steps = 0
        # On a CPU more images at once leave the caches: 10,000 take under-8k 1.3 s at 1000, 0.5 s at 200.
        self.predicted = 200 if device.type == "cpu" else 10_000
        self.resident: tuple[Array, Array, torch.Tensor, torch.Tensor] | None = None

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        """See common.backend.Model."""
        inputs, targets, batches = self._on_device(images, labels, self.world.shard(order))
        losses, predicted = [], []
        self.module.train()
        steps = zip(self._gathered(inputs, batches), targets, paces(rate, momentum), strict=True)
        with together(self.world):
            for batch, wanted, pace in steps:
                logits, loss = self._step(batch, wanted, *pace)
                losses.append(loss.detach())
                predicted.append(logits.detach().max(dim=1).indices)
            # Compared once for all steps: small operations one by one would cost as much as a small network.
            correct = (torch.stack(predicted) == targets).sum(dim=1)
            return self._sum(torch.stack(losses).double() / self.world.size), self._sum(correct)

    def _sum(self, values: torch.Tensor) -> Array:
        """Over all processes of the run."""
        if self.world.size > 1:
            distributed.all_reduce(values)
        return values.cpu().numpy()

    def _step(
        self, images: torch.Tensor, labels: torch.Tensor, rate: float, momentum: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One training step; its logits and its loss."""
        group = self.optimizer.param_groups[0]
        group["lr"] = rate
        if momentum is not None:
            group["momentum"] = momentum
        self.module.zero_grad()
        logits, loss = self._loss(images, labels)
        loss.backward()
        self.update()
        self.steps += 1
        return logits, loss

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self._cast():
            logits = self.forward(images)
            return logits, nn.functional.cross_entropy(logits, labels, label_smoothing=self.smoothing)

    def _cast(self) -> contextlib.AbstractContextManager[object]:
        """Where bfloat16 is asked for, autocast; its context costs small networks too much to stay open."""
        if self.reduced:
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def train_epoch(
        self, digits: Digits, rate: Array, momentum: Array | None = None, *, batch_size: int, seed: int
    ) -> Iterator[tuple[Array, Array]]:
        """See common.backend.Model."""
        assert self.loader
        self.module.train()
        loader = data_loader(digits, self.loader, self.scaling, batch_size=batch_size, seed=seed)
        for (images, labels), pace in zip(loader, paces(rate, momentum), strict=True):
            images, labels = images.to(self.device, self.dtype), labels.to(self.device)
            logits, loss = self._step(images, labels, *pace)
            correct = (logits.argmax(dim=1) == labels).sum()
            yield np.array([loss.item()]), np.array([float(correct.item())])

    def partial_steps(
        self, images: Array, labels: Array, order: Array, *, until: Stage
    ) -> Callable[[], None]:
        """See common.backend.Model."""
        inputs, targets, batches = self._on_device(images, labels, order)
        fixed = next(self._gathered(inputs, batches)).clone()

        def run() -> None:
            self.module.train()
            given = repeat(fixed, len(order)) if until == "bare" else self._gathered(inputs, batches)
            for batch, wanted in zip(given, targets, strict=True):
                if until == "input":
                    continue
                _, loss = self._loss(batch, wanted)
                if until != "forward":
                    self.module.zero_grad()
                    loss.backward()
                if until == "bare":
                    self.update()
            if self.device.type != "cpu":
                torch.accelerator.synchronize()

        return run

    def kernels(self, images: Array, labels: Array, order: Array) -> dict[str, float]:
        """See common.backend.Model."""
        # It tells of its own start and end, and of accelerators that are not there.
        with machine.quiet_stderr(), torch.profiler.profile() as profiler:
            self.train_steps(images, labels, order, np.zeros(len(order)))
        place = "cpu" if self.device.type == "cpu" else "device"
        seconds = {row.key: getattr(row, f"self_{place}_time_total") / 1e6 for row in profiler.key_averages()}
        return {name: value for name, value in seconds.items() if value > 0}

    @torch.inference_mode()
    def predict(self, images: Array) -> Array:
        """See common.backend.Model."""
        self.module.eval()
        inputs = torch.from_numpy(images).to(self.device, memory_format=self.layout)
        with self._cast():
            logits = torch.cat([self.module(part) for part in inputs.split(self.predicted)])
        return logits.to(self.dtype).cpu().numpy()

    def state_dict(self) -> dict[str, Array]:
        """See common.backend.Model."""
        state = {name: tensor for name, tensor in self.module.state_dict().items() if tensor.ndim}
        for name, weight in self.module.named_parameters():
            kept = self.optimizer.state[weight]
            for slot in self.slots:
                state[f"optimizer.{slot}.{name}"] = kept.get(slot, torch.zeros_like(weight))
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}
        return arrays | {
            "optimizer.step": np.array(self.steps, np.int64),
            "random.pytorch": torch.get_rng_state().numpy(),
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See common.backend.Model."""
        for name, tensor in self.module.state_dict().items():
            if tensor.ndim:  # BatchNorm's count of batches is not used
                tensor.copy_(torch.from_numpy(np.array(state[name])))
        if "optimizer.step" not in state:
            return
        self.steps = int(state["optimizer.step"])
        for name, weight in self.module.named_parameters():
            kept = {"step": torch.tensor(float(self.steps), device=self.device)}
            for slot in self.slots:
                saved = torch.from_numpy(np.array(state[f"optimizer.{slot}.{name}"]))
                kept[slot] = torch.empty_like(weight).copy_(saved)
            self.optimizer.state[weight] = kept
        if "random.pytorch" in state:
            torch.set_rng_state(torch.from_numpy(np.array(state["random.pytorch"])))

    def _on_device(
        self, images: Array, labels: Array, order: Array
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images, each step's labels, and `order` as tensors. The data is moved once, and again only when
        other arrays are passed."""
        if self.resident is None or self.resident[0] is not images or self.resident[1] is not labels:
            self.resident = None  # frees the last epoch's pixels before the next ones are copied
            inputs = torch.from_numpy(images).to(self.device, memory_format=self.layout)
            self.resident = (images, labels, inputs, torch.from_numpy(labels).to(self.device))
        batches = torch.from_numpy(order).to(self.device)
        return self.resident[2], self.resident[3][batches], batches

    def _gathered(self, images: torch.Tensor, batches: torch.Tensor) -> Iterator[torch.Tensor]:
        """The pixels of each batch, all in the same memory: fresh memory would not be in the caches."""
        taken = torch.empty_like(images[: batches.shape[1]])
        scaled = torch.empty_like(taken, dtype=self.dtype)
        for indices in batches:
            torch.index_select(images, 0, indices, out=taken)
            if taken.dtype == torch.uint8:
                yield scaled.copy_(taken).mul_(self.scaling.factor).add_(self.scaling.shift)
            else:
                yield taken


class PyTorchDefaults:
    """PyTorch's parts as its users get them (`common.backend.Natives`)."""

    versions = str(torch.__version__)
    optimizers = torch.optim.SGD, torch.optim.Adam, torch.optim.Adadelta
    batch_norm, channel_dropout = nn.BatchNorm2d, nn.Dropout2d
    threads_program = "import torch; print(torch.get_num_threads())"

    def compiles_by_default(self) -> bool:
        """See common.backend.Natives."""
        return nn.Identity()._compiled_call_impl is not None

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """See common.backend.Natives."""
        made = nn.Linear(fan_in, fan_out)
        return made.weight.detach().numpy(), made.bias.detach().numpy()

    def batch_norm_statistics(self, batch: Array) -> tuple[float, float]:
        """See common.backend.Natives."""
        made = nn.BatchNorm1d(1)
        made(torch.from_numpy(batch).float()[:, None])
        return float(made.state_dict()["running_mean"]), float(made.state_dict()["running_var"])

    def batch_norm_parameters(self, channels: int) -> int:
        """See common.backend.Natives."""
        return sum(parameter.numel() for parameter in nn.BatchNorm2d(channels).parameters())

    def convolution(self, images: Array, channels: int, *, stride: int = 1, padding: str = "valid") -> Array:
        """See common.backend.Natives."""
        made = nn.Conv2d(images.shape[1], channels, 3, stride=stride, padding=padding, bias=False)
        nn.init.ones_(made.weight)
        return made(torch.from_numpy(images).float()).detach().numpy()

    def optimizer_trajectory(
        self,
        optimizer: Any,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        **constants: float,
    ) -> list[float]:
        """See common.backend.Natives."""
        variable = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        made = optimizer([variable], lr=rates[0], **constants)
        after = []
        for gradient, rate in zip(gradients, rates, strict=True):
            variable.grad = torch.tensor(gradient, dtype=torch.float64)
            made.param_groups[0]["lr"] = rate
            made.step()
            after.append(variable.item())
        return after

    def loader_batches(self, count: int) -> list[list[int]]:
        """See common.backend.Natives."""
        loader: Any = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(count)))
        return [batch.tolist() for (batch,) in loader]


class PyTorch:
    """PyTorch in this process (`common.backend.Backend`)."""

    name = "pytorch"
    version = str(torch.__version__)
    defaults: DefaultsProbe = PyTorchDefaults()

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        found = torch.accelerator.current_accelerator(check_available=True) if accelerate else None
        self.place = found or torch.device("cpu")
        if found and "LOCAL_RANK" in os.environ:  # torchrun starts a process for each
            self.place = torch.device(found.type, int(os.environ["LOCAL_RANK"]))
            torch.accelerator.set_device_index(self.place.index)
        self.device = self.place.type
        if self.device == "cuda":
            self.device = f"cuda ({torch.cuda.get_device_name(self.place)})"

    def build(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int
    ) -> TorchModel:
        """See common.backend.Backend."""
        if execution.compiled and self.place.type == "cpu" and not shutil.which("g++"):
            raise Unavailable("--compile needs a C++ compiler, and g++ is not on the PATH.")
        if execution.world.size > 1 and not distributed.is_initialized():
            kind = "nccl" if self.place.type == "cuda" else "gloo"
            distributed.init_process_group(kind, timeout=datetime.timedelta(seconds=PATIENCE_SECONDS))
            atexit.register(distributed.destroy_process_group)  # or gloo's threads may abort the process
        torch.manual_seed(execution.world.seed(seed))
        return TorchModel(network, optimizer, device=self.place, execution=execution)

    def product(self, size: int, *, precision: Precision) -> Callable[[], None]:
        """See common.backend.Backend."""
        left, right = torch.randn(2, size, size, dtype=getattr(torch, precision), device=self.place)

        def run() -> None:
            torch.mm(left, right)
            if self.place.type != "cpu":
                torch.accelerator.synchronize()

        return run


if arguments is not None:
    main(PyTorch, arguments)
