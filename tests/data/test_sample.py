"""The sample data set: its files, its people, its words."""

import contextlib
import io
import json
from collections import Counter

import numpy as np
import pytest

from lib.data.heatmaps import fit_to_heatmap
from lib.data.sample import activities, body, people
from lib.data.skeleton import MIN_VISIBLE, NAMES

FILES = [
    f"{kind}_{split}2017.json"
    for kind in ("person_keypoints", "captions", "activities")
    for split in ("train", "val")
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    people.write(folder, seed=3, train_images=1200, val_images=160)
    return folder / "annotations"


@pytest.fixture(scope="module")
def files(written):
    return {name: json.loads((written / name).read_text()) for name in FILES}


def keypoints_of(persons):
    return np.array([person["keypoints"] for person in persons]).reshape(-1, 17, 3)


def eligible_with_activity(files, split):
    """Fitted poses (N, 17, 3) and the activity of each, of eligible persons."""
    persons = files[f"person_keypoints_{split}2017.json"]["annotations"]
    persons = [person for person in persons if person["num_keypoints"] >= MIN_VISIBLE]
    names = files[f"activities_{split}2017.json"]
    poses = fit_to_heatmap(keypoints_of(persons), np.array([p["bbox"] for p in persons]))
    return poses, np.array([names[str(person["image_id"])] for person in persons])


def one_person(azimuth, **angles):
    """The mean skeleton of one person: POINTS (24, 2) seen by the camera, and what is hidden."""
    bones = {name: np.array([length]) for name, length in body.BONES.items()}
    points, head = body.skeleton(np.array([activities.pose(**angles)], dtype=float), bones)
    level, far = np.zeros(1), np.full(1, 8.0)
    xy, away, behind = body.photograph(points, head, np.array([azimuth]), level, level, far)
    return points[0], xy[0], away[0], behind[0]


def test_pycocotools_reads_every_file(written):
    coco = pytest.importorskip("pycocotools.coco")
    for split, images in (("train", 1200), ("val", 160)):
        with contextlib.redirect_stdout(io.StringIO()):
            persons = coco.COCO(str(written / f"person_keypoints_{split}2017.json"))
            captions = coco.COCO(str(written / f"captions_{split}2017.json"))
        assert len(persons.getImgIds()) == len(captions.getImgIds()) == images
        assert persons.getCatIds(catNms=["person"]) == [1]
        assert len(persons.getAnnIds()) == len(persons.dataset["annotations"])  # ids are unique
        assert set(persons.getImgIds()) == set(persons.imgToAnns)  # somebody in every image
        for image in captions.getImgIds():
            texts = [caption["caption"] for caption in captions.imgToAnns[image]]
            assert len(texts) == 5 and len({text.lower().rstrip(".") for text in texts}) == 5


def test_splits_share_no_image_and_differ(files):
    train, val = (files[f"person_keypoints_{split}2017.json"] for split in ("train", "val"))
    assert not {i["id"] for i in train["images"]} & {i["id"] for i in val["images"]}
    known, new = (
        {tuple(p["keypoints"]) for p in content["annotations"] if p["num_keypoints"]}
        for content in (train, val)
    )
    assert known and new and not known & new


def test_same_seed_same_bytes_other_seed_other(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        people.write(tmp_path / folder, seed=seed, train_images=40, val_images=20)
    read = {
        f: [(tmp_path / f / "annotations" / name).read_bytes() for name in FILES] for f in "abc"
    }
    assert read["a"] == read["b"]
    assert all(one != other for one, other in zip(read["a"], read["c"], strict=True))


def test_every_activity_is_there_equally_often(files):
    assert len(people.ACTIVITIES) == len(set(people.ACTIVITIES)) >= 12
    for split in ("train", "val"):
        counts = Counter(files[f"activities_{split}2017.json"].values())
        assert set(counts) == set(people.ACTIVITIES)
        assert max(counts.values()) - min(counts.values()) <= 1
        images = {i["id"] for i in files[f"person_keypoints_{split}2017.json"]["images"]}
        assert {int(key) for key in files[f"activities_{split}2017.json"]} == images


def test_annotations_are_coherent(files):
    for split in ("train", "val"):
        content = files[f"person_keypoints_{split}2017.json"]
        sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
        for person in content["annotations"]:
            points = np.array(person["keypoints"]).reshape(17, 3)
            x, y, width, height = person["bbox"]
            image_width, image_height = sizes[person["image_id"]]
            assert person["category_id"] == 1 and person["iscrowd"] == 0
            assert all(isinstance(number, int) for number in person["keypoints"])
            assert set(points[:, 2]) <= {0, 1, 2}
            assert person["num_keypoints"] == (points[:, 2] > 0).sum()
            assert not points[points[:, 2] == 0].any()
            assert width > 0 and height > 0 and 0 < person["area"] < width * height
            assert x >= 0 and y >= 0
            assert x + width <= image_width + 0.01 and y + height <= image_height + 0.01
            seen = points[points[:, 2] > 0]
            assert (seen[:, 0] >= x - 0.5).all() and (seen[:, 0] <= x + width + 0.5).all()
            assert (seen[:, 1] >= y - 0.5).all() and (seen[:, 1] <= y + height + 0.5).all()


def test_variety_of_images_and_people(files):
    content = files["person_keypoints_train2017.json"]
    persons = content["annotations"]
    a_head = Counter(person["image_id"] for person in persons)
    several = np.mean([count > 1 for count in a_head.values()])
    labelled = np.array([person["num_keypoints"] for person in persons])
    eligible = labelled >= MIN_VISIBLE
    values = keypoints_of(persons)[..., 2]
    assert 0.28 < several < 0.42
    assert 0.85 < eligible.mean() < 0.97 and (~eligible).sum() > 20
    assert 13 < labelled[eligible].mean() < 15.5
    assert 0.01 < (values == 1).mean() < 0.15  # labelled, yet hidden
    assert len({(image["width"], image["height"]) for image in content["images"]}) >= 4


def test_standing_person_has_textbook_proportions():
    points, *_ = one_person(0.0, spine=(0, 0, 0))
    at = dict(zip(body.POINTS, points, strict=True))
    ground = at["left heel"][1]
    height = at["head top"][1] - ground
    assert height == pytest.approx(1, abs=0.03)
    for name, level in (("left shoulder", 0.818), ("left hip", 0.53), ("left knee", 0.285)):
        assert (at[name][1] - ground) / height == pytest.approx(level, abs=0.02)


def test_bones_keep_their_length_in_every_pose():
    rng = np.random.default_rng(0)
    n = 50
    bones = body.draw_bones(rng, n)
    for activity in people.ACTIVITIES:
        points, _ = body.skeleton(people.draw_angles(rng, activity, n)[0], bones)
        at = dict(zip(body.POINTS, points.transpose(1, 0, 2), strict=True))
        for side in ("left", "right"):
            for a, b, bone in (
                ("shoulder", "elbow", "upper arm"),
                ("elbow", "wrist", "forearm"),
                ("hip", "knee", "thigh"),
                ("knee", "ankle", "shank"),
            ):
                length = np.linalg.norm(at[f"{side} {a}"] - at[f"{side} {b}"], axis=1)
                assert np.allclose(length, bones[bone])
                relative = length / body.BONES[bone]
                assert (abs(relative - 1) <= 2 * body.BONE_SPREAD + 1e-9).all()


def test_elbows_and_knees_bend_the_right_way():
    points, *_ = one_person(0.0, left_arm=(0, 0, 0, 60), right_leg=(0, 0, 0, 60))
    at = dict(zip(body.POINTS, points, strict=True))
    assert at["left wrist"][2] > at["left elbow"][2] + 0.1  # z is forward
    assert at["right ankle"][2] < at["right knee"][2] - 0.1
    rng = np.random.default_rng(0)
    for activity in people.ACTIVITIES:
        bends = people.draw_angles(rng, activity, 200)[0][:, [11, 15, 19, 23]]
        assert bends.min() >= 0 and bends.max() <= 150


def test_angles_mean_what_the_table_says():
    points, *_ = one_person(
        0.0, spine=(0, 0, 0), left_arm=(90, 90, 0, 0), right_arm=(90, 0, 0, 0),
        left_leg=(90, 0, 0, 90), right_leg=(30, 90, 0, 0),
    )  # fmt: skip
    at = dict(zip(body.POINTS, points, strict=True))

    def way(a, b):
        return (at[b] - at[a]) / np.linalg.norm(at[b] - at[a])

    assert np.allclose(way("left shoulder", "left wrist"), (1, 0, 0))  # out to the left
    assert np.allclose(way("right shoulder", "right wrist"), (0, 0, 1))  # forward
    assert np.allclose(way("left hip", "left knee"), (0, 0, 1))
    assert np.allclose(way("left knee", "left ankle"), (0, -1, 0))  # sitting
    assert np.allclose(way("right hip", "right ankle"), (-0.5, -np.sqrt(0.75), 0))


@pytest.mark.parametrize(("azimuth", "sign"), [(0.0, 1), (180.0, -1)])
def test_left_is_at_the_right_of_the_image_from_the_front(azimuth, sign):
    _, xy, *_ = one_person(azimuth)
    at = dict(zip(body.POINTS, xy, strict=True))
    for part in ("shoulder", "elbow", "hip", "knee", "ankle", "eye", "ear"):
        assert sign * (at[f"left {part}"][0] - at[f"right {part}"][0]) > 0.01
    assert at["nose"][1] < at["left hip"][1] < at["left ankle"][1]  # y is down


def test_posing_people_face_the_camera(files):
    poses, names = eligible_with_activity(files, "train")
    poses = poses[names == "posing"]
    left, right = NAMES.index("left shoulder"), NAMES.index("right shoulder")
    both = (poses[:, [left, right], 2] > 0).all(axis=1)
    assert both.sum() > 40 and (poses[both, left, 0] > poses[both, right, 0]).all()


def test_the_body_hides_what_is_turned_away():
    face = [NAMES.index(name) for name in ("nose", "left eye", "right eye")]
    ears = [NAMES.index("left ear"), NAMES.index("right ear")]
    hidden = {azimuth: one_person(azimuth)[2] for azimuth in (0.0, 90.0, 180.0)}
    assert not hidden[0.0].any()
    assert hidden[180.0][face].all() and not hidden[180.0][ears].any()
    assert hidden[90.0][ears].tolist() == [True, False]  # facing right, the right ear is near
    *_, behind = one_person(90.0, spine=(0, 0, 0))
    assert behind[NAMES.index("left shoulder")] and not behind[NAMES.index("right shoulder")]


def test_the_table_hides_legs(files):
    poses, names = eligible_with_activity(files, "train")
    ankles = (poses[:, -2:, 2] > 0).any(axis=1)
    assert ankles[names == "table"].mean() < 0.4 < 0.8 < ankles[names != "table"].mean()


def test_the_horse_hides_the_far_leg(files):
    poses, names = eligible_with_activity(files, "train")
    poses = poses[np.isin(names, [n for n, a in activities.TABLE.items() if a.hides == "mount"])]
    at = {name: poses[:, i] for i, name in enumerate(NAMES)}
    has_nose_and_hips = (poses[:, [0, 11, 12], 2] > 0).all(axis=1)
    ahead = at["nose"][:, 0] - (at["left hip"][:, 0] + at["right hip"][:, 0]) / 2
    for facing, far, near in ((ahead > 10, "left", "right"), (ahead < -10, "right", "left")):
        rows = facing & has_nose_and_hips
        shares = [at[f"{side} ankle"][rows, 2].mean() for side in (far, near)]
        assert rows.sum() > 15 and shares[0] < shares[1] - 0.1


def test_left_handed_twin_is_the_mirror_image():
    rng = np.random.default_rng(0)
    points, head = body.skeleton(
        people.draw_angles(rng, "tennis", 5)[0], body.draw_bones(rng, 5)
    )  # fmt: skip
    twin, twin_head = body.mirrored(points, head)
    elbow = body.POINTS.index("left elbow"), body.POINTS.index("right elbow")
    assert np.allclose(twin[:, elbow[0]], points[:, elbow[1]] * (-1, 1, 1))
    assert np.allclose(np.linalg.det(twin_head), 1)
    again, again_head = body.mirrored(twin, twin_head)
    assert np.allclose(again, points) and np.allclose(again_head, head)


def test_activities_differ_in_their_poses(files):
    """A nearest neighbour tells them far better than chance (1 of 16)."""
    train, train_names = eligible_with_activity(files, "train")
    val, val_names = eligible_with_activity(files, "val")
    gap = ((train[None, ..., :2] - val[:, None, ..., :2]) ** 2).sum(axis=(2, 3))
    found = train_names[gap.argmin(axis=1)]
    assert (found == val_names).mean() > 0.5


def test_captions_tell_the_activity(files):
    """Naive Bayes on the words of one caption."""

    def words_of(split):
        names = files[f"activities_{split}2017.json"]
        for caption in files[f"captions_{split}2017.json"]["annotations"]:
            text = caption["caption"].lower().replace(".", "").replace(",", "")
            yield text.split(), people.ACTIVITIES.index(names[str(caption["image_id"])])

    vocabulary = {}
    for words, _ in words_of("train"):
        for word in words:
            vocabulary.setdefault(word, len(vocabulary))
    assert len(vocabulary) > 400
    counts = np.ones((len(people.ACTIVITIES), len(vocabulary)))
    for words, activity in words_of("train"):
        counts[activity, [vocabulary[word] for word in words]] += 1
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    right = [
        logs[:, [vocabulary[word] for word in words if word in vocabulary]].sum(1).argmax()
        == activity
        for words, activity in words_of("val")
    ]
    assert np.mean(right) > 0.9


def test_captions_speak_of_as_many_people_as_there_are(files):
    a_head = Counter(
        person["image_id"] for person in files["person_keypoints_train2017.json"]["annotations"]
    )
    many = {words for choices in activities.COUNTS.values() for words in choices}
    for caption in files["captions_train2017.json"]["annotations"]:
        text = f" {caption['caption'].lower()} "
        if a_head[caption["image_id"]] == 1:
            assert not any(f" {word} " in text for word in ("are", "two", "three", "several"))
        elif " the " not in text[:5]:
            assert any(f"{word} " in text for word in many), text


def test_words_make_sentences():
    rng = np.random.default_rng(0)
    for activity, entry in activities.TABLE.items():
        assert not entry.own_acts or len(entry.own_acts) == len(entry.motions)
        for motion in range(len(entry.motions)):
            for count in (1, 2, 5):
                for caption in people.describe(rng, activity, motion, count):
                    assert "{" not in caption and "  " not in caption
                    assert caption[0].isupper() and " a a" not in caption
