"""Every figure of the thesis: plain numbers in, a matplotlib Figure out.

A notebook shows the Figure as the last expression of a cell, or glues it into the book. Heatmaps
are in [0, 1], arrays or tensors; lengths are inches unless heatmap or image pixels are named.
Captions are drawn as they are: a ``$`` in one starts no formula.
"""

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from lib.data.heatmaps import decode
from lib.data.skeleton import EDGES, NAMES, SIZE

WIDTH = 8.0  # of a figure; the book shows it 700 to 1000 screen pixels wide
DPI = 144  # 1152 pixels: sharp on most screens, and a grid is 0.5 to 1 MB
GAP = 0.04  # between neighbouring poses
FONT = 9.5  # points
LINE, LETTER = FONT * 1.3 / 72, FONT * 0.54 / 72  # height of a line, usual width of a letter
AVERAGES = 200  # points of the line that averages a long training curve

BLUE, ORANGE, _, RED = sns.color_palette("colorblind", 4)
PALE = sns.light_palette(BLUE, 10)[4]  # noise behind a line
SIDES = {"left": "#ffb347", "right": "#6cc5ff", "middle": "#f2f2f2"}  # of the skeleton
SIZES = ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
STYLE = matplotlib.rc_context(  # around every function that draws; leaves no trace outside
    sns.axes_style("whitegrid")
    | dict.fromkeys(SIZES, FONT)
    | dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.formatter.useoffset"), False)
    | {"font.family": "DejaVu Sans", "grid.color": "0.9", "text.parse_math": False}
)


def _channel_colours() -> np.ndarray:
    """(17, 3) RGB: nose white, left keypoints rose to yellow, right ones cyan to violet.

    Warm and cold stay apart without red and green; neighbours also differ in saturation.
    """
    colours = np.ones((len(NAMES), 3))
    saturation = np.where(np.arange(8) % 2, 0.9, 0.55)
    for first, hues in ((1, np.linspace(-25, 64, 8)), (2, np.linspace(172, 295, 8))):
        colours[first::2] = hsv_to_rgb(np.stack([hues % 360 / 360, saturation, np.ones(8)], axis=1))
    return colours


COLOURS = _channel_colours()


def side(edge: tuple[int, int]) -> str:
    """The side of the body that an edge of the skeleton belongs to; the nose is on both."""
    sides = {NAMES[i].split()[0] for i in edge} - {"nose"}
    return sides.pop() if len(sides) == 1 else "middle"


class Page(Figure):
    """A figure that pyplot does not know, so that a notebook shows it once and not twice.

    It draws itself for IPython and for glue, whether or not a plotting backend is active.
    """

    def __init__(self, width: float, height: float, **options):
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white", **options)

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Adds bare axes at a distance from the upper left corner."""
        across, down = self.get_size_inches()
        box = (left / across, 1 - (top + height) / down, width / across, height / down)
        ax = self.add_axes(box, xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        return ax

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png", bbox_inches="tight")
        return png.getvalue()


def heatmap_image(heatmaps: torch.Tensor) -> np.ndarray:
    """One image (64, 64, 3), RGB in [0, 1], of heatmaps (17, 64, 64), as in Figure 2.

    Each channel has its colour, brighter where it is higher; where several overlap, the brightest
    counts.
    """
    values = torch.as_tensor(heatmaps).detach().cpu().float().clamp(0, 1).numpy()
    return (values[..., None] * COLOURS[:, None, None]).max(axis=0)


def draw_pose(ax: Axes, heatmaps: torch.Tensor, skeleton: bool = True) -> None:
    """Draws heatmaps (17, 64, 64) and over them the skeleton decoded from them (Figure 2).

    An edge is drawn where both of its keypoints exist.
    """
    ax.imshow(heatmap_image(heatmaps), interpolation="bilinear")
    ax.set(xticks=[], yticks=[], xlim=(-0.5, SIZE - 0.5), ylim=(SIZE - 0.5, -0.5))
    if skeleton:
        pose = decode(torch.as_tensor(heatmaps).detach().cpu()[None])[0].numpy()  # (17, 3)
        edges = [edge for edge in EDGES if pose[list(edge), 2].all()]
        lines = LineCollection(
            [pose[list(edge), :2] for edge in edges],
            colors=[SIDES[side(edge)] for edge in edges],
            linewidths=1.0 + 0.3 * ax.get_window_extent().width / ax.figure.dpi,
            capstyle="round",
        )
        ax.add_collection(lines, autolim=False)


def _wrap(text: str, width: float) -> str:
    return textwrap.fill(" ".join(text.split()), max(8, int(width / LETTER)))


def _room(texts: Sequence[str]) -> float:
    """The height that the longest of some wrapped texts takes above a row of poses."""
    return max((text.count("\n") + 1) * LINE + 0.09 for text in texts)


def _above(ax: Axes, text: str, where: str = "center") -> None:
    """Writes above axes, at their left, center or right."""
    x = {"left": 0.0, "center": 0.5, "right": 1.0}[where]
    place = dict(xycoords="axes fraction", textcoords="offset points", ha=where, va="bottom")
    ax.annotate(text, (x, 1), (0, 3), linespacing=1.15, **place)


def _pose_rows(rows: Sequence, above: Sequence[float], left: float = 0.0) -> tuple[Page, list]:
    """A figure of rows of poses close together, and its axes row by row.

    ``rows``: for each row its heatmaps (n, 17, 64, 64), the longest fills the width. ``above``:
    free height above each row. ``left``: free width beside the rows.
    """
    columns = max(map(len, rows))
    step = min((WIDTH - left + GAP) / columns, WIDTH / 3)
    fig = Page(left + columns * step - GAP, sum(above) + len(rows) * step - GAP)
    axes = []
    for i, row in enumerate(rows):
        top = sum(above[: i + 1]) + i * step
        axes.append([fig.place(left + j * step, top, *[step - GAP] * 2) for j in range(len(row))])
        for ax, heatmaps in zip(axes[-1], row, strict=True):
            draw_pose(ax, heatmaps)
    return fig, axes


def _split(items: Sequence, columns: int) -> list:
    return [items[i : i + columns] for i in range(0, len(items), columns)]


@STYLE
def pose_grid(
    heatmaps: torch.Tensor, columns: int = 6, titles: Sequence[str] | None = None
) -> Figure:
    """Poses (n, 17, 64, 64) side by side, a title above each where given (Figures 4, 6, 9, 13).

    A single pose is drawn large, with a key of the colours (Figure 2).
    """
    if len(heatmaps) == 1:
        return _pose_with_key(heatmaps[0], titles[0] if titles else "")
    columns = min(columns, len(heatmaps))
    rows = _split(heatmaps, columns)
    wrapped = [_wrap(title, WIDTH / columns - 0.08) for title in titles or []]
    fig, axes = _pose_rows(
        rows, [_room(row) for row in _split(wrapped, columns)] or [0] * len(rows)
    )
    for ax, title in zip(sum(axes, []), wrapped, strict=False):
        _above(ax, title)
    return fig


def _pose_with_key(heatmaps: torch.Tensor, title: str) -> Figure:
    """One pose (17, 64, 64) beside the colours of its channels and of its skeleton."""
    size, key, space = 4.4, 1.7, _room([title]) if title else 0.0
    fig = Page(size + key, size + space)
    ax = fig.place(0, space, size, size)
    draw_pose(ax, heatmaps)
    _above(ax, title)
    look = dict(marker="o", linestyle="")
    dots = [Line2D([], [], color=c, label=n, **look) for n, c in zip(NAMES, COLOURS, strict=True)]
    lines = [Line2D([], [], color=c, lw=2.5, label=f"skeleton, {s}") for s, c in SIDES.items()]
    ax = fig.place(size + GAP, space, key - GAP, size)
    ax.set_facecolor("black")  # as behind the pose, so that the colours look the same
    text = dict(labelcolor="white", labelspacing=0.45, handlelength=1.2)
    ax.legend(handles=dots + lines, loc="center left", frameon=False, **text)
    return fig


@STYLE
def compare_grids(grids: Mapping[str, torch.Tensor], columns: int = 6) -> Figure:
    """Grids of poses (n, 17, 64, 64) below each other, each under its title (Figure 7)."""
    parts = {title: _split(heatmaps, columns) for title, heatmaps in grids.items()}
    above = [
        0.0 if i else _room([title]) + 0.06
        for title, rows in parts.items()
        for i in range(len(rows))
    ]
    fig, axes = _pose_rows(sum(parts.values(), []), above)
    for title, rows in parts.items():
        _above(axes[0][0], title, "left")
        del axes[: len(rows)]
    return fig


@STYLE
def pose_sheet(heatmaps: torch.Tensor, columns: int, pixels: int) -> Figure:
    """Poses (n, 17, 64, 64) edge to edge, row by row, each ``pixels`` wide: one picture for the
    questionnaire, which cuts it into tiles."""
    side, rows = pixels / DPI, -(-len(heatmaps) // columns)
    fig = Page(columns * side, rows * side)
    for i, heatmap in enumerate(heatmaps):
        draw_pose(fig.place(i % columns * side, i // columns * side, side, side), heatmap)
    return fig


@STYLE
def caption_grid(captions: Sequence[str], real: torch.Tensor, fakes: torch.Tensor) -> Figure:
    """Captions above their real poses, synthesised ones below (Figures 15, 16, 18).

    Shapes: n captions, real (n, 17, 64, 64), fakes (rows, n, 17, 64, 64).
    """
    left = 0.24
    wrapped = [_wrap(caption, (WIDTH - left) / len(captions) - 0.08) for caption in captions]
    above = [_room(wrapped), 0.08, *[0.0] * (len(fakes) - 1)]
    fig, axes = _pose_rows([real, *fakes], above, left)
    for ax, caption in zip(axes[0], wrapped, strict=True):
        _above(ax, caption)
    for i, row in enumerate(axes):
        row[0].set_ylabel("synthesised" if i else "real", labelpad=3)
    return fig


@STYLE
def noise_interpolation(captions: Sequence[str], heatmaps: torch.Tensor) -> Figure:
    """Rows of poses (rows, n, 17, 64, 64), each under its caption (Figure 19)."""
    wrapped = [_wrap(caption, WIDTH) for caption in captions]
    fig, axes = _pose_rows(heatmaps, [_room([text]) + 0.04 for text in wrapped])
    for row, caption in zip(axes, wrapped, strict=True):
        _above(row[0], caption, "left")
    return fig


@STYLE
def caption_interpolation(pairs: Sequence[tuple[str, str]], heatmaps: torch.Tensor) -> Figure:
    """Rows of poses (rows, n, 17, 64, 64), a caption above either end (Figure 20)."""
    wrapped = [[_wrap(caption, WIDTH / 2 - 0.2) for caption in pair] for pair in pairs]
    fig, axes = _pose_rows(heatmaps, [_room(pair) + 0.04 for pair in wrapped])
    for row, pair in zip(axes, wrapped, strict=True):
        _above(row[0], pair[0], "left")
        _above(row[-1], pair[1], "right")
    return fig


@STYLE
def annotated_image(
    keypoints: np.ndarray,
    box: Sequence[float],
    size: tuple[int, int],
    captions: Sequence[str],
    photo: np.ndarray | None = None,
) -> Figure:
    """A person's box and labelled keypoints in the image, captions beside it (Figure 1).

    Args:
        keypoints: (17, 3) image pixels x, y and COCO visibility.
        box: x, y, width, height, image pixels.
        size: width and height of the image, pixels.
        captions: of the image.
        photo: (height, width, 3); without it the canvas is empty and the skeleton is sketched.
    """
    scale = min(0.6 * WIDTH / size[0], 4.5 / size[1])  # inches per pixel
    width, height = size[0] * scale, size[1] * scale
    fig = Page(WIDTH, height)
    ax = fig.place(0, 0, width, height)
    keypoints = np.asarray(keypoints)
    if photo is None:
        ax.set_facecolor("0.93")
        lines = [keypoints[list(edge), :2] for edge in EDGES if keypoints[list(edge), 2].all()]
        ax.add_collection(LineCollection(lines, colors="0.65", linewidths=1.2), autolim=False)
    else:
        ax.imshow(photo, extent=(0, size[0], size[1], 0))
    ax.add_patch(Rectangle(box[:2], *box[2:], fill=False, edgecolor=BLUE, linewidth=2))
    x, y, _ = keypoints[keypoints[:, 2] > 0].T
    ax.plot(x, y, "o", color=RED, markersize=5.5, markeredgecolor="white", markeredgewidth=0.7)
    ax.set(xlim=(0, size[0]), ylim=(size[1], 0))
    left = width + 0.25
    text = "\n\n".join(_wrap(caption, WIDTH - left) for caption in captions)
    fig.text(left / WIDTH, 0.5, text, va="center", linespacing=1.3)
    return fig


def _curve(metrics: Sequence[Mapping], key: str) -> np.ndarray:
    """(2, n) epochs and values of the lines with ``key``; what is not finite becomes NaN, a gap."""
    points = [(line["epoch"], line[key]) for line in metrics if line.get(key) is not None]
    curve = np.array(points, dtype=float).reshape(-1, 2).T
    return np.where(np.isfinite(curve), curve, np.nan)


def thin(curve: np.ndarray, most: int = 2000) -> np.ndarray:
    """Thins a curve (2, n) to the lowest and highest point of each of ``most / 2`` equal parts.

    So no peak is lost; a part with a NaN keeps one, so that a gap stays a gap. A curve of up to
    ``most`` points is left as it is.
    """
    if curve.shape[1] <= most:
        return curve
    keep = set()
    for part in np.array_split(np.arange(curve.shape[1]), most // 2):
        gaps = np.isnan(curve[1, part])
        keep.update(part[gaps][:1])
        part = part[~gaps][np.argsort(curve[1, part[~gaps]])]
        keep.update((*part[:1], *part[-1:]))
    return curve[:, sorted(keep)]


def averages(curve: np.ndarray) -> np.ndarray:
    """Means of up to 200 equal parts, of ten points or more, of a curve (2, n); gaps stay gaps."""
    parts = np.array_split(curve, min(AVERAGES, curve.shape[1] // 10), axis=1)
    return np.transpose([part.mean(axis=1) for part in parts])


def cut_limits(curve: np.ndarray) -> tuple[float, float] | None:
    """The values to show of a curve (2, n) that is wild at its beginning (Figure 8).

    They hold the later half of the finite points, but for spikes: all between the quantiles of
    0.5 and 99.5 %, and a third as much on either side. None when three times that holds all.
    """
    x, y = curve[:, np.isfinite(curve[1])]
    if not len(y):
        return None
    low, high = np.quantile(y[x >= np.median(x)], [0.005, 0.995])
    margin = (high - low) / 3 or 0.05 * abs(low) or 0.05
    if np.ptp(y) <= 3 * (high - low + 2 * margin):
        return None
    return max(low - margin, y.min() - margin / 4), min(high + margin, y.max() + margin / 4)


def _draw_losses(ax: Axes, metrics: Sequence[Mapping], key: str, cut: bool) -> None:
    """Training and validation losses of one network, and a note on what is not shown."""
    training, validation = _curve(metrics, key), _curve(metrics, f"val_{key}")
    few = dict(marker="o", markersize=3, lw=1) if training.shape[1] < 100 else dict(lw=0.7)
    ax.plot(*thin(training), color=PALE, label="training", **few)
    if training.shape[1] >= 100:
        ax.plot(*averages(training), color=BLUE, lw=1.4, label="training, averaged")
    if validation.size:
        dot = np.clip(300 / validation.shape[1], 1.8, 5)
        dots = dict(marker="o", markersize=dot, mec="white", mew=0.5 * (dot > 4))
        ax.plot(*validation, color=ORANGE, lw=1, label="validation", **dots)
    x, y = both = np.concatenate([training, validation], axis=1)
    limits = cut_limits(both) if cut else None
    notes = []
    if limits:
        # Few as they are, validation points must not all fall outside: the later ones are shown.
        late = validation[1, validation[0] >= np.median(validation[0])] if validation.size else []
        shown = [value for value in late if np.isfinite(value)]
        space = 0.03 * (limits[1] - limits[0])
        limits = (
            min([limits[0], *(v - space for v in shown)]),
            max([limits[1], *(v + space for v in shown)]),
        )
        ax.set_ylim(limits)
        outside = (y < limits[0]) | (y > limits[1])
        if outside.any():
            notes.append(
                f"cut off for display: {outside.sum():,} of {len(y):,} points, the last at epoch "
                f"{x[outside].max():.3g}; in all from {np.nanmin(y):,.4g} to {np.nanmax(y):,.4g}"
            )
    gaps = np.isnan(y).sum()
    if gaps:
        notes.append(f"{gaps:,} of {len(y):,} points are not finite and left out")
    if gaps == len(y):
        ax.text(0.5, 0.5, "no finite values", transform=ax.transAxes, ha="center", va="center")
        ax.set_yticks([])
    note = "\n".join(notes).replace("-", "\N{MINUS SIGN}")
    ax.set_title(note, fontsize=FONT - 0.5, loc="right", color="0.35", pad=4)


@STYLE
def loss_curves(metrics: Sequence[Mapping], cut: bool = True) -> Figure:
    """Losses of D and, below, of G over the epochs (Figures 3, 5, 8, 11, 12, 14, 17).

    Args:
        metrics: lines of metrics.jsonl: ``epoch`` with ``loss_d`` and, where G was updated,
            ``loss_g``; or ``epoch`` with ``val_loss_d`` and ``val_loss_g``.
        cut: leave out what is far from the later half, and say so above the curve.
    """
    fig = Page(WIDTH, 5.4, layout="constrained")
    axes = dict(zip(("discriminator", "generator"), fig.subplots(2, 1, sharex=True), strict=True))
    for name, ax in axes.items():
        _draw_losses(ax, metrics, f"loss_{name[0]}", cut)
        ax.set_ylabel(f"{name} loss")
    ax.set(xlabel="epoch", xlim=(0, 1.01 * max((line["epoch"] for line in metrics), default=1)))
    handles = {line.get_label(): line for ax in axes.values() for line in ax.lines}
    fig.legend(handles.values(), handles, loc="outside upper center", ncols=3, frameon=False)
    return fig


def _histogram(ax: Axes, values: np.ndarray, bins: np.ndarray, colour, label: str) -> None:
    """The density of values, their mean as a line and in the legend."""
    label, look = f"{label} (mean {np.mean(values):#.4g})", dict(element="step", alpha=0.35)
    sns.histplot(x=values, bins=bins, stat="density", color=colour, label=label, ax=ax, **look)
    ax.axvline(np.mean(values), color=colour, ls="--", lw=1.5)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("density")
    ax.legend(frameon=False)


@STYLE
def distance_histograms(
    same: np.ndarray,
    different: np.ndarray,
    labels: tuple[str, str] = ("same image", "two images"),
    xlabel: str = "euclidean distance between caption encodings",
) -> Figure:
    """Two samples of distances, (n,) and (m,), as histograms over one another (Figure 10)."""
    samples = [np.asarray(sample, dtype=float) for sample in (same, different)]
    number = int(np.clip(np.sqrt(min(map(len, samples))), 10, 60))  # few values, broad bins
    bins = np.histogram_bin_edges(np.concatenate(samples), number)
    fig = Page(WIDTH, 3.6, layout="constrained")
    ax = fig.subplots()
    for sample, colour, label in zip(samples, (BLUE, ORANGE), labels, strict=True):
        _histogram(ax, sample, bins, colour, label)
    ax.set_xlabel(xlabel)
    return fig


def retrieval_histogram(d_r: np.ndarray, d_g: np.ndarray) -> Figure:
    """Distances (n,) of validation poses to their nearest real and synthesised pose (Figure 21).

    Heatmap pixels, summed over the 17 keypoints (thesis 4.4.2).
    """
    labels = ("nearest real pose", "nearest synthesised pose")
    return distance_histograms(d_r, d_g, labels, "distance (heatmap pixels, sum over keypoints)")


@STYLE
def norms(h_norms: np.ndarray, z_norms: np.ndarray) -> Figure:
    """Lengths (n,) of caption encodings h, the same times 30, and (m,) of noises z (thesis 4.3)."""
    h_norms, z_norms = np.asarray(h_norms, dtype=float), np.asarray(z_norms, dtype=float)
    parts = {"‖h‖": h_norms, "‖30 h‖": 30 * h_norms, "‖z‖": z_norms}
    fig = Page(WIDTH, 4.0, layout="constrained")
    axes = fig.subplots(len(parts), 1, sharex=True)
    for ax, (label, part), colour in zip(axes, parts.items(), (ORANGE, RED, BLUE), strict=True):
        _histogram(ax, part, np.histogram_bin_edges(part, 40), colour, label)
    ax.set(xlabel="euclidean norm", xlim=(0, None))
    return fig


@STYLE
def preferences(
    captions: Sequence[str],
    shares: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    overall: float,
    interval: tuple[float, float],
    title: str = "",
) -> Figure:
    """Share of subjects that preferred the synthesised pose, question by question (thesis 4.4.3).

    Args:
        captions: of the n questions.
        shares, intervals: n fractions and their intervals.
        overall, interval: fraction of all answers, and its interval: a line in a band.
        title: above the axes.
    """
    fig = Page(WIDTH, 1.1 + 0.24 * len(captions), layout="constrained")
    ax = fig.subplots()
    places, ends = np.arange(1, len(captions) + 1), np.transpose(intervals)  # (n,), (2, n)
    ax.axvspan(*interval, color=ORANGE, alpha=0.2, lw=0)
    ax.axvline(overall, color=ORANGE, lw=1.5, label=f"all answers ({overall:.0%})")
    ax.axvline(0.5, color="0.35", lw=1.2, ls="--", label="no preference (50%)")
    ax.hlines(places, *ends, color=BLUE, lw=1.5)
    ax.plot(shares, places, "o", color=BLUE, markersize=5, label="a question, 95% interval")
    short = [textwrap.shorten(caption, 44, placeholder=" …") for caption in captions]
    ax.set_yticks(places, [f"{caption}  {n}" for n, caption in enumerate(short, 1)])
    ax.set(xlim=(-0.02, 1.02), ylim=(len(captions) + 0.6, 0.4), title=title)
    ax.set_xlabel("share that preferred the synthesised pose")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=3, frameon=False)
    return fig
