"""Minibatches, drawn and rendered on the training device (thesis 3.2, 4.3).

The whole data set lies on the device as keypoints; heatmaps exist only for the minibatch at hand.
"""

from dataclasses import dataclass

import torch

from lib.beyond.recipe import recipe_for
from lib.config import Config
from lib.data.cache import Split, drawn_rows
from lib.data.heatmaps import augment
from lib.errors import InputError
from lib.losses import ALGORITHMS, interpolate
from lib.models.tables import NOISE
from lib.training import distributed


@dataclass
class Batch:
    """This process's share of a minibatch of m poses; all of it, where there is one process.

    Real poses x as D reads them, heatmaps (B, 17, 64, 64) in [-1, 1]; encodings h of their captions
    and mismatching ones h_hat, (B, 300) each and scaled, or None for an unconditional model.
    """

    m: int
    x: torch.Tensor
    h: torch.Tensor | None = None
    h_hat: torch.Tensor | None = None

    @property
    def weight(self) -> float:
        """This share of the minibatch, a fraction: a mean over m is the sum of weighted means."""
        return len(self.x) / self.m


class Batches:
    """Draws from one split of the data, on ``device``; without ``training`` as it is.

    Numbers of samples are those of the whole minibatch; what is returned is this process's share.
    Raises InputError if captions are missing, or if minibatches are too small for batch norm or for
    the number of processes.
    """

    def __init__(self, split: Split, config: Config, device: torch.device, training: bool = True):
        self.config, self.device, self.training = config, device, training
        self.conditional = ALGORITHMS[config.algorithm].conditional
        self.recipe = recipe_for(config)
        poses = split.poses
        if self.conditional:
            if not (len(split.pair_pose) and len(split.vectors)):
                raise InputError(
                    "The data holds no pose with captions, which a conditional model needs: "
                    "prepare it from an archive with the caption files (annotations/captions_*)."
                )
            poses = poses[split.pair_pose]
            self.first = split.pair_first.to(device)
            self.count = split.pair_count.to(device)
            self.vectors = split.vectors.to(device)
            self.pool = self.recipe.pool(split).to(device)
        self.poses = poses.to(device)
        self._pass = -1  # none yet
        m = config.batch_size
        least = m if config.epoch_size else len(poses) % m or m
        if not training:  # minibatches are about as large as each other
            least = len(poses) // -(-len(poses) // m)
        if least < self.recipe.smallest_batch:
            raise InputError(
                "Batch norm of networks=keypoints needs at least two poses in every minibatch: "
                "choose another batch_size, or data with more poses."
            )
        if least < distributed.world():
            raise InputError(
                f"A minibatch of {least} poses cannot be shared among {distributed.world()} "
                "processes: choose another batch_size, or fewer processes."
            )

    @property
    def per_epoch(self) -> int:
        """Iterations in an epoch."""
        return -(-(self.config.epoch_size or len(self.poses)) // self.config.batch_size)

    def seen(self, iterations: int) -> int:
        """Poses in that many iterations. The last minibatch of a pass may be smaller (the thesis's
        author keeps it); in epochs of a fixed length, minibatches straddle passes instead."""
        if self.config.epoch_size:
            return iterations * self.config.batch_size
        passes, batches = divmod(iterations, self.per_epoch)
        return passes * len(self.poses) + batches * self.config.batch_size

    def indices(self, iteration: int) -> torch.Tensor:
        """(m,) poses of one training iteration, as places in the split. Each pass over the data is
        one permutation of it, a function of seed and pass alone: a resumed run has the same."""
        start, end = self.seen(iteration), self.seen(iteration + 1)
        parts = []
        while start < end:
            number, place = divmod(start, len(self.poses))
            parts.append(self._permutation(number)[place : place + end - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _permutation(self, number: int) -> torch.Tensor:
        """Order of the poses in a pass, on the device: nothing waits for a copy between two."""
        if self._pass != number:
            source = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
            self._order = torch.randperm(len(self.poses), generator=source).to(self.device)
            self._pass = number
        return self._order

    def all(self, generator: torch.Generator):
        """Every pose of the split once, in minibatches that differ by one pose at the most."""
        everything = torch.arange(len(self.poses), device=self.device)
        for indices in everything.tensor_split(-(-len(everything) // self.config.batch_size)):
            yield self.draw(indices, generator)

    def draw(self, indices: torch.Tensor, generator: torch.Generator) -> Batch:
        """The minibatch of some poses (m,), with one random caption for each."""
        m, poses = len(indices), self.poses[indices]
        if self.training and self.config.augment:
            poses = augment(poses, generator)
        x = self.recipe.read(distributed.share(poses))
        if not self.conditional:
            return Batch(m, x)
        own = drawn_rows(self.first[indices], self.count[indices], generator)
        return Batch(m, x, self._scaled(own), self.captions(m, generator))

    def _scaled(self, rows: torch.Tensor) -> torch.Tensor:
        return self.config.scaled(self.vectors[distributed.share(rows)])

    def _drawn(self, number: int, generator: torch.Generator) -> torch.Tensor:
        size = len(self.pool)
        return self.pool[torch.randint(size, (number,), generator=generator, device=self.device)]

    def captions(self, m: int, generator: torch.Generator) -> torch.Tensor:
        """Scaled encodings (B, 300) of captions drawn from the pool; one may match by chance."""
        return self._scaled(self._drawn(m, generator))

    def interpolated(self, m: int, generator: torch.Generator) -> torch.Tensor:
        """h~ (B, 300), each between two random captions: equation 7."""
        h1, h2 = map(self._scaled, self._drawn(2 * m, generator).chunk(2))
        return interpolate(h1, h2, self.config.beta)

    def noise(self, m: int, generator: torch.Generator) -> torch.Tensor:
        """z (B, 128) from N(0, 1)."""
        return distributed.share(torch.randn(m, NOISE, generator=generator, device=self.device))

    def epsilon(self, m: int, generator: torch.Generator) -> torch.Tensor:
        """(B,) from [0, 1): where between a real and a synthesised pose D's gradient is taken."""
        return distributed.share(torch.rand(m, generator=generator, device=self.device))
