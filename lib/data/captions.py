"""Captions to vectors with fastText (thesis 2.3), and the distance test of them (thesis 4.2).

A word's vector is the sum of its character n-grams' vectors, 3 to 6 characters long; a caption's
is the mean of its words' vectors, each of length 1. The networks take it times 30 (thesis 4.3);
here it is as fastText gives it.
"""

import hashlib
import json
import os
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
MAGIC = 793712314  # with which fastText's files begin

# Twice fastText's learning rate: it reaches in 5 epochs what the default reaches in 10. A tenth of
# the vectors must hold all frequent words (see train_encoder), so there are many buckets.
SETTINGS = {
    "model": "skipgram", "dim": DIMENSION, "minn": 3, "maxn": 6, "minCount": 1,
    "bucket": 200_000, "lr": 0.1,
}  # fmt: skip
TRAINING = """import fasttext, json, sys
corpus, model, options = sys.argv[1:]
fasttext.train_unsupervised(corpus, **json.loads(options)).save_model(model)"""


def clean(caption: str) -> str:
    """Lower-cases, and makes newlines and runs of white space one blank (thesis 4.2).

    fastText knows upper case as other words and refuses a newline; it takes utf-8, which cannot
    hold a lone surrogate.
    """
    return " ".join(caption.lower().encode("utf-8", "ignore").decode().split())


def settings(encoder: Path | None = None, epochs: int = EPOCHS, seed: int = 0) -> dict[str, Any]:
    """What determines an encoder, besides the captions it is trained on: {"kind": "fasttext
    trained" or "pretrained", ...}, which JSON can hold. Raises InputError if the file of a
    pretrained one, ``encoder``, is missing."""
    if encoder is None:
        return {"kind": "fasttext trained", **SETTINGS, "epochs": epochs, "seed": seed}
    encoder = Path(encoder).expanduser()
    if not encoder.is_file():
        raise InputError(
            f"There is no text encoder {paths.shown(encoder)}: put a fastText .bin of "
            f"{DIMENSION} dimensions there, or leave it out and one is trained here."
        )
    # Such files have several GB. Their ends (vocabulary, last weights) and size tell them apart.
    size = encoder.stat().st_size
    with open(encoder, "rb") as file:
        digest = hashlib.sha256(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    own = {"kind": "pretrained", "file": encoder.name, "bytes": size}
    return own | {"sha256_of_ends": digest.hexdigest()}


def train_encoder(captions: Sequence[str], path: Path, epochs: int = EPOCHS, seed: int = 0):
    """Trains a skip-gram model on ``captions`` in ``epochs`` passes, keeps it at ``path`` (a
    ``.bin``, which appears only when it is whole), and returns it.

    ``seed`` is of the order of the captions: fastText's own cannot be set for skip-gram.

    With one thread, as several race for the weights and no two runs would be the same. Then
    fastText draws only the first tenth of its vectors (words by frequency, then n-grams) and
    leaves the rest as it finds the memory (its issue 1061). Zeros do no harm there, left-overs
    do: so the training has a process of its own, in which large arrays are fresh pages. InputError
    where there is not a word in ``captions``, or ``epochs`` is below 1.
    """
    if epochs < 1:
        raise InputError(f"The text encoder cannot be trained for {epochs} epochs: give 1 or more.")
    texts = [*filter(None, map(clean, captions))]
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


def load_encoder(path: Path):
    """The fastText model in a ``.bin`` file; a pretrained one takes several GB of memory. Raises
    InputError as ``words`` does."""
    import fasttext

    words(path)
    try:
        return fasttext.load_model(str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise InputError(
            f"{paths.shown(path)} cannot be loaded as a fastText model ({error}): give a whole "
            ".bin file, on a machine with memory for it."
        ) from error


def words(path: Path) -> int:
    """The number of words that a fastText model knows. Raises InputError if the file is missing, or
    does not hold a whole model of 300 dimensions.

    fastText loads a file that was cut off without a word, and takes what is missing as it finds
    the memory. The file ends with the output matrix: its rows and columns (two 64-bit numbers),
    then its weights. In a file that was cut off they are not where the beginning says.
    """
    if not path.is_file():
        raise InputError(
            f"There is no text encoder {paths.shown(path)}: put a fastText .bin there."
        )
    head = np.fromfile(path, "<i4", 19).tolist()
    if len(head) == 19 and head[0] == MAGIC:
        dimension, kind, count, labels = (head[place] for place in (2, 9, 17, 18))
        rows = labels if kind == 3 else count  # 3: a supervised model
        end = path.stat().st_size - 4 * rows * dimension - 16
        if end > 0 and np.fromfile(path, "<i8", 2, offset=end).tolist() == [rows, dimension]:
            if dimension == DIMENSION:
                return count
            raise InputError(
                f"{paths.shown(path)} has vectors of {dimension} numbers: give a fastText model of "
                f"{DIMENSION} dimensions."
            )
    raise InputError(
        f"{paths.shown(path)} is not a whole fastText model: give a .bin file (not .vec) that was "
        "not cut off."
    )


def encode(model, captions: Sequence[str]) -> np.ndarray:
    """The vectors of captions, (C, 300) float32, not yet times 30. No words give zeros."""
    vectors = (model.get_sentence_vector(clean(caption)) for caption in captions)
    return np.fromiter(vectors, np.dtype((np.float32, DIMENSION)), len(captions))


def trained_path(source: str, encoder: dict[str, Any], captions: Sequence[str]) -> Path:
    """Where the encoder trained on ``captions`` with the settings ``encoder`` is kept."""
    digest = hashlib.sha256(json.dumps(encoder, sort_keys=True).encode())
    digest.update("\n".join(captions).encode())
    return paths.ENCODERS / f"{source}-{digest.hexdigest()[:12]}.bin"


def encoder_for(meta: dict[str, Any], captions: Sequence[str] = ()):
    """The fastText model that encodes the captions of a cache of this metadata, and made-up ones.

    One that was trained on ``captions``, the cache's for training, is trained where it is not there
    (yet, or any more), always the same. Raises InputError if its file is gone and cannot be made
    again, or is another one, or if a cache has none because it has no training captions.
    """
    encoder = meta["encoder"]
    if encoder["kind"] == "none":
        raise InputError(
            f"The {meta['source']} data have no text encoder, as they have no training captions: "
            "prepare them from files with captions_train2017.json, or with a pretrained encoder."
        )
    path = paths.ENCODERS / encoder["file"]
    if encoder["kind"] == "fasttext trained":
        try:
            return load_encoder(path)
        except InputError as error:  # none, or one that was cut off
            if captions:
                return train_encoder(captions, path, encoder["epochs"], encoder["seed"])
            raise InputError(
                f"The text encoder {paths.shown(path)} is gone: run "
                "notebooks/01_data_preparation.ipynb or `python -m lib prepare` again."
            ) from error
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

    Each repeat draws an image and two of its captions, then two images and a caption of each, from
    captions' ``vectors`` (C, 300) and the image of each (C,), in any order. Where there are fewer
    than two images, or none with two captions, there are no distances, and no probability (NaN).
    """
    vectors, images = np.asarray(vectors, np.float32), np.asarray(images)
    order = np.argsort(images, kind="stable")  # brings the captions of an image together
    _, first, count = np.unique(images[order], return_index=True, return_counts=True)
    several = np.flatnonzero(count > 1)
    if len(count) < 2 or not len(several):
        return Distances(np.zeros(0), np.zeros(0), float("nan"))
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
