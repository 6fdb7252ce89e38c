"""Poses to heatmaps and back (thesis 3.2).

A pose is (17, 3): x, y in heatmap pixels and a visibility of 0 or 1. Grid points are the integers
0 to 63; the centre, about which poses are mirrored and rotated, is (32, 32).
"""

import functools
import math

import numpy as np
import torch

from lib.data.skeleton import CENTRE, FLIP, SIZE

FARTHEST = -34.5  # exponent below which a Gaussian, 1e-15 there, is taken for 0
SIGMA = 2.0  # width of a keypoint's Gaussian, heatmap pixels
THRESHOLD = 0.2  # below this maximum, a channel holds no keypoint (thesis 3.2)


def fit_to_heatmap(keypoints, boxes):
    """Moves and scales keypoints so that each bounding box fills the heatmap (thesis 3.2).

    ``keypoints`` (N, 17, 3), image pixels x, y and COCO visibility 0, 1 or 2, and ``boxes`` (N, 4),
    image pixels x, y, width, height, become poses (N, 17, 3), an array or a tensor as given. The
    long side of the box becomes 64, the short side is centred; an invisible keypoint becomes
    (0, 0, 0). Raises ValueError if the shapes do not fit, or a box has no area.
    """
    as_tensor = isinstance(keypoints, torch.Tensor)
    keypoints = torch.as_tensor(keypoints if as_tensor else np.asarray(keypoints)).double()
    boxes = torch.as_tensor(np.asarray(boxes)).double().to(keypoints.device)
    if keypoints.ndim != 3 or keypoints.shape[1:] != (17, 3) or boxes.shape != (len(keypoints), 4):
        raise ValueError(
            f"keypoints (N, 17, 3) and boxes (N, 4) are wanted, not {tuple(keypoints.shape)} "
            f"and {tuple(boxes.shape)}"
        )
    corner, sides = boxes[:, None, :2], boxes[:, None, 2:]  # (N, 1, 2)
    if not bool((sides > 0).all()):
        raise ValueError("a box without area cannot be fitted to a heatmap")
    scale = SIZE / sides.amax(dim=2, keepdim=True)  # (N, 1, 1)
    xy = (keypoints[..., :2] - corner - sides / 2) * scale + CENTRE  # (N, 17, 2)
    visible = keypoints[..., 2:] > 0  # (N, 17, 1)
    pose = torch.cat([torch.where(visible, xy, 0.0), visible.double()], dim=2).float()
    return pose if as_tensor else pose.numpy()


def render(keypoints: torch.Tensor, sigma: float = SIGMA, low: float = 0.0) -> torch.Tensor:
    """Draws each visible keypoint as a Gaussian of height 1 in a channel of its own (thesis 3.2).

    exp(-((x - x0)^2 + (y - y0)^2) / (2 sigma^2)) is the product of a Gaussian in x and one in y,
    which costs 2 * 64 exponentials a channel where the plain form costs 64 * 64.

    Poses (N, 17, 3) become (N, 17, 64, 64), rows are y, from ``low`` far from a keypoint (-1 for
    the networks, 3.3.1) to 1; an invisible keypoint's channel is ``low`` everywhere.
    """
    keypoints = torch.as_tensor(keypoints, dtype=torch.float32)
    grid = torch.arange(SIZE, dtype=keypoints.dtype, device=keypoints.device)
    xy = keypoints[..., :2].permute(2, 0, 1)[..., None]  # (2, N, 17, 1)
    exponent = (grid - xy).square_().mul_(-1 / (2 * sigma**2))
    # Far from a keypoint there would be denormal numbers, which processors are slow with.
    bell = exponent.clamp(min=FARTHEST).exp_().mul_(exponent > FARTHEST)  # (2, N, 17, 64)
    bell[1] *= keypoints[..., 2:] > 0
    # Channels come last in memory, the order in which convolutions are fastest.
    x, y = bell.transpose(2, 3).contiguous()  # (N, 64, 17) each
    background = torch.full((), low, device=keypoints.device)
    drawn = torch.addcmul(background, y[:, :, None], x[:, None], value=1 - low)
    return drawn.permute(0, 3, 1, 2)  # (N, 17, 64, 64)


def from_network(output: torch.Tensor) -> torch.Tensor:
    """[-1, 1], as the networks see heatmaps (3.3.1), to [0, 1], as they are defined."""
    return (output + 1) / 2


def decode(heatmaps: torch.Tensor, threshold: float = THRESHOLD) -> torch.Tensor:
    """Takes the largest point of each channel as its keypoint (thesis 3.2).

    Heatmaps (N, 17, 64, 64) in [0, 1] become poses (N, 17, 3); a channel whose maximum lies below
    ``threshold`` has no keypoint: (0, 0, 0).
    """
    heatmaps = torch.as_tensor(heatmaps)
    peak, place = heatmaps.flatten(2).max(dim=2)  # (N, 17)
    pose = torch.stack([place % SIZE, place // SIZE, torch.ones_like(place)], dim=2)
    return (pose * (peak >= threshold)[..., None]).float()


def through_heatmap(keypoints: torch.Tensor) -> torch.Tensor:
    """What rendering and decoding would leave of real poses (N, 17, 3), so that they are compared
    as synthesised ones are; nothing is drawn for it. A keypoint far off the grid is lost, one near
    its edge moves onto it, and coordinates become whole numbers."""
    xy = keypoints[..., :2]
    # The largest point of a Gaussian is the one nearest to its centre, of two the first.
    nearest = (xy - 0.5).ceil().clamp(0, SIZE - 1)  # (N, 17, 2)
    peak = torch.exp(-(xy - nearest).square().sum(dim=2) / (2 * SIGMA**2))
    kept = (keypoints[..., 2] > 0) & (peak >= THRESHOLD)
    pose = torch.cat([nearest, torch.ones_like(nearest[..., :1])], dim=2)
    return torch.where(kept[..., None], pose, 0.0)


@functools.cache
def _flip_order(device: torch.device) -> torch.Tensor:
    """FLIP on the device, where nothing then waits for a copy."""
    return torch.tensor(FLIP, device=device)


def flip(keypoints: torch.Tensor) -> torch.Tensor:
    """Mirrors poses, x to 64 - x, left and right keypoints changing places; (N, 17, 3)."""
    keypoints = keypoints[:, _flip_order(keypoints.device)]
    x = torch.where(keypoints[..., 2] > 0, 2 * CENTRE - keypoints[..., 0], keypoints[..., 0])
    return torch.cat([x[..., None], keypoints[..., 1:]], dim=2)


def rotate(keypoints: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turns poses (N, 17, 3) about (32, 32) by ``angles`` (N,), radians, x towards y."""
    cos, sin = torch.cos(angles)[:, None], torch.sin(angles)[:, None]  # (N, 1)
    x, y = keypoints[..., 0] - CENTRE, keypoints[..., 1] - CENTRE  # (N, 17)
    turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=2) + CENTRE
    visible = keypoints[..., 2:]
    return torch.cat([torch.where(visible > 0, turned, keypoints[..., :2]), visible], dim=2)


def augment(keypoints: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Flips half of the poses (N, 17, 3) and turns each by up to 10 degrees either way (thesis
    3.2), drawn from ``generator``, on their device. A keypoint may leave the grid, where its
    Gaussian's tail stays visible."""
    draw = torch.rand(2, len(keypoints), generator=generator, device=keypoints.device)
    flipped = torch.where((draw[0] < 0.5)[:, None, None], flip(keypoints), keypoints)
    return rotate(flipped, (2 * draw[1] - 1) * math.radians(10))
