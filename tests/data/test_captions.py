"""Captions to vectors (thesis 2.3), and the distance test of them (thesis 4.2)."""

import math

import numpy as np
import pytest

from lib import paths
from lib.data import captions as text
from lib.errors import InputError

CAPTIONS = [
    f"{who} {act} {where}"
    for who in ("a man", "two women", "the boy")
    for act in ("playing tennis", "riding a horse", "surfing a wave", "sitting at a table")
    for where in ("outside", "in the sun", "near a house")
]


@pytest.fixture(scope="module")
def model(module_home):
    return text.train_encoder(CAPTIONS, module_home / "model.bin", epochs=3)


def test_clean():
    assert text.clean(" A Man\nrides\r\n\ta  HORSE. \n") == "a man rides a horse."
    assert text.clean("É\u00a0x") == "é x"
    assert text.clean("a \ud800b") == "a b"  # half a character, which utf-8 cannot hold
    assert text.clean(text.clean("Ab \n")) == text.clean("Ab \n")


def test_model_is_as_the_thesis_has_it(model):
    assert model.get_dimension() == 300
    args = model.f.getArgs()
    assert (args.minn, args.maxn, args.minCount) == (3, 6, 1)
    assert "skip" in str(args.model) or int(args.model) == 2  # 2 is fastText's skip-gram
    assert set("a man playing tennis".split()) <= set(model.words)


def test_caption_is_the_mean_of_its_words_directions(model):
    words = "a man playing tennis".split()
    vectors = np.stack([model.get_word_vector(w) for w in words])
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    assert np.allclose(text.encode(model, ["A man  playing\nTENNIS"])[0], mean, atol=1e-6)


def test_encode(model):
    vectors = text.encode(model, ["a man", "", "a man", "an unseen-word"])
    assert vectors.shape == (4, 300) and vectors.dtype == np.float32
    assert (vectors[1] == 0).all() and (vectors[0] == vectors[2]).all()
    assert np.linalg.norm(vectors[3]) > 0  # from its n-grams
    assert text.encode(model, []).shape == (0, 300)


def test_training_is_deterministic_and_the_seed_counts(home, model, capfd):
    again = text.train_encoder(CAPTIONS, home / "again.bin", epochs=3)
    other = text.train_encoder(CAPTIONS, home / "other.bin", epochs=3, seed=1)
    a, b, c = (text.encode(m, CAPTIONS) for m in (model, again, other))
    assert (a == b).all() and not (a == c).all()
    assert capfd.readouterr() == ("", "")  # no progress on stderr either


def test_training_does_not_see_left_over_memory(home, model):
    # fastText leaves most of its vectors as it finds the memory. Vectors that no word uses show it.
    used = {i for word in model.words for i in model.get_subwords(word)[1].tolist()}
    matrix = model.get_input_matrix()
    unused = sorted(set(range(len(matrix) // 10 + 1, len(matrix))) - used)
    assert len(unused) > 100 and (matrix[unused] == 0).all()


def test_loading_gives_the_same_model(home, model):
    path = home / "kept.bin"
    text.train_encoder(CAPTIONS, path, epochs=3)
    assert (text.encode(text.load_encoder(path), CAPTIONS) == text.encode(model, CAPTIONS)).all()
    assert text.words(path) == len(model.words)
    assert [p.name for p in home.iterdir()] == ["kept.bin"]  # nothing else is left behind


def test_nothing_to_train_on(home):
    with pytest.raises(InputError, match="no caption"):
        text.train_encoder(["", " \n"], home / "none.bin")
    with pytest.raises(InputError, match="0 epochs"):
        text.train_encoder(CAPTIONS, home / "none.bin", epochs=0)


def test_unfit_encoders(home, model):
    home.mkdir(exist_ok=True)
    with pytest.raises(InputError, match="no text encoder"):
        text.load_encoder(home / "none.bin")
    with pytest.raises(InputError, match="no text encoder"):
        text.settings(home / "none.bin")
    vec = home / "wiki.vec"
    vec.write_text("2 300\n" + "tennis" + " 0.1" * 300 + "\n")
    with pytest.raises(InputError, match="not a whole fastText model"):
        text.load_encoder(vec)
    whole = home / "whole.bin"
    model.save_model(str(whole))
    text.load_encoder(whole)
    for size in (0, 50, 100, whole.stat().st_size // 2, whole.stat().st_size - 1):
        cut = home / "cut.bin"
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(InputError, match="not a whole fastText model"):
            text.load_encoder(cut)


def test_encoder_of_another_dimension(home, monkeypatch):
    monkeypatch.setattr(text, "SETTINGS", text.SETTINGS | {"dim": 20})
    with pytest.raises(InputError, match="20 numbers.*300"):
        text.train_encoder(CAPTIONS, home / "small.bin", epochs=1)


def test_pretrained_settings_tell_files_apart(home):
    home.mkdir()
    for name, content in (("a.bin", b"x" * 10), ("b.bin", b"y" * 10)):
        (home / name).write_bytes(content)
    a, b = text.settings(home / "a.bin"), text.settings(home / "b.bin")
    assert a["kind"] == "pretrained" and a["file"] == "a.bin" and a["bytes"] == 10
    assert a["sha256_of_ends"] != b["sha256_of_ends"]
    assert text.settings(epochs=3) != text.settings(epochs=4) != text.settings(epochs=4, seed=1)


def trained_meta() -> dict:
    described = text.settings(epochs=2)
    path = text.trained_path("sample", described, CAPTIONS)
    return {"source": "sample", "encoder": described | {"file": path.name}}


def test_lost_encoder_is_trained_again(home):
    meta = trained_meta()
    with pytest.raises(InputError, match="gone"):
        text.encoder_for(meta)
    first = text.encode(text.encoder_for(meta, CAPTIONS), CAPTIONS)
    path = paths.ENCODERS / meta["encoder"]["file"]
    assert (text.encode(text.encoder_for(meta), CAPTIONS) == first).all()
    path.write_bytes(path.read_bytes()[:1000])  # cut off
    assert (text.encode(text.encoder_for(meta, CAPTIONS), CAPTIONS) == first).all()
    assert path.stat().st_size > 1000


def test_trained_path_depends_on_what_is_trained(home):
    one = text.trained_path("coco", text.settings(epochs=2), CAPTIONS)
    assert one.parent == paths.ENCODERS and one.name.startswith("coco-")
    assert one != text.trained_path("coco", text.settings(epochs=3), CAPTIONS)
    assert one != text.trained_path("coco", text.settings(epochs=2), CAPTIONS[1:])


def test_pretrained_encoder_is_looked_for(home, model):
    given = home / "elsewhere.bin"
    text.train_encoder(CAPTIONS, given, epochs=1)
    meta = {"source": "coco", "encoder": text.settings(given) | {"path": str(given)}}
    assert text.encoder_for(meta).get_dimension() == 300
    given.rename(home / "moved.bin")
    with pytest.raises(InputError, match="elsewhere.bin"):
        text.encoder_for(meta)
    model.save_model(str(given))  # another model under that name is not taken for it
    with pytest.raises(InputError, match="not there any more"):
        text.encoder_for(meta)
    paths.ENCODERS.mkdir(parents=True, exist_ok=True)
    (home / "moved.bin").rename(paths.ENCODERS / "elsewhere.bin")
    assert text.encoder_for(meta).get_dimension() == 300


def test_no_encoder(home):
    with pytest.raises(InputError, match="captions_train2017"):
        text.encoder_for({"source": "coco", "encoder": {"kind": "none"}}, [])


def test_distances_by_hand():
    # Images 7 and 9 on a line: captions at 0 and 3, and at 10 and 10. Image 8 has one, at 100.
    places, images = [0, 10, 3, 100, 10], [7, 9, 7, 8, 9]
    vectors = np.zeros((5, 300), np.float32)
    vectors[:, 0] = places
    found = text.distance_test(vectors, images, repeats=4000, seed=1)
    assert found.same.shape == found.different.shape == (4000,)
    assert set(found.same.tolist()) == {0.0, 3.0}  # never of an image with itself, never image 8
    assert np.mean(found.same == 3) == pytest.approx(0.5, abs=0.04)
    assert set(found.different.tolist()) == {10.0, 7.0, 100.0, 97.0, 90.0}
    assert np.mean(found.different == 90) == pytest.approx(1 / 3, abs=0.04)  # images 8 and 9
    assert found.probability == 1


def test_probability_counts_ties_half():
    assert text.distance_test(np.zeros((4, 300)), [1, 1, 2, 2], 100).probability == 0.5


def test_probability_of_meaningless_vectors_is_one_half():
    vectors = np.random.default_rng(0).normal(size=(5000, 300))
    found = text.distance_test(vectors, np.arange(5000) // 5, 10_000)
    assert found.probability == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(10_000))
    assert found.same.mean() == pytest.approx(math.sqrt(600), rel=0.01)


def test_distance_test_does_not_depend_on_order():
    rng = np.random.default_rng(0)
    vectors, images = rng.normal(size=(60, 300)), np.arange(60) // 3
    shuffled = np.lexsort((np.arange(60), rng.permutation(20)[images]))  # images in another order
    a = text.distance_test(vectors, images, 500)
    b = text.distance_test(vectors[shuffled], images[shuffled], 500)
    assert (a.same == b.same).all() and a.probability == b.probability


@pytest.mark.parametrize("images", [[1, 1, 1], [1, 2, 3], []])
def test_without_two_images_and_two_captions_there_are_no_distances(images):
    found = text.distance_test(np.zeros((len(images), 300)), images)
    assert len(found.same) == len(found.different) == 0 and np.isnan(found.probability)
