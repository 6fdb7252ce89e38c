"""Poses to heatmaps and back (thesis 3.2): formulas, round trips and symmetries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import heatmaps
from lib.data.heatmaps import augment, decode, fit_to_heatmap, flip, render, rotate, through_heatmap
from lib.data.skeleton import EDGES, FLIP, NAMES


def poses(n: int, seed: int = 0, low: float = 0, high: float = 64, invisible: float = 0.25):
    """(n, 17, 3) poses with real coordinates, a share of keypoints invisible at (0, 0, 0)."""
    rng = np.random.default_rng(seed)
    pose = np.ones((n, 17, 3), np.float32)
    pose[..., :2] = rng.uniform(low, high, (n, 17, 2))
    pose[rng.random((n, 17)) < invisible] = 0
    return torch.from_numpy(pose)


def one(x: float, y: float, keypoint: int = 0) -> torch.Tensor:
    """(1, 17, 3), a pose of one visible keypoint."""
    pose = torch.zeros(1, 17, 3)
    pose[0, keypoint] = torch.tensor([x, y, 1])
    return pose


# --- keypoint names -------------------------------------------------------------------------


def test_flip_permutation_swaps_left_and_right():
    for here, there in enumerate(FLIP):
        swapped = NAMES[here].replace("left", "L").replace("right", "left").replace("L", "right")
        assert NAMES[there] == swapped
    assert len(NAMES) == len(set(NAMES)) == 17


def test_skeleton_is_symmetric_and_joins_every_keypoint():
    edges = {frozenset(edge) for edge in EDGES}
    assert len(edges) == len(EDGES)
    assert {frozenset(FLIP[i] for i in edge) for edge in edges} == edges
    reached = {0}
    for _ in NAMES:
        reached |= {i for edge in edges if edge & reached for i in edge}
    assert reached == set(range(17))
    joined = {frozenset(NAMES[i] for i in edge) for edge in edges}
    for part in ("shoulder", "hip"):  # across the trunk
        assert {f"left {part}", f"right {part}"} in joined
    for limb in (("shoulder", "elbow", "wrist"), ("shoulder", "hip", "knee", "ankle")):
        for upper, lower in zip(limb, limb[1:], strict=False):
            assert {f"left {upper}", f"left {lower}"} in joined


# --- fit_to_heatmap -------------------------------------------------------------------------


def test_fit_equals_the_affine_map_in_plain_numpy():
    rng = np.random.default_rng(1)
    keypoints = np.zeros((50, 17, 3))
    keypoints[..., :2] = rng.uniform(0, 600, (50, 17, 2))
    keypoints[..., 2] = rng.integers(0, 3, (50, 17))
    boxes = np.concatenate([rng.uniform(0, 400, (50, 2)), rng.uniform(5, 300, (50, 2))], axis=1)
    expected = np.zeros((50, 17, 3))
    for n in range(50):
        x, y, w, h = boxes[n]
        for k in range(17):
            if keypoints[n, k, 2] > 0:
                expected[n, k, 0] = 32 + (keypoints[n, k, 0] - (x + w / 2)) * 64 / max(w, h)
                expected[n, k, 1] = 32 + (keypoints[n, k, 1] - (y + h / 2)) * 64 / max(w, h)
                expected[n, k, 2] = 1
    np.testing.assert_allclose(fit_to_heatmap(keypoints, boxes), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ((10, 20, 50, 200), ((24, 0), (40, 64))),  # upright: height to 64, width 16 in the middle
        ((10, 20, 200, 50), ((0, 24), (64, 40))),  # lying
        ((0, 0, 128, 128), ((0, 0), (64, 64))),
        ((-30, 5, 16, 32), ((16, 0), (48, 64))),  # enlarged; a box may begin off the image
    ],
)
def test_fit_long_side_fills_and_short_side_is_centred(box, corners):
    x, y, w, h = box
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 0], keypoints[0, 1] = (x, y, 1), (x + w, y + h, 2)
    keypoints[0, 2] = (x + w / 2, y + h / 2, 2)
    pose = fit_to_heatmap(keypoints, np.array([box]))[0]
    assert pose[0].tolist() == [*corners[0], 1]
    assert pose[1].tolist() == [*corners[1], 1]  # visibility 2 is 1 as well
    assert pose[2].tolist() == [32, 32, 1]
    assert (pose[3:] == 0).all()  # and 0 is (0, 0, 0), whatever was there


def test_fit_drops_coordinates_of_unlabelled_keypoints():
    keypoints = np.full((1, 17, 3), 7.0)
    keypoints[..., 2] = 0
    assert (fit_to_heatmap(keypoints, np.array([[0, 0, 8, 8]])) == 0).all()


def test_fit_gives_back_the_kind_it_was_given():
    keypoints, boxes = np.ones((2, 17, 3)), np.array([[0, 0, 4, 2], [1, 1, 3, 3]])
    array = fit_to_heatmap(keypoints, boxes)
    tensor = fit_to_heatmap(torch.from_numpy(keypoints), torch.from_numpy(boxes))
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32
    assert (tensor.numpy() == array).all()
    assert (fit_to_heatmap(keypoints.tolist(), boxes.tolist()) == array).all()
    assert (fit_to_heatmap(keypoints.astype(int), boxes) == array).all()
    assert fit_to_heatmap(np.zeros((0, 17, 3)), np.zeros((0, 4))).shape == (0, 17, 3)


def test_fit_keeps_its_arguments():
    keypoints, boxes = np.full((1, 17, 3), 2.0), np.array([[1.0, 1, 9, 3]])
    fit_to_heatmap(keypoints, boxes)
    assert (keypoints == 2).all() and boxes.tolist() == [[1, 1, 9, 3]]


@pytest.mark.parametrize("sides", [(0, 10), (10, 0), (0, 0), (-5, 10), (math.nan, 10)])
def test_fit_refuses_a_box_without_area(sides):
    boxes = np.array([[0, 0, 5, 5], [3, 3, *sides]])
    with pytest.raises(ValueError, match="without area"):
        fit_to_heatmap(np.ones((2, 17, 3)), boxes)


@pytest.mark.parametrize(
    ("keypoints", "boxes"),
    [((2, 17, 2), (2, 4)), ((2, 16, 3), (2, 4)), ((17, 3), (1, 4)), ((2, 17, 3), (1, 4)),
     ((2, 17, 3), (2, 5)), ((2, 17, 3), (4,))],
)  # fmt: skip
def test_fit_refuses_wrong_shapes(keypoints, boxes):
    with pytest.raises(ValueError, match="wanted"):
        fit_to_heatmap(np.ones(keypoints), np.ones(boxes))


# --- render ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [2.0, 1.0, 3.5])
def test_render_is_the_gaussian_of_3_2(sigma):
    pose = poses(1, seed=2, low=-6, high=70)
    expected = np.zeros((17, 64, 64))
    for k, (x0, y0, visible) in enumerate(pose[0].double().tolist()):
        for y in range(64):
            for x in range(64):
                square = (x - x0) ** 2 + (y - y0) ** 2
                expected[k, y, x] = visible * math.exp(-square / (2 * sigma**2))
    drawn = render(pose, sigma) if sigma != 2 else render(pose)  # 2 is the default
    assert drawn.shape == (1, 17, 64, 64) and drawn.dtype == torch.float32
    np.testing.assert_allclose(drawn[0].numpy(), expected, rtol=0, atol=1e-6)


def test_the_value_far_from_a_keypoint_can_be_another():
    """Networks see [-1, 1] (3.3.1): twice the heatmap less 1."""
    keypoints = torch.as_tensor(poses(5), dtype=torch.float32)
    torch.testing.assert_close(render(keypoints, low=-1.0), render(keypoints) * 2 - 1)
    assert (render(keypoints, low=-1.0)[keypoints[..., 2] == 0] == -1).all()


def test_render_is_one_at_an_integer_keypoint_and_within_zero_and_one():
    pose = poses(8, seed=3).round().clamp(max=63)
    drawn = render(pose)
    for n in range(8):
        for k, (x, y, visible) in enumerate(pose[n].int().tolist()):
            assert drawn[n, k, y, x] == visible  # rows are y
    assert drawn.min() >= 0 and drawn.max() == 1


def test_render_leaves_invisible_keypoints_dark():
    pose = poses(4, invisible=0)
    pose[1, 5, 2] = pose[2, :, 2] = 0  # their coordinates are still there, and must not count
    drawn = render(pose)
    dark = (drawn == 0).all(dim=3).all(dim=2)
    assert dark.tolist() == (pose[..., 2] == 0).tolist()


def test_render_keeps_the_tail_of_a_keypoint_off_the_grid():
    drawn = render(one(-2, 20))[0, 0]
    assert drawn.argmax() == 20 * 64
    assert drawn[20, 0].item() == pytest.approx(math.exp(-4 / 8), abs=1e-6)
    assert drawn[20, 3].item() == pytest.approx(math.exp(-25 / 8), abs=1e-6)
    corner = render(one(65, 66))[0, 0]
    assert corner[63, 63].item() == pytest.approx(math.exp(-(4 + 9) / 8), abs=1e-6)


def test_render_has_the_width_of_sigma():
    """At a distance of sigma the height is exp(-1/2); the volume is 2 pi sigma^2."""
    for sigma in (2.0, 4.0):
        drawn = render(one(32, 32), sigma)[0, 0]
        assert drawn[32, 32 + int(sigma)].item() == pytest.approx(math.exp(-0.5), abs=1e-6)
        assert drawn[32 - int(sigma), 32].item() == pytest.approx(math.exp(-0.5), abs=1e-6)
        assert drawn.sum().item() == pytest.approx(2 * math.pi * sigma**2, rel=1e-4)


# --- decode and round trips -----------------------------------------------------------------


def test_every_grid_point_survives_the_round_trip():
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=2).reshape(-1, 3).float()  # (4096, 3)
    padded = torch.cat([points, torch.zeros(17 * 241 - 4096, 3)]).reshape(241, 17, 3)
    assert torch.equal(decode(render(padded)), padded)  # the padding tests (0, 0, 0)


def test_round_trip_of_real_coordinates_is_the_nearest_grid_point():
    pose = poses(64, seed=4, low=0, high=63)
    nearest = torch.cat([pose[..., :2].round(), pose[..., 2:]], dim=2)
    assert torch.equal(decode(render(pose)), nearest)


def test_decode_threshold():
    maps = torch.zeros(1, 17, 64, 64)
    for k, height in enumerate((0.19999, 0.2, 0.20001, 1.0, 0.0)):
        maps[0, k, 9, 40] = height
    decoded = decode(maps)
    assert heatmaps.THRESHOLD == 0.2
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[0, 1].tolist() == decoded[0, 2].tolist() == decoded[0, 3].tolist() == [40, 9, 1]
    assert (decoded[0, 4:] == 0).all()
    assert decode(maps, threshold=0.5)[0, :5, 2].tolist() == [0, 0, 0, 1, 0]
    assert decode(maps, threshold=0.1)[0, :5, 2].tolist() == [1, 1, 1, 1, 0]


def test_decode_takes_the_highest_of_several_peaks():
    maps = 0.6 * render(one(10, 12)) + 0.9 * render(one(50, 31)) + 0.7 * render(one(30, 60))
    assert decode(maps)[0, 0].tolist() == [50, 31, 1]


def test_through_heatmap_moves_the_edge_onto_the_grid_and_loses_what_is_far():
    pose = torch.cat([one(-2, 30), one(64, 10), one(-4, 30), one(40.4, 63.4), one(200, 200)])
    assert through_heatmap(pose)[:, 0].tolist() == [
        [0, 30, 1],  # height exp(-1/2)
        [63, 10, 1],
        [0, 0, 0],  # height exp(-2) = 0.135, below the threshold
        [40, 63, 1],
        [0, 0, 0],
    ]
    assert torch.equal(through_heatmap(pose[:0]), pose[:0])


def test_through_heatmap_is_what_rendering_and_decoding_leave():
    """Keypoints inside, halfway between points of the grid, at its edge and beyond; invisible."""
    source = torch.Generator().manual_seed(0)
    xy = torch.rand(300, 17, 2, generator=source) * 90 - 13
    xy[::2] = (2 * xy[::2]).round() / 2
    pose = torch.cat([xy, (torch.rand(300, 17, 1, generator=source) < 0.8).float()], dim=2)
    assert torch.equal(through_heatmap(pose), decode(render(pose)))


def test_through_heatmap_rounds_to_the_grid():
    pose = poses(1030, seed=5)
    on_grid = pose[..., :2].round().clamp(max=63)
    rounded = through_heatmap(pose)
    assert torch.equal(rounded, torch.cat([on_grid, pose[..., 2:]], dim=2))
    assert torch.equal(through_heatmap(rounded[:50]), rounded[:50])


# --- flip and rotation ----------------------------------------------------------------------


def test_flip_maps_x_to_64_minus_x_and_swaps_sides():
    pose = poses(5, seed=6)
    turned = flip(pose)
    for n in range(5):
        for k, name in enumerate(NAMES):
            side = name.replace("left", "L").replace("right", "left").replace("L", "right")
            x, y, visible = pose[n, NAMES.index(side)].tolist()
            expected = [64 - x, y, 1] if visible else [0, 0, 0]
            assert turned[n, k].tolist() == pytest.approx(expected, abs=1e-5)


def test_flipping_twice_is_the_identity():
    pose = poses(20, seed=7).mul(8).round().div(8)  # eighths, on which 64 - x is exact
    assert torch.equal(flip(flip(pose)), pose)
    assert not torch.equal(flip(pose), pose)


def test_flipped_pose_renders_as_the_mirrored_heatmap():
    pose = poses(3, seed=8)
    mirrored = render(pose)[:, list(FLIP)].flip(3)  # column x is column 63 - x of the original
    # Mirroring at 32 and not at 31.5 moves the picture by one column.
    torch.testing.assert_close(render(flip(pose))[..., 1:], mirrored[..., :-1], atol=1e-5, rtol=0)


def test_rotation_by_known_angles():
    pose = torch.cat([one(40, 32), one(40, 32), one(40, 32), one(32, 20), one(32, 32)])
    quarter = math.pi / 2
    turned = rotate(pose, torch.tensor([quarter, 2 * quarter, quarter / 3, -quarter, 1.0]))
    expected = [
        [32, 40],  # x towards y
        [24, 32],
        [32 + 8 * math.sqrt(3) / 2, 36],
        [20, 32],
        [32, 32],  # the centre stays
    ]
    np.testing.assert_allclose(turned[:, 0, :2].numpy(), expected, atol=1e-5)
    assert torch.equal(turned[..., 2], pose[..., 2])


def test_rotation_keeps_distances_and_invisible_keypoints():
    pose = poses(30, seed=9)
    angles = torch.linspace(-3, 3, 30)
    turned = rotate(pose, angles)
    assert (turned[pose[..., 2] == 0] == 0).all()
    for n in range(30):
        seen = pose[n, :, 2] > 0
        before, after = pose[n, seen, :2], turned[n, seen, :2]
        torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before),
                                   atol=1e-3, rtol=0)  # fmt: skip
        torch.testing.assert_close((after - 32).norm(dim=1), (before - 32).norm(dim=1))


def test_rotations_add_up_and_a_full_turn_is_the_identity():
    pose = poses(10, seed=10)
    full = torch.full((10,), 2 * math.pi)
    torch.testing.assert_close(rotate(pose, full), pose, atol=1e-4, rtol=0)
    torch.testing.assert_close(rotate(pose, full / 4), rotate(rotate(pose, full / 12), full / 6),
                               atol=1e-4, rtol=0)  # fmt: skip
    angles = torch.linspace(-1, 1, 10)
    torch.testing.assert_close(rotate(rotate(pose, angles), -angles), pose, atol=1e-4, rtol=0)


def test_quarter_turn_renders_as_the_turned_heatmap():
    pose = poses(3, seed=11)
    drawn = render(rotate(pose, torch.full((3,), math.pi / 2)))
    # The point (x, y) comes from (y, 64 - x); column 0 would come from outside the grid.
    torch.testing.assert_close(
        drawn[..., 1:], render(pose).transpose(2, 3).flip(3)[..., :-1], atol=1e-4, rtol=0
    )


# --- augmentation ---------------------------------------------------------------------------


def source_of(out: torch.Tensor, source: torch.Tensor):
    """Best angle (n,) from ``source`` (1, 17, 3) to ``out`` (n, 17, 3), and the worst error."""
    seen = source[0, :, 2] > 0
    a = torch.view_as_complex(source[:, seen, :2].double() - 32)  # (1, K)
    b = torch.view_as_complex(out[:, seen, :2].double() - 32)  # (n, K)
    angle = torch.angle((b * a.conj()).sum(dim=1))
    error = (b - a * torch.polar(torch.ones_like(angle), angle)[:, None]).abs().amax(dim=1)
    same = (out[..., 2] == source[..., 2]).all(dim=1)
    return torch.rad2deg(angle), torch.where(same, error, torch.inf)


@pytest.fixture(scope="module")
def augmented():
    """20,000 augmentations of one pose that is not its own mirror image."""
    pose = poses(1, seed=12, low=4, high=60)
    return pose, augment(pose.repeat(20_000, 1, 1), torch.Generator().manual_seed(0))


def test_augment_flips_half_and_turns_within_ten_degrees(augmented):
    pose, out = augmented
    angle, error = source_of(out, pose)
    angle_flipped, error_flipped = source_of(out, flip(pose))
    flipped = error_flipped < error
    assert torch.minimum(error, error_flipped).max() < 1e-3  # nothing else happens to a pose
    assert torch.maximum(error, error_flipped).min() > 0.1  # and it is clear which of the two
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / 20_000**0.5)
    angle = torch.where(flipped, angle_flipped, angle)
    assert angle.abs().max() <= 10 + 1e-3
    assert angle.max() > 9.9 and angle.min() < -9.9
    # Uniform, hence mean 0 and standard deviation 10 / sqrt(3), whether flipped or not.
    for part in (angle[flipped], angle[~flipped]):
        assert part.mean().item() == pytest.approx(0, abs=5 * 5.77 / 10_000**0.5)
        assert part.std().item() == pytest.approx(10 / math.sqrt(3), rel=0.03)
        assert (part.abs() < 5).double().mean().item() == pytest.approx(0.5, abs=0.025)


def test_augment_keeps_invisible_keypoints_at_zero(augmented):
    _, out = augmented
    hidden = out[out[..., 2] == 0]
    assert len(hidden) and (hidden == 0).all()
    assert set(out[..., 2].unique().tolist()) == {0, 1}


def test_augment_draws_for_each_pose_and_follows_its_generator():
    pose = poses(32, seed=13)
    kept = pose.clone()
    first = augment(pose, torch.Generator().manual_seed(1))
    assert torch.equal(pose, kept)  # the data are not changed
    assert torch.equal(first, augment(pose, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, augment(pose, torch.Generator().manual_seed(2)))
    same = augment(pose[:1].repeat(32, 1, 1), torch.Generator().manual_seed(1))
    assert len(same.unique(dim=0)) == 32
    torch.manual_seed(5)
    one_way = augment(pose)
    assert not torch.equal(one_way, augment(pose))  # without one, the global source


def test_augment_lets_a_keypoint_leave_the_grid():
    pose = one(63, 63).repeat(200, 1, 1)
    out = augment(pose, torch.Generator().manual_seed(0))
    outside = (out[:, 0, :2] > 63).any(dim=1) | (out[:, 0, :2] < 0).any(dim=1)
    assert outside.any()
    assert (render(out)[outside].amax(dim=(2, 3))[:, 0] > 0.01).all()


# --- properties of any pose -------------------------------------------------------------------

# Examples are the same in every run.
properties = settings(derandomize=True, deadline=None, max_examples=60)
inside = st.floats(0, 63, width=32)
keypoint = st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(inside, inside, st.just(1.0)))
any_pose = st.lists(keypoint, min_size=17, max_size=17).map(lambda pose: torch.tensor([pose]))


@properties
@given(any_pose)
def test_any_pose_is_found_again_in_its_heatmaps_within_half_a_pixel(pose):
    found = decode(render(pose))
    assert torch.equal(found[..., 2], pose[..., 2])
    assert ((found - pose)[..., :2].abs() <= 0.5).all()
    assert torch.equal(decode(render(found)), found)  # whole numbers stay where they are


@properties
@given(any_pose)
def test_any_pose_mirrored_twice_is_itself(pose):
    torch.testing.assert_close(flip(flip(pose)), pose, rtol=0, atol=1e-5)
    assert flip(pose)[..., 2].sum() == pose[..., 2].sum()


@properties
@given(any_pose, st.floats(-math.pi, math.pi))
def test_any_pose_turned_there_and_back_is_itself(pose, angle):
    angle = torch.tensor([angle])
    torch.testing.assert_close(rotate(rotate(pose, angle), -angle), pose, rtol=0, atol=1e-4)


@properties
@given(any_pose, st.integers(-1000, 1000), st.integers(-1000, 1000), st.sampled_from([0.25, 1, 8]))
def test_where_and_how_large_a_person_is_makes_no_difference(pose, right, down, scale):
    keypoints, box = pose.double().numpy(), np.array([[3.0, 5.0, 40.0, 60.0]])
    moved, offset = keypoints.copy(), np.array([right, down])
    moved[..., :2] = keypoints[..., :2] * scale + offset
    moved_box = np.concatenate([box[:, :2] * scale + offset, box[:, 2:] * scale], axis=1)
    np.testing.assert_allclose(
        fit_to_heatmap(moved, moved_box), fit_to_heatmap(keypoints, box), atol=1e-3
    )
