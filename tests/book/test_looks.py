"""The book's style sheet and tables.js in a browser: on a phone, and in the dark."""

from io import BytesIO

import pytest
import torch
from PIL import Image

from lib import paths
from lib.figures import curves
from lib.figures.page import GROUND
from lib.figures.poses import pose_grid
from lib.models.synthesis import noise

ASSETS = paths.SOURCE / "book" / "assets"
THEME = "--pst-color-background: {0}; --pst-color-on-background: {1}; --pst-color-surface: #888;"
GROUNDS = {"light": ("#ffffff", "#eeeeee"), "dark": ("#14181e", "#222832")}
TABLE = """<div class="pst-scrollable-table-container"><table class="{0}"><thead><tr><th>model</th>
<th>1-NN accuracy of all</th><th>none</th>{1}</tr></thead><tbody><tr><td><p>GAN <b>full</b></p></td>
<td>99.8% [99.8%, 99.9%]</td><td></td>{2}</tr></tbody></table></div>"""
EQUATION = """<div class="math"><mjx-container display="true" style="display: block">
<p style="width: 600px; height: 40px; margin: 0"></p></mjx-container></div>"""


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page with a content, as wide as a phone unless told otherwise."""
    contexts = []

    def opened(content: str, width: int = 390, theme: str = "light"):
        page, box = GROUNDS[theme]
        head = f'<html data-theme="{theme}" style="{THEME.format(page, box)}">'
        head += '<meta name="viewport" content="width=device-width"><meta charset="utf-8">'
        style = f"<style>{(ASSETS / 'book.css').read_text()}</style>"
        script = f"<script>{(ASSETS / 'tables.js').read_text()}</script>"
        body = f'<body style="background: {page}"><div class="bd-content">{content}</div>'
        (tmp_path / "page.html").write_text(f"<!doctype html>{head}{style}{script}{body}")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        tab = contexts[-1].new_page()
        tab.goto((tmp_path / "page.html").as_uri())
        return tab

    yield opened
    for context in contexts:
        context.close()


def pixels(locator) -> Image.Image:
    return Image.open(BytesIO(locator.screenshot())).convert("RGB")


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


BEFORE = "all => all.map(one => getComputedStyle(one, '::before').content)"
SHOWN = "all => all.map(one => getComputedStyle(one).display)"


def test_a_row_of_a_wide_table_is_a_card_on_a_phone(show):
    more = "".join(f"<t{{0}}>column {n}</t{{0}}>" for n in range(12))
    tab = show(TABLE.format("", more.format("h"), more.format("d")))
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    cells = tab.locator("tbody td")
    heads = cells.evaluate_all(BEFORE)
    assert heads[:2] == ["none", '"1-NN accuracy of all"'] and heads[-1] == '"column 11"'
    assert cells.evaluate_all(SHOWN)[:3] == ["grid", "grid", "none"]  # what is empty is left out
    assert tab.get_by_role("row").count() == 2 and tab.get_by_role("cell").count() == 14
    tops = cells.evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert tops[3] > tops[1] > tops[0]


def test_on_a_wide_screen_it_stays_a_table(show):
    tab = show(TABLE.format("", "", ""), width=1280)
    assert set(tab.locator("tbody td").evaluate_all(SHOWN)) == {"table-cell"}
    assert set(tab.locator("tbody td").evaluate_all(BEFORE)) == {"none"}


def test_a_table_of_two_columns_stays_one(show):
    rows = (
        "<thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody>"
    )
    tab = show(f"<table>{rows}</table>")
    assert set(tab.locator("tbody td").evaluate_all(SHOWN)) == {"table-cell"}


def test_the_number_of_a_layer_keeps_its_heading(show):
    tab = show(TABLE.format("layers", "", ""))
    assert tab.locator("tbody td").evaluate_all(BEFORE)[0] == '"model"'


@pytest.mark.parametrize("theme", GROUNDS)
@pytest.mark.parametrize("box", [False, True])
def test_a_wide_equation_shows_on_which_side_there_is_more(show, theme, box):
    equation = EQUATION
    if box:
        ground = "background: var(--pst-color-on-background); padding: 9px"
        equation = f'<div class="admonition" style="{ground}">{equation}</div>'
    tab = show(equation, theme=theme)
    wide, ground = tab.locator("mjx-container"), rgb(GROUNDS[theme][box])

    def marked() -> list[bool]:
        picture = pixels(wide)
        edges = (picture.getpixel((x, 10)) for x in (1, picture.width - 2))
        return [max(abs(a - b) for a, b in zip(e, ground, strict=True)) > 40 for e in edges]

    assert marked() == [False, True]
    wide.evaluate("one => one.scrollLeft = 100")
    assert marked() == [True, True]
    wide.evaluate("one => one.scrollLeft = 1000")
    assert marked() == [True, False]


def test_an_equation_that_fits_has_no_mark(show):
    tab = show(EQUATION.replace("600px", "100px"))
    assert len(pixels(tab.locator(".math")).getcolors()) == 1


def image(figure, folder, **attributes) -> str:
    (folder / "figure.png").write_bytes(figure._repr_png_())
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<figure><img src="figure.png" width="350" {words}></figure>'


def test_a_chart_has_the_ground_of_the_dark_page_and_light_letters(show, tmp_path):
    chart = image(curves.norms(*noise(3, seed=0).abs().numpy()), tmp_path, **{"class": "chart"})
    tab = show(chart, theme="dark")
    colours = pixels(tab.locator("img")).getcolors(1 << 24)
    assert max(colours)[1] == rgb(GROUNDS["dark"][0])
    assert max(sum(colour) for _, colour in colours) > 600  # letters
    light = pixels(show(chart).locator("img")).getcolors(1 << 24)
    assert max(light)[1] == (255, 255, 255)


@pytest.mark.parametrize("theme", GROUNDS)
def test_poses_are_dark_in_either_theme(show, tmp_path, theme):
    poses = pose_grid(torch.zeros(3, 17, 64, 64), columns=3, titles=["a man", "a cat", "a dog"])
    tab = show(image(poses, tmp_path), theme=theme)
    colours = {colour for _, colour in pixels(tab.locator("img")).getcolors(1 << 24)}
    assert rgb(GROUND) in colours and (0, 0, 0) in colours
    inside = pixels(tab.locator("img"))
    edge = [inside.getpixel((x, inside.height // 2)) for x in (1, inside.width - 2)]
    assert edge == [rgb(GROUND)] * 2
