"""Distances between poses, and who is whose nearest neighbour (thesis 4.4.2).

Poses are (N, 17, 3) in heatmap pixels. The distance of two is the sum of the Euclidean distances
of corresponding keypoints; a missing keypoint counts as lying at the centre (32, 32). Only some
rows of the matrix of distances exist at a time, which bounds the memory.
"""

import functools
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

from lib.data.skeleton import CENTRE
from lib.device import device_for

CELLS = 2_000_000  # distances held at a time: about 16 MB, near the processor's cache
ROWS = 200  # queries at a time where the loop over distances is compiled and holds none
COMPILED = 100_000_000  # distances from which on compiling, which takes some 20 s, is worth it


def _locations(poses) -> torch.Tensor:
    """(17, 2, N) coordinates on the GPU where there is one, missing keypoints at the centre."""
    poses = torch.as_tensor(np.asarray(poses), dtype=torch.float32).to(device_for())
    xy = torch.where(poses[..., 2:] > 0, poses[..., :2], CENTRE)  # (N, 17, 2)
    return xy.permute(1, 2, 0).contiguous()


def _distances(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(R, M) distances of queries (17, 2, R) and references (17, 2, M)."""
    total = queries.new_zeros(queries.shape[2], references.shape[2])
    for (qx, qy), (rx, ry) in zip(queries, references, strict=True):
        dx, dy = qx[:, None] - rx, qy[:, None] - ry  # (R, M)
        total += dx.square_().add_(dy.square_()).sqrt_()
    return total


def _block(queries: torch.Tensor, references: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """(R,) distances of queries (17, 2, R) to their nearest references (17, 2, M). ``first`` () is
    the reference that the first query is, the second being the next and so on, as a pose is not its
    own neighbour; negative where queries are no references."""
    total = _distances(queries, references)
    rows, columns = (torch.arange(size, device=total.device) for size in total.shape)
    own = (rows[:, None] + first == columns) & (first >= 0)
    return torch.where(own, torch.inf, total).amin(dim=1)


@functools.cache
def _compiled() -> Callable:
    """_block as one loop that keeps no distances, or as it is where it cannot be compiled."""
    block = torch.compile(_block)
    try:  # with small sizes; those of the data are compiled later
        block(torch.zeros(17, 2, 2), torch.zeros(17, 2, 4), torch.tensor(-1))
    except Exception as error:  # of many kinds, most often for want of a C++ compiler
        reason = str(error).strip().splitlines()[0]
        warnings.warn(f"Distances are not compiled, which takes longer: {reason}", stacklevel=2)
        return _block
    return block


def _nearest(queries: torch.Tensor, references: torch.Tensor, leave_out: bool) -> torch.Tensor:
    """(N,) distances of queries (17, 2, N) to their nearest references (17, 2, M); ``leave_out``:
    both are the same set, and a pose is not its own neighbour."""
    n, m = queries.shape[2], references.shape[2]
    rows, block = max(1, min(n, CELLS // m)), _block
    if n * m > COMPILED:
        rows, block = ROWS, _compiled()
    nearest = queries.new_empty(n)
    for start in range(0, n, rows):
        start = max(0, min(start, n - rows))  # the last part is as long as the others
        first = torch.tensor(start if leave_out else -1, device=queries.device)
        part = queries[..., start : start + rows].contiguous()
        nearest[start : start + rows] = block(part, references, first)
    return nearest


def nearest_distances(queries, references) -> np.ndarray:
    """(N,) distances of queries (N, 17, 3) to the nearest of references (M, 17, 3), all in heatmap
    pixels (4.4.2). Raises ValueError if there is no reference."""
    if not len(references):
        raise ValueError("the nearest of no references is asked for")
    return _nearest(_locations(queries), _locations(references), leave_out=False).cpu().numpy()


def leave_one_out(real, fake) -> np.ndarray:
    """Whether a 1-nearest-neighbour classifier tells the kind of each pose, real (N, 17, 3) or
    synthesised (M, 17, 3), by all the others (the classifier two-sample test of 4.4.2).

    (N + M,) 1 where it is right, 0 where it is wrong, 0.5 where both kinds are equally near. The
    mean is its accuracy: 0.5 is perfect, 1 is a wrong distribution, 0 a memorised one. Raises
    ValueError if there are fewer than two of a kind.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError("leaving one out needs at least two real and two synthesised poses")
    outcomes = []
    sets = _locations(real), _locations(fake)
    for own, other in (sets, sets[::-1]):
        lead = _nearest(own, other, leave_out=False) - _nearest(own, own, leave_out=True)
        # Sums in float32 differ in their last digits where distances are the same.
        for i in (lead.abs() < 1e-3).nonzero()[:, 0].tolist():
            here, first = own[..., i : i + 1].double(), torch.tensor(i, device=own.device)
            d_other = _block(here, other.double(), torch.tensor(-1))
            lead[i] = (d_other - _block(here, own.double(), first)).round(decimals=9)
        outcomes.append((lead.sign() + 1) / 2)
    return torch.cat(outcomes).cpu().numpy()


def leave_one_out_accuracy(real, fake) -> float:
    """The accuracy, a fraction, of :func:`leave_one_out`."""
    return float(leave_one_out(real, fake).mean())


def nearest_index(queries, references) -> np.ndarray:
    """(N,) which of the references (M, 17, 3) is the nearest to each query (N, 17, 3)."""
    found = [d.argmin(dim=1) for _, d in _parts(_locations(queries), _locations(references))]
    return torch.cat(found).cpu().numpy()


def _parts(queries: torch.Tensor, references: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Some queries at a time, and their distances (R, M) to all references."""
    rows = max(1, CELLS // references.shape[2])
    for start in range(0, queries.shape[2], rows):
        part = slice(start, start + rows)
        yield part, _distances(queries[..., part].contiguous(), references)


def _radii(places: torch.Tensor, k: int) -> torch.Tensor:
    """(N,) distance of each of the poses (17, 2, N) to its k-th nearest other one."""
    # The nearest is the pose itself, or a double of it at the same distance, 0.
    nearest = [d.topk(k + 1, largest=False).values[:, -1] for _, d in _parts(places, places)]
    return torch.cat(nearest)


def manifold(real, fake, k: int = 5) -> dict[str, np.ndarray]:
    """How real (N, 17, 3) and synthesised poses (M, 17, 3) cover each other: each has a ball that
    reaches to its k-th nearest neighbour of its own kind. Raises ValueError if there is none.

    ``precision`` (M,) and ``recall`` (N,): whether a pose lies in a ball of the other kind
    (Kynkäänniemi et al. 2019). ``density`` (M,): in how many real ones' balls a synthesised pose
    lies, over k; ``coverage`` (N,): whether one lies in the real pose's ball (Naeem et al. 2020).
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"balls of {k} neighbours need more than {k} poses of each kind")
    real, fake = _locations(real), _locations(fake)
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    number = torch.empty_like(fake_radii)  # of real balls that hold a synthesised pose
    recall = torch.zeros_like(real_radii, dtype=torch.bool)
    coverage = recall.clone()
    for part, distances in _parts(fake, real):  # (R, N)
        inside = distances <= real_radii
        number[part] = inside.sum(dim=1).float()
        coverage |= inside.any(dim=0)
        recall |= (distances <= fake_radii[part, None]).any(dim=0)
    found = dict(precision=number > 0, recall=recall, density=number / k, coverage=coverage)
    return {name: outcomes.double().cpu().numpy() for name, outcomes in found.items()}


def pose_distances(a, b) -> np.ndarray:
    """(N,) distances of the poses ``a`` (N, 17, 3) to those of ``b``, one by one."""
    return (_locations(a) - _locations(b)).norm(dim=1).sum(dim=0).cpu().numpy()


def diversity(poses, seed: int = 0, pairs: int = 20_000) -> float:
    """Mean distance of two poses, over random pairs, heatmap pixels; low where modes collapse."""
    places, source = _locations(poses), torch.Generator().manual_seed(seed)
    n = places.shape[2]
    first = torch.randint(n, (pairs,), generator=source)
    second = (first + 1 + torch.randint(n - 1, (pairs,), generator=source)) % n
    return float((places[..., first] - places[..., second]).norm(dim=1).sum(dim=0).mean())
