"""The sample data set: generated people in COCO's layout, with captions and their activities.

What people do, and the words for it, are data (activities.py); how a body follows from joint
angles and how a camera sees it is body.py. Here people are drawn, put into images, partly
hidden, described and written. Each split has its own generator, and all coordinates are rounded,
so that a seed gives the same files on every machine.
"""

import json
from pathlib import Path

import numpy as np

from lib.data.sample import activities
from lib.data.sample.activities import TABLE
from lib.data.sample.body import RADIUS, draw_bones, mirrored, photograph, skeleton
from lib.data.skeleton import EDGES, NAMES

ACTIVITIES = tuple(TABLE)

SIZES = ((640, 480), (640, 427), (480, 640), (427, 640), (500, 375), (375, 500), (640, 640))
SEVERAL = 0.35  # share of images with more than one person
CROWD = (2, 3, 4, 5), (0.5, 0.27, 0.15, 0.08)  # how many people there are then
TINY = 0.25  # share of the further people of an image who are far away, mostly unlabelled
CROPPED = 0.08  # share of people who reach over the border of the image
BLOCKED = 0.12  # share of people with something in front of them
UNLABELLED = 0.01  # share of keypoints that nobody labelled
FIRST_ID = {"train": 1, "val": 500_001}  # of images; annotations have the ids of their image x 10


def draw_angles(rng: np.random.Generator, activity: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a motion of the activity, a phase of it, and everybody's own way of doing it: (n, 24)
    joint angles in degrees, (n,) the number of the motion."""
    motions = TABLE[activity].motions
    which, phase = rng.integers(len(motions), size=n), rng.random(n)
    angles = activities.SPREAD * np.clip(rng.standard_normal((n, len(activities.SPREAD))), -2, 2)
    for number, motion in enumerate(motions):
        rows = np.flatnonzero(which == number)
        keys = np.array([*motion, motion[-1]], dtype=float)  # a last one for a phase of 1
        place = phase[rows] * (len(motion) - 1)
        before = place.astype(int)
        part = (place - before)[:, None]
        angles[rows] += keys[before] * (1 - part) + keys[before + 1] * part
    bends = slice(11, None, 4)
    angles[:, bends] = angles[:, bends].clip(0, 150)  # no elbow or knee bends the other way
    return angles, which


def draw_people(rng: np.random.Generator, names: np.ndarray) -> dict[str, np.ndarray]:
    """Photographs one person for each activity in ``names`` (N,).

    Gives "xy" (N, 24, 2): POINTS, body heights, y down, about the hips; "visibility" (N, 17): 0, 1
    or 2, what a person hides of himself or what he sits on hides; "floor" (N,): y below which a
    table hides everything, infinite without one; "motion" (N,): which of the activity's.
    """
    n = len(names)
    angles, azimuth = np.empty((n, len(activities.SPREAD))), np.empty(n)
    motion, hides = np.empty(n, dtype=int), np.array([TABLE[name].hides for name in names])
    for name in ACTIVITIES:
        rows = np.flatnonzero(names == name)
        angles[rows], motion[rows] = draw_angles(rng, name, len(rows))
        spread = np.clip(rng.standard_normal(len(rows)), -2, 2) * TABLE[name].view_spread
        azimuth[rows] = rng.choice(TABLE[name].views, size=len(rows)) + spread
    points, head = skeleton(angles, draw_bones(rng, n))
    left_handed = rng.random(n) < [TABLE[name].left_handed for name in names]
    twins = zip(mirrored(points, head), (points, head), strict=True)
    points, head = (np.where(left_handed[:, None, None], twin, own) for twin, own in twins)

    tilt, roll = rng.uniform(-4, 12, n), rng.uniform(-4, 4, n)
    xy, away, behind = photograph(points, head, azimuth, tilt, roll, rng.uniform(4, 12, n))
    luck = rng.random((n, 17))
    visibility = np.full((n, 17), 2)
    visibility[behind] = np.where(luck[behind] < 0.8, 1, 0)  # labelled where one can guess
    visibility[away] = 0

    facing = np.sin(np.radians(azimuth))  # -1: to the image's left, 1: to its right
    for side, is_far in (("left", facing > 0.5), ("right", facing < -0.5)):
        leg = np.isin(NAMES, [f"{side} knee", f"{side} ankle"])
        hidden = ((hides == "mount") & is_far)[:, None] & leg
        visibility[hidden] = np.where(luck[hidden] < 0.5, 1, np.where(luck[hidden] < 0.8, 0, 2))
    hands = [NAMES.index("left wrist"), NAMES.index("right wrist")]
    at_table = (hides == "table") & (rng.random(n) < 0.75)
    floor = np.where(at_table, xy[:, hands, 1].max(axis=1) + 0.04, np.inf)
    return {"xy": xy, "visibility": visibility, "floor": floor, "motion": motion}


def place_people(rng, people: dict, slots: np.ndarray, sizes: np.ndarray) -> tuple:
    """Puts the ``people`` of ``draw_people`` into their images, and hides what is out of sight.

    ``slots`` (N, 2) say which place from the left a person has, of how many in the image;
    ``sizes`` (N, 2) are the image's width and height. Gives whole keypoints (N, 17, 3) in COCO's
    sense and boxes (N, 4) x, y, w, h; image pixels.
    """
    xy, n = people["xy"], len(slots)
    low = (xy - RADIUS[:, None]).min(axis=1)
    high = (xy + RADIUS[:, None]).max(axis=1)
    high[:, 1] = np.minimum(high[:, 1], people["floor"])
    extent = high - low
    room = sizes / np.stack([slots[:, 1], np.ones(n)], axis=1) ** 0.85  # slots overlap somewhat
    scale = (room / extent).min(axis=1) * rng.uniform(0.6, 0.96, n)
    cropped = rng.random(n) < CROPPED
    scale *= np.where(cropped, rng.uniform(1.3, 1.9, n), 1)
    tiny = (slots[:, 0] > 0) & (rng.random(n) < TINY)
    scale = np.where(tiny, rng.uniform(20, 50, n), scale)

    centre = np.stack([(slots[:, 0] + 0.5) / slots[:, 1], np.full(n, 0.5)], axis=1) * sizes
    slack = np.maximum(room - extent * scale[:, None], 0) / 2
    centre += slack * rng.uniform(-0.9, 0.9, (n, 2))
    top = centre[:, 1] - extent[:, 1] * scale / 2
    centre[:, 1] += np.where(cropped, rng.uniform(0.02, 0.1, n) * sizes[:, 1] - top, 0)
    shift = centre - (low + high) / 2 * scale[:, None]

    keypoints = np.rint(xy[:, :17] * scale[:, None, None] + shift[:, None])  # (N, 17, 2)
    floor = people["floor"] * scale + shift[:, 1]
    start = np.maximum(low * scale[:, None] + shift, 0)
    stop = np.minimum(high * scale[:, None] + shift, sizes)
    visibility = people["visibility"].copy()
    outside = (keypoints < 0) | (keypoints >= sizes[:, None])
    visibility[outside.any(axis=2) | (keypoints[..., 1] > floor[:, None])] = 0

    around = keypoints[np.arange(n), rng.integers(17, size=n)]  # something in front, a circle
    radius = np.where(rng.random(n) < BLOCKED, rng.uniform(0.06, 0.15, n) * scale, -1)
    blocked = np.linalg.norm(keypoints - around[:, None], axis=2) < radius[:, None]
    labelled = np.where(rng.random((n, 17)) < 0.4, 1, 0)
    visibility = np.where(blocked, np.minimum(visibility, labelled), visibility)
    visibility[rng.random((n, 17)) < np.where(tiny, 0.7, UNLABELLED)[:, None]] = 0
    keypoints = np.concatenate([keypoints, visibility[..., None]], axis=2)
    keypoints *= visibility[..., None] > 0
    return keypoints.astype(int), np.concatenate([start, stop - start], axis=1).round(2)


def with_article(words: str) -> str:
    """``words`` after "a" or "an"."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def describe(rng: np.random.Generator, activity: str, motion: int, count: int) -> list[str]:
    """Five captions, no two alike, of ``count`` people doing ``motion`` of ``activity``."""

    def pick(words):
        return words[rng.integers(len(words))]

    entry, kind = TABLE[activity], pick(activities.KINDS)
    colour, garment = pick(activities.COLOURS), pick(activities.CLOTHES)
    places = rng.permutation(entry.places)[:2]  # five people see the same scene
    acts = rng.permutation([*entry.acts, *(entry.own_acts[motion] if entry.own_acts else ())])
    templates = rng.permutation(activities.TEMPLATES)
    captions = []
    for act, template in zip(acts[:5], templates[:5], strict=True):
        own = rng.random() < 0.35
        if count == 1:
            noun = pick(entry.people) if own else pick(kind[0])
            who = f"{pick(activities.ADJECTIVES)} {noun}" if rng.random() < 0.25 else noun
            who, clothes = with_article(who), f"in {with_article(f'{colour} {garment}')}"
        else:
            noun = pick(entry.people) + "s" if own else pick(kind[1])
            noun = {"childs": "children", "persons": "people"}.get(noun, noun)
            who, clothes = f"{pick(activities.COUNTS[count])} {noun}", f"in {colour}"
        words = template.format(
            who=who, noun=noun, s="is" if count == 1 else "are", clothes=clothes, act=act,
            place=pick(places), photo=pick(activities.PHOTOS), extra=pick(entry.extras),
        )  # fmt: skip
        captions.append(words[0].upper() + words[1:] + ("." if rng.random() < 0.9 else ""))
    return captions


def split(rng: np.random.Generator, images: int, first_id: int) -> dict[str, dict]:
    """One split: the contents of its keypoint, caption and activity files."""
    names = np.array(ACTIVITIES)[rng.permutation(images) % len(ACTIVITIES)]
    sizes = np.array(SIZES)[rng.integers(len(SIZES), size=images)]
    several = rng.random(images) < SEVERAL
    counts = np.where(several, rng.choice(CROWD[0], size=images, p=CROWD[1]), 1)
    image = np.repeat(np.arange(images), counts)  # of each person
    place = np.arange(len(image)) - np.repeat(counts.cumsum() - counts, counts)
    people = draw_people(rng, names[image])
    slots = np.stack([place, counts[image]], axis=1)
    keypoints, boxes = place_people(rng, people, slots, sizes[image])

    ids = range(first_id, first_id + images)
    header = {
        "info": {"description": "Sample data: generated people", "version": "1.0", "year": 2017},
        "licenses": [],
        "images": [
            {"id": id_, "file_name": f"{id_:012d}.jpg", "width": int(width), "height": int(height)}
            for id_, (width, height) in zip(ids, sizes, strict=True)
        ],
    }
    persons = [
        {
            "id": 10 * ids[i] + int(k), "image_id": ids[i], "category_id": 1, "iscrowd": 0,
            "bbox": box.tolist(), "area": round(0.5 * float(box[2] * box[3]), 2),
            "num_keypoints": int((points[:, 2] > 0).sum()), "keypoints": points.ravel().tolist(),
        }
        for i, k, points, box in zip(image, place, keypoints, boxes, strict=True)
    ]  # fmt: skip
    motions = people["motion"][place == 0]
    captions = [
        {"id": 10 * id_ + k, "image_id": id_, "caption": caption}
        for id_, name, motion, count in zip(ids, names, motions, counts, strict=True)
        for k, caption in enumerate(describe(rng, name, motion, int(count)))
    ]
    person = {
        "id": 1, "name": "person", "supercategory": "person",
        "keypoints": [name.replace(" ", "_") for name in NAMES],
        "skeleton": [[a + 1, b + 1] for a, b in EDGES],
    }  # fmt: skip
    return {
        "person_keypoints": header | {"annotations": persons, "categories": [person]},
        "captions": header | {"annotations": captions},
        "activities": {str(id_): str(name) for id_, name in zip(ids, names, strict=True)},
    }


def write(folder: Path, seed: int, train_images: int, val_images: int) -> None:
    """Writes the sample data set; the same seed gives the same files.

    ``folder`` gets ``annotations/`` with {person_keypoints, captions, activities}_{train, val}
    2017.json: COCO's two files a split, and a dictionary of image id to activity.
    """
    folder = Path(folder) / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, images) in enumerate((("train", train_images), ("val", val_images))):
        rng = np.random.default_rng([seed, number])
        for kind, content in split(rng, images, FIRST_ID[name]).items():
            text = json.dumps(content, separators=(",", ":"))
            (folder / f"{kind}_{name}2017.json").write_text(text, encoding="utf-8")
