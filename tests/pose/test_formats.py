"""Poses as files: what other programs read of them, and what comes back."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose import files, formats
from lib.pose.formats import read
from lib.pose.model import Canvas, Poses

# OpenPose's output format, its section on "BODY_25 and COCO": the 18 of COCO.
OPENPOSE = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow",
    "left wrist", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
MADE_BY = {"caption": "a “man” runs <fast>", "seed": 3, "number": 2, "model": "m", "weights": "w"}


def some(number: int = 2, seed: int = 0) -> Poses:
    source = np.random.default_rng(seed)
    keypoints = np.concatenate(
        [source.uniform(2, 62, (number, 17, 2)), source.random((number, 17, 1)) < 0.8], axis=2
    )
    return Poses(keypoints, MADE_BY | {"number": number})


def test_coco_results_are_read_by_pycocotools(tmp_path):
    poses = some(3)
    files.write(poses, tmp_path / "pose.json")
    truth = COCO()
    truth.dataset = {
        "images": [{"id": number} for number in (1, 2, 3)],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}],
    }
    truth.createIndex()
    read_back = truth.loadRes(str(tmp_path / "pose.json"))
    rows = [read_back.loadAnns(read_back.getAnnIds(imgIds=[number]))[0] for number in (1, 2, 3)]
    found = np.array([row["keypoints"] for row in rows]).reshape(3, 17, 3)
    seen = poses.keypoints[..., 2] > 0
    np.testing.assert_allclose(found[seen][:, :2], 8 * poses.keypoints[seen][:, :2], atol=0.005)
    assert (found[seen][:, 2] == 2).all() and not found[~seen].any()
    assert {row["score"] for row in rows} == {1.0}


def test_openpose_has_its_points_in_its_order():
    poses = some(2)
    for pose, content in zip(poses.keypoints, formats.openpose(poses), strict=True):
        assert (content["canvas_width"], content["canvas_height"]) == (512, 512)
        points = np.reshape(content["people"][0]["pose_keypoints_2d"], (18, 3))
        for name, point in zip(OPENPOSE, points, strict=True):
            if name == "neck":
                continue
            x, y, visible = pose[NAMES.index(name)]
            wanted = [8 * x, 8 * y, 1.0] if visible else [0, 0, 0]
            np.testing.assert_allclose(point, wanted, atol=0.005)


def test_the_neck_lies_between_the_shoulders_if_both_are_there():
    pose = np.zeros((17, 3))
    pose[5], pose[6] = (10, 20, 1), (30, 40, 1)
    np.testing.assert_array_equal(formats.with_neck(pose)[1], [20, 30, 1])
    pose[6] = 0
    assert not formats.with_neck(pose)[1].any()


@pytest.mark.parametrize("name", ["coco", "openpose"])
def test_a_thousand_real_poses_come_back(name, coco_zip, tmp_path):
    """To a hundredth of a pixel; the neck is made from the shoulders and is not lost."""
    real = real_poses(coco_zip, 1_000)
    poses = Poses(Canvas().heatmap(real), MADE_BY)
    content = formats.TEXT[name](poses)
    (tmp_path / "poses.json").write_text(json.dumps(content))
    found, canvas = read(tmp_path / "poses.json")
    assert canvas == Canvas()
    np.testing.assert_allclose(found, real * real[..., 2:], atol=0.0051)


def real_poses(coco_zip, number: int) -> np.ndarray:
    """Keypoints (number, 17, 3) of COCO's validation images, visibility 0 or 1."""
    import zipfile

    with zipfile.ZipFile(coco_zip) as archive:
        rows = json.loads(archive.read("annotations/person_keypoints_val2017.json"))["annotations"]
    rows = [row["keypoints"] for row in rows if row["num_keypoints"]][:number]
    poses = np.array(rows, dtype=np.float64).reshape(number, 17, 3)
    poses[..., 2] = poses[..., 2] > 0
    return poses


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"people": [{"pose_keypoints_2d": [0.5, 0.25, 1.0] + [0] * 51}],
          "canvas_width": 200, "canvas_height": 400}, (100, 100, 1)),  # normalised
        ({"people": [{"pose_keypoints_2d": [50, 25, 0.7] + [0] * 51}]}, (50, 25, 1)),
        ({"annotations": [{"keypoints": [7, 8, 1] + [0] * 48}]}, (7, 8, 1)),
        ({"keypoints": [7, 8, 2] + [0] * 48}, (7, 8, 1)),
        ([{"keypoints": [7, 8, 0] + [0] * 48}], (0, 0, 0)),
    ],
)  # fmt: skip
def test_other_programs_files_are_read(content, wanted, tmp_path):
    (tmp_path / "in.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    np.testing.assert_allclose(read(tmp_path / "in.json")[0][0, 0], wanted)


@pytest.mark.parametrize(
    "content",
    [
        "", "[", "[]", "{}", "3", '"x"', "[3]", '{"people": []}', '{"people": [{}]}',
        '{"people": 3}', '{"annotations": 3}', '[{"keypoints": [1, 2]}]', '[{"keypoints": "abc"}]',
        '{"keypoints": {"a": 1}}', '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}',
        json.dumps([{"keypoints": [float("nan")] * 51}]),
        json.dumps({"people": [{"pose_keypoints_2d": [None] * 54}]}),
    ],
)  # fmt: skip
def test_what_holds_no_pose_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "in.json").write_text(content)
    with pytest.raises(InputError, match="in.json"):
        read(tmp_path / "in.json")


def test_numpy_s_file_has_pixels(tmp_path):
    poses = some(2)
    files.write(poses, tmp_path / "a.npz")
    found = np.load(tmp_path / "a.npz")["keypoints"]
    np.testing.assert_array_equal(found, poses.points)


def test_a_foreign_pose_fits_its_square_as_a_person_fits_a_box(coco_zip, tmp_path):
    """Its keypoints fill as much of the square as those of COCO's people fill of theirs."""
    pose = np.zeros((17, 3))
    pose[:3] = (100, 200, 1), (182, 200, 1), (141, 210, 1)
    (tmp_path / "in.json").write_text(json.dumps({"keypoints": pose.flatten().tolist()}))
    _, canvas = read(tmp_path / "in.json")
    assert canvas.side == pytest.approx(82 / formats.EXTENT) and canvas.width == 191
    np.testing.assert_allclose(canvas.heatmap([pose])[0, 2, :2], [32, 32 + 5 * 64 / canvas.side])
    content = {"people": [{"pose_keypoints_2d": formats.with_neck(pose).flatten().tolist()}]}
    content |= {"canvas_width": 640, "canvas_height": 480}
    (tmp_path / "in.json").write_text(json.dumps(content))
    _, of_openpose = read(tmp_path / "in.json")
    assert of_openpose == Canvas(640, 480, canvas.left, canvas.top, canvas.side)
    import zipfile

    with zipfile.ZipFile(coco_zip) as archive:
        rows = json.loads(archive.read("annotations/person_keypoints_val2017.json"))["annotations"]
    shares = []
    for row in (row for row in rows if row["num_keypoints"] >= 8):
        xy = np.reshape(row["keypoints"], (17, 3))
        xy = xy[xy[:, 2] > 0, :2]
        shares.append(np.ptp(xy, axis=0).max() / max(row["bbox"][2:]))
    assert np.median(shares) == pytest.approx(formats.EXTENT, abs=0.02)


@pytest.mark.parametrize(
    "content",
    [
        {"keypoints": [1e30, 5, 2] + [5] * 48},
        {"keypoints": [5] * 51, "made_by": {"canvas": {"width": 0}}},
        {"keypoints": [5] * 51, "made_by": {"canvas": {"breadth": 9}}},
        {"keypoints": [5] * 51, "made_by": {"canvas": {"side": float("nan")}}},
        {"keypoints": [5] * 51, "made_by": 3},
        {"people": [{"pose_keypoints_2d": [5] * 54}], "canvas_width": 10**9, "canvas_height": 9},
        {"people": [{"pose_keypoints_2d": [5] * 54}], "canvas_width": 512, "canvas_height": None},
    ],
)
def test_a_canvas_that_cannot_be_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"in\.json"):
        read(tmp_path / "in.json")
