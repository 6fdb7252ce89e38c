"""The command line: help, data, training, measures, and one sentence for bad input."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny  # noqa: F401 one thread

from lib import __main__ as cli
from lib import paths
from lib.book import build
from lib.data import cache as data_cache
from lib.pose.formats import read
from lib.training.runs import Run

SMALL = ["--profile", "smoke", "--set", "features=0.0625", "--set", "batch_size=4"]
SMALL += ["--set", "epoch_size=8", "--set", "epochs=1", "--device", "cpu"]


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls ``python -m lib ...`` within this process; its exit status, stdout and stderr."""

    def called(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lib", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
            raise SystemExit(0)
        return (end.value.code or 0, *capsys.readouterr())

    return called


@pytest.fixture(scope="module")
def cache(module_home, tiny_coco):
    """A tiny prepared data set with captions."""
    folder = tiny_coco(module_home / "tiny")
    data_cache.prepare(folder, module_home / "tiny.safetensors", encoder_epochs=1)
    return module_home / "tiny.safetensors"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["prepare", "train", "evaluate", "thesis"]),
        (("prepare",), ["--coco-zip", "--cache", "--encoder", "left_out"]),
        (("train",), ["algorithm", "--set", "key=value", "conditional_wgan_lp", "learning_rate"]),
        (("evaluate",), ["run", "--data", "--poses", "1-NN"]),
        (("pose",), ["caption", "--out", "--format", "-n", "--captions", "--again", "--run"]),
        (("pose",), ["--keep", "--lock", "--without"]),
        (("export",), ["run", "--onnx", "--out", "(N, 128)", "RUN.onnx"]),
        (
            ("series",),
            ["cache", "--profile", "--only", "--minutes", "--device", "--published", "--longer"],
        ),
        (("thesis",), ["--profile", "--coco-zip", "--fresh"]),
        (("questionnaire",), ["make", "score", "fits a caption better"]),
        (("questionnaire", "make"), ["--run", "--questions", "--seed", "--out", "--raw", "page"]),
        (("questionnaire", "score"), ["files", "--key", "--json", "agreement"]),
        (
            ("sweep",),
            ["--set", "seed=0,1,2", "--workers", "--address", "--nthreads 1", "exit status"],
        ),
    ],
)
def test_help_is_worth_reading(call, monkeypatch, command, words):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = call(*command, "--help")
    assert status == 0
    for word in words:
        assert word in out


def test_prepare_ends_with_a_json_object(call, home, tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path, train=12, val=6, crowded=3)
    path = tmp_path / "cache.safetensors"
    arguments = ["prepare", "--coco-zip", folder, "--cache", path, "--profile", "smoke"]
    status, out, err = call(*arguments)
    summary = json.loads(out.splitlines()[-1])
    assert status == 0 and isinstance(summary["left_out"], dict)
    numbers = {
        key: summary[key] for key in ("train_poses", "val_poses", "train_pairs", "val_pairs")
    }
    assert numbers == {"train_poses": 15, "val_poses": 9, "train_pairs": 12, "val_pairs": 6}
    assert len(data_cache.load(path).train.poses) == 15
    status, again, err = call(*arguments)
    assert json.loads(again.splitlines()[-1]) == summary and "up to date" in err


def test_prepare_takes_the_profile_paper_too(call, home, tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path)
    status, out, _ = call("prepare", "--coco-zip", folder, "--profile", "paper")
    assert status == 0 and json.loads(out.splitlines()[-1])["train_poses"] == 15


def test_a_missing_archive_is_one_sentence_and_leaves_the_cache(call, cache):
    before = cache.read_bytes()
    status, out, err = call("prepare", "--coco-zip", "gone.zip", "--cache", cache)
    assert status == 1 and out == "" and "gone.zip" in err and "Traceback" not in err
    assert err.startswith("Error: ") and err.count("\n") == 1
    assert cache.read_bytes() == before


@pytest.mark.parametrize("algorithm", ["gan", "conditional_wgan_lp"])
def test_train_and_evaluate(call, cache, algorithm):
    status, out, _ = call("train", algorithm, "--data", cache, *SMALL, "--set", "k=2")
    run = Run.open(out.splitlines()[-1])
    assert status == 0 and run.folder.parent == paths.RUNS
    assert run.config.algorithm == algorithm and run.summary["iterations"] == 2
    settings = run.config
    assert (settings.features, settings.batch_size, settings.k) == (0.0625, 4, 2)
    assert (settings.epoch_size, settings.epochs, settings.parent) == (8, 1.0, "")

    status, out, _ = call("evaluate", run.folder.name, "--poses", 5)
    measures = json.loads(out)
    assert status == 0 and 0 <= measures["accuracy"] <= 1
    assert (measures["n_real"], measures["n_fake"], measures["n_val"]) == (5, 5, 5)
    assert call("evaluate", run.folder, "--data", cache, "--poses", 5)[1] == out


def test_a_series_with_and_without_the_other_commands(call, cache, tmp_path):
    options = ["--profile", "smoke", "--minutes", "0", "--only", "reduced", "gan"]
    options += ["--device", "cpu", "--published", str(tmp_path)]
    told = "reduced: 0 iterations\ngan: 0 iterations\n"
    assert call("series", cache, *options)[:2] == (0, told)
    alone = [sys.executable, "-m", "lib.training.series"]
    environment = os.environ | {"PYTHONPATH": str(paths.SOURCE), "THESIS_HOME": str(tmp_path)}
    given = {"capture_output": True, "text": True, "env": environment}
    assert subprocess.run([*alone, cache, *options], **given).stdout == told
    wrong = subprocess.run([*alone, cache, "--only", "redused"], **given)
    assert wrong.returncode == 1 and "did you mean reduced" in wrong.stderr
    assert wrong.stderr.startswith("Error: ") and wrong.stderr.count("\n") == 1


def test_a_finished_run_is_not_trained_again_unless_asked(call, cache, monkeypatch):
    from lib import study

    _, out, _ = call("train", "wgan", "--data", cache, *SMALL)
    trained = []
    real = study.train
    monkeypatch.setattr(study, "train", lambda *args, **more: trained.append(real(*args, **more)))
    assert call("train", "wgan", "--data", cache, *SMALL)[:2] == (0, out) and not trained
    assert call("train", "wgan", "--data", cache, *SMALL, "--fresh")[:2] == (0, out)
    assert len(trained) == 1


def test_a_questionnaire_from_the_page_to_the_score(call, cache, tmp_path):
    _, out, _ = call("train", "conditional_wgan_lp", "--data", cache, *SMALL)
    arguments = ["questionnaire", "make", "--run", out.strip(), "--data", cache]
    arguments += ["--questions", 4, "--out", tmp_path]
    status, out, err = call(*arguments)
    page, key, answers = out.splitlines()
    assert status == 0 and page.startswith(f"{tmp_path / 'questionnaire.html'}: send this")
    assert key == f"{tmp_path / 'key.json'}: the key; do not send this."
    assert answers.startswith(str(tmp_path / "answers"))
    content = json.loads((tmp_path / "key.json").read_text())
    assert len(content["captions"]) == 4 and content["seed"] == 0 and content["raw"] is False
    written = (tmp_path / "questionnaire.html").read_bytes()
    assert call(*arguments, "--seed", 3, "--raw")[0] == 0
    assert (tmp_path / "questionnaire.html").read_bytes() != written
    changed = json.loads((tmp_path / "key.json").read_text())
    assert changed["raw"] is True and changed["seed"] == 3

    assert call(*arguments)[0] == 0
    status, out, _ = call("questionnaire", "score", "--key", tmp_path / "key.json")
    assert status == 0 and "No answers have been collected" in out
    for subject in "ab":
        file = tmp_path / "answers" / f"{subject}.json"
        page = {"questionnaire": content["questionnaire"], "subject": subject, "test": False}
        file.write_text(json.dumps(page | {"answers": content["synthesised"]}))
    status, out, _ = call("questionnaire", "score", "--key", tmp_path / "key.json")
    assert status == 0 and "100.0% of 8 answers of 2 subjects" in out
    assert content["captions"][3] in out
    one = ["questionnaire", "score", file, "--key", tmp_path / "key.json", "--json"]
    assert json.loads(call(*one)[1])["overall"]["answers"] == 4


def test_values_are_read_as_toml_or_as_words():
    read = {text: cli._value(text) for text in ("3", "1e-4", "true", "[0, 0.9]", "a", "")}
    assert read == {"3": 3, "1e-4": 1e-4, "true": True, "[0, 0.9]": [0, 0.9], "a": "a", "": ""}
    assert cli._setting("parent=") == ("parent", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "gan", "--set", "epohcs=3"], ["'epohcs'", "did you mean epochs?"]),
        (["train", "gan", "--set", "epochs=three"], ["epochs = 'three'", "a number"]),
        (["train", "gan", "--set", "epochs"], ["--set epochs", "key=value"]),
        (["train", "gna"], ["'gna'", "did you mean gan?"]),
        (["train", "gan", "--profile", "smok"], ["'smok'", "did you mean smoke?"]),
        (["train", "gan", "--data", "none.safetensors"], ["none.safetensors", "-m lib prepare"]),
        (["train", "reduced", "--set", "parent=gnu"], ["'gnu'", "did you mean gan?"]),
        (["train", "gan", "--device", "tpu9"], ["'tpu9'", "try cpu"]),
        (["train", "conditional_full"], ["notebooks/04_wgan_gp.ipynb"]),
        (["series", "none.safetensors"], ["none.safetensors", "-m lib prepare"]),
        (["evaluate", "nothing"], ["'nothing'", "finished"]),
        (["thesis", "--profile", "smok"], ["'smok'"]),
        (["questionnaire", "make", "--profile", "smoke"], ["notebooks/08_conditional_reduced"]),
        (["questionnaire", "make", "--run", "nothing"], ["'nothing'"]),
        (["questionnaire", "score", "gone.json"], ["key.json", "questionnaire make"]),
    ],
)
def test_bad_input_is_one_sentence(call, cache, home, monkeypatch, arguments, words):
    if {"train", "make"} & set(arguments) and "--data" not in arguments:
        arguments = [*arguments, "--data", str(cache)]
    if "--profile" not in arguments and arguments[0] == "train":
        arguments = [*arguments, "--profile", "smoke"]
    monkeypatch.setattr(build, "kernel_environment", lambda: None)
    status, out, err = call(*arguments)
    assert status == 1 and out == "" and "Traceback" not in err
    assert err.startswith("Error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_from_a_shell(tmp_path):
    """Exit status and one line on stderr, without a traceback."""
    answer = subprocess.run(
        [sys.executable, "-m", "lib", "train", "gan", "--set", "epohcs=3", "--profile", "smoke"],
        cwd=paths.SOURCE,
        env=os.environ | {"THESIS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr == ("Error: The setting 'epohcs' is not known: did you mean epochs?\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, said",
    [
        (["train", "gan", "--set", "data=coco"], "data is not a setting"),
        (["pose", " "], "no words"),
        (["pose"], "no words"),
        (["pose", "a man", "--captions", "-"], "one of a caption"),
        (["pose", "a man", "--out", "pose"], "pose has no suffix"),
        (["pose", "a man", "--out", "pose.bmp"], "suffix .bmp"),
        (["pose", "a man", "--out", "."], "is a folder"),
        (["pose", "a man", "--out", "-", "--format", "gif"], "'gif' is not known"),
        (["pose", "a man", "--run", "gan-0"], "no finished run 'gan-0'"),
        (["pose", "--again", "none.json"], "none.json cannot be read"),
        (["pose", "--again", "a.json", "--keep", "b.json"], "go with a caption"),
        (["pose", "a man", "--lock", "nose"], "--lock with --keep"),
        (["pose", "a man", "--without", "hat"], "keypoint 'hat' is not known"),
        (["pose", "a man", "--keep", "none.json"], "none.json cannot be read"),
        (["export", "gan-0", "--onnx"], "no finished run 'gan-0'"),
        (["export", "gan-0"], "--onnx"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(call, home, words, said):
    status, _, error = call(*words)
    assert status == 1 and said in error and "Traceback" not in error


def test_a_sentence_becomes_files_that_can_be_made_again(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = "two women ride a wave"
    status, out, error = call("pose", sentence, "-n", 2, "--seed", 3, "--out", "a.json")
    assert (status, out) == (0, "a.json\n") and error.startswith("Note: The model draws one person")
    assert call("pose", "--again", "a.json", "--out", "b/c.json")[:2] == (0, "b/c.json\n")
    assert (tmp_path / "b" / "c.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    status, out, _ = call("pose", sentence, "-n", 2, "--out", "a.openpose.png")
    assert (
        out == "a-1.openpose.png\na-2.openpose.png\n" and (tmp_path / "a-2.openpose.png").exists()
    )
    assert call("pose", "a man runs")[1] == "pose.png\n" and (tmp_path / "pose.png").exists()


def test_poses_go_to_standard_output_and_captions_come_from_a_file(tmp_path):
    (tmp_path / "captions.txt").write_text("a man runs\nxyzzy\n")
    command = [sys.executable, "-m", "lib", "pose", "-n", "1"]
    run = functools.partial(subprocess.run, capture_output=True, text=True, cwd=paths.SOURCE)
    one = json.loads(run([*command, "a man runs", "--out", "-"]).stdout)
    many = run([*command, "--captions", str(tmp_path / "captions.txt")])
    rows = [json.loads(line) for line in many.stdout.splitlines()]
    assert many.returncode == 1 and rows[0]["poses"] == one
    assert "knows no word" in rows[1]["error"]


def test_runs_are_listed_and_a_finished_one_is_not_trained_again(call, cache, monkeypatch):
    monkeypatch.setattr(paths, "PUBLISHED", paths.HOME / "published")
    command = ["train", "gan", "--data", cache, *SMALL]
    assert call(*command)[2].count("nothing is trained") == 0
    status, out, error = call(*command)
    assert (
        status == 0
        and error == "This run is finished: nothing is trained; --fresh trains it again.\n"
    )
    name = Path(out.strip()).name
    listed = call("runs")[1].splitlines()
    assert any(name in line and "GAN, the thesis's networks at" in line for line in listed)
    Path(out.strip(), "summary.json").unlink()
    (line,) = (line for line in call("runs")[1].splitlines() if name in line)
    assert line.endswith("interrupted after 2 iterations")
    shutil.move(out.strip(), paths.PUBLISHED / name)
    (paths.PUBLISHED / name / "summary.json").write_text('{"iterations": 2}')
    assert call(*command)[2].startswith("The repository ships this run: nothing is trained")


def test_keypoints_are_kept_from_one_pose_to_the_next(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("pose", "a man runs", "-n", 1, "--out", "a.openpose.json")[0] == 0
    keep = ["--keep", "a.openpose.json", "--lock", "left_hip,right_hip", "--without", "nose"]
    status, out, error = call("pose", "a man sits", "-n", 2, *keep, "--out", "b.json")
    assert (status, out) == (0, "b.json\n") and "stay where they were" in error
    before, after = read(tmp_path / "a.openpose.json")[0], read(tmp_path / "b.json")[0]
    np.testing.assert_allclose(after[:, 11:13], before[:, 11:13].repeat(2, axis=0), atol=0.011)
    assert not after[:, 0].any() and np.abs(after - before)[:, 13:].max() > 8


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(call, home, monkeypatch):
    home.mkdir(exist_ok=True)
    (home / "data").write_text("a file where a folder should be")
    status, _, error = call("prepare", "--profile", "smoke")
    assert status == 1 and error.strip().splitlines()[-1].startswith("Error: ")
