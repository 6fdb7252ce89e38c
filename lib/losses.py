"""Losses of D and G for the five algorithms (thesis 2.1, 2.2, 4.3).

Scores are what D returns for a minibatch, (B,): probabilities for the GAN losses, unbounded for
the Wasserstein losses. All losses are to be minimised, and are means over the minibatch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_weight
from torch.overrides import TorchFunctionMode


def _log_loss(scores: torch.Tensor, real: bool) -> torch.Tensor:
    """-mean log D for ``real``, otherwise -mean log(1 - D); logarithms are cut off at -100."""
    # A score that is not a number would end in an error here, and on a GPU end the process.
    loss = F.binary_cross_entropy(scores.nan_to_num(0.5), torch.full_like(scores, float(real)))
    return torch.where(scores.isnan().any(), torch.nan, loss)


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


class _Layers(TorchFunctionMode):
    """Inside it, what D's layers are given and give is kept; or, given what it kept, D is replaced
    by its derivative: layers have no bias, and leaky ReLUs the slopes of what they were given."""

    def __init__(self, kept: "_Layers | None" = None):
        super().__init__()
        self.calls: list[tuple] = []  # (function, arguments) of each layer
        self.outputs: list[torch.Tensor] = []
        self.bent: list[torch.Tensor] = []  # inputs of the leaky ReLUs
        self.known = None if kept is None else iter(kept.bent)

    def __torch_function__(self, function, types, arguments=(), options=None):
        if function is F.leaky_relu:
            if self.known is not None:
                slope, x = options["negative_slope"], next(self.known)
                return torch.ops.aten.leaky_relu_backward(arguments[0], x, slope, False)
            self.bent.append(arguments[0].detach())
        elif function in (F.conv2d, F.linear):
            if self.known is not None:
                arguments = (*arguments[:2], None, *arguments[3:])
            self.calls.append((function, arguments))
            self.outputs.append(function(*arguments))
            return self.outputs[-1]
        return function(*arguments, **(options or {}))


class _InputGradients(torch.autograd.Function):
    """grad_x D(x^) and grad_h D(x^, h) of a piecewise linear D, differentiable by D's weights.

    Let g be the gradient and v that of a loss L by g. Then dL/dW = d<g, v>/dW with v held constant,
    and <g, v> is D's derivative at x^ in the direction v: v passes through the layers without their
    biases, multiplied by the slopes (1 or 0.2) that the leaky ReLUs had at x^. Each weight's
    gradient is an ordinary one, of the tangent that enters the layer and the gradient that left it
    on the way to g. Nothing is differentiated twice: four passes of plain convolutions.
    """

    @staticmethod
    def forward(ctx, D: Callable, number: int, *tensors: torch.Tensor):
        inputs, weights = tensors[:number], tensors[number:]
        device = inputs[0].device.type
        ctx.autocast = torch.autocast(
            device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        )
        with torch.enable_grad(), _Layers() as layers:
            inputs = [x.detach().requires_grad_() for x in inputs]
            score = D(*inputs).sum()
        # D has no batch norm: each score depends on its own sample only.
        gradients = torch.autograd.grad(score, [*inputs, *layers.outputs])
        ctx.D, ctx.layers, ctx.weights = D, layers, weights
        ctx.left = gradients[number:]
        return gradients[:number]

    @staticmethod
    def backward(ctx, *directions: torch.Tensor):
        with ctx.autocast, _Layers(ctx.layers) as tangents:
            ctx.D.forward(*directions)  # no score, and nothing for hooks
        found = {}
        for (function, arguments), left in zip(tangents.calls, ctx.left, strict=True):
            entered, weight = arguments[0].to(left.dtype), arguments[1]
            if function is F.linear:
                gradient = left.flatten(0, -2).T @ entered.flatten(0, -2)
            else:
                gradient = conv2d_weight(entered, weight.shape, left, *arguments[3:])
            found[weight] = found.get(weight, 0) + gradient.to(weight.dtype)
        return None, None, *[None] * len(directions), *map(found.get, ctx.weights)


def _gradients(D: Callable, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """D's gradients by its inputs, which can be differentiated by D's weights."""
    if getattr(D, "piecewise_linear", False):
        return _InputGradients.apply(D, len(inputs), *inputs, *D.parameters())
    inputs = [x.requires_grad_() for x in inputs]
    # What is differentiated twice stays in float32.
    with torch.enable_grad(), torch.autocast(inputs[0].device.type, enabled=False):
        return torch.autograd.grad(D(*inputs).sum(), inputs, create_graph=True)


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
    dims = [tuple(range(1, each.ndim)) for each in inputs]
    gradients = _gradients(D, inputs)
    return [torch.linalg.vector_norm(g, dim=d) for g, d in zip(gradients, dims, strict=True)]


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
