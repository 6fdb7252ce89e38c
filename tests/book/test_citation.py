"""CITATION.cff fits the project, the book and its bibliography."""

import tomllib

import pytest
import yaml
from pybtex.database import BibliographyData, parse_file

from lib import paths

ROOT = paths.SOURCE


@pytest.fixture(scope="module")
def citation() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def bibliography() -> BibliographyData:
    return parse_file(str(ROOT / "book" / "references.bib"))


def test_the_citation_has_the_keys_that_the_format_requires(citation):
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    for work in citation["references"]:
        assert {"type", "title", "authors"} <= work.keys()
        assert work["authors"]
    assert [work["type"] for work in citation["references"]] == ["thesis", "conference-paper"]


def test_version_licence_and_title_are_those_of_the_project(citation):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")
    thesis = citation["references"][0]["title"]
    assert citation["title"].startswith(thesis)
    assert yaml.safe_load((ROOT / "_config.yml").read_text())["title"] == thesis


def test_the_paper_is_the_same_in_citation_bibliography_and_book(citation, bibliography):
    paper, entry = citation["references"][1], bibliography.entries["zhang2020"]
    assert paper["title"] == entry.fields["title"]
    assert (str(paper["year"]), paper["doi"]) == (entry.fields["year"], entry.fields["doi"])
    assert paper["conference"]["name"] == entry.fields["booktitle"]
    assert paper["identifiers"][0]["value"] == f"arXiv:{entry.fields['eprint']}"
    names = [(a["family-names"], a["given-names"]) for a in paper["authors"]]
    people = entry.persons["author"]
    assert names == [(" ".join(p.last_names), " ".join(p.first_names)) for p in people]
    page = (ROOT / "book" / "index.md").read_text()
    for said in (
        *(f"{given} {family}" for family, given in names),
        paper["doi"],
        entry.fields["eprint"],
    ):
        assert said in page
