"""Poses as pictures (Figures 1, 2, 4, 6, 7, 9, 13, 15, 16, 18 to 20): heatmaps in, as
arrays or tensors of values in [0, 1], and a figure out."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lib.data.heatmaps import decode
from lib.data.skeleton import COLOURS, EDGES, NAMES, SIDES, SIZE, side
from lib.figures import scenes
from lib.figures.page import BLUE, DARK, DPI, FONT, RED, STYLE, WIDTH, Page

GAP = 0.03  # between neighbouring poses
LINE, LETTER = FONT * 1.3 / 72, FONT * 0.54 / 72  # height of a line, usual width of a letter
Row = tuple[Sequence, Sequence[str], float]  # its poses, texts above them, free height above all


def heatmap_image(heatmaps: torch.Tensor) -> np.ndarray:
    """One image (64, 64, 3), RGB in [0, 1], of heatmaps (17, 64, 64), as in Figure 2: each channel
    has its colour, brighter where it is higher, and where several overlap, the brightest counts."""
    values = torch.as_tensor(heatmaps).detach().cpu().float().clamp(0, 1).numpy()
    return (values[..., None] * COLOURS[:, None, None]).max(axis=0)


def draw_pose(ax: Axes, heatmaps: torch.Tensor) -> None:
    """Draws heatmaps (17, 64, 64) and over them the edges whose two keypoints exist (Figure 2)."""
    ax.imshow(heatmap_image(heatmaps), interpolation="bilinear")
    ax.set(xticks=[], yticks=[], xlim=(-0.5, SIZE - 0.5), ylim=(SIZE - 0.5, -0.5))
    pose = decode(torch.as_tensor(heatmaps).detach().cpu()[None])[0].numpy()  # (17, 3)
    edges = [edge for edge in EDGES if pose[list(edge), 2].all()]
    lines = [pose[list(edge), :2] for edge in edges]
    colours = [SIDES[side(edge)] for edge in edges]
    width = 0.7 + 0.3 * ax.get_window_extent().width / ax.figure.dpi
    look = dict(colors=colours, linewidths=width, capstyle="round")
    ax.add_collection(LineCollection(lines, **look), autolim=False)


def _wrap(text: str, width: float) -> str:
    letters = max(8, int(width / LETTER))
    return textwrap.fill(" ".join(text.split()), letters, break_long_words=False)


def _room(texts: Sequence[str]) -> float:
    """The height that some wrapped texts take above a row of poses."""
    return max(text.count("\n") + 1 for text in texts) * LINE + 0.09 if texts else 0.0


def _above(ax: Axes, text: str, where: str = "center") -> None:
    """Writes above axes, at their left, center or right."""
    x = {"left": 0.0, "center": 0.5, "right": 1.0}[where]
    place = dict(xycoords="axes fraction", textcoords="offset points", ha=where, va="bottom")
    ax.annotate(text, (x, 1), (0, 3), linespacing=1.15, **place)


def _split(items: Sequence, columns: int) -> list:
    return [items[i : i + columns] for i in range(0, len(items), columns)]


@STYLE
@DARK
def _pose_rows(rows: Sequence[Row], source: str, ends: bool = False, left: float = 0.0) -> Page:
    """A figure of rows of poses close together, of which the longest fills the width.

    Above each pose stands its text, or with ``ends`` one above the left and right end of a row.
    ``source``: which networks made the poses, a line below. ``left``: free width on that side.
    """
    columns = max(len(heatmaps) for heatmaps, _, _ in rows)
    step = min((WIDTH - left + GAP) / columns, WIDTH / 3)
    above, wrapped = [], []
    for _, texts, space in rows:
        width = (WIDTH - left) / columns - 0.05
        if ends:
            width = WIDTH / 2 - 0.2 if len(texts) == 2 else WIDTH
        wrapped.append([_wrap(text, width) for text in texts])
        above.append(_room(wrapped[-1]) + space)
    fig = Page(left + columns * step - GAP, sum(above) + len(rows) * step - GAP)
    for i, ((heatmaps, _, _), texts) in enumerate(zip(rows, wrapped, strict=True)):
        top = sum(above[: i + 1]) + i * step
        axes = [fig.place(left + j * step, top, *[step - GAP] * 2) for j in range(len(heatmaps))]
        for ax, pose in zip(axes, heatmaps, strict=True):
            draw_pose(ax, pose)
        for j, text in enumerate(texts):
            if ends:
                _above(axes[-j], text, ("left", "right")[j])  # of the first or the last pose
            else:
                _above(axes[j], text)
    if source:
        across, down = fig.get_size_inches()
        fig.text(0, -0.05 / down, _wrap(source, across), color="0.7", va="top")
    return fig


def pose_grid(
    heatmaps: torch.Tensor, columns: int = 6, titles: Sequence[str] = (), source: str = ""
) -> Figure:
    """Poses (n, 17, 64, 64) side by side, a title above each where given (Figures 4, 6, 9, 13);
    a single pose is large, with a key of the colours (Figure 2)."""
    if len(heatmaps) == 1:
        return _pose_with_key(heatmaps[0], "".join(titles))
    rows = zip_longest(_split(heatmaps, columns), _split(titles, columns), fillvalue=())
    return _pose_rows([(*row, 0.0) for row in rows], source)


@STYLE
@DARK
def _pose_with_key(heatmaps: torch.Tensor, title: str) -> Figure:
    """One pose (17, 64, 64) next to the colours of its channels and of its skeleton."""
    size, key, space = 3.5, 1.7, _room([title]) if title else 0.0
    fig = Page(size + key, size + space)
    ax = fig.place(0, space, size, size)
    draw_pose(ax, heatmaps)
    _above(ax, title)
    look = dict(marker="o", linestyle="")
    dots = [Line2D([], [], color=c, label=n, **look) for n, c in zip(NAMES, COLOURS, strict=True)]
    lines = [Line2D([], [], color=c, lw=2.5, label=f"skeleton, {s}") for s, c in SIDES.items()]
    ax = fig.place(size + GAP, space, key - GAP, size)
    ax.set_facecolor("black")  # as behind the pose, so that the colours look the same
    text = dict(labelcolor="white", labelspacing=0.25, handlelength=1.2)
    ax.legend(handles=dots + lines, loc="center left", frameon=False, **text)
    return fig


def compare_grids(grids: Mapping[str, torch.Tensor], columns: int = 6, source: str = "") -> Figure:
    """Grids of poses (n, 17, 64, 64) below each other, each under its title (Figure 7)."""
    rows: list[Row] = []
    for title, heatmaps in grids.items():
        first, *others = _split(heatmaps, columns)
        rows += [(first, [title], 0.06), *((row, [], 0.0) for row in others)]
    return _pose_rows(rows, source, ends=True)


@STYLE
def pose_sheet(heatmaps: torch.Tensor, columns: int, pixels: int) -> Figure:
    """Poses (n, 17, 64, 64) edge to edge, row by row, each ``pixels`` wide: the questionnaire cuts
    this picture into tiles."""
    side, rows = pixels / DPI, -(-len(heatmaps) // columns)
    fig = Page(columns * side, rows * side)
    for i, heatmap in enumerate(heatmaps):
        draw_pose(fig.place(i % columns * side, i // columns * side, side, side), heatmap)
    return fig


@STYLE
def caption_grid(
    captions: Sequence[str], real: torch.Tensor, fakes: torch.Tensor, source: str = ""
) -> Figure:
    """n captions above their real poses (n, 17, 64, 64), synthesised ones (rows, n, 17, 64, 64)
    below (Figures 15, 16, 18)."""
    first, *others = fakes
    rows = [(real, captions, 0.0), (first, [], 0.08), *((row, [], 0.0) for row in others)]
    fig = _pose_rows(rows, source, left=0.24)
    for i, ax in enumerate(fig.axes[:: len(captions)]):
        ax.set_ylabel("synthesised" if i else "real", labelpad=3)
    return fig


def noise_interpolation(
    captions: Sequence[str], heatmaps: torch.Tensor, source: str = ""
) -> Figure:
    """Rows of poses (rows, n, 17, 64, 64), each under its caption (Figure 19)."""
    return caption_interpolation([[caption] for caption in captions], heatmaps, source)


def caption_interpolation(
    pairs: Sequence[Sequence[str]], heatmaps: torch.Tensor, source: str = ""
) -> Figure:
    """Rows of poses (rows, n, 17, 64, 64), a caption above either end (Figure 20)."""
    rows = [(row, pair, 0.04) for row, pair in zip(heatmaps, pairs, strict=True)]
    return _pose_rows(rows, source, ends=True)


@STYLE
@DARK
def annotated_image(
    keypoints: np.ndarray,
    box: Sequence[float],
    size: tuple[int, int],
    captions: Sequence[str],
    photo: np.ndarray | None = None,
    activity: str = "",
) -> Figure:
    """A person's ``box`` (x, y, width, height) and ``keypoints`` (17, 3) with COCO's visibility in
    an image of a ``size`` (width, height), all in pixels, and its captions below it (Figure 1).
    Without ``photo`` (height, width, 3) the person is drawn where the data name the ``activity``;
    otherwise the canvas is empty and the skeleton is sketched."""
    scale = min(WIDTH / size[0], 4.5 / size[1])  # inches per pixel
    width, height = size[0] * scale, size[1] * scale
    text = "\n".join(_wrap(caption, WIDTH) for caption in captions)
    total = height + (0.1 + (text.count("\n") + 1) * LINE if text else 0)
    fig = Page(WIDTH, total)
    ax = fig.place((WIDTH - width) / 2, 0, width, height)
    if photo is not None:
        ax.imshow(photo, extent=(0, size[0], size[1], 0))
    elif activity:
        scenes.draw(ax, keypoints, size, activity, captions)
    else:
        ax.set_facecolor("0.93")
        lines = [keypoints[list(edge), :2] for edge in EDGES if keypoints[list(edge), 2].all()]
        ax.add_collection(LineCollection(lines, colors="0.65", linewidths=1.2), autolim=False)
    ax.add_patch(Rectangle(box[:2], *box[2:], fill=False, edgecolor=BLUE, linewidth=2, zorder=5))
    x, y, _ = keypoints[keypoints[:, 2] > 0].T
    ax.plot(x, y, "o", color=RED, ms=4, markeredgecolor="white", markeredgewidth=0.6, zorder=5)
    ax.set(xlim=(0, size[0]), ylim=(size[1], 0))
    fig.text(0, 1 - (height + 0.1) / total, text, va="top", linespacing=1.3)
    return fig
