"""Files of poses: which format a name asks for, what is written, and how it is made again."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.data.skeleton import NAMES
from lib.errors import InputError, unknown
from lib.pose.formats import FORMATS, KEY, TEXT, read
from lib.pose.model import Kept, Model, Poses

MOST = 1_000  # poses for a caption


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
    ask: Callable[[str], Poses], captions: Iterable[str], name: str
) -> Iterator[dict[str, Any]]:
    """For each caption, which ``ask`` answers, ``poses``, as "coco" or "openpose" has them, and
    ``notes``; or ``error``, where it is refused. Raises InputError for another format."""
    if name not in TEXT:
        raise InputError(f"Many captions are written as {' or '.join(TEXT)}, not as {name}.")
    for caption in captions:
        try:
            poses = ask(caption)
        except InputError as error:
            yield {"caption": caption, "error": str(error)}
        else:
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


def named(keypoints: str) -> list[str]:
    """Names of keypoints, separated by commas, as in "left_wrist,nose". Raises InputError if one is
    not known."""
    words = [word.strip().lower().replace("_", " ") for word in keypoints.split(",")]
    for word in (words := list(filter(None, words))):
        if word not in NAMES:
            raise InputError(unknown("keypoint", word, list(NAMES)))
    return words


def keep(path: Path, lock: Sequence[str] = (), without: Sequence[str] = ()) -> Kept:
    """What is to be kept of the first pose in a file: the named keypoints, or all that are visible,
    but for those that are left out. Raises InputError if that is none, or all 17."""
    poses, canvas = read(path)
    pose = canvas.heatmap(poses[0])
    visible = [name for name, seen in zip(NAMES, pose[:, 2], strict=True) if seen]
    if missing := [name for name in lock if name not in visible]:
        raise InputError(f"{path} does not show what is to be kept: {', '.join(missing)}.")
    kept = set(lock or visible) - set(without)
    if not 0 < len(kept) < len(NAMES):
        several = "every keypoint" if kept else "no keypoint"
        raise InputError(f"Of {path}, {several} would be kept: name some with --lock.")
    pose[[name not in kept for name in NAMES]] = 0
    return Kept(pose, canvas)


def remake(model: Model, path: Path) -> Poses:
    """The poses of a file once more. Raises InputError if another model made them."""
    told = made_by(path)
    if told["weights"] != model.identity["weights"]:
        raise InputError(
            f"{path} was made by {told['model']}, whose weights are not those of "
            f"{model.identity['model']}: give that run with --run."
        )
    settings = {name: told[name] for name in ("number", "seed", "kept", "without")}
    made = model.pose(told["caption"], **settings)
    return made.one(told["pose"]) if told["pose"] else made


def made_by(path: Path) -> dict[str, Any]:
    """What made the poses of a file: caption, seed, number, model, weights, what was ``kept`` and
    what they are ``without``, and as ``pose`` which of them it holds, 0 for all. Raises InputError
    if it does not say."""
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
        told = {name: str(found[name]) for name in ("caption", "model", "weights")}
        number, which = int(found["number"]), int(found.get("pose", 0))
        kept, without = Kept.told(found), named(",".join(found.get("without", [])))
        if not 0 <= which <= number <= MOST or number < 1:
            raise ValueError
        if kept is not None and not np.isfinite(kept.pose).all():
            raise ValueError
        told |= {"number": number, "pose": which, "seed": int(found["seed"]) % 2**32}
        return told | {"kept": kept, "without": without}
    except Exception:  # each library has its own, for files that are not theirs
        raise InputError(
            f"{path} does not say how its poses were made: give a file that this command wrote."
        ) from None
