"""Poses for a sentence, from the conditional model that the repository ships, or from one's own.

The shipped one needs its weights and the words it knows, nothing else: no data, no torch, no
fastText.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.data.skeleton import NAMES, SIZE
from lib.errors import InputError
from lib.pose.plain import Plain, noise
from lib.pose.words import Encoder, Words, bare, file_of

MOST = 16_384  # pixels along a side of a canvas
EXPERIMENT, SOURCE = "conditional_reduced", "coco"  # of the model that is used by default
SEVERAL = frozenset(
    "people men women boys girls children kids couple group team crowd players persons guys ladies "
    "adults friends surfers skiers snowboarders skateboarders riders two three four five several "
    "many family".split()
)
ANIMALS = frozenset("bird cat dog horse sheep cow elephant bear zebra giraffe puppy kitten".split())
PEOPLE = frozenset(
    "man woman boy girl child person lady guy kid player surfer skier snowboarder skateboarder "
    "rider he she someone adult baby".split()
)


@dataclass(frozen=True)
class Canvas:
    """A picture, and the square in it that the heatmap fills; in pixels."""

    width: int = 512
    height: int = 512
    left: float = 0.0
    top: float = 0.0
    side: float = 512.0

    def __post_init__(self):
        """Raises ValueError if nothing could be drawn on it."""
        within = 1 <= self.width <= MOST and 1 <= self.height <= MOST and 0 < self.side < math.inf
        if not (within and math.isfinite(self.left + self.top)):
            size = f"{self.width:g} by {self.height:g}"
            raise ValueError(f"a canvas has 1 to {MOST:,} pixels along each side, not {size}")

    def points(self, poses) -> np.ndarray:
        """Poses (n, 17, 3) in heatmap pixels to pixels of the canvas, float64; an invisible
        keypoint is (0, 0, 0)."""
        poses = np.asarray(poses, dtype=np.float64).copy()
        poses[..., :2] = poses[..., :2] * self.side / SIZE + (self.left, self.top)
        return poses * (poses[..., 2:] > 0)

    def heatmap(self, points) -> np.ndarray:
        """The reverse."""
        poses = np.asarray(points, dtype=np.float64).copy()
        poses[..., :2] = (poses[..., :2] - (self.left, self.top)) * SIZE / self.side
        return poses * (poses[..., 2:] > 0)


@dataclass(frozen=True)
class Kept:
    """Keypoints that stay where they are, in a pose (17, 3) in heatmap pixels, and its canvas."""

    pose: np.ndarray
    canvas: Canvas

    @classmethod
    def told(cls, made_by: dict[str, Any]) -> "Kept | None":
        """From what :attr:`made_by` says; None if nothing was kept."""
        if "kept" not in made_by:
            return None
        pose = np.zeros((len(NAMES), 3))
        for name, (x, y) in made_by["kept"].items():
            pose[NAMES.index(name)] = x, y, 1
        return cls(pose, Canvas(**made_by["canvas"]))

    @property
    def made_by(self) -> dict[str, Any]:
        """What has to be known to keep them again."""
        places = {
            name: [x, y]
            for name, (x, y, kept) in zip(NAMES, self.pose.tolist(), strict=True)
            if kept
        }
        return {"kept": places, "canvas": vars(self.canvas)}


@dataclass(frozen=True)
class Poses:
    """What a caption was answered with."""

    keypoints: np.ndarray  # (n, 17, 3): x and y in heatmap pixels, visibility 0 or 1
    made_by: dict[str, Any]  # what makes them again: caption, seed, number, model, ...
    notes: tuple[str, ...] = ()  # what the reader should know of them, in sentences
    canvas: Canvas = Canvas()

    @property
    def points(self) -> np.ndarray:
        """(n, 17, 3) in pixels of the canvas; an invisible keypoint is (0, 0, 0)."""
        return self.canvas.points(self.keypoints)

    def one(self, number: int) -> "Poses":
        """One of several, the first of which is number 1."""
        chosen, told = self.keypoints[number - 1 : number], self.made_by | {"pose": number}
        return replace(self, keypoints=chosen, made_by=told)


def shipped() -> Path:
    """The folder of the published keypoint model of COCO. Raises InputError if there is none."""
    for file in sorted(paths.PUBLISHED.glob(f"{EXPERIMENT}-*/summary.json")):
        settings = json.loads(file.with_name("config.json").read_text())
        told = json.loads(file.read_text())
        if settings.get("networks") == "keypoints" and told.get("source") == SOURCE:
            return file.parent
    raise InputError("The repository ships no conditional model of COCO: give one with --run.")


class Model:
    """A conditional generator, with the words that it knows."""

    def __init__(self, run: str = ""):
        """``run``: a finished run, by its folder or name; by default the shipped one. Raises
        InputError if it is not there, or takes no captions."""
        self.run = run or str(shipped())
        if run:
            self.weights, self.scale, self.words, self.answer = _of_run(run)
        else:
            folder = Path(self.run)
            self.weights = folder / "generator.safetensors"
            self.scale = json.loads((folder / "config.json").read_text())["caption_scale"]
            self.words, self.answer = Words.read(SOURCE), Plain.read(self.weights).poses

    @cached_property
    def identity(self) -> dict[str, str]:
        """As :func:`identity_of`."""
        return identity_of(self.weights)

    def pose(
        self,
        caption: str,
        number: int = 1,
        seed: int = 0,
        kept: Kept | None = None,
        without: Sequence[str] = (),
    ) -> Poses:
        """Poses for a caption, with the keypoints that are ``kept`` where those are, and without
        the named ones. Raises InputError if no word of the caption is known, or keypoints are to be
        kept by networks that do not place them."""
        h = self.scale * self.words.encode(caption)
        told = {"caption": caption} | self.identity | {"seed": seed, "number": number}
        notes, canvas = self.notes(caption), Canvas()
        if kept is None:
            keypoints = self.answer(noise(number, seed), np.tile(h, (number, 1)))
        else:
            from lib.pose.search import search  # which takes torch

            keypoints, off = search(self.run, h, kept.pose, number, seed)
            told, canvas = told | kept.made_by, kept.canvas
            mean, most = (value * canvas.side / SIZE for value in (off.mean(), off.max()))
            notes.append(
                f"The model comes within {most:.1f} pixels of the keypoints that are kept, "
                f"{mean:.1f} on average; they stay where they were."
            )
        if without:
            keypoints[:, [NAMES.index(name) for name in without]] = 0
            told["without"] = list(without)
        return Poses(keypoints, told, tuple(notes), canvas)

    def notes(self, caption: str) -> list[str]:
        """What to say of a caption that the model takes only a part of."""
        words, found = set(bare(caption)), []
        if unknown := self.words.unknown(caption):
            advice = self.words.advice(unknown)
            found.append(f"Not known to the model, and left out: {', '.join(unknown)}.{advice}")
        if words & SEVERAL:
            found.append("The model draws one person: each pose is that of one of them.")
        elif words & ANIMALS and not words & PEOPLE:
            found.append("The model draws people only: this is the pose of a person.")
        return found


def identity_of(weights: Path) -> dict[str, str]:
    """The run whose folder a file of G's weights is in, a hash of them, and the version of this
    package."""
    folder = weights.parent
    name = folder.parent.name if folder.name.startswith("checkpoint-") else folder.name
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    version = metadata.version("pose-from-captions")
    return {"model": name, "weights": digest, "version": version}


def _of_run(name: str) -> tuple[Path, float, Words | Encoder, Callable]:
    """Weights, scale of encodings, words and generator of a run, whichever networks it has."""
    import torch

    from lib.data.cache import load
    from lib.losses import ALGORITHMS
    from lib.training.runs import Run

    run = Run.open(name)
    if not ALGORITHMS[run.config.algorithm].conditional:
        raise InputError(f"{run.folder.name} takes no captions: give a conditional run.")
    G, trained_on = run.generator(), json.loads((run.folder / "config.json").read_text())["data"]

    @torch.no_grad()
    def answer(z: np.ndarray, h: np.ndarray) -> np.ndarray:
        z, h = (torch.as_tensor(x, dtype=torch.float32) for x in (z, h))
        return run.recipe.poses(G, z, h).numpy()

    tables = (Words.read(file.stem) for file in sorted(file_of("").parent.glob("*.safetensors")))
    words = next((table for table in tables if table.data == trained_on), None)
    own = words or Encoder(load(run.summary["data"]).encoder())
    return run.weights, run.config.caption_scale, own, answer
