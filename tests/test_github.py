"""What .github/ and .pre-commit-config.yaml call is what the Makefile has."""

import re

import pytest
import yaml

from lib import paths

ROOT = paths.SOURCE
FILES = [
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".github" / "workflows" / "pages.yml",
    ROOT / ".github" / "ISSUE_TEMPLATE" / "problem.yml",
]


@pytest.fixture(scope="module")
def parsed() -> dict[str, dict]:
    return {file.name: yaml.safe_load(file.read_text()) for file in FILES}


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())


def test_every_yaml_file_of_the_project_can_be_read():
    hidden = [file for file in (ROOT / ".github").rglob("*") if file.is_file()]
    assert set(hidden) <= set(FILES)  # whatever is added is tested here
    for file in [*FILES, *ROOT.glob("*.y*ml"), ROOT / "CITATION.cff"]:
        assert isinstance(yaml.safe_load(file.read_text()), dict), file.name


def test_pages_come_from_make_thesis(parsed):
    job = parsed["pages.yml"]["jobs"]["book"]
    commands = " && ".join(step["run"] for step in job["steps"] if "run" in step)
    made = re.findall(r"make (\w+)", commands)
    assert made == ["thesis", "pdf"] and set(made) <= targets()
    (upload,) = (step for step in job["steps"] if "upload-pages" in step.get("uses", ""))
    assert ROOT / upload["with"]["path"] == paths.SOURCE / "book" / "_build" / "html"
    assert f"{upload['with']['path']}/" in commands  # where the PDF goes, too
    rights = parsed["pages.yml"]["permissions"]
    assert rights == {"contents": "read", "pages": "write", "id-token": "write"}


def test_pages_are_made_with_the_python_of_the_containers(parsed):
    steps = parsed["pages.yml"]["jobs"]["book"]["steps"]
    (version,) = (step["with"]["python-version"] for step in steps if "setup-python" in str(step))
    assert (ROOT / "binder" / "runtime.txt").read_text() == f"python-{version}\n"
    assert any(f"PYTHON=python{version}" in step.get("run", "") for step in steps)


def test_an_issue_asks_for_what_is_needed_to_reproduce_it(parsed):
    form = parsed["problem.yml"]
    assert {"name", "description", "body"} <= form.keys()
    fields = {field["id"]: field for field in form["body"]}
    required = {name for name, f in fields.items() if f.get("validations", {}).get("required")}
    assert required == {"command", "data", "message", "machine"} and "run" in fields
    text = " ".join(FILES[2].read_text().split())
    for word in ("profile", "COCO", "summary.json", "whole message", "git describe"):
        assert word in text


def test_before_a_commit_runs_what_make_lint_runs(parsed):
    (repository,) = parsed[".pre-commit-config.yaml"]["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local" and hook["language"] == "system"  # no ruff of its own
    assert hook["entry"] == "make lint" and hook["pass_filenames"] is False
    assert "lint" in targets()
