"""Live figures: what the book is given is what was drawn and decoded, and nothing else."""

import base64
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgb
from test_static import metrics, wild

from lib import figures, paths
from lib.data.heatmaps import decode, render
from lib.data.skeleton import COLOURS, EDGES, SIDES, side
from lib.figures import live
from lib.figures.page import Page
from lib.models.synthesis import caption_grid, interpolate_captions
from lib.models.tables import Generator
from lib.models.weights import initialise

NAN = float("nan")
EVIL = '</script><script>alert("1")</script> <!-- \u2028 a $5 bill & \n two  cats'


def content(figure: live.Live) -> dict:
    """What moves, as an executed notebook keeps it."""
    return json.loads(json.dumps(figure._repr_mimebundle_()[live.MIME]))


def numbers(array: dict) -> np.ndarray:
    """An array as plotly writes it."""
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])


def generator() -> Generator:
    """A tiny conditional G whose poses differ visibly."""
    G = Generator(True, features=1 / 32)
    initialise(G, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for module in G.modules():
            if isinstance(module, torch.nn.ConvTranspose2d):
                module.weight *= 8
    return G.eval()


def image() -> Page:
    return figures.pose_grid(render(torch.rand(1, 17, 3)))


def pairs(points: list) -> list:
    """[[x, y], ...] of the keypoints that exist, None for the others."""
    listed = zip(points[::2], points[1::2], strict=True)
    return [None if xy == (-1, -1) else list(xy) for xy in listed]


def decoded(heatmaps: torch.Tensor) -> list:
    """The same of heatmaps (17, 64, 64), by :func:`lib.data.heatmaps.decode`."""
    return [
        [int(x), int(y)] if visible else None
        for x, y, visible in decode(heatmaps[None])[0].tolist()
    ]


# Poses


def test_frames_are_the_decoded_poses_of_G():
    start, end = torch.randn(2, 6, 300, generator=torch.Generator().manual_seed(1))
    between = interpolate_captions(generator(), start, end, seed=2, steps=5)
    between = between.unflatten(0, (2, 3)).transpose(1, 2)  # (2, 5, 3, 17, 64, 64)
    peaks = between.amax(dim=(-2, -1), keepdim=True)
    between[:, ::2, :, 3:7] *= 0.19 / peaks[:, ::2, :, 3:7]  # below the threshold
    between[:, ::2, :, 7:9] *= 0.21 / peaks[:, ::2, :, 7:9]  # above it
    ends = [("a", "b"), ("c", "d")]
    shown = content(live.interpolation_slider(image(), between, ends))["choices"]
    for choice, frames in zip(shown, between, strict=True):
        for frame, poses in zip(choice["frames"], frames, strict=True):
            for points, heatmaps in zip(frame, poses, strict=True):
                assert pairs(points) == decoded(heatmaps)
    assert pairs(shown[1]["frames"][2][0]).count(None) == 4
    assert [choice["ends"] for choice in shown] == [["a", "b"], ["c", "d"]]
    assert len({choice["name"] for choice in shown}) == 2


def test_gallery_shows_each_caption_with_its_own_poses():
    h = torch.randn(3, 300, generator=torch.Generator().manual_seed(1))
    fakes = caption_grid(generator(), h, rows=4, seed=2)
    keypoints = torch.rand(3, 17, 3, generator=torch.Generator().manual_seed(3)) * 60
    keypoints[..., 2] = (keypoints[..., 2] > 20).float()
    real = render(keypoints)
    shown = content(live.gallery(image(), ["a man", EVIL, "b"], real, fakes))["choices"]
    assert [choice["name"] for choice in shown] == ["a man", " ".join(EVIL.split()), "b"]
    for column, choice in enumerate(shown):
        assert pairs(choice["real"]) == decoded(real[column])
        (frame,) = choice["frames"]
        assert [pairs(points) for points in frame] == [decoded(pose) for pose in fakes[:, column]]


def test_a_choice_without_its_poses_is_an_error():
    heatmaps = render(torch.rand(2, 17, 3))
    with pytest.raises(ValueError):
        live.gallery(image(), ["one"], heatmaps, heatmaps[None])
    with pytest.raises(ValueError):
        live.interpolation_slider(image(), heatmaps[:, None, None], [("a", "b")])


def test_the_skeleton_is_that_of_the_images():
    heatmaps = render(torch.rand(1, 17, 3))
    shown = content(live.gallery(image(), ["one"], heatmaps, heatmaps[None]))["skeleton"]
    seen = [to_rgb(colour) for colour in shown["colours"]]
    np.testing.assert_allclose(seen, COLOURS, atol=1 / 255)
    assert [tuple(edge[:2]) for edge in shown["edges"]] == list(EDGES)
    assert [edge[2] for edge in shown["edges"]] == [SIDES[side(e)] for e in EDGES]


# Texts


@pytest.fixture
def book(tmp_path):
    """What the extension connects, and a book with one executed notebook."""
    heatmaps = render(torch.rand(1, 17, 3))
    figure = live.interpolation_slider(image(), heatmaps[None, None], [(EVIL, "b")])
    cell = {
        "cell_type": "code",
        "metadata": {"mystnb": {"figure": {"name": "place"}}},
        "outputs": [{"output_type": "stream"}, {"data": {live.MIME: figure.content}}],
    }
    other = {"cell_type": "markdown", "metadata": {}}
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": [other, cell]}))
    handlers = {}
    live.setup(SimpleNamespace(connect=handlers.__setitem__))
    return SimpleNamespace(srcdir=str(tmp_path), handlers=handlers, outdir=str(tmp_path))


def test_the_page_is_given_what_moves_and_where_and_no_text_ends_the_script(book):
    context = {"body": "<p>a page</p>"}
    book.handlers["html-page-context"](book, "one", "page.html", context, None)
    before, script, after = re.split(r"<script>|</script>", context["body"])
    assert before == "<p>a page</p>" and after == ""
    text = re.fullmatch(r"\(window\.liveFigures \?\?= \[\]\)\.push\((.*)\);", script)[1]
    assert "<" not in text and text.isascii()
    shown = json.loads(text)
    assert shown["choices"][0]["ends"] == [EVIL, "b"] and shown["place"] == "place"
    prose = {"body": "<p>prose</p>"}
    book.handlers["html-page-context"](book, "index", "page.html", prose, None)
    assert prose == {"body": "<p>prose</p>"}


# Curves


def curves(lines: list[dict]) -> tuple[Page, dict]:
    figure = figures.loss_curves(lines)
    return figure, content(live.loss_curves(figure))


def with_validation(losses) -> list[dict]:
    lines = metrics(losses, k=2)
    lines += [{"epoch": e, "val_loss_d": 2.0 + e, "val_loss_g": -e} for e in range(1, 4)]
    return lines


@pytest.mark.parametrize("losses", [[5.0, NAN, 2.0, 2.5, 1.0, 1.5], wild(3000)])
def test_curves_are_those_of_the_image(losses):
    figure, shown = curves(with_validation(losses))
    drawn = [(axis, line) for axis, ax in zip(("y", "y2"), figure.axes, strict=True)
             for line in ax.lines]  # fmt: skip
    for (axis, line), trace in zip(drawn, shown["plot"]["data"], strict=True):
        assert (trace["name"], trace.get("yaxis", "y")) == (line.get_label(), axis)
        x, y = line.get_xydata().T.astype("float32")
        np.testing.assert_array_equal(numbers(trace["x"]), x)
        np.testing.assert_array_equal(numbers(trace["y"]), y)
        assert ("markers" in trace["mode"]) == (len(x) < 100)
        assert trace["hovertemplate"].startswith("D " if axis == "y" else "G ")


def test_curves_begin_as_the_image_shows_them():
    figure, shown = curves(with_validation(wild(3000)))
    layout = shown["plot"]["layout"]
    for axis, ax in zip(("yaxis", "yaxis2"), figure.axes, strict=True):
        assert layout[axis]["range"] == pytest.approx(ax.get_ylim())
        assert layout[axis]["title"]["text"] == ax.get_ylabel()
    assert layout["xaxis"]["range"] == pytest.approx(figure.axes[0].get_xlim())
    assert layout["yaxis"]["domain"][0] > layout["yaxis2"]["domain"][1]  # D above G
    assert len(shown["notes"]) == 2
    for note, ax in zip(shown["notes"], figure.axes, strict=True):
        assert note == f"{ax.get_ylabel()}: {ax.get_title(loc='left')}"
        assert "cut off" in note


def test_a_curve_with_nothing_to_say_has_no_note():
    assert curves(metrics(np.linspace(2.0, 1.0, 300)))[1]["notes"] == []


def test_each_kind_of_line_stands_in_the_legend_once():
    _, shown = curves(with_validation(np.linspace(1, 2, 300)))
    listed = [trace["name"] for trace in shown["plot"]["data"] if trace["showlegend"]]
    assert listed == ["training", "training, averaged", "validation"]


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_lines_stand_out_from_the_light_and_the_dark_page(page):
    for look in live.LINES.values():
        assert contrast(to_rgb(look["color"]), to_rgb(page)) >= 3


def contrast(*colours: tuple[float, float, float]) -> float:
    """Of two colours in [0, 1], by the definition of WCAG 2."""
    light = []
    for colour in colours:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
        light.append(np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05)
    return max(light) / min(light)


# In notebook and book


def test_a_notebook_keeps_the_image_and_what_moves_and_both_are_repeatable():
    def shown():
        figure = figures.loss_curves(with_validation(wild()))
        return DisplayFormatter().format(live.loss_curves(figure))[0]

    data = shown()
    assert data.keys() == {"image/png", live.MIME, "text/plain"}  # no script, which Lab would run
    assert data["image/png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert shown() == data


def test_plotlys_script_comes_into_a_book_that_was_built(book, tmp_path):
    app, handlers = book, book.handlers
    (tmp_path / "_static").mkdir()
    handlers["build-finished"](app, ValueError("a page is wrong"))
    assert not list((tmp_path / "_static").iterdir())
    handlers["build-finished"](app, None)
    script = (tmp_path / "_static" / live.SCRIPT).read_text()
    assert script.startswith("/**\n* plotly.js")
    assert live.SCRIPT in (paths.SOURCE / "book" / "assets" / "live.js").read_text()


def test_every_live_figure_has_a_name_and_alt_text_in_its_cell():
    found = []
    for notebook in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(notebook.read_text())["cells"]:
            if re.search(r"^live\.\w+\(", "".join(cell["source"]), re.MULTILINE):
                shown = cell["metadata"]["mystnb"]
                assert len(shown["image"]["alt"]) >= 40
                found.append(shown["figure"]["name"])
    numbered = [f"figure-{n}" for n in (3, 5, 8, 11, 12, 14, 17, "a1")]
    assert sorted(found) == sorted([*numbered, "live-noise", "live-gallery", "live-captions"])
