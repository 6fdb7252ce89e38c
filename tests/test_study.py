"""What a notebook holds: its parameters, its run, and when that is trained."""

import dataclasses

import pytest
import tiny

from lib import config, paths, study
from lib.config import config_for
from lib.data.cache import described
from lib.errors import InputError
from lib.study import Experiment, Note, parameters, prepare_for
from lib.training import runs

DATA = tiny.dataset()
CELL = """profile = "smoke"  # settings
data = "sample"
fresh = False
seed = None  # of weights
epochs = None
share = 0.5
number = 3
"""


def namespace(*injected: str, cell: str = CELL) -> dict:
    """globals() of a notebook that has run its first cells; IPython keeps their sources."""
    values: dict = {"In": ["", "from lib import x\nimport y", cell, *injected]}
    for source in (cell, *injected):
        exec(source, values)
    return values


def injection(**values) -> str:
    """The cell that papermill adds."""
    return "# Parameters\n" + "".join(f"{key} = {value!r}\n" for key, value in values.items())


@pytest.fixture
def data_at_hand(home, monkeypatch):
    monkeypatch.setattr(study, "load", lambda name: dataclasses.replace(DATA, name=name))
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    return home


def made(name="wgan_gp", fresh=False, **changes) -> Experiment:
    settings = tiny.config(config_for(name, "smoke").algorithm, epochs=1, **changes)
    return Experiment(name, settings, DATA, "smoke", fresh)


def test_parameters_are_those_of_the_cell():
    assert parameters(namespace()) == {
        "profile": "smoke",
        "data": "sample",
        "fresh": False,
        "seed": None,
        "epochs": None,
        "share": 0.5,
        "number": 3,
    }


def test_injected_and_edited_values_are_taken():
    given = parameters(namespace(injection(epochs=3, seed=7, share=1)))
    assert (given["epochs"], given["seed"], given["share"]) == (3, 7, 1)
    assert parameters(namespace("epochs = 4"))["epochs"] == 4  # by hand, in JupyterLab


def test_an_undeclared_parameter_is_refused():
    """papermill itself only warns."""
    with pytest.raises(InputError, match="parameter 'epohcs' is not known: did you mean epochs"):
        parameters(namespace(injection(seed=7, epohcs=3)))
    assert "epohcs" not in parameters(namespace("epohcs = 3"))  # a variable of the notebook


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"profile": 3}, "parameter profile = 3 must be of type str, as 'smoke' is"),
        ({"fresh": "yes"}, "parameter fresh = 'yes' must be of type bool"),
        ({"number": 1.5}, "parameter number = 1.5 must be of type int"),
        ({"share": "1e-4"}, "parameter share = '1e-4' must be of type float"),
        ({"data": None}, "parameter data = None must be of type str"),
    ],
)
def test_an_ill_typed_parameter_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        parameters(namespace(injection(**values)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epochs": "three"}, "epochs = 'three' must be a number"),
        ({"seed": 1.5}, "seed = 1.5 must be a whole number"),
        ({"epochs": -1}, "epochs = -1.0 must be larger than 0"),
        ({"profile": "smok"}, "profile 'smok' is not known: did you mean smoke"),
    ],
)
def test_a_wrong_setting_of_a_notebook_is_refused(data_at_hand, values, words):
    with pytest.raises(InputError, match=words):
        Experiment.from_notebook("gan", namespace(injection(**values)))


def test_a_notebooks_parameters_change_the_profiles_settings(data_at_hand):
    usual = Experiment.from_notebook("gan", namespace())
    assert usual.config == config_for("gan", "smoke") and not usual.fresh
    injected = injection(epochs=3, seed=7, fresh=True, data="coco")
    given = Experiment.from_notebook("gan", namespace(injected))
    assert given.config == usual.config.replace(epochs=3, seed=7)
    assert given.fresh and given.dataset.name == "coco"
    assert given.run.folder.name != usual.run.folder.name


def test_a_notebook_that_does_not_train_needs_the_run(data_at_hand):
    with pytest.raises(InputError, match="run notebooks/08_conditional_reduced.ipynb first"):
        Experiment.from_notebook("conditional_reduced", namespace(), trains=False)
    run = runs.run_for(
        "conditional_reduced", config_for("conditional_reduced", "smoke"), DATA, "smoke"
    )
    run.folder.mkdir(parents=True)
    run.finish({})
    found = Experiment.from_notebook("conditional_reduced", namespace(), trains=False)
    assert found.run.folder == run.folder


@pytest.mark.parametrize(
    ("name", "notebook"),
    [("conditional_full", "04_wgan_gp"), ("conditional_reduced", "07_reduced")],
)
def test_a_missing_parent_names_the_notebook_to_run(data_at_hand, name, notebook):
    chosen = Experiment(name, config_for(name, "smoke"), DATA, "smoke")
    with pytest.raises(InputError, match=f"run notebooks/{notebook}.ipynb first"):
        chosen.train("cpu")
    assert not chosen.run.folder.exists()


def test_another_experiments_missing_run_names_the_notebook(data_at_hand):
    with pytest.raises(InputError, match="run notebooks/03_wgan.ipynb first"):
        made().other("wgan")


def test_a_finished_run_is_loaded_not_trained_again(data_at_hand, monkeypatch):
    run = made().train("cpu")
    assert run.finished and run.folder.parent == paths.RUNS
    trained = []
    monkeypatch.setattr(study, "train", lambda *_, **__: trained.append(None))
    assert made().train("cpu") == run and not trained
    made(seed=1).train("cpu")
    assert trained


def test_an_interrupted_run_goes_on(data_at_hand):
    whole = made().train("cpu")
    metrics = whole.metrics
    whole.delete()
    real, experiment_run = study.train, made().run
    real(experiment_run, DATA, None, "cpu", stop_after=2)
    assert not experiment_run.finished
    assert made().train("cpu").metrics == metrics


def test_fresh_trains_anew(data_at_hand):
    run = made().train("cpu")
    mark = run.folder / "left from before"
    mark.touch()
    again = made(fresh=True).train("cpu")
    assert again.folder == run.folder and again.finished and not mark.exists()


def test_a_published_run_is_taken_instead_of_training(data_at_hand):
    run = made().train("cpu")
    paths.PUBLISHED.mkdir()
    run.folder.rename(paths.PUBLISHED / run.folder.name)
    assert made().train("cpu").folder == paths.PUBLISHED / run.folder.name
    assert not list(paths.RUNS.glob("*/"))


def test_fresh_leaves_a_published_run_and_goes_on_with_its_own(data_at_hand):
    run = made().train("cpu")
    paths.PUBLISHED.mkdir()
    run.folder.rename(paths.PUBLISHED / run.folder.name)
    chosen = made(fresh=True)
    assert chosen.train("cpu").folder == run.folder
    assert chosen.run.folder == run.folder  # which the figures and measures are made of
    assert (paths.PUBLISHED / run.folder.name / "summary.json").is_file()


def test_a_finished_run_needs_no_parent_any_more(data_at_hand, monkeypatch):
    """A published conditional run may come without the run that it started from."""
    chosen = Experiment("conditional_full", config_for("conditional_full", "smoke"), DATA, "smoke")
    chosen.run.folder.mkdir(parents=True)
    chosen.run.finish({})
    assert chosen.train("cpu") == chosen.run


def test_a_warm_start_is_given_its_parent(data_at_hand, monkeypatch):
    given = []
    monkeypatch.setattr(study, "train", lambda *args, **_: given.append(args))
    chosen = Experiment("conditional_full", config_for("conditional_full", "smoke"), DATA, "smoke")
    parent = runs.run_for("wgan_gp", config_for("wgan_gp", "smoke"), DATA, "smoke")
    parent.folder.mkdir(parents=True)
    parent.finish({})
    chosen.train("cpu")
    assert given == [(chosen.run, DATA, parent, "cpu")]


def test_evaluation_is_bounded_by_the_profile_and_kept(data_at_hand, monkeypatch):
    chosen = made()
    chosen.train("cpu")
    tables = config.profile("smoke")
    tables["evaluation"]["poses"] = 4
    monkeypatch.setattr(study, "profile", lambda name: tables)
    found = chosen.evaluate()
    assert (len(found.real), len(found.fake), len(found.retrieval_real)) == (4, 4, 4)
    assert (chosen.run.folder / "evaluation.json").is_file()


def test_note_says_what_run_on_what_data(data_at_hand):
    chosen = made(seed=5)
    chosen.train("cpu")
    text = chosen.note()._repr_markdown_()
    assert "**Demonstration run (profile `smoke`), not the thesis's full training.**" in text
    assert "3 iterations of 4 poses (1.0 passes over 10 poses)" in text
    assert "seed 5" in text and "core" in text
    assert "generated sample data (10 training and 6 validation poses" in text
    assert "of which 10 and 6 have captions" in text
    own = Note("paper", described(DATA))._repr_markdown_()
    assert own.startswith("> **Run with the thesis's own settings.**")


def test_settings_are_shown_as_a_table(data_at_hand):
    table = made()._repr_markdown_()
    assert "| experiment | wgan_gp |" in table and "| batch_size | 4 |" in table
    assert "parent" not in table  # there is none


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


def test_data_of_a_demonstration_are_the_sample_or_what_is_given(prepared, tmp_path):
    assert prepare_for("smoke", "", "") == "sample"
    assert prepare_for("smoke", "a.zip", "e.bin") == "coco"
    (first, settings), (second, given) = prepared
    assert first is None and settings["encoder"] is None and settings["sample_images"] == [240, 60]
    assert (second.name, given["encoder"].name) == ("a.zip", "e.bin")


def test_data_of_the_thesis_are_downloaded_unless_given(prepared, home):
    assert prepare_for("paper", "", "") == "coco"
    paths.ENCODERS.mkdir(parents=True)
    (paths.ENCODERS / "wiki.en.bin").touch()
    prepare_for("paper", "a.zip", "")
    prepare_for("smoke", "a.zip", "")
    assert [source.name for source, _ in prepared] == ["official.zip", "a.zip", "a.zip"]
    encoders = [settings["encoder"] for _, settings in prepared]
    assert encoders == [None, paths.ENCODERS / "wiki.en.bin", None]
    assert all("official" not in settings for _, settings in prepared)


def test_parameters_without_a_history_are_the_plain_values():
    """nbval executes cells without keeping their sources."""
    values = namespace()
    del values["In"]
    values["figures"] = object()
    assert parameters(values) == parameters(namespace())


def test_a_note_calls_only_the_thesis_own_settings_so(data_at_hand, monkeypatch):
    own = config_for("gan", "paper")
    run = runs.Run(data_at_hand / "run", own, "gan")
    run.folder.mkdir(parents=True)
    run.finish(
        {
            "iterations": 1,
            "poses_seen": 1,
            "train_poses": 1,
            "seconds": 1,
            "hardware": "a processor",
        }
    )
    assert "thesis's own settings" in Note("paper", "some", run)._repr_markdown_()
    changed = dataclasses.replace(run, config=own.replace(epochs=3))
    assert "Demonstration run" in Note("paper", "some", changed)._repr_markdown_()
    assert "Computed on" in Note("paper", "some")._repr_markdown_()
    placing = dataclasses.replace(run, config=own.replace(networks="keypoints"))
    shown = Note("quick", "some", placing)._repr_markdown_()
    assert "not the thesis's: they place and read keypoints" in shown
    assert "keypoints" not in Note("quick", "some", changed)._repr_markdown_()
