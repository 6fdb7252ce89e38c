"""How poses answer to what a conditional G is given: noise and caption (thesis 4.3 and 4.4.1)."""

import numpy as np
import torch

from lib.data.cache import Dataset
from lib.data.heatmaps import decode
from lib.evaluation.neighbours import diversity, pose_distances
from lib.models.synthesis import (
    caption_grid,
    interpolate_captions,
    interpolate_noise,
    pick_captions,
)
from lib.training.runs import Run

GRID = 16  # captions, and noises, of which all combinations are compared
PATHS = 32  # between noises, and half as many between captions
STEPS = 21  # points of a path


def along_and_down(run: Run, dataset: Dataset, seed: int = 3) -> tuple[float, float]:
    """The mean distance of two poses that share their noise, and of two that share their caption,
    in heatmap pixels: along the rows and down the columns of a grid such as Figure 15."""
    _, rows = pick_captions(dataset.val, GRID, seed)
    grid = caption_grid(run.generator(), run.h(dataset.val.vectors[rows]), GRID, seed)
    poses = decode(grid.flatten(0, 1)).unflatten(0, grid.shape[:2])  # (16, 16, 17, 3)
    by_column = poses.transpose(0, 1)
    return tuple(sum(map(diversity, part)) / len(part) for part in (poses, by_column))


def longest_steps(run: Run, dataset: Dataset, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The longest step as a share of the distance of the ends, of each path between two noises for
    a validation caption (N,), and of each between two captions (N / 2,): Figures 19 and 20."""
    _, rows = pick_captions(dataset.val, PATHS, seed)
    G, h = run.generator(), run.h(dataset.val.vectors[rows])
    by_noise = interpolate_noise(G, h, seed, STEPS)
    by_caption = interpolate_captions(
        G, *(h[side : len(h) // 2 * 2 : 2] for side in (0, 1)), seed, STEPS
    )
    return _longest(by_noise), _longest(by_caption)


def _longest(heatmaps: torch.Tensor) -> np.ndarray:
    """(N,) of paths (N, steps, 17, 64, 64)."""
    poses = [decode(along) for along in heatmaps.transpose(0, 1)]
    steps = [pose_distances(a, b) for a, b in zip(poses, poses[1:], strict=False)]
    return np.max(steps, axis=0) / pose_distances(poses[0], poses[-1]).clip(min=1)
