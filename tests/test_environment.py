"""environment.yml, requirements.txt and pyproject.toml ask for the same packages."""

import re
import tomllib

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
