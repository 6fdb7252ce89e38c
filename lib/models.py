"""Generator and discriminator (thesis 3.3, Tables 1 to 4).

The thesis is silent on biases and on the linear layers. The rule here: every layer has a bias,
which starts at zero; linear layers start as in PyTorch, uniform within 1 / sqrt(inputs).
"""

import math

import torch
from torch import nn

from lib.errors import InputError
from lib.keypoints import NAMES
from lib.ranks import BatchNorm2d

NOISE = 128  # length of z
TEXT = 300  # length of a caption's encoding h
COMPRESSED = 128  # length of h after the linear layer
SLOPE = 0.2  # negative slope of every leaky ReLU
EMPTY = -1.5  # before G's tanh: nearly -1, a heatmap without a keypoint
WIDTHS = (512, 256, 128, 64)  # G's channels after its layers 1 to 4; D's, in reverse


def _widths(features: float, narrowest: int) -> list[int]:
    return [max(narrowest, round(width * features)) for width in WIDTHS]


class LeakyReLU(nn.LeakyReLU):
    """max(a x, x), as a product with a factor that is constant to automatic differentiation.

    Its second derivative is zero. torch's own leaky ReLU sends these zeros back through the whole
    network when a gradient penalty is differentiated, which costs a quarter of the penalty's time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slope = x.new_full((), self.negative_slope)
        return x * torch.where(x.detach() > 0, torch.ones_like(slope), slope)


def _compress() -> nn.Module:
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
        self.compress = _compress() if conditional else None
        first, *rest = _widths(features, narrowest)
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
        self.compress = _compress() if conditional else None
        widths = [len(NAMES), *reversed(_widths(features, narrowest))]
        last = widths[-1]
        self.layers = nn.Sequential(
            *(self._layer(a, b, 4, 2, 1) for a, b in zip(widths, widths[1:], strict=False))
        )
        self.joint = self._layer(last + COMPRESSED * conditional, last, 1, 1, 0)  # layer 5
        self.score = nn.Sequential(
            nn.Conv2d(last, 1, kernel_size=4), nn.Sigmoid() if sigmoid else nn.Identity()
        )  # layer 6
        self.project = nn.Conv2d(last, COMPRESSED, kernel_size=4) if projection else None

    def _layer(self, inputs: int, outputs: int, size: int, stride: int, padding: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=size, stride=stride, padding=padding),
            BatchNorm2d(outputs) if self.batch_norm else nn.Identity(),
            LeakyReLU(SLOPE),
        )

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Heatmaps x (B, 17, 64, 64) in [-1, 1] and, when conditional, encodings h (B, 300) to
        scores (B,)."""
        x = x + 1 if self.zero_background else x
        features = joint = self.layers(x)  # (B, 512, 4, 4)
        if self.compress is not None:
            h = self.compress(h)  # (B, 128)
            repeated = h[:, :, None, None].expand(-1, -1, 4, 4)
            joint = torch.cat([features, repeated], dim=1)  # (B, 640, 4, 4)
        weighted_sum, sigmoid = self.score
        score = weighted_sum(self.joint(joint)).flatten()  # (B,)
        if self.project is not None:
            match = (self.project(features).flatten(1) * h).sum(dim=1)
            score = score + match / math.sqrt(COMPRESSED)
        return sigmoid(score)


def _inputs(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """How many numbers each output of a (transposed) convolution is a weighted sum of."""
    window = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        # G's first layer unfolds a single position; in the others 4 windows overlap everywhere.
        window = 1 if layer.padding == (0, 0) else window // math.prod(layer.stride)
    return layer.in_channels * window


@torch.no_grad()
def initialise(
    network: nn.Module, generator: torch.Generator | None = None, scheme: str = "normal"
) -> None:
    """Sets all weights.

    Args:
        scheme: "normal" is thesis 4.1: (transposed) convolutions from N(0, 0.02^2), biases 0.
            "he" is for narrow networks, whose signals would fade with such weights: N(0, 2 / n)
            with n inputs to each output (He et al. 2015), and G begins near an empty heatmap.
    With both, batch norm is from N(1, 0.02^2), its biases 0, and linear layers are uniform within
    1 / sqrt(inputs), weights and biases.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            normalises = isinstance(module, nn.BatchNorm2d)
            he = scheme == "he" and not normalises
            std = math.sqrt(2 / _inputs(module)) if he else 0.02
            module.weight.normal_(1.0 if normalises else 0.0, std, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            module.weight.uniform_(-bound, bound, generator=generator)
            module.bias.uniform_(-bound, bound, generator=generator)
    if scheme == "he" and isinstance(network, Generator):
        network.layers[-1][0].bias.fill_(EMPTY)


@torch.no_grad()
def warm_start(network: nn.Module, trained: dict[str, torch.Tensor]) -> None:
    """Copies what a trained unconditional network has into a conditional one (thesis 4.3).

    A layer that has grown by the caption's channels (G's first, D's fifth) takes the trained
    weights for the inputs it had, which come first; its other weights, and the linear and the
    projecting layer, stay as they were initialised.

    Raises:
        InputError: the trained network is not the unconditional counterpart of ``network``.
    """
    own = network.state_dict()
    new = {name for name in own if name.startswith(("compress.", "project."))}
    for name in (own.keys() - new) | trained.keys():
        before, after = (tuple(w[name].shape) if name in w else None for w in (trained, own))
        if name in new or not _grown(before, after):
            raise InputError(
                f"The warm start does not fit at {name}, of shape {before} in the parent and "
                f"{after} in the network to be trained: the parent must be an unconditional "
                "network with the same features and normalisation."
            )
    for name, weight in trained.items():
        own[name][tuple(slice(0, size) for size in weight.shape)] = weight


def _grown(before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> bool:
    """Whether shapes are the same, but for the caption's channels in one dimension at the most."""
    if before is None or after is None or len(before) != len(after):
        return False
    growth = [b - a for a, b in zip(before, after, strict=True) if a != b]
    return growth in ([], [COMPRESSED])
