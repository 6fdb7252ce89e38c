"""The PDF of the book that `make test` builds in .smoke."""

import re
import shutil

import pytest
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from lib import paths
from lib.book.chapters import pdf

pytestmark = [
    pytest.mark.skipif(
        paths.HOME == paths.SOURCE or not (paths.BOOK / "_build" / "html" / "index.html").is_file(),
        reason="needs the book with profile smoke, which `make test` builds in .smoke",
    ),
    pytest.mark.skipif(
        not any(map(shutil.which, pdf.PROGRAMS)),
        reason="needs a browser: `apt-get install chromium`",
    ),
]
# Whatever reaches beyond the text, or beyond a box that is not allowed to scroll in print. Parts of
# formulas are drawn larger than they are; their whole counts.
ELEMENTS = "article *:not(mjx-container *, svg *)"
BEYOND = """elements => [...document.querySelectorAll(elements)].filter(e => {
  const box = e.closest('.print-wide') ?? document.querySelector('.bd-content');
  const own = e.getBoundingClientRect();
  return own.width && own.right > box.getBoundingClientRect().right + 1;
}).map(e => `${e.closest('article').id}: ${e.outerHTML.slice(0, 120)}`)"""


@pytest.fixture(scope="module")
def printed() -> PdfReader:
    return PdfReader(pdf.make())


@pytest.fixture(scope="module")
def texts(printed) -> list[str]:
    """Of each page, with single spaces."""
    return [" ".join(page.extract_text().split()) for page in printed.pages]


def test_all_that_is_numbered_is_in_it(texts):
    whole = " ".join(texts)
    assert {int(n) for n in re.findall(r"Figure (\d+)\.", whole)} >= set(range(1, 22))
    assert set(re.findall(r"Algorithm (\d) — ", whole)) == set("12345")
    assert set(re.findall(r"Table (\d)\. ", whole)) >= set("1234")
    assert not re.search(r"\\(frac|mathbb|lambda|tilde)\b", whole)  # a formula that was not set


def bookmarks(entries: list) -> list:
    return [b for e in entries for b in (bookmarks(e) if isinstance(e, list) else [e])]


def test_bookmarks_and_contents_lead_to_the_sections(printed, texts):
    found = bookmarks(printed.outline)
    assert len(found) > 40
    contents = " ".join(texts[1:3])
    for entry in found:
        number = printed.get_destination_page_number(entry)
        section = re.match(r"[\d.]+ ", entry.title)
        if section:
            assert section[0] in texts[number], entry.title
        assert f"{entry.title} {number + 1}" in contents


def test_nothing_reaches_beyond_the_page(printed):
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, pdf.PROGRAMS)))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        view = pdf.opened(browser, paths.BOOK / "_build" / "pdf" / "book.html")
        assert view.locator("article").count() > 30
        assert view.evaluate(BEYOND, ELEMENTS) == []
        browser.close()
    across = [page for page in printed.pages if page.mediabox.width > page.mediabox.height]
    assert 0 < len(across) < len(printed.pages) / 4
