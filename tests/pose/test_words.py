"""Captions as the shipped table of words encodes them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import paths
from lib.data import captions as text
from lib.errors import InputError
from lib.pose import words
from lib.pose.words import Encoder, Words, bare


@pytest.fixture(scope="module")
def coco() -> Words:
    return Words.read("coco")


def table(**vectors: list[float]) -> Words:
    rows = np.array([[*v, *[0] * (300 - len(v))] for v in vectors.values()], np.int8)
    places = {word: place for place, word in enumerate(vectors)}
    return Words(places, rows, np.full(len(rows), 0.5, np.float32), "data")


def test_words_are_bare():
    assert bare("  A man's “racket”, \n(red) -- and 2 balls!  ") == [
        "a", "man's", "racket", "red", "and", "2", "balls"
    ]  # fmt: skip
    assert bare(" ?! ") == []


def test_a_caption_is_the_mean_of_its_known_words():
    known = table(man=[2, 0], runs=[0, 4])
    h = known.encode("Man runs runs, fast.")
    assert h.shape == (300,)
    np.testing.assert_allclose(h[:2], [1 / 3, 4 / 3])
    assert known.unknown("Man runs runs, fast. fast") == ["fast"]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", ["no words"]),
        (" \n.", ["no words"]),
        ("mann", ["knows no word of 'mann'", "“man” for “mann”"]),
        ("Zyx", ["knows no word of 'Zyx'", "skateboard down a ramp"]),
    ],
)
def test_what_cannot_be_encoded_is_refused_in_a_sentence(caption, words):
    with pytest.raises(InputError) as error:
        table(man=[1], runs=[2]).encode(caption)
    assert all(word in str(error.value) for word in words)


@given(st.text(max_size=60))
def test_any_text_is_encoded_or_refused(caption):
    known = table(a=[1], man=[2])
    if any(word in known.places for word in bare(caption)):
        assert np.isfinite(known.encode(caption)).all()
    else:
        with pytest.raises(InputError):
            known.encode(caption)


def test_a_table_says_what_its_encoder_says(module_home):
    """But for the rounding of its vectors to a byte, and for punctuation."""
    sentences = ["a man runs", "a woman runs. fast", "a man, a woman"] * 5 + ["seldom"]
    encoder = text.train_encoder(sentences, paths.ENCODERS / "tiny.bin", epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "PUBLISHED", module_home / "published")
        words.ship(encoder, "pairs", "sample")
        known = Words.read("sample")
    assert sorted(known.places) == ["a", "fast", "man", "runs", "woman"] and known.data == "pairs"
    for caption in ("a man runs", "A  woman runs"):
        exact = text.encode(encoder, [caption])[0]
        assert np.linalg.norm(known.encode(caption) - exact) < 0.02 * np.linalg.norm(exact)
    whole = Encoder(encoder)
    np.testing.assert_array_equal(
        whole.encode("a man runs"), text.encode(encoder, ["a man runs"])[0]
    )
    assert whole.unknown("xyz") == [] and whole.advice(["xyz"]) == ""
    with pytest.raises(InputError, match="no words"):
        whole.encode("?")


def test_a_word_without_a_vector_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    vectors = {"man": np.full(300, 2.0, np.float32), "x": np.zeros(300, np.float32)}
    counts = (["man", "x", "rare"], np.array([5, 9, 4]))
    model = SimpleNamespace(get_words=lambda include_freq: counts, get_word_vector=vectors.get)
    words.ship(model, "pairs", "coco")
    assert list(Words.read("coco").places) == ["man"]
    np.testing.assert_allclose(np.linalg.norm(Words.read("coco").encode("man")), 1, rtol=1e-3)


@pytest.mark.parametrize("damage", [b"", b"{}", "cut"])
def test_a_damaged_table_is_named(monkeypatch, tmp_path, damage):
    content = words.file_of("sample").read_bytes()
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    (tmp_path / "words").mkdir()
    words.file_of("sample").write_bytes(content[:-100] if damage == "cut" else damage)
    with pytest.raises(InputError, match="words/sample.safetensors.*restore it"):
        Words.read("sample")
    words.file_of("sample").unlink()
    with pytest.raises(InputError, match="restore it"):
        Words.read("sample")


@pytest.mark.parametrize("source", ["coco", "sample"])
def test_shipped_tables_are_those_of_the_shipped_conditional_models(source):
    found = Words.read(source)
    for file in paths.PUBLISHED.glob("conditional_*/summary.json"):
        if json.loads(file.read_text())["source"] == source:
            assert json.loads(file.with_name("config.json").read_text())["data"] == found.data
    assert len(found.places) > 400 and found.vectors.shape == (len(found.places), 300)


def test_what_coco_speaks_of_is_known(coco):
    sentence = "a woman in a red dress swings a tennis racket, and a boy rides a wave"
    assert coco.unknown(sentence) == []
    assert coco.unknown("a zyzzyva on a Skateboard") == ["zyzzyva"]
    assert "“skateboard” for “skatebord”" in coco.advice(["skatebord"])
