"""The training loop as torchvision's users write it: an image at a time, through its transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.batches import Scaling
from common.data.datasets import Digits
from common.training.backend import LoaderOptions

Array = NDArray[Any]


class NativeLoader:
    """Epochs on a DataLoader (`common.training.backend.NativeLoader`)."""

    def train_epoch(
        self,
        model: Any,
        digits: Digits,
        rate: Array,
        momentum: Array | None = None,
        *,
        batch_size: int,
        seed: int,
    ) -> Iterator[tuple[Array, Array]]:
        """See common.training.backend.NativeLoader; `model` is a `pytorch.Model`."""
        options, scaling = model.execution.loader, model.execution.scaling
        batches = _data_loader(digits, options, scaling, batch_size=batch_size, seed=seed)
        model.module.train()
        momenta = [None] * len(rate) if momentum is None else momentum.tolist()
        for (images, labels), *schedule in zip(batches, rate.tolist(), momenta, strict=True):
            images, labels = images.to(model.device, model.dtype), labels.to(model.device)
            logits, loss = model.step(images, labels, *schedule)
            correct = logits.argmax(dim=1) == labels
            yield np.array([loss.item()]), np.array([float(correct.sum().item())])


def _data_loader(
    digits: Digits, options: LoaderOptions, scaling: Scaling, *, batch_size: int, seed: int
) -> Any:
    # Imported here: most runs need not wait for it.
    from torchvision import datasets, transforms

    grey, labels = digits.images.ndim == 3, torch.from_numpy(digits.labels.astype(np.int64))
    # Their constructors read files; these images are in memory and verified already.
    dataset = object.__new__(datasets.MNIST if grey else datasets.CIFAR10)
    dataset.data = torch.from_numpy(digits.images) if grey else digits.images
    dataset.targets = labels if grey else labels.tolist()
    dataset.target_transform = None
    scaled = [transforms.ToTensor(), transforms.Normalize((scaling.mean,), (scaling.std,))]
    dataset.transform = transforms.Compose(scaled)
    return torch.utils.data.DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=options.num_workers,
        pin_memory=options.pin_memory,
        generator=torch.Generator().manual_seed(seed),
    )
