"""Testing a model: cross-entropy and accuracy from its logits, in float64, the same for every framework."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.training.backend import Array, Model


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Mean cross-entropy (nats), accuracy (percent), predicted labels (N,) and seconds of prediction;
    `tta_accuracy` (percent) with test-time augmentation, None without."""

    loss: float
    accuracy: float
    predicted: NDArray[np.int64]
    seconds: float
    tta_accuracy: float | None = None


def evaluate(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    normalise: Callable[[NDArray[np.uint8]], Array],
    *,
    batch_size: int,
    tta_shift: int = 0,
) -> Evaluation:
    """Test `model` on images (N, H, W) or (N, H, W, 3) and labels (N,); `normalise` turns a batch into the
    network's input.

    The seconds are those of the model's predictions of the images without shifts. With `tta_shift`, in
    pixels, also predict by test-time augmentation: the mean logits of each image and its four shifted copies.
    """
    seconds, losses, predicted, tta_predicted = 0.0, [], [], []
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        inputs = normalise(images[batch])
        started_at = time.perf_counter()
        logits = model.predict(inputs)
        seconds += time.perf_counter() - started_at
        predicted.append(logits.argmax(axis=1))
        losses.append(cross_entropy(logits, labels[batch]))
        if tta_shift:
            shifted = [model.predict(normalise(view)) for view in _shifts(images[batch], by=tta_shift)]
            mean = np.mean([logits, *shifted], axis=0, dtype=np.float64)
            tta_predicted.append(mean.argmax(axis=1))
    return Evaluation(
        loss=float(np.concatenate(losses).mean()),
        accuracy=_accuracy(predicted, labels),
        predicted=np.concatenate(predicted),
        seconds=seconds,
        tta_accuracy=_accuracy(tta_predicted, labels) if tta_shift else None,
    )


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy of each image, in nats and float64, from logits (N, outputs) and labels (N,)."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    of_label = shifted[np.arange(len(labels)), labels]
    losses: NDArray[np.float64] = np.log(np.exp(shifted, out=shifted).sum(axis=1)) - of_label
    return losses


def _accuracy(predicted: Sequence[NDArray[np.int64]], labels: NDArray[np.int64]) -> float:
    """Accuracy in percent of predicted labels that come in batches."""
    return 100 * float((np.concatenate(predicted) == labels).mean())


def _shifts(images: NDArray[np.uint8], *, by: int) -> list[NDArray[np.uint8]]:
    """Images (N, H, W) or (N, H, W, 3) shifted up, down, left and right by some pixels; zeros fill the
    space."""
    height, width, *channels = images.shape[1:]
    padded = np.pad(images, ((0, 0), (by, by), (by, by), *((0, 0) for _ in channels)))
    corners = [(2 * by, by), (0, by), (by, 2 * by), (by, 0)]
    return [padded[:, top : top + height, left : left + width] for top, left in corners]
