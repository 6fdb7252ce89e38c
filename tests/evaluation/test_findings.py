"""Verdicts: each threshold from both sides, and what there is too little to judge by."""

from types import SimpleNamespace

import numpy as np
import pytest
from constructed import correlated

from lib import paths
from lib.evaluation import findings
from lib.evaluation.statistics import Estimate, effective_size


def result(
    accuracy=0.6, diversity=1.0, ratio=1.05, size=100, retrieval=1.0, unusual=0.05
) -> dict[str, Estimate]:
    """The measures of a model, as far as verdicts ask for them."""
    return {
        "accuracy": around(accuracy),
        "diversity_fake": Estimate(diversity),
        "diversity_real": Estimate(1.0),
        "typicality_ratio": around(ratio),
        "retrieval_ratio": around(retrieval),
        "implausible_fake": around(unusual),
        "implausible_real": around(0.05),
        "n_fake": Estimate(size),
    }


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


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (0.76, "hardly changes"),
        (0.74, "it changes"),
        (1.32, "hardly changes"),
        (1.34, "it changes"),
    ],
)
def test_the_trend_of_a_loss_forgets_the_wild_beginning(end, says):
    """The last window against the second, by a quarter of the larger one, whatever the sign."""
    values = np.concatenate([np.full(20, 1e6), np.full(20, 1), np.full(140, 50), np.full(20, end)])
    for sign in (1, -1):
        finding = findings.loss_trend(losses(sign * values))
        assert says in str(finding)
        assert finding.numbers == pytest.approx({"before": sign, "after": sign * end})


def test_a_trend_needs_ten_losses_in_each_window():
    assert "99 losses, too few" in str(findings.loss_trend(losses(np.ones(99))))
    assert "hardly changes" in str(findings.loss_trend(losses(np.ones(100))))


def test_early_accuracies_are_compared_by_their_intervals():
    for wgan, says in ((0.9, "WGAN-GP is ahead"), (0.3, ": WGAN is ahead"), (0.605, "overlap")):
        finding = findings.early(around(0.6), around(wgan), 5.0, 0.55)
        assert says in str(finding) and "After epoch 5 " in str(finding) and "55.0%" in str(finding)


@pytest.mark.parametrize(
    ("number", "sign", "says"),
    [
        (9, 1, "kept 9 generators, too few"),
        (10, 1, "the loss follows quality"),
        (10, -1, "the loss goes against quality"),
    ],
)
def test_a_rank_correlation_needs_ten_moments(number, sign, says):
    tracked = [(float(i), float(i), sign * float(i)) for i in range(number)]
    assert says in str(findings.loss_and_quality(tracked))


NEAR = [3, 5, 0, 1, 4, 6, 7, 2, 8, 9]  # just significant
CHANCE = [1, 3, 4, 6, 0, 2, 9, 7, 5, 8]  # just not


@pytest.mark.parametrize(
    ("order", "rho", "p", "says"),
    [
        (NEAR, 0.636, 0.048, "the loss follows quality"),
        (NEAR[::-1], -0.636, 0.048, "the loss goes against quality"),
        (CHANCE, 0.624, 0.054, "may be chance"),
        (CHANCE[::-1], -0.624, 0.054, "may be chance"),
    ],
)
def test_a_rank_correlation_may_be_chance(order, rho, p, says):
    finding = findings.loss_and_quality([(i, i, d) for i, d in enumerate(order)])
    assert finding.numbers == pytest.approx({"rho": rho, "p": p}, abs=5e-4)
    assert says in str(finding)


def test_a_constant_has_no_rank_correlation():
    constant = findings.loss_and_quality([(i, 1.0, float(i)) for i in range(10)])
    assert "may be chance" in str(constant)


@pytest.mark.parametrize(("probability", "says"), [(0.59, "hardly tell"), (0.61, "to some degree")])
def test_captions_of_one_image_must_be_closer_often_enough(probability, says):
    distances = SimpleNamespace(
        probability=probability, same=np.array([1.0]), different=np.array([2.0])
    )
    assert says in str(findings.captions_apart(distances, 1000))


def test_nothing_is_said_of_captions_without_a_second_one():
    none = SimpleNamespace(probability=np.nan, same=np.zeros(0), different=np.zeros(0))
    found = findings.captions_apart(none, 1000)
    assert "Nothing can be told" in str(found) and found.holds is None


def run_of(gaps) -> list[dict]:
    """Metrics of epochs of two iterations: a training loss of 1, and the gap above it."""
    rows = []
    for epoch, gap in enumerate(gaps, 1):
        rows += [{"epoch": epoch - 0.5, "loss_d": 0.5}, {"epoch": epoch, "loss_d": 1.5}]
        rows.append({"epoch": epoch, "val_loss_d": 1.0 + gap})
    return rows


def random_walk(slope: float) -> list[dict]:
    return run_of(slope * np.arange(30) + np.random.default_rng(0).normal(0, 0.1, 30))


def test_a_gap_is_that_to_the_losses_of_its_own_epoch():
    np.testing.assert_allclose(findings.gaps(run_of([0.25, -2.0])), [0.25, -2.0])


@pytest.mark.parametrize(
    ("slope", "says"),
    [(0.5, "the curves part"), (0.0, "no overfitting shows"), (-0.5, "come closer")],
)
def test_overfitting_is_a_gap_that_grows_by_more_than_its_scatter(slope, says):
    noise = np.random.default_rng(0).normal(0, 1, 30)
    assert says in str(findings.overfitting(run_of(slope * np.arange(30) + noise)))


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        (1.01, "the curves part"),
        (0.99, "no overfitting shows"),
        (-0.99, "no overfitting shows"),
        (-1.01, "come closer"),
    ],
)
@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_overfitting_begins_at_twice_the_standard_error(factor, says, memory):
    """The last third is moved as a whole, so that the growth crosses the threshold."""

    def moved(by: float) -> findings.Finding:
        return findings.overfitting(run_of(gap + by * last))

    gap, last = correlated(60, memory, 3), np.repeat([0, 0, 1], 20)
    low, high = -100.0, 100.0
    for _ in range(60):  # the move at which growth over twice the error is the factor
        middle = (low + high) / 2
        numbers = moved(middle).numbers
        beyond = numbers["grown"] > factor * 2 * numbers["error"]
        low, high = (low, middle) if beyond else (middle, high)
    assert says in str(moved(high))


def test_neighbouring_gaps_that_resemble_each_other_are_less_sure():
    """The error is that of independent gaps over the root of the share that counts."""
    for memory in (0.0, 0.7):
        gap = correlated(90, memory, 1)
        plain = np.sqrt(sum(np.var(part, ddof=1) / 30 for part in (gap[:30], gap[60:])))
        share = effective_size(gap) / 90
        error = findings.overfitting(run_of(gap)).numbers["error"]
        assert error == pytest.approx(plain / share**0.5)
        assert (error < 1.1 * plain) if memory == 0 else (error > 1.5 * plain)


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0.05), (0.6, 0.08)])
def test_curves_that_do_not_part_are_seldom_said_to(memory, most):
    """If all gaps counted as independent, a sixth of the correlated ones would be."""
    said = [str(findings.overfitting(run_of(correlated(60, memory, seed)))) for seed in range(300)]
    assert np.mean(["the curves part" in each for each in said]) <= most


def test_a_large_gap_alone_is_no_overfitting():
    """As of a model whose validation poses are harder from the beginning."""
    noise = np.random.default_rng(0).normal(0, 1, 30)
    assert "no overfitting" in str(findings.overfitting(run_of(100 + noise)))


def test_too_few_validation_losses_are_not_judged():
    assert "11 validation losses, too few" in str(findings.overfitting(run_of(range(11))))
    assert "too few" not in str(findings.overfitting(run_of(range(12))))


def test_capacities_are_compared_by_the_growth_of_their_gaps():
    steep, flat = random_walk(1.0), random_walk(0.0)
    assert "reduced model overfits less" in str(findings.capacity(steep, flat))
    assert "reduced model overfits more" in str(findings.capacity(flat, steep))
    assert "within what chance gives" in str(findings.capacity(flat, flat))
    assert "too few" in str(findings.capacity(steep, run_of(range(3))))


def test_capacities_are_compared_as_far_as_both_runs_go():
    """A gap that grows later than the shorter run ends does not count."""
    gaps = np.random.default_rng(0).normal(0, 0.1, 60)
    late = run_of(gaps + np.repeat([0, 50], 30))
    finding = findings.capacity(late, random_walk(0.0))
    assert "In the first 30 epochs" in str(finding) and finding.holds is None
    assert findings.capacity(late, run_of(gaps)).holds is True


def test_runs_that_differ_in_more_than_they_are_compared_by_tell_nothing():
    found = findings.early(around(0.6), around(0.9), 5.0, 0.55)
    assert findings.at_equal_conditions(found, []) == found
    other = findings.at_equal_conditions(found, ["features", "lambda_"])
    assert str(other).startswith(str(found)) and other.holds is None
    assert "also differ in features, lambda, which may be the reason" in str(other)


@pytest.mark.parametrize(
    ("along", "says"),
    [(39, "hardly matters"), (41, "less than the noise"), (91, "as much as the noise")],
)
def test_whether_the_caption_matters(along, says):
    assert says in str(findings.caption_matters(along, 100))


def test_warm_and_random_starts_are_compared_by_intervals():
    def say(warm, random):
        return str(findings.warm_against_random(around(warm), around(random), 10))

    assert "the warm start is ahead" in say(0.6, 0.7)
    assert "the random start is ahead" in say(0.7, 0.6)
    assert "overlap" in say(0.6, 0.61) and "After 10 iterations" in say(0.6, 0.61)


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
        (0.74, 0.91, "close to real poses"),
        (0.74, 0.89, "can still be told"),  # too typical
        (0.76, 1.09, "can still be told"),
        (0.74, 1.11, "can still be told"),
        (0.39, 1.0, "repeated"),
    ],
)
def test_how_close_poses_are_to_real_ones(accuracy, ratio, says):
    assert says in str(findings.close_to_real(result(accuracy, ratio=ratio)))
    if 0.4 < accuracy < 0.9:  # in either direction
        turned = result(accuracy, ratio=1.0, retrieval=ratio)
        assert says in str(findings.close_to_real(turned))


@pytest.mark.parametrize(
    ("accuracy", "ratio", "says"),
    [
        (0.667, 1.041, "no worse"),
        (0.4, 0.96, "no worse"),
        (0.6, 0.958, "which is worse"),  # too typical
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
    accuracy, d_r, d_g, ratio, size = findings.THESIS.values()
    assert ratio == pytest.approx(d_g / d_r, abs=5e-4)
    shown = f" {d_g} / {d_r} = {ratio:.3f}, "
    for number in (f"{accuracy:.1%}", shown, f"{size:,} poses of each kind"):
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


# --- whether the thesis's claims hold -----------------------------------------------------------


@pytest.mark.parametrize(
    ("loss_d", "loss_g", "holds"),
    [(0.34, 0.70, True), (0.35, 5.0, False), (0.1, 0.69, False)],
)
def test_d_is_ahead_of_g_by_both_losses(loss_d, loss_g, holds):
    finding = findings.discriminator_ahead({"loss_d": loss_d, "loss_g": loss_g})
    assert finding.holds is holds and (" is far ahead" in str(finding)) == holds
    assert "would give 1.39 and 0.69" in str(finding)


def test_failures_are_compared_by_intervals():
    for wgan, says, holds in ((0.2, "more", True), (0.1, "about as many", False)):
        finding = findings.failures(result(unusual=0.1), result(unusual=wgan))
        assert says in str(finding) and finding.holds is holds
    assert ": fewer of them" in str(findings.failures(result(unusual=0.2), result(unusual=0.1)))


@pytest.mark.parametrize(
    ("unusual", "diversity", "holds"),
    [(0.06, 0.8, True), (0.08, 0.8, False), (0.05, 0.79, False)],
)
def test_samples_are_realistic_if_they_fail_no_more_than_real_poses(unusual, diversity, holds):
    finding = findings.realistic(result(unusual=unusual, diversity=diversity))
    assert finding.holds is holds
    assert ("some fail" in str(finding)) == (unusual > 0.07)
    assert ("less varied" in str(finding)) == (diversity < 0.8)


def test_the_cost_of_width_is_told_by_intervals():
    for accuracy, says, holds in (
        (0.7, "the full model is ahead", True),
        (0.61, "their intervals overlap", None),
        (0.5, "the reduced model is ahead", False),
    ):
        finding = findings.cost_of_width(result(), result(accuracy))
        assert says in str(finding) and finding.holds is holds


@pytest.mark.parametrize(
    ("finding", "holds"),
    [
        (findings.mode_collapse(result(0.6, 0.79)), True),
        (findings.mode_collapse(result(0.6, 0.81)), False),
        (findings.mode_collapse(result(0.96, 0.81)), None),  # noise is varied, too
        (findings.loss_trend(losses(np.ones(100))), True),
        (findings.loss_trend(losses(np.arange(100))), False),
        (findings.loss_trend(losses(np.ones(99))), None),
        (findings.early(around(0.6), around(0.9), 5.0, 0.55), True),
        (findings.early(around(0.6), around(0.61), 5.0, 0.55), None),
        (findings.early(around(0.6), around(0.5), 5.0, 0.55), False),
        (findings.loss_and_quality([(i, i, i) for i in range(10)]), True),
        (findings.loss_and_quality([(i, i, -i) for i in range(10)]), False),
        (findings.loss_and_quality([(i, i, d) for i, d in enumerate(CHANCE)]), None),
        (findings.loss_and_quality([(i, i, i) for i in range(9)]), None),
        (findings.overfitting(random_walk(1.0)), True),
        (findings.overfitting(random_walk(0.0)), False),
        (findings.overfitting(random_walk(1.0)[:9]), None),
        (findings.capacity(random_walk(1.0), random_walk(0.0)), True),
        (findings.capacity(random_walk(0.0), random_walk(1.0)), False),
        (findings.capacity(random_walk(0.0), random_walk(0.0)), None),
        (findings.caption_matters(41, 100), True),
        (findings.caption_matters(39, 100), False),
        (findings.warm_against_random(around(0.6), around(0.61), 9), True),  # no worse
        (findings.warm_against_random(around(0.6), around(0.5), 9), True),
        (findings.warm_against_random(around(0.6), around(0.7), 9), False),
        (findings.smooth_paths(0.05, 0.14, (32, 16)), True),
        (findings.smooth_paths(0.05, 0.16, (32, 16)), None),
        (findings.smooth_paths(0.05, 0.31, (32, 16)), False),
        (findings.close_to_real(result(0.74, ratio=1.05)), True),
        (findings.close_to_real(result(0.76, ratio=1.05)), False),
        (findings.close_to_real(result(0.39, ratio=1.0)), False),
        (findings.beside_the_thesis(result(0.6, ratio=1.0, size=17_326), "coco"), True),
        (findings.beside_the_thesis(result(0.7, ratio=1.0, size=17_326), "coco"), False),
        (findings.beside_the_thesis(result(0.6, ratio=1.0, size=17_325), "coco"), None),
    ],
)
def test_a_claim_holds_or_not_or_cannot_be_told(finding, holds):
    assert finding.holds is holds


def test_captions_tell_or_hardly_tell():
    for probability, holds in ((0.61, True), (0.59, False)):
        said = SimpleNamespace(
            probability=probability, same=np.array([1.0]), different=np.array([2.0])
        )
        assert findings.captions_apart(said, 1000).holds is holds


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        (0.55, "comes nearer than the WGAN-GP"),
        (0.66, "comes no nearer"),
        (0.70, "stays farther away"),
    ],
)
def test_a_gan_beside_flow_matching(flow, says):
    found = [
        {"accuracy": around(each), "implausible_fake": Estimate(limb)}
        for each, limb in ((0.66, 0.1), (flow, 0.08), (0.57, 0.03))
    ]
    finding = findings.why_a_gan(*found)
    assert f"flow matching {says}. " in str(finding) and "10.0%, 8.0% and 3.0%" in str(finding)
    assert finding.numbers == {"gan": 0.66, "flow": flow, "other": 0.57}
