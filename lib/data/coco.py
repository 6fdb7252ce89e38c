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
from dataclasses import dataclass
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


@dataclass
class Selection:
    """What the thesis uses of one split: poses sorted by image id, then person id, and captions by
    image id, then caption id."""

    persons: int  # person annotations the file lists, eligible or not
    activities: list[str | None]  # one name a pose, None where none is known
    captions: list[str]  # cleaned texts, of all images, with or without people
    arrays: dict[str, np.ndarray]  # fields of lib.data.cache.Split, and of those names and shapes


class Archive:
    """COCO's files in a zip or a folder, by member name.

    Raises:
        InputError: nothing is at ``path``, or it is neither a zip nor a folder with annotations/.
            The methods raise it where a member is damaged or a keypoint file is missing.
    """

    def __init__(self, path: Path):
        self.path = self.root = Path(path).expanduser()
        if not self.path.exists():
            raise InputError(
                f"There is no file or folder {shown(self.path)}: give the path of COCO's "
                "annotations_trainval2017.zip, or of the folder it was unpacked in."
            )
        if not self.path.is_dir():
            try:
                self.root = zipfile.Path(self.path)
            except (zipfile.BadZipFile, OSError) as error:
                raise InputError(
                    f"{shown(self.path)} is not a whole zip archive ({error}): it may have been "
                    "cut off while it was copied or downloaded; get it again."
                ) from error
        elif not (self.path / "annotations").is_dir():
            raise InputError(
                f"{shown(self.path)} has no folder annotations/ with COCO's files: give the "
                "folder that holds annotations/, or the archive itself."
            )

    def __contains__(self, member: str) -> bool:
        return (self.root / member).is_file()

    def members(self) -> list[str]:
        """The members the project reads that are there, keypoint files first."""
        for member in map(KEYPOINTS.format, SPLITS):
            if member not in self:
                raise InputError(
                    f"{shown(self.path)} has no {member}: COCO's annotations_trainval2017.zip is "
                    "wanted, or a folder laid out as it is."
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


def read(path: Path) -> tuple[dict[str, Selection], dict[str, int], list[str]]:
    """Selects the poses and caption pairs of both splits (thesis 3.1 and 4.3) from COCO's zip, or
    from a folder with annotations/.

    A pose is eligible with 8 or more labelled keypoints. A pair is an eligible pose in an image
    for which the keypoint file lists exactly one person, with that image's captions.

    Returns:
        The selection of "train" and of "val"; how many were left out in both, by reason; and the
        names of the caption files that are not there (their splits have no pairs).
    Raises:
        InputError: a file is missing, damaged or of another layout, or a split has no
            eligible pose.
    """
    left_out = Counter(dict.fromkeys(REASONS, 0))
    archive = Archive(path)
    members = archive.members()
    missing = [member for member in map(CAPTIONS.format, SPLITS) if member not in members]
    splits = {split: _select(archive, split, left_out) for split in SPLITS}
    return splits, dict(left_out), missing


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


def _select(archive: Archive, split: str, left_out: Counter) -> Selection:
    member = KEYPOINTS.format(split)
    coco, persons = _index(archive, member, "keypoints")
    faults = [_fault(person) for person in persons]
    usable = [person for person, fault in zip(persons, faults, strict=True) if fault is None]
    left_out.update(filter(None, faults))
    poses = [p for p in usable if sum(v > 0 for v in p["keypoints"][2::3]) >= MIN_VISIBLE]
    if not poses:
        raise InputError(
            f"{member} in {shown(archive.path)} has no eligible pose: of its {len(persons)} "
            f"persons, {len(persons) - len(usable)} are malformed and none of the others has "
            f"{MIN_VISIBLE} or more labelled keypoints; give a file with poses."
        )
    images = [p["image_id"] for p in poses]
    single = np.array([len(coco.imgToAnns[image]) == 1 for image in images])
    caption_images, captions = _captions(archive, split, left_out)
    first, last = (np.searchsorted(caption_images, images, side) for side in ("left", "right"))
    left_out[NO_CAPTION] += int((single & (first == last)).sum())
    pairs = np.flatnonzero(single & (first < last))
    arrays = {
        "keypoints": np.array([p["keypoints"] for p in poses], np.float32).reshape(-1, 17, 3),
        "boxes": np.array([p["bbox"] for p in poses], np.float32),
        "person_ids": np.array([p["id"] for p in poses], np.int64),
        "image_ids": np.array(images, np.int64),
        "image_sizes": np.array([_size(coco.imgs.get(image, {})) for image in images], np.int32),
        "pair_pose": pairs,
        "pair_first": first[pairs],
        "pair_count": (last - first)[pairs],
        "caption_images": caption_images,
    }
    return Selection(len(persons), _activities(archive, split, images), captions, arrays)


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
            "mend it or remove it."
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
