"""Bootstrap intervals against a plain one, and how often they hold the truth."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from constructed import correlated

from lib.evaluation import statistics
from lib.evaluation.statistics import (
    Estimate,
    bootstrap,
    effective_size,
    interval,
    mean_of_runs,
    wilson,
)


def ratio(a: np.ndarray, b: np.ndarray) -> float:
    return b.mean() / a.mean()


def plain(statistic, *outcomes: np.ndarray, resamples: int = 20_000) -> tuple[float, float]:
    """The percentile interval, pose by pose together, written out."""
    rng = np.random.default_rng(99)
    found = []
    for _ in range(resamples):
        rows = rng.integers(len(outcomes[0]), size=len(outcomes[0]))
        found.append(statistic(*(outcome[rows] for outcome in outcomes)))
    return tuple(np.quantile(found, [0.025, 0.975]))


def held(found: Estimate, truth: float) -> bool:
    return found.low <= truth <= found.high


# --- the interval ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lengths", "shares"])
def test_a_mean_and_its_interval(monkeypatch, kind):
    monkeypatch.setattr(statistics, "RESAMPLES", 20_000)
    rng = np.random.default_rng(3)
    outcomes = rng.exponential(3, 70) if kind == "lengths" else (rng.random(150) < 0.3) * 1.0
    found = bootstrap(outcomes)
    assert found.value == pytest.approx(outcomes.mean(), rel=1e-12)
    error = outcomes.std() / len(outcomes) ** 0.5
    # Both draw 20,000 times, so that an end is known to about 0.02 standard errors.
    assert (found.low, found.high) == pytest.approx(plain(np.mean, outcomes), abs=0.1 * error)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_the_usual_number_of_resamples_is_nearly_as_good():
    outcomes = np.random.default_rng(4).normal(5, 2, 300)
    found, error = bootstrap(outcomes), 2 / 300**0.5
    assert (found.low, found.high) == pytest.approx(plain(np.mean, outcomes), abs=0.3 * error)


def test_a_ratio_of_means_keeps_the_outcomes_of_a_pose_together(monkeypatch):
    """The second over the first; they vary much, but together."""
    monkeypatch.setattr(statistics, "RESAMPLES", 20_000)
    rng = np.random.default_rng(5)
    first = rng.exponential(4, 80) + 1
    second = 1.2 * first + rng.normal(0, 0.3, 80)
    found = bootstrap(first, second)
    assert found.value == pytest.approx(second.mean() / first.mean(), rel=1e-12)
    low, high = plain(ratio, first, second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert high - low < 0.1  # of outcomes that are drawn apart it is six times as wide
    # Not the mean of ratios, which the smallest outcomes govern.
    far = bootstrap(np.array([1.0, 9.0]), np.array([3.0, 9.0]))
    assert far.value == pytest.approx(12 / 10)


@pytest.mark.parametrize("kind", ["mean", "share", "ratio"])
def test_about_95_of_100_intervals_hold_the_truth(monkeypatch, kind):
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    rng = np.random.default_rng(6)
    hits = []
    for seed in range(400):
        if kind == "mean":
            hits.append(held(bootstrap(rng.normal(7, 2, 60), seed=seed), 7))
        elif kind == "share":
            hits.append(held(bootstrap(rng.random(100) < 0.6, seed=seed), 0.6))
        else:
            first = rng.uniform(1, 3, 60)
            second = first * rng.uniform(1, 2, 60)
            hits.append(held(bootstrap(first, second, seed=seed), 1.5))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


def test_an_interval_needs_two_outcomes():
    found = bootstrap(np.array([0.25]))
    assert found.value == 0.25 and np.isnan([found.low, found.high]).all()
    found = bootstrap(np.array([2.0]), np.array([3.0]))
    assert found.value == 1.5 and np.isnan([found.low, found.high]).all()
    assert not np.isnan(bootstrap(np.array([0.0, 1.0])).low)


def test_outcomes_that_are_all_the_same_leave_no_doubt():
    assert bootstrap(np.ones(50)) == Estimate(1, 1, 1)
    assert bootstrap(np.full(9, 2.0), np.full(9, 3.0)) == Estimate(1.5, 1.5, 1.5)


def test_outcomes_may_be_true_or_false_and_of_any_precision():
    right = np.array([True] * 30 + [False] * 10)
    assert bootstrap(right) == bootstrap(right.astype(float)) == bootstrap(right.tolist())
    many = np.full(3_000_000, 0.1, np.float32)  # a sum in float32 loses its last digits
    assert bootstrap(many[:1000]).value == pytest.approx(float(many[0]), rel=1e-12)
    found = bootstrap(right)
    assert all(type(number) is float for number in (found.value, found.low, found.high))


def test_the_seed_decides():
    outcomes = np.random.default_rng(7).normal(0, 1, 50)
    assert bootstrap(outcomes) == bootstrap(outcomes, seed=0) == bootstrap(outcomes)
    other = bootstrap(outcomes, seed=1)
    assert other.value == bootstrap(outcomes).value and other != bootstrap(outcomes)
    state = np.random.get_state()[1].tolist()
    bootstrap(outcomes)
    assert np.random.get_state()[1].tolist() == state


def test_memory_is_bounded_and_chunks_do_not_matter(monkeypatch):
    outcomes = np.random.default_rng(8).normal(0, 1, 4_000)
    whole = bootstrap(outcomes)
    monkeypatch.setattr(statistics, "CELLS", 100_000)
    tracemalloc.start()
    found = bootstrap(outcomes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000  # all at once: 1,000 x 4,000 numbers of eight bytes, and their places
    assert found == whole
    monkeypatch.setattr(statistics, "CELLS", 100)  # at the least one resample at a time
    assert bootstrap(outcomes) == whole


# --- how it is written ----------------------------------------------------------------------


def test_an_estimate_is_written_with_its_interval():
    found = Estimate(0.6674, 0.6512, 0.6839)
    assert f"{found:.1%}" == "66.7% [65.1%, 68.4%]"
    assert f"{found:.2f}" == "0.67 [0.65, 0.68]"
    assert f"{found}" == "0.6674 [0.6512, 0.6839]"
    assert f"{Estimate(-1.25, -2, 0):.2f}" == "-1.25 [-2.00, 0.00]"


def test_an_estimate_without_an_interval_is_a_number():
    assert f"{Estimate(1234.5678):,.1f}" == "1,234.6"
    assert f"{Estimate(0.5):.0%}" == "50%"
    assert np.isnan(Estimate(0.5).low) and np.isnan(Estimate(0.5).high)


def test_intervals_lie_above_or_below_each_other_or_overlap():
    low, middle, high = Estimate(2, 1, 3), Estimate(4, 3, 5), Estimate(7, 5.1, 9)
    assert high.beside(low) == high.beside(middle) == 1
    assert low.beside(high) == middle.beside(high) == -1
    assert low.beside(middle) == middle.beside(low) == low.beside(low) == 0  # ends meet
    assert Estimate(1).beside(high) == high.beside(Estimate(1)) == 0


# --- shares, and means of runs ----------------------------------------------------------------


def test_wilsons_ends_lie_1_96_standard_deviations_from_the_share():
    share = wilson(13, 40)
    assert share.value == 13 / 40
    for end in (share.low, share.high):
        assert abs(13 / 40 - end) == pytest.approx(1.959964 * (end * (1 - end) / 40) ** 0.5)
    none = wilson(0, 10)
    assert (none.low, none.high) == pytest.approx((0, 0.27753), abs=1e-5)


@pytest.mark.parametrize("number", [1, 2, 17, 400])
def test_wilson_stays_between_0_and_1(number):
    for successes in (0, number):
        share = wilson(successes, number)
        assert 0 <= share.low <= share.value <= share.high <= 1
    with pytest.raises(ValueError):
        wilson(0, 0)


def test_the_interval_of_a_mean_of_runs_is_students():
    values = pd.Series([0.6, None, 0.7, 0.65])
    mean = mean_of_runs(values)
    half = 4.302653 * 0.05 / 3**0.5  # t of 2 degrees of freedom; standard deviation 0.05
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.65, 0.65 - half, 0.65 + half))
    found = interval(values)
    assert found["n"] == 3 and found["low"] == mean.low and found["high"] == mean.high
    one = mean_of_runs(pd.Series([0.5]))
    assert one.value == 0.5 and np.isnan(one.low)
    assert np.isnan(mean_of_runs(pd.Series([], dtype=float)).value)


# --- series -----------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_a_long_series_counts_as_its_autocorrelation_lets_it(memory):
    found = effective_size(correlated(20_000, memory, 0)) / 20_000
    assert found == pytest.approx((1 - memory) / (1 + memory), rel=0.05)


def test_the_effective_size_gives_the_scatter_of_a_mean():
    series = [correlated(200, 0.6, seed) for seed in range(400)]
    scatter = np.std([each.mean() for each in series])
    errors = [each.std(ddof=1) / effective_size(each) ** 0.5 for each in series]
    assert np.mean(errors) == pytest.approx(scatter, rel=0.1)


def test_the_effective_size_by_hand():
    """A line does not count: the residuals have no trend of their own."""
    rest = np.array([1.0, 1, -1, -1, -1, -1, 1, 1])
    r = (1 - 1 + 1 + 1 + 1 - 1 + 1) / 8
    for line in (np.zeros(8), 5 + 3.0 * np.arange(8)):
        assert effective_size(line + rest) == pytest.approx(8 * (1 - r) / (1 + r))


def test_a_series_counts_as_its_length_at_the_most():
    alternating = np.tile([1.0, -1.0], 10)
    assert effective_size(alternating) == effective_size(np.zeros(20)) == 20
