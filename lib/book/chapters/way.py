"""The way of a caption to a pose, with the numbers that the published generator has on it."""

import numpy as np
import torch
from matplotlib.axes import Axes

from lib.book.chapters.canvas import WIDTH, arrow, box, canvas, drawing, label, tile
from lib.book.chapters.diagrams import SEED, SENTENCE
from lib.data.heatmaps import render
from lib.data.skeleton import COLOURS
from lib.figures.page import BLUE, ORANGE, Page
from lib.pose.model import Model
from lib.pose.plain import SLOPE, Plain, noise


def numbers(ax: Axes, x: float, y: float, width: float, values: np.ndarray) -> None:
    """Numbers (n,) as stripes from left to right about (x, y): blue below 0, red above."""
    place = ax.figure.place(x - width / 2, y - 0.12, width, 0.24)
    most = np.abs(values).max()
    look = dict(cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    place.imshow(values[None], **look)


@drawing
def caption_to_pose() -> Page:
    """Words, their encoding h, the compressed encoding with the noise, 17 channels, a pose; and D,
    which is given both the pose and the caption."""
    ax, model = canvas(5.75), Model()
    h = model.scale * model.words.encode(SENTENCE)
    weight, bias = Plain.read(model.weights).compress
    compressed = weight @ h + bias
    z = noise(1, SEED)[0]
    pose = model.pose(SENTENCE, 1, SEED).keypoints[0]
    left, right, middle = 1.4, 3.9, WIDTH / 2

    label(ax, left, 0.2, f"\u201c{SENTENCE}\u201d")
    arrow(ax, (left, 0.36), (left, 0.62))
    label(ax, left + 0.1, 0.48, "mean of its words, \u00d7 30", "left")
    numbers(ax, left, 0.78, 2.3, h)
    label(ax, left + 1.25, 0.78, "h, 300 numbers", "left")
    arrow(ax, (left, 0.94), (left, 1.22))
    label(ax, left + 0.1, 1.07, "linear layer", "left")
    numbers(ax, left, 1.38, 1.6, np.maximum(compressed, SLOPE * compressed))
    label(ax, left, 1.64, "128 numbers")
    numbers(ax, right, 1.38, 1.6, z)
    label(ax, right, 1.64, "noise z, 128 numbers")
    for x in (left, right):
        arrow(ax, (x, 1.78), (middle + np.sign(x - middle) * 0.2, 2.02))
    box(ax, middle, 2.27, (0.9, 0.46), "G", BLUE)
    arrow(ax, (middle, 2.52), (middle, 2.76))
    label(ax, middle + 0.1, 2.64, "17 channels, one a keypoint", "left")
    columns, step = 9, WIDTH / 9
    for i, (channel, colour) in enumerate(zip(render(pose[None])[0], COLOURS, strict=True)):
        row, column = divmod(i, columns)
        x = (column + row / 2) * step  # the second row has one fewer
        place = ax.figure.place(x + 0.02, 2.8 + row * step, step - 0.04, step - 0.04)
        place.imshow(channel[..., None] * torch.as_tensor(colour))
    arrow(ax, (left, 3.98), (left, 4.27))
    label(ax, left + 0.1, 4.1, "the highest point of each", "left")
    tile(ax, left, 4.98, 1.35, pose)
    arrow(ax, (2.12, 4.98), (2.83, 4.98))
    label(ax, 2.45, 4.85, "x")
    box(ax, 3.3, 4.98, (0.9, 0.46), "D", ORANGE)
    arrow(ax, (3.3, 5.5), (3.3, 5.25))
    label(ax, 3.3, 5.6, "h again")
    arrow(ax, (3.77, 4.98), (4.1, 4.98))
    label(ax, 4.15, 4.98, "a score for\nboth together", "left")
    return ax.figure
