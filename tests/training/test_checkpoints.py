"""Checkpoints: whole or not there, and looked at before they are used."""

import os
import random
import shutil

import pytest
import tiny
import torch
from stepping import DATA, same

from lib.errors import InputError
from lib.training import checkpoints
from lib.training.checkpoints import every, newest
from lib.training.loop import train
from lib.training.runs import Run

FILES = "discriminator.safetensors", "generator.safetensors", "state.pt"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Run:
    """A run that was interrupted after two checkpoints."""
    run = tiny.run(tmp_path_factory.mktemp("runs") / "run", tiny.config(epochs=3))
    train(run, DATA, device="cpu", stop_after=4)
    train(run, DATA, device="cpu", stop_after=7)
    return run


@pytest.fixture
def run(made, tmp_path) -> Run:
    return tiny.run(shutil.copytree(made.folder, tmp_path / "run"), made.config)


def test_the_last_two_stay(run):
    assert [place.name[-1] for place in every(run.folder)] == ["7", "4"]
    train(run, DATA, device="cpu", stop_after=8)
    assert [place.name[-1] for place in every(run.folder)] == ["8", "7"]
    assert newest(run.folder).name == "checkpoint-00000008"
    assert sorted(p.name for p in newest(run.folder).iterdir()) == sorted([*FILES, "hashes.json"])


def flip(path, source: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = source.randrange(len(content))
    content[place] ^= 1 << source.randrange(8)
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_is_named_and_the_checkpoint_before_is_used(run, capsys, seed):
    source = random.Random(seed)
    name = source.choice([*FILES, "hashes.json"])
    flip(newest(run.folder) / name, source)
    assert newest(run.folder).name == "checkpoint-00000004"
    said = capsys.readouterr().err
    assert "checkpoint-00000007/" in said and "is damaged: checkpoint-00000004 is used" in said
    whole = tiny.run(run.folder.with_name("whole"), run.config)
    train(whole, DATA, device="cpu")
    train(run, DATA, device="cpu")  # ends as one that was never interrupted
    assert run.metrics == whole.metrics
    assert same(run.generator().state_dict(), whole.generator().state_dict())


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_cut_is_damage(run, name):
    path = newest(run.folder) / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert newest(run.folder).name == "checkpoint-00000004"
    path.unlink()
    assert newest(run.folder).name == "checkpoint-00000004"
    path.write_bytes(content)
    assert newest(run.folder).name == "checkpoint-00000007"


def test_where_all_are_damaged_nothing_is_trained(run):
    for place in every(run.folder):
        (place / "state.pt").unlink()
    before = run.metrics
    with pytest.raises(InputError, match=r"state\.pt is damaged: delete its run folder"):
        train(run, DATA, device="cpu")
    assert run.metrics == before


def test_a_finished_run_is_not_taken_for_one_that_ended_earlier(run):
    train(run, DATA, device="cpu")
    (run.checkpoint / "generator.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="lost its end: delete its summary.json"):
        run.generator()
    (run.folder / "summary.json").unlink()
    train(run, DATA, device="cpu")
    assert run.finished and run.generator()


def test_checkpoints_without_hashes_are_taken_as_they_are(run):
    (newest(run.folder) / "hashes.json").unlink()
    assert newest(run.folder).name == "checkpoint-00000007"
    assert run.state()["iteration"] == 7


@pytest.mark.parametrize("name", [checkpoints.NEW, checkpoints.OLD])
def test_what_a_killed_process_has_left_is_cleared(run, name):
    shutil.copytree(newest(run.folder), run.folder / name)
    assert newest(run.folder).name == "checkpoint-00000007"
    train(run, DATA, device="cpu", stop_after=8)
    assert not (run.folder / name).exists() and newest(run.folder).name[-1] == "8"


def test_a_full_disk_is_said_in_a_sentence_and_leaves_the_last(run, monkeypatch):
    def full(state, path):
        path.write_bytes(b"half of it")
        raise RuntimeError("PytorchStreamWriter failed writing file data/1: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        InputError, match=r"state\.pt cannot be written .*The last checkpoint is kept"
    ):
        train(run, DATA, device="cpu", stop_after=8)
    assert [place.name[-1] for place in every(run.folder)] == ["7", "4"]


def test_everything_is_on_the_disk_before_it_takes_its_name(run, monkeypatch):
    order, rename, fsync = [], checkpoints.Path.rename, os.fsync
    monkeypatch.setattr(
        checkpoints.Path, "rename", lambda a, b: order.append(f"{a.name} named") or rename(a, b)
    )

    def noted(descriptor):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    G, D = run.recipe.networks()
    checkpoints.save(run.folder, 9, G, D, {})
    before = order[: order.index("checkpoint-new named")]
    assert {*FILES, "hashes.json", "checkpoint-new"} <= set(before)
    after = order[len(before) :]
    assert after.index(run.folder.name) < after.index("checkpoint-00000004 named")
