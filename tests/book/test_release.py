"""Published runs: smaller, found by their identity, and as good as what was trained."""

import csv
import dataclasses
import json
import shutil
import subprocess
import time

import pandas as pd
import pytest
import tiny
import torch
from safetensors.torch import load_file

from lib import __main__ as cli
from lib import paths
from lib.book import build, published, release
from lib.data.cache import compact, load
from lib.errors import InputError
from lib.evaluation.comparison import Comparison
from lib.pose.words import Words, file_of
from lib.study import Study
from lib.training import series
from lib.training.loop import train
from lib.training.minibatches import Batches
from lib.training.runs import Run, commit
from lib.training.trainer import Trainer

DATA = tiny.dataset(30, 20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    """With two losses a row, validation rows and a snapshot."""
    folder = tmp_path_factory.mktemp("runs") / "wgan_gp-0123456789"
    settings = tiny.config(epochs=3, snapshots=(1,), initialisation="he")
    run = tiny.run(folder, settings)
    train(run, DATA, device="cpu")
    return run


# --- export -----------------------------------------------------------------------------------


def test_an_export_has_half_the_weights_and_gives_nearly_the_same_poses(finished, tmp_path):
    folder = release.export(finished, tmp_path)
    assert folder == tmp_path / finished.folder.name
    names = sorted(path.name for path in folder.iterdir())
    weights = ["discriminator.safetensors", "generator.safetensors", "snapshot-1.safetensors"]
    assert names == sorted(
        [*weights, "config.json", "hashes.json", "metrics.jsonl", "summary.json"]
    )
    exported = Run.open(str(folder))
    assert exported.config == finished.config and exported.experiment == "wgan_gp"
    own = load_file(folder / "generator.safetensors")
    kinds = {w.dtype for w in own.values() if w.ndim > 1}, {w.dtype for w in own.values()}
    assert kinds == ({torch.float16}, {torch.float16, torch.float32, torch.int64})
    z = torch.randn(8, 128)
    for epoch in (None, 1):
        with torch.no_grad():
            a, b = (run.generator(epoch)(z) for run in (finished, exported))
        assert 0 < (a - b).abs().max() < 0.02
    assert next(exported.discriminator().parameters()).dtype == torch.float32


def test_d_is_exported_where_another_model_starts_from_it_or_training_may_go_on(finished, tmp_path):
    for experiment in ("gan", "reduced"):
        run = dataclasses.replace(finished, experiment=experiment)
        folder = release.export(run, tmp_path / experiment)
        assert (folder / "discriminator.safetensors").exists() == (experiment == "reduced")
    plain = dataclasses.replace(finished, experiment="gan", config=tiny.config(epochs=3))
    assert (release.export(plain, tmp_path / "on") / "discriminator.safetensors").exists()
    with pytest.raises(InputError, match=r"discriminator\.safetensors cannot be read"):
        Run.open(str(tmp_path / "gan" / finished.folder.name)).discriminator()


def test_weights_that_half_precision_cannot_hold_are_refused(finished, tmp_path, monkeypatch):
    G = finished.generator()
    with torch.no_grad():
        G.layers[0][0].weight[0, 0] = 1e5
    monkeypatch.setattr(Run, "generator", lambda self, epoch=None: G)
    with pytest.raises(InputError, match="too large for half"):
        release.export(finished, tmp_path)
    assert not list(tmp_path.glob("wgan_gp-*"))


def test_losses_are_means_over_windows_that_end_at_the_snapshots():
    rows = [{"iteration": i, "epoch": i / 7, "loss_d": float(i)} for i in range(1, 15)]
    for row in rows[1::2]:
        row["loss_g"] = 10.0 * row["iteration"]
    validation = {"iteration": 7, "epoch": 1.0, "val_loss_d": 0.123456789, "val_loss_g": 2.0}
    rows.insert(7, validation)
    found = release.windows(rows, {6}, most=3)  # windows of 5
    assert [row["iteration"] for row in found] == [5, 6, 7, 10, 14]
    assert found[0] == {"iteration": 5, "epoch": 5 / 7, "loss_d": 3.0, "loss_g": 30.0}
    assert found[1] == {"iteration": 6, "epoch": 6 / 7, "loss_d": 6.0, "loss_g": 60.0}
    assert found[2] == validation
    assert found[3]["loss_d"] == 8.5 and found[4]["loss_d"] == 12.5
    kept = [row for row in release.windows(rows, set()) if "loss_d" in row]
    assert [row["loss_d"] for row in kept] == list(range(1, 15))  # few enough to be kept


def test_means_are_thinned_again_as_far_as_asked():
    rows = [{"iteration": i, "epoch": i / 7, "loss_d": float(i)} for i in range(4, 61, 4)]
    found = release.windows(rows, {20}, most=4)  # windows of 15 iterations, ends where a row does
    assert [row["iteration"] for row in found] == [12, 20, 28, 44, 60]
    assert [row["loss_d"] for row in found] == [8, 18, 26, 38, 54]
    assert release.windows(found, set(), most=100) == found


def test_a_loss_has_five_digits():
    (row,) = release.windows([{"iteration": 1, "epoch": 1.0, "loss_d": 1 / 3}], set())
    assert row["loss_d"] == 0.33333


# --- publishing, and finding again ----------------------------------------------------------


@pytest.fixture
def cache(tiny_coco, home, monkeypatch):
    """Prepared data, a profile of small trainings, and no published run."""
    from lib.data.cache import prepare

    def alone(files):  # the first captions belong to images without a person
        for split, image in (("train", 101), ("val", 201)):
            content = files[f"person_keypoints_{split}2017"]
            own = [a for a in content["annotations"] if a["image_id"] != image]
            content["annotations"] = own

    source = tiny_coco(home / "coco", train=30, val=12, edit=alone)
    prepare(source, paths.CACHE / "coco.safetensors")
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    monkeypatch.setattr(published, "uncommitted", list)
    monkeypatch.setattr(paths, "PROFILES", home / "profiles")
    paths.PROFILES.mkdir()
    (paths.PROFILES / "published.toml").write_text(PROFILE)
    return load("coco")


PROFILE = """
[data]
[evaluation]
poses = 8
[training]
features = 0.0625
batch_size = 4
epochs = 2
[training.gan]
algorithm = "gan"
[training.reduced]
algorithm = "wgan_gp"
[training.conditional_reduced]
algorithm = "conditional_wgan_lp"
caption_pool = "pairs"
parent = "reduced"
"""
NAMES = ["gan", "conditional_reduced"]


def test_a_published_run_is_found_measured_and_described(cache, monkeypatch):
    series.train_series(NAMES, cache, "published", device="cpu")
    study = Study("published", cache)
    for name in ("gan", "reduced", "conditional_reduced"):
        trained = study.run(name)
        assert not trained.published
        folder = published.publish(trained, cache)
        stored = json.loads((folder / "evaluation.json").read_text())
        assert 0 <= stored["accuracy"] <= 1 and stored["measured_with"]["torch"]
        trained.delete()
        run = study.run(name)
        assert run.folder == folder and run.published and study.train(name) == run
        again = study.evaluate(run).summary()  # the same figures from the published weights
        assert again == {key: value for key, value in stored.items() if key != "measured_with"}
        assert run.evaluation.parent == paths.RUNS / folder.name  # nothing is written there
        card = (folder / "README.md").read_text()
        assert f"| accuracy | {stored['accuracy']:.5g} |" in card
        assert f"| n_fake | {stored['n_fake']} |" in card
        assert f"own data ({len(cache.train.poses)} training" in card
        assert "of the thesis.\n" in card and "not the thesis's" not in card
        assert file_of(cache.source).exists() == (name == "conditional_reduced")
    known = Words.read(cache.source)  # shipped with the model that knows them
    assert known.data == cache.pairs_id and known.places
    # What is published already is only measured and described again.
    others = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / "evaluation.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(published, "export", None)
        assert published.publish(run, cache) == folder
    assert json.loads((folder / "evaluation.json").read_text()) == stored
    del others[folder / "evaluation.json"]
    assert all(path.read_bytes() == content for path, content in others.items())
    # A conditional model starts from published weights as from those trained here.
    assert study.finished("reduced").published and study.finished("reduced").discriminator()
    fresh = study.train("conditional_reduced", fresh=True, device="cpu")
    assert fresh.folder.parent == paths.RUNS and fresh.finished


@pytest.mark.parametrize("name", ["generator.safetensors", "summary.json", "metrics.jsonl"])
@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"{}")])
def test_a_damaged_published_run_is_neither_trained_again_nor_passed_over(cache, name, damage):
    series.train_series(["gan"], cache, "published", device="cpu")
    study = Study("published", cache)
    folder = published.publish(study.run("gan"), cache)
    study.run("gan").delete()
    damage(folder / name)
    wanted = rf"{name} is damaged: restore it, as with `git checkout -- .*{folder.name}`"
    for ask in (study.run, study.train, study.finished):
        with pytest.raises(InputError, match=wanted):
            ask("gan")
    with pytest.raises(InputError, match=wanted):
        Comparison(study)


def test_what_is_shipped_is_what_was_published():
    folders = {file.parent for file in paths.PUBLISHED.glob("*/config.json")}
    assert folders and all((folder / "hashes.json").exists() for folder in folders)
    for folder in folders:
        Run.read(folder).check()


def test_cards_do_not_call_other_networks_the_thesis_own(finished, tmp_path):
    run = Run.open(str(release.export(finished, tmp_path)))
    (run.folder / "evaluation.json").write_text("{}")
    assert "trained with the losses of Algorithm 3 of the thesis.\n" in published.card(run, "some")
    placing = dataclasses.replace(run, config=run.config.replace(networks="keypoints"))
    wanted = "Algorithm 3 of the thesis; its networks are not the thesis's (keypoints).\n"
    assert wanted in published.card(placing, "some")


def test_tables_of_published_runs(cache, monkeypatch):
    series.train_series(["gan", "reduced"], cache, "published", device="cpu")
    study = Study("published", cache)
    other = study.train("reduced", device="cpu", ema=0.5, epochs=1, batch_size=8)
    assert published.reproduced(cache) == "None of the published runs were measured again here."
    for run in (study.run("gan"), study.run("reduced"), other):
        published.publish(run, cache)
    assert [run.experiment for run in published.shipped()] == ["gan", "reduced"]
    assert len(published.shipped("coco", None)) == 3 and not published.shipped("sample")
    summary = published.shipped()[1].folder / "summary.json"
    hardware = {"hardware": "2 cores of Intel(R) Xeon(R) Processor"}
    summary.write_text(json.dumps(json.loads(summary.read_text()) | hardware))
    summary.with_name("hashes.json").unlink()
    exported = shutil.copytree(published.shipped()[0].folder, paths.PUBLISHED / "gan-not-measured")
    (exported / "evaluation.json").unlink()
    table, trained = published.beside_the_thesis(), published.how_trained()
    thesis, _, reduced = (dict(zip(table.head, row, strict=True)) for row in table.rows)
    assert [thesis[key] for key in ("poses", "1-NN accuracy")] == ["17,326", "66.7%"]
    assert thesis["typicality ratio"] == "1.041" and not thesis["retrieval ratio"]
    found = published.measured(published.shipped()[1])
    assert [reduced[key] for key in ("model", "data")] == [
        "WGAN-GP, reduced; heatmaps",
        "COCO 2017",
    ]
    assert reduced["poses"] == "8" == str(found["n_fake"])
    assert reduced["1-NN accuracy"].startswith(f"{found['accuracy']:.1%} [")
    assert reduced["recall"].startswith(f"{found['recall']:.1%} [")
    assert not any(name.startswith("R-precision") for name in table.head)  # of captions only
    placing = dataclasses.replace(other, config=other.config.replace(networks="keypoints"))
    assert published._model(placing)[0] == "WGAN-GP, reduced; on keypoints"
    assert [row[0] for row in trained.rows] == [", ".join(row[:2]) for row in table.rows[1:]]
    shown = ["16 × 4", "2.0", "0 min on 2 cores of Intel Xeon", f"0, {commit()[:7]}"]
    assert trained.rows[-1][1:] == shown
    study.run("reduced").delete()
    own = study.run("reduced")
    study.evaluate(own)
    assert "1 of the published runs" in published.reproduced(cache)
    assert "the same figures; accuracies and ratios differ by 0.0000" in published.reproduced(cache)
    worse = json.loads(own.evaluation.read_text()) | {"accuracy": 9.0}
    own.evaluation.write_text(json.dumps(worse))
    assert "other figures" in published.reproduced(cache)
    elsewhere = dataclasses.replace(cache, poses_id="other")
    assert published.reproduced(elsewhere).startswith("None")


def test_runs_of_the_thesis_own_networks_stand_in_the_table_whatever_their_settings(cache):
    series.train_series(["reduced"], cache, "published", device="cpu")
    own = published.publish(Study("published", cache).run("reduced"), cache)
    settings = json.loads((own / "config.json").read_text())
    for name, changes in (("0", {"seed": 7}), ("1", {"seed": 7, "ema": 0.5})):
        folder = shutil.copytree(own, own.with_name(f"reduced-{name}"))
        (folder / "config.json").write_text(json.dumps(settings | changes))
    models = [row[0] for row in published.beside_the_thesis().rows[1:]]
    assert models == ["WGAN-GP, reduced; heatmaps"] * 2  # not the one with another option


def test_nothing_is_trained_where_published_runs_are_asked_for(cache):
    study = Study("published", cache)
    with pytest.raises(InputError, match="No runs of gan, reduced are published for these data"):
        build._all_finished(["01_data_preparation", "02_gan", "07_reduced"], study)
    study.train("gan", device="cpu")
    build._all_finished(["02_gan"], study)


def test_the_readme_has_the_table_of_the_published_runs():
    text = published.README.read_text()
    assert published.readme(text) == text
    assert (
        "| **the thesis**: conditional, reduced, warm start | 17,326 | 66.7% |  | 1.041 |" in text
    )
    rows = text.partition(published.MARKS[0])[2].partition(published.MARKS[1])[0].splitlines()[2:]
    models = [row.split("|")[1] for row in rows]
    assert len(models) == len(set(models)) > 5
    assert "sample data" not in "".join(rows)


# --- options: runs of which only the figures are kept -------------------------------------------


@pytest.fixture
def options(home, monkeypatch):
    """Writes data/published/options.csv, and reads a table of it."""
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    paths.PUBLISHED.mkdir(parents=True)
    own = {"experiment": "wgan_gp", "data": "coco", "iterations": 2000, "batch_size": 16}
    own |= {"train_poses": 116_021, "minutes": 9, "poses": 2000, "settings": ""}

    def write(*rows: dict) -> list[list[str]]:
        rows = [own | row for row in rows]
        with (paths.PUBLISHED / "options.csv").open("w", newline="") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        table = published.options("coco", "wgan_gp")
        assert all(len(row) == len(table.head) for row in table.rows)
        return [table.head, *table.rows]

    return write


def test_options_are_told_apart_by_length_and_by_poses(options):
    measured = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
    head, first, second = options(
        measured | {"settings": "features 0.25, ema 0.5"},
        measured | {"iterations": 37_500, "train_poses": 956, "minutes": 12},
        {"data": "sample"},
        {"experiment": "reduced"},
    )
    assert head == ["minibatches, time", "training poses", "settings", "poses", "1-NN accuracy"]
    accuracy = "50.0% [40.0%, 60.0%]"
    assert first == ["2,000 × 16, 9 min", "116,021", "features 0.25, ema 0.5", "2,000", accuracy]
    assert second == ["37,500 × 16, 12 min", "956", "", "2,000", accuracy]


def test_text_alignment_of_options_is_told_where_it_was_measured(options):
    plain = {"accuracy": 0.5, "retrieval_ratio": 1.0, "coverage": 0.5}
    plain |= {f"{name}_{kind}": 1 for name in ("accuracy", "visible") for kind in ("real", "fake")}
    unconditional = ["1-NN accuracy", "synthesised (real)", "retrieval ratio"]
    unconditional += ["coverage", "visible keypoints (of real poses)"]
    assert options(plain)[0][4:] == unconditional
    answers = ["1-NN accuracy", "retrieval ratio", "R-precision, first 1"]
    answers += ["distance to the caption's own pose", "activity"]
    conditional = plain | {"r_precision_1": 0.2, "distance_own": 3, "activity_accuracy": 0.5}
    assert options(conditional)[0][4:] == answers
    assert options(conditional | {"activity_accuracy": ""})[0][4:] == answers[:-1]


def test_options_are_of_runs_that_compare():
    """Of each length there are several, of as many poses."""
    table = pd.read_csv(paths.PUBLISHED / "options.csv")
    lengths = table.groupby(["data", "experiment", "iterations", "batch_size"])
    assert lengths.size().min() > 1
    assert (lengths[["poses", "train_poses"]].nunique() == 1).all(axis=None)
    assert len(published.options("coco", "wgan_gp").rows) == 4


# --- a working tree as it was committed -------------------------------------------------------


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository with code, a README and published runs, all of it committed."""
    monkeypatch.setattr(paths, "SOURCE", tmp_path)
    for name in ("lib/code.py", "README.md", "data/published/gan/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("committed")
    own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "all"]
    for command in (["init", "-q"], ["add", "."], own):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_nothing_is_published_from_a_tree_with_changes(tree, finished):
    (tree / "lib/code.py").write_text("changed")
    assert published.uncommitted() == ["lib/code.py"]
    with pytest.raises(InputError, match=r"lib/code\.py has changes that are not committed"):
        published.publish(finished, DATA)
    assert not list(paths.PUBLISHED.glob("*0123456789"))


def test_what_publishing_writes_is_no_change(tree):
    (tree / "README.md").write_text("a new table")
    (tree / "data/published/gan/README.md").write_text("measured again")
    (tree / "data/published/wgan").mkdir()
    (tree / "data/published/wgan/README.md").write_text("a run more")
    (tree / "notes.txt").write_text("not tracked")
    assert published.uncommitted() == []


def test_a_second_export_names_the_commit_as_the_first_does(tree, cache, monkeypatch):
    monkeypatch.setattr(published, "commit", lambda: "0123456789-dirty")  # by the first export
    run = Study("published", cache).train("gan", device="cpu")
    folder = published.publish(run, cache)
    assert published.measured(Run(folder, run.config, "gan"))["measured_with"]["commit"] == (
        "0123456789"
    )


def test_a_copy_without_history_can_be_published_from(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "SOURCE", tmp_path)
    assert published.uncommitted() == []


# --- a series of trainings --------------------------------------------------------------------


def test_parents_are_trained_first(cache):
    wanted = ["gan", "reduced", "conditional_reduced"]
    assert series.in_order(["gan", "conditional_reduced", "reduced"], "published") == wanted
    with pytest.raises(InputError, match="did you mean reduced"):
        series.in_order(["redused"], "published")


def test_a_series_stops_in_time_and_goes_on(cache, monkeypatch, tmp_path):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    step = Trainer.discriminator_step

    def timed(self, *given):
        now[0] += 1.0
        return step(self, *given)

    monkeypatch.setattr(Trainer, "discriminator_step", timed)
    found = series.train_series(NAMES, cache, "published", 20.5 / 60, "cpu", tmp_path / "out")
    assert found == {
        "gan": "finished",
        "reduced": "5 iterations",  # after 16 of gan; the 21st second is over the budget
        "conditional_reduced": "0 iterations",
    }
    assert [path.name.split("-")[0] for path in (tmp_path / "out").iterdir()] == ["gan"]
    again = series.train_series(NAMES, cache, "published", device="cpu", published=tmp_path / "out")
    assert set(again.values()) == {"finished"} and len(list((tmp_path / "out").iterdir())) == 3
    assert Study("published", cache).run("reduced").summary["iterations"] == 16


# --- the compact cache -----------------------------------------------------------------------


def test_a_compact_cache_trains_the_same_and_is_smaller(cache, tmp_path):
    out = tmp_path / "compact.safetensors"
    size = compact("coco", out)
    assert size == out.stat().st_size < (paths.CACHE / "coco.safetensors").stat().st_size
    small = load(out)
    for own, whole in ((small.train, cache.train), (small.val, cache.val)):
        assert torch.equal(own.poses, whole.poses) and not own.whole and whole.whole
        assert len(own.vectors) < len(whole.vectors)
        assert torch.equal(own.vectors, whole.vectors[whole.pair_rows])
        for pair in range(len(whole.pair_pose)):
            assert own.captions_of(pair) == whole.captions_of(pair)
    assert small.train.keypoints.dtype == cache.train.keypoints.dtype
    config = Study("published", small).config("conditional_reduced").replace(parent="")
    losses = []
    for name, dataset in (("small", small), ("whole", cache)):
        run = Run(tmp_path / name, config, "conditional_reduced")
        train(run, dataset, device="cpu")
        losses.append(run.metrics)
    assert losses[0] == losses[1]
    there, here = (Study("published", data).run("gan") for data in (small, cache))
    assert there.folder == here.folder
    with pytest.raises(InputError, match="caption_pool=pairs"):
        Batches(small.train, config.replace(caption_pool="all"), torch.device("cpu"))


def test_keypoints_between_pixels_stay_as_they_are():
    import numpy as np

    from lib.data.cache import _short

    assert _short(np.float32([1, 640, 0])).dtype == np.int16
    assert _short(np.float32([1.5])).dtype == np.float32
    assert _short(np.float32([70_000])).dtype == np.float32


# --- on the command line ----------------------------------------------------------------------


def test_publish_and_compact_from_the_command_line(cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(published, "README", tmp_path / "README.md")
    published.README.write_text(
        "before\n" + published.MARKS[0] + "x" + published.MARKS[1] + "\nafter"
    )
    drawn = []
    monkeypatch.setattr(published, "pictures", lambda: drawn.append(True))
    series.train_series(["gan"], cache, "published", device="cpu")
    name = Study("published", cache).run("gan").folder.name
    cli.app(["publish", name], standalone_mode=False)
    assert (paths.PUBLISHED / name / "README.md").exists() and drawn
    text = published.README.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter") and "| GAN; heatmaps | " in text
    cli.app(["compact", str(tmp_path / "c.safetensors"), "--data", "coco"], standalone_mode=False)
    assert "MB" in capsys.readouterr().out


def test_the_commit_is_git_s_or_what_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("THESIS_COMMIT", "abc")
    monkeypatch.setattr(paths, "SOURCE", tmp_path)
    assert commit() == "abc"
    monkeypatch.delenv("THESIS_COMMIT")
    assert commit() == ""


# --- which runs `make thesis` takes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ("", "--profile published"),
        ("FRESH=1", "--profile quick --fresh"),
        ("FRESH=0", "--profile published"),
        ("COCO_ZIP=a.zip", '--profile quick --coco-zip "a.zip"'),
        ("ENCODER=a.bin", '--profile quick --encoder "a.bin"'),
        ("RUNS=published COCO_ZIP=a.zip", '--profile published --coco-zip "a.zip" --published'),
        ("PROFILE=paper COCO_ZIP=a.zip", '--profile paper --coco-zip "a.zip"'),
    ],
)
def test_make_takes_published_runs_where_they_can_fit(settings, wanted):
    command = ["make", "-n", "-o", ".venv/ready", "thesis", *settings.split()]
    said = subprocess.run(command, cwd=paths.SOURCE, capture_output=True, text=True, check=True)
    (line,) = [
        text for text in said.stdout.replace("\\\n", " ").splitlines() if "lib thesis" in text
    ]
    assert " ".join(line.split("lib thesis")[1].split()) == wanted
