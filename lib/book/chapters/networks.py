"""The networks of Tables 1 to 4 as pictures, drawn from the modules themselves."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Polygon
from torch import nn

from lib.book.chapters.canvas import INK, arrow, canvas, drawing, label
from lib.data.skeleton import SIZE
from lib.figures.page import BLUE, ORANGE, Page
from lib.models.tables import KEYPOINTS, NOISE, TEXT, Discriminator, Generator

CAPTION = "compress"  # the layer of a network that a caption's encoding goes through first
ACTIVATIONS = {"ReLU": "ReLU", "LeakyReLU": "leaky\nReLU", "Tanh": "tanh", "Sigmoid": "sigmoid"}


@dataclass(frozen=True)
class Layer:
    """What one layer does and gives; without an activation, what a network is given."""

    name: str  # in the module
    channels: int
    side: int  # of the grid; 1 for a vector
    normalised: bool = False
    activation: str = ""  # a key of ACTIVATIONS, or none


@torch.no_grad()
def layers(network: nn.Module, *inputs: torch.Tensor) -> list[Layer]:
    """The layers of a network in the order in which they are run on some inputs."""
    found, hooks = [], []
    for name, module in network.named_modules():
        parts = list(module.children())
        if isinstance(module, nn.Sequential) and not isinstance(parts[0], nn.Sequential):

            def note(_, __, output, name=name, parts=parts):
                kinds = [type(part).__name__ for part in parts]
                activation = next((each for each in ACTIVATIONS if each in kinds), "")
                _, channels, *grid = output.shape
                side = grid[0] if grid else 1
                found.append(Layer(name, channels, side, "BatchNorm2d" in kinds, activation))

            hooks.append(module.register_forward_hook(note))
    network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return found


def _size(layer: Layer) -> float:
    return 0.07 + 0.1 * np.log2(layer.side)


def _volume(ax: Axes, x: float, y: float, layer: Layer) -> float:
    """A block whose left edge is at x and whose front is centred at y: as high as the logarithm of
    its grid's side, as deep as that of its channels. Gives the x where it ends."""
    size, depth = _size(layer), 0.025 * np.log2(layer.channels)
    front = np.array([(0, 0), (size, 0), (size, size), (0, size)]) + (x, y - size / 2)
    back = front + (depth, -depth)
    colour = BLUE if layer.normalised else ORANGE if layer.name in ("h", CAPTION) else INK
    for corners, alpha in (
        (front, 0.3),
        ((front[0], front[1], back[1], back[0]), 0.18),
        ((front[1], front[2], back[2], back[1]), 0.5),
    ):
        ax.add_patch(Polygon(corners, facecolor=to_rgba(colour, alpha), edgecolor=colour, lw=0.8))
    return x + size + depth


def _joining(ax: Axes, x: float, y: float, h: Layer, compressed: Layer) -> None:
    """The way of a caption's encoding to (x, y), where it joins the rest."""
    above = y - 0.68
    label(ax, x - 0.88, above - 0.32, f"h, {h.channels}")
    end = _volume(ax, x - 0.95, above, h)
    arrow(ax, (end + 0.02, above), (x - 0.47, above), colour=ORANGE)
    label(ax, x - 0.28, above - 0.32, str(compressed.channels))
    end = _volume(ax, x - 0.45, above, compressed)
    arrow(ax, (end + 0.02, above), (x, above), (x, y - 0.05), colour=ORANGE)


def _row(ax: Axes, x: float, y: float, network: nn.Module, given: list[Layer]) -> None:
    """A network from left to right, with what it is ``given``: z or x, and perhaps h."""
    shapes = [(1, g.channels, g.side, g.side) if g.side > 1 else (1, g.channels) for g in given]
    run, gap = layers(network, *map(torch.zeros, shapes)), 0.17
    for before, layer in pairwise((None, given[0], *run)):
        if layer.name == CAPTION:
            continue
        if before is not None:
            arrow(ax, (x + 0.02, y), (x + gap - 0.02, y))
            if before.name == CAPTION:
                _joining(ax, x + gap / 2 - 0.02, y, given[1], before)
            x += gap
        grid = f"{layer.side} \N{MULTIPLICATION SIGN} {layer.side}\n" if layer.side > 1 else ""
        what = layer.name if layer in given else ACTIVATIONS.get(layer.activation, "")
        below = f"{grid}{layer.channels}\n{what}"
        label(ax, x + _size(layer) / 2, y + 0.42, below, va="top")
        x = _volume(ax, x, y, layer)


@drawing
def networks(conditional: bool = False) -> Page:
    """G above D: Tables 1 and 2 or, with captions, Tables 3 and 4."""
    space = 0.55 if conditional else 0.0  # for the way of the caption
    ax = canvas(3.55 + 2 * space)
    G = Generator(conditional)
    D = Discriminator(conditional, batch_norm=not conditional, sigmoid=not conditional)
    h = [Layer("h", TEXT, 1)] if conditional else []
    _row(ax, 0.85 if conditional else 0.15, 0.55 + space, G, [Layer("z", NOISE, 1), *h])
    _row(ax, 0.05, 2.3 + 2 * space, D, [Layer("x", KEYPOINTS, SIZE), *h])
    for x, y, name in ((5.1, 0.1, "G"), (5.1, 1.85, "D")):
        label(ax, x, y + (space if name == "D" else 0), name, "right", weight="bold")
    return ax.figure


def unconditional_networks() -> Page:
    """G of Table 1 above D of Table 2."""
    return networks(conditional=False)


def conditional_networks() -> Page:
    """G of Table 3 above D of Table 4."""
    return networks(conditional=True)
