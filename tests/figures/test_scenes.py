"""Drawn scenes show who is there, with what belongs to the activity."""

import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from lib.data.sample import people
from lib.data.skeleton import FLIP, NAMES
from lib.figures import scenes
from lib.figures.page import Page
from lib.figures.poses import annotated_image

SIZE = 640, 480
STANDING = {  # a body of 400 pixels, which faces the image's right
    "nose": (312, 80), "left eye": (309, 73), "right eye": (305, 73), "left ear": (300, 76),
    "right ear": (296, 76), "left shoulder": (322, 130), "right shoulder": (278, 130),
    "left elbow": (330, 204), "right elbow": (270, 204), "left wrist": (335, 262),
    "right wrist": (265, 262), "left hip": (315, 245), "right hip": (285, 245),
    "left knee": (318, 343), "right knee": (282, 343), "left ankle": (320, 441),
    "right ankle": (280, 441),
}  # fmt: skip


def standing(*missing: str) -> np.ndarray:
    """Keypoints (17, 3) of STANDING, without those that are missing."""
    rows = [(*STANDING[name], 2) if name not in missing else (0, 0, 0) for name in NAMES]
    return np.array(rows, float)


def drawn(keypoints: np.ndarray, activity: str, captions=()) -> list:
    """What a scene consists of, without the axes' own parts."""
    ax = (figure := Page(5, 4)).place(0, 0, 5, 3.75)
    own = set(ax.get_children())
    scenes.draw(ax, keypoints, SIZE, activity, captions)
    figure.draw_without_rendering()
    return [artist for artist in ax.get_children() if artist not in own]


def test_a_person_is_measured():
    person = scenes.Person.seen(standing())
    assert person.height == pytest.approx(400, rel=0.05) and person.way == 1
    assert len(person.at) == 17 and len(scenes.Person.seen(standing("nose")).at) == 16
    np.testing.assert_allclose(person.middle("ankle"), (300, 441))
    assert scenes.Person.seen(np.zeros((17, 3))).middle("ankle") is None


@pytest.mark.parametrize("activity", people.ACTIVITIES)
def test_whoever_does_something_has_what_it_takes(activity):
    bare, more = (len(drawn(standing(), name)) for name in ("nothing", activity))
    assert (more > bare) == (activity in scenes.BEHIND | scenes.IN_FRONT)


def test_only_who_walks_or_poses_needs_nothing():
    named = scenes.BEHIND | scenes.IN_FRONT
    assert set(people.ACTIVITIES) - set(named) == {"walking", "posing"}
    assert set(named) <= set(people.ACTIVITIES) and set(scenes.GROUNDS) <= set(people.ACTIVITIES)


@pytest.mark.parametrize("activity", people.ACTIVITIES)
def test_parts_may_be_missing(activity):
    rng = np.random.default_rng(0)
    for number in (0, 1, 8, 12):
        missing = rng.permutation(NAMES)[number:]
        drawn(standing(*missing), activity)


def ball(keypoints: np.ndarray) -> tuple[float, float]:
    (found,) = [a for a in drawn(keypoints, "soccer")
                if isinstance(a, Ellipse) and same_color(a.get_facecolor(), "white")]  # fmt: skip
    return found.center


def test_who_faces_the_other_way_has_the_ball_on_the_other_side():
    keypoints = standing()
    mirrored = keypoints[list(FLIP)] * (-1, 1, 1) + (SIZE[0], 0, 0)
    assert scenes.Person.seen(mirrored).way == -1
    (x, y), (mirrored_x, mirrored_y) = ball(keypoints), ball(mirrored)
    assert x > STANDING["left ankle"][0] and (SIZE[0] - x, y) == pytest.approx(
        (mirrored_x, mirrored_y)
    )


def test_a_motorcycle_is_under_who_rides_it():
    wheels = [a for a in drawn(standing(), "motorcycle")
              if isinstance(a, Ellipse) and to_hex(a.get_edgecolor()) == scenes.RUBBER]  # fmt: skip
    wheels = [wheel for wheel in wheels if wheel.get_facecolor()[3] == 0]
    assert len(wheels) == 2 and all(wheel.center[1] > 400 for wheel in wheels)
    assert min(w.center[0] for w in wheels) < 300 < max(w.center[0] for w in wheels)


@pytest.mark.parametrize(
    ("caption", "colour"),
    [
        ("a man in a red shirt is surfing in blue water.", "red"),
        ("an athlete in an orange hat on a green field", scenes.SHIRT),
        ("a black and white photo of a man", scenes.SHIRT),
    ],
)
def test_a_shirt_has_the_colour_that_captions_name(caption, colour):
    lines = [a for a in drawn(standing(), "posing", ["a man stands", caption])
             if isinstance(a, Line2D)]  # fmt: skip
    assert any(same_color(line.get_color(), colour) for line in lines)
    others = {"red", "orange", "black", "blue", "green"} - {colour}
    assert not any(same_color(line.get_color(), other) for line in lines for other in others)


def test_figure_1_has_a_scene_below_box_and_keypoints_where_the_activity_is_known():
    keypoints, box = standing(), (255, 60, 95, 400)
    ax = annotated_image(keypoints, box, SIZE, ["a man"], None, "soccer").axes[0]
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots.get_xydata(), keypoints[:, :2])
    (frame,) = [patch for patch in ax.patches if patch.get_fill() is False]
    assert frame.get_bbox().bounds == box
    below = [a.get_zorder() for a in (*ax.lines, *ax.patches) if a not in (dots, frame)]
    assert len(below) > 15 and max(below) < min(dots.get_zorder(), frame.get_zorder())
    photo = np.zeros((480, 640, 3))
    ax = annotated_image(keypoints, box, SIZE, ["a man"], photo, "soccer").axes[0]
    assert len(ax.images) == 1 and len(ax.lines) == 1  # a photograph needs no scene
