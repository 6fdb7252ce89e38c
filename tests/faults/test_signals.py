"""A run that is asked to end by a signal, in a process of its own, as Slurm or Ctrl-C would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lib import paths
from lib.data.cache import prepare
from lib.signals import ASKING

SETTINGS = ["features=0.0625", "batch_size=4", "epoch_size=40", "epochs=6"]


@pytest.fixture(scope="module")
def cache(module_home, tiny_coco) -> Path:
    prepare(tiny_coco(module_home / "tiny"), module_home / "tiny.safetensors", encoder_epochs=1)
    return module_home / "tiny.safetensors"


def command(cache: Path, *more: str) -> list[str]:
    settings = [word for each in SETTINGS for word in ("--set", each)]
    command = [sys.executable, "-m", "lib", "train", "gan", "--profile", "smoke", "--device", "cpu"]
    return [*command, "--data", str(cache), *settings, *more]


SLOW = """
import itertools, os, runpy, signal, time
from lib.training.trainer import Trainer
step, calls = Trainer.generator_step, itertools.count(1)

def slow(*arguments):
    time.sleep(0.1)
    if next(calls) == 12 and "STUCK" in os.environ:
        open(os.environ["STUCK"], "w").close()
        time.sleep(60)
    return step(*arguments)

Trainer.generator_step = slow
for number in (signal.SIGHUP, signal.SIGINT):  # which those who run the tests may ignore
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
runpy.run_module("lib", run_name="__main__")
"""


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"THESIS_HOME": str(home), "OMP_NUM_THREADS": "1"}


def started(cache: Path, home: Path) -> subprocess.Popen:
    """A run that is being trained, slowly enough to be stopped."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command(cache)[3:]],
        env=environment(home),
        cwd=paths.SOURCE,
        stderr=subprocess.PIPE,
        text=True,
    )
    runs = home / "data" / "runs"
    while not any(file.stat().st_size for file in runs.glob("*/metrics.jsonl")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process


def end(home: Path) -> tuple[list[dict], dict]:
    (folder,) = (home / "data" / "runs").glob("gan-*")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return rows, load_file(max(folder.glob("checkpoint-*")) / "generator.safetensors")


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory) -> tuple[list[dict], dict]:
    """What a run ends with that nobody has stopped."""
    home = tmp_path_factory.mktemp("whole")
    subprocess.run(command(cache), env=environment(home), cwd=paths.SOURCE, check=True)
    return end(home)


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_writes_a_checkpoint_and_the_same_command_goes_on(number, cache, whole, tmp_path):
    process = started(cache, tmp_path)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"Stopped by {number.name}: " in error and "the same command goes on" in error
    assert "Traceback" not in error and "Error" not in error
    (folder,) = (tmp_path / "data" / "runs").glob("gan-*")
    (place,) = folder.glob("checkpoint-*")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["iteration"] == int(place.name[-8:]) and not (folder / "summary.json").exists()
    subprocess.run(command(cache), env=environment(tmp_path), cwd=paths.SOURCE, check=True)
    rows, weights = end(tmp_path)
    assert rows == whole[0]
    assert all((weights[name] == weight).all() for name, weight in whole[1].items())


def test_a_second_signal_ends_at_once(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("STUCK", str(tmp_path / "stuck"))
    process = started(cache, tmp_path)
    while not (tmp_path / "stuck").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None  # it is still at this iteration
    process.send_signal(signal.SIGHUP)
    _, error = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGHUP and "Stopped" not in error
