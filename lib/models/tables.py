"""Generator and discriminator (thesis 3.3, Tables 1 to 4).

The thesis is silent on biases and on the linear layers. The rule here: every layer has a bias,
which starts at zero; linear layers start as in PyTorch, uniform within 1 / sqrt(inputs).
"""

import math

import torch
from torch import nn

from lib.data.skeleton import NAMES
from lib.training.distributed import BatchNorm2d

NOISE = 128  # length of z
TEXT = 300  # length of a caption's encoding h
COMPRESSED = 128  # length of h after the linear layer
SLOPE = 0.2  # negative slope of every leaky ReLU
EMPTY = -1.5  # before G's tanh: nearly -1, a heatmap without a keypoint
WIDTHS = (512, 256, 128, 64)  # G's channels after its layers 1 to 4; D's, in reverse


def widths(features: float, narrowest: int) -> list[int]:
    return [max(narrowest, round(width * features)) for width in WIDTHS]


class LeakyReLU(nn.LeakyReLU):
    """max(a x, x), as a product with a factor that is constant to automatic differentiation.

    Its second derivative is zero. torch's own leaky ReLU sends these zeros back through the whole
    network when a gradient penalty is differentiated, which costs a quarter of the penalty's time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Of sign's -1, 0 and 1; choosing by a mask costs a processor eight times as much.
        return x * x.detach().sign().clamp(min=self.negative_slope)


def compress() -> nn.Module:
    return nn.Sequential(nn.Linear(TEXT, COMPRESSED), LeakyReLU(SLOPE))


class Generator(nn.Module):
    """G of Table 1, or of Table 3 when ``conditional``.

    Args:
        conditional: takes a caption's encoding beside the noise.
        features: width relative to the tables; 0.5 gives the reduced models (4.3). The noise and
            the compressed encoding keep their lengths.
        narrowest: channels that every layer but the last has at least. Not in the thesis, whose
            narrowest layer, 32 channels of the reduced models, has more than there are keypoints.
    """

    def __init__(self, conditional: bool = False, features: float = 1.0, narrowest: int = 1):
        super().__init__()
        self.compress = compress() if conditional else None
        first, *rest = widths(features, narrowest)
        self.layers = nn.Sequential(
            self._layer(NOISE + COMPRESSED * conditional, first, stride=1, padding=0),
            *(self._layer(a, b) for a, b in zip([first, *rest], rest, strict=False)),
            nn.Sequential(
                nn.ConvTranspose2d(rest[-1], len(NAMES), kernel_size=4, stride=2, padding=1),
                nn.Tanh(),
            ),
        )

    @staticmethod
    def _layer(inputs: int, outputs: int, stride: int = 2, padding: int = 1) -> nn.Module:
        return nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=stride, padding=padding),
            BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Noise z (B, 128) and, when conditional, encodings h (B, 300) to (B, 17, 64, 64) in
        [-1, 1]."""
        if self.compress is not None:
            z = torch.cat([z, self.compress(h)], dim=1)  # (B, 256)
        return self.layers(z[:, :, None, None])

    def begin_empty(self) -> None:
        """Moves the last layer so that heatmaps begin nearly without a keypoint."""
        self.layers[-1][0].bias.fill_(EMPTY)


class Discriminator(nn.Module):
    """D of Table 2, or of Table 4 when ``conditional``; with a Wasserstein loss, the critic.

    Args:
        conditional: takes a caption's encoding beside the heatmaps.
        batch_norm: after layers 1 to 5; not with a gradient or Lipschitz penalty (3.3.1).
        sigmoid: ends in a probability; not with a Wasserstein loss.
        features: width relative to the tables.
        narrowest: channels that layers 1 to 5 have at least.
        projection: the score has another term, the inner product of the compressed encoding with
            a projection of layer 4's output (Miyato and Koyama 2018), so that a caption and a pose
            can match. Not in the thesis, whose D adds up a caption's and a pose's part in layer 5.
        zero_background: layer 1 sees x + 1, so that an empty heatmap is 0 as the padding is. Not in
            the thesis: its background of -1 is a large constant in every layer, beside which poses
            differ so little that few units of the upper layers change sides.
    """

    def __init__(
        self,
        conditional: bool = False,
        batch_norm: bool = True,
        sigmoid: bool = True,
        features: float = 1.0,
        narrowest: int = 1,
        projection: bool = False,
        zero_background: bool = False,
    ):
        super().__init__()
        self.batch_norm = batch_norm
        self.zero_background = zero_background
        self.compress = compress() if conditional else None
        channels = self._channels(features, narrowest)
        last = channels[-1]
        self.layers = nn.Sequential(
            *(self._layer(a, b, 4, 2, 1) for a, b in zip(channels, channels[1:], strict=False))
        )
        self.joint = self._layer(last + COMPRESSED * conditional, last, 1)  # layer 5
        self.score = nn.Sequential(
            self._sum(last, 1, 4), nn.Sigmoid() if sigmoid else nn.Identity()
        )  # layer 6
        self.project = self._sum(last, COMPRESSED, 4) if projection else None

    @staticmethod
    def _channels(features: float, narrowest: int) -> list[int]:
        """Of the input and of each layer up to the fourth."""
        return [len(NAMES), *reversed(widths(features, narrowest))]

    # A layer's weighted sums, and their normalisation.
    _sum = staticmethod(nn.Conv2d)
    _norm = staticmethod(BatchNorm2d)

    def _layer(self, inputs: int, outputs: int, *window: int) -> nn.Module:
        return nn.Sequential(
            self._sum(inputs, outputs, *window),
            self._norm(outputs) if self.batch_norm else nn.Identity(),
            LeakyReLU(SLOPE),
        )

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Heatmaps x (B, 17, 64, 64) in [-1, 1] and, when conditional, encodings h (B, 300) to
        scores (B,)."""
        x = x + 1 if self.zero_background else x
        features = joint = self.layers(x)  # (B, 512, 4, 4)
        if self.compress is not None:
            h = self.compress(h)  # (B, 128)
            places = features.shape[2:]  # (4, 4)
            repeated = h.view(*h.shape, *[1] * len(places)).expand(-1, -1, *places)
            joint = torch.cat([features, repeated], dim=1)  # (B, 640, 4, 4)
        weighted_sum, sigmoid = self.score
        score = weighted_sum(self.joint(joint)).flatten()  # (B,)
        if self.project is not None:
            match = (self.project(features).flatten(1) * h).sum(dim=1)
            score = score + match / math.sqrt(COMPRESSED)
        return sigmoid(score)
