"""The measures of chapter 4.4 as a whole: of constructed sets, of runs, of real and mean poses."""

import copy
import dataclasses
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from constructed import matrix, people, poses, told
from scipy.linalg import sqrtm

from lib.config import Config
from lib.data.heatmaps import decode, render, through_heatmap
from lib.evaluation import measures, neighbours, networks
from lib.evaluation.alignment import mean_pose, own_captions
from lib.evaluation.limbs import implausible
from lib.evaluation.measures import (
    Evaluation,
    by_size,
    compare,
    evaluate,
    frechet_distance,
    references,
    track,
)
from lib.evaluation.statistics import Estimate, bootstrap
from lib.models.synthesis import noise, synthesise
from lib.training.loop import train

UNCONDITIONAL = {
    "accuracy", "accuracy_real", "accuracy_fake", "copied",
    "retrieval_real", "retrieval_fake", "retrieval_ratio",
    "typicality_real", "typicality_fake", "typicality_ratio",
    "precision", "recall", "density", "coverage", "frechet",
    "visible_real", "visible_fake", "implausible_real", "implausible_fake",
    "diversity_real", "diversity_fake",
}  # fmt: skip
WITHOUT_INTERVAL = {"frechet", "diversity_real", "diversity_fake"}  # not means over poses
FITS = {"r_precision_1": Estimate(0.25, 0.2, 0.3), "distance_own": Estimate(90.0, 85.0, 95.0)}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crowd(n: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(people(n, seed))


@pytest.fixture(autouse=True)
def coder(monkeypatch) -> networks.PoseCoder:
    """Features of the Fréchet distance from weights that were never trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = networks.PoseCoder().eval().requires_grad_(False)
    monkeypatch.setattr(networks, "pose_coder", lambda dataset: made)
    return made


@pytest.fixture
def examiners(monkeypatch) -> list[tuple]:
    """What a stub of the examiner of captions was asked."""
    asked = []

    class Stub:
        def __init__(self, dataset, seed=0):
            asked.append(("new", dataset, seed))

        def model(self, G, scaled):
            asked.append(("model", G, float(scaled(torch.ones(1)))))
            return "poses of the model"

        def measure(self, poses):
            asked.append(("measure", poses))
            return FITS

    monkeypatch.setattr(measures, "Examiner", Stub)
    return asked


# --- Fréchet distance -----------------------------------------------------------------------


def direct(real: np.ndarray, fake: np.ndarray) -> float:
    """Heusel et al. 2017, with the root of a matrix."""
    s1, s2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return float((shift**2).sum() + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real))


def gaussian(n: int, mean: list[float], deviations: list[float], seed: int) -> np.ndarray:
    """Features whose mean and covariance are, to the last digit, what they are drawn from."""
    drawn = np.random.default_rng(seed).normal(size=(n, len(mean)))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return white * deviations + mean


@pytest.mark.parametrize(("n", "m", "size"), [(50, 50, 4), (200, 90, 32), (40, 300, 12)])
def test_frechet_distance_equals_the_direct_formula(n, m, size):
    rng = np.random.default_rng(n)
    real = rng.normal(size=(n, size)) @ rng.normal(size=(size, size))
    fake = rng.normal(0.3, 1, size=(m, size)) @ rng.normal(size=(size, size))
    assert frechet_distance(real, fake) == pytest.approx(direct(real, fake), rel=1e-6)
    assert frechet_distance(fake, real) == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    moved = frechet_distance(real + 100, fake + 100)
    assert moved == pytest.approx(frechet_distance(real, fake), rel=1e-6)
    assert isinstance(moved, float)


def test_frechet_distance_of_gaussians_is_known():
    """|m1 - m2|^2 + the squared differences of the deviations, where the axes are the same."""
    real = gaussian(60, [1, 2, 3], [1, 2, 0.5], 0)
    fake = gaussian(80, [1, 4, 2], [3, 1, 0.5], 1)
    assert frechet_distance(real, fake) == pytest.approx((4 + 1) + (4 + 1 + 0), rel=1e-9)
    one, other = np.array([[-1.0], [1.0]]), np.array([[4.0], [10.0]])  # of variance 2 and 18
    assert frechet_distance(one, other) == pytest.approx(49 + (18**0.5 - 2**0.5) ** 2, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero():
    real = np.random.default_rng(0).normal(5, 2, (100, 32))
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, real[::-1].astype(np.float32)) == pytest.approx(0, abs=1e-5)


def test_frechet_distance_to_a_single_point_is_its_mean_square():
    """A collapsed mode has no covariance."""
    real = np.random.default_rng(1).normal(size=(100, 32))
    point = np.repeat(real[:1] * 2, 50, axis=0)
    expected = ((real.mean(axis=0) - point[0]) ** 2).sum() + real.var(axis=0, ddof=1).sum()
    assert frechet_distance(real, point) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_few_poses_keeps_its_digits():
    """Fewer rows than features: both covariances are singular."""
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(8, 32)), rng.normal(size=(9, 32))
    a, b = (x - x.mean(axis=0) for x in (real, fake))
    # The roots of the eigenvalues of S1 S2 are the singular values of this small matrix.
    roots = np.linalg.svd(a @ b.T / (7 * 8) ** 0.5, compute_uv=False).sum()
    shift = ((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum()
    expected = shift + (a**2).sum() / 7 + (b**2).sum() / 8 - 2 * roots
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)
    # 25 eigenvalues that are 0 but for rounding, some 1e-15, add their roots.
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-5)


# --- all measures of two sets ---------------------------------------------------------------


def test_every_measure_equals_one_of_its_own(coder):
    real, fake = torch.from_numpy(poses(30, 1)).float(), torch.from_numpy(poses(24, 2, 7)).float()
    queries, known = crowd(11, 3), torch.cat([crowd(40, 4), fake[:6]])
    result = compare(real, fake, queries, known, coder, seed=5)
    found, arrays = result.estimates, [x.numpy() for x in (real, fake, queries, known)]
    r, f, q, t = arrays
    both = np.concatenate([r, f])
    between = matrix(both, both)
    np.fill_diagonal(between, np.inf)
    right = (between.argmin(axis=1) < 30) == (np.arange(54) < 30)
    d_r, d_g = matrix(q, r).min(axis=1), matrix(q, f).min(axis=1)
    t_r, t_g = matrix(r, q).min(axis=1), matrix(f, q).min(axis=1)
    radii_r = np.sort(between[:30, :30], axis=1)[:, 4]
    radii_f = np.sort(between[30:, 30:], axis=1)[:, 4]
    inside = between[30:, :30] <= radii_r
    near = np.quantile(matrix(q, t).min(axis=1), 0.01)
    expected = {
        "accuracy": right,
        "accuracy_real": right[:30],
        "accuracy_fake": right[30:],
        "retrieval_real": d_r,
        "retrieval_fake": d_g,
        "typicality_real": t_r,
        "typicality_fake": t_g,
        "precision": inside.any(axis=1),
        "recall": (between[30:, :30] <= radii_f[:, None]).any(axis=0),
        "density": inside.sum(axis=1) / 5,
        "coverage": inside.any(axis=0),
        "copied": matrix(f, t).min(axis=1) <= near,
        "visible_real": (r[..., 2] > 0).sum(axis=1),
        "visible_fake": (f[..., 2] > 0).sum(axis=1),
        "implausible_real": implausible(r, r),
        "implausible_fake": implausible(f, r),
    }
    assert found.keys() == UNCONDITIONAL
    for name, outcomes in expected.items():
        wanted = bootstrap(outcomes, seed=5)
        ends = (found[name].value, found[name].low, found[name].high)
        assert ends == pytest.approx((wanted.value, wanted.low, wanted.high), rel=1e-5), name
    wanted = bootstrap(d_r, d_g, seed=5)
    assert found["retrieval_ratio"].value == pytest.approx(d_g.mean() / d_r.mean(), rel=1e-6)
    assert found["retrieval_ratio"].low == pytest.approx(wanted.low, rel=1e-5)
    wanted = bootstrap(t_r, t_g, seed=5, paired=False)
    assert found["typicality_ratio"].value == pytest.approx(t_g.mean() / t_r.mean(), rel=1e-6)
    assert found["typicality_ratio"].high == pytest.approx(wanted.high, rel=1e-5)
    assert found["copied"].value == 6 / 24
    features = coder(real).numpy(), coder(fake).numpy()
    assert found["frechet"].value == pytest.approx(direct(*map(np.float64, features)), rel=1e-5)
    for kind, pose in (("real", r), ("fake", f)):
        pairs = matrix(pose, pose)[np.triu_indices(len(pose), 1)]
        assert found[f"diversity_{kind}"].value == pytest.approx(pairs.mean(), rel=0.02)
    assert {name for name in found if np.isnan(found[name].low)} == WITHOUT_INTERVAL
    np.testing.assert_allclose(result.retrieval_real, d_r, rtol=1e-5)
    np.testing.assert_allclose(result.retrieval_fake, d_g, rtol=1e-5)
    np.testing.assert_allclose(result.typicality_real, t_r, rtol=1e-5)
    np.testing.assert_allclose(result.typicality_fake, t_g, rtol=1e-5)
    assert result.real is real and result.fake is fake


def test_the_seed_decides_what_is_drawn_and_not_what_is_measured(coder):
    sets = crowd(30, 1), crowd(30, 2), crowd(20, 3), crowd(60, 4)
    one, same, other = (compare(*sets, coder, seed).estimates for seed in (0, 0, 1))
    assert one == same
    for name in UNCONDITIONAL - {"diversity_real", "diversity_fake"}:
        assert one[name].value == other[name].value
    assert one["diversity_fake"].value != other["diversity_fake"].value
    assert one["accuracy"].low != other["accuracy"].low or one["density"] != other["density"]


def test_neighbourhoods_are_those_of_some_random_poses_only(coder, monkeypatch):
    """They take the most time; the accuracy is always that of all poses."""
    real, fake, queries, known = crowd(30, 1), crowd(40, 2), crowd(20, 3), crowd(60, 4)
    monkeypatch.setattr(measures, "BALLS", 25)
    some = compare(real, fake, queries, known, coder).estimates
    chosen = real[measures._choice(30, 25, 0)], fake[measures._choice(40, 25, 0)]
    fewer = compare(*chosen, queries, known, coder).estimates
    for name in ("precision", "recall", "density", "coverage"):
        assert some[name] == fewer[name]
    monkeypatch.undo()
    assert some["accuracy"] == compare(real, fake, queries, known, coder).estimates["accuracy"]


def test_copies_are_told_from_poses_that_are_as_new_as_validation_poses(coder):
    known, queries = crowd(300, 1), crowd(2000, 2)

    def copied(fake: torch.Tensor) -> Estimate:
        return compare(crowd(20, 9), fake, queries, known, coder).estimates["copied"]

    assert copied(known[:100]).value == 1
    assert copied(crowd(2000, 3)).value == pytest.approx(0.01, abs=0.008)
    assert copied(queries).value == pytest.approx(0.01, abs=0.001)
    nudged = known[:100].clone()
    nudged[:, 9, 0] += 1
    assert copied(nudged).value == 1
    half = copied(torch.cat([known[:50], crowd(50, 4)]))
    assert half.value == pytest.approx(0.5, abs=0.03) and half.low < 0.5 < half.high
    queries[:100] = known[:100]  # validation poses that are training poses are no nearer than 0
    assert copied(known[:100]).value == 1 and copied(nudged).value < 0.1


# --- a run as a whole -----------------------------------------------------------------------


class Memory(torch.nn.Module):
    """A "generator" that knows poses by heart: h, divided by the scale, says which one."""

    def __init__(self, known: torch.Tensor, shift: int = 0):
        super().__init__()
        self.known = torch.nn.Parameter(known, requires_grad=False)
        self.shift, self.drawn, self.asked = shift, [], []

    def forward(self, z: torch.Tensor, h: torch.Tensor | None) -> torch.Tensor:
        self.drawn.append(z)
        self.asked.append(h)
        pose = self.known[:1] if h is None else self.known[(h[:, 0] / 30).round().long()]
        pose = pose.expand(len(z), -1, -1).clone()
        pose[..., 0] += self.shift * (pose[..., 2] > 0)
        return render(pose) * 2 - 1


def split_of(pose: np.ndarray, seed: int) -> tiny.Part:
    """Every second pose is a pair with one to three captions, encoded as the pose's number and
    the caption's; those and every other pose in between are alone in their image."""
    pair_pose = torch.arange(0, len(pose), 2)
    count = torch.randint(1, 4, (len(pair_pose),), generator=torch.Generator().manual_seed(seed))
    vectors = torch.zeros(int(count.sum()), 300)
    vectors[:, 0] = pair_pose.repeat_interleave(count)
    vectors[:, 1] = torch.arange(len(vectors))
    return tiny.Part(
        poses=torch.from_numpy(pose).float(),
        single=np.arange(len(pose)) % 4 < 3,
        pair_pose=pair_pose,
        pair_first=count.cumsum(0) - count,
        pair_count=count,
        vectors=vectors,
    )


@pytest.fixture(scope="module")
def dataset() -> SimpleNamespace:
    inside = [np.clip(poses(n, s, 9), 0, 60).round() for n, s in ((80, 20), (24, 21))]
    return SimpleNamespace(train=split_of(inside[0], 1), val=split_of(inside[1], 2))


def run_of(algorithm: str, G: torch.nn.Module, epoch: float | None = None) -> SimpleNamespace:
    """A run that has G at the end, or after an epoch."""
    config = Config(algorithm)
    return SimpleNamespace(
        config=config,
        generator=lambda asked: {epoch: G}[asked],
        h=config.scaled,
        noise=lambda number, seed, G: noise(number, seed),
    )


def test_a_generator_that_memorised_its_captions_poses(dataset, examiners):
    """One pose for each training pair, from its own caption, scaled: exactly the real ones."""
    run = run_of("conditional_wgan_lp", Memory(dataset.train.poses))
    result = evaluate(run, dataset, None)
    pairs = dataset.train.poses[::2]
    assert torch.equal(result.real, pairs) and torch.equal(result.fake, pairs)
    assert result.accuracy == 0
    assert result.retrieval_ratio == pytest.approx(1)
    assert result.copied == result.precision == result.coverage == 1
    assert result.frechet == pytest.approx(0, abs=1e-6)
    queries = dataset.val.poses[::2].numpy()
    expected = matrix(queries, pairs.numpy()).min(axis=1)  # the validation poses ask
    np.testing.assert_allclose(result.retrieval_real, expected, rtol=1e-5)
    np.testing.assert_allclose(result.retrieval_fake, expected, rtol=1e-5)
    seen = float(pairs[..., 2].sum(dim=1).mean())
    assert result.visible_real == result.visible_fake == pytest.approx(seen)
    assert result.diversity_real == result.diversity_fake > 0
    assert (result.summary()["n_real"], result.summary()["n_val"]) == (40, 12)


def test_a_generator_that_memorised_poses_a_little_off(dataset, examiners):
    result = evaluate(run_of("conditional_gan", Memory(dataset.train.poses, 1)), dataset, None)
    seen = dataset.train.poses[::2, :, 2:] > 0
    off = (result.fake - result.real)[..., :1]
    assert (off[seen] == 1).all() and (off[~seen] == 0).all()
    assert result.accuracy == 0 and result.copied == 1


def test_an_unconditional_generator_with_one_pose(dataset, examiners):
    """A collapsed mode: as many poses as there are real ones, all the same."""
    result = evaluate(run_of("wgan_gp", Memory(dataset.train.poses[4:5])), dataset, None)
    # Those that are alone in their image (4.4.2), with captions or without.
    assert torch.equal(result.real, dataset.train.poses[np.arange(80) % 4 < 3])
    assert len(result.fake) == 60 and len(result.retrieval_real) == 18
    assert result.diversity_fake == 0 < result.diversity_real
    assert result.copied == 1 and result.recall == pytest.approx(1 / 60)
    # One training pose coincides with the fakes and is taken for one; all others are known.
    assert result.accuracy > 0.5
    asking = dataset.val.poses[np.arange(24) % 4 < 3].numpy()
    only = matrix(asking, dataset.train.poses[4:5].numpy())[:, 0]
    np.testing.assert_allclose(result.retrieval_fake, only, rtol=1e-5)
    assert result.retrieval_ratio > 1
    assert result.estimates.keys() == UNCONDITIONAL and not examiners


def test_real_poses_go_through_a_heatmap_as_synthesised_ones_do(dataset, monkeypatch):
    """All of them come to whole numbers, those that might have been copied too."""
    monkeypatch.setattr(measures, "compare", lambda *given: given)
    run = run_of("wgan_gp", Memory(dataset.train.poses))
    between = copy.deepcopy(dataset)
    for split in (between.train, between.val):
        split.poses[..., :2] += 0.25
    real, _, queries, known, _, seed = evaluate(run, between, None, seed=8)
    alone = np.arange(80) % 4 < 3
    assert torch.equal(real, dataset.train.poses[alone]) and torch.equal(known, dataset.train.poses)
    assert torch.equal(queries, dataset.val.poses[alone[:24]]) and seed == 8


def test_where_no_pose_is_alone_all_are_compared(dataset, monkeypatch):
    monkeypatch.setattr(measures, "compare", lambda *given: given)
    crowded = copy.deepcopy(dataset)
    crowded.train.single[:], crowded.val.single[:] = False, False
    real, _, queries, *_ = evaluate(run_of("wgan_gp", Memory(dataset.train.poses)), crowded, None)
    assert torch.equal(real, dataset.train.poses) and torch.equal(queries, dataset.val.poses)


@pytest.mark.parametrize("algorithm", ["wgan_gp", "conditional_gan"])
def test_validation_poses_are_random_ones_too(dataset, examiners, monkeypatch, algorithm):
    asked = []
    nearest = compare
    monkeypatch.setattr(measures, "compare", lambda *given: asked.append(given) or nearest(*given))
    run = run_of(algorithm, Memory(dataset.train.poses))
    for seed in (0, 1):
        evaluate(run, dataset, 5, seed=seed)
    (first, other), known = (given[2] for given in asked), dataset.val.poses
    assert len(first) == len(other) == 5 and not torch.equal(first, other)
    assert all((pose == known).all(dim=(1, 2)).any() for pose in first)


def test_fewer_poses_are_a_choice_that_the_seed_decides(dataset, examiners):
    run = run_of("conditional_wgan_lp", Memory(dataset.train.poses))
    first, again, other = (evaluate(run, dataset, 10, seed=seed) for seed in (0, 0, 1))
    assert len(first.real) == len(first.fake) == len(first.retrieval_real) == 10
    assert torch.equal(first.real, first.fake)  # pose and caption stay together
    assert torch.equal(first.real, again.real) and not torch.equal(first.real, other.real)


def test_noise_and_what_might_be_copied_do_not_depend_on_how_many_are_compared(dataset, examiners):
    """A copy of any training pose is one, whether that pose is among those compared or not."""
    G = Memory(dataset.train.poses)
    result = evaluate(run_of("wgan_gp", G), dataset, 10, seed=3)
    assert result.copied == 1
    assert (matrix(result.real.numpy(), dataset.train.poses[:1].numpy()) > 0).all()
    assert torch.equal(torch.cat(G.drawn), noise(10, 3))


def test_a_conditional_model_is_also_asked_for_the_validation_captions(dataset, examiners):
    G = Memory(dataset.train.poses)
    result = evaluate(run_of("conditional_wgan_lp", G), dataset, 10, seed=2)
    assert examiners == [
        ("new", dataset, 2),
        ("model", G, 30.0),
        ("measure", "poses of the model"),
    ]
    captions = own_captions(dataset.train, 2).tolist()
    assert (G.asked[0][:, 1] / 30).round().long().tolist() == [
        captions[int(pair)] for pair in torch.randperm(40, generator=seeded(2))[:10].sort().values
    ]
    assert result.estimates.keys() == UNCONDITIONAL | FITS.keys()
    assert result.r_precision_1 == 0.25 and result.summary()["distance_own_high"] == 95


def test_an_earlier_epoch_is_compared_without_captions(dataset, examiners):
    run = run_of("conditional_wgan_lp", Memory(dataset.train.poses), epoch=5)
    result = evaluate(run, dataset, None, epoch=5)
    assert result.accuracy == 0
    assert result.estimates.keys() == UNCONDITIONAL and not examiners


# --- ceiling and floor ----------------------------------------------------------------------


def part_of(poses: torch.Tensor, alone: int | None = None) -> SimpleNamespace:
    """A split of which the first ``alone`` are alone in their image; all, if that is None."""
    single = np.arange(len(poses)) < (len(poses) if alone is None else alone)
    return SimpleNamespace(poses=poses, single=single)


@pytest.fixture(scope="module")
def crowds() -> SimpleNamespace:
    return SimpleNamespace(train=part_of(crowd(800, 1)), val=part_of(crowd(300, 2)))


def test_real_poses_score_at_the_ceiling(crowds):
    found = references(crowds, None)["other training poses"]
    accuracy, ratio = found.estimates["accuracy"], found.estimates["retrieval_ratio"]
    assert accuracy.low <= 0.5 <= accuracy.high < 0.56
    assert ratio.low <= 1 <= ratio.high and ratio.value == pytest.approx(1, abs=0.03)
    assert min(found.precision, found.recall, found.coverage) > 0.9
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.copied == pytest.approx(0.01, abs=0.015)
    assert found.diversity_fake == pytest.approx(found.diversity_real, rel=0.05)
    assert found.implausible_fake == pytest.approx(found.implausible_real, abs=0.05)
    assert len(found.real) == len(found.fake) == 400 and len(found.retrieval_real) == 300


def test_the_mean_pose_scores_at_the_floor(crowds):
    ends = references(crowds, None)
    ceiling, floor = ends["other training poses"], ends["mean pose"]
    assert floor.accuracy > 0.95
    assert floor.estimates["retrieval_ratio"].low > 1.5
    assert max(floor.recall, floor.coverage) < 0.1
    assert floor.diversity_fake == 0 and floor.visible_fake == 17
    assert floor.frechet > 20 * ceiling.frechet
    assert torch.equal(floor.fake, mean_pose(crowds.train.poses).expand(400, -1, -1))
    assert torch.equal(floor.real, ceiling.real)


@pytest.mark.parametrize(
    ("known", "most", "size"), [(40, None, 20), (41, None, 20), (41, 12, 12), (41, 30, 20)]
)
def test_what_is_held_out_is_in_no_other_set(monkeypatch, known, most, size):
    train, val = crowd(known, 3), crowd(15, 4)
    assert len(train.unique(dim=0)) == known
    train_part = part_of(train + torch.tensor([0.25, 0.25, 0]))
    data = SimpleNamespace(train=train_part, val=part_of(val))
    asked = []
    monkeypatch.setattr(measures, "compare", lambda *given: asked.append(given))
    references(data, most, seed=6)
    (real, held_out, queries, rest, *more), (same, mean, _, everything, *_) = asked
    assert len(real) == len(held_out) == len(mean) == size and torch.equal(real, same)
    order = torch.randperm(15, generator=seeded(6))[:most].sort().values
    assert torch.equal(queries, through_heatmap(val[order]))
    assert more[1] == 6

    def names(poses: torch.Tensor) -> set[str]:
        return {str(pose.tolist()) for pose in poses}

    seen = names(through_heatmap(data.train.poses))  # at whole numbers again
    assert names(everything) == seen and len(everything) == known
    assert not names(held_out) & names(rest) and names(real) <= names(rest)
    assert names(rest) | names(held_out) == seen and len(rest) == known - size
    asked.clear()
    references(data, most, seed=7)
    assert not torch.equal(asked[0][0], real)


@pytest.mark.parametrize(
    ("alone", "most", "size", "held_out"),
    # As large a share of those held out is alone as of all poses, as far as there are any left.
    [(40, 20, 20, 8), (40, 35, 35, 5), (60, 25, 25, 15), (0, None, 50, 50), (100, None, 50, 50)],
)
def test_an_unconditional_model_is_compared_with_the_same_real_poses(
    monkeypatch, alone, most, size, held_out
):
    train, val = crowd(100, 5), crowd(15, 6)
    data = SimpleNamespace(train=part_of(train, alone), val=part_of(val, 7))
    asked = []
    monkeypatch.setattr(measures, "compare", lambda *given: asked.append(given))
    monkeypatch.setattr(networks, "pose_coder", lambda data: None)
    references(data, most, seed=6)
    real, others, queries, *_ = asked[0]
    rows = (others[:, None] == through_heatmap(train)).all(dim=3).all(dim=2).int().argmax(dim=1)
    assert len(real) == len(others) == len(rows.unique()) == size and len(queries) == 7
    assert int((rows < (alone or 100)).sum()) == held_out
    made = measures.evaluate_poses(lambda number: others[:number], data, most, seed=6)
    assert made is None and (torch.equal(asked[-1][0], real) == (most is not None))


# --- loss and quality -----------------------------------------------------------------------


def distance_of(run, epoch, coder, real: torch.Tensor, seed: int = 0) -> float:
    fake = decode(synthesise(run.generator(epoch), noise(len(real), seed)))
    return frechet_distance(coder(through_heatmap(real)).numpy(), coder(fake).numpy())


def mean_loss(run, first: int, last: int) -> float:
    losses = {row["iteration"]: row["loss_d"] for row in run.metrics if "loss_d" in row}
    return -sum(losses[i] for i in range(first, last + 1)) / (last + 1 - first)


def test_loss_and_distance_at_each_epoch_of_which_g_was_kept(tmp_path, coder):
    data = tiny.dataset(40)  # ten iterations an epoch
    run = tiny.run(tmp_path / "run", tiny.config(epochs=3, snapshots=(2, 0.5), learning_rate=0.001))
    train(run, data, device="cpu")
    found = track(run, data)
    assert [row[0] for row in found] == [0.5, 2, 3]
    expected = [mean_loss(run, *ends) for ends in ((1, 5), (6, 20), (21, 30))]
    assert [row[1] for row in found] == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) == 3
    distances = [distance_of(run, epoch, coder, data.train.poses) for epoch in (0.5, 2, None)]
    assert [row[2] for row in found] == pytest.approx(distances, rel=1e-5)
    assert len(set(distances)) == 3
    fewer = track(run, data, poses=12, seed=1)
    assert [row[:2] for row in fewer] == [row[:2] for row in found]
    chosen = torch.randperm(40, generator=seeded(1))[:12].sort().values
    few = distance_of(run, None, coder, data.train.poses[chosen], seed=1)
    assert fewer[2][2] == pytest.approx(few, rel=1e-5)


def test_every_part_of_a_training_has_its_losses(tmp_path):
    """G is kept after whole iterations, of which there are three an epoch here: 0.1 is after the
    first, 0.9 after the third, 2 is the end, which counts once, and 5 is never reached."""
    data = tiny.dataset()
    run = tiny.run(tmp_path / "run", tiny.config(epochs=2, snapshots=(0.1, 0.9, 2, 5)))
    train(run, data, device="cpu")
    found = track(run, data)
    assert [row[0] for row in found] == [0.1, 0.9, 2]
    expected = [mean_loss(run, *ends) for ends in ((1, 1), (2, 3), (4, 6))]
    assert [row[1] for row in found] == pytest.approx(expected, rel=1e-6)


# --- what an evaluation says ----------------------------------------------------------------


@pytest.fixture
def made() -> Evaluation:
    two = torch.zeros(2, 17, 3)
    shown = {
        "accuracy": Estimate(0.75, 0.7, 0.8),
        "accuracy_real": Estimate(0.9, 0.8, 1.0),
        "accuracy_fake": Estimate(0.6, 0.5, 0.7),
        "retrieval_real": Estimate(2.0, 1.0, 3.0),
        "retrieval_fake": Estimate(2.5, 2.0, 3.0),
        "typicality_real": Estimate(4.0, 3.0, 5.0),
        "typicality_fake": Estimate(5.0),
        "diversity_real": Estimate(9.0),
        "diversity_fake": Estimate(8.0),
        "visible_real": Estimate(12.0, 11.0, 13.0),
        "visible_fake": Estimate(11.5, 11.0, 12.0),
        "implausible_real": Estimate(0.04, 0.03, 0.05),
        "implausible_fake": Estimate(0.125, 0.12, 0.13),
    }
    distances = ([1.0, 3.0, 2.0], [2.0, 3.0, 2.5], [3.0, 5.0], [5.0])
    return Evaluation(shown, *map(np.array, distances), two, two[:1])


def test_an_estimate_s_value_goes_by_its_name(made):
    assert made.accuracy == 0.75 and made.diversity_fake == 8
    with pytest.raises(AttributeError, match="r_precision_1"):
        _ = made.r_precision_1
    assert not hasattr(made, "_accuracy") and not hasattr(made, "accuracy_low")
    assert made.retrieval_real.tolist() == [1, 3, 2]  # the distances; their mean is an estimate


def test_an_evaluation_can_be_copied_and_kept(made):
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again.estimates.keys() == made.estimates.keys()
        assert again.accuracy == 0.75 and torch.equal(again.real, made.real)


def test_a_summary_holds_numbers_and_ends_of_intervals(made):
    summary = made.summary()
    assert (summary["n_real"], summary["n_fake"], summary["n_val"]) == (2, 1, 3)
    assert (summary["retrieval_real"], summary["retrieval_fake"]) == (2, 2.5)
    assert "diversity_real_low" not in summary and "diversity_real_high" not in summary
    again = {
        name: Estimate(*(summary[f"{name}{end}"] for end in ("", "_low", "_high")))
        for name in made.estimates
        if f"{name}_low" in summary
    }
    assert again == {k: e for k, e in made.estimates.items() if not np.isnan(e.low)}
    assert len(summary) == 13 + 2 * 10 + 3


def test_the_main_numbers_are_a_table(made):
    lines = made._repr_markdown_().splitlines()
    assert lines[0] == "|  | real | synthesised | perfect |"
    assert set(lines[1]) == {"|", "-", " "} and all(line.count("|") == 5 for line in lines)
    assert lines[2].endswith("|  | 75.0% [70.0%, 80.0%] | 50% |")
    assert "| 90.0% [80.0%, 100.0%] | 60.0% [50.0%, 70.0%] | 50% |" in lines[3]
    assert "| 4.0 [3.0, 5.0] | 5.0 | equal |" in lines[4]
    assert "| 2.0 [1.0, 3.0] | 2.5 [2.0, 3.0] | equal |" in lines[5]
    assert "| 9.0 | 8.0 | equal |" in lines[6]
    assert "| 12.0 [11.0, 13.0] | 11.5 [11.0, 12.0] | equal |" in lines[7]
    assert "| 4.0% [3.0%, 5.0%] | 12.5% [12.0%, 13.0%] | equal |" in lines[8]
    assert lines[9] == "| poses | 2 | 1 |  |" and len(lines) == 10


def test_accuracies_of_fewer_poses_are_of_random_parts_of_both_sets(made, monkeypatch):
    """Unlike crowds: the more poses, the better they are told apart."""
    monkeypatch.setattr(measures, "SMALLEST", 25)
    real, fake = crowd(230, 1), crowd(230, 2)
    fake[..., :2] += 0.5
    result = dataclasses.replace(made, real=real, fake=fake[:210])
    found = by_size(result, seed=4)
    assert list(found) == [25, 50, 100, 200, 210]
    parts = (
        x[torch.randperm(len(x), generator=seeded(4))[:50].sort().values]
        for x in (real, fake[:210])
    )
    assert found[50] == bootstrap(neighbours.leave_one_out(*parts), seed=4)
    assert found[25].value < found[210].value
    assert list(by_size(dataclasses.replace(made, real=real[:20], fake=fake[:20]))) == [20]


# --- paths between noises and between captions ----------------------------------------------------

PAIRS = tiny.dataset(40, 40)


def test_even_paths_have_steps_of_a_twentieth_and_jumps_one_of_all():
    by_noise, by_caption = measures.longest_steps(told(9, 0), PAIRS)
    assert by_noise.shape == (32,) and by_caption.shape == (16,)
    assert 0.05 <= np.median(by_noise) < 0.12  # places are whole numbers
    assert by_caption.max() == 0  # only the noise counts, and a path shares it
    far = measures.longest_steps(told(9, 0, jump=True), PAIRS)[0]
    assert set(far.tolist()) <= {0.0, 1.0} and far.max() == 1


@pytest.mark.parametrize("number", [5, 6])
def test_few_captions_make_few_paths(number):
    few = tiny.dataset(40, number)
    by_noise, by_caption = measures.longest_steps(told(5, 0), few)
    assert (len(by_noise), len(by_caption)) == (number, number // 2)
