"""COCO's files to poses and pairs (thesis 3.1, 4.3), and what is left out."""

import json
import math
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import archive, coco
from lib.data.skeleton import NAMES
from lib.errors import InputError

TRAIN, TRAIN_CAPTIONS = "person_keypoints_train2017", "captions_train2017"


def read(path):
    """What ``coco.read`` gives, split by split, with activities by name; what is left out, and
    which files are missing."""
    arrays, captions, found = coco.read(path)
    splits = {}
    for name in archive.SPLITS:
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


def says(message: str, *parts: str) -> bool:
    return all(part in message for part in parts) and "\n" not in message


def read_error(path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        3,
        {"images": [], "annotations": {}},
        {"images": {}, "annotations": [{"id": 1, "image_id": 1, "keypoints": []}]},
        {"images": [{"name": "a"}], "annotations": []},
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
    assert says(
        message, TRAIN, "no eligible pose", "18 persons", "1 × person whose box has no area"
    )


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
        for split in archive.SPLITS:
            (files / f"person_keypoints_{split}2017.json").write_text(json.dumps(good))
        try:
            splits, left_out, _ = read(Path(folder))
        except InputError:
            return
        eligible = len(splits["train"].keypoints)
        assert 1 <= eligible <= splits["train"].persons == 1 + len(annotations)
        assert np.isfinite(splits["train"].keypoints).all()
        assert sum(left_out.values()) % 2 == 0  # both splits are the same


# --- files as other programs write them -----------------------------------------------------------


def category(names, number=1, name="person"):
    return {"id": number, "name": name, "keypoints": names}


def test_keypoints_come_in_the_order_that_the_file_names(tiny_coco, tmp_path):
    """As CVAT exports skeletons in an order of its own."""

    def edit(files):
        for split in archive.SPLITS:
            content = files[f"person_keypoints_{split}2017"]
            content["categories"] = [category([n.replace(" ", "_") for n in NAMES[::-1]])]
            for each in content["annotations"]:
                each["keypoints"] = np.reshape(each["keypoints"], (17, 3))[::-1].ravel().tolist()

    plain, turned = (
        read(tiny_coco(tmp_path / str(bool(how)), edit=how))[0]["train"] for how in (None, edit)
    )
    assert np.array_equal(plain.keypoints, turned.keypoints)


def test_the_first_of_more_keypoints_are_found_by_name(tiny_coco, tmp_path):
    def edit(files):
        for split in archive.SPLITS:
            content = files[f"person_keypoints_{split}2017"]
            content["categories"] = [category(["head top", *NAMES, "toe"])]
            for each in content["annotations"]:
                each["keypoints"] = [9, 9, 2, *each["keypoints"], 8, 8, 2]

    plain, more = (
        read(tiny_coco(tmp_path / str(bool(how)), edit=how))[0]["train"] for how in (None, edit)
    )
    assert np.array_equal(plain.keypoints, more.keypoints)


def test_lists_of_three_are_keypoints(tiny_coco, tmp_path):
    def edit(files):
        for each in files[TRAIN]["annotations"]:
            each["keypoints"] = np.reshape(each["keypoints"], (17, 3)).tolist()

    plain, nested = (
        read(tiny_coco(tmp_path / str(bool(how)), edit=how))[0]["train"] for how in (None, edit)
    )
    assert np.array_equal(plain.keypoints, nested.keypoints)


@pytest.mark.parametrize("number", [14, 136])
def test_other_skeletons_are_said_so(tiny_coco, tmp_path, number):
    def edit(files):
        for each in files[TRAIN]["annotations"]:
            each["keypoints"] = [5, 5, 2] * number

    message = read_error(tiny_coco(tmp_path, edit=edit))
    assert says(message, f"as 51 numbers, not {3 * number}", "18 × person whose keypoints are not")

    def named(files):
        edit(files)
        files[TRAIN]["categories"] = [category([f"point {i}" for i in range(number)])]

    message = read_error(tiny_coco(tmp_path / "named", edit=named))
    assert says(message, f"has {number} keypoints, and no 'nose'")


def test_a_dog_is_nobody(tiny_coco, tmp_path):
    """Neither an annotation of a dog nor an empty one makes a person less alone."""

    def edit(files):
        content = files[TRAIN]
        content["categories"] = [category(list(NAMES)), category(None, 18, "dog")]
        for each in content["annotations"]:
            each["category_id"] = 1
        good = content["annotations"][-1]
        dog = {"id": 1, "image_id": 101, "category_id": 18, "bbox": [1, 2, 3, 4]}
        horse = good | {"id": 2, "image_id": 102, "category_id": 18}
        empty = {"id": 3, "image_id": 103, "category_id": 1, "bbox": [0, 0, 0, 0]}
        content["annotations"] += [dog, horse, empty]

    plain, more = (read(tiny_coco(tmp_path / str(bool(how)), edit=how)) for how in (None, edit))
    for key in ("keypoints", "pair_pose", "person_ids"):
        assert np.array_equal(*(getattr(found[0]["train"], key) for found in (plain, more)))
    assert more[1] == plain[1] | {coco.NOBODY: 1}


@pytest.mark.parametrize("convert", [lambda i: f"{i:012d}", float])
def test_ids_may_be_text_or_floats_where_they_are_numbers(tiny_coco, tmp_path, convert):
    def edit(files):
        for content in (files[TRAIN], files[TRAIN_CAPTIONS]):
            for each in content["annotations"]:
                each["image_id"], each["id"] = convert(each["image_id"]), convert(each["id"])
        for image in files[TRAIN]["images"]:
            image["id"] = convert(image["id"])

    plain, other = (
        read(tiny_coco(tmp_path / str(bool(how)), edit=how))[0]["train"] for how in (None, edit)
    )
    for key in ("image_ids", "person_ids", "caption_images", "image_sizes"):
        assert np.array_equal(getattr(plain, key), getattr(other, key))


def test_captions_may_go_without_ids(tiny_coco, tmp_path):
    def edit(files):
        for each in files[TRAIN_CAPTIONS]["annotations"]:
            del each["id"]

    train = read(tiny_coco(tmp_path, edit=edit))[0]["train"]
    assert len(train.pair_pose) == 12 and (train.pair_count == 5).all()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2**63, "64 bits"), (-(2**64), "64 bits"), ("one", "whole number"), (1.5, "whole number"),
        (True, "whole number"), (None, "whole number"), ("9" * 5000, "whole number"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["id", "image_id"])
def test_ids_that_are_no_numbers_are_named(tiny_coco, tmp_path, key, value, said):
    def edit(files):
        files[TRAIN]["annotations"][0][key] = value

    message = read_error(tiny_coco(tmp_path, edit=edit))
    assert says(message, TRAIN, f"has {key} ", said) and len(message) < 300


def confident(person):
    person["keypoints"][2::3] = [0.95] * 4 + [0.02] * 13


def far(person):
    person["keypoints"][3] = 1e30


def endless(person):
    person["keypoints"][3] = math.inf


def hardly_a_box(person):
    person["bbox"][2] = 1e-44


@pytest.mark.parametrize(
    ("corrupt", "reason"),
    [
        (confident, coco.CONFIDENCE),
        (far, coco.TOO_FAR),
        (endless, coco.NOT_A_NUMBER),
        (hardly_a_box, coco.NO_AREA),
    ],
)
def test_persons_that_are_left_out_have_a_reason_each(tiny_coco, tmp_path, corrupt, reason):
    test_malformed_person_is_left_out_and_counted(tiny_coco, tmp_path, corrupt, reason)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**40, "320", None])
def test_a_size_that_is_none_is_unknown(tiny_coco, tmp_path, value):
    def edit(files):
        next(image for image in files[TRAIN]["images"] if image["id"] == 101)["width"] = value

    sizes = read(tiny_coco(tmp_path, edit=edit))[0]["train"].image_sizes
    assert sizes[0].tolist() == [0, 0] and (sizes[1:] == [320, 240]).all()
