"""The measures of 4.4.2 on constructed sets, by hand and against other implementations."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from lib import evaluation
from lib.evaluation import Evaluation, diversity, evaluate, leave_one_out_accuracy
from lib.evaluation import nearest_distances as nearest
from lib.heatmaps import render


def poses(n: int, seed: int = 0, spread: float = 8, centre: float = 32, invisible: float = 0.2):
    """(n, 17, 3) float64 poses whose keypoints are normally distributed, some invisible."""
    rng = np.random.default_rng(seed)
    pose = np.ones((n, 17, 3))
    pose[..., :2] = rng.normal(centre, spread, (n, 17, 2))
    pose[rng.random((n, 17)) < invisible] = 0
    return pose


def along(*places: float) -> np.ndarray:
    """Poses that differ in the x of one keypoint only, so that distances are differences."""
    pose = np.full((len(places), 17, 3), 20.0)
    pose[..., 2] = 1
    pose[:, 3, 0] = places
    return pose


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The thesis's distance of two poses (17, 3), written out."""
    total = 0.0
    for (ax, ay, av), (bx, by, bv) in zip(a.tolist(), b.tolist(), strict=True):
        ax, ay = (ax, ay) if av > 0 else (32, 32)
        bx, by = (bx, by) if bv > 0 else (32, 32)
        total += ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5
    return total


def matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[distance(p, q) for q in b] for p in a])


# --- leave-one-out accuracy -----------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "seed"), [(30, 30, 0), (20, 35, 1), (35, 12, 2), (2, 2, 3)])
def test_accuracy_equals_scikit_learn_s_classifier(n, m, seed):
    real, fake = poses(n, seed), poses(m, seed + 100, spread=9, centre=33)
    both = np.concatenate([real, fake])
    labels = np.array([0] * n + [1] * m)
    classifier = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    classifier.fit(matrix(both, both), labels)
    neighbours = classifier.kneighbors(return_distance=False)[:, 0]  # itself left out
    expected = np.mean(labels[neighbours] == labels)
    assert leave_one_out_accuracy(real, fake) == pytest.approx(expected, abs=1e-6)
    assert leave_one_out_accuracy(fake, real) == pytest.approx(expected, abs=1e-6)


def test_a_memorised_set_scores_zero():
    real = poses(40)
    assert leave_one_out_accuracy(real, real) == 0
    assert leave_one_out_accuracy(real, real[::-1] + [1e-3, 0, 0]) == 0


def test_disjoint_sets_score_one():
    assert leave_one_out_accuracy(poses(40, 0, 2, 15, 0), poses(30, 1, 2, 50, 0)) == 1


def test_same_distribution_scores_about_a_half():
    accuracy = leave_one_out_accuracy(poses(500, 1), poses(500, 2))
    assert accuracy == pytest.approx(0.5, abs=0.06)
    # A third of one set made apart: between a half and one.
    mixed = np.concatenate([poses(335, 2), poses(165, 3, centre=60)])
    assert 0.58 < leave_one_out_accuracy(poses(500, 1), mixed) < 0.9


def test_accuracy_by_hand():
    # 0 -> 1 (own), 1 -> 0 (own), 5 -> 6 (other) | 6 -> 5 (other), 9 -> 9.5, 9.5 -> 9 (own)
    assert leave_one_out_accuracy(along(0, 1, 5), along(6, 9, 9.5)) == pytest.approx(4 / 6)
    # Sets of two sizes: every pose counts the same. 0 -> 1, 1 -> 0, 10 -> 12 | 12 -> 10, 20 -> 12
    assert leave_one_out_accuracy(along(0, 1, 10), along(12, 20)) == pytest.approx(3 / 5)


def test_a_tie_counts_one_half():
    # 10 -> 11 (own); 11: own 10 and other 12 are as near; 12: the same; 13 -> 12 (own)
    assert leave_one_out_accuracy(along(10, 11), along(12, 13)) == (1 + 0.5 + 0.5 + 1) / 4
    same = along(*[25] * 6)
    assert leave_one_out_accuracy(same, same[:4]) == 0.5
    # Each pose of the memorised set occurs twice in both: before ties the accuracy was 0.
    twice = np.concatenate([poses(10), poses(10)])
    assert leave_one_out_accuracy(twice, twice) == 0.5


def test_a_pose_is_left_out_but_not_its_double():
    # The real poses are the same: distance 0 to each other, although a pose is not its own
    # neighbour. The synthesised ones are far from all.
    assert leave_one_out_accuracy(along(5, 5), along(30, 60)) == (1 + 1 + 0 + 1) / 4


def test_arrays_tensors_and_types():
    real, fake = poses(12, 4).astype(np.float32), poses(12, 5).astype(np.float32)
    accuracy = leave_one_out_accuracy(real, fake)
    assert isinstance(accuracy, float)
    assert accuracy == leave_one_out_accuracy(torch.from_numpy(real), torch.from_numpy(fake))
    whole = real.round().astype(np.int64)
    distances = nearest(whole, fake)
    assert isinstance(distances, np.ndarray)
    np.testing.assert_allclose(distances, matrix(whole, fake).min(axis=1), rtol=1e-6)


@pytest.mark.parametrize(("n", "m"), [(1, 5), (5, 1), (0, 5), (5, 0), (1, 1)])
def test_leaving_one_out_needs_two_of_a_kind(n, m):
    with pytest.raises(ValueError, match="at least two"):
        leave_one_out_accuracy(poses(n), poses(m))


@pytest.fixture
def compiled(monkeypatch):
    """Compiles from the first distance on, with blocks that do not divide the sets."""
    monkeypatch.setattr(evaluation, "COMPILED", 0)
    monkeypatch.setattr(evaluation, "ROWS", 7)
    evaluation._compiled.cache_clear()
    yield
    evaluation._compiled.cache_clear()


def test_compiled_distances_are_those_of_the_plain_loop(compiled, monkeypatch):
    a, b = poses(23, 1), poses(18, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as it would be said where nothing can compile
        found = nearest(a, b), leave_one_out_accuracy(a, b)
    monkeypatch.setattr(evaluation, "COMPILED", 10**12)
    np.testing.assert_allclose(found[0], nearest(a, b), rtol=1e-6)
    assert found[1] == leave_one_out_accuracy(a, b)


def test_where_nothing_can_compile_it_is_slower_and_says_so(compiled, monkeypatch):
    def refuse(_):
        def block(*_):
            raise RuntimeError("no C++ compiler")

        return block

    monkeypatch.setattr(torch, "compile", refuse)
    a, b = poses(23, 1), poses(18, 2)
    with pytest.warns(UserWarning, match="not compiled.*no C.. compiler"):
        found = nearest(a, b)
    np.testing.assert_allclose(found, matrix(a, b).min(axis=1), rtol=1e-5)


def test_ties_are_ties_whatever_the_order_of_the_sum():
    """Equal distances whose float32 sums differ in the last digit, keypoints being permuted."""
    rng = np.random.default_rng(4)
    steps = rng.integers(1, 20, (200, 17, 2)).astype(float)
    pose = np.full((1, 17, 3), 32.0)
    pose[..., 2] = 1
    sums = []
    for step in steps:
        sums.append([np.hypot(*s.T).astype(np.float32).cumsum()[-1] for s in (step, step[::-1])])
    apart = next(i for i, (one, other) in enumerate(sums) if one != other)
    near, mirrored = pose.copy(), pose.copy()
    near[0, :, :2] += steps[apart]
    mirrored[0, :, :2] += steps[apart][::-1]
    far = np.full((1, 17, 3), 1.0)
    real, fake = np.concatenate([pose, near]), np.concatenate([mirrored, far])
    # pose: a tie, one half. near and mirrored: nearest to each other or to pose. far: to any.
    d = matrix(np.concatenate([real, fake]), np.concatenate([real, fake]))
    np.fill_diagonal(d, np.inf)
    own = np.array([d[0, 1], d[1, 0], d[2, 3], d[3, 2]])
    other = np.array([d[0, 2:].min(), d[1, 2:].min(), d[2, :2].min(), d[3, :2].min()])
    expected = np.where(np.abs(own - other) < 1e-9, 0.5, own < other).mean()
    assert np.abs(own - other)[0] < 1e-9
    assert leave_one_out_accuracy(real, fake) == expected


# --- nearest distances ----------------------------------------------------------------------


def test_distance_is_a_sum_of_euclidean_distances():
    """Not the Euclidean norm of all coordinates: 5 + 13 = 18, and not sqrt(5^2 + 13^2)."""
    query, reference = along(20), along(20)
    reference[0, 0, :2] += (3, 4)
    reference[0, 16, :2] += (-5, 12)
    assert nearest(query, reference) == pytest.approx([18])


def test_a_missing_keypoint_is_at_the_centre():
    query, reference = along(20), along(20)
    query[0, 7] = (1, 2, 0)  # where it is said to be does not count
    reference[0, 7] = (35, 36, 1)
    assert nearest(query, reference) == pytest.approx([5])
    assert nearest(reference, query) == pytest.approx([5])
    reference[0, 7] = (60, 60, 0)
    assert nearest(query, reference) == pytest.approx([0])
    missing = np.zeros((1, 17, 3))
    present = np.ones((1, 17, 3)) * [32, 32, 1]
    assert nearest(missing, present) == [0]
    # Two poses without keypoints are doubles: all four are as near, ties.
    assert leave_one_out_accuracy(np.zeros((2, 17, 3)), np.repeat(present, 2, axis=0)) == 0.5


def test_nearest_by_hand():
    assert nearest(along(0, 4, 11), along(3, 10)).tolist() == [3, 1, 1]
    assert nearest(along(3), along(3, 4)).tolist() == [0]  # no pose is left out here
    assert nearest(along(), along(3)).shape == (0,)


def test_nearest_equals_brute_force():
    queries, references = poses(25, 6), poses(40, 7)
    found = nearest(queries, references)
    np.testing.assert_allclose(found, matrix(queries, references).min(axis=1), rtol=1e-6)


def test_the_nearest_of_nothing():
    with pytest.raises(ValueError, match="no references"):
        nearest(poses(3), poses(0))


@pytest.mark.parametrize("cells", [1, 40, 77, 200, 10**9])
def test_chunks_do_not_matter(monkeypatch, cells):
    real, fake = poses(37, 8), poses(41, 9)
    expected = leave_one_out_accuracy(real, fake)
    assert 0 < expected < 1
    distances = nearest(real, fake)
    monkeypatch.setattr(evaluation, "CELLS", cells)
    assert leave_one_out_accuracy(real, fake) == expected
    assert (nearest(real, fake) == distances).all()
    assert leave_one_out_accuracy(real, real) == 0


def test_chunks_bound_the_memory(monkeypatch):
    """No table of distances is larger than CELLS allows."""
    sizes, block = [], evaluation._block

    def spy(queries, references, first):
        sizes.append(queries.shape[2] * references.shape[2])
        return block(queries, references, first)

    monkeypatch.setattr(evaluation, "CELLS", 100)
    monkeypatch.setattr(evaluation, "_block", spy)
    nearest(poses(23), poses(30, 1))
    assert sizes and max(sizes) <= 100


# --- diversity ------------------------------------------------------------------------------


def test_diversity_is_the_mean_distance_of_two_poses():
    sample = poses(20, 10)
    between = matrix(sample, sample)[np.triu_indices(20, 1)]
    error = between.std() / 20_000**0.5
    assert diversity(sample) == pytest.approx(between.mean(), abs=5 * error)
    assert diversity(sample, seed=1) == pytest.approx(between.mean(), abs=5 * error)
    assert diversity(sample) == diversity(torch.from_numpy(sample)) != diversity(sample, seed=1)


def test_diversity_never_compares_a_pose_with_itself():
    assert diversity(along(10, 17)) == pytest.approx(7)
    assert diversity(along(0, 6, 12), pairs=30_000) == pytest.approx(8, abs=0.1)


def test_diversity_of_a_collapsed_mode_is_zero():
    assert diversity(np.repeat(poses(1), 50, axis=0)) == 0


# --- a run as a whole -----------------------------------------------------------------------


class Memory(torch.nn.Module):
    """A "generator" that knows poses by heart: h, divided by the scale, says which one."""

    def __init__(self, known: torch.Tensor, shift: int = 0):
        super().__init__()
        self.known = torch.nn.Parameter(known, requires_grad=False)
        self.shift = shift

    def forward(self, z: torch.Tensor, h: torch.Tensor | None) -> torch.Tensor:
        pose = self.known[:1] if h is None else self.known[(h[:, 0] / 30).round().long()]
        pose = pose.expand(len(z), -1, -1).clone()
        pose[..., 0] += self.shift * (pose[..., 2] > 0)
        return render(pose) * 2 - 1


def split_of(pose: np.ndarray, seed: int) -> SimpleNamespace:
    """Every second pose is a pair with one to three captions, encoded as the pose's number."""
    pair_pose = torch.arange(0, len(pose), 2)
    count = torch.randint(1, 4, (len(pair_pose),), generator=torch.Generator().manual_seed(seed))
    vectors = torch.zeros(int(count.sum()), 300)
    vectors[:, 0] = pair_pose.repeat_interleave(count)
    return SimpleNamespace(
        poses=torch.from_numpy(pose).float(),
        pair_pose=pair_pose,
        pair_first=count.cumsum(0) - count,
        pair_count=count,
        vectors=vectors,
    )


@pytest.fixture(scope="module")
def dataset() -> SimpleNamespace:
    inside = [np.clip(poses(n, s, 9), 0, 60).round() for n, s in ((80, 20), (24, 21))]
    return SimpleNamespace(train=split_of(inside[0], 1), val=split_of(inside[1], 2))


def run_of(algorithm: str, G: torch.nn.Module) -> SimpleNamespace:
    config = SimpleNamespace(algorithm=algorithm, caption_scale=30.0)
    return SimpleNamespace(config=config, generator=lambda epoch: G)


def test_a_generator_that_memorised_its_captions_poses(dataset):
    """One pose for each training pair, from its own caption, scaled: exactly the real ones."""
    run = run_of("conditional_wgan_lp", Memory(dataset.train.poses))
    result = evaluate(run, dataset, None)
    pairs = dataset.train.poses[::2]
    assert torch.equal(result.real, pairs) and torch.equal(result.fake, pairs)
    assert result.accuracy == 0
    assert result.retrieval_ratio == pytest.approx(1)
    queries = dataset.val.poses[::2].numpy()
    expected = matrix(queries, pairs.numpy()).min(axis=1)  # the validation poses ask
    np.testing.assert_allclose(result.retrieval_real, expected, rtol=1e-5)
    np.testing.assert_allclose(result.retrieval_fake, expected, rtol=1e-5)
    seen = float(pairs[..., 2].sum(dim=1).mean())
    assert result.visible_real == result.visible_fake == pytest.approx(seen)
    assert result.diversity_real == result.diversity_fake > 0
    assert (result.summary()["n_real"], result.summary()["n_val"]) == (40, 12)


def test_a_generator_that_memorised_poses_a_little_off(dataset):
    result = evaluate(run_of("conditional_gan", Memory(dataset.train.poses, 1)), dataset, None)
    seen = dataset.train.poses[::2, :, 2:] > 0
    off = (result.fake - result.real)[..., :1]
    assert (off[seen] == 1).all() and (off[~seen] == 0).all()
    assert result.accuracy == 0


def test_an_unconditional_generator_with_one_pose(dataset):
    """A collapsed mode: as many poses as there are training poses, all the same."""
    result = evaluate(run_of("wgan_gp", Memory(dataset.train.poses[4:5])), dataset, None)
    assert torch.equal(result.real, dataset.train.poses)  # all poses, not those of pairs
    assert len(result.fake) == 80 and len(result.retrieval_real) == 24
    assert result.diversity_fake == 0 < result.diversity_real
    # One training pose coincides with the fakes and is taken for one; all others are known.
    assert result.accuracy > 0.5
    only = matrix(dataset.val.poses.numpy(), dataset.train.poses[4:5].numpy())[:, 0]
    np.testing.assert_allclose(result.retrieval_fake, only, rtol=1e-5)
    assert result.retrieval_ratio > 1


def test_fewer_poses_are_a_choice_that_the_seed_decides(dataset):
    run = run_of("conditional_wgan_lp", Memory(dataset.train.poses))
    first, again, other = (evaluate(run, dataset, 10, seed=seed) for seed in (0, 0, 1))
    assert len(first.real) == len(first.fake) == len(first.retrieval_real) == 10
    assert torch.equal(first.real, first.fake)  # pose and caption stay together
    assert torch.equal(first.real, again.real) and not torch.equal(first.real, other.real)


def test_retrieval_ratio_is_that_of_the_means():
    two = torch.zeros(2, 17, 3)
    result = Evaluation(
        0.75, np.array([1.0, 3.0]), np.array([2.0, 3.0]), 9.0, 8.0, 12.0, 11.5, two, two
    )
    assert result.retrieval_ratio == pytest.approx(5 / 4)
    summary = result.summary()
    assert (summary["retrieval_real"], summary["retrieval_fake"]) == (2, 2.5)
    assert summary["accuracy"] == 0.75 and summary["n_fake"] == 2
    assert "| 75.0% |" in result._repr_markdown_() and "| 2.0 | 2.5 |" in result._repr_markdown_()
