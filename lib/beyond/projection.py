"""A discriminator that projects poses onto captions (Miyato and Koyama 2018).

Its score has another term, the inner product of the compressed encoding with a projection of layer
4's output, so that a caption and a pose can match. The thesis's D adds up their parts in layer 5.
"""

import math

import torch
from torch import nn

from lib.models.tables import COMPRESSED, Discriminator


def match(projected: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """(B,) inner products of projected poses (B, 128, ...) and compressed encodings (B, 128)."""
    return (projected.flatten(1) * h).sum(dim=1) / math.sqrt(COMPRESSED)


class ProjectionDiscriminator(Discriminator):
    """D of Table 4 with that term; arguments as for :class:`lib.models.tables.Discriminator`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.piecewise_linear = False  # a product of both inputs
        self.project = nn.Conv2d(self.score[0].in_channels, COMPRESSED, 4)

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """As :meth:`lib.models.tables.Discriminator.forward`, for a conditional D."""
        features, h = self.layers(x), self.compress(h)  # (B, 512, 4, 4), (B, 128)
        repeated = h[:, :, None, None].expand(-1, -1, *features.shape[2:])
        weighted_sum, sigmoid = self.score
        score = weighted_sum(self.joint(torch.cat([features, repeated], dim=1))).flatten()
        return sigmoid(score + match(self.project(features), h))
