"""Results that a run can only have when something is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ABSURD = 10
"""A loss of so many times that of even guesses is absurd. The largest recorded one is 0.3 times that."""


def chance_level(labels: NDArray[np.integer]) -> float:
    """The largest accuracy, in percent, that one answer for all images of these labels explains: the share
    of the most frequent label and four standard errors of it, if so few images leave room above that."""
    share = float(np.bincount(labels).max() / len(labels))
    explained = share + 4 * math.sqrt(share * (1 - share) / len(labels))
    return 100 * (explained if explained < 1 else share)


def doubts(accuracy: float, losses: Mapping[str, float], *, chance: float, outputs: int) -> str:
    """A sentence for each result of a trained network that is no better than chance or absurd; empty for
    sound results. `accuracy` and `chance` are in percent, the `losses`, by name, in nats."""
    limit = ABSURD * math.log(max(outputs, 2))
    sentences = [
        f"The {name} is {loss:.3g}, absurd: even guesses have {math.log(max(outputs, 2)):.3g}."
        for name, loss in losses.items()
        if not loss <= limit
    ]
    if accuracy <= chance:
        sentences.insert(0, f"The accuracy of {accuracy:.2f} % is at chance level.")
    return " ".join(sentences)
