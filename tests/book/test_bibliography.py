"""The bibliography: nothing that code or pages use is left out."""

import calendar
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from pybtex.database import BibliographyData, parse_file

from lib import paths

ROOT = paths.SOURCE
# Author and year, as docstrings and comments name a work.
NAMED = re.compile(
    r"\b([A-Z][\w-]+)(?:\s+(?:et\s+al\.|and\s+[A-Z][\w-]+))?,?\s+\(?((?:19|20)\d\d)(?=[),.; ])"
)
NO_PEOPLE = {"COCO", *calendar.month_name}


@pytest.fixture(scope="module")
def bibliography() -> BibliographyData:
    return parse_file(str(ROOT / "book" / "references.bib"))


def test_what_the_book_uses_beyond_the_thesis_has_a_link(bibliography):
    beyond = list(bibliography.entries.values())[22:]
    without = [e.key for e in beyond if not {"doi", "eprint"} & set(e.fields)]
    assert without == ["drillis1966"]  # a report, read in winter2009
    for entry in beyond:
        assert re.fullmatch(r"10\.\d{4,}/\S+", entry.fields.get("doi", "10.1000/none"))
        assert re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields.get("eprint", "0000.0000"))


def named(files: Iterable[Path]) -> set[tuple[str, str]]:
    """(author, year) of all works that files name."""
    texts = (re.sub(r"\n\s*#? *", " ", file.read_text()) for file in files)
    found = {work for text in texts for work in NAMED.findall(text)}
    return {(author, year) for author, year in found if author not in NO_PEOPLE}


def test_every_work_that_code_names_is_in_the_bibliography(bibliography):
    works = set()
    for entry in bibliography.entries.values():
        first = entry.persons["author"][0]
        works.add((" ".join(map(str, first.rich_last_names)), entry.fields["year"]))
    code = named(file for folder in ("lib", "bench") for file in (ROOT / folder).rglob("*.py"))
    assert ("Naeem", "2020") in code and len(code) > 8
    assert code - works == set()


def test_pages_cite_works_instead_of_naming_them():
    pages = set((ROOT / "book").glob("*.md")) - {ROOT / "book" / "index.md"}
    assert named(pages) == set()
