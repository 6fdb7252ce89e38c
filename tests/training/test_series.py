"""A series of training runs: a run that goes on from another one, and from which it does not."""

import dataclasses
import json

import pytest
import tiny
import torch
from safetensors.torch import load_file

from lib import paths
from lib.book.release import export
from lib.errors import InputError
from lib.models.recipe import Recipe
from lib.study import Study
from lib.training.loop import train
from lib.training.runs import Run, origin
from lib.training.series import go_on, train_series

DATA = tiny.dataset()


@pytest.fixture(autouse=True)
def published(home, monkeypatch):
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    return home / "published"


def run(name: str, algorithm: str = "wgan_gp", **changes) -> Run:
    return tiny.run(paths.RUNS / name, tiny.config(algorithm, **changes), algorithm)


def trained(name: str, algorithm: str = "wgan_gp", stop: int | None = None, **changes) -> Run:
    made = run(name, algorithm, **changes)
    train(made, DATA, device="cpu", stop_after=stop)
    return made


def given(longer: Run) -> Run | None:
    return go_on(longer, origin(longer.config, DATA, None))


def weights(of: Run) -> list[dict[str, torch.Tensor]]:
    return [load_file(of.checkpoint / f"{n}.safetensors") for n in ("generator", "discriminator")]


@pytest.mark.parametrize("algorithm", ["wgan_gp", "wgan", "conditional_gan", "conditional_wgan_lp"])
def test_a_run_that_goes_on_equals_one_that_was_always_to_be_as_long(algorithm):
    lengths = {"epochs": 3, "snapshots": (1, 2)}
    whole = trained("whole", algorithm, **lengths)
    shorter = trained("shorter", algorithm, epochs=2, snapshots=(1,))
    whole.folder.rename(paths.RUNS.parent / "aside")  # or it is the one that has come furthest
    whole = dataclasses.replace(whole, folder=paths.RUNS.parent / "aside")
    longer = run("longer", algorithm, **lengths)
    assert given(longer) == shorter
    assert longer.iterations == 6 and longer.snapshots == {1}
    train(longer, DATA, device="cpu")
    assert longer.metrics == whole.metrics and longer.iterations == 9
    for own, other in zip(weights(longer), weights(whole), strict=True):
        assert all(torch.equal(own[name], other[name]) for name in other)
    assert json.loads((longer.folder / "config.json").read_text())["continued_from"] == "shorter"


def test_a_longer_run_that_was_interrupted_ends_earlier():
    """So that what there is can be published as the shorter run that it is."""
    usual = trained("usual", epochs=1)
    usual.folder.rename(paths.RUNS.parent / "aside")
    interrupted = trained("interrupted", stop=2, epochs=9)
    interrupted.append_metrics([{"iteration": 9, "epoch": 3.0, "loss_d": 0.0}])  # not kept
    shorter = run("shorter", epochs=1)
    assert given(shorter) == interrupted and shorter.iterations == 2
    train(shorter, DATA, device="cpu")
    whole = Run(paths.RUNS.parent / "aside", usual.config, usual.experiment)
    assert shorter.metrics == whole.metrics


def test_one_that_was_interrupted_where_another_one_ends_is_that_one():
    interrupted = trained("interrupted", stop=3, epochs=9)
    shorter = run("shorter", epochs=1)
    assert given(shorter) == interrupted
    train(shorter, DATA, device="cpu")
    assert shorter.finished and shorter.metrics == interrupted.metrics
    for own, other in zip(weights(shorter), weights(interrupted), strict=True):
        assert all(torch.equal(own[name], other[name]) for name in other)


def test_a_published_run_goes_on_with_new_optimisers(published):
    shorter = trained("shorter", epochs=1)
    shipped = Run(export(shorter, published), shorter.config, shorter.experiment)
    shorter.delete()
    longer = run("longer")
    assert given(longer) == shipped and "optimizer_g" not in longer.state()
    for own, kept in zip(weights(longer), ("generator", "discriminator"), strict=True):
        half = load_file(shipped.folder / f"{kept}.safetensors")
        assert all(torch.equal(own[name], half[name].float()) for name in own)
    train(longer, DATA, device="cpu")
    assert longer.finished and longer.metrics[-1]["iteration"] == 6
    first, again = (row["loss_d"] for row in (longer.metrics[0], longer.metrics[4]))
    assert first != again and longer.summary["seconds"] >= shipped.summary["seconds"]


def test_random_numbers_of_a_published_run_are_not_those_of_its_beginning(published, monkeypatch):
    shorter = trained("shorter", epochs=1)
    export(shorter, published)
    shorter.delete()
    drawn, read = [], Recipe.synthesised
    monkeypatch.setattr(
        Recipe, "synthesised", lambda self, G, z, h: drawn.append(z) or read(self, G, z, h)
    )
    longer = run("longer")
    given(longer)
    train(longer, DATA, device="cpu", stop_after=4)
    first = drawn[0]
    drawn.clear()
    train(run("other"), DATA, device="cpu", stop_after=1)
    assert len(first) == len(drawn[0]) and not torch.equal(first, drawn[0])


@pytest.mark.parametrize(
    "changes",
    [{"lambda_": 5.0}, {"seed": 1}, {"features": 1 / 8}, {"epochs": 0.5}, {"precision": "bf16"}],
)
def test_other_settings_or_too_many_iterations_are_not_gone_on_from(changes):
    trained("shorter", epochs=1)
    longer = run("longer", **({"epochs": 2} | changes))
    assert given(longer) is None and not longer.folder.exists()


@pytest.mark.parametrize("changes", [{"ema": 0.9}, {"rate_decay": 0.5}, {"networks": "keypoints"}])
def test_settings_beyond_the_thesis_begin_at_the_beginning(changes):
    trained("shorter", epochs=1, **changes)
    assert given(run("longer", **changes)) is None


@pytest.mark.parametrize("key", ["data", "parent_run"])
def test_other_data_or_another_parent_are_not_gone_on_from(key):
    shorter = trained("shorter", epochs=1)
    content = json.loads((shorter.folder / "config.json").read_text())
    (shorter.folder / "config.json").write_text(json.dumps(content | {key: "another"}))
    assert given(run("longer")) is None


def test_a_run_that_has_begun_is_left_as_it_is():
    trained("shorter", epochs=1)
    begun = trained("begun", stop=1)
    assert given(begun) is None and begun.iterations == 1


def test_of_several_the_one_that_has_come_furthest_is_taken():
    trained("a", epochs=1)
    furthest = trained("b", stop=5, epochs=3)
    trained("c", stop=4, epochs=3)
    (paths.RUNS / "damaged").mkdir()
    (paths.RUNS / "damaged" / "config.json").write_text("{")
    trained("other", algorithm="wgan", stop=5)
    assert given(run("longer")) == furthest


def test_what_was_begun_without_a_checkpoint_is_begun_again():
    shorter = trained("shorter", epochs=1)
    longer = run("longer")
    longer.begin({})
    longer.append_metrics(shorter.metrics)
    given(longer)
    assert longer.metrics == shorter.metrics


def test_a_run_that_another_process_trains_is_not_touched():
    trained("shorter", epochs=1)
    longer = run("longer")
    with longer.locked(), pytest.raises(InputError, match="another process"):
        given(longer)


def test_a_series_goes_on_where_it_is_asked_to(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, "PROFILES", tmp_path)
    settings = '[training.gan]\nalgorithm = "gan"\nfeatures = 0.0625\nbatch_size = 4\nepochs = '
    (tmp_path / "short.toml").write_text(settings + "1")
    (tmp_path / "long.toml").write_text(settings + "2")
    train_series(["gan"], DATA, "short", device="cpu")
    shorter, longer = (Study(name, DATA).run("gan") for name in ("short", "long"))
    assert train_series(["gan"], DATA, "long", 0.0, "cpu", longer=True) == {"gan": "0 iterations"}
    taken = []
    monkeypatch.setattr("lib.study.train", lambda run, *_, **__: taken.append(run.iterations))
    train_series(["gan"], DATA, "long", device="cpu", longer=True)
    assert taken == [3] and longer.iterations == 3
    said = capsys.readouterr().out
    assert said == f"gan goes on from {paths.shown(shorter.folder)}, 3 iterations.\n"
