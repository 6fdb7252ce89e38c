"""Intervals and agreement against other implementations, published numbers and definitions."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from lib.questionnaire.answers import fleiss_kappa, wilson

# Fourteen raters sort ten items into five categories; kappa is 0.210 (the table that textbooks
# and encyclopaedias compute Fleiss' kappa of).
TABLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 7, 20, 400])
def test_wilson_agrees_with_scipy(number):
    for successes in {0, 1, number // 3, number - 1, number}:
        known = binomtest(successes, number).proportion_ci(0.95, method="wilson")
        assert wilson(successes, number) == pytest.approx(tuple(known), abs=1e-12)
        known = binomtest(successes, number).proportion_ci(0.8, method="wilson")
        assert wilson(successes, number, level=0.8) == pytest.approx(tuple(known), abs=1e-12)


def test_wilsons_ends_lie_1_96_standard_deviations_from_the_share():
    for end in wilson(13, 40):
        deviation = (end * (1 - end) / 40) ** 0.5
        assert abs(13 / 40 - end) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert wilson(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)


def test_wilson_stays_between_0_and_1():
    for number in range(1, 60):
        for successes in range(number + 1):
            low, high = wilson(successes, number)
            assert 0 <= low <= successes / number <= high <= 1


def test_a_share_of_nothing_has_no_interval():
    with pytest.raises(ValueError):
        wilson(0, 0)


def test_kappa_of_the_published_example():
    assert fleiss_kappa(TABLE) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_from_its_definition(seed):
    """The share of agreeing pairs of raters, against that of answers drawn at random."""
    rng = np.random.default_rng(seed)
    answers = rng.integers(0, 3, (12, 6))  # items, raters
    pairs = [a == b for item in answers for a, b in combinations(item, 2)]
    chance = sum((answers == category).mean() ** 2 for category in range(3))
    expected = (np.mean(pairs) - chance) / (1 - chance)
    counts = [[(item == category).sum() for category in range(3)] for item in answers]
    assert fleiss_kappa(counts) == pytest.approx(expected, abs=1e-12)


def test_kappa_at_its_ends():
    assert fleiss_kappa([[5, 0], [0, 5], [5, 0]]) == pytest.approx(1)
    assert fleiss_kappa([[1, 1]] * 4) == pytest.approx(-1)  # two who always differ


@pytest.mark.parametrize("counts", [[[1, 0], [0, 1]], [[4, 0], [4, 0]], [[0, 0]], np.zeros((0, 2))])
def test_kappa_of_one_rater_or_one_category_is_not_defined(counts):
    assert fleiss_kappa(counts) is None


def test_items_must_have_as_many_raters():
    with pytest.raises(ValueError):
        fleiss_kappa([[2, 1], [2, 2]])
