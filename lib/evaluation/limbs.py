"""Whether a pose's limbs have lengths that real people's have in pictures."""

import warnings

import numpy as np
import torch

from lib.data.skeleton import NAMES

LIMBS = ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")  # ends
SIDES = ("left", "right")
ENDS = [[f"{side} {end}" for end in limb] for side in SIDES for limb in LIMBS]
ENDS += [[f"{side} {place}" for side in SIDES] for place in ("shoulder", "hip")]
PLACES = torch.tensor([[NAMES.index(name) for name in ends] for ends in ENDS])  # (10, 2)
RANGE = 0.99  # share of the real poses that lie within the range of a ratio


def limb_ratios(poses) -> np.ndarray:
    """(N, 10) lengths over that of the trunk, from between the shoulders to between the hips, of
    poses (N, 17, 3) in heatmap pixels.

    Four limbs of the left, four of the right side, breadth of shoulders and of hips; ``nan`` where
    a keypoint is missing or the trunk is seen from its end.
    """
    poses = torch.as_tensor(np.asarray(poses), dtype=torch.float64)
    pairs = poses[:, PLACES]  # (N, 10, 2, 3)
    xy, seen = pairs[..., :2], (pairs[..., 2] > 0).all(dim=2)
    above, below = xy[:, -2:].mean(dim=2).unbind(dim=1)  # (N, 2) each, of shoulders and hips
    trunk = (above - below).norm(dim=1, keepdim=True)  # (N, 1)
    seen &= seen[:, -2:].all(dim=1, keepdim=True) & (trunk >= 1)
    return torch.where(seen, (xy[:, :, 0] - xy[:, :, 1]).norm(dim=2) / trunk, torch.nan).numpy()


def implausible(poses, real) -> np.ndarray:
    """(N,) 1 where a pose (N, 17, 3) has a limb whose ratio lies outside the range of 99 % of the
    real ones (M, 17, 3), 0 elsewhere. Of the real poses up to a tenth have one of ten outside."""
    tail = (1 - RANGE) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a limb that no real pose shows
        low, high = np.nanquantile(limb_ratios(real), [tail, 1 - tail], axis=0)
    ratios = limb_ratios(poses)
    return ((ratios < low) | (ratios > high)).any(axis=1).astype(float)
