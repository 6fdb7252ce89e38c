"""The 17 COCO keypoints (thesis 3.1), their skeleton, their colours in all pictures, and the grid
of a heatmap (thesis 3.2)."""

from colorsys import hsv_to_rgb

import numpy as np

NAMES = (
    "nose", "left eye", "right eye", "left ear", "right ear",
    "left shoulder", "right shoulder", "left elbow", "right elbow",
    "left wrist", "right wrist", "left hip", "right hip",
    "left knee", "right knee", "left ankle", "right ankle",
)  # fmt: skip

# Adjacent keypoints, joined by a line in Figure 2.
EDGES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip

# Where each keypoint goes when a pose is mirrored: left and right change places.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)

SIZE = 64  # grid points along each side of a heatmap: the integers 0 to 63
CENTRE = 32.0  # where a pose is centred, rotated and mirrored about, in heatmap pixels
MIN_VISIBLE = 8  # labelled keypoints an eligible pose has at the least

SIDES = {"left": "#ffb347", "right": "#6cc5ff", "middle": "#f2f2f2"}  # of the skeleton


def side(edge: tuple[int, int]) -> str:
    """The side of the body that an edge of the skeleton belongs to; the nose is on both."""
    sides = {NAMES[i].split()[0] for i in edge} - {"nose"}
    return sides.pop() if len(sides) == 1 else "middle"


def _colour(keypoint: int) -> tuple[float, float, float]:
    """RGB: nose white, left keypoints rose to yellow, right ones cyan to violet. Warm and cold stay
    apart without red and green; neighbours also differ in saturation."""
    if not keypoint:
        return 1.0, 1.0, 1.0
    pair, right = divmod(keypoint - 1, 2)
    hue = 172 + pair * 123 / 7 if right else -25 + pair * 89 / 7  # degrees
    return hsv_to_rgb(hue % 360 / 360, 0.9 if pair % 2 else 0.55, 1.0)


COLOURS = np.array([_colour(keypoint) for keypoint in range(len(NAMES))])  # (17, 3)
