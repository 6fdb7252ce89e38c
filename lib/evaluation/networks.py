"""Small networks that judge poses, each trained on training data only.

- :class:`PoseCoder`, an autoencoder, whose code is the space of the Fréchet distance;
- :class:`Matcher`, which tells which caption belongs to which pose; there are several, each
  trained without a part of the pairs, so that none need judge a pose that it has learned;
- :class:`ActivityClassifier`, for data that name what people do (the sample data).

Training one takes seconds. It is kept in ``data/judges/``, named by its code and data.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from lib import paths
from lib.data.cache import Dataset
from lib.data.heatmaps import augment
from lib.data.skeleton import CENTRE, NAMES, SIZE
from lib.models.tables import TEXT
from lib.training.progress import passing

NUMBERS = 3 * len(NAMES)  # of a pose
CODE = 32  # numbers that stand for a pose in the Fréchet distance
JOINT = 64  # length of what captions and poses are compared by
HIDDEN = 256
BATCH = 256
STEPS = 1_500  # of each training run
PARTS = 5  # of the training pairs, and as many matchers, each trained without one part


def features(poses: torch.Tensor) -> torch.Tensor:
    """(N, 51) from poses (N, 17, 3): coordinates from -1 to 1, 0 where invisible; visibility."""
    visible = (poses[..., 2:] > 0).float()
    return torch.cat([(poses[..., :2] - CENTRE) / CENTRE * visible, visible], dim=2).flatten(1)


def _layers(inputs: int, outputs: int, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, outputs),
    )


class PoseCoder(nn.Module):
    """Poses to 32 numbers and back; learns to give back positions and visibilities."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = _layers(NUMBERS, CODE), _layers(CODE, NUMBERS)

    def forward(self, poses: torch.Tensor) -> torch.Tensor:
        """(N, 17, 3) to codes (N, 32)."""
        return self.encode(features(poses))

    def loss(self, poses: torch.Tensor) -> torch.Tensor:
        """Squared error of visible positions, cross-entropy of visibilities."""
        wanted = features(poses).unflatten(1, (len(NAMES), 3))
        found = self.decode(self(poses)).unflatten(1, (len(NAMES), 3))
        visible = wanted[..., 2]
        error = (found[..., :2] - wanted[..., :2]).square().sum(dim=2) * visible
        return error.mean() + F.binary_cross_entropy_with_logits(found[..., 2], visible) / 10


class Matcher(nn.Module):
    """Captions and poses to one space, in which those that belong together point the same way."""

    def __init__(self):
        super().__init__()
        self.pose = _layers(NUMBERS, JOINT, dropout=0.2)
        self.caption = _layers(TEXT, JOINT, dropout=0.2)
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def poses(self, poses: torch.Tensor) -> torch.Tensor:
        """(N, 17, 3) to directions (N, 64)."""
        return F.normalize(self.pose(features(poses)), dim=1)

    def captions(self, vectors: torch.Tensor) -> torch.Tensor:
        """Encodings (N, 300), not scaled, to directions (N, 64)."""
        return F.normalize(self.caption(F.normalize(vectors, dim=1)), dim=1)

    def loss(self, poses: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each pose's own caption among the minibatch's, and the other way."""
        scores = self.poses(poses) @ self.captions(vectors).T * self.sharpness.exp()
        own = torch.arange(len(poses))
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


class ActivityClassifier(nn.Module):
    """What a person does, from the pose."""

    def __init__(self, activities: int):
        super().__init__()
        self.score = _layers(NUMBERS, activities, dropout=0.2)

    def forward(self, poses: torch.Tensor) -> torch.Tensor:
        """(N, 17, 3) to the most likely activity (N,)."""
        return self.score(features(poses)).argmax(dim=1)

    def loss(self, poses: torch.Tensor, activity: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.score(features(poses)), activity)


def _fit(network: nn.Module, number: int, loss: Callable) -> None:
    """Trains on random minibatches; ``loss`` takes rows (B,) of ``number`` and a generator."""
    source, threads = torch.Generator().manual_seed(0), torch.get_num_threads()
    torch.set_num_threads(1)  # faster for layers this small, and sums have one order everywhere
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in passing(f"training {type(network).__name__}", range(STEPS)):
        rows = torch.randint(number, (min(BATCH, number),), generator=source)
        value = loss(rows, source)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        falling.step()
    torch.set_num_threads(threads)


def _new(kind: Callable[[], nn.Module]) -> nn.Module:
    """A network with weights that do not depend on what was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return kind()


def _seen(poses: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Training poses, augmented (3.2), at whole numbers of the grid as decoded poses are."""
    poses = augment(poses, source)
    return torch.cat([poses[..., :2].round().clamp(0, SIZE - 1), poses[..., 2:]], dim=2)


def _kept(kind: Callable, data_id: str, number: int, draw: Callable, seed: int = 0) -> nn.Module:
    """A network as the same code trained it on the same data before, or trained now.

    ``draw`` turns rows (B,) of ``number`` and a generator into poses and whatever else the loss
    takes; without any row the network stays as it began. ``seed`` is that of the dropout.
    """
    network, code = _new(kind), inspect.getsource(sys.modules[__name__]) + data_id

    def loss(rows: torch.Tensor, source: torch.Generator) -> torch.Tensor:
        poses, *more = draw(rows, source)
        return network.loss(_seen(poses, source), *more)

    name = f"{type(network).__name__}-{hashlib.sha256(code.encode()).hexdigest()[:10]}"
    path = paths.DATA / "judges" / f"{name}.safetensors"
    try:
        network.load_state_dict(load_file(path))
    except Exception:  # missing or damaged
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            if number:
                _fit(network, number, loss)
        with paths.replacing(path) as new:
            save_file(network.state_dict(), new)
    return network.eval().requires_grad_(False)


def pose_coder(dataset: Dataset) -> PoseCoder:
    """Trained on the training poses."""
    poses = dataset.train.poses
    return _kept(PoseCoder, dataset.poses_id, len(poses), lambda rows, _: [poses[rows]])


def parts(dataset: Dataset) -> torch.Tensor:
    """(P,) the part of the training pairs, from 0 to 4, that each of them is in, at random."""
    source = torch.Generator().manual_seed(0)
    return torch.randperm(len(dataset.train.pair_pose), generator=source) % PARTS


def matcher(dataset: Dataset, without: int) -> Matcher:
    """Trained on the training pairs outside of one of the :func:`parts`, with a random one of
    each pose's captions; without such pairs it stays as it began."""
    train, known = dataset.train, (parts(dataset) != without).nonzero()[:, 0]

    def draw(rows: torch.Tensor, source: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = known[rows]
        own = train.draw_captions(pairs, source)
        return train.poses[train.pair_pose[pairs]], train.vectors[own]

    return _kept(Matcher, f"{dataset.pairs_id} without {without}", len(known), draw, seed=1)


def activity_classifier(dataset: Dataset) -> ActivityClassifier | None:
    """Trained on the training poses whose activity is known; None where the data name none."""
    names = dataset.meta.get("activities") or []
    poses, activity = dataset.train.poses, torch.as_tensor(dataset.train.activity).long()
    known = (activity >= 0).nonzero()[:, 0]
    if not len(names) or not len(known):
        return None
    return _kept(
        lambda: ActivityClassifier(len(names)),
        f"{dataset.poses_id} {names} {activity.tolist()}",  # poses may get other activities
        len(known),
        lambda rows, _: (poses[known[rows]], activity[known[rows]]),
        seed=2,
    )
