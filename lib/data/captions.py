"""Captions to vectors with fastText (thesis 2.3), and the distance test of them (thesis 4.2).

A word's vector is the sum of its character n-grams' vectors, 3 to 6 characters long; a caption's
is the mean of its words' vectors, each of length 1. The networks take it times 30 (thesis 4.3);
here it is as fastText gives it.
"""

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib import paths
from lib.errors import InputError

DIMENSION = 300  # of a caption's vector, as in the thesis's pretrained model
EPOCHS = 5

# Twice fastText's learning rate: it reaches in 5 epochs what the default reaches in 10. A tenth of
# the vectors must hold all frequent words (see train_encoder), so there are many buckets.
SETTINGS = {
    "model": "skipgram",
    "dim": DIMENSION,
    "minn": 3,
    "maxn": 6,
    "minCount": 1,
    "bucket": 200_000,
    "lr": 0.1,
}


def clean(caption: str) -> str:
    """Lower-cases, and makes newlines and runs of white space one blank (thesis 4.2).

    fastText knows upper case as other words and refuses a newline; it takes utf-8, which cannot
    hold a lone surrogate.
    """
    return " ".join(caption.lower().encode("utf-8", "ignore").decode().split())


def settings(encoder: Path | None = None, epochs: int = EPOCHS, seed: int = 0) -> dict[str, Any]:
    """What determines an encoder, besides the captions it is trained on.

    Args:
        encoder: a pretrained ``.bin``; None for one trained here.
        epochs: passes over the captions, of one trained here.
        seed: of their order.
    Returns:
        {"kind": "fasttext trained" or "pretrained", ...}; JSON can hold it.
    Raises:
        InputError: there is no file at ``encoder``.
    """
    if encoder is None:
        return {"kind": "fasttext trained", **SETTINGS, "epochs": epochs, "seed": seed}
    encoder = Path(encoder).expanduser()
    if not encoder.is_file():
        raise InputError(
            f"There is no text encoder {paths.shown(encoder)}: put a fastText .bin of "
            f"{DIMENSION} dimensions there, or leave it out and one is trained here."
        )
    # Such files have several GB. Their ends (vocabulary, last weights) and size tell them apart.
    with open(encoder, "rb") as file:
        digest = hashlib.sha256(file.read(1 << 20))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return {
        "kind": "pretrained",
        "file": encoder.name,
        "bytes": size,
        "sha256_of_ends": digest.hexdigest(),
    }


def train_encoder(captions: Sequence[str], path: Path, epochs: int = EPOCHS, seed: int = 0):
    """Trains a skip-gram model on ``captions`` and keeps it at ``path`` (a ``.bin``).

    With one thread, as several race for the weights and no two runs would be the same. Then
    fastText draws only the first tenth of its vectors (words by frequency, then n-grams) and
    leaves the rest as it finds the memory (its issue 1061). Zeros do no harm there, left-overs
    do: so the training has a process of its own, in which large arrays are fresh pages.

    Args:
        captions: texts; they are cleaned here.
        path: where the model is kept; the file appears only when it is whole.
        epochs: passes over the captions.
        seed: of the order of the captions. fastText's own seed cannot be set for skip-gram.
    Returns:
        the fastText model, of 300 dimensions.
    Raises:
        InputError: there is not a word in ``captions``, or ``epochs`` is below 1.
    """
    if epochs < 1:
        raise InputError(f"The text encoder cannot be trained for {epochs} epochs: give 1 or more.")
    texts = [text for text in map(clean, captions) if text]
    if not texts:
        raise InputError("There is no caption to train a text encoder on: give captions.")
    order = np.random.default_rng(seed).permutation(len(texts))
    with tempfile.TemporaryDirectory() as folder, paths.replacing(Path(path)) as model:
        corpus = Path(folder) / "captions.txt"
        corpus.write_text("".join(texts[i] + "\n" for i in order), encoding="utf-8", newline="\n")
        options = SETTINGS | {"epoch": epochs, "thread": 1, "verbose": 0}
        subprocess.run(
            [sys.executable, "-c", TRAINING, str(corpus), str(model), json.dumps(options)],
            env={k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
            | {"MALLOC_MMAP_THRESHOLD_": "65536"},  # bytes; what is larger comes from the kernel
            check=True,
        )
    return load_encoder(path)


TRAINING = """
import json, sys
import fasttext
corpus, model, options = sys.argv[1:]
fasttext.train_unsupervised(corpus, **json.loads(options)).save_model(model)
"""


def load_encoder(path: Path):
    """The fastText model in a ``.bin`` file. Several GB of memory for a pretrained one.

    Raises:
        InputError: there is no such file, or no whole fastText model of 300 dimensions is in it.
    """
    import fasttext

    path = Path(path).expanduser()
    dimension, _ = _header(path)
    if dimension != DIMENSION:
        raise InputError(
            f"{paths.shown(path)} has vectors of {dimension} numbers: give a fastText model of "
            f"{DIMENSION} dimensions."
        )
    try:
        return fasttext.load_model(str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise InputError(
            f"{paths.shown(path)} cannot be loaded as a fastText model ({error}): give a whole "
            ".bin file, on a machine with memory for it."
        ) from error


def words(path: Path) -> int:
    """The number of words a ``.bin`` file knows; InputError as ``load_encoder``."""
    return _header(path)[1]


def _header(path: Path) -> tuple[int, int]:
    """Dimension and number of words of a fastText model, which is checked to be whole.

    fastText loads a file that was cut off without a word, and takes what is missing as it finds
    the memory. The file ends with the output matrix: its rows and columns (two 64-bit numbers),
    then its weights. In a file that was cut off they are not where the beginning says.
    """
    if not path.is_file():
        raise InputError(
            f"There is no text encoder {paths.shown(path)}: put a fastText .bin there."
        )
    with open(path, "rb") as file:
        head = file.read(76)
        magic, dimension, kind, count, labels = 0, 0, 0, 0, 0
        if len(head) == 76:
            magic, dimension, kind = (struct.unpack_from("<i", head, at)[0] for at in (0, 8, 36))
            count, labels = struct.unpack_from("<ii", head, 68)
        rows = labels if kind == 3 else count  # 3: a supervised model
        end = file.seek(0, os.SEEK_END) - 4 * rows * dimension - 16
        if magic == 793712314 and end > 0:
            file.seek(end)
            if struct.unpack("<qq", file.read(16)) == (rows, dimension):
                return dimension, count
    raise InputError(
        f"{paths.shown(path)} is not a whole fastText model: give a .bin file (not .vec) that was "
        "not cut off."
    )


def encode(model, captions: Sequence[str]) -> np.ndarray:
    """The vectors of captions, (C, 300) float32, not yet times 30. No words give zeros."""
    vectors = np.zeros((len(captions), DIMENSION), np.float32)
    for row, caption in zip(vectors, captions, strict=True):
        row[:] = model.get_sentence_vector(clean(caption))
    return vectors


def trained_path(source: str, encoder: dict[str, Any], captions: Sequence[str]) -> Path:
    """Where the encoder trained on ``captions`` with the settings ``encoder`` is kept."""
    digest = hashlib.sha256(json.dumps(encoder, sort_keys=True).encode())
    digest.update("\n".join(captions).encode())
    return paths.ENCODERS / f"{source}-{digest.hexdigest()[:12]}.bin"


def trained_encoder(captions: Sequence[str], path: Path, epochs: int, seed: int):
    """The encoder kept at ``path``; trained, as ``train_encoder`` does, where none is there."""
    try:
        return load_encoder(path)
    except InputError:  # none, or one that was cut off
        return train_encoder(captions, path, epochs, seed)


def encoder_for(meta: dict[str, Any], captions: Sequence[str] | None = None):
    """The model that encoded a cache's captions, so that made-up captions can be encoded too.

    Args:
        meta: the cache's metadata, ``lib.data.cache.load(name).meta``.
        captions: the cache's training captions, to train a lost model again; deterministic.
    Returns:
        the fastText model.
    Raises:
        InputError: the model's file is gone and cannot be made again, or is another one; or the
            cache has no encoder, having no training captions.
    """
    encoder = meta["encoder"]
    if encoder["kind"] == "none":
        raise InputError(
            f"The {meta['source']} data have no text encoder, as they have no training captions: "
            "prepare them from files with captions_train2017.json, or with a pretrained encoder."
        )
    path = paths.ENCODERS / encoder["file"]
    if encoder["kind"] == "fasttext trained":
        if captions:
            return trained_encoder(captions, path, encoder["epochs"], encoder["seed"])
        if path.is_file():
            return load_encoder(path)
        raise InputError(
            f"The text encoder {paths.shown(path)} is gone: run "
            "notebooks/01_data_preparation.ipynb or `python -m lib prepare` again."
        )
    for place in (path, Path(encoder["path"])):
        if place.is_file() and settings(place)["sha256_of_ends"] == encoder["sha256_of_ends"]:
            return load_encoder(place)
    raise InputError(
        f"The text encoder {encoder['file']} that the {meta['source']} data were prepared with is "
        f"not there any more: put it at {paths.shown(path)}."
    )


@dataclass(frozen=True)
class Distances:
    """Euclidean distances between caption vectors (thesis 4.2, Figure 10)."""

    same: np.ndarray  # (repeats,): two captions of one image
    different: np.ndarray  # (repeats,): captions of two images
    probability: float  # that the same-image distance is the smaller one; a tie counts one half


def distance_test(
    vectors: np.ndarray, images: np.ndarray, repeats: int = 10_000, seed: int = 0
) -> Distances:
    """Compares captions of one image with captions of two images (thesis 4.2, Figure 10).

    Each repeat draws an image and two of its captions, then two images and a caption of each.

    Args:
        vectors: (C, 300) captions' vectors.
        images: (C,) the image of each caption, in any order.
        repeats: number of draws.
        seed: of the draws.
    Raises:
        InputError: fewer than two images, or no image with two captions.
    """
    vectors, images = np.asarray(vectors, np.float32), np.asarray(images)
    order = np.argsort(images, kind="stable")  # brings the captions of an image together
    _, first, count = np.unique(images[order], return_index=True, return_counts=True)
    several = np.flatnonzero(count > 1)
    if len(count) < 2 or not len(several):
        raise InputError(
            "The distance test wants captions of two images or more, one of them with two "
            "captions or more: give more captions."
        )
    rng = np.random.default_rng(seed)

    def caption(image: np.ndarray) -> np.ndarray:  # (repeats,) places within each image
        return rng.integers(count[image])

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(vectors[order[a]] - vectors[order[b]], axis=1)

    image = several[rng.integers(len(several), size=repeats)]
    one = caption(image)
    other = (one + 1 + rng.integers(count[image] - 1)) % count[image]  # any but the first
    same = distance(first[image] + one, first[image] + other)

    left = rng.integers(len(count), size=repeats)
    right = (left + 1 + rng.integers(len(count) - 1, size=repeats)) % len(count)
    different = distance(first[left] + caption(left), first[right] + caption(right))
    smaller = (same < different) + 0.5 * (same == different)
    return Distances(same, different, float(smaller.mean()))
