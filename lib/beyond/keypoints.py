"""A generator that places keypoints, and a discriminator that reads where they lie.

Neither is in the thesis, whose networks compute and read every pixel of the heatmaps (Tables 1 to
4). A pose is 51 numbers: x, y and visibility of 17 keypoints. Linear layers do here what
convolutions do there.
"""

import torch
from torch import nn

from lib.data.heatmaps import render
from lib.data.skeleton import CENTRE, NAMES
from lib.models.tables import COMPRESSED, NOISE, WIDTHS, Discriminator, compress
from lib.training.distributed import BatchNorm1d

NUMBERS = 3 * len(NAMES)  # of a pose
REACH = 36.0  # heatmap pixels from the centre: keypoints may lie up to 4 off the grid
STEEP = 4.0  # how fast a keypoint becomes visible
SPREAD = 0.4  # of G's last layer's weights under "he": keypoints begin near the centre
WIDTH = 0.25  # before the tanh, under "he": how far each keypoint begins to move on its own


class Linear(nn.Linear):
    """A linear layer that is initialised as the convolutions are whose place it takes."""


def _width(features: float, narrowest: int) -> int:
    return max(narrowest, round(4 * WIDTHS[0] * features))


def relative(poses: torch.Tensor) -> torch.Tensor:
    """Poses as D reads them: where an invisible keypoint lies makes no difference.

    Args:
        poses: (N, 17, 3) heatmap pixels and visibility 0 or 1.
    Returns:
        (N, 17, 3): x and y from the centre in units of 36 pixels, 0 where invisible; visibility.
    """
    visible = poses[..., 2:]
    return torch.cat([(poses[..., :2] - CENTRE) / REACH * visible, visible], dim=2)


class KeypointGenerator(nn.Module):
    """A G that places 17 keypoints. Their heatmaps are drawn as those of real poses are.

    Three linear layers with batch norm, then a mean and a width for each of the 51 numbers. The
    width is multiplied by one of the noises, so that keypoints move on their own, too.

    Args:
        conditional: takes a caption's encoding beside the noise.
        features: width relative to 2,048 channels.
        narrowest: channels that every layer but the last has at least.
    """

    def __init__(self, conditional: bool = False, features: float = 1.0, narrowest: int = 1):
        super().__init__()
        self.compress = compress() if conditional else None
        width = _width(features, narrowest)
        inputs = [NOISE + COMPRESSED * conditional, width, width]
        self.layers = nn.Sequential(
            *(nn.Sequential(Linear(a, width), BatchNorm1d(width), nn.ReLU()) for a in inputs),
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

    def begin_empty(self) -> None:
        """Scales the last layer so that keypoints begin near the centre."""
        self.layers[-1].weight.mul_(SPREAD)
        self.layers[-1].bias[NUMBERS:].fill_(WIDTH)


class KeypointDiscriminator(Discriminator):
    """A D that reads 17 keypoints instead of their heatmaps.

    Two linear layers, a third that reads the caption, too, and a weighted sum.

    Args:
        conditional, batch_norm, sigmoid, projection: as for
            :class:`lib.models.tables.Discriminator`.
        features: width relative to 2,048 channels.
        narrowest: channels that every layer has at least.
    """

    _norm = staticmethod(BatchNorm1d)

    @staticmethod
    def _channels(features: float, narrowest: int) -> list[int]:
        return [NUMBERS, *[_width(features, narrowest)] * 2]

    @staticmethod
    def _sum(inputs: int, outputs: int, *window: int) -> nn.Module:
        return Linear(inputs, outputs)  # there is no window to be moved

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Keypoints x (B, 17, 3) as :func:`relative` gives them and, when conditional, encodings
        h (B, 300) to scores (B,)."""
        return super().forward(x.flatten(1), h)
