"""Sentences with their poses, the game of a GAN, and the pairs that a conditional D is shown."""

import textwrap
from functools import cache
from urllib.parse import urlencode

import numpy as np

from lib.book.chapters.canvas import WIDTH, arrow, box, canvas, drawing, label, tile
from lib.book.chapters.trial import EXAMPLES
from lib.data.heatmaps import fit_to_heatmap
from lib.data.sample import people
from lib.figures.page import BLUE, ORANGE, RED, Page
from lib.pose.model import Model

IMAGES = 400  # of the sample data, to choose from
SENTENCE, SEED = "a man swings a tennis racket", 8  # which gives a pose with every keypoint
OTHER = "surfing"  # an activity that is not that of SENTENCE


@cache
def real_pair(activity: str = "tennis") -> tuple[np.ndarray, str]:
    """A real pose (17, 3), in heatmap pixels, and its caption: of generated people, the first who
    is alone in the image, with every keypoint labelled, in an activity."""
    files = people.split(np.random.default_rng(0), IMAGES, 1)
    said = {each["image_id"]: each["caption"] for each in files["captions"]["annotations"]}
    persons = files["person_keypoints"]["annotations"]
    images = [person["image_id"] for person in persons]
    for image, person in zip(images, persons, strict=True):
        alone = images.count(image) == 1 and files["activities"][str(image)] == activity
        if alone and person["num_keypoints"] == 17:
            keypoints = np.array(person["keypoints"], np.float32).reshape(1, 17, 3)
            box = np.array([person["bbox"]], np.float32)
            return fit_to_heatmap(keypoints, box)[0], said[image]
    raise LookupError(f"no such person among {IMAGES} images: {activity}")


def synthesised_pose() -> np.ndarray:
    """A pose (17, 3), in heatmap pixels, of the published model for SENTENCE."""
    return Model().pose(SENTENCE, 1, SEED).keypoints[0]


@drawing
def sentences() -> Page:
    """Six sentences, which lead to the page ``pose``, and the first pose that it answers with."""
    columns, size, model = 3, 1.62, Model()
    ax = canvas(4.3)
    for place, sentence in enumerate((SENTENCE, *EXAMPLES, "a man rides a skateboard")):
        row, column = divmod(place, columns)
        x, y = WIDTH * (column + 0.5) / columns, 2.15 * row
        address = f"pose.html?{urlencode({'caption': sentence})}"
        square = tile(ax, x, y + 0.85, size, model.pose(sentence).keypoints[0])
        square.images[0].set_url(address)
        label(ax, x, y + 1.72, textwrap.fill(sentence, 22), va="top", url=address)
    return ax.figure


@drawing
def gan() -> Page:
    """The game (equation 1): noise becomes a sample, D tells it from a real one, both learn."""
    ax, size = canvas(3.15), 0.95
    top, middle, bottom = 0.75, 1.4, 2.05
    label(ax, 0.25, bottom, "z", style="italic")
    label(ax, 0.25, bottom + 0.22, "noise")
    arrow(ax, (0.4, bottom), (0.68, bottom))
    box(ax, 1.08, bottom, (0.8, 0.7), "G", BLUE)
    arrow(ax, (1.48, bottom), (1.83, bottom))
    tile(ax, 2.35, top, size, real_pair()[0])
    tile(ax, 2.35, bottom, size, synthesised_pose())
    label(ax, 1.78, top, "real, x", "right", style="italic")
    label(ax, 2.35, bottom + 0.6, "synthesised, G(z)", style="italic")
    for y, way in ((top, -0.15), (bottom, 0.15)):
        arrow(ax, (2.87, y), (3.28, middle + way))
    box(ax, 3.65, middle, (0.7, 0.7), "D", ORANGE)
    arrow(ax, (4.0, middle), (4.18, middle))
    label(ax, 4.23, middle, "real or\nsynthesised?", "left")
    # What either learns from the answer.
    arrow(ax, (4.7, 1.15), (4.7, 0.45), (3.65, 0.45), (3.65, 1.03), colour=ORANGE, ls="--")
    label(ax, 4.17, 0.25, "D learns to tell")
    arrow(ax, (4.7, 1.65), (4.7, 3.0), (1.08, 3.0), (1.08, 2.42), colour=BLUE, ls="--")
    label(ax, 3.95, 2.83, "G learns to mislead")
    return ax.figure


@drawing
def pairs() -> Page:
    """The three kinds of pairs (equations 5 and 8), and which way D's answer to each should go."""
    ax, size = canvas(2.95), 1.3
    real, own = real_pair()
    kinds = (
        ("real pose,\nits own caption", real, own, "D(x, h)"),
        ("real pose,\nanother's caption", real, real_pair(OTHER)[1], "D(x, \u0125)"),
        ("synthesised pose,\nits caption", synthesised_pose(), SENTENCE, "D(G(z, h), h)"),
    )
    for number, (kind, pose, caption, score) in enumerate(kinds):
        belongs = number == 0
        colour = BLUE if belongs else RED
        x = WIDTH * (number + 0.5) / len(kinds)
        label(ax, x, 0.2, kind)
        tile(ax, x, 1.1, size, pose)
        ax.plot([x - size / 2, x + size / 2], [1.82, 1.82], color=colour, lw=4)
        said = textwrap.fill(f"\u201c{caption.rstrip('.')}\u201d", 22)
        label(ax, x, 1.92, said, va="top")
        way = "\N{UPWARDS ARROW}" if belongs else "\N{DOWNWARDS ARROW}"
        label(ax, x, 2.75, f"{score} {way}", style="italic")
    return ax.figure
