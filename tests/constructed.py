"""Sets of poses whose measures are known, the thesis's distance written out (4.4.2), and generators
that do what they are told."""

from types import SimpleNamespace

import numpy as np
import torch

from lib.data.heatmaps import render
from lib.data.skeleton import NAMES


def poses(n: int, seed: int = 0, spread: float = 8, centre: float = 32, invisible: float = 0.2):
    """(n, 17, 3) float64 poses whose keypoints are normally distributed, some invisible."""
    rng = np.random.default_rng(seed)
    pose = np.ones((n, 17, 3))
    pose[..., :2] = rng.normal(centre, spread, (n, 17, 2))
    pose[rng.random((n, 17)) < invisible] = 0
    return pose


def along(*places: float) -> np.ndarray:
    """Poses that differ in the x of one keypoint only, so that distances are differences."""
    pose = np.full((len(places), 17, 3), 20.0)
    pose[..., 2] = 1
    pose[:, 3, 0] = places
    return pose


def people(n: int, seed: int = 0) -> np.ndarray:
    """(n, 17, 3) float32 upright people who raise their arms and spread their legs; coordinates
    are whole numbers, as decoded ones are, and few keypoints invisible."""
    rng = np.random.default_rng(seed)
    arms, legs = rng.uniform(-1.4, 1.4, (n, 1)), rng.uniform(0.1, 0.9, (n, 1))
    at: dict[str, np.ndarray] = {"nose": np.full((n, 2), [32.0, 8.0])}
    for side, sign in (("left", 1), ("right", -1)):

        def turned(length: float, angle: np.ndarray, sign: int = sign) -> np.ndarray:
            return length * np.concatenate([sign * np.cos(angle), np.sin(angle)], axis=1)

        at[f"{side} eye"] = at["nose"] + [2 * sign, -2]
        at[f"{side} ear"] = at["nose"] + [4 * sign, -1]
        at[f"{side} shoulder"] = at["nose"] + [6 * sign, 8]
        at[f"{side} hip"] = at["nose"] + [4 * sign, 26]
        at[f"{side} elbow"] = at[f"{side} shoulder"] + turned(9, arms)
        at[f"{side} wrist"] = at[f"{side} elbow"] + turned(8, 1.3 * arms)
        at[f"{side} knee"] = at[f"{side} hip"] + turned(12, np.pi / 2 - legs)
        at[f"{side} ankle"] = at[f"{side} knee"] + turned(11, np.pi / 2 - legs / 2)
    xy = np.stack([at[name] for name in NAMES], axis=1) + rng.normal(0, 0.7, (n, 17, 2))
    pose = np.concatenate([xy.round().clip(0, 63), np.ones((n, 17, 1))], axis=2)
    pose[rng.random((n, 17)) < 0.01] = 0
    return pose.astype(np.float32)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The thesis's distance of two poses (17, 3), written out."""
    total = 0.0
    for (ax, ay, av), (bx, by, bv) in zip(a.tolist(), b.tolist(), strict=True):
        ax, ay = (ax, ay) if av > 0 else (32, 32)
        bx, by = (bx, by) if bv > 0 else (32, 32)
        total += ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5
    return total


def matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) distances of poses (N, 17, 3) and (M, 17, 3)."""
    return np.array([[distance(p, q) for q in b] for p in a])


def correlated(n: int, memory: float, seed: int) -> np.ndarray:
    """(n,) values around 0, each of which keeps a share, ``memory``, of the one before."""
    found = [0.0]
    for value in np.random.default_rng(seed).normal(size=n + 100):
        found.append(memory * found[-1] + value)
    return np.array(found[-n:])


class Told(torch.nn.Module):
    """A pose at a place that depends on the noise, on the caption, or on both."""

    def __init__(self, by_noise: float, by_caption: float, jump: bool = False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.by_noise, self.by_caption, self.jump = by_noise, by_caption, jump

    def forward(self, z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        number = (h.argmax(dim=1) % 7).float() - 3 if self.by_caption else 0.0
        move = self.by_noise * z[:, 0].clamp(-3, 3) + self.by_caption * number
        if self.jump:
            move = 8 * move.sign()
        poses = torch.full((len(z), 17, 3), 32.0)
        poses[..., 2] = 1
        poses[:, :, 0] += move[:, None]
        return render(poses.clamp(0, 63)) * 2 - 1


def told(*how: float, **more: bool) -> SimpleNamespace:
    """A run of a :class:`Told`, as far as its generator and scaled encodings are asked for."""
    return SimpleNamespace(generator=lambda: Told(*how, **more), h=lambda vectors: 30 * vectors)
