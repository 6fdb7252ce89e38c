"""Dockerfile, .devcontainer/ and binder/: what `make` installs, with one Python."""

import json
import os
import re
import shlex
import tomllib

import pytest

from lib import paths

ROOT = paths.SOURCE


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line]


def arguments(name: str) -> list[str]:
    return [argument for instruction, argument in instructions() if instruction == name]


@pytest.fixture(scope="module")
def devcontainer() -> dict:
    return json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())


def test_all_name_one_python_and_it_is_one_of_the_project(devcontainer):
    image, start = arguments("FROM")
    (version,) = re.findall(r"^python:(3\.\d+)-\S+ AS base$", image)
    assert start == "base"
    make = f"make .venv/ready PYTHON=python{version}"
    assert make in arguments("RUN") and devcontainer["postCreateCommand"] == make
    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == f"python-{version}"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    lowest, highest = (int(minor) for minor in re.findall(r"3\.(\d+)", wanted))
    assert lowest <= int(version.split(".")[1]) < highest


def test_all_install_the_packages_of_requirements_txt(devcontainer):
    """The containers by make, as everyone does; Binder, which knows no make, by the same file."""
    makefile = (ROOT / "Makefile").read_text()
    assert "READY := $(VENV)/ready\n" in makefile and "$(PIP) -r requirements.txt\n" in makefile
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    (included,) = [line.split()[1] for line in lines if line.startswith("-r ")]
    assert (ROOT / "binder" / included).resolve() == ROOT / "requirements.txt"
    others = [line for line in lines if not line.startswith(("#", "-r "))]
    index = others[0].removeprefix("--extra-index-url ")
    assert len(others) == 1  # no package of its own
    assert f"PIP_EXTRA_INDEX_URL={index} " in arguments("ENV")[0]
    assert all("pip install" not in command for command in arguments("RUN"))


def test_the_devcontainer_is_the_dockerfile_without_its_last_stage(devcontainer):
    build, folder = devcontainer["build"], ROOT / ".devcontainer"
    assert (folder / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / build["context"]).resolve() == ROOT
    assert f" AS {build['target']}" in arguments("FROM")[0]
    assert f"useradd --create-home --uid 1000 {devcontainer['remoteUser']} " in arguments("RUN")[0]
    assert arguments("USER") == ["1000"]


def test_the_image_starts_the_notebooks():
    (command,) = (json.loads(argument) for argument in arguments("CMD"))
    assert command[0] == ".venv/bin/jupyter" and (ROOT / command[-1]).is_dir()


def test_what_git_ignores_stays_out_of_the_image_and_the_published_runs_come_in():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (ROOT / ".gitignore").read_text().splitlines():
        if line and not line.startswith("#"):
            sign, pattern = re.match(r"(!?)/?(.+?)/?$", line).groups()
            assert {sign + pattern, f"{sign}**/{pattern}"} & set(ignored), line


def test_binder_installs_the_package_and_prepares_the_sample_data():
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    commands = [shlex.split(line, comments=True) for line in script.read_text().splitlines()]
    assert ["python", "-m", "lib", "prepare"] in commands
    install = next(command for command in commands if command[:2] == ["pip", "install"])
    assert install[-1] == "." and "--no-deps" in install
    assert ["set", "-euo", "pipefail"] in commands


def test_no_file_names_a_place_but_pytorchs():
    files = [
        ROOT / "Dockerfile",
        *(ROOT / "binder").iterdir(),
        *(ROOT / ".devcontainer").iterdir(),
    ]
    for file in files:
        assert set(re.findall(r"https?://[^/\s]+", file.read_text())) <= {
            "https://download.pytorch.org"
        }
