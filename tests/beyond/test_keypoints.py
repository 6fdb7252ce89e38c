"""The networks that place and read keypoints instead of heatmaps."""

import pytest
import torch
from torch import nn

from lib.beyond.initialisation import initialise
from lib.beyond.keypoints import KeypointDiscriminator, KeypointGenerator, Linear, relative
from lib.data.heatmaps import decode, render, through_heatmap
from lib.errors import InputError
from lib.models import weights
from lib.models.tables import Discriminator, Generator
from lib.models.weights import warm_start

SCHEMES = {"normal": weights.initialise, "he": initialise}


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def placing(conditional: bool = False, scheme: str = "he", seed: int = 0) -> KeypointGenerator:
    G = KeypointGenerator(conditional, features=0.125)
    SCHEMES[scheme](G, source(seed))
    return G.eval()


def reading(*settings, **more) -> KeypointDiscriminator:
    D = KeypointDiscriminator(*settings, features=0.125, **more)
    initialise(D, source(1))
    return D


def noise(number: int) -> torch.Tensor:
    return torch.randn(number, 128, generator=source(2))


def encodings(number: int) -> torch.Tensor:
    return torch.randn(number, 300, generator=source(3))


def shapes(network: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, Linear)]


def test_layers_of_the_generator():
    G = KeypointGenerator(conditional=True, features=0.25)
    assert shapes(G) == [(256, 512), (512, 512), (512, 512), (512, 102)]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in G.modules()) == 3
    assert shapes(KeypointGenerator(features=1 / 64))[0] == (128, 32)


def test_layers_of_the_discriminator():
    D = KeypointDiscriminator(True, False, False, features=0.25, projection=True)
    assert shapes(D) == [(51, 512), (512, 512), (640, 512), (512, 1), (512, 128)]
    assert not any(isinstance(m, nn.BatchNorm1d) for m in D.modules())
    plain = KeypointDiscriminator(features=1 / 64)
    assert shapes(plain) == [(51, 32), (32, 32), (32, 32), (32, 1)]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in plain.modules()) == 3


@pytest.mark.parametrize("conditional", [False, True])
def test_poses_are_means_and_widths_of_the_last_layer(conditional):
    G = placing(conditional)
    inputs = (noise(5), encodings(5))[: 1 + conditional]
    z = inputs[0]
    if conditional:
        slope = torch.where(G.compress[0](inputs[1]) > 0, 1.0, 0.2)
        z = torch.cat([z, G.compress[0](inputs[1]) * slope], dim=1)
    with torch.no_grad():
        last = G.layers[:3](z) @ G.layers[3].weight.T + G.layers[3].bias
        found = G.poses(*inputs)
    values = (last[:, :51] + last[:, 51:] * inputs[0][:, :51]).view(5, 17, 3)
    torch.testing.assert_close(found[..., :2], 32 + 36 * torch.tanh(values[..., :2]))
    assert torch.equal(found[..., 2], (values[..., 2] > 0).float())
    assert 0.05 < found[..., 2].mean() < 0.95
    drawn = render(found, low=-1.0)
    torch.testing.assert_close(G(*inputs), drawn)
    assert G(*inputs).shape == (5, 17, 64, 64)


def test_visibility_has_the_derivative_of_the_sigmoid():
    G = placing()
    numbers = []
    hook = G.layers[3].register_forward_hook(lambda module, inputs, output: numbers.append(output))
    poses = G.poses(noise(3))
    hook.remove()
    (slopes,) = torch.autograd.grad(poses[..., 2].sum(), numbers[0])
    own = numbers[0][:, :51] + numbers[0][:, 51:] * noise(3)[:, :51]
    soft = torch.sigmoid(4 * own.view(3, 17, 3)[..., 2])
    torch.testing.assert_close(slopes[:, 2:51:3], 4 * soft * (1 - soft))
    assert (slopes[:, 0:51:3] == 0).all()


def test_keypoints_begin_near_the_centre_and_the_grid_can_be_left():
    G = placing().train()  # with the batch norm statistics of these noises
    with torch.no_grad():
        begun = G.poses(noise(400))
        G.layers[-1].weight[:51] *= 100
        late = G.poses(noise(50))
    seen = begun[begun[..., 2] > 0][:, :2] - 32
    assert seen.abs().mean() < 16 and 5 < seen.std() < 20
    assert 32 < (late[..., :2] - 32).abs().max() <= 36


def test_each_number_has_a_noise_of_its_own():
    G, z = placing(), noise(1)
    with torch.no_grad():
        G.layers[0][0].weight.zero_()  # so that means and widths are the same for all noises
        other = z.clone()
        other[:, 4] += 3  # y of the second keypoint
        before, after = G.poses(z)[0], G.poses(other)[0]
    assert (before != after).nonzero().tolist() == [[1, 1]] and after[1, 1] > before[1, 1]


def test_an_invisible_keypoint_reads_the_same_wherever_it_lies():
    pose = torch.tensor([[[50.0, 14.0, 1.0], [50.0, 14.0, 0.0]]])
    assert relative(pose).tolist() == [[[0.5, -0.5, 1.0], [0.0, 0.0, 0.0]]]


def test_every_weight_is_learnt():
    G, D = placing(True).train(), reading(True, False, False, projection=True)
    h = encodings(6)
    D(relative(G.poses(noise(6), h)), h).sum().backward()
    for network in (G, D):
        assert [n for n, p in network.named_parameters() if not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_score_written_out(sigmoid):
    D = reading(True, False, sigmoid, projection=True)
    x, h = torch.randn(4, 17, 3, generator=source(4)), encodings(4)
    weight = {name: value.double() for name, value in D.state_dict().items()}

    def linear(name: str, values: torch.Tensor, leaky: bool = True) -> torch.Tensor:
        values = values @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]
        return torch.where(values > 0, values, 0.2 * values) if leaky else values

    caption = linear("compress.0", h.double())
    features = linear("layers.1.0", linear("layers.0.0", x.double().view(4, 51)))
    joint = linear("joint.0", torch.cat([features, caption], dim=1))
    match = (linear("project", features, leaky=False) * caption).sum(dim=1) / 128**0.5
    score = linear("score.0", joint, leaky=False)[:, 0] + match
    expected = score.sigmoid() if sigmoid else score
    torch.testing.assert_close(D(x, h).double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scheme", "gain"), [("normal", None), ("he", 2.0)])
def test_linear_layers_are_initialised_as_convolutions_are(scheme, gain):
    D = KeypointDiscriminator(True, False, False, features=0.25)
    SCHEMES[scheme](D, source(5))
    for layer in (D.layers[0][0], D.layers[1][0], D.joint[0]):
        std = 0.02 if gain is None else (gain / layer.in_features) ** 0.5
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert (layer.bias == 0).all()
    assert (D.compress[0].bias != 0).any()


def test_warm_started_networks_compute_what_the_trained_ones_did_when_h_is_cut_off():
    G, D = placing(), reading(False, False, False)
    warm_G, warm_D = placing(True, seed=6), reading(True, False, False)
    for network, trained in ((warm_G, G), (warm_D, D)):
        warm_start(network, trained.state_dict())
    z, h = noise(4), encodings(4)
    with torch.no_grad():
        x = relative(G.poses(z))
        assert not torch.allclose(warm_G.poses(z, h), G.poses(z), atol=1e-2)
        warm_G.layers[0][0].weight[:, 128:] = 0
        warm_D.joint[0].weight[:, -128:] = 0
        torch.testing.assert_close(warm_G.poses(z, h), G.poses(z))
        torch.testing.assert_close(warm_D(x, h), D(x))


@pytest.mark.parametrize(
    ("network", "trained"),
    [
        (KeypointGenerator(True, 0.125), Generator(features=0.125)),
        (Generator(True, 0.125), KeypointGenerator(features=0.125)),
        (KeypointDiscriminator(True, False, False, 0.125), Discriminator(False, False, False)),
        (KeypointGenerator(True, 0.125), KeypointGenerator(features=0.25)),
    ],
)
def test_warm_start_refuses_other_networks(network, trained):
    with pytest.raises(InputError, match="warm start does not fit"):
        warm_start(network, trained.state_dict())


def test_decoded_poses_are_those_that_were_placed():
    """Evaluation sees what is drawn: whole pixels, and nothing where the grid was left far."""
    G = placing().train()
    with torch.no_grad():
        poses, heatmaps = G.poses(noise(20)), G(noise(20))
    assert torch.equal(decode((heatmaps + 1) / 2), through_heatmap(poses))


def test_a_warm_start_leaves_the_projection_as_it_was_initialised():
    projecting = reading(True, False, False, projection=True)
    own = projecting.project.weight.detach().clone()
    warm_start(projecting, reading(False, False, False).state_dict())
    assert torch.equal(projecting.project.weight, own)
