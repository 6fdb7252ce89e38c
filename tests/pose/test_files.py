"""Files of poses: their formats by name, what is written, and what makes it again."""

import functools
import io
import json
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose import files, formats
from lib.pose.files import format_of, made_by
from lib.pose.formats import FORMATS
from lib.pose.model import Canvas, Model, Poses

MADE_BY = {"caption": "a man", "seed": 3, "number": 2, "model": "m", "weights": "w"}
POSES = Poses(np.ones((1, 17, 3)), MADE_BY)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


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
    written = files.write(made, out)
    assert len(written) == (2 if "openpose" in name else 1) and all(map(type(out).is_file, written))
    for which, file in enumerate(written):
        told = made_by(file)
        own = {"pose": which + 1 if len(written) == 2 else 0, "kept": None, "without": []}
        assert told | {"version": made.made_by["version"]} == made.made_by | own
        again = files.remake(model, file)
        wanted = made.keypoints if len(written) == 1 else made.keypoints[[which]]
        np.testing.assert_array_equal(again.keypoints, wanted)
        before = file.read_bytes()
        assert files.write(again, file) == [file] and file.read_bytes() == before


def test_other_weights_do_not_make_it_again(model, tmp_path):
    files.write(POSES, tmp_path / "a.json")
    with pytest.raises(InputError, match="a.json was made by m, whose weights"):
        files.remake(model, tmp_path / "a.json")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"<svg/>", b"PK", b"\x89PNG", b"\xff", b"3"]
)
def test_a_file_of_others_does_not_say_what_made_it(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match="does not say how"):
        made_by(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be read"):
        made_by(tmp_path / "b")


@pytest.mark.parametrize(
    "wrong",
    [{"number": 10**9}, {"number": "x"}, {"number": 0}, {"pose": 3}, {"pose": -1}, {"seed": None}],
)
def test_numbers_that_no_file_of_ours_has_are_refused(wrong, tmp_path):
    told = [{"made_by": MADE_BY | wrong}]
    (tmp_path / "a.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="does not say how"):
        made_by(tmp_path / "a.json")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="pose.json cannot be written"):
        files.write(POSES, tmp_path / "file" / "pose.json")


def test_a_stream_holds_one_file_or_a_list_of_objects(model):
    many = model.pose("a man runs", number=3)
    assert len(json.loads(files.together(many, "coco"))) == 3
    assert [len(o["people"]) for o in json.loads(files.together(many, "openpose"))] == [1, 1, 1]
    assert ElementTree.fromstring(files.together(many, "svg")).tag.endswith("svg")
    one = model.pose("a man runs")
    assert json.loads(files.together(one, "openpose"))["people"]
    Image.open(io.BytesIO(files.together(one, "openpose-png"))).verify()
    with pytest.raises(InputError, match="3 pictures"):
        files.together(many, "openpose-png")
    with pytest.raises(InputError, match="'gif'"):
        files.together(many, "gif")


def test_many_captions_are_lines_of_json(model, tmp_path, capsysbinary):
    captions = ["a man runs", "", "xyzzy", "two women sit"]
    ask = functools.partial(model.pose, number=2, seed=1)
    rows = list(files.lines(ask, captions, "coco"))
    assert [row["caption"] for row in rows] == captions
    assert [len(row.get("poses", [])) for row in rows] == [2, 0, 0, 2]
    assert "no words" in rows[1]["error"] and "knows no word" in rows[2]["error"]
    assert rows[0]["poses"] == formats.coco(model.pose("a man runs", 2, 1))
    assert not rows[0]["notes"] and "one person" in rows[3]["notes"][0]
    assert files.write_lines(rows, tmp_path / "a.jsonl") == 1
    assert files.write_lines(rows[:1], None) == 0
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["caption"] for line in lines] == captions
    assert json.loads(capsysbinary.readouterr().out) == json.loads(lines[0])
    assert [*files.lines(model.pose, ["?"], "openpose")] == [
        {"caption": "?", "error": "The caption has no words: say what the person does."}
    ]
    with pytest.raises(InputError, match="coco or openpose, not as svg"):
        list(files.lines(ask, captions, "svg"))


def test_captions_come_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes("a man\r\n\n“wave”\n".encode("utf-8-sig"))
    assert files.read_captions(str(tmp_path / "a.txt")) == ["a man", "", "“wave”"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"one\ntwo")))
    assert files.read_captions("-") == ["one", "two"]
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "c.txt").write_bytes(b"")
    for name, words in (("b.txt", "UTF-8"), ("c.txt", "no captions"), ("d.txt", "cannot be read")):
        with pytest.raises(InputError, match=words):
            files.read_captions(str(tmp_path / name))


# --- keypoints that are kept, and left out -------------------------------------------------------


def test_names_of_keypoints_are_read_as_people_write_them():
    assert files.named("left_wrist, Right Wrist,nose,") == ["left wrist", "right wrist", "nose"]
    assert files.named("") == []
    with pytest.raises(InputError, match="'left hand' is not known: did you mean left"):
        files.named("left_hand")


@pytest.fixture
def shown(tmp_path):
    """A pose on a canvas of its own, without ears and eyes."""
    pose = np.column_stack([np.arange(17) * 10 + 100, np.arange(17) ** 2 + 50, np.ones(17)])
    pose[1:5] = 0
    path = tmp_path / "shown.json"
    content = {"people": [{"pose_keypoints_2d": formats.with_neck(pose).flatten().tolist()}]}
    path.write_text(json.dumps(content | {"canvas_width": 640, "canvas_height": 480}))
    return path, pose


def test_what_is_kept_is_what_was_named_or_all_that_is_visible(shown):
    path, pose = shown
    kept = files.keep(path, ["left wrist", "nose"], ["nose"])
    assert [NAMES[i] for i in kept.pose[:, 2].nonzero()[0]] == ["left wrist"]
    assert (kept.canvas.width, kept.canvas.height) == (640, 480)
    np.testing.assert_allclose(kept.canvas.points(kept.pose[None])[0, 9], pose[9])
    assert files.keep(path).pose[:, 2].sum() == 13


def test_what_cannot_be_kept_is_said(shown, tmp_path):
    path, _ = shown
    with pytest.raises(InputError, match=r"shown\.json does not show .* left ear"):
        files.keep(path, ["nose", "left ear"])
    with pytest.raises(InputError, match="no keypoint would be kept"):
        files.keep(path, ["nose"], ["nose"])
    whole = Poses(np.full((1, 17, 3), 9.0), MADE_BY)
    files.write(whole, tmp_path / "whole.json")
    with pytest.raises(InputError, match="every keypoint would be kept"):
        files.keep(tmp_path / "whole.json")


@pytest.mark.parametrize("name", ["coco", "openpose", "svg", "numpy"])
def test_poses_with_kept_keypoints_are_made_again(name, shown, model, tmp_path):
    path, pose = shown
    kept = files.keep(path, ["left wrist", "right knee"])
    made = model.pose("a man runs", 2, 3, kept, ["right ear"])
    assert made.canvas == kept.canvas != Canvas()
    np.testing.assert_allclose(made.points[:, [9, 14]], pose[[9, 14]][None].repeat(2, 0))
    assert not made.keypoints[:, NAMES.index("right ear")].any()
    out = tmp_path / f"pose{'.openpose' if name == 'openpose' else ''}{FORMATS[name].suffix}"
    file = files.write(made, out, name)[-1]
    again = files.remake(model, file)
    wanted = made.keypoints[[1]] if name == "openpose" else made.keypoints
    np.testing.assert_array_equal(again.keypoints, wanted)
    assert again.canvas == made.canvas
    before = file.read_bytes()
    assert files.write(again, file, name) == [file] and file.read_bytes() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"kept": {"left hand": [1, 2]}, "canvas": {}},
        {"kept": {"nose": [1, float("nan")]}, "canvas": {}},
        {"kept": {"nose": [1]}, "canvas": {}},
        {"kept": {"nose": [1, 2]}},
        {"kept": {"nose": [1, 2]}, "canvas": {"width": -1}},
        {"without": ["left hand"]},
        {"without": 3},
    ],
)
def test_keypoints_that_no_file_of_ours_keeps_are_refused(wrong, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"made_by": MADE_BY | wrong}]))
    with pytest.raises(InputError, match="does not say how"):
        made_by(tmp_path / "a.json")
