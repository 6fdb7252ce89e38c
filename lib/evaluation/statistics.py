"""Numbers with the interval in which they probably lie."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
RESAMPLES = 1_000
CELLS = 4_000_000  # numbers drawn at a time: bounds the memory


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; without one (``nan``) where none can be given."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __format__(self, spec: str) -> str:
        """The value, and the interval in brackets, both in the format of a number."""
        text = format(self.value, spec)
        if np.isnan(self.low):
            return text
        return f"{text} [{format(self.low, spec)}, {format(self.high, spec)}]"

    def beside(self, other: "Estimate") -> int:
        """1 where the whole interval lies above that of the other, -1 where it lies below, and 0
        where the two overlap or there is none."""
        return int(self.low > other.high) - int(self.high < other.low)


def bootstrap(*outcomes: np.ndarray, seed: int = 0) -> Estimate:
    """The mean of one outcome a pose, or the ratio of the means of two, with the percentile
    interval of the bootstrap.

    Outcomes are resampled, not poses: a pose drawn twice would be its own nearest neighbour.

    Args:
        outcomes: (N,) each; of two, the second is divided by the first, pose by pose together.
        seed: of the resampling.
    """

    from scipy import stats  # which a machine that only trains need not have

    def statistic(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        means = [sample.mean(axis=axis) for sample in samples]
        return means[0] if len(means) == 1 else means[1] / means[0]

    outcomes = [np.asarray(outcome, dtype=np.float64) for outcome in outcomes]
    value = float(statistic(*outcomes))
    if len(outcomes[0]) < 2:
        return Estimate(value)
    found = stats.bootstrap(
        outcomes,
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=max(1, CELLS // len(outcomes[0])),
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))


def wilson(successes: int, number: int) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927).

    Raises:
        ValueError: there is nothing to take a share of.
    """
    from scipy import stats

    if number < 1:
        raise ValueError("the interval of a share of nothing is asked for")
    found = stats.binomtest(int(successes), number).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(successes / number, float(found.low), float(found.high))


def mean_of_runs(values: "pd.Series") -> Estimate:
    """The mean of independent runs, as of several seeds, with Student's t-interval; of fewer than
    two runs there is none. Missing values do not count."""
    from scipy import stats

    known = np.asarray(values.dropna(), dtype=float)
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else float("nan"))
    found = stats.ttest_1samp(known, 0.0).confidence_interval(CONFIDENCE)
    return Estimate(float(known.mean()), float(found.low), float(found.high))


def interval(values: "pd.Series") -> "pd.Series":
    """:func:`mean_of_runs` as a series with ``mean``, ``low``, ``high`` and ``n``, for pandas:
    ``table(name).groupby("lambda_")["accuracy"].apply(interval).unstack()``."""
    import pandas as pd

    e = mean_of_runs(values)
    return pd.Series({"mean": e.value, "low": e.low, "high": e.high, "n": values.count()})
