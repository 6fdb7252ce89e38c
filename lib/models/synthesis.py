"""Poses from a trained generator (thesis 3.3, 4.4.1)."""

import torch
from torch import nn

from lib.data.cache import Split
from lib.data.heatmaps import from_network
from lib.models.tables import NOISE

BATCH = 256  # poses at a time, which bounds the memory


def noise(number: int, seed: int) -> torch.Tensor:
    """z (number, 128) from N(0, 1)."""
    return torch.randn(number, NOISE, generator=torch.Generator().manual_seed(seed))


def line(start: torch.Tensor, end: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """(steps, ...) points, evenly from ``start`` to ``end`` inclusive (Figures 19 and 20)."""
    weight = torch.linspace(0, 1, steps).view(-1, *[1] * start.ndim)
    return start + weight * (end - start)


@torch.no_grad()
def synthesise_parts(G: nn.Module, z: torch.Tensor, h: torch.Tensor | None = None):
    """Heatmaps as :func:`synthesise` gives them, 256 at a time, so that any number fits."""
    device = next(G.parameters()).device
    for start in range(0, len(z), BATCH):
        part = None if h is None else h[start : start + BATCH].to(device)
        yield from_network(G(z[start : start + BATCH].to(device), part)).cpu()


def synthesise(G: nn.Module, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
    """Heatmaps (N, 17, 64, 64) in [0, 1] from noise z (N, 128) and, for a conditional G,
    encodings h (N, 300), already scaled. G is used in the mode that it is in."""
    return torch.cat(list(synthesise_parts(G, z, h)))


def pick_captions(split: Split, number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pairs of a split (number,) and, for each, the row (number,) of one of its captions."""
    source = torch.Generator().manual_seed(seed)
    pairs = torch.randperm(len(split.pair_pose), generator=source)[:number]
    return pairs, split.draw_captions(pairs, source)


def caption_grid(G: nn.Module, h: torch.Tensor, rows: int, seed: int) -> torch.Tensor:
    """Heatmaps (rows, N, 17, 64, 64) from scaled encodings h (N, 300): a column shares a caption,
    a row shares a noise, as in Figures 15, 16 and 18."""
    z = noise(rows, seed).repeat_interleave(len(h), dim=0)
    return synthesise(G, z, h.repeat(rows, 1)).unflatten(0, (rows, len(h)))


def interpolate_noise(G: nn.Module, h: torch.Tensor, seed: int, steps: int = 5) -> torch.Tensor:
    """Heatmaps (N, steps, 17, 64, 64) between two random noises, for each of the scaled encodings
    h (N, 300): Figure 19."""
    return _rows(G, line(*noise(2 * len(h), seed).chunk(2), steps), h.expand(steps, -1, -1))


def interpolate_captions(
    G: nn.Module, start: torch.Tensor, end: torch.Tensor, seed: int, steps: int = 5
) -> torch.Tensor:
    """Heatmaps (N, steps, 17, 64, 64) from scaled encodings ``start`` to ``end``, (N, 300) each;
    a row shares a noise: Figure 20."""
    return _rows(G, noise(len(start), seed).expand(steps, -1, -1), line(start, end, steps))


def _rows(G: nn.Module, z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Heatmaps (N, steps, 17, 64, 64) from z (steps, N, 128) and h (steps, N, 300)."""
    z, h = (each.transpose(0, 1) for each in (z, h))
    return synthesise(G, z.flatten(0, 1), h.flatten(0, 1)).unflatten(0, z.shape[:2])
