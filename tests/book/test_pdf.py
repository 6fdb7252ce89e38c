"""The PDF of a small book that Sphinx builds with the theme and the styles of the real one."""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from PIL import Image
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from lib import paths
from lib.book.chapters import pdf
from lib.errors import InputError

CHROMIUM = any(map(shutil.which, pdf.PROGRAMS))
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="needs a browser: `apt-get install chromium`"
)
CONF = f"""
project = "Small"
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx-mathjax-offline"]
html_theme = "sphinx_book_theme"
html_theme_options = {{"home_page_in_toc": True}}
html_static_path = [{str(paths.SOURCE / "book" / "assets")!r}]
html_css_files = ["book.css", "print.css"]
myst_enable_extensions = ["dollarmath"]
"""
COLUMNS = [f"column{n}x" for n in range(12)]
PAGES = {
    "index": """# Preface & more

Go to [the wide one](tables.md), to [a section](deep/math.md#roots), to
[another place](https://example.org/there), or to [a file](conf.py).

```{toctree}
:hidden:
:caption: First part
:numbered:
tables
```

```{toctree}
:hidden:
:caption: Second part
deep/math
```
""",
    "deep/more": "# Deeper\n\nThe deepest page.\n",
    "tables": "# Tables\n\nBefore.\n\n<details class='hide'><summary>Show</summary>folded</details>"
    + "\n\n## Numbered section\n\n"
    + "| " + " | ".join(COLUMNS) + " |\n" + "| --- " * 12 + "|\n" + "| 12.5% [1, 2] " * 12 + "|\n\n"
    + "Back to [the preface](index.md).\n",
    "deep/math": """# Mathematics

## Roots

The root $\\sqrt{x_1}$ and

$$ \\frac{a}{b} """
    + " + ".join(["\\frac{a}{b}"] * 60)
    + """ $$

```{figure} dot.png
**Figure 1.** A picture.
```

```python
unbroken = "%s"
```

```{toctree}
:hidden:
more
```
"""
    % ("letters " * 30 + "END"),
}  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """The folder of a small built book's pages."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "conf.py").write_text(CONF)
    for name, text in PAGES.items():
        (folder / f"{name}.md").parent.mkdir(exist_ok=True)
        (folder / f"{name}.md").write_text(text)
    Image.new("RGB", (60, 40), "red").save(folder / "deep" / "dot.png")
    target = folder / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def joined(book) -> BeautifulSoup:
    """All its pages as one, as it lies in a folder next to them."""
    return BeautifulSoup(pdf.join(book, book.parent / "pdf"), "html.parser")


@pytest.fixture(scope="module")
def printed(book, joined) -> PdfReader:
    page, target = book.parent / "pdf" / "book.html", book.parent / "pdf" / "book.pdf"
    paths.write_text(page, str(joined))
    pdf.print_page(page, target)
    return PdfReader(target)


def text(page) -> str:
    return " ".join(page.extract_text().split())


def place(printed: PdfReader, words: str) -> int:
    """The only page, from 1, after the table of contents, that has these words."""
    found = [n for n, page in enumerate(printed.pages, 1) if n > 2 and words in text(page)]
    assert len(found) == 1, (words, found)
    return found[0]


def test_without_chromium_one_sentence_says_what_to_install(book, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "PROGRAMS", ("no-such-program",))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(InputError, match="Chromium, which is not installed: `apt-get install"):
        pdf.print_page(book / "index.html", tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()


def test_pages_come_in_the_order_of_the_sidebar(book):
    index = BeautifulSoup((book / "index.html").read_text(), "html.parser")
    assert [(p.name, p.title, p.level, p.part) for p in pdf.contents(index)] == [
        ("index", "Preface & more", 1, ""),
        ("tables", "1. Tables", 1, "First part"),
        ("deep-math", "Mathematics", 1, "Second part"),
        ("deep-more", "Deeper", 2, "Second part"),
    ]


def test_links_lead_within_the_book_or_out_of_it(joined):
    links = {a.get_text(): a["href"] for a in joined.find("article", id="index").find_all("a")}
    assert links == {
        "the wide one": "#tables",
        "a section": "#deep-math--roots",
        "another place": "https://example.org/there",
    }  # the file is no page: its words remain
    assert "or to a file" in joined.find("article", id="index").get_text()
    ids = [element["id"] for element in joined.find_all(id=True)]
    assert len(ids) == len(set(ids))
    inner = {a["href"][1:] for a in joined.find_all("a", href=re.compile("^#"))}
    assert inner <= set(ids)


def test_headings_are_as_deep_as_their_pages(joined):
    found = [(h.name, h.get_text()) for h in joined.select("article :is(h1, h2, h3)")]
    assert found[-3:] == [("h1", "Mathematics"), ("h2", "Roots"), ("h2", "Deeper")]


def test_whatever_is_loaded_is_there(joined, book):
    loaded = [e.get("src") or e.get("href") for e in joined.select("link, script[src], img")]
    assert any("mathjax" in target for target in loaded)
    assert any("print.css" in target for target in loaded)
    assert any("dot.png" in target for target in loaded)
    for target in loaded:
        path = book.parent / "pdf" / target.partition("?")[0]
        assert Path(os.path.normpath(path)).is_file(), target
    assert not joined.select("script[src*=bootstrap], script[src*=theme]")


@needs_chromium
def test_the_first_page_is_a_title_and_the_second_says_where_things_are(printed):
    first, second = text(printed.pages[0]), text(printed.pages[1])
    assert first.startswith("Synthesizing Human Pose from Captions")  # and no number
    assert "contributors" in first and "Version" in first
    expected = [
        ("Preface & more", place(printed, "Go to the wide one")),
        ("First part", None),
        ("1. Tables", place(printed, "Before.")),
        ("1.1. Numbered section", place(printed, "column0x")),
        ("Second part", None),
        ("Mathematics", place(printed, "The root")),
        ("Deeper", place(printed, "The deepest page")),
    ]
    said = " ".join(f"{title} {number}" if number else title for title, number in expected)
    assert said in second
    for number, page in enumerate(printed.pages[1:], start=2):
        assert re.search(rf"^{number}\b", text(page))


@needs_chromium
def test_links_lead_to_their_pages(printed):
    uris, targets = set(), []
    for annotation in printed.pages[place(printed, "Go to the wide one") - 1]["/Annots"]:
        link = annotation.get_object()
        if "/A" in link and "/URI" in link["/A"]:
            uris.add(link["/A"]["/URI"])
        else:
            name = link.get("/Dest") or link["/A"]["/D"]
            found = printed.named_destinations[name]
            targets.append(printed.get_destination_page_number(found) + 1)
    assert uris == {"https://example.org/there"}
    assert targets == [place(printed, "Before."), place(printed, "The root")]


def bookmarks(printed: PdfReader, entries: list | None = None) -> list:
    """(title, page), with a list of those below after each that has some."""
    found = []
    for entry in printed.outline if entries is None else entries:
        if isinstance(entry, list):
            found.append(bookmarks(printed, entry))
        else:
            found.append((entry.title, printed.get_destination_page_number(entry) + 1))
    return found


@needs_chromium
def test_bookmarks_are_the_table_of_contents(printed):
    assert bookmarks(printed) == [
        ("Preface & more", place(printed, "Go to the wide one")),
        ("1. Tables", place(printed, "Before.")),
        [("1.1. Numbered section", place(printed, "column0x"))],
        ("Mathematics", place(printed, "The root")),
        [("Deeper", place(printed, "The deepest page"))],
    ]
    assert printed.metadata.title.startswith("Synthesizing Human Pose from Captions")
    assert "contributors" in printed.metadata.author


@needs_chromium
def test_a_table_of_many_columns_has_a_page_across_and_is_not_cut(printed):
    page = printed.pages[place(printed, "column0x") - 1]
    assert page.mediabox.width > page.mediabox.height
    for other in printed.pages:
        assert (other.mediabox.width > other.mediabox.height) == (other == page)
    assert all(name in text(page) for name in COLUMNS)
    edges = right_edges(page)
    assert 0.75 * float(page.mediabox.width) < max(edges) < float(page.mediabox.width) - 40


def right_edges(page) -> list[float]:
    """Where each piece of a page's text begins, in points from the left."""
    found = []

    def visit(words, matrix, text_matrix, *_):
        if words.strip():
            x, y = text_matrix[4:6]
            found.append(matrix[0] * x + matrix[2] * y + matrix[4])

    page.extract_text(visitor_text=visit)
    return found


@needs_chromium
def test_mathematics_is_set_and_what_is_too_wide_stays_on_the_page(printed):
    page = printed.pages[place(printed, "The root") - 1]
    whole = text(page)
    assert "\\frac" not in whole and "\\sqrt" not in whole and "$" not in whole
    assert whole.count("END") == 1 and "Figure 1." in whole
    edges = right_edges(page)
    assert max(edges) < float(page.mediabox.width) - 40
    assert len(page.images) == 1


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, pdf.PROGRAMS)))
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@needs_chromium
def test_a_formula_that_is_too_wide_is_made_smaller(printed, book, chromium):
    view = pdf.opened(chromium, book.parent / "pdf" / "book.html")
    formula = view.locator("mjx-container[display] mjx-math")
    box, text = formula.bounding_box(), view.locator("#deep-math").bounding_box()
    assert 0.9 * text["width"] < box["width"] <= text["width"]


@needs_chromium
def test_a_single_page_prints_without_what_surrounds_it(book, chromium):
    page = chromium.new_page(offline=True)
    page.goto((book / "tables.html").as_uri())
    page.emulate_media(media="print")
    shown = page.locator(".bd-sidebar-primary, .bd-header, .bd-footer, .headerlink")
    assert shown.count() and not any(each.is_visible() for each in shown.all())
    assert page.locator("article").is_visible()
    assert (
        page.locator("details.hide").count() == 1 and not page.locator("details.hide").is_visible()
    )
    content = page.pdf(prefer_css_page_size=True)
    assert "Search" not in text(PdfReader(io.BytesIO(content)).pages[0])


def test_without_a_book_one_sentence_says_how_to_make_it(home):
    with pytest.raises(InputError, match="not been built yet: run `make thesis`"):
        pdf.make()
