"""What tests of networks share: weights from a seed, inputs that fit, what a layer is given."""

import torch
from torch import nn

from lib.models.tables import Discriminator
from lib.models.weights import initialise


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def inputs_of(network: nn.Module, batch: int = 2) -> list[torch.Tensor]:
    """Random z or x and, for a conditional network, h."""
    source = torch.Generator().manual_seed(0)
    shape = (17, 64, 64) if isinstance(network, Discriminator) else (128,)
    inputs = [torch.randn(batch, *shape, generator=source)]
    if network.compress is not None:
        inputs.append(torch.randn(batch, 300, generator=source))
    return inputs


def captured(layer: nn.Module, network: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """What goes into a layer."""
    seen = []
    hook = layer.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    with torch.no_grad():
        network(*inputs)
    hook.remove()
    return seen[0]


def compressed(network: nn.Module, h: torch.Tensor) -> torch.Tensor:
    """(B, 128), the linear layer and leaky ReLU written out."""
    linear = next(m for m in network.modules() if isinstance(m, nn.Linear))
    y = h @ linear.weight.T + linear.bias
    return torch.maximum(y, 0.2 * y).detach()


def assert_normal(weight: torch.Tensor, mean: float, std: float) -> None:
    """Mean, spread and shape of N(mean, std^2), each within five standard errors."""
    n = weight.numel()
    centred = (weight.double() - mean) / std
    assert abs(centred.mean()) < 5 / n**0.5
    assert abs(centred.std() - 1) < 5 / (2 * n) ** 0.5
    beyond = (centred.abs() > 2).double().mean()
    assert abs(beyond - 0.0455) < 5 * (0.0455 * 0.9545 / n) ** 0.5  # 0 for uniform numbers
