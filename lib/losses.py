"""Losses of D and G for the five algorithms (thesis 2.1, 2.2, 4.3).

Scores are what D returns for a minibatch, (B,): probabilities for the GAN losses, unbounded for
the Wasserstein losses. All losses are to be minimised, and are means over the minibatch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F


def _log_loss(scores: torch.Tensor, real: bool) -> torch.Tensor:
    """-mean log D for ``real``, otherwise -mean log(1 - D); logarithms are cut off at -100."""
    return F.binary_cross_entropy(scores, torch.full_like(scores, float(real)))


def gan_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-[log D(x) + log(1 - D(G(z)))]: equation 1, Algorithm 1."""
    return _log_loss(real, True) + _log_loss(fake, False)


def gan_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-log D(G(z)), which does not saturate early in training: Algorithm 1."""
    return _log_loss(fake, True)


def wasserstein_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """D(G(z)) - D(x): equation 3, Algorithms 2 and 3 (whose penalty is added apart)."""
    return (fake - real).mean()


def wasserstein_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-D(G(z)): Algorithms 2 and 3."""
    return -fake.mean()


def conditional_gan_discriminator_loss(
    real: torch.Tensor, fake: torch.Tensor, mismatch: torch.Tensor
) -> torch.Tensor:
    """-{log D(x, h) + 1/2 [log(1 - D(x, h^)) + log(1 - D(G(z, h), h))]}: equation 5,
    Algorithm 4. ``mismatch`` are the scores of real poses with other captions, h^."""
    return _log_loss(real, True) + (_log_loss(mismatch, False) + _log_loss(fake, False)) / 2


def conditional_gan_generator_loss(fake: torch.Tensor, interpolated: torch.Tensor) -> torch.Tensor:
    """-[log D(G(z, h), h) + log D(G(z, h~), h~)]: equation 6, Algorithm 4."""
    return _log_loss(fake, True) + _log_loss(interpolated, True)


def conditional_wasserstein_discriminator_loss(
    real: torch.Tensor, fake: torch.Tensor, mismatch: torch.Tensor, alpha: float
) -> torch.Tensor:
    """D(G(z, h), h) + alpha D(x, h^) - (1 + alpha) D(x, h): equations 8 and 9, Algorithm 5
    (whose penalty is added apart)."""
    return (fake + alpha * mismatch - (1 + alpha) * real).mean()


def conditional_wasserstein_generator_loss(
    fake: torch.Tensor, interpolated: torch.Tensor
) -> torch.Tensor:
    """-[D(G(z, h), h) + D(G(z, h~), h~)]: Algorithm 5."""
    return -(fake + interpolated).mean()


def interpolate(h1: torch.Tensor, h2: torch.Tensor, beta: float) -> torch.Tensor:
    """h~ = beta h1 + (1 - beta) h2, encodings of no real caption: equation 7."""
    return beta * h1 + (1 - beta) * h2


def _gradient_norms(
    D: Callable,
    real: torch.Tensor,
    fake: torch.Tensor,
    h: torch.Tensor | None,
    epsilon: torch.Tensor | None,
) -> list[torch.Tensor]:
    """Norms (B,) of D's gradient at x^ = eps x + (1 - eps) G(z), by x^ and, if given, by h."""
    if epsilon is None:
        epsilon = torch.rand(len(real), device=real.device, dtype=real.dtype)
    epsilon = epsilon.view(-1, *[1] * (real.ndim - 1))
    x_hat = torch.lerp(fake, real, epsilon).detach()
    inputs = [x_hat] if h is None else [x_hat, h.detach()]
    # Each score depends on its own sample only (D has no batch norm), so that the gradient of the
    # sum holds every sample's own gradient.
    score = torch.func.grad(lambda *inputs: D(*inputs).sum(), argnums=tuple(range(len(inputs))))
    gradients = score(*inputs)
    return [
        torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim)))
        for gradient in gradients
    ]


def gradient_penalty(
    D: Callable,
    real: torch.Tensor,
    fake: torch.Tensor,
    h: torch.Tensor | None = None,
    epsilon: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of (||grad D(x^)|| - 1)^2, two-sided: equation 4, Algorithm 3; without lambda.

    Args:
        D: critic without batch normalisation; a function of x, or of x and h.
        real, fake: (B, ...) samples; x^ lies at random between the two of a pair.
        h: (B, 300) encodings as D takes them; then the norms by x^ and by h are penalised apart.
        epsilon: (B,) from [0, 1), the place of each x^; drawn here where not given.
    Returns:
        A scalar that can be differentiated by D's parameters.
    """
    norms = _gradient_norms(D, real, fake, h, epsilon)
    return sum(((norm - 1) ** 2).mean() for norm in norms)


def lipschitz_penalty(
    D: Callable,
    real: torch.Tensor,
    fake: torch.Tensor,
    h: torch.Tensor | None = None,
    epsilon: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of max(0, ||grad D(x^, h)|| - 1)^2, one-sided: equation 9, Algorithm 5; without lambda.

    With ``h`` two separate terms are added, one for the gradient by x^ and one for that by h.
    Arguments as for :func:`gradient_penalty`.
    """
    norms = _gradient_norms(D, real, fake, h, epsilon)
    return sum((norm - 1).clamp(min=0).square().mean() for norm in norms)


@dataclass(frozen=True)
class Algorithm:
    """What tells one algorithm from another, besides the numbers in its configuration."""

    number: int  # in the thesis
    discriminator_loss: Callable
    generator_loss: Callable
    optimizer: str = "adam"
    conditional: bool = False
    sigmoid: bool = False  # D ends in a probability
    batch_norm: bool = False  # in D
    clamp: bool = False  # D's parameters, to [-c, c]
    penalty: Callable | None = None  # weighted by lambda_ in D's loss
    mismatch_weight: bool = False  # D's loss takes alpha


ALGORITHMS = {
    "gan": Algorithm(1, gan_discriminator_loss, gan_generator_loss, sigmoid=True, batch_norm=True),
    "wgan": Algorithm(
        2,
        wasserstein_discriminator_loss,
        wasserstein_generator_loss,
        optimizer="rmsprop",
        batch_norm=True,
        clamp=True,
    ),
    "wgan_gp": Algorithm(
        3, wasserstein_discriminator_loss, wasserstein_generator_loss, penalty=gradient_penalty
    ),
    "conditional_gan": Algorithm(
        4,
        conditional_gan_discriminator_loss,
        conditional_gan_generator_loss,
        conditional=True,
        sigmoid=True,
        batch_norm=True,
    ),
    "conditional_wgan_lp": Algorithm(
        5,
        conditional_wasserstein_discriminator_loss,
        conditional_wasserstein_generator_loss,
        conditional=True,
        penalty=lipschitz_penalty,
        mismatch_weight=True,
    ),
}
