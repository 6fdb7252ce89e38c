"""What the drawings of the chapters share: a canvas of matplotlib, and its SVG as part of a page.

A drawing has no ground, and its ink and letters are those of the page around it, so that it follows
a light and a dark theme. Lengths are inches, y goes down.
"""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch

from lib.data.heatmaps import render
from lib.figures.page import STYLE, WIDTH, Page
from lib.figures.poses import draw_pose

INK = "#010203"  # stands for the colour of the page's text
INKED = dict.fromkeys(
    ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
)
LETTERS = {"svg.fonttype": "none", "svg.hashsalt": "chapters"}  # text stays text
SVG = "{http://www.w3.org/2000/svg}"


def drawing(draw: Callable[..., Page]) -> Callable[..., Page]:
    """Lets a function draw in the style of all figures and in the ink of the page."""
    style = INKED | {"axes.facecolor": "none", "lines.solid_capstyle": "round"}
    return STYLE(matplotlib.rc_context(style)(draw))


def canvas(height: float) -> Axes:
    """Bare axes as wide as a drawing, on which a unit is an inch and y goes down."""
    ax = Page(WIDTH, height).place(0, 0, WIDTH, height)
    ax.set(xlim=(0, WIDTH), ylim=(height, 0))
    return ax


def box(ax: Axes, x: float, y: float, size: tuple[float, float], text: str, colour) -> None:
    """A box about (x, y) with rounded corners, and a text in it."""
    corner = (x - size[0] / 2, y - size[1] / 2)
    look = dict(boxstyle="round,pad=0,rounding_size=0.06", linewidth=1.2, edgecolor=colour)
    ax.add_patch(FancyBboxPatch(corner, *size, facecolor=to_rgba(colour, 0.18), **look))
    label(ax, x, y, text)


def label(ax: Axes, x: float, y: float, text: str, ha: str = "center", **look) -> None:
    """A text about (x, y), or from or to there."""
    ax.text(x, y, text, **dict(ha=ha, va="center", linespacing=1.25) | look)


def arrow(ax: Axes, *places: Sequence[float], colour=INK, **look) -> None:
    """An arrow through some places to the last one."""
    *_, last, end = places
    ax.plot(*np.transpose(places[:-1]), color=colour, linewidth=1.2, **look)
    style = dict(arrowstyle="-|>,head_width=0.18,head_length=0.32", shrinkA=0, shrinkB=0)
    ax.annotate("", end, last, arrowprops=style | dict(color=colour, linewidth=1.2) | look)


def tile(ax: Axes, x: float, y: float, size: float, pose: np.ndarray) -> Axes:
    """The heatmap and skeleton of a pose (17, 3), heatmap pixels, in a square about (x, y)."""
    place = ax.figure.place(x - size / 2, y - size / 2, size, size)
    draw_pose(place, render(torch.as_tensor(pose, dtype=torch.float32)[None])[0])
    return place


def inline(figure: Page, alt: str) -> str:
    """The SVG of a figure as an element of a page, with what it shows in words."""
    file = StringIO()
    with matplotlib.rc_context(LETTERS):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    for prefix, space in (("", SVG[1:-1]), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, space)
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            # A style sheet would hold for the whole page.
            if child.tag == f"{SVG}metadata" or child.find(f"{SVG}style") is not None:
                parent.remove(child)
            elif child.tag == f"{SVG}g":  # matplotlib's names, the same in every figure
                child.attrib.pop("id", None)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    links = list(root.iter(f"{SVG}a"))
    for link in links:
        link.attrib.pop("target", None)  # another tab
        if link.find(f".//{SVG}text") is None:  # a picture whose text is a link, too
            link.attrib |= {"aria-hidden": "true", "tabindex": "-1"}
    # What is in an image is hidden from those who do not see it.
    root.attrib |= {"class": "drawn", "role": "group" if links else "img", "aria-label": alt}
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"font-family: [^;\"]+; ", "", text).replace(INK, "currentColor")
