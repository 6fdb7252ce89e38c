"""The networks that judge poses: what they see, what they learn, how they are kept."""

import dataclasses
import math
import threading

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lib import paths
from lib.data.heatmaps import augment, through_heatmap
from lib.evaluation import networks
from lib.evaluation.networks import ActivityClassifier, Matcher, PoseCoder, features

DATA = tiny.dataset(train=30, val=5)
TELLING = tiny.telling()


def matcher(dataset):
    """The one that has not seen part 2."""
    return networks.matcher(dataset, without=2)


JUDGES = [networks.pose_coder, matcher, networks.activity_classifier]
KINDS = [PoseCoder, Matcher, ActivityClassifier]


@pytest.fixture
def brief(home, monkeypatch):
    """Training runs of two steps; the folder that keeps the networks."""
    monkeypatch.setattr(networks, "STEPS", 2)
    return home / "data" / "judges"


@pytest.fixture(scope="module")
def learned(module_home):
    """A maker of trained networks."""

    def make(judge, dataset=TELLING):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(networks, "STEPS", 200)
            return judge(dataset)

    return make


def poses_of(number: int = 6, seed: int = 0) -> torch.Tensor:
    """Random poses, of which every third keypoint is invisible."""
    poses = tiny.split(number, seed=seed).poses
    poses[:, ::3] = 0
    return poses


def named(dataset=DATA, **train):
    """The data with two activities, by turns."""
    train = {"activity": torch.arange(len(dataset.train.poses)).numpy() % 2} | train
    train = dataclasses.replace(dataset.train, **train)
    return dataclasses.replace(dataset, train=train, meta={"activities": ["sit", "stand"]})


class Untouchable:
    """Data that are not to be looked at."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was looked at")


def weights(network):
    return torch.cat([weight.flatten() for weight in network.state_dict().values()])


def no_training(*_):
    raise AssertionError("trained")


# --- what the networks see --------------------------------------------------------------------


def test_features_by_hand():
    pose = torch.zeros(1, 17, 3)
    pose[0, 0] = torch.tensor([0.0, 64, 1])
    pose[0, 1] = torch.tensor([32.0, 48, 1])
    pose[0, 2] = torch.tensor([10.0, 20, 0])  # invisible: wherever it is
    found = features(pose)
    assert found.shape == (1, 51)
    assert found[0, :9].tolist() == [-1, 1, 1, 0, 0.5, 1, 0, 0, 0]
    assert not found[0, 9:].any()


def test_poses_are_seen_augmented_and_at_whole_numbers_of_the_grid():
    poses = poses_of(200)
    poses[:, 1, :2] = 63  # turns out of the grid
    seen = networks._seen(poses, torch.Generator().manual_seed(3))
    turned = augment(poses, torch.Generator().manual_seed(3))
    assert turned[..., :2].max() > 63.5 and (turned != poses).any()
    assert torch.equal(seen[..., 2], turned[..., 2])
    assert torch.equal(seen[..., :2], turned[..., :2].round().clamp(0, 63))


@pytest.mark.parametrize("judge", JUDGES)
def test_every_network_sees_poses_so(brief, monkeypatch, judge):
    calls = []
    monkeypatch.setattr(networks, "_seen", lambda poses, source: calls.append(1) or poses)
    judge(named())
    assert len(calls) == networks.STEPS


@pytest.mark.parametrize("judge", JUDGES)
def test_only_training_data_are_looked_at(brief, judge):
    assert judge(dataclasses.replace(named(), val=Untouchable())) is not None


@pytest.mark.parametrize(("judge", "kind"), zip(JUDGES, KINDS, strict=True))
def test_minibatches_are_random_poses_of_all_the_data(brief, monkeypatch, judge, kind):
    batches, modes = [], set()

    def loss(network, poses, *_):
        batches.append(poses)
        modes.add(network.training)
        return sum(weight.sum() for weight in network.parameters())

    monkeypatch.setattr(networks, "STEPS", 40)
    monkeypatch.setattr(networks, "_seen", lambda poses, source: poses)
    monkeypatch.setattr(kind, "loss", loss)
    data = named()
    judge(data)
    seen = torch.cat(batches)[:, 0, 0]
    taken = networks.parts(data) != 2 if judge is matcher else torch.ones(30, dtype=torch.bool)
    assert set(seen.tolist()) == set(data.train.poses[taken, 0, 0].tolist())
    assert {len(batch) for batch in batches} == {int(taken.sum())}
    assert not torch.equal(*batches[:2])
    assert modes == {True}  # with dropout


def test_minibatches_are_of_256_at_the_most(monkeypatch):
    monkeypatch.setattr(networks, "STEPS", 1)
    network, poses, batches = PoseCoder(), poses_of(), []

    def loss(rows, _):
        batches.append(rows)
        return network.loss(poses)

    for number in (255, 256, 1000):
        networks._fit(network, number, loss)
        assert 0 <= batches[-1].min() and batches[-1].max() < number
    assert [len(rows) for rows in batches] == [255, 256, 256]


def test_training_is_adamw_with_a_rate_that_falls_to_nothing(monkeypatch):
    monkeypatch.setattr(networks, "STEPS", 7)
    target = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    network, reference = (
        networks._new(lambda: nn.Linear(2, 1)),
        networks._new(lambda: nn.Linear(2, 1)),
    )
    networks._fit(network, 300, lambda rows, _: network(target[rows]).square().mean())
    source, weights = torch.Generator().manual_seed(0), list(reference.parameters())
    optimizer = torch.optim.AdamW(weights, weight_decay=0.01)
    for step in range(7):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + math.cos(math.pi * step / 7)) / 2
        loss = reference(target[torch.randint(300, (256,), generator=source)]).square().mean()
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = slope
        optimizer.step()
    for one, other in zip(network.parameters(), weights, strict=True):
        torch.testing.assert_close(one, other)


# --- the autoencoder --------------------------------------------------------------------------


def test_the_loss_of_the_autoencoder_is_that_of_a_direct_formula():
    torch.manual_seed(0)
    coder, poses = PoseCoder().eval(), poses_of()
    wanted = features(poses)
    found = coder.decode(coder.encode(wanted))
    squares = entropy = 0.0
    for want, got in zip(wanted.tolist(), found.tolist(), strict=True):
        for place in range(0, 51, 3):
            (x, y, visible), (found_x, found_y, logit) = want[place:][:3], got[place:][:3]
            squares += ((x - found_x) ** 2 + (y - found_y) ** 2) * visible
            chance = 1 / (1 + math.exp(-logit))
            entropy -= math.log(chance if visible else 1 - chance)
    expected = (squares + entropy / 10) / (6 * 17)
    assert coder.loss(poses).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_the_autoencoder_does_not_count_invisible_positions():
    torch.manual_seed(0)
    coder, poses = PoseCoder(), poses_of()
    moved = poses.clone()
    moved[:, 0, :2] = 50
    assert coder.loss(moved) == coder.loss(poses)
    moved[:, 1, :2] = 50
    assert coder.loss(moved) != coder.loss(poses)


def test_codes_are_32_numbers_of_a_pose(learned):
    coder = learned(networks.pose_coder)
    poses = poses_of()
    assert coder(poses).shape == (6, 32)
    assert torch.equal(coder(poses), coder.encode(features(poses)))


def test_the_autoencoder_gives_back_poses_it_has_not_seen(learned):
    coder, poses = learned(networks.pose_coder), through_heatmap(TELLING.val.poses)
    untrained = networks._new(PoseCoder)
    assert coder.loss(poses) < 0.15 * untrained.loss(poses)


# --- captions and poses -----------------------------------------------------------------------


@torch.no_grad()
def test_directions_have_length_one_and_do_not_depend_on_the_encoding_s_scale():
    torch.manual_seed(0)
    network, vectors = Matcher().eval(), torch.randn(5, 300)
    poses, captions = network.poses(poses_of(5)), network.captions(vectors)
    assert poses.shape == captions.shape == (5, 64)
    for directions in (poses, captions):
        torch.testing.assert_close(directions.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(network.captions(30 * vectors), captions)
    torch.testing.assert_close(network.captions(vectors / 30), captions)


def test_the_loss_of_the_matcher_is_that_of_a_direct_formula():
    torch.manual_seed(0)
    network, poses, vectors = Matcher().eval(), poses_of(5), torch.randn(5, 300)
    a, b = (found.tolist() for found in (network.poses(poses), network.captions(vectors)))
    sharp = math.exp(network.sharpness.item())
    scores = [[sharp * sum(x * y for x, y in zip(p, c, strict=True)) for c in b] for p in a]
    expected = 0.0
    for i in range(5):
        caption = sum(math.exp(scores[i][j]) for j in range(5))
        pose = sum(math.exp(scores[j][i]) for j in range(5))
        expected -= (2 * scores[i][i] - math.log(caption) - math.log(pose)) / 10
    assert network.loss(poses, vectors).item() == pytest.approx(expected, rel=1e-5)


def found_again(network, split) -> float:
    """Share of poses whose own caption is the first of all."""
    own = split.vectors[split.pair_first]
    scores = network.poses(through_heatmap(split.poses[split.pair_pose])) @ network.captions(own).T
    return (scores.argmax(dim=1) == torch.arange(len(own))).float().mean().item()


def test_the_matcher_finds_captions_of_held_out_poses(learned):
    assert found_again(learned(matcher), TELLING.val) > 0.9


def test_with_shuffled_training_captions_the_matcher_stays_at_chance(learned):
    order = torch.randperm(len(TELLING.train.vectors), generator=torch.Generator().manual_seed(1))
    train = dataclasses.replace(TELLING.train, vectors=TELLING.train.vectors[order])
    shuffled = dataclasses.replace(TELLING, train=train, pairs_id="shuffled")
    assert found_again(learned(matcher, shuffled), TELLING.val) < 0.04


def test_a_pose_learns_each_of_its_own_captions_and_no_other(brief, monkeypatch):
    """An encoding of the tiny data is 1 at the caption's row."""
    seen = []

    def loss(network, poses, vectors):
        seen.extend(zip(poses, vectors, strict=True))
        return network.sharpness * 1

    monkeypatch.setattr(networks, "STEPS", 60)
    monkeypatch.setattr(networks, "_seen", lambda poses, source: poses)
    monkeypatch.setattr(Matcher, "loss", loss)
    data = tiny.dataset(train=12, pairs=8)
    matcher(data)
    train = data.train
    taken = [pair for pair, part in enumerate(networks.parts(data)) if part != 2]
    assert len(taken) in (6, 7)
    expected = {
        (float(train.poses[train.pair_pose[pair], 0, 0]), int(train.pair_first[pair]) + caption)
        for pair in taken
        for caption in range(int(train.pair_count[pair]))
    }
    assert {(float(pose[0, 0]), int(vector.argmax())) for pose, vector in seen} == expected


def test_parts_are_as_large_as_can_be_and_no_stretches_of_the_data():
    found = networks.parts(tiny.dataset(train=52))
    assert sorted(found.bincount().tolist()) == [10, 10, 10, 11, 11]
    assert torch.equal(found, networks.parts(tiny.dataset(train=52)))
    for part in range(5):
        assert (found == part).nonzero()[:, 0].diff().unique().numel() > 2


def test_matchers_without_different_parts_are_kept_apart(brief):
    one, other = (networks.matcher(DATA, without) for without in (0, 1))
    assert len(list(brief.iterdir())) == 2 and not torch.equal(weights(one), weights(other))
    assert torch.equal(weights(networks.matcher(DATA, 1)), weights(other))


def test_a_matcher_with_nothing_to_learn_from_stays_as_it_began(brief):
    """A single pair is in part 0."""
    alone = tiny.dataset(train=3, pairs=1)
    assert torch.equal(weights(networks.matcher(alone, 0)), weights(networks._new(Matcher)))
    assert not torch.equal(weights(networks.matcher(alone, 1)), weights(networks._new(Matcher)))


# --- activities -------------------------------------------------------------------------------


def test_the_classifier_tells_activities_of_held_out_poses(learned):
    classifier = learned(networks.activity_classifier)
    found = classifier(through_heatmap(TELLING.val.poses))
    assert found.shape == (200,)
    assert (found.numpy() == TELLING.val.activity).mean() > 0.95


def test_the_loss_of_the_classifier_is_the_cross_entropy():
    torch.manual_seed(0)
    classifier, poses = ActivityClassifier(3).eval(), poses_of(4)
    activity = torch.tensor([2, 0, 1, 2])
    chances = classifier.score(features(poses)).softmax(dim=1)
    expected = -chances[torch.arange(4), activity].log().mean()
    torch.testing.assert_close(classifier.loss(poses, activity), expected)
    assert torch.equal(classifier(poses), chances.argmax(dim=1))


def test_poses_whose_activity_is_unknown_are_left_out(brief, monkeypatch):
    seen = set()

    def loss(network, poses, activity):
        seen.update(zip(poses[:, 0, 0].tolist(), activity.tolist(), strict=True))
        return network.score[0].weight.sum()

    monkeypatch.setattr(networks, "STEPS", 20)
    monkeypatch.setattr(networks, "_seen", lambda poses, source: poses)
    monkeypatch.setattr(ActivityClassifier, "loss", loss)
    activity = torch.arange(30).numpy() % 3 - 1
    data = named(activity=activity)
    networks.activity_classifier(data)
    places = data.train.poses[:, 0, 0].tolist()
    assert seen == {pair for pair in zip(places, activity.tolist(), strict=True) if pair[1] >= 0}


def test_there_is_no_classifier_where_the_data_name_no_activity(brief):
    assert networks.activity_classifier(DATA) is None
    assert networks.activity_classifier(dataclasses.replace(DATA, meta={"activities": []})) is None
    unknown = torch.full((30,), -1).numpy()
    assert networks.activity_classifier(named(activity=unknown)) is None
    assert not brief.exists()


# --- kept networks ----------------------------------------------------------------------------


@pytest.mark.parametrize(("judge", "kind"), zip(JUDGES, KINDS, strict=True))
def test_a_network_is_trained_once_and_then_read(brief, monkeypatch, judge, kind):
    made = judge(named())
    (file,) = brief.iterdir()
    assert file.name.startswith(f"{kind.__name__}-") and file.suffix == ".safetensors"
    monkeypatch.setattr(networks, "_fit", no_training)
    read = judge(named())
    assert torch.equal(weights(read), weights(made))
    for network in (made, read):
        assert isinstance(network, kind) and not network.training
        assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("judge", JUDGES)
def test_training_has_one_thread_and_leaves_their_number_as_it_was(brief, monkeypatch, judge):
    """So that sums have one order, whatever the machine."""
    during = []
    monkeypatch.setattr(networks, "_seen", lambda poses, source: during.append(threads()) or poses)
    threads, before = torch.get_num_threads, torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        judge(named())
        assert during == [1, 1] and threads() == 3
    finally:
        torch.set_num_threads(before)


def test_training_changes_the_weights(brief):
    for judge in JUDGES:
        judge(named())
    kept = {file.name.split("-")[0]: load_file(file) for file in brief.iterdir()}
    new = (
        networks._new(Matcher),
        networks._new(PoseCoder),
        networks._new(lambda: ActivityClassifier(2)),
    )
    for network in new:
        after = kept[type(network).__name__]
        assert all((after[name] != w).any() for name, w in network.state_dict().items())


@pytest.mark.parametrize("how", ["empty", "cut", "noise", "another network"])
def test_a_damaged_file_is_made_again(brief, how):
    made = networks.pose_coder(DATA)
    (file,) = brief.iterdir()
    whole = file.read_bytes()
    damage = {"empty": b"", "cut": whole[: len(whole) // 2], "noise": b"\xff" * len(whole)}
    if how in damage:
        file.write_bytes(damage[how])
    else:
        save_file({"weight": torch.ones(3)}, file)
    assert torch.equal(weights(networks.pose_coder(DATA)), weights(made))
    assert list(brief.iterdir()) == [file] and file.read_bytes() == whole


@pytest.mark.parametrize("judge", JUDGES)
def test_other_data_or_other_code_make_another_network(brief, monkeypatch, judge):
    data = named()
    judge(data)
    judge(dataclasses.replace(data, poses_id="other poses", pairs_id="other pairs"))
    assert len(list(brief.iterdir())) == 2
    monkeypatch.setattr(networks.inspect, "getsource", lambda module: f"other {module.__name__}")
    judge(data)
    assert len(list(brief.iterdir())) == 3


def test_other_captions_or_activities_of_the_same_poses_make_another_network(brief):
    data = named()
    matcher(data)
    matcher(dataclasses.replace(data, pairs_id="other pairs"))
    assert len(list(brief.iterdir())) == 2
    networks.activity_classifier(data)
    networks.activity_classifier(named(activity=1 - data.train.activity))
    networks.activity_classifier(dataclasses.replace(data, meta={"activities": ["sit", "lie"]}))
    assert len(list(brief.iterdir())) == 5
    networks.pose_coder(data)
    networks.pose_coder(dataclasses.replace(data, pairs_id="other pairs"))  # it sees no captions
    assert len(list(brief.iterdir())) == 6


def test_two_that_train_at_once_do_no_harm(brief, monkeypatch):
    both, faults = threading.Barrier(2, timeout=20), []

    def save(*arguments):
        save_file(*arguments)
        both.wait()  # both are written before one is moved

    def make():
        try:
            networks.pose_coder(DATA)
        except Exception as error:
            faults.append(error)

    monkeypatch.setattr(networks, "save_file", save)
    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    (file,) = brief.iterdir()
    monkeypatch.setattr(networks, "_fit", no_training)
    assert torch.equal(weights(networks.pose_coder(DATA)), weights(networks.pose_coder(DATA)))


def test_a_file_is_whole_whenever_it_is_there(brief, monkeypatch):
    def cut_off(tensors, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "save_file", cut_off)
    with pytest.raises(KeyboardInterrupt):
        networks.pose_coder(DATA)
    assert not list(brief.glob("*.safetensors"))


@pytest.mark.parametrize("judge", JUDGES)
def test_what_was_drawn_before_makes_no_difference_and_what_is_drawn_after_is_the_same(
    brief, monkeypatch, judge
):
    def no_gpu(seed):
        raise AssertionError("seeded")

    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "manual_seed_all", no_gpu)
            found.append(weights(judge(named())))
        assert torch.equal(torch.get_rng_state(), state)
        for file in brief.iterdir():
            file.unlink()
    assert torch.equal(*found)
    assert brief.is_relative_to(paths.DATA)
