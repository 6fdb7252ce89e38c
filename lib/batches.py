"""Minibatches, drawn and rendered on the training device (thesis 3.2, 4.3).

The whole data set lies on the device as keypoints; heatmaps exist only for the minibatch at hand.
"""

from dataclasses import dataclass

import torch

from lib.config import Config
from lib.data import Split
from lib.errors import InputError
from lib.heatmaps import augment, render
from lib.losses import ALGORITHMS, interpolate
from lib.models import NOISE


def from_network(output: torch.Tensor) -> torch.Tensor:
    """[-1, 1], as the networks see heatmaps (3.3.1), to [0, 1], as they are defined."""
    return (output + 1) / 2


@dataclass
class Batch:
    """Real poses x (B, 17, 64, 64) in [-1, 1]; encodings h of their captions and mismatching ones
    h_hat, (B, 300) each and scaled, or None for an unconditional model."""

    x: torch.Tensor
    h: torch.Tensor | None = None
    h_hat: torch.Tensor | None = None


class Batches:
    """Draws from one split of the data.

    Args:
        split: training or validation data.
        config: batch_size, epoch_size, augment, caption_scale, beta and seed are used.
        device: where minibatches are made.
        training: poses are augmented, where the config says so; otherwise they stay as they are.
    Raises:
        InputError: the algorithm needs captions and the split has none.
    """

    def __init__(self, split: Split, config: Config, device: torch.device, training: bool = True):
        self.config, self.device, self.training = config, device, training
        self.conditional = ALGORITHMS[config.algorithm].conditional
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
        self.poses = poses.to(device)
        self._pass, self._order = -1, None

    @property
    def per_epoch(self) -> int:
        """Iterations in an epoch; the last minibatch of a pass may be smaller (the thesis's
        author keeps it)."""
        return -(-(self.config.epoch_size or len(self.poses)) // self.config.batch_size)

    def seen(self, iterations: int) -> int:
        """Poses in that many iterations."""
        if self.config.epoch_size:
            return iterations * self.config.batch_size
        done, batch = divmod(iterations, self.per_epoch)
        return done * len(self.poses) + batch * self.config.batch_size

    def _indices(self, iteration: int) -> torch.Tensor:
        """Poses of one training iteration: each pass over the data is one permutation of it,
        a function of seed and pass alone, so that a resumed run needs no memory of it."""
        m, n = self.config.batch_size, len(self.poses)
        if self.config.epoch_size:  # epochs of a fixed length: minibatches straddle passes
            places = torch.arange(iteration * m, (iteration + 1) * m)
        else:
            done, batch = divmod(iteration, self.per_epoch)
            places = done * n + torch.arange(batch * m, min((batch + 1) * m, n))
        return torch.cat(
            [self._permutation(number)[part % n] for number, part in _by_pass(places, n)]
        ).to(self.device)

    def _permutation(self, number: int) -> torch.Tensor:
        if number != self._pass:
            source = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
            self._pass, self._order = number, torch.randperm(len(self.poses), generator=source)
        return self._order

    def draw(self, iteration: int, generator: torch.Generator) -> Batch:
        """The minibatch of a training iteration, with one random caption for each pose."""
        return self._batch(self._indices(iteration), generator)

    def all(self, generator: torch.Generator):
        """Every pose of the split once, in minibatches."""
        for indices in torch.arange(len(self.poses), device=self.device).split(
            self.config.batch_size
        ):
            yield self._batch(indices, generator)

    def _batch(self, indices: torch.Tensor, generator: torch.Generator) -> Batch:
        poses = self.poses[indices]
        if self.training and self.config.augment:
            poses = augment(poses, generator)
        x = render(poses, low=-1.0)  # as the networks see heatmaps (3.3.1)
        if not self.conditional:
            return Batch(x)
        draw = torch.rand(len(indices), generator=generator, device=self.device)
        own = self.first[indices] + (draw * self.count[indices]).long()
        return Batch(x, self._scaled(own), self.captions(len(indices), generator))

    def _scaled(self, rows: torch.Tensor) -> torch.Tensor:
        return self.vectors[rows] * self.config.caption_scale

    def captions(self, number: int, generator: torch.Generator) -> torch.Tensor:
        """Scaled encodings (number, 300) of captions drawn from all captions of the split; one
        may match by chance."""
        rows = torch.randint(len(self.vectors), (number,), generator=generator, device=self.device)
        return self._scaled(rows)

    def interpolated(self, number: int, generator: torch.Generator) -> torch.Tensor:
        """h~ (number, 300), each between two random captions: equation 7."""
        h1, h2 = self.captions(2 * number, generator).chunk(2)
        return interpolate(h1, h2, self.config.beta)

    def noise(self, number: int, generator: torch.Generator) -> torch.Tensor:
        """z (number, 128) from N(0, 1)."""
        return torch.randn(number, NOISE, generator=generator, device=self.device)


def _by_pass(places: torch.Tensor, n: int):
    """Splits consecutive places into the parts that belong to one pass over n poses."""
    for number in range(int(places[0]) // n, int(places[-1]) // n + 1):
        yield number, places[places // n == number]
