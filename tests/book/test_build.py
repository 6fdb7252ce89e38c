"""From notebooks to book: what is executed, what is kept, what a failure leaves."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny

from lib import paths, study
from lib.book import build
from lib.book.build import fingerprint, make
from lib.book.execute import execute, kernel_environment
from lib.config import config_for
from lib.errors import InputError
from lib.notebooks import GRAPH
from lib.study import Study

DATA = tiny.dataset()
PARAMETERS = 'profile = "smoke"  # settings\ndata = "sample"\nfresh = False'
NAMES = ("01_data_preparation", "03_wgan", "04_wgan_gp", "12_questionnaire", "21_evaluation")


@pytest.fixture
def project(home, monkeypatch):
    """Tiny notebooks in a project of their own; the environment is put back."""
    tiny.keep_environment(monkeypatch)
    monkeypatch.setenv("THESIS_PROGRESS", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(paths, "NOTEBOOKS", home / "sources")
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    for name in NAMES:
        tiny.notebook(home / "sources" / f"{name}.ipynb", PARAMETERS, "print(6 * 7)")
    return home


def run_of(name: str, profile: str = "smoke"):
    """The folder of a run that counts as begun."""
    run = Study(profile, DATA).run(name)
    run.folder.mkdir(parents=True)
    return run


def source(name: str) -> Path:
    return paths.NOTEBOOKS / f"{name}.ipynb"


def test_a_second_one_at_the_same_time_says_so(made, project):
    """The first one's files of progress would be gone."""
    (paths.DATA / "executing").mkdir(parents=True)
    with paths.locked(paths.DATA / ".thesis.lock", "busy"):
        with pytest.raises(InputError, match="is being made by another process: wait for it"):
            build.make("smoke")
    assert (paths.DATA / "executing").exists()
    build.make("smoke")
    assert not (paths.DATA / "executing").exists()  # what had failed before


@pytest.mark.parametrize(("name", "known"), [("published", True), ("smoke", False)])
def test_no_time_is_told_where_nobody_knows_it(made, monkeypatch, name, known):
    lines, watch = [], build.Display.watch

    def noted(display, part):
        lines.append(display.line(time.monotonic()))
        return watch(display, part)

    monkeypatch.setattr(build.Display, "watch", noted)
    build.make(name)
    assert (" left" in lines[0]) is known


@pytest.fixture
def made(project, monkeypatch):
    """Calls make(), with notebooks only said to be executed; what it did."""
    executed, books = [], []

    def pretend(notebook, parameters, mark=""):
        content = json.loads(notebook.read_text())
        for count, cell in enumerate(content["cells"], start=1):
            cell["execution_count"] = count
        content["metadata"] |= {"papermill": {"end_time": "now"}, "thesis": mark}
        paths.EXECUTED.mkdir(parents=True, exist_ok=True)
        (paths.EXECUTED / notebook.name).write_text(json.dumps(content))
        executed.append((notebook.stem, parameters))

    def book():
        books.append(True)
        return project / "index.html"

    monkeypatch.setattr(build, "execute", pretend)
    monkeypatch.setattr(build, "build_book", book)
    monkeypatch.setattr(study, "load", lambda name: DATA)
    monkeypatch.setattr(build, "prepare_for", lambda *_: "sample")

    def call(profile="smoke", **arguments) -> list[str]:
        executed.clear()
        assert make(profile, **arguments) == project / "index.html"
        return [name for name, _ in executed]

    call.executed, call.books = executed, books
    return call


def test_all_notebooks_are_executed_with_the_parameters_they_declare(made, project):
    (project / "sources" / "Untitled.ipynb").write_text("{}")  # not one of the thesis
    assert sorted(made()) == list(NAMES)
    assert made.executed[0][1] == {"profile": "smoke", "data": "sample", "fresh": False}
    assert len(made.books) == 1


def test_a_second_time_nothing_is_executed(made, capsys):
    made()
    assert made() == [] and len(made.books) == 2
    assert capsys.readouterr().err.count("up to date") == len(NAMES)


def test_a_changed_source_executes_that_notebook(made):
    made()
    tiny.notebook(source("03_wgan"), PARAMETERS, "print('changed')")
    assert made() == ["03_wgan"]
    assert made() == []


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
def test_a_lost_or_damaged_notebook_is_executed_again(made, spoil):
    made()
    spoil(paths.EXECUTED / "21_evaluation.ipynb")
    assert made() == ["21_evaluation"]


def test_other_parameters_or_data_execute_all(made, monkeypatch):
    made()
    other = dataclasses.replace(DATA, pairs_id="other")
    monkeypatch.setattr(study, "load", lambda name: other)
    assert sorted(made()) == list(NAMES)
    assert sorted(made("paper")) == list(NAMES)


@pytest.mark.parametrize(
    ("trained", "readers"),
    [
        ("wgan", ["04_wgan_gp", "21_evaluation"]),
        ("gan", ["21_evaluation"]),
        ("conditional_reduced", ["12_questionnaire", "21_evaluation"]),
        ("conditional_gan", []),
    ],
)
def test_a_run_trained_again_executes_its_readers(made, trained, readers):
    run = run_of(trained)
    run.finish({"seconds": 1})
    made()
    assert made() == []
    run.finish({"seconds": 2})
    assert sorted(made()) == readers
    assert made() == []


def test_a_new_sweep_executes_the_evaluation(made):
    made()
    (paths.SWEEPS / "warm").mkdir(parents=True)
    (paths.SWEEPS / "warm" / "seed=0.ipynb").write_text("only the table is read")
    assert made() == []
    (paths.SWEEPS / "warm" / "table.csv").write_text("seed,run,failed")
    assert made() == ["21_evaluation"]


def test_new_answers_to_the_questionnaire_execute_its_notebook(made):
    made()
    files = ["key.json", "answers/answers-a.json", "answers/answers-b.json"]
    for file in files:
        (paths.QUESTIONNAIRE / file).parent.mkdir(parents=True, exist_ok=True)
        (paths.QUESTIONNAIRE / file).write_text("{}")
        assert made() == ["12_questionnaire"], file
        assert made() == []
    (paths.QUESTIONNAIRE / "questionnaire.html").write_text("nobody reads it")
    assert made() == []
    (paths.QUESTIONNAIRE / files[1]).write_text("changed")
    assert made() == ["12_questionnaire"]


def test_where_published_runs_are_asked_for_nothing_is_executed_without_them(made):
    with pytest.raises(InputError, match="No runs of wgan, wgan_gp are published"):
        made(published=True)
    assert not made.executed
    for name in ("wgan", "wgan_gp"):
        run = Study("smoke", DATA).run(name)
        folder = paths.PUBLISHED / run.folder.name
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
    assert sorted(made(published=True)) == list(NAMES)


def test_the_graph_names_what_the_notebooks_do():
    found = {path.stem: path for path in (paths.SOURCE / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert GRAPH.keys() == found.keys()
    for stem, path in found.items():
        cells = json.loads(path.read_text())["cells"]
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        assert (
            re.findall(r"study\.train\(\s*\"(\w+)\"", code)
            == [GRAPH[stem].trains][: bool(GRAPH[stem].trains)]
        ), stem
        read = set(re.findall(r"\b(?:finished|run)\(\s*\"(\w+)\"", code))
        assert read <= set(GRAPH[stem].reads), stem
        parent = config_for(GRAPH[stem].trains, "paper").parent if GRAPH[stem].trains else ""
        assert {parent} - {""} <= set(GRAPH[stem].reads), stem


def test_fresh_executes_all_and_says_so_to_the_notebooks(made):
    made()
    assert sorted(made(fresh=True)) == list(NAMES)
    assert all(parameters["fresh"] is True for _, parameters in made.executed)


def test_after_fresh_nothing_is_left_to_do(made):
    made(fresh=True)
    assert made() == []


def test_paths_are_given_whole_since_notebooks_run_in_their_own_folder(made, project, monkeypatch):
    cell = PARAMETERS + '\ncoco_zip = ""\nencoder = ""'
    tiny.notebook(source("01_data_preparation"), cell, "1")
    monkeypatch.chdir(project)
    made(coco_zip=Path("a.zip"), encoder=Path("../e.bin"))
    given = dict(made.executed)["01_data_preparation"]
    assert given["coco_zip"] == str(project.resolve() / "a.zip")
    assert given["encoder"] == str(project.resolve().parent / "e.bin")
    made()
    assert dict(made.executed)["01_data_preparation"]["coco_zip"] == ""


def test_a_failure_keeps_what_was_executed_before_it(made, monkeypatch):
    pretend = build.execute

    def failing(notebook, parameters, mark=""):
        if notebook.stem == "04_wgan_gp":
            raise InputError("04_wgan_gp.ipynb failed")
        pretend(notebook, parameters, mark)

    with monkeypatch.context() as patch:
        patch.setattr(build, "execute", failing)
        with pytest.raises(InputError):
            made(jobs=1)
        assert not made.books  # the last good book stays
    assert sorted(made()) == [n for n in NAMES if n != "03_wgan"]  # 04's chain came first


def test_without_captions_the_notebooks_that_need_none_are_executed(made, monkeypatch):
    bare = dataclasses.replace(tiny.dataset(pairs=0), meta={"missing": ["captions_train2017.json"]})
    monkeypatch.setattr(study, "load", lambda name: bare)
    with pytest.raises(InputError, match=r"captions_train2017\.json"):
        made()
    assert sorted(name for name, _ in made.executed) == list(NAMES[:3])


def test_poses_that_do_not_look_real_are_warned_of(project, capsys):
    run = run_of("reduced", "paper")
    for accuracy, warned in ((0.79, False), (0.81, True)):
        (run.folder / "evaluation.json").write_text(json.dumps({"accuracy": accuracy}))
        build.warn(Study("paper", DATA))
        err = capsys.readouterr().err
        assert ("1-NN accuracy of reduced is 81.0%, above 80%" in err) == warned == bool(err)


def test_the_display_reads_what_the_trainings_tell(made, monkeypatch):
    given, real = [], build.Display

    def display(expected, files, jobs):
        given.append(files)
        return real(expected, files, jobs)

    monkeypatch.setattr(build, "Display", display)
    made()
    folder = Path(os.environ["THESIS_PROGRESS"])
    assert folder.is_dir() and given[0]["03_wgan"] == folder / "wgan.json"
    (folder / "wgan.json").touch()  # of a training that was interrupted
    made()
    assert not list(folder.iterdir())


def before(*names: str, profile: str = "smoke") -> dict[str, set[str]]:
    return build._before(list(names), Study(profile, DATA))


def test_two_notebooks_that_train_one_run_wait_for_each_other():
    """At half width the WGAN-GP is the reduced one."""
    names = "04_wgan_gp", "07_reduced", "08_conditional_reduced"
    reduced = {"08_conditional_reduced": {"07_reduced"}, "04_wgan_gp": set()}
    assert before(*names, profile="half") == reduced | {"07_reduced": {"04_wgan_gp"}}
    assert before(*names, profile="paper") == reduced | {"07_reduced": set()}


def test_the_longest_chain_comes_first_and_waits_for_the_runs_it_reads():
    """Chains 03, 04 and 06 (70 s) and 07, 08 and 21 (100 s), one after the other."""
    seconds = {"07_reduced": 80, "08_conditional_reduced": 15, "21_evaluation": 5, "02_gan": 67}
    seconds |= {"03_wgan": 10, "04_wgan_gp": 50, "06_conditional_full": 10, "05_text_encoder": 1}
    done = []
    build._side_by_side(before(*sorted(seconds)), done.append, seconds, jobs=1)
    chains = ["07_reduced", "03_wgan", "02_gan", "04_wgan_gp"]
    later = ["08_conditional_reduced", "06_conditional_full", "21_evaluation", "05_text_encoder"]
    assert done == chains + later


def test_notebooks_are_done_side_by_side_but_not_before_what_they_read():
    both, log = threading.Barrier(2, timeout=20), []

    def do(name):
        log.append(f"{name} begins")
        if name in ("03_wgan", "07_reduced"):
            both.wait()  # neither ends before the other has begun
        log.append(f"{name} ends")

    names = ["03_wgan", "04_wgan_gp", "07_reduced", "08_conditional_reduced"]
    build._side_by_side(before(*names), do, {}, jobs=2)
    assert log.index("03_wgan ends") < log.index("04_wgan_gp begins")
    assert log.index("07_reduced ends") < log.index("08_conditional_reduced begins")
    assert len(log) == 8


def test_the_first_failure_stops_the_notebooks_beside_it(project):
    """Real kernels: one that would sleep for minutes, and one that fails meanwhile."""
    kernel_environment()
    sleeping = project / "sleeping"
    code = f"open({str(sleeping)!r}, 'w').close()\nimport time; time.sleep(500)"
    tiny.notebook(source("03_wgan"), PARAMETERS, code)
    failing = f"import os, time\nwhile not os.path.exists({str(sleeping)!r}): time.sleep(.1)\n1 / 0"
    tiny.notebook(source("01_data_preparation"), PARAMETERS, failing)
    stems = ["03_wgan", "01_data_preparation", "04_wgan_gp"]
    begun = time.monotonic()
    with pytest.raises(InputError, match="01_data_preparation.ipynb failed.*ZeroDivisionError"):
        build._side_by_side(before(*stems), lambda stem: execute(source(stem), {}), {}, jobs=2)
    assert time.monotonic() - begun < 250  # half of the sleep: it was stopped
    assert not list(paths.EXECUTED.glob("*.ipynb"))


def test_fingerprints_tell_apart(project):
    notebook, base, here = source("03_wgan"), {"profile": "smoke"}, Study("smoke", DATA)
    elsewhere = Study("smoke", dataclasses.replace(DATA, poses_id="other"))
    made = [
        fingerprint(notebook, base, here),
        fingerprint(notebook, base | {"data": "coco"}, here),
        fingerprint(notebook, base, Study("paper", DATA)),
        fingerprint(notebook, base, elsewhere),
    ]
    assert len(set(made)) == 4
    assert fingerprint(notebook, base, here) == made[0]


@pytest.mark.parametrize(
    ("module", "readers"),
    [
        ("models/tables.py", "all"),
        ("study.py", "all"),
        ("beyond/keypoints.py", "all"),
        ("book/cluster.py", []),
        ("book/engine.py", []),
        ("book/build.py", []),
        ("__main__.py", []),
        ("book/sweep.py", ["21_evaluation"]),  # which shows the tables of sweeps
        ("book/published.py", ["22_published"]),
        ("questionnaire/page.py", ["12_questionnaire"]),
        ("questionnaire/answers.py", ["12_questionnaire"]),
    ],
)
def test_a_docstring_executes_the_notebooks_that_use_its_room(home, monkeypatch, module, readers):
    lib = shutil.copytree(paths.SOURCE / "lib", home / "lib")
    monkeypatch.setattr(paths, "SOURCE", home)

    def code(path: Path) -> list[bytes]:
        return [each.read_bytes() for each in build._code(path.read_text())]

    before = {path.stem: code(path) for path in build.notebooks()}
    with (lib / module).open("a") as file:
        file.write('"""Said in other words."""\n')
    changed = [path.stem for path in build.notebooks() if code(path) != before[path.stem]]
    assert changed == (list(before) if readers == "all" else readers)


@pytest.fixture
def builder(project, monkeypatch):
    """build_book with a jupyter-book that only says that it was called."""
    calls, result = [], {"returncode": 0, "page": True}

    def run(command, **_):
        calls.append(command)
        if result["page"]:
            output = Path(command[command.index("--path-output") + 1])
            page = output / "_build" / "html" / "index.html"
            page.parent.mkdir(parents=True)
            page.write_text(f"book {len(calls)}")
        return subprocess.CompletedProcess(command, result["returncode"], "said", "WARNING: that")

    monkeypatch.setattr(subprocess, "run", run)
    return calls, result


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_book_is_built_from_nothing_with_warnings_as_errors(builder):
    calls, _ = builder
    page = build.build_book()
    assert page.read_text() == "book 1" and (paths.BOOK / "_toc.yml").is_file()
    assert Path(calls[0][0]).parent == Path(sys.executable).parent  # PATH is not asked
    assert {"build", "-W", "-n"} <= set(calls[0])
    (page.parent / "left.html").touch()
    write(paths.EXECUTED / "03_wgan.ipynb", "{}")
    build.build_book()
    assert page.read_text() == "book 2" and not (page.parent / "left.html").exists()


def test_the_book_is_built_again_only_where_something_changed(builder):
    calls, _ = builder
    page = build.build_book()  # there is none yet
    notebook = write(paths.EXECUTED / "03_wgan.ipynb", "{}")
    os.utime(notebook, (0, 0))  # what counts is what is in it, not how old it is
    build.build_book()
    assert len(calls) == 2
    notebook.touch()
    build.build_book()
    assert len(calls) == 2
    write(notebook, "{ }")
    build.build_book()
    assert len(calls) == 3
    page.unlink()
    build.build_book()
    assert len(calls) == 4


def test_a_book_that_cannot_be_built_is_said_so(builder):
    _, result = builder
    result["returncode"] = 1
    with pytest.raises(InputError, match=r"(?s)not built.*WARNING: that"):
        build.build_book()


def test_the_last_good_book_stays_where_a_new_one_cannot_be_built(builder):
    _, result = builder
    page = build.build_book()
    write(paths.EXECUTED / "03_wgan.ipynb", "{}")
    result.update(returncode=2, page=False)
    with pytest.raises(InputError):
        build.build_book()
    assert page.read_text() == "book 1"
