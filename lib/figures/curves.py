"""Numbers as pictures (Figures 3, 5, 8, 10 to 12, 14, 17, 21): losses, distances, preferences."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lib.evaluation.statistics import Estimate
from lib.figures.page import BLUE, FONT, ORANGE, PALE, RED, STYLE, WIDTH, Page
from lib.figures.tables import minus

AVERAGES = 200  # points of the line that averages a long training curve


def _curve(metrics: Sequence[Mapping], key: str) -> np.ndarray:
    """(2, n) epochs and values of the lines with ``key``; what is not finite becomes NaN, a gap."""
    points = [(line["epoch"], line[key]) for line in metrics if line.get(key) is not None]
    curve = np.array(points, dtype=float).reshape(-1, 2).T
    return np.where(np.isfinite(curve), curve, np.nan)


def thin(curve: np.ndarray, most: int = 2000) -> np.ndarray:
    """Thins a curve (2, n) of more than ``most`` points to the lowest and the highest of each of
    ``most / 2`` equal parts, so that no peak is lost; of NaNs a part keeps one, a gap."""
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
    """The values to show of a curve (2, n) that is wild at its beginning (Figure 8), or None.

    They hold the later half of the finite points, but for spikes: all between the quantiles of
    0.5 and 99.5 %, and a third as much on either side. If three times that holds all, all is shown.
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
        late = validation[1, validation.shape[1] // 2 :]
        space, late = 0.03 * (limits[1] - limits[0]), late[np.isfinite(late)]
        low, high = min([limits[0], *(late - space)]), max([limits[1], *(late + space)])
        ax.set_ylim(low, high)
        outside = (y < low) | (y > high)
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
    note = minus("\n".join(notes))
    ax.set_title(note, fontsize=FONT, loc="left", color="0.35", pad=4, wrap=True)


@STYLE
def loss_curves(metrics: Sequence[Mapping], cut: bool = True) -> Figure:
    """Losses of D and, below, of G over the epochs, from lines of metrics.jsonl (Figures 3, 5, 8,
    11, 12, 14, 17); ``cut`` leaves out what is far from the later half, and says so above."""
    fig = Page(WIDTH, 4.6, layout="constrained")
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
    above = dict(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    ax.legend(frameon=False, **above)


def _overlaid(
    ax: Axes, samples: tuple[np.ndarray, np.ndarray], labels: tuple[str, str], xlabel: str
) -> None:
    """Two samples of numbers, (n,) and (m,), as histograms over one another."""
    samples = [np.asarray(sample, dtype=float) for sample in samples]
    if not all(map(len, samples)):
        ax.text(0.5, 0.5, "no distances", ha="center", va="center", transform=ax.transAxes)
        return
    number = int(np.clip(np.sqrt(min(map(len, samples))), 10, 60))  # few values, broad bins
    bins = np.histogram_bin_edges(np.concatenate(samples), number)
    for sample, colour, label in zip(samples, (BLUE, ORANGE), labels, strict=True):
        _histogram(ax, sample, bins, colour, label)
    ax.set_xlabel(xlabel)


@STYLE
def distance_histograms(same: np.ndarray, different: np.ndarray) -> Figure:
    """Distances of encodings, (n,) of one image's captions and (m,) of two images' (Figure 10)."""
    fig = Page(WIDTH, 2.9, layout="constrained")
    labels, xlabel = ("same image", "two images"), "euclidean distance between caption encodings"
    _overlaid(fig.subplots(), (same, different), labels, xlabel)
    return fig


@STYLE
def nearest_histograms(result) -> Figure:
    """Distances to the nearest neighbour in both directions, of an
    :class:`lib.evaluation.measures.Evaluation` (Figure 21)."""
    fig = Page(WIDTH, 5.8, layout="constrained")
    to, back = fig.subplots(2, 1)
    samples = result.typicality_real, result.typicality_fake
    _overlaid(
        to, samples, ("real poses", "synthesised poses"), "distance to the nearest validation pose"
    )
    samples = result.retrieval_real, result.retrieval_fake
    labels = ("to the nearest real pose", "to the nearest synthesised pose")
    _overlaid(
        back, samples, labels, "distance of a validation pose (heatmap pixels, sum over keypoints)"
    )
    return fig


@STYLE
def by_size(accuracies: dict[str, dict[int, Estimate]]) -> Figure:
    """1-NN accuracies over the number of poses of each kind, a line with its 95 % band for each of
    what they are of; the dashed line is what no test can beat."""
    fig = Page(WIDTH, 2.9, layout="constrained")
    ax = fig.subplots()
    for (label, found), colour in zip(accuracies.items(), (BLUE, ORANGE, RED), strict=False):
        low, high = ([getattr(e, end) for e in found.values()] for end in ("low", "high"))
        ax.plot(
            list(found), [e.value for e in found.values()], "o-", ms=4, color=colour, label=label
        )
        ax.fill_between(list(found), low, high, color=colour, alpha=0.2, lw=0)
    ax.axhline(0.5, color="0.35", lw=1.2, ls="--")
    ax.set(xlabel="poses of each kind", ylabel="1-NN accuracy")
    ax.set_xscale("log", base=2)  # each tick has twice as many
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.legend(frameon=False)
    return fig


@STYLE
def norms(h_norms: np.ndarray, scaled: np.ndarray, z_norms: np.ndarray) -> Figure:
    """Lengths (n,) of caption encodings h, of the same times 30, and (m,) of noises z (4.3)."""
    parts = dict(zip(("‖h‖", "‖30 h‖", "‖z‖"), (h_norms, scaled, z_norms), strict=True))
    fig = Page(WIDTH, 4.4, layout="constrained")
    axes = fig.subplots(len(parts), 1, sharex=True)
    for ax, (label, part), colour in zip(axes, parts.items(), (ORANGE, RED, BLUE), strict=True):
        _histogram(ax, part, np.histogram_bin_edges(part, 40), colour, label)
    ax.set(xlabel="euclidean norm", xlim=(0, None))
    return fig


@STYLE
def preferences(
    captions: Sequence[str], shares: Sequence[Estimate], overall: Estimate, title: str = ""
) -> Figure:
    """Share of subjects that preferred the synthesised pose, question by question (thesis 4.4.3);
    ``overall``, that of all answers, is a line in a band."""
    fig = Page(WIDTH, 1.1 + 0.24 * len(captions), layout="constrained")
    ax = fig.subplots()
    places = np.arange(1, len(captions) + 1)
    values, low, high = np.transpose([(s.value, s.low, s.high) for s in shares])  # (n,) each
    ax.axvspan(overall.low, overall.high, color=ORANGE, alpha=0.2, lw=0)
    label = f"all answers ({overall.value:.0%})"
    ax.axvline(overall.value, color=ORANGE, lw=1.5, label=label)
    ax.axvline(0.5, color="0.35", lw=1.2, ls="--", label="no preference (50%)")
    ax.hlines(places, low, high, color=BLUE, lw=1.5)
    ax.plot(values, places, "o", color=BLUE, markersize=5, label="a question, 95% interval")
    short = [textwrap.shorten(caption, 32, placeholder=" …") for caption in captions]
    ax.set_yticks(places, [f"{caption}  {n}" for n, caption in enumerate(short, 1)])
    ax.set(xlim=(-0.02, 1.02), ylim=(len(captions) + 0.6, 0.4), title=title)
    ax.set_xlabel("share that preferred the synthesised pose")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=2, frameon=False)
    return fig
