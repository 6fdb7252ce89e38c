"""Poses as pictures: an SVG, a sheet in the book's manner, and OpenPose's drawing."""

import io
import json
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from lib.data.skeleton import COLOURS, EDGES, NAMES, SIDES, SIZE, side
from lib.pose.formats import KEY, with_neck
from lib.pose.model import Canvas

COLUMNS = 6  # of a sheet, at the most
TILE, GAP, LINE = 256, 8, 4  # of a pose in a sheet, between two, and of its skeleton, pixels
FINE = 4  # times as many pixels in which lines are drawn first
SIGMA = 2.0  # heatmap pixels: lib.data.heatmaps
STROKE, DOT = 14, 9  # width of a limb and radius of a keypoint in the SVG, pixels
# OpenPose's: a colour for each of its 18 points, and the limbs by the points they join. A limb has
# the colour of its place, at 0.6 of its brightness.
RAINBOW = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
    (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
DARKER, RADIUS = 0.6, 4  # of limbs; of points and half of a limb's width, pixels


def svg(poses: np.ndarray, made_by: dict, canvas: Canvas) -> bytes:
    """Poses (n, 17, 3) in pixels of the canvas, a group each: lines of limbs, circles of keypoints
    with their names as titles. The ground is transparent."""
    columns = min(len(poses), COLUMNS)
    rows = -(-len(poses) // columns)
    width, height = columns * canvas.width, rows * canvas.height
    size = {"width": str(width), "height": str(height)}
    look = {"viewBox": f"0 0 {width} {height}", "role": "img"}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"} | size | look)
    ElementTree.SubElement(root, "title").text = made_by["caption"]
    ElementTree.SubElement(root, "metadata").text = json.dumps(made_by, ensure_ascii=False)
    for number, pose in enumerate(poses):
        corner = number % columns * canvas.width, number // columns * canvas.height
        place = "translate({} {})".format(*corner)
        group = ElementTree.SubElement(root, "g", {"id": f"pose-{number + 1}", "transform": place})
        for edge in (edge for edge in EDGES if pose[list(edge), 2].all()):
            ends = dict(zip(("x1", "y1", "x2", "y2"), pose[list(edge), :2].flatten(), strict=True))
            ends = {name: f"{value:.2f}" for name, value in ends.items()}
            line = {"stroke": SIDES[side(edge)], "stroke-width": str(STROKE)}
            ElementTree.SubElement(group, "line", ends | line | {"stroke-linecap": "round"})
        for name, (x, y, visible) in zip(NAMES, pose, strict=True):
            if visible:
                circle = {"cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": str(DOT), "fill": "#222"}
                dot = ElementTree.SubElement(group, "circle", circle)
                ElementTree.SubElement(dot, "title").text = name
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def sheet(keypoints: np.ndarray, made_by: dict) -> bytes:
    """A PNG of poses (n, 17, 3) in heatmap pixels, as the book draws them: heatmaps, and over them
    the skeleton."""
    columns = min(len(keypoints), COLUMNS)
    rows = -(-len(keypoints) // columns)
    step = TILE + GAP
    image = Image.new("RGB", (columns * step - GAP, rows * step - GAP), "white")
    for number, pose in enumerate(keypoints):
        image.paste(_tile(pose), (number % columns * step, number // columns * step))
    return _png(image, made_by)


def _tile(pose: np.ndarray) -> Image.Image:
    """A pose (17, 3) in heatmap pixels as a picture."""
    scale = TILE / SIZE
    grid = (np.arange(TILE) + 0.5) / scale - 0.5  # where heatmap pixels are the whole numbers
    x, y = np.exp(-((grid - pose[:, :2].T[..., None]) ** 2) / (2 * SIGMA**2))  # (17, 256) each
    bells = y[:, :, None] * x[:, None] * (pose[:, 2:, None] > 0)
    glow = (bells[..., None] * COLOURS[:, None, None]).max(axis=0)
    tile = Image.fromarray((255 * glow).astype(np.uint8))
    lines = Image.new("RGBA", (FINE * TILE, FINE * TILE))
    draw = ImageDraw.Draw(lines)
    ends = (pose[:, :2] + 0.5) * scale * FINE
    for edge in (edge for edge in EDGES if pose[list(edge), 2].all()):
        a, b = (tuple(ends[place]) for place in edge)
        draw.line((a, b), fill=SIDES[side(edge)], width=FINE * LINE)
    lines = lines.resize((TILE, TILE), Image.Resampling.BOX)
    tile.paste(lines, mask=lines)
    return tile


def openpose_png(pose: np.ndarray, made_by: dict, canvas: Canvas) -> bytes:
    """A PNG of a pose (17, 3) in pixels of the canvas, for ControlNet with no preprocessor."""
    image = Image.new("RGB", (canvas.width, canvas.height))
    draw, points = ImageDraw.Draw(image), with_neck(pose)
    for (a, b), colour in zip(LIMBS, RAINBOW, strict=False):
        if points[a, 2] and points[b, 2]:
            darker = tuple(int(value * DARKER) for value in colour)
            draw.polygon(_ellipse(points[a, :2], points[b, :2]), fill=darker)
    for (x, y, visible), colour in zip(points, RAINBOW, strict=True):
        if visible:
            draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), fill=colour)
    return _png(image, made_by)


def _png(image: Image.Image, made_by: dict) -> bytes:
    information, file = PngImagePlugin.PngInfo(), io.BytesIO()
    information.add_itxt(KEY, json.dumps(made_by, ensure_ascii=False))
    image.save(file, "png", pnginfo=information)
    return file.getvalue()


def _ellipse(a: np.ndarray, b: np.ndarray) -> list[tuple[float, float]]:
    """The outline of an ellipse from ``a`` to ``b``, as wide as OpenPose draws a limb."""
    along, angles = (b - a) / 2, np.linspace(0, 2 * np.pi, 60, endpoint=False)
    length = max(float(np.hypot(*along)), 1e-6)
    across = np.array([-along[1], along[0]]) / length * RADIUS
    outline = (a + b) / 2 + np.cos(angles)[:, None] * along + np.sin(angles)[:, None] * across
    return [tuple(point) for point in outline]
