"""Parts of a training step, kernels and a matrix product, to be timed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.tables import machine
from common.training.backend import Precision, Stage

Array = NDArray[Any]


class Instruments:
    """Timed parts of PyTorch on a device (`common.training.backend.Instruments`)."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def partial_steps(
        self, model: Any, images: Array, labels: Array, order: Array, *, until: Stage
    ) -> Callable[[], None]:
        """See common.training.backend.Instruments; `model` is a `pytorch.Model`."""
        inputs, targets = model.to_device(images, labels)
        batches = torch.from_numpy(order).to(self.device)
        if until == "bare":
            batches = batches[:1].expand_as(batches)
        targets = targets[batches]
        fixed = model.gather(inputs, batches[0]).clone()

        def run() -> None:
            model.module.train()
            gathered = (model.gather(inputs, batch) for batch in batches)
            for batch, target in zip(
                repeat(fixed, len(order)) if until == "bare" else gathered, targets, strict=True
            ):
                if until == "input":
                    continue
                _, loss = model.forward_loss(batch, target)
                if until != "forward":
                    model.module.zero_grad()
                    loss.backward()
                if until == "bare":
                    model.update()
            self._wait()

        return run

    def kernels(self, model: Any, images: Array, labels: Array, order: Array) -> dict[str, float]:
        """See common.training.backend.Instruments."""
        # The profiler reports its own start and end, and accelerators that are not there.
        with machine.quiet_stderr(), torch.profiler.profile() as profiler:
            model.train_steps(images, labels, order, np.zeros(len(order)))
        place = "cpu" if self.device.type == "cpu" else "device"
        seconds = {row.key: getattr(row, f"self_{place}_time_total") / 1e6 for row in profiler.key_averages()}
        return {name: value for name, value in seconds.items() if value > 0}

    def product(self, size: int, *, precision: Precision) -> Callable[[], None]:
        """See common.training.backend.Instruments."""
        left, right = torch.randn(2, size, size, dtype=getattr(torch, precision), device=self.device)

        def run() -> None:
            torch.mm(left, right)
            self._wait()

        return run

    def _wait(self) -> None:
        """Until the device is idle."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize()
