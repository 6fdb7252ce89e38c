"""The words that a shipped conditional model knows, and captions as its encoder gives them.

A caption's vector is the mean of its words' vectors, each of length 1 (:mod:`lib.data.captions`).
The fastText model of COCO's captions takes 300 MB, nearly all of them for pieces of words. A table
of the words themselves, a byte a number, takes 2 MB and needs no fastText. It has the words that
occur five times or more, without punctuation. What is lost are rarer words, and that the encoder
has another vector for "racket." than for "racket".
"""

import difflib
import string
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lib import paths
from lib.data.captions import clean, encode
from lib.errors import InputError

FEWEST = 5  # times that a word occurs in the training captions
LEVELS = 127  # of a number of a vector, on either side of 0
NEAR = 0.75  # how alike the spelling of a suggested word is
PUNCTUATION = string.punctuation + "“”‘’…–—"


def bare(caption: str) -> list[str]:
    """The words of a caption, in lower case, without the punctuation around them."""
    words = (word.strip(PUNCTUATION) for word in clean(caption).split())
    return [word for word in words if word]


@dataclass(frozen=True)
class Words:
    """W words and their vectors, as bytes times a scale."""

    places: dict[str, int]
    vectors: np.ndarray  # (W, 300) int8
    scales: np.ndarray  # (W,) float32
    data: str  # the identity of the pairs with captions whose encoder this is

    @classmethod
    def read(cls, source: str) -> "Words":
        """The shipped table of the data "coco" or "sample". Raises InputError if it is not there,
        or is damaged."""
        path = file_of(source)
        try:
            with safe_open(path, "numpy") as file:
                words = file.get_tensor("words").tobytes().decode().split("\n")
                places = {word: place for place, word in enumerate(words)}
                vectors, scales = file.get_tensor("vectors"), file.get_tensor("scales")
                data = file.metadata()["data"]
        except (OSError, SafetensorError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{paths.shown(path)} cannot be read ({error!r}): restore it from the repository."
            ) from None
        if not len(places) == len(vectors) == len(scales):
            raise InputError(f"{paths.shown(path)} is damaged: restore it from the repository.")
        return cls(places, vectors, scales, data)

    def unknown(self, caption: str) -> list[str]:
        """Words of a caption that are not in the table, each once."""
        return list(dict.fromkeys(word for word in bare(caption) if word not in self.places))

    def encode(self, caption: str) -> np.ndarray:
        """h (300,), the mean of the known words' vectors, not yet times 30.

        Raises:
            InputError: there are no words, or none that is known.
        """
        words = _words(caption)
        rows = [self.places[word] for word in words if word in self.places]
        if not rows:
            raise InputError(
                f"The model knows no word of {caption!r}.{self.advice(words)} It knows the words "
                "of captions of photographs, such as “a man is riding a skateboard down a ramp”."
            )
        return (self.vectors[rows] * self.scales[rows, None].astype(np.float64)).mean(axis=0)

    def advice(self, words: list[str]) -> str:
        """A sentence with the known words that unknown ones are spelt most like; "" for none."""
        near = {word: difflib.get_close_matches(word, self.places, 1, NEAR) for word in words}
        meant = [f"“{match[0]}” for “{word}”" for word, match in near.items() if match]
        return f" Did you mean {', '.join(meant)}?" if meant else ""


@dataclass(frozen=True)
class Encoder:
    """What a whole fastText model knows, in the same form: pieces of words, so that none is
    unknown."""

    model: object

    def unknown(self, caption: str) -> list[str]:
        return []

    def encode(self, caption: str) -> np.ndarray:
        """h (300,), not yet times 30. Raises InputError if there are no words."""
        _words(caption)
        return encode(self.model, [caption])[0]

    def advice(self, words: list[str]) -> str:
        return ""


def _words(caption: str) -> list[str]:
    if words := bare(caption):
        return words
    raise InputError("The caption has no words: say what the person does.")


def file_of(source: str) -> Path:
    return paths.PUBLISHED / "words" / f"{source}.safetensors"


def ship(encoder, data: str, source: str) -> Path:
    """Writes the table of a fastText model, trained on the captions of the data "coco" or
    "sample", whose pairs have the identity ``data``; returns its file."""
    counts: Counter[str] = Counter()
    for word, times in zip(*encoder.get_words(include_freq=True), strict=True):
        for spelling in bare(word):
            counts[spelling] += int(times)
    often = [word for word, times in counts.most_common() if times >= FEWEST]
    known = {word: encoder.get_word_vector(word) for word in often}
    known = {word: vector for word, vector in known.items() if vector.any()}
    vectors = np.stack(list(known.values()))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scales = np.abs(vectors).max(axis=1) / LEVELS
    table = {
        "vectors": np.round(vectors / scales[:, None]).astype(np.int8),
        "scales": scales.astype(np.float32),
        "words": np.frombuffer("\n".join(known).encode(), np.uint8),
    }
    with paths.replacing(file_of(source)) as new:
        save_file(table, new, {"data": data})
    return file_of(source)
