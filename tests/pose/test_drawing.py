"""Pictures show the keypoints they were given."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lib.data.heatmaps import SIGMA
from lib.data.skeleton import COLOURS, EDGES, NAMES, SIDES
from lib.pose import drawing
from lib.pose.model import Canvas

MADE_BY = {"caption": "a man runs"}
CANVAS = Canvas()
SVG = "{http://www.w3.org/2000/svg}"


def pose(**places: tuple[float, float]) -> np.ndarray:
    """(17, 3) in heatmap pixels, with the named keypoints."""
    found = np.zeros((17, 3))
    for name, place in places.items():
        found[NAMES.index(name.replace("_", " "))] = (*place, 1)
    return found


ARM = pose(left_shoulder=(10, 10), left_elbow=(30, 20), left_wrist=(50, 10), right_knee=(32, 60))


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_svg_has_the_limbs_between_keypoints_that_are_there():
    root = ElementTree.fromstring(drawing.svg(CANVAS.points([ARM, ARM]), MADE_BY, CANVAS))
    assert root.find(f"{SVG}title").text == "a man runs"
    assert root.get("viewBox") == "0 0 1024 512"
    first, second = root.findall(f"{SVG}g")
    assert second.get("transform") == "translate(512 0)"
    lines = [
        [line.get(end) for end in ("x1", "y1", "x2", "y2")] for line in first.iter(f"{SVG}line")
    ]
    assert lines == [
        ["80.00", "80.00", "240.00", "160.00"],
        ["240.00", "160.00", "400.00", "80.00"],
    ]
    assert {line.get("stroke") for line in first.iter(f"{SVG}line")} == {SIDES["left"]}
    names = [circle.find(f"{SVG}title").text for circle in first.iter(f"{SVG}circle")]
    assert names == ["left shoulder", "left elbow", "left wrist", "right knee"]


def test_svg_breaks_a_row_after_six():
    root = ElementTree.fromstring(drawing.svg(CANVAS.points([ARM] * 8), MADE_BY, CANVAS))
    assert root.get("viewBox") == "0 0 3072 1024"
    assert root.findall(f"{SVG}g")[6].get("transform") == "translate(0 512)"


def test_a_sheet_glows_in_a_keypoint_s_colour_where_it_lies():
    image = picture(drawing.sheet(np.stack([ARM, pose(nose=(5, 60))]), MADE_BY))
    assert image.shape == (256, 2 * 256 + 8, 3)
    x, y = round(4 * (32 + 0.5)), round(4 * (60 + 0.5))
    np.testing.assert_allclose(image[y, x] / 255, COLOURS[NAMES.index("right knee")], atol=0.05)
    assert image[4 * 60 + 2, 264 + 4 * 5 + 2].min() > 240  # the nose is white
    assert not image[:60, 264:].any() and (image[:, 258] == 255).all()
    below = picture(drawing.sheet(np.stack([ARM] * 7), MADE_BY))
    assert below.shape == (520, 6 * 264 - 8, 3)
    np.testing.assert_array_equal(below[264:, :256], below[:256, :256])  # the seventh
    assert (below[264:, 264:] == 255).all()


def test_a_sheet_glows_as_wide_as_a_heatmap_does():
    image = picture(drawing.sheet(pose(nose=(30, 30))[None], MADE_BY)) / 255
    half = np.flatnonzero(image[round(4 * 30.5), :, 0] > 0.5)
    assert len(half) / 4 == pytest.approx(2 * SIGMA * np.sqrt(2 * np.log(2)), abs=0.5)


def test_a_sheet_has_a_line_between_neighbours():
    image = picture(drawing.sheet(ARM[None], MADE_BY))
    x, y = round(4 * 20.5), round(4 * 15.5)  # half way from shoulder to elbow
    np.testing.assert_allclose(image[y, x], [0xFF, 0xB3, 0x47], atol=12)
    assert not image[round(4 * 40.5), round(4 * 40.5)].any()


def test_openpose_s_colours_are_at_its_points_and_limbs():
    whole = np.concatenate([np.random.default_rng(0).uniform(4, 60, (17, 2)), np.ones((17, 1))], 1)
    whole[5], whole[7] = (10, 10, 1), (10, 50, 1)
    alone = np.zeros((17, 3))
    alone[[5, 7]] = whole[[5, 7]]
    image = picture(drawing.openpose_png(CANVAS.points(alone), MADE_BY, CANVAS))
    assert image.shape == (512, 512, 3)
    assert (
        tuple(image[80, 80]) == drawing.RAINBOW[5] and tuple(image[400, 80]) == drawing.RAINBOW[6]
    )
    # Left shoulder to elbow is the fifth limb.
    assert tuple(image[240, 80]) == tuple(int(0.6 * v) for v in drawing.RAINBOW[4])
    assert not image[240, 100].any()
    assert not picture(drawing.openpose_png(np.zeros((17, 3)), MADE_BY, CANVAS)).any()


def test_every_limb_of_openpose_is_drawn_once():
    joined = {frozenset(limb) for limb in drawing.LIMBS}
    assert len(joined) == len(drawing.LIMBS) == 17
    assert {point for limb in drawing.LIMBS for point in limb} == set(range(18))
    assert len(EDGES) == 18 and len(drawing.RAINBOW) == 18


def test_pictures_have_the_size_of_their_canvas():
    canvas = Canvas(300, 200, 50, -100, 400)
    root = ElementTree.fromstring(drawing.svg(canvas.points([ARM, ARM]), MADE_BY, canvas))
    assert root.get("viewBox") == "0 0 600 200"
    assert root.findall(f"{SVG}g")[1].get("transform") == "translate(300 0)"
    circle = root.find(f"{SVG}g/{SVG}circle")
    assert (circle.get("cx"), circle.get("cy")) == ("112.50", "-37.50")
    image = picture(drawing.openpose_png(canvas.points([ARM])[0], MADE_BY, canvas))
    assert image.shape == (200, 300, 3)
