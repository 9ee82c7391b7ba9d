"""The last result is kept while the same objects are passed, and dropped before the next one is made."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from common.training.keep_last import keep_last


class Moved:
    """What a function made, which can be watched."""


def test_a_function_runs_again_only_for_other_objects() -> None:
    calls = []

    def move(images: np.ndarray, labels: np.ndarray) -> Moved:
        calls.append((images, labels))
        return Moved()

    kept = keep_last(move)
    images, labels = np.zeros(3), np.zeros(3)
    first = kept(images, labels)
    assert kept(images, labels) is first
    assert len(calls) == 1
    assert kept(images.copy(), labels) is not first
    kept(images, labels)
    assert len(calls) == 3


def test_the_last_result_is_dropped_before_the_next_one_is_made() -> None:
    alive: list[weakref.ref[Moved]] = []
    seen = []

    def move(image: np.ndarray) -> Moved:
        gc.collect()
        seen.append([reference() for reference in alive if reference() is not None])
        moved = Moved()
        alive.append(weakref.ref(moved))
        return moved

    kept = keep_last(move)
    kept(np.zeros(1))
    kept(np.zeros(1))
    assert seen == [[], []]
