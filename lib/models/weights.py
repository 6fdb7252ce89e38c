"""What networks begin with: random weights (thesis 4.1), or those of a trained network (4.3)."""

import torch
from torch import nn

from lib.errors import InputError
from lib.models.tables import COMPRESSED

NORMS = nn.BatchNorm1d | nn.BatchNorm2d
STD = 0.02


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Sets all weights as thesis 4.1 does: (transposed) convolutions from N(0, 0.02^2), batch norm
    from N(1, 0.02^2), their biases 0.

    The linear layer of a caption, on which the thesis is silent, is uniform within
    1 / sqrt(inputs), weights and biases.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | NORMS):
            module.weight.normal_(float(isinstance(module, NORMS)), STD, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.Linear):
            uniform(module, generator)


@torch.no_grad()
def uniform(layer: nn.Linear, generator: torch.Generator | None = None) -> None:
    """PyTorch's own initialisation of a linear layer: uniform within 1 / sqrt(inputs)."""
    bound = layer.in_features**-0.5
    layer.weight.uniform_(-bound, bound, generator=generator)
    layer.bias.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def warm_start(network: nn.Module, trained: dict[str, torch.Tensor]) -> None:
    """Copies what a trained unconditional network has into a conditional one (thesis 4.3).

    A layer that has grown by the caption's channels (G's first, D's fifth) takes the trained
    weights for the inputs it had, which come first; its other weights, and the layers of the
    caption, stay as they were initialised.

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
