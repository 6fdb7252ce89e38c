"""The generator in plain arrays is the one that was trained."""

import numpy as np
import pytest
import torch

from lib.beyond.initialisation import initialise
from lib.beyond.keypoints import KeypointGenerator
from lib.errors import InputError
from lib.models import synthesis
from lib.models.weights import load_weights, save_network
from lib.pose.model import shipped
from lib.pose.plain import Plain, noise


@pytest.mark.parametrize("seed", [0, 1, 4_294_967_295])
def test_noise_is_torch_s(seed):
    np.testing.assert_allclose(noise(7, seed), synthesis.noise(7, seed).numpy(), atol=3e-6)


def test_fewer_poses_have_the_noises_of_the_first_of_more():
    np.testing.assert_array_equal(noise(2, 5), noise(9, 5)[:2])


def used(features: float) -> KeypointGenerator:
    """A conditional G whose batch norms have seen something."""
    G = KeypointGenerator(conditional=True, features=features)
    source = torch.Generator().manual_seed(0)
    initialise(G, source)
    z, h = torch.randn(256, 128, generator=source), torch.randn(256, 300, generator=source)
    for layer in G.layers[:-1]:
        torch.nn.init.uniform_(layer[1].weight, 0.5, 1.5)
        torch.nn.init.uniform_(layer[1].bias, -0.5, 0.5)
    for _ in range(20):
        G.poses(z, h)
    return G.eval()


def same(G: KeypointGenerator, path, scale: float) -> None:
    z = synthesis.noise(300, 3)
    h = scale * torch.randn(300, 300, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = G.poses(z, h).numpy()
    made = Plain.read(path).poses(z.numpy(), h.numpy())
    assert made.shape == (300, 17, 3) and set(np.unique(made[..., 2])) == {0, 1}
    assert (made[..., 2] == wanted[..., 2]).mean() > 0.9999  # all but what lies on the threshold
    np.testing.assert_allclose(made[..., :2], wanted[..., :2], atol=1e-3)


@pytest.mark.parametrize("features", [0.0625, 0.1])
def test_poses_are_those_of_the_network(features, tmp_path):
    G = used(features)
    save_network(G, tmp_path / "G.safetensors")
    same(G, tmp_path / "G.safetensors", 1.0)


def test_poses_of_the_shipped_model_are_those_of_its_network():
    G = KeypointGenerator(conditional=True, features=0.1875)
    load_weights(G, shipped() / "generator.safetensors")
    same(G.eval(), shipped() / "generator.safetensors", 2.0)


def test_other_weights_are_refused(tmp_path):
    save_network(KeypointGenerator(features=0.0625), tmp_path / "G.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    for name in ("G", "empty", "none"):
        with pytest.raises(InputError, match=f"{name}.safetensors cannot be read as a conditional"):
            Plain.read(tmp_path / f"{name}.safetensors")
