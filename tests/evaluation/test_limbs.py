"""Ratios of limbs, by hand on a constructed pose, and what counts as implausible."""

import warnings

import numpy as np
import pytest
import torch

from lib.data.skeleton import NAMES
from lib.evaluation.limbs import LIMBS, implausible, limb_ratios

# Shoulders to hips is 20 pixels; limbs 5, 10, 13, 15 of the left, 6, 4, 17, 12 of the right side.
POSE = {
    "left shoulder": (38, 12), "left elbow": (41, 16), "left wrist": (47, 24),
    "right shoulder": (26, 12), "right elbow": (26, 18), "right wrist": (22, 18),
    "left hip": (36, 32), "left knee": (41, 44), "left ankle": (41, 59),
    "right hip": (28, 32), "right knee": (20, 47), "right ankle": (20, 59),
}  # fmt: skip
RATIOS = [5 / 20, 10 / 20, 13 / 20, 15 / 20, 6 / 20, 4 / 20, 17 / 20, 12 / 20, 12 / 20, 8 / 20]


def at(*names: str) -> list[int]:
    return [NAMES.index(name) for name in names]


def standing(n: int = 1, **changes: tuple[float, float, float]) -> np.ndarray:
    """(n, 17, 3) of the pose above, with keypoints (left_elbow=...) as given."""
    pose = np.zeros((n, 17, 3))
    pose[:, :5] = (32, 5, 1)
    for name, place in POSE.items():
        pose[:, at(name)] = (*place, 1)
    for name, keypoint in changes.items():
        pose[:, at(name.replace("_", " "))] = keypoint
    return pose


def various(n: int, seed: int = 0) -> np.ndarray:
    """The pose above with limbs, shoulders and hips of random lengths, the trunk as it is."""
    rng = np.random.default_rng(seed)
    pose = standing(n)
    for place, mean in (("shoulder", 6), ("hip", 4)):
        half = rng.normal(mean, 0.5, n)
        pose[:, at(f"left {place}", f"right {place}"), 0] = np.stack([32 + half, 32 - half], 1)
    for side in ("left", "right"):
        for limb in LIMBS:
            start, end = at(*(f"{side} {place}" for place in limb))
            pose[:, end, :2] = pose[:, start, :2] + rng.normal((0, 12), 1, (n, 2))
    return pose


@pytest.fixture(autouse=True)
def no_warnings():
    """Poses with missing keypoints are usual, and nothing to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- ratios ---------------------------------------------------------------------------------


def test_ratios_by_hand():
    found = limb_ratios(standing())
    assert found.shape == (1, 10)
    assert found[0].tolist() == pytest.approx(RATIOS, rel=1e-12)
    assert limb_ratios(torch.from_numpy(standing(3))).tolist() == found.tolist() * 3


def test_ratios_do_not_depend_on_size_place_or_what_is_above_the_shoulders():
    pose = standing(2)
    pose[1, :, :2] = pose[1, :, :2] / 2 + 7
    pose[1, :5] = 0
    assert limb_ratios(pose)[1].tolist() == pytest.approx(RATIOS, rel=1e-12)


@pytest.mark.parametrize(
    ("missing", "without"),
    [
        ("left_wrist", [1]),
        ("left_elbow", [0, 1]),
        ("left_knee", [2, 3]),
        ("right_ankle", [7]),
        ("right_wrist", [5]),
        ("left_shoulder", range(10)),
        ("right_shoulder", range(10)),
        ("left_hip", range(10)),
        ("right_hip", range(10)),
    ],
)
def test_a_missing_keypoint_leaves_its_ratios_open(missing, without):
    found = limb_ratios(standing(**{missing: (30, 30, 0)}))[0]
    assert np.flatnonzero(np.isnan(found)).tolist() == list(without)
    there = ~np.isnan(found)
    assert found[there].tolist() == pytest.approx(np.array(RATIOS)[there].tolist())


def test_a_trunk_that_is_seen_from_its_end_gives_no_ratios():
    """It is the distance of the middle of the shoulders from that of the hips."""

    def trunk(length: float) -> np.ndarray:
        hips = {"left_hip": (36, 12 + length, 1), "right_hip": (28, 12 + length, 1)}
        return limb_ratios(standing(**hips))[0]

    assert np.isnan(trunk(0)).all() and np.isnan(trunk(0.99)).all()
    assert trunk(1)[0] == pytest.approx(5) and trunk(-2)[0] == pytest.approx(5 / 2)


# --- what is implausible --------------------------------------------------------------------


def test_one_of_a_hundred_real_poses_lies_outside_the_range_of_a_ratio():
    """Of poses with arms that differ only; of those the ranges were made of, and of others."""
    real, others = standing(4000), standing(4000)
    for seed, pose in enumerate((real, others)):
        length = np.random.default_rng(seed).normal(12, 2, 4000)
        pose[:, at("left elbow")[0], :2] = np.stack([38 + length, np.full(4000, 12)], axis=1)
        pose[:, at("left wrist")] = 0
    assert implausible(real, real).mean() == pytest.approx(0.01, abs=0.0006)
    assert implausible(others, real).mean() == pytest.approx(0.01, abs=0.005)
    # Too short as well as too long.
    flagged = real[implausible(real, real) == 1][:, at("left elbow"), 0] - 38
    assert (flagged < 12).sum() == (flagged > 12).sum() == 20


def test_a_tenth_at_the_most_of_the_real_poses_have_one_of_ten_ratios_outside():
    real = various(4000)
    assert 0.05 < implausible(real, real).mean() <= 0.1
    assert 0.05 < implausible(various(4000, 7), real).mean() < 0.12


@pytest.mark.parametrize("limb", LIMBS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("factor", [0.2, 3])
def test_a_limb_of_another_length_is_implausible(limb, side, factor):
    real, poses = various(500), various(40, 3)
    poses = poses[implausible(poses, real) == 0]
    assert len(poses) > 20
    start, end = at(*(f"{side} {place}" for place in limb))
    step = (factor - 1) * (poses[:, end, :2] - poses[:, start, :2])
    hanging = [below for above, below in LIMBS if above == limb[1]]  # it moves along
    poses[:, at(*(f"{side} {place}" for place in (limb[1], *hanging))), :2] += step[:, None]
    found = implausible(poses, real)
    assert found.dtype == np.float64 and found.tolist() == [1] * len(poses)


@pytest.mark.parametrize("place", ["shoulder", "hip"])
def test_an_unusual_breadth_is_implausible(place):
    pose = standing()
    pose[:, at("left elbow", "right elbow", "left knee", "right knee")] = 0
    assert implausible(pose, various(500)) == [0]
    pose[:, at(f"left {place}", f"right {place}"), 0] = (52, 12)
    assert implausible(pose, various(500)) == [1]


def test_what_cannot_be_measured_is_not_implausible():
    real, far = various(500), standing(left_ankle=(41, 900, 1))
    far[:, at("right elbow", "right knee", "left elbow")] = 0
    assert implausible(far, real) == [1]
    hidden = far.copy()
    hidden[:, at("left ankle"), 2] = 0
    assert implausible(hidden, real) == [0]
    assert implausible(np.zeros((2, 17, 3)), real).tolist() == [0, 0]
    # Where no real pose shows a limb, there is no range for it, nor a warning.
    real[:, at("left ankle")] = 0
    assert implausible(far, real) == [0]
    assert implausible(far, np.zeros((5, 17, 3))) == [0]


def test_missing_keypoints_do_not_move_a_range():
    """Half of the real poses lack an arm: the range is that of the other half."""
    real, poses = various(1000), various(3000, 5)
    real[500:, at("left elbow")] = 0
    poses[:, at("left wrist", "right elbow", "left knee", "right knee")] = 0
    low, high = np.quantile(limb_ratios(real[:500])[:, 0], [0.005, 0.995])
    ratios = limb_ratios(poses)[:, 0]
    without = poses.copy()
    without[:, at("left elbow")] = 0
    expected = (ratios < low) | (ratios > high) | (implausible(without, real) == 1)
    assert expected.any() and implausible(poses, real).tolist() == expected.tolist()
