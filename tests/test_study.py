"""One profile on one data set: its settings, its runs, and when they are trained."""

import dataclasses

import pytest
import tiny

from lib import paths, study
from lib.config import config_for
from lib.data.cache import described
from lib.errors import InputError
from lib.study import Study, prepare_for
from lib.training.runs import Run

DATA = tiny.dataset()
SMALL = {"features": tiny.FEATURES, "batch_size": 4, "epochs": 1, "k": 2}


@pytest.fixture
def smoke(home, monkeypatch) -> Study:
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    return Study("smoke", DATA)


def finish(run: Run) -> Run:
    run.folder.mkdir(parents=True, exist_ok=True)
    run.finish({"iterations": 1})
    return run


def test_the_wgan_gp_is_the_reduced_one_where_it_is_as_narrow(home, monkeypatch):
    half, trained = Study("half", DATA), []
    for changes in ({}, {"seed": 1}):
        assert half.run("reduced", **changes) == half.run("wgan_gp", **changes)
    paper = Study("paper", DATA)
    assert paper.run("reduced").folder.name.startswith("reduced-")
    finish(half.run("wgan_gp"))
    monkeypatch.setattr(study, "train", lambda run, *_, **__: trained.append(run))
    half.train("reduced", fresh=True)  # it was trained again for notebook 04
    assert not trained
    half.train("wgan_gp", fresh=True)
    assert trained == [half.run("wgan_gp")]


# --- settings ---------------------------------------------------------------------------------


def test_settings_are_the_profiles_but_for_what_is_given(smoke):
    usual = smoke.config("gan")
    assert usual == config_for("gan", "smoke") == smoke.config("gan", seed=None, epochs=None)
    assert smoke.config("gan", epochs=3, seed=7) == usual.replace(epochs=3, seed=7)
    assert smoke.run("gan", seed=7).folder.name != smoke.run("gan").folder.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": "three"}, "epochs = 'three' must be a number"),
        ({"seed": 1.5}, "seed = 1.5 must be a whole number"),
        ({"epochs": -1}, "epochs = -1.0 must be larger than 0"),
        ({"epohcs": 3}, "setting 'epohcs' is not known: did you mean epochs"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_trained(smoke, changes, words):
    """As when a reader edits the parameters of a notebook by hand."""
    with pytest.raises(InputError, match=words):
        smoke.train("gan", **changes)
    assert not paths.RUNS.exists()


def test_an_unknown_profile_experiment_or_data_set_is_named(smoke):
    with pytest.raises(InputError, match="profile 'smok' is not known: did you mean smoke"):
        Study("smok", DATA)
    with pytest.raises(InputError, match="experiment 'wgan_pg' is not known: did you mean wgan_gp"):
        smoke.run("wgan_pg")
    with pytest.raises(InputError, match="no prepared data at .*nowhere"):
        Study("smoke", "nowhere.safetensors")


# --- what a run's name depends on -------------------------------------------------------------


def test_what_a_runs_name_depends_on(smoke):
    others = [
        smoke.run("reduced"),
        smoke.run("wgan_gp", seed=1),
        Study("smoke", dataclasses.replace(DATA, poses_id="other")).run("wgan_gp"),
    ]
    name = smoke.run("wgan_gp").folder.name
    assert name.startswith("wgan_gp-")
    assert len({name, *(run.folder.name for run in others)}) == 4
    same = dataclasses.replace(DATA, pairs_id="other", name="elsewhere")  # it reads no captions
    assert Study("smoke", same).run("wgan_gp").folder.name == name


def test_a_warm_start_may_be_from_any_finished_run(smoke, monkeypatch):
    """As from one that was shortened by a parameter of its notebook."""
    short = finish(smoke.run("wgan_gp", epochs=0.5))
    paths.write_json(short.folder / "config.json", {**vars(short.config), "experiment": "wgan_gp"})
    given = []
    monkeypatch.setattr(study, "train", lambda run, data, parent, *_, **__: given.append(parent))
    made = smoke.train("conditional_full", parent=short.folder.name)
    assert [run.folder for run in given] == [short.folder]
    assert made.folder.name != smoke.run("conditional_full").folder.name
    assert made.config.parent == short.folder.name
    with pytest.raises(InputError, match="experiment or run 'wgan_gp-0' is not known: did you"):
        smoke.train("conditional_full", parent="wgan_gp-0")


def test_a_conditional_run_depends_on_captions_and_parent(smoke):
    name = "conditional_random"
    other = dataclasses.replace(DATA, pairs_id="other")
    made = [
        smoke.run(name),
        Study("smoke", other).run(name),
        smoke.run(name, parent="reduced"),
        smoke.run(name, parent="wgan_gp"),
    ]
    assert len({run.folder.name for run in made}) == 4
    # A parent with other settings makes another run, too.
    pair = (Study(profile, DATA).run("conditional_reduced") for profile in ("smoke", "quick"))
    settings = [dataclasses.replace(run, config=made[0].config) for run in pair]
    assert settings[0].folder.name != settings[1].folder.name


# --- finding and training ---------------------------------------------------------------------


def test_a_published_run_is_found(smoke):
    here = smoke.run("wgan_gp")
    assert here.folder.parent == paths.RUNS and not here.finished
    there = dataclasses.replace(here, folder=paths.PUBLISHED / here.folder.name)
    there.folder.mkdir(parents=True)
    assert smoke.run("wgan_gp") == here  # it is not finished
    finish(there)
    assert smoke.run("wgan_gp") == there
    finish(here)
    assert smoke.run("wgan_gp") == here  # the reader's own goes first


@pytest.mark.parametrize(
    ("name", "notebook"),
    [
        ("wgan", "03_wgan"),
        ("wgan_gp", "04_wgan_gp"),
        ("reduced", "07_reduced"),
        ("conditional_reduced", "08_conditional_reduced"),
    ],
)
def test_a_missing_run_names_the_notebook_that_makes_it(smoke, name, notebook):
    with pytest.raises(InputError, match=rf"{name}.*smoke.*sample.*notebooks/{notebook}\.ipynb"):
        smoke.finished(name)
    run = finish(smoke.run(name))
    assert smoke.finished(name) == run


@pytest.mark.parametrize(
    ("name", "notebook"),
    [("conditional_full", "04_wgan_gp"), ("conditional_reduced", "07_reduced")],
)
def test_a_missing_parent_names_the_notebook_to_run(smoke, name, notebook):
    with pytest.raises(InputError, match=f"run notebooks/{notebook}.ipynb first"):
        smoke.train(name, device="cpu")
    assert not smoke.run(name).folder.exists()


def test_a_finished_run_is_loaded_not_trained_again(smoke, monkeypatch):
    run = smoke.train("wgan_gp", device="cpu", **SMALL)
    assert run.finished and run.folder.parent == paths.RUNS
    trained = []
    monkeypatch.setattr(study, "train", lambda *_, **__: trained.append(None))
    assert smoke.train("wgan_gp", device="cpu", **SMALL) == run and not trained
    smoke.train("wgan_gp", device="cpu", seed=1, **SMALL)
    assert trained


def test_an_interrupted_run_goes_on(smoke):
    whole = smoke.train("wgan_gp", device="cpu", **SMALL)
    metrics = whole.metrics
    whole.delete()
    run = smoke.run("wgan_gp", **SMALL)
    study.train(run, DATA, None, "cpu", stop_after=2)
    assert not run.finished
    assert smoke.train("wgan_gp", device="cpu", **SMALL).metrics == metrics


def test_fresh_trains_again(smoke):
    run = smoke.train("wgan_gp", device="cpu", **SMALL)
    mark = run.folder / "left from before"
    mark.touch()
    again = smoke.train("wgan_gp", fresh=True, device="cpu", **SMALL)
    assert again.folder == run.folder and again.finished and not mark.exists()


def test_a_published_run_is_taken_unless_a_fresh_one_is_asked_for(smoke):
    run = smoke.train("wgan_gp", device="cpu", **SMALL)
    paths.PUBLISHED.mkdir()
    run.folder.rename(paths.PUBLISHED / run.folder.name)
    taken = smoke.train("wgan_gp", device="cpu", **SMALL)
    assert taken.folder == paths.PUBLISHED / run.folder.name and not list(paths.RUNS.glob("*/"))
    assert smoke.train("wgan_gp", fresh=True, device="cpu", **SMALL).folder == run.folder
    assert smoke.run("wgan_gp", **SMALL).folder == run.folder  # of which figures are made
    assert (taken.folder / "summary.json").is_file()


def test_a_finished_run_needs_no_parent_any_more(smoke):
    """A published conditional run may come without the run that it started from."""
    run = finish(smoke.run("conditional_full"))
    assert smoke.train("conditional_full", device="cpu") == run


def test_a_warm_start_is_given_its_parent(smoke, monkeypatch):
    given = []
    monkeypatch.setattr(study, "train", lambda *args, **_: given.append(args))
    parent = finish(smoke.run("wgan_gp"))
    run = smoke.train("conditional_full", device="cpu")
    assert given == [(run, DATA, parent, "cpu")]


def test_evaluation_is_bounded_by_the_profile_and_kept(smoke):
    run = smoke.train("wgan_gp", device="cpu", **SMALL)
    smoke.tables["evaluation"]["poses"] = 4
    found = smoke.evaluate(run)
    assert (len(found.real), len(found.fake), len(found.retrieval_real)) == (4, 4, 4)
    assert (run.folder / "evaluation.json").is_file()


# --- what a page says -------------------------------------------------------------------------


def test_the_banner_says_which_networks_what_run_and_what_data(smoke):
    run = smoke.train("wgan_gp", device="cpu", seed=5, **SMALL)
    text = smoke.note(run)._repr_markdown_()
    assert "**A demonstration (profile `smoke`), not the thesis's full training: " in text
    assert "the thesis's networks at 0.0625 times their width" in text
    assert "12 iterations of 4 poses (4.8 passes over 10 poses)" in text
    assert "seed 5" in text and "core" in text
    assert "generated sample data (10 training and 6 validation poses" in text
    assert "of which 10 and 6 have captions" in text
    assert "Computed on" in smoke.note(more="; and more")._repr_markdown_()


def test_only_the_thesis_own_settings_are_called_so(smoke, home):
    own = config_for("gan", "paper")
    run = Run(home / "run", own, "gan")
    run.folder.mkdir(parents=True)
    numbers = dict.fromkeys(("iterations", "poses_seen", "train_poses", "seconds"), 1)
    run.finish(numbers | {"hardware": "a processor"})
    paper = Study("paper", DATA)
    assert "**Trained with the thesis's own settings: GAN," in paper.note(run)._repr_markdown_()
    changed = dataclasses.replace(run, config=own.replace(epochs=3))
    assert "A demonstration" in paper.note(changed)._repr_markdown_()
    placing = dataclasses.replace(run, config=own.replace(networks="keypoints"))
    assert "networks on keypoints, not the thesis's" in smoke.note(placing)._repr_markdown_()
    assert "keypoints" not in smoke.note(changed)._repr_markdown_()


def test_settings_are_shown_as_a_table(smoke):
    table = smoke.settings(smoke.run("wgan_gp", **SMALL))._repr_markdown_()
    assert "| experiment | wgan_gp |" in table and "| batch_size | 4 |" in table
    assert "parent" not in table  # there is none


# --- data -------------------------------------------------------------------------------------


@pytest.fixture
def prepared(home, monkeypatch):
    """What prepare is asked for, and the calls of the download."""
    asked = []

    def prepare(source, cache, **settings):
        asked.append((source, settings))
        return {"source": "coco" if source else "sample"}

    monkeypatch.setattr(study, "prepare", prepare)
    monkeypatch.setattr(study, "fetch_annotations", lambda: home / "official.zip")
    return asked


def test_data_of_a_demonstration_are_the_sample_or_what_is_given(prepared, monkeypatch):
    assert prepare_for("smoke", "", "") == "sample"
    assert prepare_for("smoke", "a.zip", "e.bin") == "coco"
    (first, settings), (second, given) = prepared
    assert first is None and settings["encoder"] is None and settings["sample_images"] == [240, 60]
    assert (second.name, given["encoder"].name) == ("a.zip", "e.bin")
    monkeypatch.setattr(study, "load", lambda name: dataclasses.replace(DATA, name=name))
    assert Study("smoke", prepare_for("smoke", "a.zip", "")).dataset.name == "coco"


def test_data_of_the_thesis_are_downloaded_unless_given(prepared):
    assert prepare_for("paper", "", "") == "coco"
    paths.ENCODERS.mkdir(parents=True)
    (paths.ENCODERS / "wiki.en.bin").touch()
    prepare_for("paper", "a.zip", "")
    prepare_for("smoke", "a.zip", "")
    assert [source.name for source, _ in prepared] == ["official.zip", "a.zip", "a.zip"]
    encoders = [settings["encoder"] for _, settings in prepared]
    assert encoders == [None, paths.ENCODERS / "wiki.en.bin", None]
    assert all("official" not in settings for _, settings in prepared)


def test_data_are_described():
    assert described(DATA).startswith("generated sample data (10 training")
