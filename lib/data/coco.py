"""COCO's keypoint and caption files to arrays (thesis 3.1 and 4.3), read with pycocotools.

The files are those of the official archive, inside the zip or unpacked in a folder:
``annotations/person_keypoints_{train,val}2017.json`` and ``annotations/captions_{train,val}2017
.json``. The sample data set adds ``annotations/activities_{train,val}2017.json``.
"""

import contextlib
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.data.archive import ACTIVITIES, CAPTIONS, KEYPOINTS, SPLITS, Archive
from lib.data.captions import clean
from lib.data.skeleton import MIN_VISIBLE, NAMES
from lib.errors import InputError
from lib.paths import shown

# Why something is left out; each is counted.
NOT_51_NUMBERS = "person whose keypoints are not 51 numbers"
NOT_A_NUMBER = "person with NaN among the keypoints"
TOO_FAR = "person with a keypoint a billion pixels away"
CONFIDENCE = "person with a visibility that is not 0, 1 or 2"
NO_AREA = "person whose box has no area"
NOBODY = "annotation without keypoints and without a box"
NO_CAPTION = "pose of a single-person image without a caption"
NO_TEXT = "caption without text"
FAULTS = (NOT_51_NUMBERS, NOT_A_NUMBER, TOO_FAR, CONFIDENCE, NO_AREA, NOBODY)
REASONS = (*FAULTS, NO_CAPTION, NO_TEXT)
FAR = 1e9  # pixels
SMALLEST = 0.01  # pixels along a side of a box


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, list[str]], dict[str, Any]]:
    """Selects the poses and caption pairs of both splits (thesis 3.1 and 4.3) from COCO's zip, or
    from the folder that holds annotations/.

    A pose is eligible with 8 or more labelled keypoints. A pair is an eligible pose in an image
    for which the keypoint file lists exactly one person, with that image's captions. Poses are
    sorted by image id, then person id; captions by image id, then caption id.

    Gives the tensors of a cache but the captions' vectors, {"train.keypoints": ...}, shaped as in
    :class:`lib.data.cache.Split`; {split: cleaned captions of all images, with people or without};
    and of a cache's metadata "counts", "left_out", "missing" and "activities". Raises InputError
    if a file is missing, damaged or of another layout, or a split has no eligible pose.
    """
    archive = Archive(path)
    missing = [name for name in map(CAPTIONS.format, SPLITS) if name not in archive.members()]
    found = {"counts": {}, "left_out": Counter(dict.fromkeys(REASONS, 0)), "missing": missing}
    arrays, captions, activities = {}, {}, {}
    for split in SPLITS:
        own, captions[split] = _select(archive, split, found)
        activities[split] = _activities(archive, split, own["image_ids"].tolist())
        arrays |= {f"{split}.{key}": array for key, array in own.items()}
    found["activities"] = sorted({*activities["train"], *activities["val"]} - {None})
    index = {name: number for number, name in enumerate(found["activities"])} | {None: -1}
    for split, names in activities.items():
        arrays[f"{split}.activity"] = np.array([index[name] for name in names], np.int16)
    return arrays, captions, found


def _index(archive: Archive, member: str, field: str):
    """A pycocotools index over ``member``, whose annotations have ``field``; and those, sorted."""
    from pycocotools.coco import COCO

    place = f"{member} in {shown(archive.path)}"
    wrong = InputError(
        f"{place} is not laid out as COCO's file of that name (images with an id; annotations with "
        f"a numeric id, image_id and {field}): put the official file there."
    )
    data = archive.read(member)
    coco = COCO()  # given no file's name, which it would want: the file may be inside a zip
    try:
        images = [image | {"id": _id(image["id"], "id", place)} for image in data["images"]]
        entries = list(data["annotations"])
        if field == "keypoints":
            entries = _persons(entries, data.get("categories"), place)
        annotations = [
            entry
            | {
                "id": _id(entry.get("id", number), "id", place),  # captions may go without
                "image_id": _id(entry["image_id"], "image_id", place),
            }
            for number, entry in enumerate(entries)
        ]
        coco.dataset = {"images": images, "annotations": annotations}
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            coco.createIndex()
        if not isinstance(data["images"], list):
            raise wrong
        if annotations and not any(field in entry for entry in annotations):
            raise wrong
    except (KeyError, TypeError, AttributeError) as error:
        raise wrong from error
    if len(coco.anns) != len(annotations):
        raise InputError(
            f"{place} gives one id to several annotations: put the official file there, or number "
            "the annotations again."
        )
    return coco, sorted(annotations, key=lambda entry: (entry["image_id"], entry["id"]))


def _id(value: Any, key: str, place: str) -> int:
    """An id as a number, where it is one: text of digits, or a float without a fraction, too."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 40:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise InputError(f"{place} has {key} {repr(value)[:60]}: it must be a whole number.")
    if abs(value) >= 2**63:
        raise InputError(
            f"{place} has {key} {value}: an id must fit into 64 bits; number it again."
        )
    return value


def _persons(entries: list[dict], categories: Any, place: str) -> list[dict]:
    """The annotations of people, with COCO's 17 keypoints in COCO's order.

    A file may say in its categories which of them are people, and how it orders keypoints. Where it
    does not, they are taken for COCO's.
    """
    named = {each["id"]: each for each in categories or [] if "name" in each}
    people = [key for key, each in named.items() if str(each["name"]).lower() == "person"]
    if people and len(named) > 1:
        entries = [entry for entry in entries if entry.get("category_id", people[0]) in people]
    names = next((named[key].get("keypoints") for key in people or named), None)
    columns = None
    if names:
        plain = [str(name).lower().replace("_", " ").replace("-", " ") for name in names]
        if missing := [name for name in NAMES if name not in plain]:
            raise InputError(
                f"{place} has {len(plain)} keypoints, and no {missing[0]!r}: COCO's 17 are wanted, "
                f"from {NAMES[0]!r} to {NAMES[-1]!r}."
            )
        if plain != list(NAMES):
            columns = [3 * plain.index(name) + part for name in NAMES for part in range(3)]
    return [_flat(entry, columns, 3 * len(names or NAMES)) for entry in entries]


def _flat(entry: dict[str, Any], columns: list[int] | None, length: int) -> dict[str, Any]:
    """An annotation with 51 numbers for its keypoints, where these are lists of three numbers, or
    ``length`` of them, of which those in ``columns`` are COCO's."""
    given = entry.get("keypoints")
    if not isinstance(given, list):
        return entry
    if all(isinstance(point, list) and len(point) == 3 for point in given):
        given = [value for point in given for value in point]
    if columns and len(given) == length:
        given = [given[column] for column in columns]
    return entry | {"keypoints": given}


def _fault(person: dict[str, Any]) -> str | None:
    """Why a person annotation cannot be used; None where it can."""
    numbers, box = person.get("keypoints"), person.get("bbox")
    if not numbers and (not box or box == [0, 0, 0, 0]):
        return NOBODY
    if not _are_numbers(numbers, 51):
        return NOT_51_NUMBERS
    if any(number != number or abs(number) == float("inf") for number in numbers):
        return NOT_A_NUMBER
    if not _near(numbers):
        return TOO_FAR
    if {*numbers[2::3]} - {0, 1, 2}:
        return CONFIDENCE
    if not _are_numbers(box, 4) or not _near(box) or min(box[2:]) < SMALLEST:
        return NO_AREA
    return None


def _near(numbers: list) -> bool:
    """Whether all can be coordinates: no NaN, no infinity, nothing that single precision loses."""
    return all(abs(number) < FAR for number in numbers)


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and {*map(type, value)} <= {int, float}


def _select(archive: Archive, split: str, found: dict) -> tuple[dict[str, np.ndarray], list[str]]:
    """A split's arrays and captions; ``found`` gets what is counted on the way."""
    member = KEYPOINTS.format(split)
    coco, persons = _index(archive, member, "keypoints")
    faults = [_fault(person) for person in persons]
    usable = [person for person, fault in zip(persons, faults, strict=True) if fault is None]
    poses = [p for p in usable if sum(v > 0 for v in p["keypoints"][2::3]) >= MIN_VISIBLE]
    if not poses:
        counted = Counter(filter(None, faults))
        reasons = "".join(f" {number:,} × {fault};" for fault, number in counted.items())
        raise InputError(
            f"{member} in {shown(archive.path)} has no eligible pose, of {len(persons):,} persons:"
            f"{reasons} none of the others has {MIN_VISIBLE} or more labelled keypoints. "
            f"Wanted are COCO's 17 keypoints, as 51 numbers{_lengths(persons)}."
        )
    images = [p["image_id"] for p in poses]
    there = Counter(
        person["image_id"] for person, fault in zip(persons, faults, strict=True) if fault != NOBODY
    )
    single = np.array([there[image] == 1 for image in images])
    caption_images, captions = _captions(archive, split, found["left_out"])
    first, last = (np.searchsorted(caption_images, images, side) for side in ("left", "right"))
    pairs = np.flatnonzero(single & (first < last))
    found["left_out"].update(filter(None, faults))
    found["left_out"][NO_CAPTION] += int((single & (first == last)).sum())
    kinds = {"persons": persons, "poses": poses, "pairs": pairs, "captions": captions}
    found["counts"][split] = {kind: len(those) for kind, those in kinds.items()}
    arrays = {
        "keypoints": np.array([p["keypoints"] for p in poses], np.float32).reshape(-1, 17, 3),
        "boxes": np.array([p["bbox"] for p in poses], np.float32),
        "person_ids": np.array([p["id"] for p in poses], np.int64),
        "image_ids": np.array(images, np.int64),
        "image_sizes": np.array([_size(coco.imgs.get(image, {})) for image in images], np.int32),
        "single": single,
        "pair_pose": pairs,
        "pair_first": first[pairs],
        "pair_count": (last - first)[pairs],
        "caption_images": caption_images,
        "captions": joined(captions),
    }
    return arrays, captions


def _lengths(persons: list[dict[str, Any]]) -> str:
    """How many numbers they have instead, if all have as many."""
    lengths = {len(p["keypoints"]) for p in persons if isinstance(p.get("keypoints"), list)}
    return f", not {lengths.pop()}" if len(lengths) == 1 and lengths != {51} else ""


def joined(captions: list[str]) -> np.ndarray:
    """Captions as a tensor of the cache: bytes of utf-8, between them newlines."""
    return np.frombuffer("\n".join(captions).encode(), np.uint8)


def _size(image: dict[str, Any]) -> tuple[int, int]:
    size = [image.get("width"), image.get("height")]
    known = _are_numbers(size, 2) and _near(size)
    return (int(size[0]), int(size[1])) if known else (0, 0)


def _captions(archive: Archive, split: str, left_out: Counter) -> tuple[np.ndarray, list[str]]:
    """Image ids and cleaned texts of all captions; none where the file is missing."""
    member = CAPTIONS.format(split)
    entries = _index(archive, member, "caption")[1] if member in archive else []
    texts = [clean(text) if isinstance(text := c.get("caption"), str) else "" for c in entries]
    left_out[NO_TEXT] += texts.count("")
    images = [entry["image_id"] for entry, text in zip(entries, texts, strict=True) if text]
    return np.array(images, np.int64), [*filter(None, texts)]


def _activities(archive: Archive, split: str, images: list[int]) -> list[str | None]:
    member = ACTIVITIES.format(split)
    known = archive.read(member) if member in archive else {}
    if not isinstance(known, dict) or {*map(type, known.values())} - {str}:
        raise InputError(
            f"{member} in {shown(archive.path)} does not map image ids to names of activities: "
            "fix it or remove it."
        )
    return [known.get(str(image)) for image in images]


def photograph(image_id: int) -> np.ndarray | None:
    """A validation image (height, width, 3), where a reader has put it into data/coco/val2017; the
    annotations do not hold it."""
    path = paths.COCO / "val2017" / f"{image_id:012d}.jpg"
    if not path.is_file():
        return None
    from matplotlib.image import imread

    return imread(path)
