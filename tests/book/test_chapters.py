"""Figures of the chapters: what they show is computed, and they follow the page they stand on."""

import math
import re
from urllib.parse import unquote_plus

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from lib import paths
from lib.book.chapters import canvas, diagrams, networks, objectives, way
from lib.book.chapters.directives import DRAWN
from lib.models.tables import Discriminator, Generator

PHONE = 358  # pixels that a phone of 390 leaves a figure
PAGES = {page: page.read_text() for page in (paths.SOURCE / "book").glob("*.md")}


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def tiny(pages: dict[str, str], folder, **settings) -> dict[str, BeautifulSoup]:
    """Pages as Sphinx builds them with the extensions; a warning is an error."""
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text)
    names = "directives", "search"
    extensions = ["myst_parser", *(f"lib.book.chapters.{name}" for name in names)]
    with docutils_namespace():
        app = Sphinx(
            folder, None, folder / "out", folder / "trees", "html", warningiserror=True,
            status=None, warning=None,
            confoverrides={"extensions": extensions, "html_theme": "basic"} | settings,
        )  # fmt: skip
        app.build()
    read = {name: (folder / "out" / f"{name}.html").read_text() for name in pages}
    return {name: BeautifulSoup(text, "html.parser") for name, text in read.items()}


# What every drawing keeps to


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_stays_on_its_canvas_and_its_letters_are_legible_on_a_phone(name):
    figure = DRAWN[name]()
    figure.draw_without_rendering()
    seen = [t for ax in figure.axes for t in ax.findobj(lambda a: hasattr(a, "get_fontsize"))]
    shown = [t for t in seen if t.get_visible() and t.get_text()]
    assert shown
    for text in shown:
        assert text.get_fontsize() * PHONE / (72 * canvas.WIDTH) >= 9, text
    for ax in figure.axes:
        for text in ax.texts:
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
            assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text


@pytest.mark.parametrize("name", DRAWN)
def test_texts_do_not_overlap(name):
    figure = DRAWN[name]()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for ax in figure.axes for text in ax.texts]
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :]), (name, i)


def test_the_svg_has_the_page_s_ink_and_letters_and_touches_nothing_else():
    figure = diagrams.gan()
    svg = BeautifulSoup(canvas.inline(figure, 'a "b" & <c>'), "html.parser").find("svg")
    assert svg["role"] == "img" and svg["aria-label"] == 'a "b" & <c>'
    assert svg.find("style") is None and svg.find("metadata") is None
    assert not svg.find_all("g", id=True)
    assert "width" not in svg.attrs and svg["viewbox"].startswith("0 0 374.4 ")
    written = str(svg)
    assert "currentColor" in written and canvas.INK not in written
    assert "font-family" not in written
    assert {"G", "D", "noise"} <= {text.get_text() for text in svg.find_all("text")}


def test_the_svg_is_the_same_each_time():
    assert canvas.inline(diagrams.pairs(), "") == canvas.inline(diagrams.pairs(), "")


# What they show


def test_sentences_lead_to_the_page_that_answers_them():
    svg = BeautifulSoup(canvas.inline(figure := diagrams.sentences(), "six"), "html.parser")
    assert svg.find("svg")["role"] == "group"  # in an image, links would be hidden
    said = [" ".join(text.split()) for text in texts(figure)]
    assert len(said) == 6
    links = [link["xlink:href"] for link in svg.find_all("a")]
    address = "pose.html?caption="
    assert {unquote_plus(link.removeprefix(address)) for link in links} == set(said)
    assert all(link.startswith(address) for link in links) and not svg.find_all(target=True)
    silent = svg.find_all("a", attrs={"tabindex": "-1"})
    assert len(silent) == 6 and not any(link.find("text") for link in silent)


def test_the_pairs_are_of_three_kinds():
    figure = diagrams.pairs()
    own, other = diagrams.real_pair()[1], diagrams.real_pair("surfing")[1]
    said = [" ".join(t.split()) for t in texts(figure) if t.startswith("\u201c")]
    captions = own, other, diagrams.SENTENCE
    assert said == [f"\u201c{caption.rstrip('.')}\u201d" for caption in captions]
    images = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert (images[0] == images[1]).all() and (images[0] != images[2]).any()
    wanted = [t[-1] for t in texts(figure) if t.startswith("D(")]
    assert wanted == ["\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}", "\N{DOWNWARDS ARROW}"]


def rows(table: int) -> list[tuple[int, int, bool, str]]:
    """Grid, channels, batch normalisation and activation of each row of a table of the book."""
    text = PAGES[paths.SOURCE / "book" / "architectures.md"]
    body = text.split(f"**Table {table}.**")[1].split(":::")[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in body.splitlines()]
    found = []
    for _, _, _, norm, activation, output in (row for row in cells if len(row) == 6):
        if numbers := re.findall(r"\d+", output):
            side = int(numbers[0]) if len(numbers) == 3 else 1
            found.append((side, int(numbers[-1]), norm == "yes", activation))
    return found


@pytest.mark.parametrize("table", [1, 2, 3, 4])
def test_layers_are_those_of_the_tables(table):
    with_caption, is_d = table > 2, table % 2 == 0
    if is_d:
        network = Discriminator(with_caption, not with_caption, not with_caption)
    else:
        network = Generator(with_caption)
    given = [torch.zeros(1, 17, 64, 64) if is_d else torch.zeros(1, 128)]
    given += [torch.zeros(1, 300)] if with_caption else []
    names = networks.ACTIVATIONS | {"": "none"}
    found = [
        (each.side, each.channels, each.normalised, names[each.activation].replace("\n", " "))
        for each in networks.layers(network, *given)
    ]
    assert found == rows(table)


def test_the_picture_changes_with_the_modules(monkeypatch):
    whole = texts(networks.networks())
    assert any(text.startswith("16 \N{MULTIPLICATION SIGN} 16\n128") for text in whole)
    for name in ("Generator", "Discriminator"):
        own = getattr(networks, name)
        monkeypatch.setattr(networks, name, lambda *a, own=own, **k: own(*a, **k, features=0.5))
    half = texts(networks.networks())
    assert any(text.startswith("16 \N{MULTIPLICATION SIGN} 16\n64") for text in half)


def test_the_caption_joins_the_first_layer_of_g_and_the_fifth_of_d():
    plain, conditional = (networks.networks(c).axes[0] for c in (False, True))
    assert not [t for t in plain.texts if t.get_text().startswith("h,")]
    orange = [line for line in conditional.lines if line.get_color() == networks.ORANGE]
    joined = [line.get_xdata()[-1] for line in orange if len(line.get_xdata()) == 2]
    below = [t for t in conditional.texts if "\N{MULTIPLICATION SIGN}" in t.get_text()]
    g, d = (sorted(t.get_position()[0] for t in below[i : i + n]) for i, n in ((0, 5), (5, 6)))
    assert joined[-2] < g[0] and d[4] < joined[-1] < d[5]


def test_the_game_s_loss_is_flat_where_the_other_is_steep():
    game, own = (line.get_xydata() for line in objectives.saturation().axes[0].lines)
    for curve, function in ((game, lambda d: math.log(1 - d)), (own, lambda d: -math.log(d))):
        for logit, loss in curve[::20]:
            assert loss == pytest.approx(function(1 / (1 + math.exp(-logit))), abs=1e-4)
    slopes = [np.diff(curve[:2, 1]) / np.diff(curve[:2, 0]) for curve in (game, own)]
    assert abs(slopes[0]) < 0.01 and slopes[1] < -0.99


def test_the_divergence_does_not_tell_how_far_and_the_distance_does():
    divergence, distance = (line.get_xydata() for line in objectives.distances().axes[0].lines)
    np.testing.assert_allclose(distance[:, 1], np.abs(distance[:, 0]), atol=1e-3)
    far = np.abs(divergence[:, 0]) > 2
    np.testing.assert_allclose(divergence[far, 1], math.log(2), atol=1e-3)
    assert divergence[30, 1] == pytest.approx(0, abs=1e-6)


def test_penalties_are_those_of_equations_4_and_9():
    both, one = (line.get_xydata() for line in objectives.penalties().axes[0].lines[:2])
    np.testing.assert_allclose(both[:, 1], (both[:, 0] - 1) ** 2, atol=1e-6)
    np.testing.assert_allclose(one[:, 1], np.maximum(0, one[:, 0] - 1) ** 2, atol=1e-6)


def test_the_clamp_drives_parameters_to_its_bounds_and_the_slope_to_nothing():
    figure = objectives.clamp_and_penalty()
    for ax, clamp in zip(figure.axes, (True, False), strict=True):
        heights = [patch.get_height() for patch in ax.patches]
        assert sum(heights) == pytest.approx(1)
        assert (heights[0] + heights[-1] > 0.8) == clamp
        slope = float(re.search(r"slope of D: (.*)", ax.get_title())[1])
        assert (0 < slope < 0.01) if clamp else slope == pytest.approx(1, abs=0.15)


def test_the_numbers_on_the_way_are_those_of_the_published_model():
    figure = way.caption_to_pose()
    images = [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]
    stripes = [image.shape[1] for image in images if image.shape[0] == 1]
    assert stripes == [300, 128, 128]
    channels = [image for image in images if image.shape == (64, 64, 3)]
    pose = way.Model().pose(diagrams.SENTENCE, 1, diagrams.SEED).keypoints[0]
    assert len(channels) == 18 and pose[:, 2].all()  # 17, and all of them as one
    for channel, (x, y, _) in zip(channels, pose, strict=False):
        row, column = np.unravel_index(channel.sum(axis=2).argmax(), (64, 64))
        assert abs(column - x) <= 0.51 and abs(row - y) <= 0.51


# On the page


def test_a_drawing_is_part_of_the_page_with_its_caption_and_can_be_referred_to(tmp_path):
    page = "# T\n\n```{drawn} saturation\n:alt: two curves\n**Two** losses.\n```\n\n"
    found = tiny({"index": page + "See {ref}`there <drawn-saturation>`.\n"}, tmp_path)["index"]
    figure = found.find("figure", id="drawn-saturation")
    assert figure.find("svg")["aria-label"] == "two curves"
    assert figure.find(class_="caption-text").get_text() == "Two losses."
    assert found.find("a", href="#drawn-saturation", class_="reference")


@pytest.mark.parametrize("wrong", ["{drawn} nothing\n:alt: a\nb", "{drawn} gan\nb"])
def test_a_drawing_that_is_not_known_or_has_no_alt_is_refused(tmp_path, wrong):
    with pytest.raises(Exception, match="drawn needs one of sentences, gan"):
        tiny({"index": f"# T\n\n```{wrong}\n```\n"}, tmp_path)


def test_a_figure_is_shown_again_without_its_name_and_leads_to_its_notebook(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    caption = "**Figure 3.** Curves, as in {ref}`another <figure-4>`."
    figures = "".join(
        f"```{{figure}} ../a.png\n:name: {name}\n:alt: curves\n{caption}\n```\n\n"
        for name in ("figure-3", "figure-4")
    )
    (tmp_path / "notebooks").mkdir()
    pages = {"index": "# T\n\n```{from-notebook} figure-3\n```\n"}
    found = tiny(
        pages | {"notebooks/02_gan": f"---\norphan: true\n---\n# N\n\n{figures}"}, tmp_path
    )
    again = found["index"].find("figure")
    assert again["id"] == "figure-3-again" and again.find("img")["alt"] == "curves"
    assert found["notebooks/02_gan"].find("figure")["id"] == "figure-3"
    links = {a.get_text(): a["href"] for a in again.find("figcaption").find_all("a")}
    assert links["another"] == "notebooks/02_gan.html#figure-4"
    assert links["Notebook 02"] == "notebooks/02_gan.html#figure-3"


def test_a_figure_that_no_notebook_has_is_a_warning(tmp_path):
    with pytest.raises(Exception, match="no notebook has a figure figure-99"):
        tiny({"index": "# T\n\n```{from-notebook} figure-99\n```\n"}, tmp_path)


@pytest.mark.parametrize("words", ["zebra", "skeleton zebra"])
def test_search_results_of_a_book_on_disk_have_excerpts(browser, tmp_path, words):
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "search.js").write_text((paths.SOURCE / "book/assets/search.js").read_text())
    page = "# First\n\nA skeleton <b>of</b> a *zebra*, drawn in black & white.\n\n"
    page += "```{math}\n:label: key-of-equation\nx\n```\n\nSee {eq}`key-of-equation`.\n\n"
    other = "---\norphan: true\n---\n# Second\n\nAnother zebra.\n"
    drawing = "```{drawn} saturation\n:alt: two curves\nTwo.\n```\n"
    pages = {"index": page + drawing, "more/index": other}
    (tmp_path / "more").mkdir()
    tiny(pages, tmp_path, html_static_path=["assets"])
    written = (tmp_path / "out" / "_static" / "page-texts.js").read_text()
    assert "svg" not in written and "key-of" not in written
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto(f"{(tmp_path / 'out' / 'search.html').as_uri()}?q={words}")
    tab.wait_for_function("document.querySelectorAll('#search-results li p').length >= 1")
    tab.wait_for_timeout(300)
    said = dict(zip(
        tab.locator("#search-results li > a").all_inner_texts(),
        tab.locator("#search-results li p").all_inner_texts(), strict=True,
    ))  # fmt: skip
    context.close()
    assert "A skeleton of a zebra , drawn in black & white." in said["First"]
    if words == "zebra":
        assert "Another zebra." in said["Second"] and "skeleton" not in said["Second"]


def test_every_drawing_stands_on_one_page():
    used = [name for text in PAGES.values() for name in re.findall(r"\{drawn\} (\S+)", text)]
    assert sorted(used) == sorted(DRAWN)


def test_a_page_shows_only_figures_that_its_sentences_speak_of():
    shown = 0
    for page, text in PAGES.items():
        for name in re.findall(r"\{from-notebook\} (\S+)", text):
            assert f"<{name}>`" in text, (page.name, name)
            shown += 1
    assert shown > 10
