"""Poses as files that other programs read, and back.

On a canvas of 512 × 512 pixels, 8 to a heatmap pixel. Each file holds what makes its poses again:
caption, seed, number, model, hash of the weights and version, under the name ``made_by``.

- ``coco``: COCO's keypoint results, a list with an object a pose (pycocotools' ``loadRes``);
- ``openpose``: OpenPose's JSON of a pose, 18 points with the neck, as ControlNet and pose editors
  read it; a file a pose, or a list of such objects where they go to standard output;
- ``openpose-png``: the same in OpenPose's colours on black, a picture a pose;
- ``svg`` and ``png``: all poses side by side;
- ``numpy``: ``keypoints`` (n, 17, 3) in pixels of the canvas, in an ``.npz`` file.
"""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.data.skeleton import NAMES, SIZE
from lib.errors import InputError
from lib.pose.model import Model, Poses

CANVAS = 512  # pixels along each side
SCALE = CANVAS / SIZE
KEY = "made_by"
PERSON = 1  # COCO's category
# OpenPose's 18 points by the numbers of COCO's 17; the neck lies between the shoulders.
NECK, SHOULDERS = 1, (5, 6)
FROM_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)


def on_canvas(keypoints) -> np.ndarray:
    """Poses (n, 17, 3) in heatmap pixels to pixels of the canvas, float64; an invisible keypoint
    is (0, 0, 0)."""
    poses = np.asarray(keypoints, dtype=np.float64).copy()
    poses[..., :2] *= SCALE
    return poses * (poses[..., 2:] > 0)


def coco(poses: Poses) -> list[dict[str, Any]]:
    """COCO's keypoint results, with the image numbered from 1; coordinates to a hundredth."""
    rows = []
    for number, pose in enumerate(on_canvas(poses.keypoints), start=1):
        pose[:, 2] *= 2  # COCO's visibility: labelled and visible
        keypoints = [round(value, 2) for value in pose.flatten().tolist()]
        head = {"image_id": number, "category_id": PERSON, "keypoints": keypoints, "score": 1.0}
        rows.append(head | {KEY: poses.made_by})
    return rows


def openpose(poses: Poses) -> list[dict[str, Any]]:
    """An object of OpenPose's JSON for each pose."""
    found = []
    for number, pose in enumerate(on_canvas(poses.keypoints), start=1):
        points = [round(value, 2) for value in with_neck(pose).flatten().tolist()]
        people = [{"pose_keypoints_2d": points}]
        size = {"canvas_width": CANVAS, "canvas_height": CANVAS}
        found.append({"people": people} | size | {KEY: _which(poses, number)})
    return found


def _which(poses: Poses, number: int) -> dict[str, Any]:
    """What made one of several poses, the first of which is number 1."""
    return poses.made_by | ({"pose": number} if len(poses.keypoints) > 1 else {})


def with_neck(pose: np.ndarray) -> np.ndarray:
    """COCO's keypoints (17, 3) as OpenPose's (18, 3). The neck is there if both shoulders are."""
    left, right = pose[list(SHOULDERS)]
    neck = (left + right) / 2 * (left[2] > 0) * (right[2] > 0)
    return np.stack([neck if place is None else pose[place] for place in FROM_COCO])


def without_neck(points: np.ndarray) -> np.ndarray:
    """OpenPose's keypoints (18, 3) as COCO's (17, 3)."""
    pose = np.zeros((len(NAMES), 3))
    for point, place in zip(points, FROM_COCO, strict=True):
        if place is not None:
            pose[place] = point
    return pose


def read(path: Path) -> np.ndarray:
    """Poses (n, 17, 3) of a file of COCO's results or annotations, or of OpenPose's JSON, in pixels
    and visibility 0 or 1; one that was normalised to its canvas is brought back to pixels.

    Raises:
        InputError: the file cannot be read, or holds no pose.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from None
    rows = content.get("annotations", [content]) if isinstance(content, dict) else content
    found = []
    try:
        for row in rows:
            if "people" in row:
                canvas = np.array([row.get("canvas_width", 1), row.get("canvas_height", 1), 1])
                for person in row["people"]:
                    points = np.reshape(person["pose_keypoints_2d"], (18, 3)).astype(np.float64)
                    found.append(without_neck(points * canvas if points.max() <= 1 else points))
            elif row.get("keypoints"):
                found.append(np.reshape(row["keypoints"], (len(NAMES), 3)).astype(np.float64))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is neither COCO's keypoints of 17 points nor OpenPose's of 18 ({error})."
        ) from None
    if not found or not np.isfinite(found).all():
        raise InputError(f"{path} holds no pose, or numbers that are not finite.")
    poses = np.stack(found)
    poses[..., 2] = poses[..., 2] > 0
    return poses * poses[..., 2:]


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def _coco(poses: Poses) -> list[bytes]:
    return [_json(coco(poses))]


def _openpose(poses: Poses) -> list[bytes]:
    return [_json(each) for each in openpose(poses)]


def _openpose_png(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import openpose_png

    drawn = enumerate(on_canvas(poses.keypoints), start=1)
    return [openpose_png(pose, _which(poses, number)) for number, pose in drawn]


def _svg(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import svg

    return [svg(on_canvas(poses.keypoints), poses.made_by)]


def _png(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import sheet

    return [sheet(poses.keypoints, poses.made_by)]


def _numpy(poses: Poses) -> list[bytes]:
    file = io.BytesIO()
    np.savez(file, keypoints=on_canvas(poses.keypoints), **{KEY: json.dumps(poses.made_by)})
    return [file.getvalue()]


@dataclass(frozen=True)
class Format:
    """How poses are written: the files of :meth:`write` are one, or one a pose."""

    suffix: str
    write: Callable[[Poses], list[bytes]]


FORMATS = {
    "png": Format(".png", _png),
    "svg": Format(".svg", _svg),
    "coco": Format(".json", _coco),
    "openpose": Format(".json", _openpose),
    "openpose-png": Format(".png", _openpose_png),
    "numpy": Format(".npz", _numpy),
}


def format_of(out: Path, name: str = "") -> str:
    """The format that is called ``name``, or that a file's name asks for: by its suffix, and
    OpenPose's by ``.openpose`` before it. Raises InputError if there is none."""
    if out.is_dir():
        raise InputError(f"{out} is a folder: give a file, such as {out / 'pose.png'}.")
    if name:
        _check(name)
        return name
    *before, suffix = out.suffixes or [""]
    if ".openpose" in (each.lower() for each in before):
        options = {".json": "openpose", ".png": "openpose-png"}
    else:
        options = {".png": "png", ".svg": "svg", ".json": "coco", ".npz": "numpy"}
    if suffix.lower() not in options:
        asked = f"has the suffix {suffix}" if suffix else "has no suffix"
        raise InputError(
            f"{out} {asked}: end it in {', '.join(options)}, or give --format: {_known()}."
        )
    return options[suffix.lower()]


TEXT = {"coco": coco, "openpose": openpose}  # formats that a line of JSON can hold


def _known() -> str:
    return ", ".join(FORMATS)


def _check(name: str) -> None:
    if name not in FORMATS:
        raise InputError(f"The format {name!r} is not known; it is one of {_known()}.")


def together(poses: Poses, name: str) -> bytes:
    """What goes to standard output: the one file, or the objects of several as a list. Raises
    InputError where several pictures would be one after the other."""
    _check(name)
    parts = FORMATS[name].write(poses)
    if len(parts) > 1 and FORMATS[name].suffix != ".json":
        raise InputError(f"{len(parts)} pictures do not fit into one stream: give -n 1, or a file.")
    return parts[0] if len(parts) == 1 else b"[" + b",".join(map(bytes.strip, parts)) + b"]\n"


def write(poses: Poses, out: Path, name: str = "") -> list[Path]:
    """Writes poses into a file, or into one each, numbered, where the format holds one pose and
    there are several; returns what was written. Raises InputError if that cannot be done."""
    parts = FORMATS[format_of(out, name)].write(poses)
    if len(parts) == 1:
        files = [out]
    else:
        stem, suffixes = out.name.removesuffix("".join(out.suffixes)), "".join(out.suffixes)
        files = [out.with_name(f"{stem}-{number}{suffixes}") for number in range(1, len(parts) + 1)]
    for file, content in zip(files, parts, strict=True):
        _save(file, content)
    return files


def _save(file: Path, content: bytes) -> None:
    try:
        with paths.replacing(file) as new:
            new.write_bytes(content)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): give another --out."
        ) from None


def read_captions(source: str) -> list[str]:
    """Captions of a file, or of standard input for "-", one a line. Raises InputError if there are
    none, or the file is not text in UTF-8."""
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        captions = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read as text in UTF-8 ({error}).") from None
    if not captions:
        raise InputError(f"{source} holds no captions: give one a line.")
    return captions


def lines(
    model: Model, captions: Sequence[str], number: int, seed: int, name: str
) -> Iterator[dict[str, Any]]:
    """For each caption ``poses``, as "coco" or "openpose" has them, and ``notes``; or ``error``,
    where it is refused. Raises InputError for another format."""
    if name not in TEXT:
        raise InputError(f"Many captions are written as {' or '.join(TEXT)}, not as {name}.")
    refused: dict[int, str] = {}
    for place, caption in enumerate(captions):
        try:
            model.words.encode(caption)
        except InputError as error:
            refused[place] = str(error)
    taken = [caption for place, caption in enumerate(captions) if place not in refused]
    made = iter(model.poses(taken, number, seed) if taken else [])
    for place, caption in enumerate(captions):
        if place in refused:
            yield {"caption": caption, "error": refused[place]}
        else:
            poses = next(made)
            yield {"caption": caption, "poses": TEXT[name](poses), "notes": poses.notes}


def write_lines(found: Iterable[dict[str, Any]], out: Path | None) -> int:
    """Writes a JSON object a line, to standard output if there is no file; 1 if a caption was
    refused, otherwise 0. Raises InputError if the file cannot be written."""
    rows = list(found)
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        _save(out, content)
    return int(any("error" in row for row in rows))


def remake(model: Model, path: Path) -> Poses:
    """The poses of a file once more. Raises InputError if another model made them."""
    told = made_by(path)
    if told["weights"] != model.identity["weights"]:
        raise InputError(
            f"{path} was made by {told['model']}, whose weights are not those of "
            f"{model.identity['model']}: give that run with --run."
        )
    made = model.pose(told["caption"], told["number"], told["seed"])
    if which := told.get("pose"):  # a file of one of them
        own = made.made_by | {"pose": which}
        return Poses(made.keypoints[which - 1 : which], own, made.notes)
    return made


def made_by(path: Path) -> dict[str, Any]:
    """What made the poses of a file. Raises InputError if it does not say."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        if content.startswith(b"\x89PNG"):
            from PIL import Image

            found = json.loads(Image.open(io.BytesIO(content)).text[KEY])
        elif content.startswith(b"PK"):
            found = json.loads(str(np.load(io.BytesIO(content))[KEY]))
        elif content.lstrip().startswith(b"<"):
            from xml.etree import ElementTree

            found = json.loads(ElementTree.fromstring(content).findtext("{*}metadata"))
        else:
            rows = json.loads(content)
            found = (rows[0] if isinstance(rows, list) else rows)[KEY]
        told = {name: found[name] for name in ("caption", "seed", "number", "model", "weights")}
        return told | {name: found[name] for name in ("pose",) if name in found}
    except Exception:  # each library has its own, for files that are not theirs
        raise InputError(
            f"{path} does not say how its poses were made: give a file that this command wrote."
        ) from None
