"""What the losses look like (equations 1 to 4 and 9), computed by :mod:`lib.losses` itself."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from scipy import stats
from scipy.spatial.distance import jensenshannon
from torch import nn

from lib import losses
from lib.book.chapters.canvas import INK, WIDTH, drawing
from lib.config import Config
from lib.figures.page import BLUE, FONT, ORANGE, Page

STEPS, RATE = 500, 5e-4  # of the small critics
MINUS = "\N{MINUS SIGN}"


def _panels(height: float, columns: int = 1, **options) -> list[Axes]:
    """Axes side by side, on faint grids."""
    figure = Page(WIDTH, height, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **options)[0]
    for ax in axes:
        ax.grid(color="#808080", alpha=0.3)
    return list(axes)


@drawing
def saturation() -> Page:
    """Two losses of G over what D says of a synthesised sample before its sigmoid: log(1 - D) of
    the game (equation 1), and -log D of Algorithm 1."""
    (ax,) = _panels(2.5)
    logits = torch.linspace(-6, 6, 121)
    D = torch.sigmoid(logits)[:, None]  # (121, 1): minibatches of one
    sure = torch.ones(1)  # of a real sample, which then costs nothing
    game = [-losses.gan_discriminator_loss(sure, each) for each in D]
    ax.plot(logits, game, color=ORANGE, lw=2, label=f"log(1 {MINUS} D(G(z))), equation 1")
    own = [losses.gan_generator_loss(each) for each in D]
    ax.plot(logits, own, color=BLUE, lw=2, ls="--", label=f"{MINUS}log D(G(z)), Algorithm 1")
    ax.set(xlabel="what D says of G(z), before its sigmoid", ylabel="loss of G", ylim=(-6.5, 6.5))
    ax.legend(frameon=False, loc="lower left")
    return ax.figure


@drawing
def distances() -> Page:
    """The Jensen-Shannon divergence and the Wasserstein-1 distance of two normal distributions of
    width 1/4 over the distance of their means."""
    (ax,) = _panels(2.4)
    shifts, x = np.linspace(-3, 3, 61), np.linspace(-5, 5, 2001)
    real, *fakes = (stats.norm.pdf(x, centre, 0.25) for centre in (0, *shifts))
    divergences = [jensenshannon(real, fake) ** 2 for fake in fakes]
    moved = [stats.wasserstein_distance(x, x, real, fake) for fake in fakes]
    ax.plot(shifts, divergences, color=ORANGE, lw=2, label="Jensen\N{EN DASH}Shannon divergence")
    ax.plot(shifts, moved, color=BLUE, lw=2, ls="--", label="Wasserstein-1 distance")
    ax.set(xlabel="how far one lies from the other", ylim=(-0.1, 3.9))
    ax.legend(frameon=False, loc="upper center")
    return ax.figure


def learned(clamp: bool) -> nn.Module:
    """A small D of points in the plane that has learned, by Algorithm 2 or 3, to tell those about
    (2, 0) from those about the origin, 1/4 wide both."""
    config = Config("wgan" if clamp else "wgan_gp")
    source = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)
        D = nn.Sequential(*layers, nn.Linear(64, 1), nn.Flatten(0))
    if clamp:
        optimiser = torch.optim.RMSprop(D.parameters(), RATE)
    else:
        optimiser = torch.optim.Adam(D.parameters(), RATE, betas=(0.0, 0.9))
    for _ in range(STEPS):
        fake, real = torch.randn(2, config.batch_size, 2, generator=source) / 4
        real = real + torch.tensor([2.0, 0.0])
        loss = losses.wasserstein_discriminator_loss(D(real), D(fake))
        if not clamp:
            loss = loss + config.lambda_ * losses.gradient_penalty(D, real, fake)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if clamp:
            with torch.no_grad():
                for parameter in D.parameters():
                    parameter.clamp_(-config.c, config.c)
    return D


def slope(D: nn.Module) -> float:
    """How much D's score rises on the way from the origin to (2, 0), by unit."""
    with torch.no_grad():
        start, end = D(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    return float(end - start) / 2


@drawing
def clamp_and_penalty() -> Page:
    """The parameters of two small D that learned the same, one with a clamp (Algorithm 2) and one
    with a penalty (Algorithm 3)."""
    axes = _panels(2.4, 2, sharey=True)
    for ax, clamp, colour in zip(axes, (True, False), (ORANGE, BLUE), strict=True):
        D = learned(clamp)
        values = torch.cat([each.detach().flatten() for each in D.parameters()]).numpy()
        ax.hist(values, 25, weights=np.full(len(values), 1 / len(values)), color=colour, lw=0)
        title = "clamp, c = 0.01" if clamp else "penalty, \N{GREEK SMALL LETTER LAMDA} = 10"
        ax.set_title(f"{title}\nslope of D: {slope(D):.2g}", fontsize=FONT)
        ax.set_xlabel("a parameter of D")
        if clamp:
            ax.set_xticks([-0.01, 0, 0.01])
    axes[0].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].set_ylabel("share of parameters")
    return axes[0].figure


@drawing
def penalties() -> Page:
    """Both penalties over the norm of D's gradient, of D(x) = n x (equations 4 and 9)."""
    (ax,) = _panels(2.4)
    norms, x = torch.linspace(0, 2.5, 51), torch.zeros(1, 1)
    for penalty, look in (
        (losses.gradient_penalty, dict(color=ORANGE, label="on both sides, equation 4")),
        (losses.lipschitz_penalty, dict(color=BLUE, ls="--", label="on one side, equation 9")),
    ):
        charged = [float(penalty(lambda x, n=n: n * x[:, 0], x, x)) for n in norms]
        ax.plot(norms, charged, lw=2, **look)
    ax.axvline(1, color=INK, lw=1, ls=":")
    ax.set(xlabel="norm of D's gradient", ylabel="penalty, before \N{GREEK SMALL LETTER LAMDA}")
    ax.legend(frameon=False, loc="upper left")
    return ax.figure
