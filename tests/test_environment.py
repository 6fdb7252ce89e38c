"""environment.yml, requirements.txt and pyproject.toml ask for the same packages, and make finds a
Python for them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lib import paths

PIN = re.compile(r"^\s*(?:- )?([A-Za-z0-9._-]+)==(\S+)\s*$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    found = PIN.findall((paths.SOURCE / name).read_text())
    return {package.lower().replace("_", "-"): version for package, version in found}


def test_conda_and_pip_name_the_same_versions():
    lock, conda = pins("requirements.txt"), pins("environment.yml")
    assert conda
    assert {name: lock.get(name) for name in conda} == conda


def test_all_that_the_project_asks_for_is_in_both():
    project = tomllib.loads((paths.SOURCE / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {re.split(r"[<>=~]", item)[0] for group in groups for item in group}
    assert wanted <= pins("environment.yml").keys()
    assert wanted <= pins("requirements.txt").keys()


def test_the_packages_that_the_thesis_is_made_with_are_named():
    needed = {
        "jupyterlab", "jupyter-book", "papermill", "torch", "pycocotools", "fasttext", "numpy",
        "matplotlib", "seaborn", "scikit-learn",
    }  # fmt: skip
    assert needed <= pins("environment.yml").keys()


def test_the_lock_knows_no_place_of_one_machine():
    text = (paths.SOURCE / "requirements.txt").read_text()
    assert not re.search(r"://|\+cpu|-e |@", text)


def test_everyone_wants_the_same_pythons():
    project = tomllib.loads((paths.SOURCE / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "  - python>=3.11,<3.14\n" in (paths.SOURCE / "environment.yml").read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (paths.SOURCE / "Makefile").read_text()


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Calls make with nothing on the PATH but a folder of commands and the system's own."""
    for name in ("make", "sh", "uname"):
        (folder / name).symlink_to(shutil.which(name))
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    command = ["make", "--file", str(paths.SOURCE / "Makefile"), *arguments]
    environment = {"PATH": str(folder), "HOME": os.environ.get("HOME", "")}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["python3.13", "python3.12", "python3.11"], "python3.13"),
        (["python3.12", "python3.11"], "python3.12"),
        (["python3"], "python3"),
    ],
)
def test_make_takes_the_newest_python_that_runs(tmp_path, there, taken):
    command(tmp_path / "python3.13", "exit 127")  # as pyenv's launchers of others' versions
    for name in there:
        command(tmp_path / name, f'exec "{sys.executable}" "$@"')
    shown = make(tmp_path, "--eval", 'show: ; @echo "$(PYTHON)"', "show").stdout
    assert Path(shown.strip()) == tmp_path / taken


@pytest.mark.parametrize("given", [[], ["PYTHON=python2.7"]])
def test_without_a_python_that_fits_make_says_which_it_needs(tmp_path, given):
    command(tmp_path / "python2.7", "exit 1")
    result = make(tmp_path, ".venv/ready", *given)
    assert result.returncode and not (tmp_path / ".venv").exists()
    assert result.stderr.startswith("Python 3.11, 3.12 or 3.13 is needed: make PYTHON=")


def test_uv_makes_the_environment_where_it_is_installed(tmp_path):
    command(tmp_path / "uv", "")
    plan = make(tmp_path, "--dry-run", ".venv/ready", "PYTHON=python3.12").stdout
    plan = " ".join(plan.replace("\\\n", " ").split())
    assert 'uv venv --quiet --clear --python "python3.12" .venv' in plan
    assert "uv pip install --quiet --python .venv/bin/python -r requirements.txt" in plan
    assert "-m pip" not in plan
