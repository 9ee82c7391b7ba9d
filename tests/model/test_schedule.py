"""Every step has the learning rate of its source; the one-cycle schedule equals torch's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import worker

from common.model.schedule import Constant, Linear, OneCycle, Schedule, StepDecay, momenta, rates
from common.model.zoo import ZOO

UNDER_5K = Linear((0, 2, 5, 12), (0.1, 1.0, 0.02, 0.0))
KINDS = [Constant(), StepDecay(0.7), UNDER_5K, OneCycle(), OneCycle(momentum=None)]


def by_epoch(schedule: Schedule, *, lr: float, epochs: int, steps: int = 3) -> list[float]:
    """One rate an epoch, after making sure that it is the rate of all the epoch's steps."""
    table = rates(schedule, lr=lr, epochs=epochs, steps=steps).reshape(epochs, steps)
    assert (table == table[:, :1]).all()
    return [float(rate) for rate in table[:, 0]]


@pytest.mark.parametrize("schedule", KINDS, ids=str)
@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 7), (3, 1), (14, 5), (0, 5)])
def test_one_value_a_step(schedule: Schedule, epochs: int, steps: int) -> None:
    table = rates(schedule, lr=0.1, epochs=epochs, steps=steps)
    assert table.shape == (epochs * steps,)
    assert table.dtype == np.float64
    assert np.isfinite(table).all()
    momentum = momenta(schedule, epochs=epochs, steps=steps)
    if isinstance(schedule, OneCycle) and schedule.momentum:
        assert momentum is not None
        assert momentum.shape == (epochs * steps,)
        assert momentum.dtype == np.float64
    else:
        assert momentum is None


def test_constant() -> None:
    assert by_epoch(Constant(), lr=0.002, epochs=4) == [0.002] * 4


def test_step_decay_multiplies_after_every_epoch() -> None:
    expected = [1.0, 0.7, 0.49, 0.343, 0.2401]
    np.testing.assert_allclose(by_epoch(StepDecay(0.7), lr=1.0, epochs=5), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("epoch", "lr"),
    [
        (0, 0.001),
        (1, 0.0055),
        (2, 0.01),
        (3, 0.01 - 0.0098 / 3),
        (4, 0.01 - 2 * 0.0098 / 3),
        (5, 0.0002),
        (6, 0.0002 * 6 / 7),
        (11, 0.0002 / 7),
    ],
)
def test_linear_is_under_5k_s_staircase(epoch: int, lr: float) -> None:
    assert by_epoch(UNDER_5K, lr=0.01, epochs=12)[epoch] == pytest.approx(lr, rel=1e-12)


def test_linear_of_the_zoo_is_the_one_tested_here() -> None:
    recipe = ZOO["under-5k"].recipe
    assert (recipe.schedule, recipe.lr, recipe.epochs) == (UNDER_5K, 0.01, 12)


@settings(max_examples=50)
@given(st.integers(1, 60))
def test_linear_keeps_its_points_and_is_never_negative(epochs: int) -> None:
    """A shorter run has the beginning of the schedule, a longer run the whole schedule, stretched."""
    by_epochs = by_epoch(UNDER_5K, lr=0.01, epochs=epochs)
    assert min(by_epochs) > 0
    if epochs <= 12:
        assert by_epochs == by_epoch(UNDER_5K, lr=0.01, epochs=12)[:epochs]
    else:
        stretched = np.interp(np.arange(epochs) * 12 / epochs, [0, 2, 5, 12], [0.001, 0.01, 0.0002, 0])
        np.testing.assert_allclose(by_epochs, stretched, rtol=1e-9)


def test_linear_of_two_points_is_a_line_however_long_the_run() -> None:
    line = Linear((0, 2), (1.0, 0.0))
    assert by_epoch(line, lr=1.0, epochs=2) == [1.0, 0.5]
    assert by_epoch(line, lr=1.0, epochs=4) == [1.0, 0.75, 0.5, 0.25]


def test_one_cycle_starts_peaks_and_ends_as_the_source_says() -> None:
    epochs, steps = 15, 468
    total, peak = epochs * steps, 2105  # 30 % of 7,020 steps, counted from 0
    lr = rates(OneCycle(), lr=1.0, epochs=epochs, steps=steps)
    momentum = momenta(OneCycle(), epochs=epochs, steps=steps)
    assert momentum is not None
    assert (lr[0], lr[peak], lr[-1]) == pytest.approx((0.04, 1.0, 4e-6), rel=1e-12)
    assert (momentum[0], momentum[peak], momentum[-1]) == pytest.approx((0.95, 0.85, 0.95), rel=1e-12)
    assert lr.argmax() == momentum.argmin() == peak == round(0.3 * total) - 1
    for rising in (np.diff(lr[: peak + 1]), -np.diff(lr[peak:]), -np.diff(momentum[: peak + 1])):
        assert (rising > 0).all()
    assert (np.diff(momentum[peak:]) > 0).all()


# (steps in all, and the settings in the order of OneCycle). Lengths where 30 % is whole and where it is not.
CASES = [
    *((total, 0.3, 25.0, 1e4, 0.85, 0.95) for total in (2, 3, 4, 5, 7, 10, 11, 100, 468, 1001)),
    (50, 0.1, 10.0, 100.0, 0.5, 0.9),
    (33, 0.75, 4.0, 1e3, 0.8, 0.99),
]


@pytest.fixture(scope="module")
def torch_tables() -> dict[tuple[float, ...], list[list[float]]]:
    """(rate, momentum) at each step by torch's OneCycleLR, in PyTorch's process."""
    return dict(zip(CASES, worker.run("pytorch", "one_cycles", cases=CASES), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_cycle_is_torch_s(
    case: tuple[int, float, float, float, float, float],
    torch_tables: dict[tuple[float, ...], list[list[float]]],
) -> None:
    total, warm_up, start_div, final_div, low, high = case
    schedule = OneCycle(warm_up=warm_up, start_div=start_div, final_div=final_div, momentum=(low, high))
    momentum = momenta(schedule, epochs=1, steps=total)
    assert momentum is not None
    ours = np.stack([rates(schedule, lr=1.0, epochs=total, steps=1), momentum], axis=1)
    np.testing.assert_allclose(ours, np.array(torch_tables[case]), rtol=0, atol=1e-12)
