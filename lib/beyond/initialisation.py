"""Weights for networks narrower than the thesis's, whose signals would fade with N(0, 0.02^2)."""

import math

import torch
from torch import nn

from lib.beyond.keypoints import NUMBERS, KeypointGenerator, Linear
from lib.models.tables import Generator
from lib.models.weights import NORMS, STD, uniform

EMPTY = -1.5  # before G's tanh: nearly -1, a heatmap without a keypoint
SPREAD = 0.4  # of the last layer's weights of a G that places keypoints: they begin near the centre
WIDTH = 0.25  # before its tanh: how far each keypoint begins to move on its own


def _inputs(layer: nn.Conv2d | nn.ConvTranspose2d | Linear) -> int:
    """How many numbers each output is a weighted sum of."""
    if isinstance(layer, Linear):
        return layer.in_features
    window = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        # G's first layer unfolds a single position; in the others 4 windows overlap everywhere.
        window = 1 if layer.padding == (0, 0) else window // math.prod(layer.stride)
    return layer.in_channels * window


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None, he: bool) -> None:
    """Sets all weights as :func:`lib.models.weights.initialise` does, linear layers that take a
    convolution's place included.

    Args:
        he: instead of N(0, 0.02^2), convolutions and those linear layers are from N(0, 2 / n), with
            n inputs to each output (He et al. 2015), and G begins near an empty heatmap, or with
            its keypoints near the centre.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | Linear | NORMS):
            normalises = isinstance(module, NORMS)
            std = math.sqrt(2 / _inputs(module)) if he and not normalises else STD
            module.weight.normal_(float(normalises), std, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.Linear):
            uniform(module, generator)
    if he and isinstance(network, Generator):
        network.layers[-1][0].bias.fill_(EMPTY)
    if he and isinstance(network, KeypointGenerator):
        network.layers[-1].weight.mul_(SPREAD)
        network.layers[-1].bias[NUMBERS:].fill_(WIDTH)
