"""Generator and discriminator: Tables 1 to 4 (thesis 3.3).

The thesis is silent on biases and on the linear layers. The rule here: every layer has a bias,
which starts at zero; linear layers start as in PyTorch, uniform within 1 / sqrt(inputs).
"""

import torch
from torch import nn

from lib.data.skeleton import NAMES

NOISE = 128  # length of z
TEXT = 300  # length of a caption's encoding h
COMPRESSED = 128  # length of h after the linear layer
WIDTHS = (512, 256, 128, 64)  # G's channels after its layers 1 to 4; D's, in reverse
KEYPOINTS = len(NAMES)  # channels of a heatmap, 17
SLOPE = 0.2  # of D's leaky ReLUs below 0


def compress() -> nn.Module:
    """h (B, 300) to (B, 128): the linear layer before a caption joins G or D (3.3.2)."""
    return nn.Sequential(nn.Linear(TEXT, COMPRESSED), nn.LeakyReLU(SLOPE))


class Generator(nn.Module):
    """G of Table 1 or, when ``conditional`` on a caption's encoding, of Table 3.

    ``features`` is the width relative to the tables; 0.5 gives the reduced models (4.3). The noise
    and the compressed encoding keep their lengths.
    """

    def __init__(self, conditional: bool = False, features: float = 1.0):
        super().__init__()
        a, b, c, d = (max(1, round(width * features)) for width in WIDTHS)
        inputs = NOISE + COMPRESSED if conditional else NOISE
        up = {"kernel_size": 4, "stride": 2, "padding": 1}  # doubles the grid
        self.compress = compress() if conditional else None
        self.layers = nn.Sequential(
            nn.Sequential(nn.ConvTranspose2d(inputs, a, 4), nn.BatchNorm2d(a), nn.ReLU()),
            nn.Sequential(nn.ConvTranspose2d(a, b, **up), nn.BatchNorm2d(b), nn.ReLU()),
            nn.Sequential(nn.ConvTranspose2d(b, c, **up), nn.BatchNorm2d(c), nn.ReLU()),
            nn.Sequential(nn.ConvTranspose2d(c, d, **up), nn.BatchNorm2d(d), nn.ReLU()),
            nn.Sequential(nn.ConvTranspose2d(d, KEYPOINTS, **up), nn.Tanh()),
        )

    def forward(self, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """z (B, 128) and, when conditional, encodings h (B, 300) to (B, 17, 64, 64) in [-1, 1]."""
        if self.compress is not None:
            z = torch.cat([z, self.compress(h)], dim=1)  # (B, 256)
        return self.layers(z[:, :, None, None])


class Discriminator(nn.Module):
    """D of Table 2 or, when ``conditional``, of Table 4; with a Wasserstein loss, the critic.

    ``batch_norm``, after layers 1 to 5, does not go with a gradient or Lipschitz penalty (3.3.1);
    ``sigmoid``, for a probability at the end, not with a Wasserstein loss. ``features`` as for G.
    """

    def __init__(
        self,
        conditional: bool = False,
        batch_norm: bool = True,
        sigmoid: bool = True,
        features: float = 1.0,
    ):
        super().__init__()
        a, b, c, d = (max(1, round(width * features)) for width in reversed(WIDTHS))
        inputs = d + COMPRESSED if conditional else d
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        down = {"kernel_size": 4, "stride": 2, "padding": 1}  # halves the grid
        self.piecewise_linear = not (batch_norm or sigmoid)  # which penalties make use of
        self.compress = compress() if conditional else None
        self.layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(KEYPOINTS, a, **down), norm(a), nn.LeakyReLU(SLOPE)),
            nn.Sequential(nn.Conv2d(a, b, **down), norm(b), nn.LeakyReLU(SLOPE)),
            nn.Sequential(nn.Conv2d(b, c, **down), norm(c), nn.LeakyReLU(SLOPE)),
            nn.Sequential(nn.Conv2d(c, d, **down), norm(d), nn.LeakyReLU(SLOPE)),
        )
        self.joint = nn.Sequential(nn.Conv2d(inputs, d, 1), norm(d), nn.LeakyReLU(SLOPE))  # layer 5
        self.score = nn.Sequential(  # layer 6
            nn.Conv2d(d, 1, 4), nn.Sigmoid() if sigmoid else nn.Identity()
        )

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, 17, 64, 64) in [-1, 1] and, when conditional, h (B, 300) to scores (B,)."""
        features = self.layers(x)  # (B, 512, 4, 4)
        if self.compress is not None:
            h = self.compress(h)[:, :, None, None].expand(-1, -1, 4, 4)  # (B, 128, 4, 4)
            features = torch.cat([features, h], dim=1)  # (B, 640, 4, 4)
        return self.score(self.joint(features)).flatten()
