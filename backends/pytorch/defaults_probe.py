"""PyTorch's own parts with their defaults, to be read and tried by `--defaults`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[Any]


class DefaultsProbe:
    """PyTorch's parts as its users get them (`common.training.backend.DefaultsProbe`)."""

    versions = str(torch.__version__)
    optimizers = torch.optim.SGD, torch.optim.Adam, torch.optim.Adadelta
    batch_norm, channel_dropout = nn.BatchNorm2d, nn.Dropout2d
    threads_program = "import torch; print(torch.get_num_threads())"

    def compiles_by_default(self) -> bool:
        """See common.training.backend.DefaultsProbe."""
        return nn.Identity()._compiled_call_impl is not None

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """See common.training.backend.DefaultsProbe."""
        part = nn.Linear(fan_in, fan_out)
        return part.weight.detach().numpy(), part.bias.detach().numpy()

    def batch_norm_statistics(self, batch: Array) -> tuple[float, float]:
        """See common.training.backend.DefaultsProbe."""
        part = nn.BatchNorm1d(1)
        part(torch.from_numpy(batch).float()[:, None])
        return float(part.state_dict()["running_mean"]), float(part.state_dict()["running_var"])

    def batch_norm_parameters(self, channels: int) -> int:
        """See common.training.backend.DefaultsProbe."""
        return sum(parameter.numel() for parameter in nn.BatchNorm2d(channels).parameters())

    def convolution(self, images: Array, channels: int, *, stride: int = 1, padding: str = "valid") -> Array:
        """See common.training.backend.DefaultsProbe."""
        part = nn.Conv2d(images.shape[1], channels, 3, stride=stride, padding=padding, bias=False)
        nn.init.ones_(part.weight)
        return part(torch.from_numpy(images).float()).detach().numpy()

    def optimizer_trajectory(
        self,
        optimizer: Any,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        **constants: float,
    ) -> list[float]:
        """See common.training.backend.DefaultsProbe."""
        variable = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        part = optimizer([variable], lr=rates[0], **constants)
        after = []
        for gradient, rate in zip(gradients, rates, strict=True):
            variable.grad = torch.tensor(gradient, dtype=torch.float64)
            part.param_groups[0]["lr"] = rate
            part.step()
            after.append(variable.item())
        return after

    def loader_batches(self, count: int) -> list[list[int]]:
        """See common.training.backend.DefaultsProbe."""
        loader: Any = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(count)))
        return [batch.tolist() for (batch,) in loader]
