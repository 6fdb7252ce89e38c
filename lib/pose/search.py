"""Poses that have given keypoints where they should be: a search for their noise.

Perturb, then minimise (randomize-then-optimize, Bardsley et al. 2014): from a random noise z0 the
search goes to the z that minimises ``|G(z, h) - kept|^2 / (2 s^2) + |z - z0|^2 / 2``. Were G
linear, these z would be samples of the noises that agree with what is kept, up to s. So poses
differ where the kept keypoints leave them free, and stay as likely as G makes them.
"""

import numpy as np
import torch

from lib.beyond.keypoints import KeypointGenerator
from lib.errors import InputError
from lib.models.synthesis import noise
from lib.training.runs import Run

STARTS = 8  # for each pose, of which the best end is taken
STEPS, RATE = 150, 0.1  # of Adam
SPREAD = 0.5  # s, heatmap pixels
UNSEEN = 20.0  # what an invisible kept keypoint adds, as much as one 3 pixels off


def search(
    run: str, h: np.ndarray, kept: np.ndarray, number: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (number, 17, 3) for a scaled encoding h (300,), in heatmap pixels, with the visible
    keypoints of ``kept`` (17, 3) where these are; and how far G is from them, (number, kept).

    Raises:
        InputError: ``run`` has a generator that draws heatmaps.
    """
    G = Run.open(run).generator().requires_grad_(False)
    if not isinstance(G, KeypointGenerator):
        raise InputError(f"{run} draws heatmaps: only networks that place keypoints can keep some.")
    places = np.flatnonzero(kept[:, 2])
    wanted = torch.tensor(kept[places, :2], dtype=torch.float32)
    start = noise(number * STARTS, seed)
    z, h = start.clone().requires_grad_(), torch.tensor(h, dtype=torch.float32)
    optimizer = torch.optim.Adam([z], RATE)
    for _ in range(STEPS):
        found = G.poses(z, h.expand(len(z), -1))[:, places]  # (number * STARTS, kept, 3)
        loss = (found[..., :2] - wanted).square().sum(dim=(1, 2)) / (2 * SPREAD**2)
        loss = loss + UNSEEN * (1 - found[..., 2]).sum(dim=1)
        loss = loss + (z - start).square().sum(dim=1) / 2
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    best = loss.view(number, STARTS).argmin(dim=1) + STARTS * torch.arange(number)
    with torch.no_grad():
        poses = G.poses(z[best], h.expand(number, -1)).numpy().astype(np.float64)
    off = np.linalg.norm(poses[:, places, :2] - kept[places, :2], axis=2)
    poses[:, places] = kept[places]
    return poses, off
