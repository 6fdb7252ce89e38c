"""Poses that have given keypoints where they should be."""

import numpy as np
import pytest
import tiny

from lib import paths
from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose.model import Canvas, Kept, Model, shipped
from lib.pose.search import search
from lib.training.loop import train
from lib.training.runs import Run

WRISTS = [NAMES.index("left wrist"), NAMES.index("right wrist")]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def kept_of(pose: np.ndarray, places: list[int]) -> np.ndarray:
    kept = np.zeros((17, 3))
    kept[places] = pose[places]
    kept[places, 2] = 1
    return kept


def test_the_search_comes_near_and_leaves_the_rest_to_the_noise(model):
    h = model.scale * model.words.encode("a man swings a tennis racket")
    plain = model.pose("a man swings a tennis racket", 3, seed=9)
    kept = kept_of(plain.keypoints[0], WRISTS)
    poses, off = search(str(shipped()), h, kept, number=3, seed=1)
    assert poses.shape == (3, 17, 3) and off.shape == (3, 2)
    np.testing.assert_array_equal(poses[:, WRISTS], kept[WRISTS][None].repeat(3, axis=0))
    unsearched = model.pose("a man swings a tennis racket", 30, seed=1).keypoints
    far = np.linalg.norm(unsearched[:, WRISTS, :2] - kept[WRISTS, :2], axis=2)
    assert off.max() < 2 and off.mean() < far.min(axis=0).mean()
    rest = [place for place in range(17) if place not in WRISTS]
    between = np.linalg.norm(poses[0, rest, :2] - poses[1, rest, :2], axis=1)
    assert np.median(between) > 1  # they are poses of their own


def test_a_keypoint_that_g_would_hide_is_shown_where_it_is_kept(model):
    caption = "a skier goes down a slope"
    plain = model.pose(caption, 50, seed=0).keypoints
    hidden = int(plain[..., 2].mean(axis=0).argmin())
    assert plain[:, hidden, 2].mean() < 0.5
    nose = next(pose for pose in plain if pose[0, 2])[0]
    pose = np.tile(nose, (17, 1))  # near the nose, as it is a part of the face
    G = Run.read(shipped()).generator()
    h = model.scale * model.words.encode(caption)
    seen = []

    class Watched(type(G)):
        def poses(self, *arguments):
            seen.append(super().poses(*arguments))
            return seen[-1]

    G.__class__ = Watched
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "generator", lambda self: G)
        poses, _ = search(str(shipped()), h, kept_of(pose, [hidden]), number=4, seed=0)
    assert poses[:, hidden, 2].all()
    assert seen[-1][:, hidden, 2].all() and not seen[0][:, hidden, 2].all()  # G itself shows it


def test_the_note_tells_how_far_the_model_was_in_pixels_of_the_canvas(model):
    pose = kept_of(np.full((17, 3), 30.0), WRISTS)
    small, large = (
        model.pose("a man runs", 1, 0, Kept(pose, Canvas(side=side))).notes[-1]
        for side in (64.0, 64_000.0)
    )
    numbers = [float(note.split(" within ")[1].split()[0]) for note in (small, large)]
    assert numbers[1] == pytest.approx(1000 * numbers[0], abs=60) and numbers[1] > 0
    assert "stay where they were" in small


def test_networks_that_draw_heatmaps_are_refused(home):
    data = tiny.dataset()
    config = tiny.config("conditional_wgan_lp", caption_pool="pairs")
    run = tiny.run(paths.RUNS / "own", config, "conditional_random")
    train(run, data)
    with pytest.raises(InputError, match="own draws heatmaps"):
        search("own", np.zeros(300), kept_of(np.ones((17, 3)), WRISTS), 1, 0)
