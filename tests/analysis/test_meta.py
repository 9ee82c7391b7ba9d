"""The estimate over networks is that of a published example, and its intervals hold what they claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from common.analysis import meta
from common.analysis.significance import Comparison, compare

# Log relative risks of thirteen trials of the BCG vaccine and their variances (Colditz et al., 1994), the
# example of the R package metafor.
BCG = (
    *((-0.8893, 0.3256), (-1.5854, 0.1946), (-1.3481, 0.4154), (-1.4416, 0.0200), (-0.2175, 0.0512)),
    *((-0.7861, 0.0069), (-1.6209, 0.2230), (0.0120, 0.0040), (-0.4694, 0.0564), (-1.3713, 0.0730)),
    *((-0.3394, 0.0124), (0.4459, 0.5325), (-0.0173, 0.0714)),
)


def of_known_variance(mean: float, variance: float) -> Comparison:
    n = 10**8
    return Comparison(
        mean=mean, sd=math.sqrt(n * variance), n=n, interval=None, p_difference=None, p_equivalence=None
    )


def test_mean_and_tau_are_those_of_a_published_example() -> None:
    """metafor: -0.7141, from -1.0644 to -0.3638 by the normal distribution, tau^2 0.3088."""
    result = meta.pooled([of_known_variance(*trial) for trial in BCG])
    assert result is not None
    assert result.mean == pytest.approx(-0.7141, abs=2e-4)
    assert result.tau**2 == pytest.approx(0.3088, abs=5e-4)
    # By hand from there: the factor of Hartung and Knapp, and Student's t.
    error = (1.0644 - 0.3638) / 2 / scipy.stats.norm.ppf(0.975)
    factor = sum((effect + 0.7141) ** 2 / (variance + 0.3088) for effect, variance in BCG) / 12
    error *= math.sqrt(max(1, factor))
    half = scipy.stats.t.ppf(0.975, 12) * error
    assert result.interval == pytest.approx((-0.7141 - half, -0.7141 + half), abs=1e-3)
    reach = scipy.stats.t.ppf(0.975, 11) * math.sqrt(0.3088 + error**2)
    assert result.prediction == pytest.approx((-0.7141 - reach, -0.7141 + reach), abs=2e-3)


def test_equal_spreads_give_the_mean_of_the_means() -> None:
    """By hand: means 0.1, 0.2, 0.3, each of 4 pairs with a variance of 0.04 / 3, so no tau is needed."""
    values = [-0.1, -0.1, 0.1, 0.1]
    result = meta.pooled([compare([mean + v for v in values], [0.0] * 4) for mean in (0.1, 0.2, 0.3)])
    assert result is not None
    assert (result.networks, result.pairs) == (3, 12)
    assert result.mean == pytest.approx(0.2)
    variance = 0.04 / 3 / 4
    between = 0.01 - variance
    assert result.tau**2 == pytest.approx(between)
    meier = 1 + 4 * 3 * (1 / 3 * 2 / 3) * (variance / 0.01) ** 2 / 3
    half = scipy.stats.t.ppf(0.975, 2) * math.sqrt(0.01 / 3 * meier)
    assert result.interval == pytest.approx((0.2 - half, 0.2 + half))


def test_equal_means_leave_the_error_of_the_mean() -> None:
    """By hand: no tau, and an interval as wide as if the means differed by chance."""
    values = [-0.1, -0.1, 0.1, 0.1]
    result = meta.pooled([compare([0.2 + v for v in values], [0.0] * 4)] * 3)
    assert result is not None
    assert result.tau == 0
    meier = 1 + 4 * 3 * (1 / 3 * 2 / 3) / 3
    half = scipy.stats.t.ppf(0.975, 2) * math.sqrt(0.04 / 3 / 4 / 3 * meier)
    assert result.interval == pytest.approx((0.2 - half, 0.2 + half))


def test_fewer_than_three_networks_with_a_spread_have_no_estimate() -> None:
    several, one = compare([0.1, 0.2], [0.0, 0.0]), compare([0.1], [0.0])
    assert meta.pooled([several, several, one]) is None
    assert meta.pooled([several] * 3) is not None
    equal = compare([0.5, 0.5], [0.0, 0.0])
    assert math.isfinite(meta.pooled([equal] * 3).mean)  # type: ignore[union-attr]


def test_a_network_whose_few_differences_are_equal_does_not_outweigh_the_others() -> None:
    equal = compare([0.06, 0.06], [0.0, 0.0])
    others = [compare([0.2, -0.2], [0.0, 0.0]), compare([0.1, -0.14], [0.0, 0.0])]
    result = meta.pooled([equal, *others])
    assert result is not None
    assert 0.02 < result.interval[1] - result.mean < 1


@pytest.mark.parametrize("tau", [0.0, 0.03])
def test_intervals_cover_the_mean_and_a_further_network(tau: float) -> None:
    """Simulated as the networks are: 13 with spreads and numbers of pairs like the recorded ones."""
    random = np.random.default_rng(1)
    pairs = [20, 20, 20, 10, 10, 10, 20, 20, 20, 15, 15, 20, 10]
    spreads = [0.15, 0.06, 0.13, 0.05, 0.05, 0.10, 0.08, 0.05, 0.07, 0.04, 0.06, 0.06, 0.05]
    inside, predicted, rounds = 0, 0, 500
    for _ in range(rounds):
        comparisons = []
        for n, spread in zip(pairs, spreads, strict=True):
            sample = random.normal(random.normal(0.0, tau), spread, n)
            comparisons.append(
                Comparison(
                    mean=float(sample.mean()),
                    sd=float(sample.std(ddof=1)),
                    n=n,
                    interval=None,
                    p_difference=None,
                    p_equivalence=None,
                )
            )
        result = meta.pooled(comparisons)
        assert result is not None
        inside += result.interval[0] <= 0 <= result.interval[1]
        further = random.normal(0.0, tau)
        predicted += result.prediction[0] <= further <= result.prediction[1]
    assert inside / rounds > 0.93
    assert predicted / rounds > 0.92
