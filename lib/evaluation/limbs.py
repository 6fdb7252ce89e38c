"""Whether a pose's limbs have lengths that real people's have in pictures."""

import warnings

import numpy as np
import torch

from lib.data.skeleton import NAMES

LIMBS = (  # ends of each limb
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
    ("hip", "knee"),
    ("knee", "ankle"),
)
RANGE = 0.99  # share of the real poses that lie within the range of a ratio


def _point(poses: torch.Tensor, *names: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 2) mean of the named keypoints, and (N,) whether all of them are visible."""
    chosen = poses[:, [NAMES.index(name) for name in names]]
    return chosen[..., :2].mean(dim=1), (chosen[..., 2] > 0).all(dim=1)


def limb_ratios(poses) -> np.ndarray:
    """(N, 10) lengths over that of the trunk, from between the shoulders to between the hips, of
    poses (N, 17, 3) in heatmap pixels.

    Four limbs of the left, four of the right side, breadth of shoulders and of hips; ``nan`` where
    a keypoint is missing or the trunk is seen from its end.
    """
    poses = torch.as_tensor(np.asarray(poses), dtype=torch.float64)
    sides = ("left", "right")
    pairs = [[f"{side} {end}" for end in limb] for side in sides for limb in LIMBS]
    pairs += [[f"{side} {place}" for side in sides] for place in ("shoulder", "hip")]
    (above, seen_above), (below, seen_below) = (_point(poses, *pair) for pair in pairs[-2:])
    trunk = (above - below).norm(dim=1)  # (N,)
    ratios = []
    for pair in pairs:
        (a, seen_a), (b, seen_b) = (_point(poses, name) for name in pair)
        seen = seen_above & seen_below & seen_a & seen_b & (trunk >= 1)
        ratios.append(torch.where(seen, (a - b).norm(dim=1) / trunk, torch.nan))
    return torch.stack(ratios, dim=1).numpy()


def implausible(poses, real) -> np.ndarray:
    """(N,) 1 where a pose (N, 17, 3) has a limb whose ratio lies outside the range of 99 % of the
    real ones (M, 17, 3), 0 elsewhere. Of the real poses up to a tenth have one of ten outside."""
    tail = (1 - RANGE) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a limb that no real pose shows
        low, high = np.nanquantile(limb_ratios(real), [tail, 1 - tail], axis=0)
    ratios = limb_ratios(poses)
    return ((ratios < low) | (ratios > high)).any(axis=1).astype(float)
