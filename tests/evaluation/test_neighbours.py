"""Distances of poses and measures of neighbourhoods, by hand and against other implementations."""

import warnings

import numpy as np
import pytest
import torch
from constructed import along, distance, matrix, poses
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from lib.evaluation import neighbours
from lib.evaluation.neighbours import (
    diversity,
    leave_one_out,
    leave_one_out_accuracy,
    manifold,
    nearest_index,
    pose_distances,
)
from lib.evaluation.neighbours import nearest_distances as nearest


@pytest.fixture
def tables(monkeypatch) -> list[int]:
    """How many distances each table of them held."""
    sizes, table = [], neighbours._distances

    def spy(queries, references):
        sizes.append(queries.shape[2] * references.shape[2])
        return table(queries, references)

    monkeypatch.setattr(neighbours, "_distances", spy)
    return sizes


# --- leave-one-out accuracy -----------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "seed"), [(30, 30, 0), (20, 35, 1), (35, 12, 2), (2, 2, 3)])
def test_accuracy_equals_scikit_learn_s_classifier(n, m, seed):
    real, fake = poses(n, seed), poses(m, seed + 100, spread=9, centre=33)
    both = np.concatenate([real, fake])
    labels = np.array([0] * n + [1] * m)
    classifier = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    classifier.fit(matrix(both, both), labels)
    others = classifier.kneighbors(return_distance=False)[:, 0]  # itself left out
    right = labels[others] == labels
    assert leave_one_out(real, fake).tolist() == right.tolist()
    assert leave_one_out(fake, real).tolist() == np.roll(right, m).tolist()
    assert leave_one_out_accuracy(real, fake) == pytest.approx(right.mean(), abs=1e-6)


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
    assert leave_one_out(along(0, 1, 5), along(6, 9, 9.5)).tolist() == [1, 1, 0, 0, 1, 1]
    assert leave_one_out_accuracy(along(0, 1, 5), along(6, 9, 9.5)) == pytest.approx(4 / 6)
    # Sets of two sizes: every pose counts the same. 0 -> 1, 1 -> 0, 10 -> 12 | 12 -> 10, 20 -> 12
    assert leave_one_out_accuracy(along(0, 1, 10), along(12, 20)) == pytest.approx(3 / 5)


def test_a_tie_counts_one_half():
    # 10 -> 11 (own); 11: own 10 and other 12 are as near; 12: the same; 13 -> 12 (own)
    assert leave_one_out(along(10, 11), along(12, 13)).tolist() == [1, 0.5, 0.5, 1]
    assert leave_one_out_accuracy(along(10, 11), along(12, 13)) == (1 + 0.5 + 0.5 + 1) / 4
    same = along(*[25] * 6)
    assert leave_one_out_accuracy(same, same[:4]) == 0.5
    # Each pose of the memorised set occurs twice in both: before ties the accuracy was 0.
    twice = np.concatenate([poses(10), poses(10)])
    assert leave_one_out_accuracy(twice, twice) == 0.5


def test_a_pose_is_left_out_but_not_its_double():
    # The real poses are the same: distance 0 to each other, although a pose is not its own
    # neighbour. The synthesised ones are far from all.
    assert leave_one_out(along(5, 5), along(30, 60)).tolist() == [1, 1, 0, 1]


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
    monkeypatch.setattr(neighbours, "COMPILED", 0)
    monkeypatch.setattr(neighbours, "ROWS", 7)
    neighbours._compiled.cache_clear()
    yield
    neighbours._compiled.cache_clear()


def test_compiled_distances_are_those_of_the_plain_loop(compiled, monkeypatch):
    a, b = poses(23, 1), poses(18, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as it would be said where nothing can compile
        found = nearest(a, b), leave_one_out_accuracy(a, b)
    monkeypatch.setattr(neighbours, "COMPILED", 10**12)
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
    monkeypatch.setattr(neighbours, "CELLS", cells)
    assert leave_one_out_accuracy(real, fake) == expected
    assert (nearest(real, fake) == distances).all()
    assert leave_one_out_accuracy(real, real) == 0


def test_chunks_bound_the_memory(monkeypatch, tables):
    """No table of distances is larger than CELLS allows, and none smaller than need be."""
    monkeypatch.setattr(neighbours, "CELLS", 100)
    nearest(poses(23), poses(30, 1))
    assert tables == [90] * 8  # three queries at a time, the last three of which are two and one


def test_which_reference_is_the_nearest():
    assert nearest_index(along(0, 4, 11), along(10, 3)).tolist() == [1, 1, 0]
    queries, references = poses(25, 6), poses(40, 7)
    expected = matrix(queries, references).argmin(axis=1)
    assert nearest_index(queries, references).tolist() == expected.tolist()
    assert nearest_index(torch.from_numpy(queries), references).tolist() == expected.tolist()


def test_distances_one_by_one():
    a, b = poses(30, 1), poses(30, 2)
    expected = [distance(p, q) for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(pose_distances(a, b), expected, rtol=1e-6)
    np.testing.assert_allclose(pose_distances(a, torch.from_numpy(b)), expected, rtol=1e-6)
    assert (pose_distances(a, a) == 0).all()


# --- precision, recall, density, coverage ---------------------------------------------------


def by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, list[float]]:
    """Kynkäänniemi et al. 2019, equations 1 to 3, and Naeem et al. 2020, equations 3 and 4, pose
    by pose."""

    def radii(kind: np.ndarray) -> np.ndarray:
        search = NearestNeighbors(n_neighbors=k, metric="precomputed").fit(matrix(kind, kind))
        return search.kneighbors()[0][:, -1]  # a pose is not its own neighbour

    between, real_radii, fake_radii = matrix(fake, real), radii(real), radii(fake)
    found = {"precision": [], "density": [], "recall": [], "coverage": []}
    for j in range(len(fake)):
        holding = sum(between[j, i] <= real_radii[i] for i in range(len(real)))
        found["precision"].append(float(holding > 0))
        found["density"].append(holding / k)
    for i in range(len(real)):
        held = [between[j, i] <= fake_radii[j] for j in range(len(fake))]
        found["recall"].append(float(any(held)))
        held = [between[j, i] <= real_radii[i] for j in range(len(fake))]
        found["coverage"].append(float(any(held)))
    return found


def assert_manifold(found, expected: dict[str, list[float]]) -> None:
    for name, outcomes in expected.items():
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], outcomes, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("n", "m", "k"), [(40, 40, 5), (60, 25, 3), (25, 60, 3), (30, 20, 1), (12, 40, 11), (6, 6, 5)]
)
def test_manifold_equals_its_definition(n, m, k):
    real, fake = poses(n, n), poses(m, m + 100, spread=6, centre=34)
    expected = by_definition(real, fake, k)
    assert_manifold(manifold(real, fake, k), expected)
    assert_manifold(manifold(torch.from_numpy(real), fake, k), expected)


def test_manifold_takes_five_neighbours_by_default():
    real, fake = poses(40), poses(40, 1, spread=6)
    assert_manifold(manifold(real, fake), by_definition(real, fake, 5))


def test_manifold_by_hand():
    real, fake = along(0, 1, 3, 10), along(2, 4.5, 30)
    # Balls: 0 to 1, 1 to 0, 3 to 1, 10 to 3 | 2 to 4.5, 4.5 to 2, 30 to 4.5.
    found = manifold(real, fake, k=1)
    assert found["precision"].tolist() == [1, 1, 0]  # 2 in that of 1, on its edge; 4.5 in that of 3
    assert found["density"].tolist() == [2, 2, 0]  # 2 in those of 1 and 3; 4.5 in those of 3 and 10
    assert found["recall"].tolist() == [1, 1, 1, 1]  # 10 in that of 30
    assert found["coverage"].tolist() == [0, 1, 1, 1]
    # To the second: 0 to 3, 1 to 3, 3 to 0, 10 to 1 | 2 to 30, 4.5 to 30, 30 to 2.
    assert manifold(real, fake, k=2)["density"].tolist() == [4 / 2, 2 / 2, 0]


def test_a_double_is_a_neighbour_at_no_distance():
    """Real poses are all the same: their balls are points, which hold equal poses only."""
    same, apart = along(5, 5, 5, 5), along(5, 5, 5, 6)
    found = manifold(same, apart, k=2)
    assert found["precision"].tolist() == [1, 1, 1, 0]
    assert found["density"].tolist() == [2, 2, 2, 0]
    assert found["recall"].tolist() == found["coverage"].tolist() == [1, 1, 1, 1]
    assert_manifold(found, by_definition(same, apart, 2))
    twice = np.concatenate([poses(15), poses(15)])
    assert_manifold(manifold(twice, poses(20, 1), 3), by_definition(twice, poses(20, 1), 3))
    assert_manifold(manifold(poses(20, 1), twice, 3), by_definition(poses(20, 1), twice, 3))


def test_manifolds_of_the_same_and_of_other_distributions():
    source = np.random.default_rng(0)
    same = manifold(*(along(*source.normal(32, 8, 400)) for _ in range(2)))
    other = manifold(poses(90), poses(90, 1, 2, 90))
    assert same["density"].mean() == pytest.approx(1, abs=0.1)  # its expectation
    assert same["coverage"].mean() == pytest.approx(1 - 2**-5, abs=0.02)  # the same
    assert min(same["precision"].mean(), same["recall"].mean()) > 0.8
    for name in ("precision", "recall", "density", "coverage"):
        assert (other[name] == 0).all()
    # A mode that is lost: what is synthesised is as real, but half of the real is not covered.
    half = manifold(np.concatenate([poses(90), poses(90, 1, 2, 90)]), poses(90, 2))
    assert half["precision"].mean() > 0.7
    assert half["recall"][:90].mean() > 0.7 and not half["recall"][90:].any()
    assert half["coverage"][:90].mean() > 0.7 and not half["coverage"][90:].any()


@pytest.mark.parametrize(("n", "m", "k"), [(5, 9, 5), (9, 5, 5), (0, 9, 5), (2, 2, 2)])
def test_a_ball_needs_more_poses_than_it_reaches_to(n, m, k):
    with pytest.raises(ValueError, match=f"more than {k} poses"):
        manifold(poses(n), poses(m), k)


@pytest.mark.parametrize("cells", [1, 64, 150, 10**9])
def test_chunks_do_not_matter_to_manifolds_and_indices(monkeypatch, tables, cells):
    real, fake = poses(37, 8), poses(41, 9, spread=7)
    expected, index = by_definition(real, fake, 5), matrix(fake, real).argmin(axis=1)
    monkeypatch.setattr(neighbours, "CELLS", cells)
    assert_manifold(manifold(real, fake), expected)
    assert nearest_index(fake, real).tolist() == index.tolist()
    # At the least a row: 37 or 41 distances. Each of the four tables is complete.
    assert max(tables) <= max(cells, 41)
    assert sum(tables) == 37 * 37 + 41 * 41 + 2 * 37 * 41
    rows = {37: max(1, cells // 37), 41: max(1, cells // 41)}  # and no more tables than need be
    assert len(tables) == -(-37 // rows[37]) - (-41 // rows[41]) - 2 * (-41 // rows[37])


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
