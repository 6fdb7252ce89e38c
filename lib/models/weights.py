"""What networks begin with: random weights (thesis 4.1), or those of a trained network (4.3).

And their files, in safetensors' format.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lib import paths
from lib.errors import InputError
from lib.models.tables import COMPRESSED

NORMS = nn.BatchNorm1d | nn.BatchNorm2d
STD = 0.02


@torch.no_grad()
def initialise(
    network: nn.Module, generator: torch.Generator | None = None, std_of=lambda layer: STD
) -> None:
    """Sets all weights as thesis 4.1 does: (transposed) convolutions from N(0, 0.02^2), batch norm
    from N(1, 0.02^2), their biases 0.

    The linear layer of a caption, on which the thesis is silent, is uniform within
    1 / sqrt(inputs), weights and biases. A subclass of it takes a convolution's place, and begins
    as one does. ``std_of`` gives another standard deviation than 0.02 to such a layer.
    """
    for module in network.modules():
        if type(module) is nn.Linear:
            bound = module.in_features**-0.5
            module.weight.uniform_(-bound, bound, generator=generator)
            module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | NORMS):
            mean, std = (1.0, STD) if isinstance(module, NORMS) else (0.0, std_of(module))
            module.weight.normal_(mean, std, generator=generator)
            module.bias.zero_()


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}


@torch.no_grad()
def warm_start(network: nn.Module, trained: dict[str, torch.Tensor]) -> None:
    """Copies what a trained unconditional network has into a conditional one (thesis 4.3).

    A layer that has grown by the caption's channels (G's first, D's fifth) takes the trained
    weights for the inputs it had, which come first; its other weights, and the layers of the
    caption, stay as they were initialised. Raises InputError if the trained network is not the
    unconditional counterpart of ``network``.
    """
    own = network.state_dict()
    before, after = _shapes(trained), _shapes(own)
    taken = {name for name in own if not name.startswith(("compress.", "project."))}
    for name in taken | trained.keys():
        old, grown = before.get(name), after.get(name)
        fits = name in taken and name in trained and len(old) == len(grown)
        growth = [b - a for a, b in zip(old, grown, strict=True) if a != b] if fits else None
        if growth not in ([], [COMPRESSED]):
            raise InputError(
                f"The warm start does not fit at {name}, of shape {old} in the parent and "
                f"{grown} in the network to be trained: the parent must be an unconditional "
                "network with the same features and normalisation."
            )
    for name, weight in trained.items():
        own[name][tuple(slice(0, size) for size in weight.shape)] = weight


def load_weights(network: nn.Module, path: Path) -> None:
    """Fills ``network`` from a file. Raises InputError if it holds another network's weights."""
    weights = load_file(path)
    there, here = _shapes(weights), _shapes(network.state_dict())
    for name in here.keys() | there.keys():
        if there.get(name) != here.get(name):
            raise InputError(
                f"{paths.shown(path)} does not fit the config: {name} has shape {there.get(name)} "
                f"in the file and {here.get(name)} in the network; delete its run folder and train "
                "again."
            )
    network.load_state_dict(weights)


def save_network(network: nn.Module, path: Path, half: bool = False) -> None:
    """Writes a network's weights, with ``half`` all but vectors (biases, batch norm) in half
    precision. Raises InputError if one is too large for that, or the disk is full."""
    # A convolution in channels-last order keeps its values, not its strides, in the file.
    weights = {name: w.cpu().contiguous() for name, w in network.state_dict().items()}
    if half:
        weights = {name: w.half() if w.ndim > 1 else w for name, w in weights.items()}
        if not all(w.isfinite().all() for w in weights.values()):
            raise InputError(f"{paths.shown(path)} has weights too large for half precision.")
    try:
        save_file(weights, path)
    except SafetensorError as error:  # as of a full disk
        raise InputError(f"{paths.shown(path)} cannot be written ({error}): make room.") from None
