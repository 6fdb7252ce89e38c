"""Sweeps: real kernels on real Dask workers, with notebooks that only pretend to train."""

import dataclasses
import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from lib import __main__ as cli
from lib import paths
from lib.book import cluster
from lib.book import sweep as module
from lib.book.execute import ALLOCATOR
from lib.book.sweep import made, plan, readable, sweep, table
from lib.errors import InputError
from lib.notebooks import Notebook
from lib.study import Study

DATA = tiny.dataset()
PARAMETERS = """profile = "quick"
data = "sample"
fresh = False
seed = None
lambda_ = None
momenta = None"""
# Finishes the run that its settings name, or fails as its seed says.
TRAIN = """import json, os, signal, time
from pathlib import Path
told = Path(os.environ["THESIS_PROGRESS"])
log = dict(os.environ) | {"seed": seed, "lambda_": lambda_, "profile": profile, "data": data}
log |= {"worker": os.getppid(), "told": told.is_dir(), "cwd": os.getcwd()}
with open("log", "a") as file:
    file.write(json.dumps(log) + "\\n")
if seed == 13: raise ValueError("bad\\nluck")
if seed == 14: os._exit(1)
if seed == 15: os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)
if seed == 16: time.sleep(60)
folder = Path(json.loads(Path("folders").read_text())[f"{seed} {lambda_}"])
folder.mkdir(parents=True, exist_ok=True)
rows = [{"iteration": i, "loss_d": seed + i / 3, "loss_g": i / 7} for i in range(1, 11)]
(folder / "metrics.jsonl").write_text("\\n".join(map(json.dumps, rows)))
measures = {"accuracy": (seed + 1) / 3, "n_real": 60, "interval": [0, 1], "seed": 99}
(folder / "evaluation.json").write_text(json.dumps(measures))
(folder / "summary.json").write_text(json.dumps({"iterations": 10, "seconds": 0.1 + seed}))"""


@pytest.fixture(scope="module")
def project(module_home):
    """Notebook 04, and the run that it reads; the environment is put back."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.keep_environment(patch)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(paths, "NOTEBOOKS", module_home / "sources")
        patch.setattr(paths, "PUBLISHED", module_home / "published")
        patch.setattr("lib.study.load", lambda name: DATA)
        study = Study("smoke", DATA)
        notebook = tiny.notebook(paths.NOTEBOOKS / "04_wgan_gp.ipynb", PARAMETERS, TRAIN)
        folders = {}
        for seed in range(20):
            for lambda_ in (None, 1, 10):
                change = {"seed": seed} | ({"lambda_": lambda_} if lambda_ else {})
                run = study.run("wgan_gp", **change)
                folders[f"{seed} {lambda_}"] = str(run.folder)
        (notebook.parent / "folders").write_text(json.dumps(folders))
        wgan = study.run("wgan")
        wgan.folder.mkdir(parents=True)
        wgan.finish({"seconds": 1})
        yield module_home


def log() -> list[dict]:
    """What was executed since the last call: environment, parameters."""
    path = paths.NOTEBOOKS / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def folder(seed: int, lambda_: int | None = None) -> Path:
    return Path(json.loads((paths.NOTEBOOKS / "folders").read_text())[f"{seed} {lambda_}"])


GRID = {"seed": [1, 0], "lambda_": [10, 1]}


@pytest.fixture(scope="module")
def swept(project):
    """Four runs on two workers of a machine with eight cores and two GPUs: name, log, display."""
    shown, real = [], cluster.Display

    def display(*arguments):
        shown.append(arguments)
        return real(*arguments)

    log()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS")
        patch.setattr(cluster.joblib, "cpu_count", lambda: 8)
        patch.setattr(cluster, "_gpus", lambda: ["5", "7"])
        patch.setattr(cluster, "Display", display)
        name = sweep("04", GRID, "smoke")
    return name, log(), shown


def test_every_combination_is_executed_with_its_parameters(swept, project):
    name, executed, _ = swept
    assert sorted((e["seed"], e["lambda_"]) for e in executed) == [(0, 1), (0, 10), (1, 1), (1, 10)]
    assert {(e["profile"], e["data"]) for e in executed} == {("smoke", "sample")}
    assert name == "04_wgan_gp-smoke-seed=1,0-lambda_=10,1"
    files = {file.name for file in (paths.SWEEPS / name).iterdir()}
    own = {f"seed={s}-lambda_={w}.ipynb" for s in (0, 1) for w in (1, 10)}
    assert files == own | {"table.csv"}  # and nothing temporary
    assert not list((paths.DATA / "executing" / name).iterdir())
    assert not paths.EXECUTED.exists()  # the book's notebooks are others


def test_the_table_holds_the_numbers_of_the_runs_in_the_grids_order(swept):
    rows = table(swept[0])
    own = ["seed", "lambda_", "run", "iterations", "seconds"]
    losses = ["loss_d", "loss_g", "val_loss_d", "val_loss_g"]
    assert list(rows.columns) == [*own, *losses, "accuracy", "n_real", "failed"]
    assert list(zip(rows["seed"], rows["lambda_"], strict=True)) == [
        (1, 10),
        (1, 1),
        (0, 10),
        (0, 1),
    ]
    for _, row in rows.iterrows():
        run = folder(row["seed"], row["lambda_"])
        measures = json.loads((run / "evaluation.json").read_text())
        assert row["run"] == run.name and row["failed"] == ""
        assert (row["accuracy"], row["n_real"]) == (measures["accuracy"], 60)  # to the last digit
        assert (row["iterations"], row["seconds"]) == (10, 0.1 + row["seed"])
        assert (row["loss_d"], row["loss_g"]) == (row["seed"] + 10 / 3, 10 / 7)


def test_workers_share_cores_and_have_a_gpu_each(swept, project):
    _, executed, _ = swept
    assert len({e["worker"] for e in executed}) == 2
    assert {e["CUDA_VISIBLE_DEVICES"] for e in executed} == {"5", "7"}
    assert len({(e["worker"], e["CUDA_VISIBLE_DEVICES"]) for e in executed}) == 2
    for name in cluster.THREADS:
        assert {e[name] for e in executed} == {"4"}
    for name in ALLOCATOR:
        assert {e[name] for e in executed} == {"1000000"}  # not Dask's
    assert {e["THESIS_HOME"] for e in executed} == {str(project)}
    assert {e["cwd"] for e in executed} == {str(paths.NOTEBOOKS)}
    for e in executed:  # no environment need be activated
        assert os.path.samefile(e["PATH"].split(os.pathsep)[0], Path(sys.executable).parent)


def test_each_run_tells_its_progress_in_a_place_of_its_own(swept):
    name, executed, [(expected, files, jobs)] = swept
    places = {e["THESIS_PROGRESS"] for e in executed}
    assert len(places) == 4 and all(e["told"] for e in executed)
    assert {str(file.parent) for file in files.values()} == places
    assert {file.name for file in files.values()} == {"wgan_gp.json"}
    assert expected.keys() == files.keys() and jobs == 2
    for e in executed:
        file = files[f"seed={e['seed']}-lambda_={e['lambda_']}"]
        assert str(file.parent) == e["THESIS_PROGRESS"]


def test_a_second_time_only_what_is_missing_is_executed(swept, monkeypatch, capsys):
    name, _, _ = swept
    before = table(name)
    with monkeypatch.context() as patch:
        patch.setattr(module, "execute_all", None)
        assert sweep("wgan_gp", GRID, "smoke") == name
    assert capsys.readouterr().err.count("up to date") == 4
    pd.testing.assert_frame_equal(table(name), before)
    executions = []
    monkeypatch.setattr(module, "execute_all", lambda todo, *_: executions.extend(todo) or {})

    def executed() -> list[str]:
        executions.clear()
        sweep("04_wgan_gp", GRID, "smoke")
        return [execution.name for execution in executions]

    notebook = paths.SWEEPS / name / "seed=0-lambda_=1.ipynb"
    text = notebook.read_text()
    notebook.unlink()
    (paths.SWEEPS / name / "progress" / "left").mkdir(parents=True)
    assert executed() == ["seed=0-lambda_=1"]
    assert not (paths.SWEEPS / name / "progress").exists()
    notebook.write_text(text)
    assert executed() == []
    summary = folder(1, 10) / "summary.json"
    text = summary.read_text()
    summary.unlink()  # as of a run that was deleted
    assert executed() == ["seed=1-lambda_=10"]
    fault = table(name)["failed"][0]
    assert summary.parent.name in fault and "left no" in fault
    summary.write_text(text)
    with monkeypatch.context() as patch:
        other = dataclasses.replace(DATA, pairs_id="other")  # not the poses: the runs stay
        patch.setattr("lib.study.load", lambda name: other)
        assert len(executed()) == 4
    assert executed() == []


def test_failures_are_recorded_and_stop_nothing(project, monkeypatch, capsys):
    """A cell that raises, a kernel that dies, a worker that is killed, and two that go well."""
    log()
    arguments = ["--set", "seed=13,14,2,15,3", "--profile", "smoke", "--name", "mixed"]
    monkeypatch.setattr(sys, "argv", ["lib", "sweep", "04", *arguments, "--workers", "2"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert out.splitlines()[-1] == str(paths.SWEEPS / "mixed" / "table.csv")
    assert "seed = 13 failed: 04_wgan_gp.ipynb failed in code cell" in out and "3.1" in out
    assert "seed=2: done in" in err and "seed=13: failed: " in err and "Traceback" not in err
    assert sorted(e["seed"] for e in log()) == [2, 3, 13, 14, 15]  # each once
    rows = table("mixed").set_index("seed")
    assert list(rows.index) == [13, 14, 2, 15, 3]
    assert "ValueError: bad luck" in rows["failed"][13] and "\n" not in rows["failed"][13]
    assert str(paths.DATA / "executing" / "mixed" / "seed=13.ipynb") in rows["failed"][13]
    assert "04_wgan_gp.ipynb" in rows["failed"][14]
    assert rows["failed"][15].startswith("Its worker was killed")
    assert list(rows["failed"][[2, 3]]) == ["", ""] and list(rows["accuracy"][[2, 3]]) == [1, 4 / 3]
    assert rows.loc[[13, 14, 15], "iterations":"n_real"].isna().all(axis=None)
    assert rows["run"][13] == folder(13).name
    assert not (paths.SWEEPS / "mixed" / "progress").exists()
    assert not (paths.SWEEPS / "mixed" / "seed=13.ipynb").exists()

    monkeypatch.setattr(sys, "argv", ["lib", "sweep", "04", "--set", "seed=2,3", *arguments[2:]])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert list(table("mixed")["seed"]) == [2, 3] and log() == []


@pytest.fixture
def theirs(project):
    """A cluster of one worker that somebody has started, without settings of ours."""
    from distributed import LocalCluster

    settings = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MALLOC_TRIM_THRESHOLD_")
        started = LocalCluster(n_workers=1, threads_per_worker=1, **settings)
    with started:
        yield started


def test_a_cluster_at_an_address_is_used_and_left_as_it_was(theirs):
    from distributed import Client

    log()
    with Client(theirs) as client:
        pids = set(client.run(os.getpid).values())
        before = client.run(lambda: dict(os.environ))
        # What the cluster remembers of a run is not taken for it.
        (execution,) = plan("04", {"seed": [4]}, "smoke", "sample", "theirs")
        kept = client.submit(cluster._do, execution, {"THESIS_HOME": str(paths.HOME)}, [])
        kept.result()
        execution.target.unlink()
        log()
        sweep("04", {"seed": [4, 13]}, "smoke", "sample", "theirs", 0, theirs.scheduler_address)
        executed = log()
        assert {e["worker"] for e in executed} == pids
        assert sorted(e["seed"] for e in executed) == [4, 13]
        assert "CUDA_VISIBLE_DEVICES" not in executed[0].keys() - os.environ.keys()
        assert executed[0]["MALLOC_TRIM_THRESHOLD_"] == "1000000"  # not Dask's
        assert list(table("theirs")["failed"] == "") == [True, False]
        assert client.run(lambda: dict(os.environ)) == before


def test_a_cluster_that_is_lost_is_said_so(theirs):
    def close():
        while not (paths.NOTEBOOKS / "log").exists():
            time.sleep(0.1)
        theirs.close()

    log()
    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(InputError, match=r"cluster is lost\. What was finished is kept"):
        sweep("04", {"seed": [16]}, "smoke", address=theirs.scheduler_address)
    closer.join()


def test_a_cluster_that_cannot_be_used_is_said_so(project):
    from distributed import LocalCluster

    settings = {"processes": False, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    settings |= {"protocol": "tcp"}
    for workers, threads in ((0, 1), (1, 2)):
        with LocalCluster(n_workers=workers, threads_per_worker=threads, **settings) as started:
            address = started.scheduler_address
            with pytest.raises(InputError, match=f"dask worker {address} --nthreads 1"):
                sweep("04", {"seed": [5]}, "smoke", address=address)
    with pytest.raises(InputError, match="no Dask cluster at nowhere"):
        sweep("04", {"seed": [5]}, "smoke", address="nowhere")
    with pytest.raises(InputError, match="workers or an address"):
        sweep("04", {"seed": [5]}, "smoke", workers=1, address=address)


@pytest.mark.parametrize(
    ("cores", "gpus", "asked", "runs", "workers"),
    [(8, 0, 0, 20, 8), (8, 0, 3, 20, 3), (8, 0, 0, 2, 2), (8, 2, 0, 20, 2), (8, 2, 5, 20, 2)],
)
def test_how_many_workers_there_are(project, monkeypatch, cores, gpus, asked, runs, workers):
    class Asked(Exception):
        pass

    def refuse(**settings):
        raise Asked(settings)

    monkeypatch.setattr("distributed.Client", refuse)
    monkeypatch.setattr(cluster.joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(cluster, "_gpus", lambda: list("abcdefgh")[:gpus])
    with pytest.raises(Asked) as given:
        cluster.execute_all([None] * runs, 1.0, asked)
    settings = given.value.args[0]
    assert (settings["n_workers"], settings["threads_per_worker"]) == (workers, 1)
    assert settings["host"] == "127.0.0.1" and settings["dashboard_address"] is None


def test_gpus_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(cluster.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cluster._gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-1f")
    assert cluster._gpus() == ["3", "GPU-1f"]
    monkeypatch.setattr(cluster.torch.cuda, "device_count", lambda: 0)
    assert cluster._gpus() == []


@pytest.mark.parametrize(
    ("notebook", "grid", "words"),
    [
        ("04", {}, ["needs a parameter"]),
        ("04", {"seed": []}, ["seed has no values"]),
        ("04", {"lambda": [1]}, ["'lambda'", "did you mean lambda_?", "04_wgan_gp.ipynb"]),
        ("04", {"alpha": [1]}, ["'alpha'", "known are lambda_, momenta, seed"]),
        ("04", {"profile": ["quick"]}, ["profile is the same in all runs"]),
        ("04", {"fresh": [True]}, ["fresh is the same in all runs"]),
        ("04", {"seed": [0, "x"]}, ["seed = 'x'", "whole number"]),
        ("04", {"lambda_": [1, -1]}, ["lambda_ = -1"]),
        ("04", {"seed": [1, 1]}, ["seed=1 and seed=1 are the same training run"]),
        ("04", {"lambda_": [1, 1.0]}, ["lambda_=1 and lambda_=1.0 are the same"]),
        ("wgan_pg", {"seed": [0]}, ["'wgan_pg'", "did you mean wgan_gp?"]),
        ("05", {"seed": [0]}, ["'05'", "04_wgan_gp"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(project, monkeypatch, notebook, grid, words):
    monkeypatch.setattr(module, "execute_all", None)
    with pytest.raises(InputError) as error:
        sweep(notebook, grid, "smoke")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("name", ["../up", "..", ".hidden", "two words", "x" * 101])
def test_a_sweeps_name_is_a_folder_beside_the_others(project, name):
    with pytest.raises(InputError, match="at most 100 letters"):
        plan("04", {"seed": [0]}, "smoke", "sample", name)


def test_runs_that_the_notebook_reads_must_be_finished(project, monkeypatch):
    monkeypatch.setattr(module, "execute_all", None)
    with pytest.raises(InputError, match="notebooks/03_wgan.ipynb first"):
        sweep("04", {"seed": [0]}, "quick")
    parameters = 'profile = "quick"\ndata = "sample"\nfresh = False\nseed = None'
    for stem in ("08_conditional_reduced", "09_conditional_random"):
        tiny.notebook(paths.NOTEBOOKS / f"{stem}.ipynb", parameters, "1")
    with pytest.raises(InputError, match="notebooks/07_reduced.ipynb first"):  # the parent
        sweep("08", {"seed": [0]}, "smoke")
    with pytest.raises(InputError, match="notebooks/08_conditional_reduced.ipynb first"):
        sweep("conditional_random", {"seed": [0]}, "smoke")
    bare = {stem: Notebook(each.trains) for stem, each in module.GRAPH.items()}
    monkeypatch.setattr(module, "GRAPH", bare)
    with pytest.raises(InputError, match="notebooks/07_reduced.ipynb first"):
        sweep("08", {"seed": [0]}, "smoke")


def test_names_follow_from_the_settings(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = plan("04", {"momenta": [[0, 0.9], [0.5, 0.9]]}, "smoke", "my.safetensors")
    assert first.run.config.momenta == (0, 0.9) and second.run.config.momenta == (0.5, 0.9)
    assert first.parameters["data"] == str(tmp_path / "my.safetensors")
    folder = first.target.parent
    assert folder.parent == paths.SWEEPS and second.target.parent == folder
    assert folder.name.startswith("04_wgan_gp-smoke-my-momenta=0,0.9,0.5,0.9-")  # and a hash
    assert first.name.startswith("momenta=0,0.9-")
    (long,) = plan("04", {"seed": [10**9], "lambda_": [float(f"0.{'1' * 80}")]}, "smoke", "sample")
    assert len(long.target.parent.name) <= 100
    (named,) = plan("04", {"seed": [3]}, "smoke", "sample", "my-seeds")
    assert named.target == paths.SWEEPS / "my-seeds" / "seed=3.ipynb"


def test_values_are_split_at_commas_outside_brackets():
    grid = cli._grid(
        ["seed=0,1", "x=[0,0.9],[0.5,0.999]", "y=[0,1]", "word=a, b", "none=", "z=1e-4"]
    )
    assert grid == {
        "seed": [0, 1],
        "x": [[0, 0.9], [0.5, 0.999]],
        "y": [[0, 1]],
        "word": ["a", "b"],
        "none": [],
        "z": [1e-4],
    }
    for changes, word in ((["seed"], "key=values"), (["seed=0", "seed=1"], "given twice")):
        with pytest.raises(InputError, match=word):
            cli._grid(changes)


def test_a_table_that_is_not_there_is_said_so(swept, project):
    with pytest.raises(InputError, match="did you mean 04_wgan_gp-smoke-seed=1,0-lambda_=10,1"):
        table("04_wgan_gp-smoke-seed=1,0-lambda_=10")
    assert made("04_wgan_gp-smoke-seed=1,0-lambda_=10") is None
    pd.testing.assert_frame_equal(made(swept[0]), table(swept[0]))


def test_the_printed_table_tells_the_runs_apart():
    rows = pd.DataFrame(
        {
            "seed": [0, 0],
            "lambda_": [1, 10],
            "run": ["a", "b"],
            "iterations": [1_000_000, np.nan],
            "accuracy": [0.912345, np.nan],
            "failed": ["", "It broke."],
        }
    )
    lines = readable(rows).splitlines()
    assert lines[0].split() == ["run", "iterations", "accuracy"]
    assert lines[2].split() == ["0", "1", "a", "1000000", "0.9123"]
    assert lines[3].split() == ["0", "10", "b"]
    assert lines[4:] == ["seed = 0, lambda_ = 10 failed: It broke."]
    wide = rows.assign(**{f"measure_{i}": 0.5 for i in range(20)})
    assert max(map(len, readable(wide).splitlines())) <= 100
