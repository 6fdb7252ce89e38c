"""Poses as files: what other programs read of them, and what comes back."""

import io
import json
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose import formats
from lib.pose.formats import FORMATS, format_of, made_by, read
from lib.pose.model import Model, Poses

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


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_coco_results_are_read_by_pycocotools(tmp_path):
    poses = some(3)
    formats.write(poses, tmp_path / "pose.json")
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
    poses = Poses(real / [formats.SCALE, formats.SCALE, 1], MADE_BY)
    content = formats.TEXT[name](poses)
    (tmp_path / "poses.json").write_text(json.dumps(content))
    found = read(tmp_path / "poses.json")
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
    np.testing.assert_allclose(read(tmp_path / "in.json")[0, 0], wanted)


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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.png", "png"), ("a.PNG", "png"), ("a.svg", "svg"), ("a.json", "coco"),
        ("a.b.npz", "numpy"), ("a.openpose.json", "openpose"), ("a.OpenPose.png", "openpose-png"),
    ],
)  # fmt: skip
def test_the_format_follows_the_name(file, name, tmp_path):
    assert format_of(tmp_path / file) == name
    assert format_of(tmp_path / file, "svg") == "svg"


@pytest.mark.parametrize("file", ["a", "a.bmp", "a.openpose.svg", ".png", ""])
def test_a_name_that_says_no_format_is_refused(file, tmp_path):
    with pytest.raises(InputError, match="--format|folder"):
        format_of(tmp_path / file)
    with pytest.raises(InputError, match="'gif' is not known"):
        format_of(tmp_path / "a.png", "gif")


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_says_what_made_it_and_makes_it_again(name, model, tmp_path):
    out = tmp_path / f"pose{'.openpose' if 'openpose' in name else ''}{FORMATS[name].suffix}"
    made = model.pose("a “man” runs <fast> & falls", number=2, seed=3)
    files = formats.write(made, out)
    assert len(files) == (2 if "openpose" in name else 1) and all(map(type(out).is_file, files))
    for which, file in enumerate(files):
        told = made_by(file)
        assert told.items() <= (made.made_by | {"pose": which + 1}).items() and "seed" in told
        again = formats.remake(model, file)
        wanted = made.keypoints if len(files) == 1 else made.keypoints[[which]]
        np.testing.assert_array_equal(again.keypoints, wanted)
        before = file.read_bytes()
        assert formats.write(again, file) == [file] and file.read_bytes() == before


def test_other_weights_do_not_make_it_again(model, tmp_path):
    formats.write(some(1), tmp_path / "a.json")
    with pytest.raises(InputError, match="a.json was made by m, whose weights"):
        formats.remake(model, tmp_path / "a.json")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"<svg/>", b"PK", b"\x89PNG", b"\xff", b"3"]
)
def test_a_file_of_others_does_not_say_what_made_it(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match="does not say how"):
        made_by(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be read"):
        made_by(tmp_path / "b")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="pose.json cannot be written"):
        formats.write(some(), tmp_path / "file" / "pose.json")


def test_numpy_s_file_has_pixels(tmp_path):
    poses = some(2)
    formats.write(poses, tmp_path / "a.npz")
    found = np.load(tmp_path / "a.npz")["keypoints"]
    np.testing.assert_array_equal(found, formats.on_canvas(poses.keypoints))


def test_a_stream_holds_one_file_or_a_list_of_objects(model):
    many = model.pose("a man runs", number=3)
    assert len(json.loads(formats.together(many, "coco"))) == 3
    assert [len(o["people"]) for o in json.loads(formats.together(many, "openpose"))] == [1, 1, 1]
    assert ElementTree.fromstring(formats.together(many, "svg")).tag.endswith("svg")
    one = model.pose("a man runs")
    assert json.loads(formats.together(one, "openpose"))["people"]
    Image.open(io.BytesIO(formats.together(one, "openpose-png"))).verify()
    with pytest.raises(InputError, match="3 pictures"):
        formats.together(many, "openpose-png")
    with pytest.raises(InputError, match="'gif'"):
        formats.together(many, "gif")


def test_many_captions_are_lines_of_json(model, tmp_path, capsysbinary):
    captions = ["a man runs", "", "xyzzy", "two women sit"]
    rows = list(formats.lines(model, captions, 2, 1, "coco"))
    assert [row["caption"] for row in rows] == captions
    assert [len(row.get("poses", [])) for row in rows] == [2, 0, 0, 2]
    assert "no words" in rows[1]["error"] and "knows no word" in rows[2]["error"]
    assert rows[0]["poses"] == formats.coco(model.pose("a man runs", 2, 1))
    assert not rows[0]["notes"] and "one person" in rows[3]["notes"][0]
    assert formats.write_lines(rows, tmp_path / "a.jsonl") == 1
    assert formats.write_lines(rows[:1], None) == 0
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["caption"] for line in lines] == captions
    assert json.loads(capsysbinary.readouterr().out) == json.loads(lines[0])
    assert [*formats.lines(model, ["?"], 1, 0, "openpose")] == [
        {"caption": "?", "error": "The caption has no words: say what the person does."}
    ]
    with pytest.raises(InputError, match="coco or openpose, not as svg"):
        list(formats.lines(model, captions, 1, 0, "svg"))


def test_captions_come_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes("a man\r\n\n“wave”\n".encode("utf-8-sig"))
    assert formats.read_captions(str(tmp_path / "a.txt")) == ["a man", "", "“wave”"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"one\ntwo")))
    assert formats.read_captions("-") == ["one", "two"]
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "c.txt").write_bytes(b"")
    for name, words in (("b.txt", "UTF-8"), ("c.txt", "no captions"), ("d.txt", "cannot be read")):
        with pytest.raises(InputError, match=words):
            formats.read_captions(str(tmp_path / name))
