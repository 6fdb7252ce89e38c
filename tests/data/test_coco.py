"""COCO's files to poses and pairs (thesis 3.1, 4.3), and what is left out."""

import json
import math
import tempfile
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import coco
from lib.errors import InputError

TRAIN, TRAIN_CAPTIONS = "person_keypoints_train2017", "captions_train2017"


def read(path):
    """What ``coco.read`` gives, split by split, with activities by name; what is left out, and
    which files are missing."""
    arrays, captions, found = coco.read(path)
    splits = {}
    for name in coco.SPLITS:
        own = {key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(name)}
        assert bytes(own["captions"]).decode() == "\n".join(captions[name])
        own["captions"], own["persons"] = captions[name], found["counts"][name]["persons"]
        own["activities"] = [(*found["activities"], None)[i] for i in own["activity"]]
        splits[name] = SimpleNamespace(**own)
    return splits, found["left_out"], found["missing"]


def test_eligible_poses_and_pairs(tiny_coco, tmp_path, capfd):
    splits, left_out, missing = read(tiny_coco(tmp_path, train=12, val=6, crowded=3))
    train = splits["train"]
    assert (len(train.keypoints), len(splits["val"].keypoints)) == (15, 9)
    assert train.persons == 12 + 2 * 3
    # Only the twelve with an image of their own are pairs: a bystander, eligible or not, counts.
    assert train.image_ids[train.pair_pose].tolist() == list(range(101, 113))
    assert len(splits["val"].pair_pose) == 6
    assert left_out == dict.fromkeys(coco.REASONS, 0) and missing == []
    assert capfd.readouterr().out == ""  # pycocotools is kept silent


def test_order_and_content(tiny_coco, tmp_path):
    files = {}
    chosen = read(tiny_coco(tmp_path, edit=files.update))[0]["train"]
    assert chosen.person_ids.tolist() == [
        10 * i for i in range(101, 116)
    ]  # the files' order is not
    persons = {p["id"]: p for p in files[TRAIN]["annotations"]}
    for row, number in enumerate(chosen.person_ids):
        assert chosen.keypoints[row].ravel().tolist() == persons[number]["keypoints"]
        assert chosen.boxes[row].tolist() == persons[number]["bbox"]
    assert (chosen.image_sizes == [320, 240]).all()
    assert chosen.activities[0] == files["activities_train2017"]["101"]
    assert chosen.captions[:2] == [
        "a person throwing today, view 0.",
        "a person throwing today, view 1.",
    ]
    for pose, first, count in zip(
        chosen.pair_pose, chosen.pair_first, chosen.pair_count, strict=True
    ):
        rows = slice(first, first + count)
        assert count == 5 and chosen.single[pose]
        assert (chosen.caption_images[rows] == chosen.image_ids[pose]).all()
        assert [c[-2] for c in chosen.captions[rows]] == list("01234")


@pytest.mark.parametrize(("labelled", "eligible"), [(7, False), (8, True)])
def test_eight_labelled_keypoints_are_enough(tiny_coco, tmp_path, labelled, eligible):
    def edit(files):
        target = next(p for p in files[TRAIN]["annotations"] if p["id"] == 1010)
        target["keypoints"][2::3] = [1] * labelled + [0] * (17 - labelled)
        target["num_keypoints"] = 17  # what counts is the keypoints themselves

    chosen = read(tiny_coco(tmp_path, edit=edit))[0]["train"]
    assert (1010 in chosen.person_ids) == eligible


def test_ineligible_bystander_makes_no_pair(tiny_coco, tmp_path):
    def edit(files):
        persons = files[TRAIN]["annotations"]
        persons.append(next(p for p in persons if p["id"] == 1131) | {"id": 9, "image_id": 101})

    chosen = read(tiny_coco(tmp_path, edit=edit))[0]["train"]
    assert 101 in chosen.image_ids and 101 not in chosen.image_ids[chosen.pair_pose]


def corrupt_51(person):
    person["keypoints"] = person["keypoints"][:50]


def corrupt_text(person):
    person["keypoints"][3] = "12"


def corrupt_null(person):
    person["keypoints"][3] = None


def corrupt_absent(person):
    del person["keypoints"]


def corrupt_nan(person):
    person["keypoints"][4] = math.nan


def corrupt_flat(person):
    person["bbox"][3] = 0


def corrupt_negative(person):
    person["bbox"][2] = -5


def corrupt_no_box(person):
    del person["bbox"]


@pytest.mark.parametrize(
    ("corrupt", "reason"),
    [
        (corrupt_51, coco.NOT_51_NUMBERS),
        (corrupt_text, coco.NOT_51_NUMBERS),
        (corrupt_null, coco.NOT_51_NUMBERS),
        (corrupt_absent, coco.NOT_51_NUMBERS),
        (corrupt_nan, coco.NOT_A_NUMBER),
        (corrupt_flat, coco.NO_AREA),
        (corrupt_negative, coco.NO_AREA),
        (corrupt_no_box, coco.NO_AREA),
    ],
)
def test_malformed_person_is_left_out_and_counted(tiny_coco, tmp_path, corrupt, reason):
    def edit(files):
        corrupt(next(p for p in files[TRAIN]["annotations"] if p["id"] == 1030))

    splits, left_out, _ = read(tiny_coco(tmp_path, edit=edit))
    assert left_out == dict.fromkeys(coco.REASONS, 0) | {reason: 1}
    assert 1030 not in splits["train"].person_ids and len(splits["train"].person_ids) == 14


def test_pose_without_caption_stays_a_pose(tiny_coco, tmp_path):
    def edit(files):
        entries = files[TRAIN_CAPTIONS]["annotations"]
        entries[:] = [c for c in entries if c["image_id"] not in (101, 102, 113)]
        next(c for c in entries if c["id"] == 1030)["caption"] = " \n"

    splits, left_out, missing = read(tiny_coco(tmp_path, edit=edit))
    train = splits["train"]
    assert len(train.keypoints) == 15 and len(train.pair_pose) == 10 and missing == []
    assert left_out[coco.NO_CAPTION] == 2  # 113 shows two persons: it would not be a pair anyway
    assert left_out[coco.NO_TEXT] == 1
    pair = train.image_ids[train.pair_pose].tolist().index(103)
    assert train.pair_count[pair] == 4


def test_missing_caption_file_is_named(tiny_coco, tmp_path):
    splits, _, missing = read(tiny_coco(tmp_path, captions=("val",)))
    assert missing == ["annotations/captions_train2017.json"]
    assert len(splits["train"].keypoints) == 15 and len(splits["train"].pair_pose) == 0
    assert len(splits["val"].pair_pose) == 6


def test_zip_and_folder_are_the_same(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path / "a")
    archive = tiny_coco(tmp_path / "b", zipped=True)
    one, two = coco.Archive(folder), coco.Archive(archive)
    assert one.hashes() == two.hashes()
    assert len(one.hashes()) == 6
    a, b = read(folder)[0]["val"], read(archive)[0]["val"]
    assert np.array_equal(a.keypoints, b.keypoints) and a.captions == b.captions


def says(message: str, *parts: str) -> bool:
    return all(part in message for part in parts) and "\n" not in message


def read_error(path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


def test_missing_path(tmp_path):
    assert says(read_error(tmp_path / "none.zip"), "no file or folder", "none.zip")


def test_neither_zip_nor_annotations(tmp_path):
    (tmp_path / "some.zip").write_bytes(b"not a zip at all")
    assert says(read_error(tmp_path / "some.zip"), "some.zip", "not a whole zip")
    assert says(read_error(tmp_path), "annotations/")


def test_truncated_zip(tiny_coco, tmp_path):
    path = tiny_coco(tmp_path, zipped=True)
    path.write_bytes(path.read_bytes()[:-2000])
    assert says(read_error(path), path.name, "not a whole zip", "get it again")


def test_damaged_member(tiny_coco, tmp_path):
    path = tiny_coco(tmp_path, zipped=True)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("annotations/person_keypoints_val2017.json")
    data = bytearray(path.read_bytes())
    middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    data[middle : middle + 8] = bytes(8)
    path.write_bytes(data)
    assert says(read_error(path), info.filename, "damaged")
    with pytest.raises(InputError, match="damaged"):
        coco.Archive(path).hashes()


def test_member_cut_off_inside_zip(tiny_coco, tmp_path):
    # A stored member whose checksum and length are right, but whose JSON ends early.
    folder = tiny_coco(tmp_path)
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((folder / "annotations").iterdir()):
            archive.writestr(f"annotations/{file.name}", file.read_bytes()[:-100])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert zlib.crc32(b"") == 0
    assert says(read_error(path), "annotations/person_keypoints_train2017.json", "valid JSON")


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"a": \x00}', "\udcff"])
def test_invalid_json(tiny_coco, tmp_path, text):
    folder = tiny_coco(tmp_path)
    file = folder / "annotations" / "captions_val2017.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says(read_error(folder), "annotations/captions_val2017.json", "valid JSON")


def test_missing_keypoint_file(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path)
    (folder / "annotations" / "person_keypoints_val2017.json").unlink()
    assert says(read_error(folder), "has no annotations/person_keypoints_val2017.json")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        3,
        {"images": [], "annotations": {}},
        {"images": {}, "annotations": [{"id": 1, "image_id": 1, "keypoints": []}]},
        {"images": [{"name": "a"}], "annotations": []},
        {"images": [], "annotations": [{"id": 1, "image_id": "one", "keypoints": []}]},
        {"images": [], "annotations": [{"id": 1, "keypoints": []}]},
        {"images": [], "annotations": [{"id": 1, "image_id": 1, "segmentation": []}]},
        {"images": [], "annotations": [["id", "image_id"]]},
    ],
)
def test_other_layout(tiny_coco, tmp_path, content):
    folder = tiny_coco(tmp_path)
    (folder / "annotations" / "person_keypoints_train2017.json").write_text(json.dumps(content))
    message = read_error(folder)
    if content == {"images": [], "annotations": {}}:  # an empty list, as good as
        assert says(message, "no eligible pose")
    else:
        assert says(message, "annotations/person_keypoints_train2017.json", "not laid out")


def test_captions_of_another_layout(tiny_coco, tmp_path):
    def edit(files):
        files["captions_val2017"] = files["person_keypoints_val2017"]

    message = read_error(tiny_coco(tmp_path, edit=edit))
    assert says(message, "captions_val2017.json", "not laid out", "caption")


def test_repeated_id(tiny_coco, tmp_path):
    def edit(files):
        files[TRAIN]["annotations"].append(files[TRAIN]["annotations"][0])

    assert says(read_error(tiny_coco(tmp_path, edit=edit)), TRAIN, "one id to several")


def test_no_eligible_pose(tiny_coco, tmp_path):
    def edit(files):
        for person in files[TRAIN]["annotations"]:
            person["keypoints"][2::3] = [2] * 7 + [0] * 10
        files[TRAIN]["annotations"][0]["bbox"][3] = 0

    message = read_error(tiny_coco(tmp_path, edit=edit))
    assert says(message, TRAIN, "no eligible pose", "18 persons", "1 are malformed")


def test_activities_of_another_layout(tiny_coco, tmp_path):
    def edit(files):
        files["activities_val2017"] = ["tennis"]

    assert says(read_error(tiny_coco(tmp_path, edit=edit)), "activities_val2017.json", "activities")


def test_unknown_image_size_and_activity(tiny_coco, tmp_path):
    def edit(files):
        files[TRAIN]["images"] = [i for i in files[TRAIN]["images"] if i["id"] != 101]
        del files["activities_train2017"]["102"]

    chosen = read(tiny_coco(tmp_path, edit=edit))[0]["train"]
    assert chosen.image_sizes[0].tolist() == [0, 0] and chosen.activities[1] is None


# --- anything that JSON can hold ----------------------------------------------------------------

numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none())
values = st.recursive(
    st.one_of(numbers, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
GOOD = {"id": 7, "image_id": 1, "keypoints": [10, 20, 2] * 17, "bbox": [0, 0, 30, 40]}
IMAGE = {"id": 1, "width": 40, "height": 50}
changes = {  # of a good person: mostly of the right form
    "id": st.integers(-(2**70), 2**70),
    "image_id": st.integers(-(2**70), 2**70),
    "keypoints": st.lists(numbers, min_size=51, max_size=51),
    "bbox": st.lists(numbers, min_size=4, max_size=4),
}
changed = st.sampled_from(list(changes)).flatmap(
    lambda name: st.one_of(changes[name], values).map(lambda value: GOOD | {name: value})
)
persons = st.lists(st.one_of(changed, changed, changed, values), max_size=2)
images = st.one_of(*[st.just([IMAGE])] * 3, values, values.map(lambda v: [IMAGE | {"width": v}]))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(persons, images)
def test_whatever_a_file_holds_it_is_read_or_refused(annotations, images):
    """A good person next to anything at all: never another error than a refusal."""
    good = {"images": images, "annotations": [GOOD | {"id": 9, "image_id": 2}, *annotations]}
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "annotations"
        files.mkdir()
        for split in coco.SPLITS:
            (files / f"person_keypoints_{split}2017.json").write_text(json.dumps(good))
        try:
            splits, left_out, _ = read(Path(folder))
        except InputError:
            return
        eligible = len(splits["train"].keypoints)
        assert 1 <= eligible <= splits["train"].persons == 1 + len(annotations)
        assert np.isfinite(splits["train"].keypoints).all()
        assert sum(left_out.values()) % 2 == 0  # both splits are the same
