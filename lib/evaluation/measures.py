"""How close synthesised poses are to real ones (thesis 4.4.2, and what has become usual since), and
how smoothly they change (4.4.1). A measure that is a mean over poses has a bootstrap interval; the
Fréchet distance has none."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from lib.data.cache import Dataset, Split
from lib.data.heatmaps import decode, through_heatmap
from lib.evaluation import neighbours, networks
from lib.evaluation.alignment import Examiner, mean_pose, own_captions
from lib.evaluation.limbs import implausible
from lib.evaluation.statistics import Estimate, bootstrap
from lib.figures.tables import Table
from lib.losses import ALGORITHMS
from lib.models.synthesis import (
    interpolate_captions,
    interpolate_noise,
    noise,
    pick_captions,
    synthesise_parts,
)
from lib.training.runs import Run

NEAREST = 5  # neighbour to which a ball reaches
BALLS = 20_000  # poses of each kind, at the most, whose neighbourhoods are compared
SMALLEST = 250  # poses of each kind of which an accuracy is taken
Measures = dict[str, Estimate]  # by name, as they are kept in evaluation.json
PATHS, STEPS = 32, 21  # between noises, and half as many between captions; points of a path
COPY = 0.01  # share of validation poses that lie as near to a training pose as a copy


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """(m1 - m2)^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), of means m and covariances S of features
    (N, F) and (M, F), more of each than F (Heusel et al. 2017)."""
    real, fake = (np.asarray(x, dtype=np.float64) for x in (real, fake))
    s1, s2 = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, fake))
    # The trace is the sum of the roots of the eigenvalues, none negative but for rounding.
    roots = np.sqrt(np.linalg.eigvals(s1 @ s2).real.clip(min=0))
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return float(shift @ shift + np.trace(s1) + np.trace(s2) - 2 * roots.sum())


@dataclass(frozen=True)
class Evaluation:
    """The measures of a set of poses next to a real one, with the poses they were taken of.

    ``estimates`` holds, by name: ``accuracy`` (leave-one-out 1-NN, a fraction), of all poses and,
    as ``accuracy_real`` and ``accuracy_fake``, of either kind; ``retrieval_real`` and
    ``retrieval_fake`` (mean distance of validation poses to the nearest in S_r and S_g), and
    ``typicality_real`` and ``typicality_fake`` the other way round (of the poses of S_r and S_g to
    the nearest validation pose, as the thesis's 100.9 and 105.0 were measured), each with its
    ``_ratio``; ``precision``, ``recall``, ``density``, ``coverage``; ``frechet``;
    ``diversity_*`` (mean distance of two poses), ``visible_*`` (keypoints a pose has) and
    ``implausible_*`` (share with a limb of unusual length) of ``real`` and ``fake``; ``copied``
    (share as near to a training pose as only 1 % of the validation poses are); for a conditional
    model also those of :meth:`lib.evaluation.alignment.Examiner.measure`.
    """

    estimates: dict[str, Estimate]
    retrieval_real: np.ndarray  # (V,) distance of validation poses to the nearest in S_r
    retrieval_fake: np.ndarray  # (V,) to the nearest in S_g
    typicality_real: np.ndarray  # (N,) distance of the poses of S_r to the nearest validation pose
    typicality_fake: np.ndarray  # (M,) of those of S_g
    real: torch.Tensor  # (N, 17, 3), S_r
    fake: torch.Tensor  # (N, 17, 3), S_g

    def __getattr__(self, name: str) -> float:
        """The value of an estimate, by its name."""
        if name.startswith("_") or name not in self.estimates:
            raise AttributeError(name)
        return self.estimates[name].value

    @property
    def measures(self) -> Measures:
        """The estimates and the numbers of poses: ``n_real``, ``n_fake``, ``n_val``."""
        sizes = len(self.real), len(self.fake), len(self.retrieval_real)
        names = ("n_real", "n_fake", "n_val")
        return self.estimates | dict(zip(names, map(Estimate, sizes), strict=True))

    def summary(self) -> dict[str, float | int]:
        """The numbers alone; ``_low`` and ``_high`` are the ends of an interval."""
        found = {}
        for name, e in self.measures.items():
            ends = {} if np.isnan(e.low) else {f"{name}_low": e.low, f"{name}_high": e.high}
            found |= {name: e.value} | ends
        return found

    def _repr_markdown_(self) -> str:
        """The main numbers as a table, real next to synthesised poses."""
        e = self.estimates
        rows = [["1-NN leave-one-out accuracy", "", f"{e['accuracy']:.1%}", "50%"]]
        for what, name, spec, perfect in (
            ("accuracy on each kind", "accuracy", ".1%", "50%"),
            ("distance to the nearest validation pose", "typicality", ".1f", "equal"),
            ("distance of validation poses to the nearest", "retrieval", ".1f", "equal"),
            ("mean distance of two poses", "diversity", ".1f", "equal"),
            ("visible keypoints", "visible", ".1f", "equal"),
            ("a limb of unusual length", "implausible", ".1%", "equal"),
        ):
            real, fake = (format(e[f"{name}_{kind}"], spec) for kind in ("real", "fake"))
            rows.append([what, real, fake, perfect])
        rows.append(["poses", f"{len(self.real):,}", f"{len(self.fake):,}", ""])
        return Table(["", "real", "synthesised", "perfect"], rows)._repr_markdown_()


def compare(
    real: torch.Tensor,
    fake: torch.Tensor,
    queries: torch.Tensor,
    train: torch.Tensor,
    coder: networks.PoseCoder,
    seed: int = 0,
) -> Evaluation:
    """All measures that need no captions.

    ``real`` (N, 17, 3) and ``fake`` (M, 17, 3), S_r and S_g, are both decoded from heatmaps;
    ``queries`` (V, 17, 3) are validation poses, ``train`` (T, 17, 3) all training poses, which
    might have been copied. ``coder`` gives the features of the Fréchet distance; ``seed`` is that
    of the bootstrap and of random choices.
    """
    nearest, mean = neighbours.nearest_distances, functools.partial(bootstrap, seed=seed)
    d_r, d_g = nearest(queries, real), nearest(queries, fake)
    t_r, t_g = nearest(real, queries), nearest(fake, queries)
    k = min(NEAREST, len(real) - 1, len(fake) - 1)
    balls = neighbours.manifold(*(x[_choice(len(x), BALLS, seed)] for x in (real, fake)), k)
    told = neighbours.leave_one_out(real, fake)
    near = np.quantile(nearest(queries, train), COPY)
    estimates = {
        "accuracy": mean(told),
        "accuracy_real": mean(told[: len(real)]),
        "accuracy_fake": mean(told[len(real) :]),
        "retrieval_real": mean(d_r),
        "retrieval_fake": mean(d_g),
        "retrieval_ratio": mean(d_r, d_g),
        "typicality_real": mean(t_r),
        "typicality_fake": mean(t_g),
        "typicality_ratio": mean(t_r, t_g, paired=False),
        **{name: mean(outcomes) for name, outcomes in balls.items()},
        "copied": mean(nearest(fake, train) <= near),
    }
    for kind, poses in (("real", real), ("fake", fake)):
        estimates[f"visible_{kind}"] = mean(poses[..., 2].sum(dim=1).numpy())
        estimates[f"implausible_{kind}"] = mean(implausible(poses, real))
    estimates["frechet"] = Estimate(frechet_distance(coder(real).numpy(), coder(fake).numpy()))
    for kind, poses in (("real", real), ("fake", fake)):
        estimates[f"diversity_{kind}"] = Estimate(neighbours.diversity(poses, seed))
    return Evaluation(estimates, d_r, d_g, t_r, t_g, real, fake)


def evaluate(
    run: Run, dataset: Dataset, poses: int | None, epoch: float | None = None, seed: int = 0
) -> Evaluation:
    """Compares the poses of a finished run with real ones that it was trained on, of which, as of
    the validation poses, at most ``poses`` random ones count, or all (None).

    Real poses are those that are alone in their image (4.4.2), with captions where the model is
    conditional; it then makes one pose for each, from one of its captions, and an unconditional one
    makes as many. All go through the same rendering and decoding. ``epoch``: G as it was after this
    epoch, a named snapshot; ``seed``: of noise, captions and the choice of poses.
    """
    G = run.generator(epoch)

    def made(number: int, h: torch.Tensor | None = None) -> torch.Tensor:
        return torch.cat([decode(part) for part in synthesise_parts(G, noise(number, seed), h)])

    if not ALGORITHMS[run.config.algorithm].conditional:
        return evaluate_poses(made, dataset, poses, seed)
    train, val = dataset.train, dataset.val
    chosen, asking = (_choice(len(s.pair_pose), poses, seed) for s in (train, val))
    known = through_heatmap(train.poses[train.pair_pose])  # which might have been copied
    queries = through_heatmap(val.poses[val.pair_pose[asking]])
    fake = made(len(chosen), run.h(train.vectors[own_captions(train, seed)])[chosen])
    coder = networks.pose_coder(dataset)
    result = compare(known[chosen], fake, queries, known, coder, seed)
    if epoch is not None:
        return result
    examiner = Examiner(dataset, seed)
    fits = examiner.measure(examiner.model(G, run.config.scaled))
    return dataclasses.replace(result, estimates=result.estimates | fits)


def evaluate_poses(
    made: Callable[[int], torch.Tensor], dataset: Dataset, poses: int | None, seed: int = 0
) -> Evaluation:
    """As :func:`evaluate` for anything that makes poses without captions: ``made`` takes their
    number and returns them (N, 17, 3), decoded."""
    rows, asking = (_some(_alone(s), poses, seed) for s in (dataset.train, dataset.val))
    known = through_heatmap(dataset.train.poses)  # which might have been copied
    queries = through_heatmap(dataset.val.poses[asking])
    coder = networks.pose_coder(dataset)
    return compare(known[rows], made(len(rows)), queries, known, coder, seed)


def by_size(result: Evaluation, seed: int = 0) -> dict[int, Estimate]:
    """1-NN accuracies of random parts of both sets, of SMALLEST poses of each kind, twice as many,
    and so on, to as many as there are: the more poses, the better their neighbours tell."""
    number = min(len(result.real), len(result.fake))
    sizes = [SMALLEST << step for step in range(32) if SMALLEST << step < number] + [number]
    parts = {n: [x[_choice(len(x), n, seed)] for x in (result.real, result.fake)] for n in sizes}
    return {n: bootstrap(neighbours.leave_one_out(*x), seed=seed) for n, x in parts.items()}


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
    steps = [neighbours.pose_distances(a, b) for a, b in zip(poses, poses[1:], strict=False)]
    return np.max(steps, axis=0) / neighbours.pose_distances(poses[0], poses[-1]).clip(min=1)


def track(
    run: Run, dataset: Dataset, poses: int = 1_000, seed: int = 0
) -> list[tuple[float, float, float]]:
    """How a Wasserstein critic's loss and the quality of an unconditional G go together.

    For each epoch whose G was kept, and for the end: the epoch; the mean of -loss_d since the one
    before, the critic's estimate of the distance less its penalty; the Fréchet distance of at most
    ``poses`` synthesised poses to as many training poses.
    """
    coder, known = networks.pose_coder(dataset), dataset.train.poses
    real = coder(through_heatmap(known[_choice(len(known), poses, seed)])).numpy()
    rows = [row for row in run.metrics if "loss_d" in row]
    last = rows[-1]["iteration"]
    kept = {done: epoch for done, epoch in run.kept.items() if done < last}
    found, before = [], 0
    for done, epoch in (kept | {last: None}).items():  # at the end G is the run's own
        losses = [row["loss_d"] for row in rows if before < row["iteration"] <= done]
        parts = synthesise_parts(run.generator(epoch), noise(len(real), seed))
        fake = coder(torch.cat([decode(part) for part in parts])).numpy()
        end = rows[-1]["epoch"] if epoch is None else epoch
        found.append((end, -float(np.mean(losses)), frechet_distance(real, fake)))
        before = done
    return found


def _alone(split: Split) -> torch.Tensor:
    """(N,) whether a pose is alone in its image; true of all poses where it is of none."""
    alone = torch.as_tensor(split.single)
    return alone if alone.any() else torch.ones_like(alone)


def _some(of: torch.Tensor, most: int | None, seed: int) -> torch.Tensor:
    """At most ``most`` random rows, in order, of those where ``of`` (N,) is true."""
    rows = of.nonzero()[:, 0]
    return rows[_choice(len(rows), most, seed)]


def _choice(number: int, most: int | None, seed: int) -> torch.Tensor:
    """At most ``most`` of ``number`` rows, at random and in order."""
    source = torch.Generator().manual_seed(seed)
    return torch.randperm(number, generator=source)[:most].sort().values


def references(dataset: Dataset, poses: int | None, seed: int = 0) -> dict[str, Evaluation]:
    """What the measures say of other training poses and of the mean pose: the ceiling and the floor
    of an unconditional model, whose poses :func:`evaluate` compares with the same real ones.

    Those are alone in their image. Of the others as many are as among all training poses, or as
    there are left: a G that has learned its data to perfection does not score 50 %, either.
    """
    known, alone = dataset.train.poses, _alone(dataset.train)
    size = min(poses or len(known), int(alone.sum()), len(known) // 2)
    real = torch.zeros_like(alone).index_fill(0, _some(alone, size, seed), True)
    others = _some(alone & ~real, round(size * alone.double().mean().item()), seed)
    others = torch.cat([others, _some(~alone, size - len(others), seed)])
    held_out = torch.zeros_like(alone).index_fill(0, others, True)
    at_hand = through_heatmap(known)
    queries = through_heatmap(dataset.val.poses[_some(_alone(dataset.val), poses, seed)])
    coder, mean = networks.pose_coder(dataset), mean_pose(known).expand(size, -1, -1)
    kept = at_hand[~held_out]  # which might have been copied
    ceiling = compare(at_hand[real], at_hand[held_out], queries, kept, coder, seed)
    floor = compare(at_hand[real], mean, queries, at_hand, coder, seed)
    return {"other training poses": ceiling, "mean pose": floor}
