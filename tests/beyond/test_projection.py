"""A discriminator that projects poses onto captions."""

import pytest
import torch
from torch import nn

from lib.beyond.projection import ProjectionDiscriminator
from lib.models.tables import Discriminator
from lib.models.weights import initialise, warm_start


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


@pytest.mark.parametrize("sigmoid", [False, True])
def test_projection_adds_the_inner_product_of_pose_and_caption(sigmoid):
    D = seeded(ProjectionDiscriminator(True, False, sigmoid, 0.25))
    with torch.no_grad():
        D.project.weight *= 20  # small weights give small products
    plain = Discriminator(True, False, sigmoid, 0.25)
    weights = D.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    x, h = inputs_of(D, 3)
    features = captured(D.joint[0], D, x, h)[:, :128]  # (3, 128, 4, 4) of layer 4
    with torch.no_grad():
        window = weights["project.weight"]  # (128, 128, 4, 4)
        pose = torch.einsum("bchw,kchw->bk", features, window) + weights["project.bias"]
        inner = (pose * compressed(D, h)).sum(dim=1) / 128**0.5
        before, after = plain(x, h), D(x, h)
    if sigmoid:
        before, after = before.logit(), after.logit()
    assert (inner.abs() > 1e-3).all()
    torch.testing.assert_close(after, before + inner, rtol=1e-3, atol=1e-4)


def test_a_warm_start_leaves_the_projection_as_it_was_initialised():
    projecting = seeded(ProjectionDiscriminator(True, False, False, 0.25))
    own = projecting.project.weight.detach().clone()
    warm_start(projecting, Discriminator(False, False, False, 0.25).state_dict())
    assert torch.equal(projecting.project.weight, own)
