"""Minibatches: which poses, which captions, in what order, and as the networks see them."""

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data.heatmaps import from_network, render
from lib.errors import InputError
from lib.models.recipe import Recipe
from lib.training.minibatches import Batch, Batches

CPU = torch.device("cpu")


def batches(training=True, split=None, algorithm="conditional_wgan_lp", **changes) -> Batches:
    split = tiny.split(10) if split is None else split
    return Batches(split, tiny.config(algorithm, **changes), CPU, training)


def source(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(made: Batches, iteration: int, generator: torch.Generator) -> Batch:
    return made.draw(made.indices(iteration), generator)


def order(made: Batches, iterations) -> list[list[int]]:
    """The rows of the poses drawn; without augmentation a heatmap tells whose it is."""
    made.training = False
    own = render(made.poses, low=-1.0).flatten(1)
    found = []
    for iteration in iterations:
        x = draw(made, iteration, source()).x.flatten(1)
        same = (x[:, None] == own[None]).all(dim=2)
        assert (same.sum(dim=1) == 1).all()
        found.append(same.int().argmax(dim=1).tolist())
    return found


def test_every_pose_once_in_each_pass_and_the_last_partial_batch_is_kept():
    made = batches(batch_size=4)
    assert made.per_epoch == 3
    drawn = order(made, range(6))
    assert [len(part) for part in drawn] == [4, 4, 2, 4, 4, 2]
    first, second = (sum(drawn[i : i + 3], []) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second and first != sorted(first)
    assert [made.seen(i) for i in (0, 1, 2, 3, 4, 6)] == [0, 4, 8, 10, 14, 20]


def test_a_batch_that_divides_the_data_makes_no_empty_one():
    made = batches(batch_size=5)
    assert made.per_epoch == 2 and [len(part) for part in order(made, range(4))] == [5] * 4


@pytest.mark.parametrize(("size", "per_epoch"), [(8, 2), (9, 3), (3, 1)])
def test_epochs_of_a_fixed_length_straddle_the_passes(size, per_epoch):
    made = batches(batch_size=4, epoch_size=size)
    assert made.per_epoch == per_epoch
    drawn = order(made, range(10))
    assert [len(part) for part in drawn] == [4] * 10
    stream = sum(drawn, [])
    assert made.seen(10) == len(stream)
    for start in range(0, 40, 10):  # the same four passes, end to end
        assert sorted(stream[start : start + 10]) == list(range(10))
    whole = sum(order(batches(batch_size=4), range(12)), [])
    assert stream == whole


def test_a_batch_larger_than_the_data_takes_several_passes():
    made = batches(batch_size=25, epoch_size=25)
    stream = sum(order(made, range(2)), [])
    assert all(sorted(stream[i : i + 10]) == list(range(10)) for i in range(0, 50, 10))


any_data = settings(derandomize=True, deadline=None, max_examples=100)(
    given(
        poses=st.integers(1, 40),
        size=st.integers(1, 50),
        epoch_size=st.integers(0, 60),
        seed=st.integers(0, 2**32 - 1),
    )
)


def unconditional(poses: int, size: int, epoch_size: int, seed: int) -> Batches:
    options = {"batch_size": size, "epoch_size": epoch_size, "seed": seed}
    return batches(split=tiny.split(poses, pairs=0), algorithm="wgan_gp", **options)


@any_data
def test_every_pass_of_any_data_is_a_permutation(poses, size, epoch_size, seed):
    made = unconditional(poses, size, epoch_size, seed)
    iterations = 3 * made.per_epoch + 3 * poses // size + 1  # three passes at the least
    stream = torch.cat([made.indices(iteration) for iteration in range(iterations)])
    for start in range(0, 3 * poses, poses):
        assert stream[start : start + poses].sort().values.tolist() == list(range(poses))


@any_data
def test_iterations_of_any_epoch_add_up_to_the_poses_seen(poses, size, epoch_size, seed):
    made = unconditional(poses, size, epoch_size, seed)
    drawn = [len(made.indices(iteration)) for iteration in range(2 * made.per_epoch)]
    assert 0 < min(drawn) and max(drawn) <= size
    assert [made.seen(i) for i in range(len(drawn) + 1)] == [
        sum(drawn[:i]) for i in range(len(drawn) + 1)
    ]
    of_an_epoch = made.seen(made.per_epoch)
    assert made.seen(2 * made.per_epoch) == 2 * of_an_epoch
    if epoch_size:  # in whole minibatches
        assert of_an_epoch == made.per_epoch * size and 0 <= of_an_epoch - epoch_size < size
    else:
        assert of_an_epoch == poses


def test_order_is_a_function_of_seed_and_pass_alone():
    forward = order(batches(), range(9))
    backward = order(batches(), reversed(range(9)))
    assert forward == backward[::-1]
    torch.manual_seed(5)  # the global random numbers have no part in it
    assert order(batches(), [7]) == [forward[7]]
    assert order(batches(seed=1), range(9)) != forward
    assert order(batches(learning_rate=0.1, k=3), range(9)) == forward


def test_conditional_batches_hold_the_poses_with_captions_only():
    split = tiny.split(10, pairs=6)
    made = batches(split=split)
    assert torch.equal(made.poses, split.poses[4:]) and made.per_epoch == 2
    assert len(batches(split=split, algorithm="wgan").poses) == 10


@pytest.fixture
def unrendered(monkeypatch):
    """For tests of captions, which need many batches."""
    monkeypatch.setattr(Recipe, "read", lambda self, poses: poses)


def test_a_pose_comes_with_a_caption_of_its_own(unrendered):
    split = tiny.split(10, pairs=6)
    made = batches(split=split, batch_size=6, augment=False)
    seen = [set() for _ in range(6)]
    for iteration in range(60):
        batch = draw(made, iteration, source(iteration))
        poses = [int((made.poses == x).all((1, 2)).int().argmax()) for x in batch.x]
        for pose, h in zip(poses, batch.h, strict=True):
            seen[pose].add(int(h.argmax()))
    for pose in range(6):
        first, count = int(split.pair_first[pose]), int(split.pair_count[pose])
        assert seen[pose] == set(range(first, first + count))  # all of them, and no other


def test_mismatching_captions_are_any_of_the_split(unrendered):
    made = batches(split=tiny.split(10, pairs=4), batch_size=4)
    total = len(made.vectors)
    assert total == 16
    drawn = [draw(made, i, source(i)) for i in range(100)]
    counts = torch.cat([batch.h_hat.argmax(dim=1) for batch in drawn]).bincount(minlength=total)
    assert len(counts) == total and counts.min() > 5 and counts.max() < 60  # 25 on average
    same = torch.cat([b.h.argmax(dim=1) == b.h_hat.argmax(dim=1) for b in drawn])
    assert 0 < same.float().mean() < 0.2  # one matches by chance only


def test_encodings_are_multiplied_by_30():
    batch = draw(batches(), 0, source())
    assert (batch.h.norm(dim=1) == 30).all() and (batch.h_hat.norm(dim=1) == 30).all()
    assert (draw(batches(caption_scale=2.0), 0, source()).h.norm(dim=1) == 2).all()


def test_interpolated_encodings_lie_between_two_captions():
    made = batches(beta=0.25)
    h = made.interpolated(200, source())
    assert h.shape == (200, 300)
    pairs = [row[row != 0].sort().values.tolist() for row in h]
    assert all(pair in ([7.5, 22.5], [30.0]) for pair in pairs)
    assert sum(len(pair) == 2 for pair in pairs) > 150
    first = h.argmax(dim=1)  # the heavier one; all captions are taken
    assert len(first.unique()) > 40


def test_noise_is_standard_normal():
    z = batches().noise(2000, source())
    assert z.shape == (2000, 128)
    assert abs(float(z.mean())) < 0.01 and abs(float(z.std()) - 1) < 0.01


def test_unconditional_batches_have_no_captions():
    batch = draw(batches(algorithm="wgan_gp"), 0, source())
    assert batch.h is None and batch.h_hat is None


def test_networks_see_heatmaps_between_minus_one_and_one():
    x = draw(batches(augment=False, training=False), 0, source()).x
    assert x.shape == (4, 17, 64, 64) and x.dtype == torch.float32
    assert x.min() == -1 and 0.7 < x.max() <= 1
    assert torch.equal(from_network(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([0.0, 0.5, 1.0]))


def test_real_poses_of_training_are_augmented():
    made, plain = batches(batch_size=10), batches(batch_size=10, training=False)
    assert torch.equal(made.indices(0), plain.indices(0))
    a, b = (draw(x, 0, source()).x for x in (made, plain))
    assert ((a != b).flatten(1).any(dim=1)).all()
    assert not torch.equal(draw(made, 0, source(1)).x, a)  # anew each time


def test_augmentation_can_be_turned_off(monkeypatch):
    made = batches(augment=False)
    monkeypatch.setattr(
        "lib.training.minibatches.augment", lambda *_: pytest.fail("poses were augmented")
    )
    assert torch.equal(draw(made, 0, source()).x, render(made.poses[made.indices(0)], low=-1.0))


def test_validation_takes_every_pose_once_in_order_and_as_it_is():
    split = tiny.split(10, pairs=7)
    made = batches(training=False, split=split)
    parts = list(made.all(source()))
    assert [len(part.x) for part in parts] == [4, 3]
    x = torch.cat([part.x for part in parts])
    assert torch.equal(x, render(split.poses[3:], low=-1.0))
    for pair, h in enumerate(torch.cat([part.h for part in parts])):
        first, count = int(split.pair_first[pair]), int(split.pair_count[pair])
        assert first <= int(h.argmax()) < first + count


def test_batches_are_a_function_of_the_generator():
    one, two, other = (draw(batches(), 3, source(seed)) for seed in (1, 1, 2))
    for name in ("x", "h", "h_hat"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert not torch.equal(one.h_hat, other.h_hat)


@pytest.mark.parametrize(("size", "fits"), [(1, False), (3, False), (4, True), (9, False)])
def test_a_minibatch_of_one_pose_cannot_be_normalised(size, fits):
    """Of 10 poses; G of Table 1 has 16 values of each channel for a pose."""
    batches(batch_size=size)
    batches(batch_size=size + 1, networks="keypoints", training=False)  # of equal sizes
    batches(batch_size=size + 1, epoch_size=8, networks="keypoints")
    if fits:
        batches(batch_size=size, networks="keypoints")
    else:
        with pytest.raises(InputError, match="two poses in every minibatch"):
            batches(batch_size=size, networks="keypoints", training=size > 1)


def test_real_poses_of_networks_on_keypoints():
    made = batches(batch_size=4, networks="keypoints", augment=False)
    poses = made.poses[made.indices(0)]
    x = draw(made, 0, source()).x
    assert x.shape == (4, 17, 3) and (x[..., 2] == 1).all()
    torch.testing.assert_close(x[..., :2] * 36 + 32, poses[..., :2])


def test_data_without_captions_are_refused():
    with pytest.raises(InputError, match="no pose with captions.*captions_"):
        batches(split=tiny.split(10, pairs=0))
    assert len(batches(split=tiny.split(10, pairs=0), algorithm="gan").poses) == 10
