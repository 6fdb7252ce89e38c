"""Figures that come alive in the book: curves to zoom, poses that a slider or a choice changes.

A live figure is an image, which JupyterLab and the book show, and in the same output of the cell
what moves, as JSON. This module is also a Sphinx extension, named in ``_config.yml``: it hands that
JSON to the page, where ``book/assets/live.js`` puts it in the image's place, and copies plotly's
script, which draws the curves, into the book. Without scripts, and in print, the image remains.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from matplotlib.colors import to_hex

from lib.data.heatmaps import decode
from lib.data.skeleton import COLOURS, EDGES, SIDES, side
from lib.figures.page import BLUE, Page

FRAMES = 21  # of an interpolation: steps of 5 %
# Lines by their label. Each has a contrast of 3 or more with the light and with the dark page.
LINES = {
    "training": {"color": "#7f8fa6", "width": 1},
    "training, averaged": {"color": to_hex(BLUE), "width": 2.5},
    "validation": {"color": "#c47700", "width": 1.5},
}
AXIS = {"gridcolor": "#80808050", "zeroline": False}  # faint on the light and on the dark page
EPOCHS = {"title": {"text": "epoch", "standoff": 4}, "anchor": "y2"}
EPOCHS |= {"unifiedhovertitle": {"text": "epoch %{x:.4~g}"}}
EPOCHS |= {"spikecolor": "#808080", "spikedash": "solid", "spikethickness": 1}
# Below all, where a narrow screen breaks it into two lines.
BELOW = {"y": 0, "yanchor": "bottom", "yref": "container", "x": 0.5, "xanchor": "center"}
LAYOUT = {
    "template": {},  # plotly's own would paint a background
    "font": {"size": 13},
    "hovermode": "x unified",
    "legend": BELOW | {"orientation": "h", "tracegroupgap": 0},
    "margin": {"l": 62, "r": 8, "t": 32, "b": 84},
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": AXIS | EPOCHS,
    "yaxis": AXIS | {"domain": (0.54, 1.0)},  # of D, above that of G
    "yaxis2": AXIS | {"domain": (0.0, 0.46)},
}
SCRIPT = "plotly.min.js"
MIME = "application/vnd.pose.live+json"  # of what moves, in a cell's output


@dataclass(frozen=True, repr=False)
class Live:
    """A live figure, as a notebook shows it: an image, and what live.js shows, ready for JSON."""

    figure: Page
    content: dict[str, Any]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        image = self.figure._repr_png_()
        return {"text/plain": "a live figure", "image/png": image, MIME: self.content}


def loss_curves(figure: Page) -> Live:
    """The curves of a figure of :func:`lib.figures.curves.loss_curves`, with the same points, to
    zoom and to read values from; where the image cuts a wild beginning off, zooming out shows it.
    """
    plot, notes, labels = go.Figure(layout=LAYOUT), [], set()
    plot.update_xaxes(range=figure.axes[0].get_xlim())
    for name, axis, ax in zip("DG", ("y", "y2"), figure.axes, strict=True):
        title = ax.get_ylabel()
        own = {"title": {"text": title}, "range": ax.get_ylim()}
        plot.update_layout({axis.replace("y", "yaxis"): own})
        notes += [f"{title}: {note}" for note in ax.get_title(loc="left").splitlines()]
        for line in ax.lines:
            label, (x, y) = line.get_label(), line.get_xydata().T.astype("float32")
            dots = line.get_marker() == "o" and len(x) < 100
            look = {"mode": "lines+markers" if dots else "lines", "marker": {"size": 4}}
            look |= {"line": LINES[label], "hovertemplate": f"{name} %{{y:.4g}}"}
            look |= {"name": label, "legendgroup": label, "showlegend": label not in labels}
            plot.add_scatter(x=x, y=y, yaxis=axis, **look)
            labels.add(label)
    return Live(figure, {"plot": json.loads(plot.to_json()), "notes": notes})


def interpolation_slider(
    figure: Page, heatmaps: torch.Tensor, ends: Sequence[tuple[str, str]]
) -> Live:
    """Heatmaps (choices, frames, n, 17, 64, 64) whose frames, of n poses each, a slider runs
    through, with a choice of ``ends``: what lies at the left and at the right one."""
    choices = [
        {"name": f"{left} \N{RIGHTWARDS ARROW} {right}", "ends": (left, right), "frames": frames}
        for (left, right), frames in zip(ends, keypoints(heatmaps), strict=True)
    ]
    return _poses(figure, choices)


def gallery(figure: Page, captions: Sequence[str], real: torch.Tensor, fakes: torch.Tensor) -> Live:
    """A choice of n captions, each with its real pose, (n, 17, 64, 64), and synthesised ones,
    (rows, n, 17, 64, 64) as :func:`lib.models.synthesis.caption_grid` gives them."""
    columns = zip(captions, keypoints(real), keypoints(fakes.transpose(0, 1)), strict=True)
    choices = [
        {"name": " ".join(caption.split()), "real": pose, "frames": [column]}
        for caption, pose, column in columns
    ]
    return _poses(figure, choices)


def keypoints(heatmaps: torch.Tensor) -> list:
    """Decodes heatmaps (..., 17, 64, 64) to lists (..., 34): x and y of each keypoint in heatmap
    pixels, -1 and -1 where there is none."""
    poses = decode(heatmaps.detach().flatten(0, -4)).int()  # (N, 17, 3)
    xy = torch.where(poses[..., 2:] > 0, poses[..., :2], -1)  # (N, 17, 2)
    return xy.reshape(*heatmaps.shape[:-3], -1).tolist()


def _poses(figure: Page, choices: list[dict]) -> Live:
    """A choice of poses, in the colours of keypoints and edges of all the book's images."""
    edges = [(*edge, SIDES[side(edge)]) for edge in EDGES]
    skeleton = {"colours": [to_hex(colour) for colour in COLOURS], "edges": edges}
    return Live(figure, {"choices": choices, "skeleton": skeleton})


def _copy_script(app, exception):
    if exception is None:
        script = files("plotly") / "package_data" / SCRIPT
        shutil.copyfile(script, Path(app.outdir) / "_static" / SCRIPT)


def _add_to_page(app, pagename: str, _template, context: dict, _doctree) -> None:
    """Hands a page what moves in its executed notebook, each with the name of its figure."""
    source = Path(app.srcdir) / f"{pagename}.ipynb"
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"] if source.is_file() else []
    for cell in cells:
        place = {"place": cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")}
        for output in cell.get("outputs", []):
            if content := output.get("data", {}).get(MIME):
                # No text in it can end the script element.
                text = json.dumps(place | content, separators=(",", ":")).replace("<", "\\u003c")
                script = f"<script>(window.liveFigures ??= []).push({text});</script>"
                context["body"] += script


def setup(app):
    """Connects the two; Sphinx calls it."""
    app.connect("html-page-context", _add_to_page)
    app.connect("build-finished", _copy_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
