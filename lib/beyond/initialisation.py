"""Weights for networks narrower than the thesis's, whose signals would fade with N(0, 0.02^2)."""

import math

import torch
from torch import nn

from lib.beyond.keypoints import NUMBERS, KeypointGenerator, Linear
from lib.models import weights
from lib.models.tables import Generator

EMPTY = -1.5  # before G's tanh: nearly -1, a heatmap without a keypoint
SPREAD = 0.4  # of the last layer's weights of a G that places keypoints: they begin near the centre
WIDTH = 0.25  # before its tanh: how far each keypoint begins to move on its own


def _std(layer: nn.Conv2d | nn.ConvTranspose2d | Linear) -> float:
    """sqrt(2 / n), where each output is a weighted sum of n inputs."""
    if isinstance(layer, Linear):
        return math.sqrt(2 / layer.in_features)
    window = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        # G's first layer unfolds a single position; in the others 4 windows overlap everywhere.
        window = 1 if layer.padding == (0, 0) else window // math.prod(layer.stride)
    return math.sqrt(2 / (layer.in_channels * window))


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None) -> None:
    """Sets all weights as :func:`lib.models.weights.initialise` does, but for convolutions, and
    linear layers in their place: from N(0, 2 / n), with n inputs to each output (He et al. 2015).
    G begins near an empty heatmap, or with its keypoints near the centre."""
    weights.initialise(network, generator, _std)
    if isinstance(network, Generator):
        network.layers[-1][0].bias.fill_(EMPTY)
    if isinstance(network, KeypointGenerator):
        network.layers[-1].weight.mul_(SPREAD)
        network.layers[-1].bias[NUMBERS:].fill_(WIDTH)
