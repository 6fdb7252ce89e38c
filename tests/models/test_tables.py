"""Tables 1 to 4, initialisation (4.1) and warm start (4.3) of the networks."""

import pytest
import torch
from layers import assert_normal, captured, compressed, inputs_of, seeded
from torch import nn

from lib.errors import InputError
from lib.models.tables import Discriminator, Generator
from lib.models.weights import warm_start

# Tables 1 to 4 as the thesis prints them, layer by layer: the input's shape, (input channels,
# output channels, kernel size, stride, padding) or "linear", batch normalisation, activation,
# the output's shape; shapes are height, width, channels.
TABLE_1 = [
    ((1, 1, 128), (128, 512, 4, 1, 0), True, "ReLU", (4, 4, 512)),
    ((4, 4, 512), (512, 256, 4, 2, 1), True, "ReLU", (8, 8, 256)),
    ((8, 8, 256), (256, 128, 4, 2, 1), True, "ReLU", (16, 16, 128)),
    ((16, 16, 128), (128, 64, 4, 2, 1), True, "ReLU", (32, 32, 64)),
    ((32, 32, 64), (64, 17, 4, 2, 1), False, "Tanh", (64, 64, 17)),
]
TABLE_2 = [
    ((64, 64, 17), (17, 64, 4, 2, 1), True, "LeakyReLU", (32, 32, 64)),
    ((32, 32, 64), (64, 128, 4, 2, 1), True, "LeakyReLU", (16, 16, 128)),
    ((16, 16, 128), (128, 256, 4, 2, 1), True, "LeakyReLU", (8, 8, 256)),
    ((8, 8, 256), (256, 512, 4, 2, 1), True, "LeakyReLU", (4, 4, 512)),
    ((4, 4, 512), (512, 512, 1, 1, 0), True, "LeakyReLU", (4, 4, 512)),
    ((4, 4, 512), (512, 1, 4, 1, 0), False, "Sigmoid", (1, 1, 1)),
]
TABLE_3 = [
    ((300,), "linear", False, "LeakyReLU", (128,)),
    ((1, 1, 256), (256, 512, 4, 1, 0), True, "ReLU", (4, 4, 512)),
    *TABLE_1[1:],
]
TABLE_4 = [
    ((64, 64, 17), (17, 64, 4, 2, 1), False, "LeakyReLU", (32, 32, 64)),
    ((32, 32, 64), (64, 128, 4, 2, 1), False, "LeakyReLU", (16, 16, 128)),
    ((16, 16, 128), (128, 256, 4, 2, 1), False, "LeakyReLU", (8, 8, 256)),
    ((8, 8, 256), (256, 512, 4, 2, 1), False, "LeakyReLU", (4, 4, 512)),
    ((300,), "linear", False, "LeakyReLU", (128,)),
    ((4, 4, 640), (640, 512, 1, 1, 0), False, "LeakyReLU", (4, 4, 512)),
    ((4, 4, 512), (512, 1, 4, 1, 0), False, None, (1, 1, 1)),
]


# The convolutions of the reduced models (4.3): half of the features in each layer, while noise,
# heatmaps and compressed encodings keep their sizes.
HALF_1 = [(128, 256), (256, 128), (128, 64), (64, 32), (32, 17)]
HALF_2 = [(17, 32), (32, 64), (64, 128), (128, 256), (256, 256), (256, 1)]
HALF_3 = [(256, 256), *HALF_1[1:]]
HALF_4 = [*HALF_2[:4], (384, 256), (256, 1)]


def built(network: nn.Module, *inputs: torch.Tensor) -> list[tuple]:
    """The layers of a network as rows of a table, in the order in which they compute."""
    rows: list[list] = []

    def size(x: torch.Tensor) -> tuple[int, ...]:
        return (*x.shape[2:], x.shape[1])

    def see(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Linear):
            rows.append([size(args[0]), "linear", False, None, size(output)])
            assert (module.in_features, module.out_features) == (300, 128)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            one = [getattr(module, name) for name in ("kernel_size", "stride", "padding")]
            assert all(a == b for a, b in one)
            conv = (module.in_channels, module.out_channels, *(a for a, _ in one))
            rows.append([size(args[0]), conv, False, None, size(output)])
        elif isinstance(module, nn.BatchNorm2d):
            assert not rows[-1][2] and rows[-1][3] is None  # before the activation
            rows[-1][2] = True
        else:
            assert isinstance(module, nn.ReLU | nn.LeakyReLU | nn.Tanh | nn.Sigmoid), module
            assert rows[-1][3] is None
            rows[-1][3] = type(module).__name__

    leaves = [m for m in network.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(see) for m in leaves if not isinstance(m, nn.Identity)]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return [tuple(row) for row in rows]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def count(table: list[tuple]) -> int:
    """Parameters of a table: every layer has a bias, batch norm a weight and a bias a channel."""
    total = 0
    for _, conv, norm, _, output in table:
        inputs, outputs, kernel = (300, 128, 1) if conv == "linear" else conv[:3]
        total += inputs * outputs * kernel**2 + outputs + 2 * output[-1] * norm
    return total


# --- Tables 1 to 4 --------------------------------------------------------------------------

CRITIC = [(a, conv, False, act, b) for a, conv, _, act, b in TABLE_2[:-1]]
CRITIC.append((*TABLE_2[-1][:3], None, TABLE_2[-1][4]))  # of WGAN-GP: Table 2 as 3.3.1 changes it
WGAN = [*TABLE_2[:-1], CRITIC[-1]]
CONDITIONAL_GAN = [
    (a, conv, conv not in ("linear", TABLE_4[-1][1]), act, b) for a, conv, _, act, b in TABLE_4[:-1]
] + [TABLE_2[-1]]

TABLES = {
    "table 1": (Generator, {}, TABLE_1, 3_821_393),
    "table 2": (Discriminator, {}, TABLE_2, 3_044_673),
    "table 2, WGAN": (Discriminator, {"sigmoid": False}, WGAN, 3_044_673),
    "table 2, WGAN-GP": (
        Discriminator,
        {"sigmoid": False, "batch_norm": False},
        CRITIC,
        3_041_729,
    ),
    "table 3": (Generator, {"conditional": True}, TABLE_3, 4_908_497),
    "table 4": (
        Discriminator,
        {"conditional": True, "sigmoid": False, "batch_norm": False},
        TABLE_4,
        3_145_793,
    ),
    "table 4, GAN": (Discriminator, {"conditional": True}, CONDITIONAL_GAN, 3_148_737),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_layer_is_that_of_the_table(name):
    kind, options, table, _ = TABLES[name]
    network = kind(**options)
    assert built(network, *inputs_of(network)) == table


@pytest.mark.parametrize("name", TABLES)
def test_parameter_counts(name):
    """The numbers are the tables' convolutions, linear layers and batch norms, counted by hand;
    for Table 1: weights 1,048,576 + 2,097,152 + 524,288 + 131,072 + 17,408, biases 977, batch
    norms 2 * 960."""
    kind, options, table, number = TABLES[name]
    assert parameters(kind(**options)) == number == count(table)


REDUCED = {
    "table 1": (Generator, {}, HALF_1, 1_222_577),
    "table 2": (Discriminator, {}, HALF_2, 768_673),
    "table 3": (Generator, {"conditional": True}, HALF_3, 1_785_393),
    "table 4": (
        Discriminator,
        {"conditional": True, "sigmoid": False, "batch_norm": False},
        HALF_4,
        838_497,
    ),
}


@pytest.mark.parametrize("name", REDUCED)
def test_reduced_models_have_half_of_the_features(name):
    kind, options, channels, number = REDUCED[name]
    network = kind(features=0.5, **options)
    rows = built(network, *inputs_of(network))
    full = TABLES[name][2]
    convolutions = [row for row in rows if row[1] != "linear"]
    assert [conv[:2] for _, conv, *_ in convolutions] == channels
    for row, (a, conv, norm, act, b) in zip(rows, full, strict=True):
        assert row[0][:-1] == a[:-1] and row[4][:-1] == b[:-1]  # heights and widths stay
        assert row[1][2:] == conv[2:] and row[2:4] == (norm, act)
    assert parameters(network) == number == count(rows)


def test_other_widths():
    network = Generator(features=0.25)
    assert [c.out_channels for c in network.modules() if isinstance(c, nn.ConvTranspose2d)] == [
        128, 64, 32, 16, 17,
    ]  # fmt: skip


def test_leaky_relus_have_slope_0_2():
    for network in (Generator(conditional=True), Discriminator(conditional=True)):
        slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
        assert slopes == [0.2] * (1 if isinstance(network, Generator) else 6)


# --- what goes in and comes out -------------------------------------------------------------


@pytest.mark.parametrize("conditional", [False, True])
def test_generator_gives_heatmaps_between_minus_one_and_one(conditional):
    G = seeded(Generator(conditional, features=0.25))
    with torch.no_grad():
        for module in G.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.weight *= 40  # to drive the tanh to its ends
        poses = G(*inputs_of(G, 4))
    assert poses.shape == (4, 17, 64, 64)
    assert poses.min() < -0.99 and poses.max() > 0.99
    assert poses.abs().max() <= 1


def test_only_the_sigmoid_bounds_the_score():
    x = inputs_of(Discriminator(features=0.25), 6)[0] * 50
    scores = {}
    for sigmoid in (True, False):
        D = seeded(Discriminator(batch_norm=False, sigmoid=sigmoid, features=0.25))
        with torch.no_grad():
            D.score[0].weight *= 1000
            scores[sigmoid] = D(x)
        assert scores[sigmoid].shape == (6,)
    assert scores[False].abs().max() > 1.5
    assert (scores[True] > 0).all() and (scores[True] < 1).all()
    torch.testing.assert_close(scores[True], scores[False].sigmoid())


def test_a_score_without_batch_norm_depends_on_its_own_sample_only():
    """What gradient penalties rest on; with batch norm it does not hold (3.3.1)."""
    apart = {}
    for batch_norm in (False, True):
        D = seeded(Discriminator(True, batch_norm, sigmoid=False, features=0.25))
        x, h = inputs_of(D, 3)
        with torch.no_grad():
            together = D(x, h)
            alone = torch.cat([D(x[i : i + 1], h[i : i + 1]) for i in range(3)])
        apart[batch_norm] = (together - alone).abs().max()
    assert apart[False] < 1e-5 < 1e-3 < apart[True]


def test_compressed_encoding_follows_the_noise():
    G = seeded(Generator(conditional=True, features=0.25))
    z, h = inputs_of(G, 3)
    first = next(m for m in G.modules() if isinstance(m, nn.ConvTranspose2d))
    joined = captured(first, G, z, h)
    assert joined.shape == (3, 256, 1, 1)
    assert torch.equal(joined[:, :128, 0, 0], z)
    torch.testing.assert_close(joined[:, 128:, 0, 0], compressed(G, h))


def test_compressed_encoding_is_replicated_behind_the_features():
    D = seeded(Discriminator(True, batch_norm=False, sigmoid=False))
    x, h = inputs_of(D, 2)
    convolutions = [m for m in D.modules() if isinstance(m, nn.Conv2d)]
    joined = captured(convolutions[4], D, x, h)
    assert joined.shape == (2, 640, 4, 4)
    features = x
    with torch.no_grad():
        for convolution in convolutions[:4]:
            features = nn.functional.leaky_relu(convolution(features), 0.2)
    torch.testing.assert_close(joined[:, :512], features)
    for row in range(4):
        for column in range(4):
            torch.testing.assert_close(joined[:, 512:, row, column], compressed(D, h))


# --- initialisation, 4.1 --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Generator, Discriminator])
def test_initialisation(kind):
    network = kind(conditional=True)
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(9)  # nothing may be left as it was
    seeded(network, seed=3)
    seen = set()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert_normal(module.weight, 0, 0.02)
            assert (module.bias == 0).all()
        elif isinstance(module, nn.BatchNorm2d):
            assert_normal(module.weight, 1, 0.02)
            assert (module.bias == 0).all()
        elif isinstance(module, nn.Linear):
            bound = 1 / 300**0.5
            for values in (module.weight, module.bias):
                n = values.numel()
                assert values.abs().max() <= bound
                assert values.abs().max() > bound * (1 - 12 / n)
                assert abs(values.mean()) < 5 * bound / (3 * n) ** 0.5
                assert values.std().item() == pytest.approx(bound / 3**0.5, rel=3 / n**0.5)
        else:
            assert not list(module.parameters(recurse=False))
            continue
        seen.add(type(module).__name__)
    assert len(seen) == 3
    assert all((p != 9).all() for p in network.parameters())


def test_initialisation_follows_its_generator():
    a, b, c = (seeded(Generator(True, 0.125), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["layers.0.0.weight"], c["layers.0.0.weight"])
    assert not torch.equal(a["compress.0.weight"], c["compress.0.weight"])


# --- warm start, 4.3 ------------------------------------------------------------------------


def scrambled(network: nn.Module, seed: int) -> nn.Module:
    """Every number of a network, buffers too, replaced by one that occurs nowhere else."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(torch.rand(value.shape, generator=source) * 100 + 1)
    return network


def kept(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("features", [1, 0.5])
def test_warm_start_of_g_to_the_element(features):
    trained = kept(scrambled(Generator(features=features), 1))
    network = scrambled(Generator(True, features), 2)
    before, source = kept(network), {name: value.clone() for name, value in trained.items()}
    warm_start(network, trained)
    after = network.state_dict()
    grown = "layers.0.0.weight"
    assert after[grown].shape[0] == 256 and trained[grown].shape[0] == 128
    assert torch.equal(after[grown][:128], trained[grown])  # (inputs, outputs, 4, 4)
    assert torch.equal(after[grown][128:], before[grown][128:])
    for name in after.keys() - {grown}:
        assert torch.equal(after[name], trained.get(name, before[name])), name
    assert after.keys() - trained.keys() == {"compress.0.weight", "compress.0.bias"}
    assert "layers.0.1.running_mean" in trained  # batch norm's buffers were among them
    assert all(torch.equal(source[name], trained[name]) for name in trained)


@pytest.mark.parametrize("features", [1, 0.5])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_warm_start_of_d_to_the_element(features, batch_norm):
    old = int(512 * features)
    trained = kept(scrambled(Discriminator(False, batch_norm, False, features), 1))
    network = scrambled(Discriminator(True, batch_norm, False, features), 2)
    before = kept(network)
    warm_start(network, trained)
    after = network.state_dict()
    grown = "joint.0.weight"
    assert after[grown].shape == (old, old + 128, 1, 1)
    assert torch.equal(after[grown][:, :old], trained[grown])  # (outputs, inputs, 1, 1)
    assert torch.equal(after[grown][:, old:], before[grown][:, old:])
    for name in after.keys() - {grown}:
        assert torch.equal(after[name], trained.get(name, before[name])), name
    assert after.keys() - trained.keys() == {"compress.0.weight", "compress.0.bias"}


def test_warm_started_networks_compute_what_the_trained_ones_did_when_h_is_cut_off():
    G, D = seeded(Generator(features=0.25), 1), Discriminator(False, False, False, 0.25)
    seeded(D, 2)
    warm_G, warm_D = Generator(True, 0.25), Discriminator(True, False, False, 0.25)
    for network, trained in ((seeded(warm_G, 3), G), (seeded(warm_D, 4), D)):
        warm_start(network, trained.state_dict())
    with torch.no_grad():
        z, h = inputs_of(warm_G, 4)
        poses = G(z)
        scores = D(poses)
        assert not torch.allclose(warm_G(z, h), poses, atol=1e-4)  # h has a say at once
        warm_G.layers[0][0].weight[128:] = 0
        warm_D.joint[0].weight[:, 128:] = 0
        torch.testing.assert_close(warm_G(z, h), poses)
        torch.testing.assert_close(warm_D(poses, h), scores)


def test_warm_start_does_not_tie_the_networks_together():
    G = seeded(Generator(features=0.125))
    network = seeded(Generator(True, 0.125), 1)
    warm_start(network, G.state_dict())
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(7)
    assert all((p != 7).all() for p in G.parameters())


@pytest.mark.parametrize(
    ("network", "trained"),
    [
        (Generator(True, 0.125), Generator(features=0.25)),
        (Generator(True, 0.25), Generator(features=0.125)),
        (Discriminator(True, False, False, 0.125), Discriminator(False, False, False, 0.25)),
        (Discriminator(True, False, False, 0.25), Discriminator(False, False, False, 0.125)),
        (Discriminator(True, False, False, 0.25), Discriminator(False, True, False, 0.25)),
        (Generator(True, 0.25), Discriminator(False, False, False, 0.25)),
        (Discriminator(True, True, False, 0.25), Generator(features=0.25)),
        (Generator(False, 0.25), Generator(True, 0.25)),
    ],
    ids=["G wider", "G narrower", "D wider", "D narrower", "D batch norm", "D for G", "G for D",
         "conditional for unconditional"],
)  # fmt: skip
def test_warm_start_refuses_what_does_not_fit(network, trained):
    with pytest.raises(InputError, match=r"warm start does not fit at \S+, of shape"):
        warm_start(network, trained.state_dict())
