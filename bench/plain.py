"""The yardstick: the same trainings and the same measures, written in the usual way.

Eager fp32 in PyTorch's default memory order, a Dataset that draws every heatmap with numpy, channel
by channel, and a DataLoader over it. Networks and losses are the project's own, with torch's leaky
ReLU. Nothing outside this folder uses this module.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lib.config import Config
from lib.data.cache import Split
from lib.data.skeleton import FLIP
from lib.losses import ALGORITHMS
from lib.training.minibatches import Batch
from lib.training.trainer import Trainer

GRID_Y, GRID_X = np.mgrid[:64, :64].astype(np.float32)


def draw(pose: np.ndarray) -> np.ndarray:
    """(17, 64, 64) heatmaps of one pose (17, 3), one full Gaussian after the other."""
    heatmaps = np.zeros((17, 64, 64), np.float32)
    for channel, (x, y, visible) in enumerate(pose):
        if visible:
            heatmaps[channel] = np.exp(-((GRID_X - x) ** 2 + (GRID_Y - y) ** 2) / 8)
    return heatmaps


def augmented(pose: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One pose (17, 3), perhaps flipped, and turned by up to 10 degrees."""
    pose = pose.copy()
    if random.random() < 0.5:
        pose = pose[list(FLIP)]
        pose[:, 0] = 64 - pose[:, 0]
    angle = math.radians(random.uniform(-10, 10))
    x, y = pose[:, 0] - 32, pose[:, 1] - 32
    pose[:, 0] = x * math.cos(angle) - y * math.sin(angle) + 32
    pose[:, 1] = x * math.sin(angle) + y * math.cos(angle) + 32
    return pose


class Poses(Dataset):
    """Heatmaps of one pose an item and, for a conditional model, an own and another caption."""

    def __init__(self, split: Split, config: Config):
        self.split, self.config = split, config
        self.conditional = ALGORITHMS[config.algorithm].conditional
        self.poses = split.poses[split.pair_pose] if self.conditional else split.poses
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, i: int):
        x = torch.from_numpy(draw(augmented(self.poses[i].numpy(), self.random)) * 2 - 1)
        if not self.conditional:
            return (x,)
        first, count = int(self.split.pair_first[i]), int(self.split.pair_count[i])
        own = first + self.random.integers(count)
        other = self.random.integers(len(self.split.vectors))
        return x, *(self.config.scaled(self.split.vectors[row]) for row in (own, other))


def minibatches(split: Split, config: Config, workers: int = 2) -> Iterator[Batch]:
    """Shuffled minibatches from worker processes, without end."""
    loader = DataLoader(
        Poses(split, config),
        config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        for tensors in loader:
            yield Batch(len(tensors[0]), *tensors)


def to(device: torch.device, batch: Batch) -> Batch:
    """A minibatch on the training device."""
    tensors = (None if t is None else t.to(device) for t in (batch.x, batch.h, batch.h_hat))
    return Batch(batch.m, *tensors)


class PlainTrainer(Trainer):
    """The project's steps on networks in the default memory order, D differentiated twice."""

    def __post_init__(self):
        super().__post_init__()
        self.G, self.D = (
            network.to(memory_format=torch.contiguous_format) for network in (self.G, self.D)
        )
        self.D.piecewise_linear = False


def nearest(poses: torch.Tensor, first: int, rows: int = 64) -> torch.Tensor:
    """(first,) distances of the first of (N, 17, 2) places to the nearest other, broadcast."""
    found = []
    for start in range(0, first, rows):
        part = poses[start : start + rows]
        distances = (part[:, None] - poses[None]).norm(dim=-1).sum(dim=-1)  # (rows, N)
        distances[torch.arange(len(part)), start + torch.arange(len(part))] = torch.inf
        found.append(distances.amin(dim=1))
    return torch.cat(found)
