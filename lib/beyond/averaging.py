"""A moving average of G's weights, which a run keeps instead of the weights themselves."""

import copy

import torch

from lib.models.tables import Generator
from lib.models.weights import NORMS

CALIBRATION = 64  # minibatches from which batch norm takes its statistics


class Average:
    """The average of G's weights, of which the share ``decay`` is left after each update of G."""

    def __init__(self, G: Generator, decay: float):
        self.G, self.decay = copy.deepcopy(G), decay

    @torch.no_grad()
    def update(self, G: Generator, updates: int) -> None:
        """Moves towards G after its update number ``updates``. The first updates, far from the
        last, are forgotten faster."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        for mean, weight in zip(self.G.parameters(), G.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    @torch.no_grad()
    def calibrated(self, batches, seed: int) -> Generator:
        """The average with batch norm statistics of its own, since those of G do not fit: from
        noise and captions that :class:`lib.training.minibatches.Batches` draw."""
        source, m = torch.Generator(batches.device).manual_seed(seed), batches.config.batch_size
        for norm in (module for module in self.G.modules() if isinstance(module, NORMS)):
            norm.reset_running_stats()
            norm.momentum = None  # a mean over all minibatches
        self.G.train()
        for _ in range(CALIBRATION):
            h = batches.captions(m, source) if batches.conditional else None
            self.G(batches.noise(m, source), h)
        return self.G
