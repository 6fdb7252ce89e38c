"""The compact cache between COCO's files and training (thesis 3.1, 3.2 and 4.2).

One safetensors file holds the keypoints as COCO gives them and the caption vectors, for both
splits: never heatmaps, which are rendered in batches. Loading it needs torch, numpy and
safetensors only, so that it is all a machine that trains has to be given.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from lib import paths
from lib.data import captions as text
from lib.data import coco
from lib.data.archive import SPLITS, Archive
from lib.data.heatmaps import fit_to_heatmap
from lib.errors import InputError

FORMAT = 3  # of the cache; a cache of another format is prepared again
COCO_2017 = 116_021, 4_812  # eligible poses of its two splits
GENERATOR = ("sample/people.py", "sample/activities.py", "sample/body.py", "skeleton.py")  # here
HOW = "run notebooks/01_data_preparation.ipynb or `python -m lib prepare`"


@dataclass
class Split:
    """One split. N poses, P conditional pairs, C captions; rows of one refer to another's."""

    poses: torch.Tensor  # (N, 17, 3) float32: heatmap pixels, visibility 0 or 1
    keypoints: np.ndarray  # (N, 17, 3) float32: image pixels, COCO visibility 0, 1 or 2
    boxes: np.ndarray  # (N, 4) float32: x, y, width, height in image pixels
    person_ids: np.ndarray  # (N,) int64
    image_ids: np.ndarray  # (N,) int64
    image_sizes: np.ndarray  # (N, 2) int32: width, height; 0, 0 where unknown
    single: np.ndarray  # (N,) bool: the only person in the image
    activity: np.ndarray  # (N,) int16: index into meta["activities"], -1 where none is known
    pair_pose: torch.Tensor  # (P,) int64: pose of each pair
    pair_first: torch.Tensor  # (P,) int64: first caption of each pair
    pair_count: torch.Tensor  # (P,) int64: captions of each pair, in consecutive rows
    caption_images: np.ndarray  # (C,) int64
    vectors: torch.Tensor  # (C, 300) float32, not yet times 30; (0, 300) without an encoder
    text: bytes = field(repr=False)  # the captions, utf-8, joined by newlines
    whole: bool = True  # False: captions of other images than the pairs' were left out

    @cached_property
    def pair_rows(self) -> torch.Tensor:
        """Rows of the captions that belong to a pair, pair after pair."""
        before = self.pair_count.cumsum(0) - self.pair_count
        total = int(self.pair_count.sum())
        return torch.arange(total) + (self.pair_first - before).repeat_interleave(self.pair_count)

    def draw_captions(self, pairs: torch.Tensor, source: torch.Generator) -> torch.Tensor:
        """The row of one random caption for each of some pairs (n,)."""
        return drawn_rows(self.pair_first[pairs], self.pair_count[pairs], source)

    @cached_property
    def captions(self) -> list[str]:
        """The C cleaned captions, sorted by image and caption id."""
        return self.text.decode().split("\n") if self.text else []

    def captions_of(self, pair: int) -> list[str]:
        """The captions of a pair's image."""
        first = int(self.pair_first[pair])
        return self.captions[first : first + int(self.pair_count[pair])]


def drawn_rows(first: torch.Tensor, count: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """One row at random of each block of ``count`` rows that begins at ``first``, (n,) each."""
    draw = torch.rand(len(first), generator=source, device=first.device)
    return first + (draw * count).long()


@dataclass
class Dataset:
    """A loaded cache.

    ``meta``: "hashes" {member: sha256}, "counts" {split: {persons, poses, pairs, captions}},
    "left_out" {reason: count}, "missing" [caption files], "encoder" {...}, "activities" [names],
    besides what the other fields hold.
    """

    name: str
    source: str  # "sample" or "coco"
    train: Split
    val: Split
    poses_id: str  # fingerprint of the keypoints and boxes of both splits
    pairs_id: str  # fingerprint of the poses, pairs, captions and the encoder's settings
    meta: dict[str, Any]

    def encoder(self):
        """The fastText model that encoded the captions (``lib.data.captions.encoder_for``)."""
        return text.encoder_for(self.meta, self.train.captions)

    @property
    def title(self) -> str:
        """What the data are called."""
        if self.source == "sample":
            return "generated sample data"
        official = (len(self.train.poses), len(self.val.poses)) == COCO_2017
        return "COCO 2017" if official else "own data"


def described(dataset: Dataset) -> str:
    """One clause on the data: which, and how many poses and pairs."""
    return (
        f"{dataset.title} ({len(dataset.train.poses):,} training and {len(dataset.val.poses):,} "
        f"validation poses, of which {len(dataset.train.pair_pose):,} and "
        f"{len(dataset.val.pair_pose):,} have captions)"
    )


def cache_path(name: str | Path) -> Path:
    """The file of a cache: that of "sample" or "coco", or ``name`` itself where it is a path."""
    if str(name) in ("sample", "coco"):
        return paths.CACHE / f"{name}.safetensors"
    return Path(name).expanduser()


def load(name: str | Path = "sample") -> Dataset:
    """Loads a cache ("sample", "coco" or a path), and fits its poses to the heatmap (thesis 3.2).
    Raises InputError if it is missing, damaged or of another format."""
    meta, arrays = _content(cache_path(name))
    train, val = (_split(arrays, split, "compact" not in meta) for split in SPLITS)
    return Dataset(str(name), meta["source"], train, val, meta["poses_id"], meta["pairs_id"], meta)


def _content(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors of a cache, which are as they were written. Raises InputError as
    ``load`` does."""
    meta = _metadata(path)
    with safe_open(path, framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    if meta.get("content") != _hash(arrays, sorted(arrays)):
        raise InputError(f"{paths.shown(path)} was changed or damaged since it was made: {HOW}.")
    return meta, arrays


def _split(arrays: dict[str, np.ndarray], name: str, whole: bool) -> Split:
    names = [key for key in arrays if key.startswith(f"{name}.")]
    own = {key.removeprefix(f"{name}."): arrays[key] for key in names}
    own |= {key: own[key].astype(np.float32) for key in ("keypoints", "vectors")}
    poses = torch.from_numpy(fit_to_heatmap(own["keypoints"], own["boxes"]))
    for key in ("pair_pose", "pair_first", "pair_count", "vectors"):
        own[key] = torch.from_numpy(own[key])
    return Split(poses=poses, text=own.pop("captions").tobytes(), whole=whole, **own)


def _metadata(path: Path) -> dict[str, Any]:
    """The decoded metadata of a cache. Raises InputError as ``load`` does."""
    if not path.is_file():
        raise InputError(f"There are no prepared data at {paths.shown(path)}: {HOW} first.")
    try:
        with safe_open(path, framework="numpy") as file:
            meta = {key: json.loads(value) for key, value in file.metadata().items()}
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{paths.shown(path)} is not a whole cache ({error}): {HOW}, or give another cache."
        ) from error
    if meta.get("format") != FORMAT:
        raise InputError(f"{paths.shown(path)} is of another version of the project: {HOW}.")
    return meta


def prepare(
    source: Path | None = None,
    cache: Path | None = None,
    encoder: Path | None = None,
    encoder_epochs: int = text.EPOCHS,
    seed: int = 0,
    sample_images: tuple[int, int] = (6000, 600),
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Makes the cache from COCO's files, or from the sample data, which it writes if need be.

    Nothing is done where the cache was made from the same files with the same encoder. An error
    leaves an earlier cache as it was.

    Args:
        source: COCO's zip, or a folder with annotations/; None for the sample data.
        cache: the file to write; None for data/cache/sample.safetensors or coco.safetensors.
        encoder: a pretrained fastText ``.bin``; None trains one on the training captions, in
            ``encoder_epochs`` passes.
        seed: of the sample data and of the encoder's training.
        sample_images: train and val images of the sample data.
        say: is told each step, in a line.
    Returns:
        The JSON object that ``python -m lib prepare`` prints.
    Raises:
        InputError: as ``lib.data.coco.read``; an encoder that is missing or unfit.
    """
    if source is None:
        _write_sample(seed, sample_images, say)
    folder = paths.SAMPLE if source is None else Path(source).expanduser()
    name = "sample" if folder.resolve() == paths.SAMPLE.resolve() else "coco"
    path = cache_path(name) if cache is None else Path(cache).expanduser()
    if path.is_dir():
        path = path / f"{name}.safetensors"

    settings = text.settings(encoder, encoder_epochs, seed)
    hashes = Archive(folder).hashes()
    made_with = {"format": FORMAT, "source": name, "hashes": hashes, "settings": settings}
    with contextlib.suppress(InputError):  # there is none, or none that can be used
        earlier, _ = _content(path)
        if made_with.items() <= earlier.items():
            say(f"{paths.shown(path)} is up to date.")
            return _summary(path, earlier)

    say(f"Reading {paths.shown(folder)}.")
    arrays, captions, found = coco.read(folder)
    model, described = _encoder(name, encoder, settings, captions["train"], say)
    for split, texts in captions.items():
        say(f"Encoding the {len(texts):,} captions of {split}.")
        vectors = text.encode(model, texts if model is not None else [])
        arrays[f"{split}.vectors"] = vectors.astype(np.float16)
    poses_id = _fingerprint(arrays, ("keypoints", "boxes"))
    pairs = ("pair_pose", "pair_first", "pair_count", "captions")
    pairs_id = _fingerprint(arrays, pairs, poses_id, json.dumps(settings, sort_keys=True))
    ids = {"poses_id": poses_id, "pairs_id": pairs_id}
    meta = made_with | found | ids | {"encoder": described}
    save(path, arrays, meta)
    say(f"Wrote {paths.shown(path)}.")
    return _summary(path, meta)


def _encoder(name: str, given: Path | None, settings: dict[str, Any], captions: list[str], say):
    """The text model (None without captions to train it on) and its entry in the metadata."""
    if given is not None:
        say(f"Loading the text encoder {settings['file']}.")
        path = Path(given).expanduser().resolve()
        described = settings | {"path": str(path)}
    elif captions:
        say(f"Training a text encoder on {len(captions):,} captions.")
        path = text.trained_path(name, settings, captions)
        described = settings | {"file": path.name}
    else:
        return None, {"kind": "none", "words": 0}
    model = text.encoder_for({"source": name, "encoder": described}, captions)
    return model, described | {"words": text.words(path)}


def _fingerprint(arrays: dict[str, np.ndarray], keys: tuple[str, ...], *more: str) -> str:
    """Of the named arrays of both splits; 16 hexadecimal digits."""
    return _hash(arrays, [f"{split}.{key}" for split in SPLITS for key in keys], *more)[:16]


def _hash(arrays: dict[str, np.ndarray], names: list[str], *more: str) -> str:
    digest = hashlib.sha256("\n".join(more).encode())
    for name in names:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array)
    return digest.hexdigest()


def save(path: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Writes a cache, whole or not at all. Raises InputError if it cannot be written."""
    from safetensors.numpy import save_file

    meta = meta | {"content": _hash(arrays, sorted(arrays))}
    try:
        with paths.replacing(path) as new:
            save_file(arrays, new, {key: json.dumps(value) for key, value in meta.items()})
            new.chmod(0o644)  # safetensors makes it the owner's alone
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The cache cannot be written to {paths.shown(path)} ({error}): give another place, or "
            "make room there."
        ) from error


def _summary(path: Path, meta: dict[str, Any]) -> dict[str, Any]:
    kinds = ("poses", "pairs", "captions")
    return {
        "source": meta["source"],
        **{f"{s}_{kind}": meta["counts"][s][kind] for kind in kinds for s in SPLITS},
        "left_out": meta["left_out"],
        "missing": meta["missing"],
        "encoder": meta["encoder"]["kind"],
        "cache": paths.shown(path),
    }


def _write_sample(seed: int, images: tuple[int, int], say: Callable[[str], None]) -> None:
    """Writes the sample data to data/sample where they are not there, whole and the same.

    data/sample/sample.json keeps what they were made with and their hashes; the files are written
    again where the seed, the counts of train and val images or the generator's code are others, or
    a file was changed.
    """
    from lib.data.sample import people

    folder = paths.SAMPLE
    code = b"".join((Path(__file__).parent / name).read_bytes() for name in GENERATOR)
    generator = hashlib.sha256(code).hexdigest()[:16]
    made_with = {"seed": seed, "images": list(images), "generator": generator}
    with contextlib.suppress(OSError, ValueError, InputError):  # not there, or not whole
        known = json.loads((folder / "sample.json").read_text())
        if known == made_with | {"hashes": Archive(folder).hashes()}:
            return
    say(f"Writing the sample data to {paths.shown(folder)}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sample.", dir=folder.parent) as place:
        new = Path(place) / folder.name
        people.write(new, seed, *images)
        made_with["hashes"] = Archive(new).hashes()
        (new / "sample.json").write_text(json.dumps(made_with, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)


def compact(data: str | Path, out: Path) -> int:
    """Writes a smaller copy of prepared data, for a machine that only trains, and returns its size
    in bytes. Raises InputError as ``load`` and ``save`` do.

    Keypoints become 16-bit numbers where that loses nothing (COCO's are whole pixels), and
    captions of other images than the pairs' are left out, so that a run must draw its mismatching
    captions from those of the pairs (``caption_pool``). Fingerprints stay: a run has the same
    identity with either cache.
    """
    dataset = load(data)
    with safe_open(cache_path(data), framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    for name, split in zip(SPLITS, (dataset.train, dataset.val), strict=True):
        rows = split.pair_rows.numpy()
        arrays |= {
            f"{name}.keypoints": _short(split.keypoints),
            f"{name}.pair_first": (split.pair_count.cumsum(0) - split.pair_count).numpy(),
            f"{name}.caption_images": split.caption_images[rows],
            f"{name}.captions": coco.joined([split.captions[row] for row in rows]),
            f"{name}.vectors": arrays[f"{name}.vectors"][rows],
        }
    save(out, arrays, dataset.meta | {"compact": True})
    return out.stat().st_size


def _short(values: np.ndarray) -> np.ndarray:
    """Whole numbers as int16, where they are whole and small enough; otherwise as they are."""
    short = values.astype(np.int16)
    return short if np.array_equal(short, values) else values
