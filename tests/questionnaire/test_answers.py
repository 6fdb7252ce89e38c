"""Intervals and agreement against other implementations, published numbers and definitions."""

from itertools import combinations

import numpy as np
import pytest

from lib.questionnaire.answers import fleiss_kappa

# Fourteen raters sort ten items into five categories; kappa is 0.210 (the table that textbooks
# and encyclopaedias compute Fleiss' kappa of).
TABLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


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
