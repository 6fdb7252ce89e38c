"""How far trainings are: what one tells, and the line that is made of several."""

import json
import math
import time

import pytest

from lib.training.progress import Display, Progress

STATE = {"epoch": 1.5, "epochs": 2.0, "iteration": 1500, "iterations": 2000}


def test_training_tells_the_display_how_far_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("THESIS_PROGRESS", str(tmp_path))
    progress = Progress("wgan", start=2, total=10, per_epoch=4)
    progress.update(6)
    state = json.loads((tmp_path / "wgan.json").read_text())
    assert (state["iteration"], state["iterations"]) == (6, 10)
    assert (state["epoch"], state["epochs"]) == (1.5, 2.5) and state["seconds_left"] >= 0
    progress.update(7)  # too soon after the last
    assert json.loads((tmp_path / "wgan.json").read_text()) == state
    progress.update(10)
    assert json.loads((tmp_path / "wgan.json").read_text())["seconds_left"] == 0
    progress.close()


def test_the_display_tells_notebooks_epochs_and_time_left(tmp_path, capsys):
    expected = {"data": 10.0, "03_wgan": 100.0, "02_gan": 50.0, "04_wgan_gp": 200.0, "book": 20.0}
    display = Display(expected, {"03_wgan": tmp_path / "wgan.json"}, jobs=2)
    with display.watch("03_wgan"), display.watch("02_gan"):
        line = display.line(time.monotonic())
        # as planned: (100 + 50 here + 10 + 200 + 20 to come) / 2
        assert line == "[0 of 5 done] 03_wgan, 02_gan; 03:09 left"
        (tmp_path / "wgan.json").write_text(json.dumps(STATE | {"seconds_left": 35.0}))
        line = display.line(time.monotonic())
        assert line == "[0 of 5 done] 03_wgan epoch 1.5 of 2, 02_gan; 02:39 left"
    assert "03_wgan: done in 00:00" in capsys.readouterr().err


def test_the_display_tells_what_failed(capsys):
    display = Display({"a": 10.0, "b": 10.0, "c": 20.0, "d": 20.0}, {})
    for name, fault in (("a", "it broke"), ("b", ""), ("c", "")):
        display.begin(name)
        display.end(name, fault)
    display.spent |= {"a": 900.0, "b": 11.0, "c": 19.0}  # b and c as planned, together
    assert display.line(time.monotonic()) == "[2 of 4 done, 1 failed] ; 00:20 left"
    assert capsys.readouterr().err.splitlines()[:2] == ["a: failed: it broke", "b: done in 00:00"]


def test_what_is_stopped_is_neither_done_nor_being_done(capsys):
    display = Display({"a": 10.0}, {})
    with pytest.raises(KeyboardInterrupt), display.watch("a"):
        raise KeyboardInterrupt
    assert display.line(time.monotonic()) == "[0 of 1 done] ; 00:10 left"
    assert capsys.readouterr().err == ""


def test_a_run_that_nobody_knows_the_length_of_leaves_the_time_out(tmp_path):
    expected = {"data": 10.0, "02_gan": math.nan, "03_wgan": math.nan}
    display = Display(expected, {"02_gan": tmp_path / "gan.json", "03_wgan": tmp_path / "w.json"})
    display.spent["data"] = 20.0
    with display.watch("02_gan"):
        assert display.line(time.monotonic()) == "[1 of 3 done] 02_gan"
        (tmp_path / "gan.json").write_text(json.dumps(STATE | {"seconds_left": 5.0}))
        assert display.line(time.monotonic()) == "[1 of 3 done] 02_gan epoch 1.5 of 2"
        (tmp_path / "w.json").write_text(json.dumps(STATE | {"seconds_left": 15.0}))
        display.begin("03_wgan")
        assert " left" in display.line(time.monotonic())  # both say how far they are


def test_what_follows_is_expected_to_be_as_slow_as_what_is_done():
    display = Display({"data": 10.0, "02_gan": 50.0, "book": 20.0}, {})
    display.spent["data"] = 20.0  # twice as long as planned
    assert display.line(time.monotonic()).endswith("; 02:20 left")
