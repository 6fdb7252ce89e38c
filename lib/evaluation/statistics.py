"""Estimates with their intervals, and how much independent information a series holds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 1_000
CELLS = 4_000_000  # numbers drawn at a time: bounds the memory


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval, whose ends are ``nan`` where none can be given."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __format__(self, spec: str) -> str:
        """The value and, in brackets, the interval, each in the format of a number."""
        interval = "" if np.isnan(self.low) else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.value:{spec}}{interval}"

    def beside(self, other: "Estimate") -> int:
        """1 where the whole interval lies above the other, -1 where it lies below, and 0 where
        the two overlap or one of them is missing."""
        return int(self.low > other.high) - int(self.high < other.low)


def bootstrap(*outcomes: np.ndarray, seed: int = 0, paired: bool = True) -> Estimate:
    """The mean of one outcome a pose, or the ratio of the means of two, with the percentile
    interval of the bootstrap.

    ``outcomes`` are (N,); a second one is divided by the first and resampled with it or, where the
    two are not ``paired`` and may differ in number, apart. Outcomes are resampled, not poses: a
    pose drawn twice would be its own nearest neighbour.
    """

    def statistic(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        first, *second = (sample.mean(axis=axis) for sample in samples)
        return second[0] / first if second else first

    outcomes = [np.asarray(each, dtype=np.float64) for each in outcomes]
    value = float(statistic(*outcomes))
    if min(map(len, outcomes)) < 2:
        return Estimate(value)
    found = stats.bootstrap(
        outcomes,
        statistic,
        paired=paired,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=max(1, CELLS // len(outcomes[0])),
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    )
    return Estimate(value, *map(float, found.confidence_interval))


def wilson(successes: int, number: int) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927). Raises ValueError if ``number`` is 0."""
    ends = stats.binomtest(int(successes), number).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(successes / number, *map(float, ends))


def mean_of_runs(values: pd.Series) -> Estimate:
    """The mean over independent runs, such as several seeds, with Student's t-interval, which
    takes two runs. Missing values do not count."""
    known = values.dropna().to_numpy(float)
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else float("nan"))
    ends = stats.ttest_1samp(known, 0.0).confidence_interval(CONFIDENCE)
    return Estimate(float(known.mean()), *map(float, ends))


def interval(values: pd.Series) -> pd.Series:
    """:func:`mean_of_runs` as ``mean``, ``low``, ``high`` and ``n``, for a ``groupby`` of pandas:
    ``table(name).groupby("lambda_")["accuracy"].apply(interval).unstack()``."""
    e = mean_of_runs(values)
    return pd.Series({"mean": e.value, "low": e.low, "high": e.high, "n": values.count()})


def effective_size(series: np.ndarray) -> float:
    """How many independent values tell as much about a mean as a series (n,) of correlated ones.

    n (1 - r) / (1 + r), where r is the lag-1 autocorrelation of the residuals of a straight line,
    at least 0 (Bayley and Hammersley 1946). Of a short series r comes out somewhat too low.
    """
    places = np.arange(len(series))
    rest = series - np.polynomial.Polynomial.fit(places, series, 1)(places)
    r = max(0.0, float(rest[1:] @ rest[:-1] / max(rest @ rest, np.finfo(float).tiny)))
    return len(series) * (1 - r) / (1 + r)
