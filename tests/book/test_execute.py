"""The executor of notebooks, and the parameters that it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from IPython.core.interactiveshell import InteractiveShell

from lib import paths
from lib.book.execute import execute, kernel_environment, up_to_date
from lib.errors import InputError

PARAMETERS = 'profile = "smoke"  # settings\ndata = "sample"\nfresh = False'
DECLARED = """profile = "smoke"  # settings
epochs = None  # as the profile says
share = 0.5
number = 3
fresh = False
twice = 2 * number"""
# What a notebook does with its parameters, without data.
TRAIN = """import types, lib.study
lib.study.load = lambda name: types.SimpleNamespace(source="sample")
config = lib.study.Study(profile).config("gan", epochs=epochs)"""


@pytest.fixture
def project(home, monkeypatch):
    """Notebooks in a project of their own; the environment is put back."""
    tiny.keep_environment(monkeypatch)
    monkeypatch.setattr(paths, "NOTEBOOKS", home / "sources")
    return home


def source(name: str) -> Path:
    return paths.NOTEBOOKS / f"{name}.ipynb"


def test_notebooks_are_really_executed_and_failures_leave_the_last_good_one(project):
    """A good notebook, then the same with a cell that fails, then with a wrong parameter."""
    kernel_environment()
    code = "import lib.errors, os\nprint(profile, data)\nprint(os.getcwd())"
    notebook = tiny.notebook(source("03_wgan"), PARAMETERS, code)
    target = execute(notebook, {"data": "coco"}, "the mark")
    assert target == paths.EXECUTED / "03_wgan.ipynb"
    content = json.loads(target.read_text())
    outputs = [o["text"] for cell in content["cells"] for o in cell["outputs"]]
    text = "".join("".join(output) for output in outputs)
    assert text == f"smoke coco\n{paths.NOTEBOOKS}\n"
    assert up_to_date(target, "the mark") and not up_to_date(target, "another")
    injected = [c for c in content["cells"] if "injected-parameters" in c["metadata"]["tags"]]
    assert len(injected) == 1 and "remove-cell" in injected[0]["metadata"]["tags"]

    good = target.read_bytes()
    failing = "from lib.errors import InputError\nraise InputError('mend this')"
    tiny.notebook(notebook, PARAMETERS, "1", failing, "2")
    with pytest.raises(InputError) as error:
        execute(notebook, {"data": "coco"}, "new")
    message = str(error.value)
    assert "03_wgan.ipynb failed in code cell 4: InputError: mend this" in message
    assert "Traceback" not in message and "data/executing/03_wgan.ipynb" in message
    assert target.read_bytes() == good


def test_of_a_widget_its_picture_remains(project):
    """No kernel answers it in the book, and its state would be in every page's way."""
    kernel_environment()
    code = "from lib.pose.widget import Trial\nTrial('a man runs', number=1)"
    target = execute(tiny.notebook(source("03_wgan"), PARAMETERS, code), {})
    content = json.loads(target.read_text())
    (output,) = content["cells"][1]["outputs"]
    assert output["data"].keys() == {"text/plain", "image/png"}
    assert "widgets" not in content["metadata"]


def test_a_kernel_that_dies_is_named(project):
    kernel_environment()
    notebook = tiny.notebook(source("03_wgan"), PARAMETERS, "import os\nos._exit(1)")
    with pytest.raises(InputError, match=r"03_wgan\.ipynb"):
        execute(notebook, {})


def test_the_environment_of_the_kernels(monkeypatch):
    """No activated environment is needed, not even a PATH."""
    monkeypatch.setattr(os, "environ", {"PATH": "/usr/bin"})
    kernel_environment()
    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert os.environ["JUPYTER_PREFER_ENV_PATH"] == "1"
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == str(2**32)


def test_kernels_of_a_copy_import_the_copy(monkeypatch):
    """Its environment may have been installed for the original."""
    monkeypatch.setattr(os, "environ", {"PYTHONPATH": f"{os.pathsep}/elsewhere"})
    for _ in range(2):
        kernel_environment()
        assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(paths.SOURCE), "/elsewhere"]


@pytest.mark.parametrize(("given", "wanted"), [("~/x", "x"), ("some/x", None)])
def test_a_home_may_be_relative_or_below_the_users(tmp_path, given, wanted):
    code = "import os; from lib import paths; print(paths.HOME, os.environ['THESIS_HOME'])"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"THESIS_HOME": given, "HOME": str(tmp_path)}
    environment["PYTHONPATH"] = str(paths.SOURCE)
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    home = str(tmp_path / (wanted or given))
    assert done.stdout.split() == [home, home]  # the latter is what kernels inherit


def test_the_environment_of_the_kernels_without_any_path(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    kernel_environment()
    assert os.environ["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


# --- wrong parameters -------------------------------------------------------------------------

REFUSED = [
    ("epoch", 3, "The parameter 'epoch' is not known: did you mean epochs?"),
    ("profile", 3, "The parameter profile = 3 must be of type str, as 'smoke' is."),
    ("number", 1.5, "The parameter number = 1.5 must be of type int, as 3 is."),
    ("share", "1e-4x", "The parameter share = '1e-4x' must be of type float, as 0.5 is."),
    ("fresh", "yes", "The parameter fresh = 'yes' must be of type bool, as False is."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(
    project, monkeypatch, name, value, sentence
):
    monkeypatch.setattr("nbclient.NotebookClient.execute", lambda *_: pytest.fail("a kernel"))
    notebook = tiny.notebook(source("03_wgan"), DECLARED, "1")
    target = paths.EXECUTED / "03_wgan.ipynb"
    target.parent.mkdir(parents=True)
    target.write_text("the last good one")
    with pytest.raises(InputError) as error:
        execute(notebook, {name: value})
    assert str(error.value) == sentence
    assert target.read_text() == "the last good one"


def test_right_parameters_are_taken(project):
    kernel_environment()
    notebook = tiny.notebook(source("03_wgan"), DECLARED, "print(epochs, share, number, twice)")
    given = {"epochs": 3, "share": 1, "twice": "anything"}
    executed = json.loads(execute(notebook, given).read_text())
    assert executed["cells"][-1]["outputs"][0]["text"] == ["3 1 3 anything\n"]


def test_what_papermill_injects_itself_is_no_setting(project):
    kernel_environment()
    notebook = tiny.notebook(source("03_wgan"), DECLARED, "print(PAPERMILL_INPUT_PATH)")
    given = {"PAPERMILL_INPUT_PATH": "in.ipynb", "PAPERMILL_OUTPUT_PATH": "out.ipynb"}
    executed = json.loads(execute(notebook, given).read_text())
    assert executed["cells"][-1]["outputs"][0]["text"] == ["in.ipynb\n"]


def papermill(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(("name", "value", "sentence"), [REFUSED[0], REFUSED[4]])
def test_papermills_own_command_line_refuses_it_in_one_line(tmp_path, name, value, sentence):
    """Its default engine is ours by the entry point; nothing of this project is imported first."""
    notebook = tiny.notebook(tmp_path / "a.ipynb", DECLARED, "1")
    good = tmp_path / "good.ipynb"
    good.write_text("the last good one")
    result = papermill(str(notebook), str(good), "-p", name, str(value))
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1] == f"Error: {sentence}"
    assert good.read_text() == "the last good one"


def test_the_engine_is_papermills_whichever_is_imported_first():
    code = "import lib.book.engine as own; from papermill.engines import papermill_engines as all"
    code += "; assert all.get_engine() is all.get_engine('thesis') is own.Engine"
    for first in ("", "import papermill; "):
        subprocess.run([sys.executable, "-c", first + code], check=True, cwd=paths.SOURCE)


def test_notebooks_without_a_parameters_cell_are_left_to_papermill(project, monkeypatch):
    import nbformat
    from papermill.engines import NBClientEngine

    from lib.book.engine import Engine

    monkeypatch.setattr(NBClientEngine, "execute_notebook", classmethod(lambda cls, nb: nb))
    notebook = tiny.notebook(source("03_wgan"), DECLARED, "1")
    content = nbformat.read(notebook, 4)
    content.metadata["papermill"] = {"parameters": {"epoch": 3}}
    with pytest.raises(InputError):
        Engine.execute_notebook(content)
    content.cells[0].metadata["tags"] = []
    assert Engine.execute_notebook(content) is content


WRONG = DECLARED.replace("epochs = None", 'epochs = "three"')
SENTENCE = "epochs = 'three' must be a number"


def test_a_wrong_value_is_refused_in_an_interactive_notebook(monkeypatch):
    monkeypatch.setattr("lib.study.load", None)  # the cell replaces it in this very process
    shell = InteractiveShell()
    assert shell.run_cell(WRONG).success
    error = shell.run_cell(TRAIN).error_in_exec
    assert isinstance(error, InputError) and SENTENCE in str(error)
    assert shell.run_cell("epochs = 3\n" + TRAIN).success
    assert shell.user_ns["config"].epochs == 3


def test_a_wrong_value_is_refused_under_nbval(tmp_path):
    """nbval executes the cells without keeping their sources."""
    wrong = tiny.notebook(tmp_path / "wrong.ipynb", WRONG, TRAIN)
    right = tiny.notebook(tmp_path / "right.ipynb", DECLARED, TRAIN)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-q"]
    command += ["--rootdir", str(tmp_path), str(wrong), str(right)]
    environment = os.environ | {"PYTHONPATH": str(paths.SOURCE)}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "1 failed, 3 passed" in result.stdout and SENTENCE in result.stdout
