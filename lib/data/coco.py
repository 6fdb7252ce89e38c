"""COCO's keypoint and caption files to arrays (thesis 3.1 and 4.3), read with pycocotools.

The files are those of the official archive, inside the zip or unpacked in a folder:
``annotations/person_keypoints_{train,val}2017.json`` and ``annotations/captions_{train,val}2017
.json``. The sample data set adds ``annotations/activities_{train,val}2017.json``.
"""

import contextlib
import hashlib
import io
import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.data.captions import clean
from lib.data.skeleton import MIN_VISIBLE
from lib.errors import InputError
from lib.paths import shown

SPLITS = ("train", "val")
KEYPOINTS = "annotations/person_keypoints_{}2017.json"
CAPTIONS = "annotations/captions_{}2017.json"
ACTIVITIES = "annotations/activities_{}2017.json"

# Why something is left out; each is counted.
NOT_51_NUMBERS = "person whose keypoints are not 51 numbers"
NOT_A_NUMBER = "person with NaN among the keypoints"
NO_AREA = "person whose box has no area"
NO_CAPTION = "pose of a single-person image without a caption"
NO_TEXT = "caption without text"
REASONS = (NOT_51_NUMBERS, NOT_A_NUMBER, NO_AREA, NO_CAPTION, NO_TEXT)


class Archive:
    """COCO's files in a zip or a folder, by member name. Raises InputError if there is nothing, or
    a file that is not a zip; its methods do if a member is damaged or a keypoint file missing."""

    def __init__(self, path: Path):
        self.path = Path(path).expanduser()
        try:
            self.root = self.path if self.path.is_dir() else zipfile.Path(self.path)
        except FileNotFoundError as error:
            raise InputError(
                f"There is no file or folder {shown(self.path)}: give the path of COCO's "
                "annotations_trainval2017.zip, or of the folder it was unpacked in."
            ) from error
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(
                f"{shown(self.path)} is not a whole zip archive ({error}): it may have been cut "
                "off while it was copied or downloaded; get it again."
            ) from error

    def __contains__(self, member: str) -> bool:
        return (self.root / member).is_file()

    def members(self) -> list[str]:
        """The members the project reads that are there, keypoint files first."""
        for member in map(KEYPOINTS.format, SPLITS):
            if member not in self:
                raise InputError(
                    f"{shown(self.path)} has no {member}: COCO's annotations_trainval2017.zip is "
                    "wanted, or the folder that holds its annotations/."
                )
        names = [kind.format(s) for kind in (KEYPOINTS, CAPTIONS, ACTIVITIES) for s in SPLITS]
        return [name for name in names if name in self]

    def _bytes(self, member: str) -> bytes:
        try:
            return (self.root / member).read_bytes()
        # RuntimeError: the zip is encrypted; NotImplementedError: its compression is unknown.
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(
                f"{member} in {shown(self.path)} cannot be read ({error}): the file is damaged or "
                "cut off; get it again."
            ) from error

    def hashes(self) -> dict[str, str]:
        """The sha256 of each member's unpacked bytes."""
        return {m: hashlib.sha256(self._bytes(m)).hexdigest() for m in self.members()}

    def read(self, member: str) -> Any:
        """The JSON of ``member``."""
        try:
            return json.loads(self._bytes(member))
        except ValueError as error:  # also a UnicodeDecodeError
            raise InputError(
                f"{member} in {shown(self.path)} is not whole, valid JSON ({error}): it may have "
                "been cut off; get it again."
            ) from error


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

    wrong = InputError(
        f"{member} in {shown(archive.path)} is not laid out as COCO's file of that name (images "
        f"with an id; annotations with a numeric id, image_id and {field}): put the official file "
        "there."
    )
    data = archive.read(member)
    coco = COCO()  # given no file's name, which it would want: the file may be inside a zip
    try:
        annotations, images = data["annotations"], data["images"]
        coco.dataset = {"images": images, "annotations": annotations}
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            coco.createIndex()
        ids = [entry[key] for entry in annotations for key in ("id", "image_id")]
        if not isinstance(images, list) or not all(type(i) is int and abs(i) < 2**63 for i in ids):
            raise wrong
        if annotations and not any(field in entry for entry in annotations):
            raise wrong
    except (KeyError, TypeError, AttributeError) as error:
        raise wrong from error
    if len(coco.anns) != len(annotations):
        raise InputError(
            f"{member} in {shown(archive.path)} gives one id to several annotations: put the "
            "official file there, or number the annotations again."
        )
    return coco, sorted(annotations, key=lambda entry: (entry["image_id"], entry["id"]))


def _fault(person: dict[str, Any]) -> str | None:
    """Why a person annotation cannot be used; None where it can."""
    numbers, box = person.get("keypoints"), person.get("bbox")
    if not _are_numbers(numbers, 51):
        return NOT_51_NUMBERS
    if not _finite(numbers):
        return NOT_A_NUMBER
    if not _are_numbers(box, 4) or not _finite(box) or np.float32(min(box[2:])) <= 0:
        return NO_AREA
    return None


def _finite(numbers: list) -> bool:
    """Whether all can be coordinates: no NaN, no infinity, nothing that single precision loses."""
    return all(abs(number) < 1e9 for number in numbers)


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
        raise InputError(
            f"{member} in {shown(archive.path)} has no eligible pose: of its {len(persons)} "
            f"persons, {len(persons) - len(usable)} are malformed and none of the others has "
            f"{MIN_VISIBLE} or more labelled keypoints; give a file with poses."
        )
    images = [p["image_id"] for p in poses]
    single = np.array([len(coco.imgToAnns[image]) == 1 for image in images])
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


def joined(captions: list[str]) -> np.ndarray:
    """Captions as a tensor of the cache: bytes of utf-8, between them newlines."""
    return np.frombuffer("\n".join(captions).encode(), np.uint8)


def _size(image: dict[str, Any]) -> tuple[int, int]:
    size = [image.get("width"), image.get("height")]
    known = _are_numbers(size, 2) and _finite(size)
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
