"""The book that `make test` builds with profile smoke before the tests run."""

import json
import re

import pytest
from bs4 import BeautifulSoup

from lib import paths
from lib.book import build
from lib.book.gate import fault

PAGES = paths.BOOK / "_build" / "html"
pytestmark = pytest.mark.skipif(
    paths.HOME == paths.SOURCE or not (PAGES / "index.html").is_file(),
    reason="needs the book with profile smoke, which `make test` builds in .smoke",
)


def pages() -> dict[str, BeautifulSoup]:
    """The chapters and notebooks, without the listings of sources."""
    found = [
        p for p in PAGES.rglob("*.html") if "_modules" not in p.parts and "_static" not in p.parts
    ]
    return {str(p.relative_to(PAGES)): BeautifulSoup(p.read_text(), "html.parser") for p in found}


@pytest.fixture(scope="module")
def book() -> dict[str, BeautifulSoup]:
    return pages()


def test_every_notebook_ran_to_its_end():
    executed = sorted(paths.EXECUTED.glob("*.ipynb"))
    assert [p.name for p in executed] == [p.name for p in build.notebooks()]
    assert {p.name: fault(p) for p in executed} == {p.name: None for p in executed}


def test_all_figures_of_the_thesis_are_drawn_with_caption_and_alt_text(book):
    numbers = {}
    for page in book.values():
        for figure in page.find_all("figure"):
            match = re.match(r"Figure (\w+)\.", figure.get_text(" ", strip=True))
            image = figure.find("img")
            if match and image:
                numbers[match[1]] = image
    assert {str(n) for n in range(1, 22)} <= numbers.keys()
    for number, image in numbers.items():
        assert len(image["alt"]) > 30 and not image["alt"].endswith(".png"), number
        assert next(PAGES.rglob(image["src"].rsplit("/", 1)[-1])).stat().st_size > 5_000, number


def test_the_book_loads_nothing_from_another_place(book):
    for name, page in book.items():
        for tag, attribute in (
            ("script", "src"),
            ("link", "href"),
            ("img", "src"),
            ("iframe", "src"),
        ):
            for element in page.find_all(tag):
                target = element.get(attribute) or ""
                canonical = tag == "link" and "stylesheet" not in (element.get("rel") or [])
                assert canonical or not re.match(r"(https?:)?//", target), (name, target)


def test_inner_links_lead_somewhere(book):
    anchors = {name: {e["id"] for e in page.find_all(id=True)} for name, page in book.items()}
    for name, page in book.items():
        folder = (PAGES / name).parent
        for element in page.find_all("a", href=True):
            target, _, anchor = element["href"].partition("#")
            if re.match(r"\w+:", target):
                continue
            file = (folder / target).resolve() if target else (PAGES / name).resolve()
            assert file.exists(), (name, element["href"])
            key = str(file.relative_to(PAGES.resolve()))
            if anchor and key in anchors:
                assert anchor in anchors[key], (name, element["href"])


def test_pages_with_results_say_that_they_are_a_demonstration_and_how_long_it_trained(book):
    for notebook in build.notebooks():
        text = book[f"notebooks/{notebook.stem}.html"].get_text(" ", strip=True)
        on_data = "study.note(" in notebook.read_text()
        assert ("training and" in text) == on_data, notebook.stem
        shows = "study.note(run)" in notebook.read_text()
        said = re.search(r"A demonstration \(profile\s+smoke\s*\).*[\d,]+ iterations of", text)
        assert bool(said) == shows, notebook.stem


def test_what_can_be_tried_in_jupyterlab_is_a_picture_here(book):
    page = book["notebooks/23_try_it.html"]
    (figure,) = page.find_all("figure")
    assert len(figure.find_all("img")) == 1 and "not selected" in figure.get_text()
    output = figure.find_parent(class_="cell")
    assert "VBox" not in output.get_text() and not output.find("script")
    assert not page.find("script", type=re.compile("widget"))


def test_no_number_is_left_without_its_value(book):
    for name, page in book.items():
        assert "glue:" not in page.get_text(), name


def test_a_second_call_executes_nothing_and_leaves_the_book(monkeypatch, capsys):
    monkeypatch.setattr(build, "execute", lambda *_: pytest.fail("a notebook was executed again"))
    page = PAGES / "index.html"
    before = page.stat().st_mtime
    assert build.make("smoke") == page
    assert page.stat().st_mtime == before
    assert capsys.readouterr().err.count("up to date") == len(build.notebooks())


def test_stored_notebooks_have_no_outputs_and_short_cells():
    for path in build.notebooks():
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                assert not cell["outputs"] and cell["execution_count"] is None, path.name
                assert len(cell["source"]) <= 15, (path.name, cell["source"][0])
