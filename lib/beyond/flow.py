"""Flow matching, a yardstick for the GANs: the same 51 numbers, without an adversary.

A network learns the velocity at which noise x_0 turns into a pose x_1 along a straight line. At
x_t = (1 - t) x_0 + t x_1 it is trained on v(x_t, t) = x_1 - x_0, whose least squares are the mean
velocity of all lines through the point (Lipman et al. 2023, Liu et al. 2023). A pose is noise that
has followed v from t = 0 to 1.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lib.beyond.averaging import Average
from lib.beyond.keypoints import NUMBERS, REACH, relative
from lib.data.heatmaps import through_heatmap
from lib.data.skeleton import CENTRE, NAMES
from lib.models.tables import SLOPE
from lib.training.progress import passing

WIDTH, BLOCKS = 512, 3
PERIODS = 32  # in which the network reads t
SPREAD = 2.5  # by which positions are multiplied, for a variance near that of the noise
BATCH = 512
RATE = 1e-3  # falls to 0 in the second half
DECAY = 0.999  # of the average of the weights
STEPS = 25  # of Heun's method, two evaluations of v each
CHUNK = 1_000  # poses at a time


class _Block(nn.Module):
    """x + W2 act(W1 act(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, width),
        )
        nn.init.zeros_(self.layers[-1].weight)  # begins as x
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class Flow(nn.Module):
    """The velocity v(x, t) of poses."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(NUMBERS + 2 * PERIODS, width),
            *(_Block(width) for _ in range(BLOCKS)),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, NUMBERS),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Points (B, 51) and times (B,) from 0 to 1 to velocities (B, 51)."""
        angles = t[:, None] * torch.logspace(0, 2, PERIODS)
        return self.layers(torch.cat([x, angles.sin(), angles.cos()], dim=1))

    @torch.no_grad()
    def poses(self, number: int, seed: int) -> torch.Tensor:
        """Synthesised poses (number, 17, 3), decoded from heatmaps as those of a G are."""
        source = torch.Generator().manual_seed(seed)
        x = torch.randn(number, NUMBERS, generator=source)
        return torch.cat([through_heatmap(from_flow(self._follow(x))) for x in x.split(CHUNK)])

    def _follow(self, x: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
        """Noise x (B, 51) to the end of its way, by Heun's method."""
        times = torch.linspace(0, 1, steps + 1).expand(len(x), -1)
        for now, then in zip(times.T, times.T[1:], strict=False):
            step = (then - now)[:, None]
            v = self(x, now)
            x = x + step / 2 * (v + self(x + step * v, then))
        return x


def to_flow(poses: torch.Tensor) -> torch.Tensor:
    """Poses (B, 17, 3) as the flow has them (B, 51): positions from the centre, 0 where invisible,
    and visibility as -1 or 1."""
    x = relative(poses)
    return torch.cat([SPREAD * x[..., :2], 2 * x[..., 2:] - 1], dim=2).flatten(1)


def from_flow(x: torch.Tensor) -> torch.Tensor:
    """The poses (B, 17, 3) that x (B, 51) comes closest to."""
    x = x.unflatten(1, (len(NAMES), 3))
    return torch.cat([CENTRE + REACH / SPREAD * x[..., :2], (x[..., 2:] > 0).float()], dim=2)


def loss(flow: Flow, x: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the velocity at x_t, of poses x (B, 51), noise (B, 51), times (B,)."""
    return F.mse_loss(flow(torch.lerp(noise, x, t[:, None]), t), x - noise)


def learn(poses: torch.Tensor, iterations: int, seed: int = 0, width: int = WIDTH) -> Flow:
    """A flow trained on random poses of (N, 17, 3), as they are; the average of its weights."""
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flow = Flow(width)
    average, x = Average(flow, DECAY), to_flow(poses)
    optimizer = torch.optim.Adam(flow.parameters(), RATE, fused=True)
    for done in passing("training flow matching", range(iterations)):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - done / iterations))
        rows = torch.randint(len(x), (BATCH,), generator=source)
        noise = torch.randn(BATCH, NUMBERS, generator=source)
        t = torch.randn(BATCH, generator=source).sigmoid()  # most often where it is hard: half way
        optimizer.zero_grad()
        loss(flow, x[rows], noise, t).backward()
        optimizer.step()
        average.update(flow, done)
    return average.G
