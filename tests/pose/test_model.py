"""From a sentence to poses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch

from lib import paths
from lib.config import config_for
from lib.data import cache as data_cache
from lib.data.heatmaps import decode
from lib.errors import InputError
from lib.models.synthesis import noise, synthesise
from lib.pose import words
from lib.pose.model import Model, shipped
from lib.pose.words import Words
from lib.training.loop import train
from lib.training.runs import Run


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_the_shipped_model_is_coco_s_reduced_one_of_the_profile():
    run = Run.read(shipped())
    assert run.config == config_for("conditional_reduced", "published", "coco")
    assert run.summary["source"] == "coco"


def test_without_a_shipped_model_one_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    with pytest.raises(InputError, match="--run"):
        shipped()


def test_neither_torch_nor_fasttext_is_loaded_for_it():
    code = "import sys; from lib.pose.model import Model; Model().pose('a man runs'); "
    code += "print([name for name in ('torch', 'fasttext', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_poses_say_what_made_them(model):
    made = model.pose("A man runs.", number=3, seed=5)
    assert made.keypoints.shape == (3, 17, 3) and np.isfinite(made.keypoints).all()
    told = dict(made.made_by)
    assert len(told.pop("weights")) == 12 and told.pop("version")
    assert told == {"caption": "A man runs.", "seed": 5, "number": 3, "model": shipped().name}


def test_the_shipped_model_answers_as_its_run_does(model):
    """The encoding takes the factor that the run's networks have learned with."""
    run, caption = Run.read(shipped()), "a woman rides a wave"
    h = run.h(torch.tensor(model.words.encode(caption), dtype=torch.float32).expand(4, -1))
    with torch.no_grad():
        wanted = run.recipe.poses(run.generator(), noise(4, 1), h).numpy()
    np.testing.assert_allclose(model.pose(caption, 4, 1).keypoints, wanted, atol=1e-3)


def test_caption_and_seed_change_the_poses(model):
    made = model.pose("a man runs", number=2)
    for other in (model.pose("a woman sits", number=2), model.pose("a man runs", 2, seed=1)):
        assert np.abs(made.keypoints - other.keypoints).max() > 1
    assert np.abs(made.keypoints[0] - made.keypoints[1]).max() > 1


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("a man runs", []),
        ("a man with his dog", []),
        ("a dog runs", ["people only"]),
        ("two women play tennis", ["one person"]),
        ("a man on a skatebord", ["left out: skatebord.", "“skateboard”"]),
        ("two zyzzyvas", ["left out: zyzzyvas.", "one person"]),
    ],
)
def test_notes_say_what_the_model_leaves_out(model, caption, said):
    notes = list(model.pose(caption).notes)
    found = " ".join(notes)
    assert all(words in found for words in said) and bool(notes) == bool(said)


@pytest.mark.parametrize("networks", ["heatmaps", "keypoints"])
def test_own_runs_are_asked_as_well(networks, home, tiny_coco):
    """Their encoder is that of their data, where no table is shipped for it."""
    data_cache.prepare(tiny_coco(home / "tiny"), home / "tiny.safetensors", encoder_epochs=1)
    dataset = data_cache.load(home / "tiny.safetensors")
    config = tiny.config("conditional_wgan_lp", networks=networks, caption_pool="pairs")
    run = tiny.run(paths.RUNS / "own", config, "conditional_random")
    train(run, dataset)
    model = Model("own")
    made = model.pose("somebody skis", number=3, seed=2)
    assert made.made_by["model"] == run.folder.name and not made.notes
    vector = dataset.encoder().get_sentence_vector("somebody skis")
    h = run.h(torch.from_numpy(np.tile(vector, (3, 1))))
    with torch.no_grad():
        if networks == "keypoints":
            wanted = run.generator().poses(noise(3, 2), h)
        else:
            wanted = decode(synthesise(run.generator(), noise(3, 2), h))
    np.testing.assert_allclose(made.keypoints, wanted.numpy(), atol=1e-3)


def test_a_run_of_shipped_data_knows_the_shipped_words(monkeypatch, tmp_path):
    folder = next(paths.PUBLISHED.glob("conditional_random-*"))
    trained_on = json.loads((folder / "config.json").read_text())["data"]
    source = json.loads((folder / "summary.json").read_text())["source"]
    own = Model(folder.name).words
    assert isinstance(own, Words) and own.data == trained_on == words.Words.read(source).data


def test_a_run_without_captions_is_refused():
    folder = next(paths.PUBLISHED.glob("gan-*"))
    with pytest.raises(InputError, match="takes no captions"):
        Model(folder.name)
