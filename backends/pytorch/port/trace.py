"""A recording of what a PyTorch model does: every module without children and the functions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from backends.pytorch.port import describe


@dataclass
class Operation:
    """One call in the order of the calls; `layer` is the module's name, None for a function."""

    name: str
    layer: str | None
    kind: str
    attributes: dict[str, Any]
    inputs: torch.Tensor
    outputs: torch.Tensor


@dataclass
class Tracer(TorchFunctionMode):
    """Records the calls inside `recording`, and passes some on as if they were the identity.

    `skipped` are numbers of calls; with `dropout_off` every dropout is skipped too.
    """

    operations: list[Operation] = field(default_factory=list)
    skipped: frozenset[int] = frozenset()
    dropout_off: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.active = False
        self.inside = False

    def attach(self, model: nn.Module) -> None:
        """Pass the calls of every module of `model` without children through this tracer."""
        for name, layer in model.named_modules():
            if not list(layer.children()) and layer is not model:
                layer.forward = partial(self._module, name, layer, layer.forward)

    @contextmanager
    def recording(self, *, skipped: Sequence[int] = (), dropout_off: bool = False) -> Iterator[None]:
        """Record the calls made within, and nothing else."""
        self.operations, self.skipped = [], frozenset(skipped)
        self.active, self.inside, self.dropout_off = True, False, dropout_off
        try:
            with self:
                yield
        finally:
            self.active = False

    def _module(
        self, name: str, layer: nn.Module, forward: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        if not self.active or self.inside or not args or not isinstance(args[0], torch.Tensor):
            return forward(*args, **options)
        return self._record(
            name,
            layer,
            args[0],
            lambda inputs: forward(inputs, *args[1:], **options),
            lambda outputs: describe.module(layer, args[0], outputs),
        )

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        name = None if self.inside or not self.active else describe.recorded(func)
        if name is None or not args or not isinstance(args[0], torch.Tensor) or args[0].ndim < 2:
            return func(*args, **options)
        return self._record(
            name,
            None,
            args[0],
            lambda inputs: func(inputs, *args[1:], **options),
            lambda outputs: describe.function(name, args, options, outputs),
        )

    def _record(
        self,
        name: str,
        layer: nn.Module | None,
        inputs: torch.Tensor,
        compute: Callable[[torch.Tensor], Any],
        description: Callable[[torch.Tensor], describe.Description],
    ) -> Any:
        self.inside = True
        try:
            before = inputs.detach().clone()
            drops = "dropout" in name if layer is None else isinstance(layer, nn.modules.dropout._DropoutNd)
            is_identity = len(self.operations) in self.skipped or (drops and self.dropout_off)
            # What becomes the identity may work in place.
            outputs = compute(inputs.clone() if is_identity else inputs)
            if not isinstance(outputs, torch.Tensor):
                return outputs
            kind, attributes = description(outputs)
            if is_identity:
                outputs = inputs
            kept = outputs.detach().clone()
            operation = Operation(name, None if layer is None else name, kind, attributes, before, kept)
            self.operations.append(operation)
        finally:
            self.inside = False
        return outputs
