"""Verdicts: each threshold from both sides, and what there is too little to judge by."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib import paths
from lib.evaluation import findings
from lib.evaluation.statistics import Estimate


def result(accuracy=0.6, diversity=1.0, ratio=1.05, size=100) -> SimpleNamespace:
    """An evaluation, as far as verdicts ask for it."""
    return SimpleNamespace(
        accuracy=accuracy,
        diversity_fake=diversity,
        diversity_real=1.0,
        retrieval_ratio=ratio,
        retrieval_real=np.array([100.0]),
        retrieval_fake=np.array([100.0 * ratio]),
        fake=range(size),
        estimates={"accuracy": around(accuracy), "retrieval_ratio": around(ratio)},
    )


def around(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value, value - half, value + half)


@pytest.mark.parametrize(
    ("accuracy", "diversity", "says"),
    [
        (0.6, 0.79, "a sign of mode collapse"),
        (0.6, 0.81, "no mode collapse shows"),
        (0.96, 0.81, "says little about poses so unlike"),
        (0.94, 0.81, "no mode collapse shows"),
    ],
)
def test_mode_collapse(accuracy, diversity, says):
    assert says in str(findings.mode_collapse(result(accuracy, diversity)))


def losses(values) -> list[dict]:
    return [{"iteration": i, "loss_d": float(value)} for i, value in enumerate(values, 1)]


@pytest.mark.parametrize(("end", "says"), [(1.0, "hardly changes"), (0.5, "it changes")])
def test_the_trend_of_a_loss_forgets_the_wild_beginning(end, says):
    values = np.concatenate([np.full(20, 1e6), np.linspace(1, end, 180)])
    assert says in str(findings.loss_trend(losses(values)))
    assert "too few" in str(findings.loss_trend(losses(values[:99])))


def test_early_accuracies_are_compared_by_their_intervals():
    for wgan, says in ((0.9, "WGAN-GP is ahead"), (0.3, ": WGAN is ahead"), (0.605, "overlap")):
        finding = findings.early(around(0.6), around(wgan), 5.0, 0.55)
        assert says in str(finding) and "After epoch 5 " in str(finding) and "55.0%" in str(finding)


@pytest.mark.parametrize(
    ("number", "sign", "says"),
    [
        (9, 1, "9 generators were kept, too few"),
        (10, 1, "the loss follows quality"),
        (10, -1, "the loss goes against quality"),
    ],
)
def test_a_rank_correlation_needs_ten_moments(number, sign, says):
    tracked = [(float(i), float(i), sign * float(i)) for i in range(number)]
    assert says in str(findings.loss_and_quality(tracked))


def test_a_rank_correlation_may_be_chance():
    order = [3, 0, 8, 1, 9, 4, 2, 7, 5, 6]
    finding = findings.loss_and_quality([(i, i, d) for i, d in enumerate(order)])
    assert finding.numbers["p"] > 0.05 and "may be chance" in str(finding)
    constant = findings.loss_and_quality([(i, 1.0, float(i)) for i in range(10)])
    assert "may be chance" in str(constant)


@pytest.mark.parametrize(("probability", "says"), [(0.59, "hardly tell"), (0.61, "to some degree")])
def test_captions_of_one_image_must_be_closer_often_enough(probability, says):
    distances = SimpleNamespace(
        probability=probability, same=np.array([1.0]), different=np.array([2.0])
    )
    assert says in str(findings.captions_apart(distances, 1000))


def run_of(gaps) -> list[dict]:
    """Metrics of epochs of two iterations: a training loss of 1, and the gap above it."""
    rows = []
    for epoch, gap in enumerate(gaps, 1):
        rows += [{"epoch": epoch - 0.5, "loss_d": 0.5}, {"epoch": epoch, "loss_d": 1.5}]
        rows.append({"epoch": epoch, "val_loss_d": 1.0 + gap})
    return rows


def test_a_gap_is_that_to_the_losses_of_its_own_epoch():
    np.testing.assert_allclose(findings.gaps(run_of([0.25, -2.0])), [0.25, -2.0])


@pytest.mark.parametrize(
    ("slope", "says"),
    [(0.5, "the curves part"), (0.0, "no overfitting shows"), (-0.5, "come closer")],
)
def test_overfitting_is_a_gap_that_grows_by_more_than_its_scatter(slope, says):
    noise = np.random.default_rng(0).normal(0, 1, 30)
    assert says in str(findings.overfitting(run_of(slope * np.arange(30) + noise)))


def test_a_large_gap_alone_is_no_overfitting():
    """As of a model whose validation poses are harder from the beginning."""
    noise = np.random.default_rng(0).normal(0, 1, 30)
    assert "no overfitting" in str(findings.overfitting(run_of(100 + noise)))


def test_too_few_validation_losses_are_not_judged():
    assert "11 validation losses, too few" in str(findings.overfitting(run_of(range(11))))
    assert "too few" not in str(findings.overfitting(run_of(range(12))))


def test_capacities_are_compared_by_the_growth_of_their_gaps():
    noise = np.random.default_rng(0).normal(0, 0.1, 30)
    steep, flat = (findings.overfitting(run_of(s * np.arange(30) + noise)) for s in (1.0, 0.0))
    assert "reduced model overfits less" in str(findings.capacity(steep, flat))
    assert "reduced model overfits more" in str(findings.capacity(flat, steep))
    assert "within what chance gives" in str(findings.capacity(flat, flat))
    few = findings.overfitting(run_of(range(3)))
    assert "too few" in str(findings.capacity(steep, few))


@pytest.mark.parametrize(
    ("along", "says"),
    [(39, "hardly matters"), (41, "less than the noise"), (91, "as much as the noise")],
)
def test_whether_the_caption_matters(along, says):
    assert says in str(findings.caption_matters(along, 100))


def test_warm_and_random_starts_are_compared_by_intervals_and_lengths():
    def say(warm, random, lengths=(10, 10)):
        return str(findings.warm_against_random(around(warm), around(random), lengths))

    assert "the warm start is ahead" in say(0.6, 0.7)
    assert "the random start is ahead" in say(0.7, 0.6)
    assert "overlap" in say(0.6, 0.61) and "equally long" not in say(0.6, 0.61)
    assert "not trained equally long" in say(0.6, 0.61, (10, 20))


@pytest.mark.parametrize(
    ("longest", "says"), [(0.14, "smooth"), (0.16, "unevenly"), (0.31, "Keypoints jump")]
)
def test_paths_are_judged_by_the_worse_kind(longest, says):
    assert says in str(findings.smooth_paths(0.05, longest, (32, 16)))
    assert says in str(findings.smooth_paths(longest, 0.05, (32, 16)))


@pytest.mark.parametrize(
    ("accuracy", "ratio", "says"),
    [
        (0.96, 1.0, "Hardly any"),
        (0.94, 1.0, "can still be told"),
        (0.74, 1.09, "close to real poses"),
        (0.76, 1.09, "can still be told"),
        (0.74, 1.11, "can still be told"),
        (0.39, 1.0, "repeated"),
    ],
)
def test_how_close_poses_are_to_real_ones(accuracy, ratio, says):
    assert says in str(findings.close_to_real(result(accuracy, ratio=ratio)))


@pytest.mark.parametrize(
    ("accuracy", "ratio", "says"),
    [
        (0.667, 1.041, "no worse"),
        (0.4, 0.9, "no worse"),
        (0.668, 1.0, "which is worse"),
        (0.6, 1.042, "which is worse"),  # in one of the two
        (0.3, 1.0, "which is worse"),  # memorised
    ],
)
def test_next_to_the_thesis_both_numbers_count(accuracy, ratio, says):
    ours = result(accuracy, ratio=ratio, size=17_326)
    assert says in str(findings.beside_the_thesis(ours, "coco"))


@pytest.mark.parametrize(("size", "source"), [(17_325, "coco"), (17_326, "sample")])
def test_other_sizes_and_data_do_not_compare_with_the_thesis(size, source):
    assert "not comparable" in str(findings.beside_the_thesis(result(size=size), source))


def test_the_thesis_s_numbers_are_those_of_the_notebook():
    text = (paths.SOURCE / "notebooks" / "11_measures.ipynb").read_text()
    accuracy, ratio, size = findings.THESIS.values()
    for number in (f"{accuracy:.1%}", f" = {ratio:.3f}, ", f"{size:,} poses of each kind"):
        assert number in text


@pytest.mark.parametrize(("low", "says"), [(0.009, "no more than"), (0.011, ": more than")])
def test_copies_are_judged_by_the_low_end(low, says):
    assert says in str(findings.copies(Estimate(0.02, low, 0.03)))


@pytest.mark.parametrize(
    ("fits", "nearest", "says"),
    [
        (0.01, 0.2, ("below chance", "finds fewer")),
        (0.03, 0.02, ("no more than chance", "about as many")),
        (0.3, 0.2, ("beyond chance", "finds more")),
    ],
)
def test_alignment_is_compared_with_chance_and_with_the_nearest_caption(fits, nearest, says):
    finding = str(findings.alignment(around(fits), around(nearest)))
    assert all(clause in finding for clause in says)


def test_a_finding_is_shown_as_its_sentence():
    finding = findings.at_the_end("reduced model", result(0.7), 1234)
    assert finding._repr_markdown_() == str(finding) == finding.sentence
    assert "70.0%, after 1,234 iterations" in str(finding) and finding.numbers == {"accuracy": 0.7}
