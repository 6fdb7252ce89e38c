"""Whether poses fit captions: pools and ranks by hand, ends of the scale on constructed data."""

import dataclasses
from math import comb

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from constructed import told

from lib.data.heatmaps import through_heatmap
from lib.evaluation import alignment, networks
from lib.evaluation.alignment import (
    Examiner,
    _others,
    along_and_down,
    mean_pose,
    own_captions,
    r_ranks,
)
from lib.evaluation.neighbours import pose_distances
from lib.evaluation.statistics import Estimate
from lib.models.synthesis import noise

WORDS = np.array([f"caption {number}" for number in range(40)])


@pytest.fixture(scope="module")
def examiner(module_home):
    """An examiner of data whose captions tell the pose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "STEPS", 200)
        return Examiner(tiny.telling())


@pytest.fixture
def untrained(monkeypatch):
    """A maker of examiners, whose matcher has learned nothing, of data without activities."""
    matcher = networks._new(networks.Matcher).eval().requires_grad_(False)
    monkeypatch.setattr(networks, "matcher", lambda dataset, without: matcher)
    return Examiner


# --- which caption is asked, and which other one ----------------------------------------------


def test_the_caption_of_a_pair_is_one_of_its_own_and_any_of_them():
    split = tiny.split(8, pairs=6, captions=3)
    drawn = torch.stack([own_captions(split, seed) for seed in range(60)])
    for pair, rows in enumerate(drawn.T):
        first, count = int(split.pair_first[pair]), int(split.pair_count[pair])
        assert set(rows.tolist()) == set(range(first, first + count))
    assert torch.equal(own_captions(split, 7), drawn[7])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kinds", [2, 3, 10])
def test_another_caption_has_other_words(kinds, seed):
    rng = np.random.default_rng(seed)
    captions = [f"words {rng.integers(kinds)}" for _ in range(64)] + ["words 0", "words 1"]
    rows = torch.from_numpy(rng.permutation(len(captions)))  # of each pair; not in order
    other = _others(rows, captions, seed)
    for pair, its in enumerate(other.tolist()):
        assert captions[rows[pair]] != captions[rows[its]]


def test_one_caption_among_many_equal_ones_is_the_other_of_all():
    captions = ["the same"] * 70 + ["different"]
    other = _others(torch.arange(71), captions, seed=0)
    assert other[:70].tolist() == [70] * 70 and other[70] < 70


def test_without_repeated_words_the_others_are_a_random_circle():
    found = [_others(torch.arange(40), WORDS.tolist(), seed) for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    for other in found:
        place, visited = 0, set()
        while place not in visited:
            visited.add(place)
            place = int(other[place])
        assert len(visited) == 40


def test_of_two_pairs_each_is_the_other():
    for captions in (["one", "two"], ["the same", "the same"]):
        assert _others(torch.arange(2), captions, seed=0).tolist() == [1, 0]


@pytest.mark.parametrize("pairs", [2, 3, 4, 8, 31, 64])
def test_where_all_captions_are_equal_a_pair_is_still_not_its_own_other(pairs):
    other = _others(torch.arange(pairs), ["the same"] * pairs, seed=pairs)
    assert (other != torch.arange(pairs)).all()


# --- ranks ------------------------------------------------------------------------------------


def test_ranks_by_hand():
    scores = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.2, 0.1], [0.3, 0.4, 0.1]])
    found = r_ranks(scores, ["a", "b", "c"], pool=3, repeats=2)
    assert found.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_pool_that_holds_all_captions_ranks_as_a_direct_implementation():
    rng = np.random.default_rng(0)
    texts = [f"words {rng.integers(12)}" for _ in range(30)]
    scores = rng.normal(size=(30, 30))
    expected = [
        sum(texts[j] != texts[i] and scores[i, j] > scores[i, i] for j in range(30))
        for i in range(30)
    ]
    for pool in (30, 32, 1000):  # fewer captions than asked for
        found = r_ranks(torch.from_numpy(scores), texts, pool, repeats=3)
        assert found.tolist() == [[rank] * 3 for rank in expected]


def test_the_same_words_are_never_in_the_pool():
    scores = torch.tensor([[0.1, 0.9, 0.0, 0.9], [0.9, 0.1, 0.2, 0.9]] + [[0.0] * 4] * 2)
    texts = ["a", "a", "b", "a"]
    for seed in range(20):
        found = r_ranks(scores, texts, pool=2, repeats=5, seed=seed)
        assert (found[0] == 0).all() and (found[1] == 1).all()
    assert not r_ranks(torch.rand(4, 4), ["a"] * 4).any()  # nothing to confuse it with
    assert r_ranks(torch.ones(1, 1), ["a"], repeats=3).tolist() == [[0, 0, 0]]


def test_pools_are_drawn_at_random_and_without_putting_back():
    """Of nine others, four are better; three are drawn: the number of better ones follows the
    hypergeometric distribution."""
    scores = torch.zeros(10, 10)
    scores[0] = torch.tensor([0.5] + [0.9] * 4 + [0.1] * 5)
    found = r_ranks(scores, WORDS[:10].tolist(), pool=4, repeats=4000)[0]
    for better in range(4):
        expected = comb(4, better) * comb(5, 3 - better) / comb(9, 3)
        assert (found == better).mean() == pytest.approx(expected, abs=0.03)
    one, same, other = (r_ranks(scores, WORDS[:10].tolist(), 4, 50, seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()


@pytest.mark.parametrize("pool", [4, 32])
def test_where_all_captions_score_the_same_the_precision_is_that_of_chance(pool):
    found = r_ranks(torch.zeros(40, 40), WORDS.tolist(), pool, repeats=200)
    counts = np.bincount(found.astype(int).ravel(), minlength=pool) / found.size
    np.testing.assert_allclose(counts, 1 / pool, atol=4 * (1 / pool / found.size) ** 0.5)


def test_a_tie_counts_below_what_is_better_and_above_what_is_worse():
    scores = torch.tensor([[5.0, 5, 7, 7, 3, 5]] + [[0.0] * 6] * 5)
    found = r_ranks(scores, WORDS[:6].tolist(), pool=6, repeats=3000)[0]
    assert set(found) == {2, 3, 4}
    for rank in (2, 3, 4):
        assert (found == rank).mean() == pytest.approx(1 / 3, abs=0.04)


# --- measures ---------------------------------------------------------------------------------


def holds(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


def test_held_out_real_poses_score_at_the_ceiling(examiner):
    found = examiner.measure(examiner.baselines()["real poses"])
    assert found["r_precision_1"].low > 0.95
    assert found["activity_accuracy"].low > 0.95
    assert found["distance_own"] == Estimate(0, 0, 0)
    assert found["distance_shuffled"].low > 50


@pytest.mark.parametrize("name", ["real poses of other captions", "mean pose"])
def test_poses_of_other_captions_and_the_mean_pose_score_at_the_floor(examiner, name):
    poses = examiner.baselines()[name]
    found = examiner.measure(poses)
    for k in (1, 2, 3):
        assert holds(found[f"r_precision_{k}"], k / 32)
        assert found[f"r_precision_{k}"].high < 0.2
    assert holds(found["activity_accuracy"], 1 / 5)
    assert found["distance_own"].value > 50
    assert found["distance_own"].value == pytest.approx(found["distance_shuffled"].value, rel=0.15)
    assert found["distance_own"].value == pytest.approx(pose_distances(poses, examiner.real).mean())


def test_the_pose_of_the_nearest_caption_fits_where_captions_tell_the_pose(examiner):
    found = examiner.measure(examiner.baselines()["pose of the nearest training caption"])
    assert found["r_precision_1"].low > 0.9 and found["activity_accuracy"].low > 0.9
    assert 0 < found["distance_own"].value < 0.5 * found["distance_shuffled"].value


def test_precision_grows_with_the_rank_and_is_that_of_the_ranks(examiner):
    poses = examiner.real.roll(1, dims=1)  # every keypoint is another
    found = examiner.measure(poses)
    first, second, third = (found[f"r_precision_{k}"].value for k in (1, 2, 3))
    assert 0 < first < second < third < 1
    ranks = r_ranks(examiner.scores(poses), examiner.texts, pool=32, repeats=10)
    for k, value in enumerate((first, second, third), 1):
        assert value == pytest.approx((ranks < k).mean())


def test_each_pose_is_judged_by_the_matcher_that_has_not_seen_the_training_pose_nearest_to_it():
    """Directly: training poses, moved by a pixel, belong to their own pair's part."""
    dataset = tiny.dataset(train=40, val=30, pairs=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "matcher", lambda dataset, without: Constant(without))
        examiner = Examiner(dataset)
    pairs = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    train = dataset.train
    poses = through_heatmap(train.poses[train.pair_pose[pairs]])
    poses[:, 3, 0] += 1
    expected = networks.parts(dataset)[pairs].float()
    assert len(expected.unique()) == 5
    assert torch.equal(examiner.scores(poses), expected[:, None].expand(-1, 30))


class Constant:
    """A matcher whose scores are all its number."""

    def __init__(self, number):
        self.number = number

    def poses(self, poses):
        return torch.full((len(poses), 1), float(self.number))

    def captions(self, vectors):
        return torch.ones(len(vectors), 1)


def test_the_captions_of_learned_poses_are_no_secret_of_the_matchers(module_home):
    """Captions at random have nothing to do with poses. A validation caption repeats a training
    one, whose pose, and nothing else, would be found by a matcher that has learned the pair."""
    source = torch.Generator().manual_seed(0)
    dataset = tiny.dataset(train=100, val=100)
    vectors = torch.randn(len(dataset.train.captions), 300, generator=source)
    train = dataclasses.replace(dataset.train, vectors=vectors)
    val = dataclasses.replace(dataset.val, vectors=vectors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "STEPS", 300)
        examiner = Examiner(dataclasses.replace(dataset, train=train, val=val, pairs_id="random"))
    nearest = examiner.baselines()["pose of the nearest training caption"]
    assert torch.equal(nearest, through_heatmap(train.poses))
    assert holds(examiner.measure(nearest)["r_precision_1"], 1 / 32)
    learned = examiner.matchers[0]
    scores = learned.poses(nearest) @ learned.captions(vectors[examiner.rows]).T
    ranks = r_ranks(scores, examiner.texts)
    assert (ranks[examiner.parts != 0] < 1).mean() > 0.9


def test_each_pose_is_compared_with_that_of_its_caption_and_of_one_other(examiner):
    pairs = examiner.val.pair_pose
    assert torch.equal(examiner.real, through_heatmap(examiner.val.poses[pairs]))
    poses = examiner.baselines()["mean pose"]
    found = examiner.measure(poses)
    other = _others(examiner.rows, examiner.val.captions, 0)
    expected = pose_distances(poses, examiner.real[other]).mean()
    assert found["distance_shuffled"].value == pytest.approx(expected)
    assert examiner.measure(examiner.real[other])["distance_shuffled"].value == 0


def test_another_seed_asks_other_captions(untrained):
    dataset = tiny.dataset(val=20)
    one, same, other = (untrained(dataset, seed) for seed in (3, 3, 4))
    assert torch.equal(one.rows, own_captions(dataset.val, 3))
    assert torch.equal(one.rows, same.rows) and not torch.equal(one.rows, other.rows)
    assert torch.equal(one.other, same.other) and not torch.equal(one.other, other.other)
    assert one.texts == [dataset.val.captions[row] for row in one.rows]


def test_pairs_and_poses_need_not_be_in_the_same_order(untrained):
    """Only the last poses have captions, and their pairs come in any order."""
    dataset = tiny.dataset(train=10, val=9, pairs=6)
    val = dataclasses.replace(
        dataset.val,
        pair_pose=torch.tensor([8, 3, 7, 4, 6, 5]),
        activity=np.array([9, 9, 9, 0, 1, 0, 1, -1, 0]),
    )
    made = untrained(dataclasses.replace(dataset, val=val))
    assert made.activity.tolist() == [0, 0, -1, 1, 1, 0]
    assert torch.equal(made.real, through_heatmap(val.poses[[8, 3, 7, 4, 6, 5]]))
    made.classifier = lambda poses: torch.zeros(len(poses), dtype=torch.long)
    found = made.measure(made.real)
    assert found["activity_accuracy"].value == 3 / 5  # an unknown one does not count
    made.classifier = lambda poses: (poses == made.real[1]).all(dim=(1, 2)).long()
    assert made.measure(made.real)["activity_accuracy"].value == 2 / 5


def test_activities_are_measured_only_where_they_are_named(untrained, examiner):
    dataset = tiny.dataset()
    nameless = untrained(dataset)
    assert nameless.classifier is None
    assert "activity_accuracy" not in nameless.measure(nameless.real)
    val = dataclasses.replace(dataset.val, activity=np.full(6, -1, np.int16))
    unknown = untrained(dataclasses.replace(dataset, val=val))
    unknown.classifier = examiner.classifier  # training poses have activities
    assert "activity_accuracy" not in unknown.measure(unknown.real)


def test_every_measure_has_its_name(untrained, examiner):
    names = [*(f"r_precision_{k}" for k in (1, 2, 3)), "distance_own", "distance_shuffled"]
    assert list(examiner.measure(examiner.real)) == [*names, "activity_accuracy"]
    nameless = untrained(tiny.dataset())
    assert list(nameless.measure(nameless.real)) == names


# --- answers ----------------------------------------------------------------------------------


class Echo(torch.nn.Module):
    """A generator that puts every keypoint where noise and encoding say."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z, h):
        maps = torch.full((len(z), 17, 64, 64), -1.0)
        for row, (a, b) in enumerate(zip(z, h, strict=True)):
            maps[row, :, int(a[0].abs() * 10), int(b.max())] = 1
        return maps


def test_a_model_answers_each_caption_from_its_scaled_encoding_and_noise(untrained):
    dataset = tiny.dataset(val=6)
    vectors = dataset.val.vectors * torch.arange(1, len(dataset.val.vectors) + 1)[:, None]
    val = dataclasses.replace(dataset.val, vectors=vectors)
    made = untrained(dataclasses.replace(dataset, val=val), seed=5)
    poses = made.model(Echo(), lambda vectors: 2 * vectors)
    assert poses.shape == (6, 17, 3) and (poses[..., 2] == 1).all()
    assert poses[:, 0, 0].tolist() == [2 * (row + 1) for row in made.rows.tolist()]
    assert poses[:, 0, 1].tolist() == [int(x * 10) for x in noise(6, 5)[:, 0].abs()]


def without_order(seed: int = 0):
    """Training and 70 validation pairs, in no order, among captions that belong to no pose."""
    source = torch.Generator().manual_seed(seed)
    dataset = tiny.dataset(train=30, val=70, pairs=20)
    count = torch.randint(1, 4, (20,), generator=source)
    first = 5 * torch.randperm(20, generator=source)  # rows 5p + 3 and 5p + 4 are no pair's
    vectors = torch.randn(100, 300, generator=source)
    train = dataclasses.replace(
        dataset.train,
        pair_pose=torch.randperm(30, generator=source)[:20],
        pair_first=first,
        pair_count=count,
        vectors=vectors * torch.rand(100, 1, generator=source) * 9,  # of any length
    )
    val = tiny.split(70, captions=2, seed=1)
    asked = vectors[torch.randint(100, (len(val.captions),), generator=source)]
    asked = asked + 0.3 * torch.randn(asked.shape, generator=source)  # some near one of no pose
    val = dataclasses.replace(val, vectors=asked)
    return dataclasses.replace(dataset, train=train, val=val)


def test_the_nearest_training_caption_is_really_the_nearest(untrained):
    dataset = without_order()
    train, made = dataset.train, untrained(dataset)
    found = made.baselines()["pose of the nearest training caption"]
    expected = []
    for row in made.rows:
        best = (-2.0, -1)
        for pair in range(20):
            for caption in range(int(train.pair_count[pair])):
                vector = train.vectors[int(train.pair_first[pair]) + caption]
                likeness = float(F.cosine_similarity(vector, dataset.val.vectors[row], dim=0))
                best = max(best, (likeness, int(train.pair_pose[pair])))
        expected.append(best[1])
    assert len(set(expected)) > 15
    assert torch.equal(found, through_heatmap(train.poses[expected]))


def test_every_answer_is_a_pose_for_each_caption(untrained):
    dataset = without_order()
    made = untrained(dataset)
    answers = made.baselines()
    assert {tuple(poses.shape) for poses in answers.values()} == {(70, 17, 3)}
    assert torch.equal(answers["real poses"], made.real)
    mean = mean_pose(dataset.train.poses)
    assert all(torch.equal(pose, mean[0]) for pose in answers["mean pose"])


def test_poses_of_other_captions_are_those_of_other_words(untrained):
    """With two texts by turns, the other's other would be the pose itself."""
    dataset = tiny.dataset()
    for repeats in (2, 20):
        pairs = 2 * repeats
        split = tiny.split(pairs, captions=1)
        text = "\n".join(["sitting", "standing"] * repeats).encode()
        val = dataclasses.replace(split, vectors=torch.randn(pairs, 300), text=text)
        made = untrained(dataclasses.replace(dataset, val=val))
        answers = made.baselines()["real poses of other captions"]
        for pair, pose in enumerate(answers):
            (own,) = (made.real == pose).all(dim=(1, 2)).nonzero()[:, 0].tolist()
            assert own % 2 != pair % 2


def test_poses_of_other_captions_are_not_those_that_shuffled_compares_with(examiner):
    answers = examiner.baselines()["real poses of other captions"]
    same = (answers == examiner.real[examiner.other]).all(dim=(1, 2))
    assert same.float().mean() < 0.05


def test_the_mean_pose_by_hand():
    poses = torch.zeros(3, 17, 3)
    poses[0, 0], poses[1, 0] = torch.tensor([10.0, 20, 1]), torch.tensor([13.2, 40, 1])
    poses[2, 0] = torch.tensor([50.0, 50, 0])  # invisible: does not count
    poses[:, 1] = torch.tensor([-30.0, 90, 1])  # off the grid
    mean = mean_pose(poses)
    assert mean.shape == (1, 17, 3)
    assert mean[0, :2].tolist() == [[12, 30, 1], [0, 63, 1]]
    assert (mean[0, 2:, 2] == 1).all()


def test_sizes_of_the_protocol_are_those_of_the_usual_r_precision():
    assert (alignment.POOL, alignment.REPEATS, alignment.RANKS) == (32, 10, (1, 2, 3))


# --- grids of captions and noises -----------------------------------------------------------------

PAIRS = tiny.dataset(40, 40)


def test_poses_that_ignore_their_captions_are_the_same_along_a_row():
    along, down = along_and_down(told(5, 0), PAIRS)
    assert along == 0 and down > 17 * 3


def test_poses_that_ignore_the_noise_are_the_same_down_a_column():
    along, down = along_and_down(told(0, 5), PAIRS)
    assert down == 0 and along > 17 * 5
