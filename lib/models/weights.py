"""What networks begin with: random weights (thesis 4.1), or those of a trained one (4.3)."""

import math

import torch
from torch import nn

from lib.beyond.keypoints import Linear
from lib.errors import InputError
from lib.models.tables import COMPRESSED


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
def initialise(
    network: nn.Module, generator: torch.Generator | None = None, scheme: str = "normal"
) -> None:
    """Sets all weights.

    Args:
        scheme: "normal" is thesis 4.1: (transposed) convolutions from N(0, 0.02^2), biases 0. So
            are the linear layers that take their place in :mod:`lib.beyond.keypoints`.
            "he" is for narrow networks, whose signals would fade with such weights: N(0, 2 / n)
            with n inputs to each output (He et al. 2015), and G begins near an empty heatmap, or
            with its keypoints near the centre.
    With both, batch norm is from N(1, 0.02^2), its biases 0, and the linear layer of a caption is
    uniform within 1 / sqrt(inputs), weights and biases.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | Linear | nn.BatchNorm2d):
            normalises = isinstance(module, nn.BatchNorm2d)
            he = scheme == "he" and not normalises
            std = math.sqrt(2 / _inputs(module)) if he else 0.02
            module.weight.normal_(1.0 if normalises else 0.0, std, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            module.weight.uniform_(-bound, bound, generator=generator)
            module.bias.uniform_(-bound, bound, generator=generator)
    if scheme == "he" and hasattr(network, "begin_empty"):
        network.begin_empty()


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
