"""A generator that places keypoints, and a discriminator that reads where they lie.

Neither is in the thesis, whose networks compute and read every pixel of the heatmaps (Tables 1 to
4). A pose is 51 numbers: x, y and visibility of 17 keypoints. Linear layers do here what
convolutions do there.
"""

import math

import torch
from torch import nn

from lib.data.heatmaps import render
from lib.data.skeleton import CENTRE, NAMES
from lib.models.tables import COMPRESSED, NOISE, SLOPE, WIDTHS, compress

NUMBERS = 3 * len(NAMES)  # of a pose
REACH = 36.0  # heatmap pixels from the centre: keypoints may lie up to 4 off the grid
STEEP = 4.0  # how fast a keypoint becomes visible


class Linear(nn.Linear):
    """A linear layer that begins as the convolution does whose place it takes."""


def _width(features: float) -> int:
    return max(1, round(4 * WIDTHS[0] * features))


def relative(poses: torch.Tensor) -> torch.Tensor:
    """Poses (N, 17, 3), in heatmap pixels and visibility 0 or 1, as D reads them: x and y from the
    centre in units of 36 pixels, 0 where invisible; visibility."""
    visible = poses[..., 2:]
    return torch.cat([(poses[..., :2] - CENTRE) / REACH * visible, visible], dim=2)


class KeypointGenerator(nn.Module):
    """A G that places 17 keypoints. Their heatmaps are drawn as those of real poses are.

    Three linear layers with batch norm, then a mean and a width for each of the 51 numbers. The
    width is multiplied by one of the noises, so that keypoints also move on their own.
    ``features`` is relative to 2,048 channels.
    """

    def __init__(self, conditional: bool = False, features: float = 1.0):
        super().__init__()
        self.compress = compress() if conditional else None
        width = _width(features)
        inputs = [NOISE + COMPRESSED * conditional, width, width]
        self.layers = nn.Sequential(
            *(nn.Sequential(Linear(a, width), nn.BatchNorm1d(width), nn.ReLU()) for a in inputs),
            Linear(width, 2 * NUMBERS),
        )

    def poses(self, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Noise and encodings as for :meth:`lib.models.tables.Generator.forward` to (B, 17, 3):
        heatmap pixels and visibility 0 or 1, whose derivative is that of the sigmoid before
        rounding."""
        own = z[:, :NUMBERS]
        if self.compress is not None:
            z = torch.cat([z, self.compress(h)], dim=1)  # (B, 256)
        mean, width = self.layers(z).float().chunk(2, dim=1)
        numbers = (mean + width * own).unflatten(1, (len(NAMES), 3))
        soft = torch.sigmoid(STEEP * numbers[..., 2:])
        visible = soft + (soft.round() - soft).detach()
        return torch.cat([CENTRE + REACH * torch.tanh(numbers[..., :2]), visible], dim=2)

    def forward(self, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """As :meth:`lib.models.tables.Generator.forward`; cannot be differentiated."""
        return render(self.poses(z, h).detach(), low=-1.0)


class KeypointDiscriminator(nn.Module):
    """A D that reads 17 keypoints instead of their heatmaps.

    Two linear layers, a third that also reads the caption, and a weighted sum. Arguments as for
    :class:`lib.models.tables.Discriminator`, ``features`` relative to 2,048 channels. With
    ``projection`` the score has another term, the inner product of the compressed encoding and a
    projection of layer 2's output, so that a caption and a pose can match (Miyato and Koyama 2018);
    without it layer 3 adds up their parts, as the thesis's D does.
    """

    def __init__(
        self,
        conditional: bool = False,
        batch_norm: bool = True,
        sigmoid: bool = True,
        features: float = 1.0,
        projection: bool = False,
    ):
        super().__init__()
        width = _width(features)
        norm = nn.BatchNorm1d if batch_norm else nn.Identity

        def layer(inputs: int) -> nn.Module:
            return nn.Sequential(Linear(inputs, width), norm(width), nn.LeakyReLU(SLOPE))

        self.piecewise_linear = not (batch_norm or sigmoid or projection)
        self.compress = compress() if conditional else None
        self.layers = nn.Sequential(layer(NUMBERS), layer(width))
        self.joint = layer(width + COMPRESSED * conditional)
        self.score = nn.Sequential(Linear(width, 1), nn.Sigmoid() if sigmoid else nn.Identity())
        self.project = Linear(width, COMPRESSED) if projection else None

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Keypoints x (B, 17, 3) as :func:`relative` gives them and, when conditional, encodings
        h (B, 300) to scores (B,)."""
        features = joint = self.layers(x.flatten(1))  # (B, width)
        if self.compress is not None:
            h = self.compress(h)  # (B, 128)
            joint = torch.cat([features, h], dim=1)
        weighted_sum, sigmoid = self.score
        score = weighted_sum(self.joint(joint)).flatten()  # (B,)
        if self.project is not None:
            score = score + (self.project(features) * h).sum(dim=1) / math.sqrt(COMPRESSED)
        return sigmoid(score)
