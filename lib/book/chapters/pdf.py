"""``python -m lib pdf``: the built book as one PDF, printed by Chromium.

The pages of ``book/_build/html`` are joined to one, in the order of the sidebar, with a title page
and a table of contents in front. ``book/assets/print.css`` says how they are printed, which holds
for a single page of the book, too; ``print.js`` shrinks what is wider than a page. Chromium knows
no page numbers before it has printed, so that it prints twice: :mod:`pypdf` reads them in between.
"""

import html
import io
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as View
from pypdf import PdfReader, PdfWriter

from lib import paths
from lib.errors import InputError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ADDRESS = re.compile(r"[a-z]+:")  # of another place
WIDTH = 642  # of the text in CSS pixels: A4 less the margins of print.css
OPTIONS = {"prefer_css_page_size": True, "print_background": True, "tagged": True}
READY = "async () => { await window.MathJax?.startup.promise; await document.fonts.ready; }"
LINES = """() => [...document.querySelectorAll('.print-contents a')].map(
  a => [a.hash.slice(1), a.firstElementChild.textContent, Number(a.className.at(-1))])"""
NUMBERS = """numbers => document.querySelectorAll('.print-contents a').forEach(
  a => a.lastElementChild.textContent = numbers[a.hash.slice(1)])"""


@dataclass(frozen=True)
class Page:
    """A page of the book as the sidebar names it; ``part`` is the title above it, or empty."""

    path: str  # relative to the first page
    title: str
    level: int
    part: str

    @property
    def name(self) -> str:
        """What identifies it where all pages are one."""
        return self.path.removesuffix(".html").replace("/", "-")


def make() -> Path:
    """Prints the built book, and returns the PDF. Raises InputError if there is no book, or no
    Chromium."""
    folder = paths.BOOK / "_build"
    if not (folder / "html" / "index.html").is_file():
        raise InputError("The book has not been built yet: run `make thesis` first.")
    page, target = folder / "pdf" / "book.html", folder / "pdf" / "book.pdf"
    paths.write_text(page, join(folder / "html", page.parent))
    print_page(page, target)
    return target


def contents(index: BeautifulSoup) -> list[Page]:
    """The pages in the order of the first page's sidebar."""
    found, part = [], ""
    for entry in index.select("nav.bd-links p.caption, nav.bd-links li > a"):
        text = " ".join(entry.get_text().split())
        if entry.name == "p":
            part = text
            continue
        level = int(re.search(r"toctree-l(\d)", " ".join(entry.parent["class"]))[1])
        path = entry["href"].partition("#")[0] or "index.html"
        found.append(Page(path, text, level, part))
    return found


def join(book: Path, folder: Path) -> str:
    """All pages of a built ``book`` as one of another ``folder``, whose links lead within it."""
    pages = contents(_parse(book / "index.html"))
    parsed = {page: _parse(book / page.path) for page in pages}
    root = os.path.relpath(book, folder)
    names = {page.path: page.name for page in pages}
    articles = {page: _article(page, parsed[page], names, root) for page in pages}
    head = "".join(
        dict.fromkeys(text for page in pages for text in _head(page, parsed[page], root))
    )
    front = _title_page() + _contents_page(articles)
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light">'
        f'<head><meta charset="utf-8"><title>{_citation()["title"]}</title>{head}</head>'
        f'<body class="print"><div class="bd-content">{front}{"".join(map(str, articles.values()))}'
        "</div></body></html>\n"
    )


def _parse(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _resolved(page: Page, target: str) -> str:
    """A page's relative ``target`` without an anchor, relative to the first page."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page.path), target))


def _within(page: Page, target: str, root: str) -> str:
    """Where what a page loads lies, seen from the joined page."""
    return target if ADDRESS.match(target) else f"{root}/{_resolved(page, target)}"


def _head(page: Page, soup: BeautifulSoup, root: str) -> Iterator[str]:
    """Styles, and of the scripts MathJax alone: figures stay images."""
    for element in soup.head.find_all(["link", "script"]):
        if element.name == "link" and element.get("rel") == ["stylesheet"]:
            element["href"] = _within(page, element["href"], root)
        elif "mathjax" in element.get("src", ""):
            element["src"] = _within(page, element["src"], root)
        elif "window.MathJax" not in element.get_text():
            continue
        yield str(element)


def _article(page: Page, soup: BeautifulSoup, names: dict[str, str], root: str) -> Tag:
    """What a page says, ready to stand among the others: names and links begin with the page's
    name, and headings are as deep as the page."""
    article = soup.find("article")
    for element in article.select(
        "a.headerlink, .viewcode-link, a:has(.viewcode-link), link, script"
    ):
        element.decompose()
    for element in article.find_all(id=True):
        element["id"] = f"{page.name}--{element['id']}"
    for element in article.find_all("a", href=True):
        element["href"] = _link(page, element["href"], names)
        if not element["href"]:
            element.unwrap()
    for element in article.find_all(src=True):
        element["src"] = _within(page, element["src"], root)
    for element in article.find_all(re.compile(r"^h[1-6]$")):
        element.name = f"h{min(6, int(element.name[1]) + page.level - 1)}"
    article["id"], article["class"] = page.name, [*article["class"], f"print-level-{page.level}"]
    return article


def _link(page: Page, target: str, names: dict[str, str]) -> str:
    """A page's link, from within the joined page; empty where it leads to no page of the book."""
    if ADDRESS.match(target):
        return target
    path, _, anchor = target.partition("#")
    path = _resolved(page, path) if path else page.path
    if path not in names:
        return ""
    return f"#{names[path]}--{anchor}" if anchor else f"#{names[path]}"


def _citation() -> dict:
    return yaml.safe_load((paths.SOURCE / "CITATION.cff").read_text(encoding="utf-8"))


def _title_page() -> str:
    citation = _citation()
    title, _, more = citation["title"].partition(": ")
    authors = ", ".join(author["name"] for author in citation["authors"])
    return (
        f'<header class="print-title"><p class="print-name">{title}</p>'
        f"<p>{more[:1].upper()}{more[1:]}</p><p>{authors}</p>"
        f"<p>Version {citation['version']}</p></header>"
    )


def _contents_page(articles: dict[Page, Tag]) -> str:
    """Pages, and numbered sections of chapters; the place of a page number after each."""
    lines, part = [], ""
    for page, article in articles.items():
        if page.part != part:
            part = page.part
            lines.append(f'<p class="print-part">{html.escape(part)}</p>')
        lines.append(_line(page.name, page.title, page.level))
        for heading in article.find_all(f"h{page.level + 1}"):
            if heading.find(class_="section-number"):
                lines.append(_line(heading.parent["id"], heading.get_text(), page.level + 1))
    return f'<nav class="print-contents"><h1>Contents</h1>{"".join(lines)}</nav>'


def _line(name: str, title: str, level: int) -> str:
    title = html.escape(title)
    return f'<a class="print-line-{level}" href="#{name}"><span>{title}</span><span>000</span></a>'


def print_page(page: Path, target: Path) -> None:
    """Prints a joined page; raises InputError if there is no Chromium."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path  # where playwright has installed one
        found = next(filter(None, map(shutil.which, PROGRAMS)), own if Path(own).exists() else "")
        if not found:
            raise InputError(
                "A PDF is printed by Chromium, which is not installed: `apt-get install chromium`, "
                "or on other systems `python -m playwright install chromium`."
            )
        # In a container there is no sandbox to be had; nothing is opened but our own pages.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        view = opened(browser, page)
        lines, numbers = view.evaluate(LINES), _page_numbers(view.pdf(**OPTIONS))
        view.evaluate(NUMBERS, numbers)
        made = view.pdf(**OPTIONS)
        browser.close()
    with paths.replacing(target) as new:
        _with_bookmarks(made, [(title, numbers[name], level) for name, title, level in lines], new)


def opened(browser: Browser, page: Path) -> View:
    """A joined page as it is to be printed: formulas are set, and what is wide fits."""
    view = browser.new_page(viewport={"width": WIDTH, "height": 900}, offline=True)
    view.set_default_timeout(600_000)  # milliseconds
    view.emulate_media(media="print", color_scheme="light")
    view.goto(page.as_uri())
    view.evaluate(READY)
    view.evaluate((paths.SOURCE / "book" / "assets" / "print.js").read_text(encoding="utf-8"))
    return view


def _page_numbers(pdf: bytes) -> dict[str, int]:
    """The page, from 1, on which each place lies that a link leads to."""
    reader = PdfReader(io.BytesIO(pdf))
    places = reader.named_destinations.items()
    return {
        name.lstrip("/"): reader.get_destination_page_number(place) + 1 for name, place in places
    }


def _with_bookmarks(pdf: bytes, lines: list[tuple[str, int, int]], target: Path) -> None:
    """Writes a PDF with (title, page, level) as its bookmarks. Chromium's own are all headings, of
    which some come out with their title doubled."""
    writer, above = PdfWriter(clone_from=io.BytesIO(pdf)), {}
    for title, number, level in lines:
        above[level] = writer.add_outline_item(title, number - 1, parent=above.get(level - 1))
    citation = _citation()
    authors = ", ".join(author["name"] for author in citation["authors"])
    writer.add_metadata({"/Title": citation["title"], "/Author": authors})
    writer.write(target)
