"""How close synthesised poses are to real ones (thesis 4.4.2).

Poses are (N, 17, 3) in heatmap pixels. The distance of two is the sum of the Euclidean distances
of corresponding keypoints, a missing keypoint taken to lie at the centre (32, 32).
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from lib.data import Dataset, Split
from lib.heatmaps import decode, through_heatmap
from lib.keypoints import CENTRE
from lib.losses import ALGORITHMS
from lib.ranks import device_for
from lib.runs import Run
from lib.synthesis import noise, synthesise_parts

CELLS = 2_000_000  # distances held at a time: about 16 MB, near the processor's cache
ROWS = 200  # queries at a time where the loop over distances is compiled and holds none
COMPILED = 100_000_000  # distances from which on compiling, which takes some 20 s, is worth it


def _locations(poses) -> torch.Tensor:
    """(17, 2, N) coordinates on the GPU where there is one, missing keypoints at the centre."""
    poses = torch.as_tensor(np.asarray(poses), dtype=torch.float32).to(device_for())
    xy = torch.where(poses[..., 2:] > 0, poses[..., :2], CENTRE)  # (N, 17, 2)
    return xy.permute(1, 2, 0).contiguous()


def _block(queries: torch.Tensor, references: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """(R,) distances of queries (17, 2, R) to their nearest references (17, 2, M).

    ``first`` (): the reference that the first query is, the second is the next and so on; a pose
    is not its own neighbour. Negative where queries are no references.
    """
    total = queries.new_zeros(queries.shape[2], references.shape[2])
    for (qx, qy), (rx, ry) in zip(queries, references, strict=True):
        dx, dy = qx[:, None] - rx, qy[:, None] - ry  # (R, M)
        total += dx.square_().add_(dy.square_()).sqrt_()
    rows, columns = (torch.arange(size, device=total.device) for size in total.shape)
    own = (rows[:, None] + first == columns) & (first >= 0)
    return torch.where(own, torch.inf, total).amin(dim=1)


@functools.cache
def _compiled() -> Callable:
    """_block as one loop that keeps no distances; as it is where nothing here can compile it."""
    block = torch.compile(_block)
    try:
        # The sizes are compiled once more for the data; this finds out whether they can be.
        block(torch.zeros(17, 2, 2), torch.zeros(17, 2, 4), torch.tensor(-1))
    except Exception as error:  # torch raises many kinds, for want of a C++ compiler above all
        reason = str(error).strip().splitlines()[0]
        warnings.warn(f"Distances are not compiled, which takes longer: {reason}", stacklevel=2)
        return _block
    return block


def _nearest(queries: torch.Tensor, references: torch.Tensor, leave_out: bool) -> torch.Tensor:
    """(N,) distances of queries (17, 2, N) to their nearest references (17, 2, M).

    ``leave_out``: both are the same set, and a pose is not its own neighbour. Memory is bounded:
    a few queries at a time against all references.
    """
    n, m = queries.shape[2], references.shape[2]
    large = n * m > COMPILED
    rows = ROWS if large else max(1, min(n, CELLS // m))
    block = _compiled() if large else _block
    nearest = queries.new_empty(n)
    for start in range(0, n, rows):
        start = max(0, min(start, n - rows))  # the last is as long as the others
        first = torch.tensor(start if leave_out else -1, device=queries.device)
        part = queries[..., start : start + rows].contiguous()
        nearest[start : start + rows] = block(part, references, first)
    return nearest


def nearest_distances(queries, references) -> np.ndarray:
    """Distance of each query to the nearest reference, heatmap pixels (4.4.2).

    Args:
        queries: (N, 17, 3) poses in heatmap pixels.
        references: (M, 17, 3) poses in heatmap pixels.
    Returns:
        (N,) distances.
    Raises:
        ValueError: there is no reference.
    """
    if not len(references):
        raise ValueError("the nearest of no references is asked for")
    return _nearest(_locations(queries), _locations(references), leave_out=False).cpu().numpy()


def leave_one_out_accuracy(real, fake) -> float:
    """Accuracy of a 1-nearest-neighbour classifier that tells real from synthesised poses, each
    pose left out in its turn (the classifier two-sample test of 4.4.2).

    0.5 is perfect, 1 is a wrong distribution, 0 a memorised one. A pose whose nearest neighbours
    of both kinds are equally near counts one half.

    Args:
        real, fake: (N, 17, 3) and (M, 17, 3) poses in heatmap pixels, at least two of each.
    Returns:
        A fraction.
    Raises:
        ValueError: there are fewer than two of a kind.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError("leaving one out needs at least two real and two synthesised poses")
    right = 0.0
    sets = _locations(real), _locations(fake)
    for own, other in (sets, sets[::-1]):
        lead = _nearest(own, other, leave_out=False) - _nearest(own, own, leave_out=True)
        # Sums in float32 differ in their last digits where distances are the same.
        for i in (lead.abs() < 1e-3).nonzero()[:, 0].tolist():
            here, first = own[..., i : i + 1].double(), torch.tensor(i, device=own.device)
            d_other = _block(here, other.double(), torch.tensor(-1))
            lead[i] = (d_other - _block(here, own.double(), first)).round(decimals=9)
        right += float((lead > 0).sum()) + float((lead == 0).sum()) / 2
    return right / (len(real) + len(fake))


def diversity(poses, seed: int = 0, pairs: int = 20_000) -> float:
    """Mean distance of two poses, over random pairs, heatmap pixels; low where modes collapse."""
    places = _locations(poses)  # (17, 2, N)
    source = torch.Generator().manual_seed(seed)
    n = places.shape[2]
    first = torch.randint(n, (pairs,), generator=source)
    second = (first + 1 + torch.randint(n - 1, (pairs,), generator=source)) % n
    return float((places[..., first] - places[..., second]).norm(dim=1).sum(dim=0).mean())


@dataclass(frozen=True)
class Evaluation:
    """The measures of 4.4.2 of one run, with the poses they were taken of."""

    accuracy: float  # leave-one-out 1-NN, a fraction
    retrieval_real: np.ndarray  # (V,) distance of validation poses to the nearest in S_r
    retrieval_fake: np.ndarray  # (V,) to the nearest in S_g
    diversity_real: float  # mean distance of two poses, heatmap pixels
    diversity_fake: float
    visible_real: float  # mean number of keypoints a pose has
    visible_fake: float
    real: torch.Tensor  # (N, 17, 3), S_r
    fake: torch.Tensor  # (N, 17, 3), S_g

    @property
    def retrieval_ratio(self) -> float:
        """Mean distance to S_g over mean distance to S_r; 1 is perfect."""
        return float(self.retrieval_fake.mean() / self.retrieval_real.mean())

    def summary(self) -> dict[str, float | int]:
        """The numbers alone."""
        return {
            "accuracy": self.accuracy,
            "retrieval_real": float(self.retrieval_real.mean()),
            "retrieval_fake": float(self.retrieval_fake.mean()),
            "retrieval_ratio": self.retrieval_ratio,
            "diversity_real": self.diversity_real,
            "diversity_fake": self.diversity_fake,
            "visible_real": self.visible_real,
            "visible_fake": self.visible_fake,
            "n_real": len(self.real),
            "n_fake": len(self.fake),
            "n_val": len(self.retrieval_real),
        }

    def _repr_markdown_(self) -> str:
        """The numbers as a table, real beside synthesised poses."""
        rows = [
            ("1-NN leave-one-out accuracy", "", f"{self.accuracy:.1%}", "50%"),
            (
                "distance of validation poses to the nearest",
                f"{self.retrieval_real.mean():.1f}",
                f"{self.retrieval_fake.mean():.1f}",
                "equal",
            ),
            (
                "mean distance of two poses",
                f"{self.diversity_real:.1f}",
                f"{self.diversity_fake:.1f}",
                "equal",
            ),
            ("visible keypoints", f"{self.visible_real:.1f}", f"{self.visible_fake:.1f}", "equal"),
            ("poses", f"{len(self.real):,}", f"{len(self.fake):,}", ""),
        ]
        head = "| | real | synthesised | perfect |\n|---|---|---|---|\n"
        return head + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _own_captions(split: Split, scale: float, seed: int) -> torch.Tensor:
    """(P, 300) the scaled encoding of one random caption of each pair."""
    source = torch.Generator().manual_seed(seed)
    draw = torch.rand(len(split.pair_first), generator=source)
    return split.vectors[split.pair_first + (draw * split.pair_count).long()] * scale


def evaluate(
    run: Run, dataset: Dataset, poses: int | None, epoch: float | None = None, seed: int = 0
) -> Evaluation:
    """Compares a run's poses with the real ones they were learned from.

    A conditional model makes one pose for each training pose that has captions, from one of them
    (4.4.2). An unconditional one makes as many as there are training poses. Real and synthesised
    poses go through the same rendering and decoding.

    Args:
        run: a finished run.
        dataset: the data it was trained on.
        poses: random training poses, and validation poses, that are compared at the most;
            None for all.
        epoch: evaluate G as it was after this epoch, a named snapshot.
        seed: of noise, captions and the choice of poses.
    """
    conditional = ALGORITHMS[run.config.algorithm].conditional
    train, val = dataset.train, dataset.val
    real, queries, h = train.poses, val.poses, None
    if conditional:
        real, queries = real[train.pair_pose], queries[val.pair_pose]
        h = _own_captions(train, run.config.caption_scale, seed)
    source = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(real), generator=source)[:poses].sort().values
    real, queries = through_heatmap(real[chosen]), through_heatmap(queries[:poses])
    parts = synthesise_parts(
        run.generator(epoch), noise(len(real), seed), None if h is None else h[chosen]
    )
    fake = torch.cat([decode(part) for part in parts])
    return Evaluation(
        accuracy=leave_one_out_accuracy(real, fake),
        retrieval_real=nearest_distances(queries, real),
        retrieval_fake=nearest_distances(queries, fake),
        diversity_real=diversity(real),
        diversity_fake=diversity(fake),
        visible_real=float(real[..., 2].sum(dim=1).mean()),
        visible_fake=float(fake[..., 2].sum(dim=1).mean()),
        real=real,
        fake=fake,
    )
