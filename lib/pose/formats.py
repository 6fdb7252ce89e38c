"""Poses as files that other programs read, and back.

On a canvas of 512 × 512 pixels, 8 to a heatmap pixel, or on that of a pose of which keypoints are
kept. Each file holds what makes its poses again:
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
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose.model import Canvas, Poses

KEY = "made_by"
EXTENT = 0.82  # of a box's long side, that of its keypoints: the median of COCO's training poses
PERSON = 1  # COCO's category
# OpenPose's 18 points by the numbers of COCO's 17; the neck lies between the shoulders.
SHOULDERS = 5, 6
FROM_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)


def coco(poses: Poses) -> list[dict[str, Any]]:
    """COCO's keypoint results, with the image numbered from 1; coordinates to a hundredth."""
    rows = []
    for number, pose in enumerate(poses.points, start=1):
        pose[:, 2] *= 2  # COCO's visibility: labelled and visible
        keypoints = [round(value, 2) for value in pose.flatten().tolist()]
        head = {"image_id": number, "category_id": PERSON, "keypoints": keypoints, "score": 1.0}
        rows.append(head | {KEY: poses.made_by})
    return rows


def openpose(poses: Poses) -> list[dict[str, Any]]:
    """An object of OpenPose's JSON for each pose."""
    found = []
    for number, pose in enumerate(poses.points, start=1):
        points = [round(value, 2) for value in with_neck(pose).flatten().tolist()]
        people = [{"pose_keypoints_2d": points}]
        size = {"canvas_width": poses.canvas.width, "canvas_height": poses.canvas.height}
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


def read(path: Path) -> tuple[np.ndarray, Canvas]:
    """Poses (n, 17, 3) of a file of COCO's results or annotations, or of OpenPose's JSON, in pixels
    and visibility 0 or 1; one that was normalised to its canvas is brought back to pixels. And
    their canvas: as a file of ours says, or with the first pose as a box of its person fits it.

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
                size = np.array([row.get("canvas_width", 1), row.get("canvas_height", 1), 1])
                for person in row["people"]:
                    points = np.reshape(person["pose_keypoints_2d"], (18, 3)).astype(np.float64)
                    found.append(without_neck(points * size if points.max() <= 1 else points))
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
    poses *= poses[..., 2:]
    try:
        return poses, _canvas(rows[0], poses[0])
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} holds a pose that cannot be placed ({error}).") from None


def _canvas(row: dict[str, Any], pose: np.ndarray) -> Canvas:
    if KEY in row:
        return Canvas(**row[KEY].get("canvas", {}))
    xy = pose[pose[:, 2] > 0, :2]
    if not len(xy):
        return Canvas()
    low, high = xy.min(axis=0), xy.max(axis=0)
    side = max(1.0, float((high - low).max())) / EXTENT
    left, top = ((low + high - side) / 2).tolist()
    ends = [max(1, math.ceil(corner + side)) for corner in (left, top)]
    size = [
        row.get(f"canvas_{name}", end) for name, end in zip(("width", "height"), ends, strict=True)
    ]
    return Canvas(*map(int, size), left, top, side)


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def _coco(poses: Poses) -> list[bytes]:
    return [_json(coco(poses))]


def _openpose(poses: Poses) -> list[bytes]:
    return [_json(each) for each in openpose(poses)]


def _openpose_png(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import openpose_png

    drawn = enumerate(poses.points, start=1)
    return [openpose_png(pose, _which(poses, number), poses.canvas) for number, pose in drawn]


def _svg(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import svg

    return [svg(poses.points, poses.made_by, poses.canvas)]


def _png(poses: Poses) -> list[bytes]:
    from lib.pose.drawing import sheet

    return [sheet(poses.keypoints, poses.made_by)]


def _numpy(poses: Poses) -> list[bytes]:
    file = io.BytesIO()
    np.savez(file, keypoints=poses.points, **{KEY: json.dumps(poses.made_by)})
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


TEXT = {"coco": coco, "openpose": openpose}  # formats that a line of JSON can hold
