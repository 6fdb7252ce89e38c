"""Weights of networks narrower than the thesis's."""

import pytest
import torch
from layers import assert_normal
from torch import nn

from lib.beyond.initialisation import initialise
from lib.models import weights
from lib.models.tables import Discriminator, Generator


@pytest.mark.parametrize("kind", [Generator, Discriminator])
def test_initialisation_of_narrow_networks(kind):
    """Weights from N(0, 2 / n), where each of a layer's outputs is a weighted sum of n inputs."""
    network = kind(features=0.25)
    initialise(network, torch.Generator().manual_seed(3))
    widths = {  # by the number of inputs that a middle output changes with, counted below
        Generator: [128, 128 * 4, 64 * 4, 32 * 4, 16 * 4],
        Discriminator: [17 * 16, 16 * 16, 32 * 16, 64 * 16, 128, 128 * 16],
    }[kind]
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for layer, n in zip(layers, widths, strict=True):
        assert_normal(layer.weight, 0, (2 / n) ** 0.5)
        side = 1 if kind is Generator and layer is layers[0] else 8
        x = torch.zeros(1, layer.in_channels, side, side, requires_grad=True)
        y = layer(x)
        y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
        assert (x.grad != 0).sum() == n
    for layer in layers[:-1]:
        assert (layer.bias == 0).all()
    for layer in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        assert_normal(layer.weight, 1, 0.02)


def test_a_narrow_generator_begins_near_an_empty_heatmap_and_an_even_signal():
    z = torch.randn(16, 128, generator=torch.Generator().manual_seed(1))
    G, D = Generator(features=0.25), Discriminator(batch_norm=False, features=0.25, sigmoid=False)
    for network in (G, D):
        initialise(network, torch.Generator().manual_seed(2))
    assert G.layers[-1][0].bias.unique().tolist() == [-1.5]
    assert G(z).median() < -0.8
    x = torch.randn(16, 17, 64, 64, generator=torch.Generator().manual_seed(3))
    hidden = D.joint(D.layers(x))
    assert 0.5 < hidden.square().mean() / 0.5 < 2  # as large as the input, half of it cut
    weights.initialise(D, torch.Generator().manual_seed(2))
    assert D.joint(D.layers(x)).square().mean() < 1e-3
