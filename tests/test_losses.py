"""Losses and penalties of the five algorithms (thesis 2.1, 2.2, 4.3) against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import losses
from lib.beyond.initialisation import initialise
from lib.beyond.keypoints import KeypointDiscriminator
from lib.losses import ALGORITHMS, gradient_penalty, interpolate, lipschitz_penalty
from lib.models.tables import Discriminator

PENALTIES = {"two-sided": gradient_penalty, "one-sided": lipschitz_penalty}


@pytest.fixture(scope="module")
def p():
    """Scores of 7 samples in float64: probabilities a, b, c; anything in u, v, w."""
    rng = np.random.default_rng(0)
    values = dict(zip("abc", rng.uniform(0.02, 0.98, (3, 7)), strict=True))
    return values | dict(zip("uvw", rng.normal(0, 20, (3, 7)), strict=True))


def t(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float64))


# --- losses ---------------------------------------------------------------------------------


def test_algorithm_1_gan(p):
    d = -np.mean(np.log(p["a"]) + np.log(1 - p["b"]))
    g = -np.mean(np.log(p["b"]))
    assert losses.gan_discriminator_loss(t(p["a"]), t(p["b"])).item() == pytest.approx(d, rel=1e-9)
    assert losses.gan_generator_loss(t(p["b"])).item() == pytest.approx(g, rel=1e-9)


def test_algorithms_2_and_3_wasserstein(p):
    d = np.mean(p["v"]) - np.mean(p["u"])
    loss = losses.wasserstein_discriminator_loss(t(p["u"]), t(p["v"]))
    assert loss.item() == pytest.approx(d, rel=1e-9)
    loss = losses.wasserstein_generator_loss(t(p["v"]))
    assert loss.item() == pytest.approx(-np.mean(p["v"]), rel=1e-9)


def test_algorithm_4_conditional_gan(p):
    real, fake, mismatch = p["a"], p["b"], p["c"]
    d = -np.mean(np.log(real) + 0.5 * (np.log(1 - mismatch) + np.log(1 - fake)))
    g = -np.mean(np.log(fake) + np.log(mismatch))
    loss = losses.conditional_gan_discriminator_loss(t(real), t(fake), t(mismatch))
    assert loss.item() == pytest.approx(d, rel=1e-9)
    loss = losses.conditional_gan_generator_loss(t(fake), t(mismatch))
    assert loss.item() == pytest.approx(g, rel=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 0.0, 0.5, 3.0])
def test_algorithm_5_conditional_wgan_lp(p, alpha):
    real, fake, mismatch = p["u"], p["v"], p["w"]
    d = np.mean(fake + alpha * mismatch - (1 + alpha) * real)
    loss = losses.conditional_wasserstein_discriminator_loss(t(real), t(fake), t(mismatch), alpha)
    assert loss.item() == pytest.approx(d, rel=1e-9)
    loss = losses.conditional_wasserstein_generator_loss(t(fake), t(mismatch))
    assert loss.item() == pytest.approx(-np.mean(fake + mismatch), rel=1e-9)


def test_algorithm_5_without_mismatch_is_algorithm_3(p):
    five = losses.conditional_wasserstein_discriminator_loss(t(p["u"]), t(p["v"]), t(p["w"]), 0)
    three = losses.wasserstein_discriminator_loss(t(p["u"]), t(p["v"]))
    assert five.item() == pytest.approx(three.item(), rel=1e-12)


def test_wasserstein_losses_are_blind_to_a_constant(p):
    """The weights of the terms add up to nothing, so that D's offset is free."""
    real, fake, mismatch = t(p["u"]), t(p["v"]), t(p["w"])
    plain = losses.conditional_wasserstein_discriminator_loss(real, fake, mismatch, 1.7)
    moved = losses.conditional_wasserstein_discriminator_loss(real + 9, fake + 9, mismatch + 9, 1.7)
    assert moved.item() == pytest.approx(plain.item(), rel=1e-9)


def test_known_values_of_the_log_losses():
    half = torch.full((5,), 0.5)
    assert losses.gan_discriminator_loss(half, half).item() == pytest.approx(2 * math.log(2))
    assert losses.gan_generator_loss(half).item() == pytest.approx(math.log(2))
    assert losses.conditional_gan_discriminator_loss(half, half, half).item() == pytest.approx(
        2 * math.log(2)
    )
    one, zero = torch.ones(5), torch.zeros(5)
    assert losses.gan_discriminator_loss(one, zero).item() == 0
    # Logarithms end at -100, so that a sure and wrong D does not give an infinite loss.
    assert losses.gan_generator_loss(zero).item() == 100
    assert losses.gan_discriminator_loss(zero, one).item() == 200


def test_generator_loss_of_the_gan_does_not_saturate():
    """Its slope at D = 0.001 is -1 / D; that of log(1 - D) would be about -1 (2.1)."""
    fake = torch.full((4,), 0.001, dtype=torch.float64, requires_grad=True)
    losses.gan_generator_loss(fake).backward()
    assert fake.grad.tolist() == pytest.approx([-1000 / 4] * 4, rel=1e-6)


def test_best_discriminator_of_the_gan_is_one_half_where_both_are_as_likely():
    score = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    losses.gan_discriminator_loss(score, score).backward()
    assert score.grad.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("beta", [0.5, 0.0, 1.0, 0.3])
def test_interpolation_of_equation_7(beta):
    h1, h2 = t(np.random.default_rng(1).normal(size=(2, 6, 300)))
    expected = beta * h1.numpy() + (1 - beta) * h2.numpy()
    np.testing.assert_allclose(interpolate(h1, h2, beta).numpy(), expected, rtol=1e-12)


# Examples are the same in every run.
properties = settings(derandomize=True, deadline=None, max_examples=100)
numbers = st.floats(-1e6, 1e6, width=32)


@properties
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8), st.floats(0, 1))
def test_interpolation_lies_between_its_ends_and_is_symmetric_in_beta(pairs, beta):
    h1, h2 = torch.tensor(pairs, dtype=torch.float64).T
    h = interpolate(h1, h2, beta)
    rounding = 1e-12 * torch.maximum(h1.abs(), h2.abs())
    assert (h >= torch.minimum(h1, h2) - rounding).all()
    assert (h <= torch.maximum(h1, h2) + rounding).all()
    assert ((h - interpolate(h2, h1, 1 - beta)).abs() <= rounding).all()
    assert torch.equal(interpolate(h1, h2, 1.0), h1) and torch.equal(interpolate(h1, h2, 0.0), h2)


def test_what_tells_the_algorithms_apart():
    """2.1, 2.2 and 3.3.1, in one table."""
    rows = {
        name: (a.number, a.optimizer, a.conditional, a.sigmoid, a.batch_norm, a.clamp, a.penalty)
        for name, a in ALGORITHMS.items()
    }
    assert rows == {
        "gan": (1, "adam", False, True, True, False, None),
        "wgan": (2, "rmsprop", False, False, True, True, None),
        "wgan_gp": (3, "adam", False, False, False, False, gradient_penalty),
        "conditional_gan": (4, "adam", True, True, True, False, None),
        "conditional_wgan_lp": (5, "adam", True, False, False, False, lipschitz_penalty),
    }
    assert [name for name, a in ALGORITHMS.items() if a.mismatch_weight] == ["conditional_wgan_lp"]
    losses_of = {name: (a.discriminator_loss, a.generator_loss) for name, a in ALGORITHMS.items()}
    wasserstein = losses.wasserstein_discriminator_loss, losses.wasserstein_generator_loss
    assert losses_of == {
        "gan": (losses.gan_discriminator_loss, losses.gan_generator_loss),
        "wgan": wasserstein,
        "wgan_gp": wasserstein,
        "conditional_gan": (
            losses.conditional_gan_discriminator_loss,
            losses.conditional_gan_generator_loss,
        ),
        "conditional_wgan_lp": (
            losses.conditional_wasserstein_discriminator_loss,
            losses.conditional_wasserstein_generator_loss,
        ),
    }


# --- penalties of linear critics ------------------------------------------------------------


def vector(*shape: int, norm: float, seed: int = 0) -> torch.Tensor:
    w = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return w * (norm / w.norm())


def samples(batch: int = 6, shape=(3, 4, 4), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, batch, *shape, generator=source, dtype=torch.float64)
    return real, fake


NORMS = [0.0, 0.3, 0.999, 1.0, 1.5, 7.0]


@pytest.mark.parametrize("norm", NORMS)
def test_penalties_of_a_linear_critic(norm):
    """f(x) = w.x has the gradient w everywhere."""
    w = vector(3, 4, 4, norm=norm)

    def f(x: torch.Tensor) -> torch.Tensor:
        return (x * w).flatten(1).sum(dim=1)

    real, fake = samples()
    two_sided, one_sided = gradient_penalty(f, real, fake), lipschitz_penalty(f, real, fake)
    assert two_sided.shape == one_sided.shape == ()
    assert two_sided.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)
    assert one_sided.item() == pytest.approx(max(0, norm - 1) ** 2, abs=1e-12)


@pytest.mark.parametrize("norm_w", NORMS)
@pytest.mark.parametrize("norm_v", NORMS)
def test_penalties_by_x_and_by_h_are_two_terms(norm_w, norm_v):
    """f(x, h) = w.x + v.h: equation 9 adds a term for w and one for v; the norm of both together
    would be sqrt(|w|^2 + |v|^2)."""
    w, v = vector(3, 4, 4, norm=norm_w), vector(300, norm=norm_v, seed=1)

    def f(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return (x * w).flatten(1).sum(dim=1) + h @ v

    real, fake = samples()
    h = torch.randn(6, 300, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    one_sided = lipschitz_penalty(f, real, fake, h)
    expected = max(0, norm_w - 1) ** 2 + max(0, norm_v - 1) ** 2
    assert one_sided.item() == pytest.approx(expected, abs=1e-12)
    two_sided = gradient_penalty(f, real, fake, h)
    assert two_sided.item() == pytest.approx((norm_w - 1) ** 2 + (norm_v - 1) ** 2, abs=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalty_is_the_mean_of_the_samples_own_penalties(penalty):
    """f scores sample i by i w.x: the norms are 0, 1, ..., 5, and must not be averaged first."""
    w, scale = vector(3, 4, 4, norm=1), torch.arange(6.0, dtype=torch.float64)
    real, fake = samples()
    value = penalty(lambda x: scale * (x * w).flatten(1).sum(dim=1), real, fake)
    norms = np.arange(6.0) - 1
    if penalty is lipschitz_penalty:
        norms = np.maximum(norms, 0)
    assert value.item() == pytest.approx(np.mean(norms**2), rel=1e-12)


# --- x_hat ----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_x_hat_lies_on_the_line_from_fake_to_real(penalty):
    real, fake = samples(4000, (2, 3), seed=1)
    seen = []

    def f(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach().clone())
        return x.square().flatten(1).sum(dim=1)

    penalty(f, real, fake)
    (x_hat,) = seen
    epsilon = ((x_hat - fake) * (real - fake)).sum(dim=(1, 2)) / (real - fake).square().sum(
        dim=(1, 2)
    )
    line = epsilon[:, None, None] * real + (1 - epsilon[:, None, None]) * fake
    torch.testing.assert_close(x_hat, line)  # one number for all points of a sample
    assert epsilon.min() >= 0 and epsilon.max() <= 1
    # Uniform: the k-th smallest of n is near k / n (a Kolmogorov-Smirnov test).
    steps = torch.arange(1, 4001) / 4000
    assert (epsilon.sort().values - steps).abs().max() < 1.95 / 4000**0.5  # p = 0.001


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalty_of_a_quadratic_critic_at_x_hat(penalty):
    """f(x) = a |x|^2 / 2 has the gradient a x: the norm tells where it was taken."""
    real, fake = samples(seed=2)
    h = torch.randn(6, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    seen = []

    def f(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        seen.extend([x.detach().clone(), h.detach().clone()])
        return 0.2 * x.square().flatten(1).sum(dim=1) / 2 + 0.1 * h.square().sum(dim=1) / 2

    value = penalty(f, real, fake, h)
    x_hat, same_h = seen
    assert torch.equal(same_h, h)  # the encoding is not interpolated
    norms = [0.2 * x_hat.flatten(1).norm(dim=1).numpy(), 0.1 * h.norm(dim=1).numpy()]
    least = 0 if penalty is lipschitz_penalty else -math.inf
    expected = sum(np.mean(np.maximum(n - 1, least) ** 2) for n in norms)
    assert expected > 0.01
    assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalty_is_taken_at_the_epsilon_given(penalty):
    """eps 0 is the synthesised sample, eps 1 the real one, each sample with its own."""
    real, fake = samples(seed=3)
    epsilon = torch.tensor([0.0, 1.0, 0.5, 0.25, 1.0, 0.0], dtype=torch.float64)
    seen = []

    def f(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach().clone())
        return x.square().flatten(1).sum(dim=1)

    penalty(f, real, fake, epsilon=epsilon)
    wanted = [e * r + (1 - e) * g for e, r, g in zip(epsilon, real, fake, strict=True)]
    torch.testing.assert_close(seen[0], torch.stack(wanted))


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@properties
@given(data=st.data(), batch=st.integers(1, 8), seed=st.integers(0, 2**32 - 1))
def test_penalties_do_not_depend_on_the_order_of_the_batch(penalty, data, batch, seed):
    """f(x, h) = |x|^2 / 10 + |h|^2 / 34, whose gradients have norms on both sides of 1."""
    order = data.draw(st.permutations(range(batch)))
    real, fake = samples(batch, seed=seed)
    source = torch.Generator().manual_seed(seed)
    h = torch.randn(batch, 300, dtype=torch.float64, generator=source)
    epsilon = torch.rand(batch, dtype=torch.float64, generator=source)

    def f(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return x.square().flatten(1).sum(dim=1) / 10 + h.square().sum(dim=1) / 34

    given_so = penalty(f, real, fake, h, epsilon)
    turned = penalty(f, real[order], fake[order], h[order], epsilon[order])
    torch.testing.assert_close(turned, given_so, rtol=1e-12, atol=1e-12)


# --- the penalty as something to learn from -------------------------------------------------


@pytest.mark.parametrize("norm", [0.4, 2.5])
def test_gradient_of_the_penalty_of_a_linear_critic(norm):
    """d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|; nothing from the one-sided one where |w| < 1."""
    real, fake = samples()
    for penalty in PENALTIES.values():
        w = vector(3, 4, 4, norm=norm).requires_grad_()
        penalty(lambda x, w=w: (x * w).flatten(1).sum(dim=1), real, fake).backward()
        expected = 2 * (norm - 1) * w.detach() / norm
        if penalty is lipschitz_penalty and norm < 1:
            expected = torch.zeros_like(expected)
        torch.testing.assert_close(w.grad, expected)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_gradient_of_a_flat_critic_is_finite(penalty):
    """Where D is constant its gradient has norm 0, at which a norm has no derivative."""
    w = torch.zeros(3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty(lambda x: (x * w).flatten(1).sum(dim=1), *samples()).backward()
    assert torch.isfinite(w.grad).all()


def penalty_of(D, penalty, real, fake, h) -> torch.Tensor:
    """With the same x_hat each time."""
    source = torch.Generator().manual_seed(0)
    return penalty(D, real, fake, h, torch.rand(len(real), generator=source, dtype=real.dtype))


def critic(weight: float) -> Discriminator:
    """A small conditional critic in float64 whose gradients have norms on both sides of 1."""
    D = Discriminator(conditional=True, batch_norm=False, sigmoid=False, features=1 / 32).double()
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in D.parameters():
            value.normal_(0, weight, generator=source)
    return D


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_gradient_of_the_penalty_of_the_critic_by_finite_differences(penalty):
    D = critic(0.2)
    real, fake = samples(2, (17, 64, 64), seed=4)
    h = torch.randn(2, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    value = penalty_of(D, penalty, real, fake, h)
    assert value > 0.01
    gradients = torch.autograd.grad(value, list(D.parameters()), allow_unused=True)
    source, step = torch.Generator().manual_seed(6), 1e-6
    compared = 0
    for parameter, gradient in zip(D.parameters(), gradients, strict=True):
        direction = torch.randn(parameter.shape, dtype=torch.float64, generator=source)
        direction /= direction.norm()
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * step * direction
            ends.append(penalty_of(D, penalty, real, fake, h).item())
            with torch.no_grad():
                parameter -= sign * step * direction
        slope = (ends[0] - ends[1]) / (2 * step)
        # A bias moves no gradient (but for the kinks of leaky ReLUs): no slope, no gradient.
        exact = 0.0 if gradient is None else (gradient * direction).sum().item()
        assert slope == pytest.approx(exact, rel=1e-4, abs=1e-6)
        compared += abs(exact) > 1e-3
    assert compared >= 5


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("kind", [Discriminator, KeypointDiscriminator])
def test_tangents_give_the_gradients_of_differentiating_twice(kind, conditional, penalty):
    D = kind(conditional, batch_norm=False, sigmoid=False, features=1 / 32)
    initialise(D, torch.Generator().manual_seed(0))
    D.score[0].weight.data *= 20 if kind is Discriminator else 4  # norms on both sides of 1
    D.double()
    shape = (17, 64, 64) if kind is Discriminator else (17, 3)
    real, fake = samples(6, shape, seed=4)
    h = torch.randn(6, 300, dtype=torch.float64) if conditional else None
    found = []
    for D.piecewise_linear in (True, False):
        assert D(real, h).shape == (6,)
        value = penalty_of(D, penalty, real, fake, h)
        gradients = torch.autograd.grad(3 * value, D.parameters(), allow_unused=True)
        found.append([value, *(g for g in gradients if g is not None and g.any())])
    assert found[0][0] > 0.01 and len(found[0]) >= 5
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalty_differentiates_nothing_twice(penalty):
    """Its passes are plain: none of them leaves a graph through which D could be reached."""
    D, graph = critic(0.2), []
    value = penalty_of(D, penalty, *samples(2, (17, 64, 64)), torch.randn(2, 300).double())
    waiting = [value.grad_fn]
    while waiting:
        node = waiting.pop()
        graph.append(type(node).__name__)
        waiting += [each for each, _ in node.next_functions if each is not None]
    assert "_InputGradientsBackward" in graph
    assert not [name for name in graph if "Convolution" in name or "LeakyRelu" in name]


def test_a_discriminator_that_is_not_piecewise_linear_says_so():
    assert Discriminator(batch_norm=False, sigmoid=False, features=1 / 32).piecewise_linear
    for options in ({}, {"batch_norm": False}, {"sigmoid": False}):
        assert not Discriminator(features=1 / 32, **options).piecewise_linear
    wasserstein = {"batch_norm": False, "sigmoid": False, "features": 1 / 32}
    assert not KeypointDiscriminator(True, projection=True, **wasserstein).piecewise_linear


def test_penalty_leaves_samples_and_encodings_alone():
    """Neither G, through the fakes, nor the encodings get a gradient from D's penalty."""
    real, fake = samples(2, (17, 64, 64))
    h = torch.randn(2, 300, dtype=torch.float64)
    fake.requires_grad_()
    D = critic(0.2)
    lipschitz_penalty(D, real, fake, h).backward()
    assert fake.grad is None and h.grad is None and not h.requires_grad
    assert any(w.grad is not None and w.grad.abs().sum() > 0 for w in D.parameters())


def test_critic_trained_on_its_penalty_alone_becomes_lipschitz():
    """Descent on the one-sided penalty stops at norm 1 from above and does nothing below."""
    real, fake = samples()
    ends = {}
    for start in (3.0, 0.5):
        for name, penalty in PENALTIES.items():
            w = vector(3, 4, 4, norm=start).requires_grad_()
            optimizer = torch.optim.SGD([w], lr=0.1)
            for _ in range(60):
                optimizer.zero_grad()
                penalty(lambda x, w=w: (x * w).flatten(1).sum(dim=1), real, fake).backward()
                optimizer.step()
            ends[start, name] = w.detach().norm().item()
    assert ends[3.0, "one-sided"] == pytest.approx(1, abs=1e-4)
    assert ends[3.0, "two-sided"] == pytest.approx(1, abs=1e-4)
    assert ends[0.5, "two-sided"] == pytest.approx(1, abs=1e-4)
    assert ends[0.5, "one-sided"] == pytest.approx(0.5, abs=1e-12)
