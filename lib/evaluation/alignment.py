"""Whether poses fit their captions: R-precision, own and shuffled captions, activities, grids.

The thesis looks at examples (4.3). Here the validation pairs measure every way to answer a caption
with a pose: the model, and next to it what is bound to do well or badly.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from lib.data.cache import Dataset, Split
from lib.data.heatmaps import decode, through_heatmap
from lib.data.skeleton import SIZE
from lib.evaluation import networks
from lib.evaluation.neighbours import diversity, nearest_index, pose_distances
from lib.evaluation.statistics import Estimate, bootstrap
from lib.models.synthesis import caption_grid, noise, pick_captions, synthesise
from lib.models.tables import Generator
from lib.training.runs import Run

POOL = 32  # captions among which a pose must find its own
REPEATS = 10  # pools for each pose
RANKS = (1, 2, 3)
GRID = 16  # captions, and noises, of which all combinations are compared


def own_captions(split: Split, seed: int) -> torch.Tensor:
    """(P,) the row of one random caption of each pair."""
    every = torch.arange(len(split.pair_first))
    return split.draw_captions(every, torch.Generator().manual_seed(seed))


def _others(rows: torch.Tensor, captions: list[str], seed: int) -> torch.Tensor:
    """(P,) a random other pair for each, whose caption has other words where there is one."""
    source = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(rows), generator=source)
    texts = np.array([captions[row] for row in rows.tolist()])
    other = order.roll(1)[order.argsort()]  # its neighbour in a random circle: never itself
    if len(set(texts)) > 1:
        # Where it has the same words, go on along the circle to the first one with others.
        while (same := torch.as_tensor(texts[other.numpy()] == texts)).any():
            other = torch.where(same, other[other], other)
    return other


def r_ranks(
    scores: torch.Tensor, texts: list[str], pool: int = POOL, repeats: int = REPEATS, seed: int = 0
) -> np.ndarray:
    """Ranks (P, repeats) of each pose's own caption in random pools, 0 for the best; captions that
    score the same share their ranks evenly.

    ``scores`` (P, P): how well pose i fits caption j. A pool holds ``pool`` captions, fewer where
    there are not as many: the own one, and others of ``texts`` (P,) that have other words.
    """
    source, words = np.random.default_rng(seed), np.array(texts)
    scores, ranks = scores.double().numpy(), np.zeros((len(scores), repeats))
    for i, row in enumerate(scores):
        others = np.flatnonzero(words != words[i])
        for repeat in range(repeats):
            drawn = row[source.permutation(others)[: pool - 1]]
            ties = (drawn == row[i]).sum()
            ranks[i, repeat] = (drawn > row[i]).sum() + source.integers(ties + 1)
    return ranks


class Examiner:
    """Measures poses for the validation captions of a data set, one caption a pair.

    ``rows`` (P,) are the captions asked, ``real`` (P, 17, 3) the poses that belong to them.
    """

    def __init__(self, dataset: Dataset, seed: int = 0):
        self.dataset, self.val, self.seed = dataset, dataset.val, seed
        self.rows = own_captions(self.val, seed)
        self.texts = [self.val.captions[row] for row in self.rows.tolist()]
        self.other = _others(self.rows, self.val.captions, seed)
        self.real = through_heatmap(self.val.poses[self.val.pair_pose])
        self.activity = torch.as_tensor(self.val.activity).long()[self.val.pair_pose]
        self.known = through_heatmap(dataset.train.poses[dataset.train.pair_pose])
        self.parts = networks.parts(dataset)
        self.matchers = [networks.matcher(dataset, part) for part in range(networks.PARTS)]
        self.classifier = networks.activity_classifier(dataset)

    def measure(self, poses: torch.Tensor) -> dict[str, Estimate]:
        """What poses (P, 17, 3), one for each caption, score.

        ``r_precision_1`` to ``_3``: own caption among the k best of its pool; ``distance_own``
        and ``distance_shuffled``: to the pose of the caption and to that of another one, heatmap
        pixels; ``activity_accuracy``, where activities are known: the pose does what the
        caption's person does.
        """
        ranks = r_ranks(self.scores(poses), self.texts, seed=self.seed)
        outcomes = {f"r_precision_{k}": (ranks < k).mean(axis=1) for k in RANKS}
        outcomes["distance_own"] = pose_distances(poses, self.real)
        outcomes["distance_shuffled"] = pose_distances(poses, self.real[self.other])
        known = self.activity >= 0
        if self.classifier is not None and known.any():
            right = self.classifier(poses[known]) == self.activity[known]
            outcomes["activity_accuracy"] = right.numpy()
        return {name: bootstrap(values) for name, values in outcomes.items()}

    def scores(self, poses: torch.Tensor) -> torch.Tensor:
        """(P, P) how well each of the poses (P, 17, 3) fits each caption.

        A matcher knows the captions of poses that it has learned, and of their copies. So each
        pose is judged by the matcher that has not seen the training pose nearest to it.
        """
        vectors = self.val.vectors[self.rows]
        unseen = self.parts[nearest_index(poses, self.known)]
        judged = [matcher.poses(poses) @ matcher.captions(vectors).T for matcher in self.matchers]
        return torch.stack(judged)[unseen, torch.arange(len(poses))]

    def model(self, G: Generator, scaled: Callable) -> torch.Tensor:
        """A pose of G (P, 17, 3) for each caption; ``scaled`` makes of encodings what G takes."""
        h = scaled(self.val.vectors[self.rows])
        return decode(synthesise(G, noise(len(h), self.seed), h))

    def baselines(self) -> dict[str, torch.Tensor]:
        """Poses (P, 17, 3) of answers that need no model, by name."""
        train = self.dataset.train
        pair = torch.repeat_interleave(train.pair_count)  # of each caption that has a pose
        known = F.normalize(train.vectors[train.pair_rows], dim=1)
        asked = self.val.vectors[self.rows].split(64)  # their lengths do not matter
        nearest = torch.cat([(part @ known.T).argmax(dim=1) for part in asked])
        nearest = train.poses[train.pair_pose[pair[nearest]]]
        other = _others(self.rows, self.val.captions, self.seed + 1)  # than those of `shuffled`
        return {
            "real poses": self.real,
            "pose of the nearest training caption": through_heatmap(nearest),
            "real poses of other captions": self.real[other],
            "mean pose": mean_pose(train.poses).expand(len(self.rows), -1, -1),
        }


def mean_pose(poses: torch.Tensor) -> torch.Tensor:
    """(1, 17, 3): each keypoint at the mean of where it is visible, at whole numbers."""
    visible = poses[..., 2:].sum(dim=0).clamp(min=1)
    xy = ((poses[..., :2] * poses[..., 2:]).sum(dim=0) / visible).round().clamp(0, SIZE - 1)
    return torch.cat([xy, torch.ones(len(xy), 1)], dim=1)[None]


def along_and_down(run: Run, dataset: Dataset, seed: int = 3) -> tuple[float, float]:
    """The mean distance of two poses that share their noise, and of two that share their caption,
    in heatmap pixels: along the rows and down the columns of a grid such as Figure 15."""
    _, rows = pick_captions(dataset.val, GRID, seed)
    grid = caption_grid(run.generator(), run.h(dataset.val.vectors[rows]), GRID, seed)
    poses = decode(grid.flatten(0, 1)).unflatten(0, grid.shape[:2])  # (16, 16, 17, 3)
    by_column = poses.transpose(0, 1)
    return tuple(sum(map(diversity, part)) / len(part) for part in (poses, by_column))
