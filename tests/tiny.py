"""Data and settings so small that a training takes a second."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from lib.book.execute import ALLOCATOR
from lib.config import Config
from lib.data.cache import Dataset, Split
from lib.models.weights import initialise
from lib.training.runs import Run

# Threads that wait for each other on busy cores make networks this small ten times slower.
torch.set_num_threads(1)

FEATURES = 1 / 16  # widths 32, 16, 8, 4


def split(poses: int, pairs: int | None = None, captions: int = 5, seed: int = 0) -> Split:
    """Random poses, of which the last ``pairs`` have ``captions`` each, but the first pair one.

    Caption c is "caption c"; its vector is 1 at place c, so that a vector tells whose it is.
    """
    source = torch.Generator().manual_seed(seed)
    xy = torch.rand(poses, 17, 2, generator=source) * 50 + 7
    pairs = poses if pairs is None else pairs
    count = torch.tensor([1] + [captions] * (pairs - 1))[:pairs]
    total = int(count.sum())
    return Split(
        poses=torch.cat([xy, torch.ones(poses, 17, 1)], dim=2),
        keypoints=np.zeros((poses, 17, 3), np.float32),
        boxes=np.ones((poses, 4), np.float32),
        person_ids=np.arange(poses),
        image_ids=np.arange(poses),
        image_sizes=np.ones((poses, 2), np.int32),
        single=np.arange(poses) >= poses - pairs,
        activity=np.zeros(poses, np.int16),
        pair_pose=torch.arange(poses - pairs, poses),
        pair_first=count.cumsum(0) - count,
        pair_count=count,
        caption_images=np.zeros(total, np.int64),
        vectors=torch.eye(300)[:total],
        text="\n".join(f"caption {c}" for c in range(total)).encode(),
    )


class Part(SimpleNamespace):
    """A split of the fields that a test gives it."""

    draw_captions = Split.draw_captions


def dataset(train: int = 10, val: int = 6, pairs: int | None = None) -> Dataset:
    """Generated poses, as a loaded cache would hold them."""
    val_pairs = None if pairs is None else min(pairs, val)
    halves = split(train, pairs), split(val, val_pairs, seed=1)
    return Dataset("sample", "sample", *halves, poses_id="poses", pairs_id="pairs", meta={})


def telling(kinds: int = 200, each: int = 4, activities: int = 5, seed: int = 0) -> Dataset:
    """Data whose captions tell the pose: each of two names its kind, of which there are many.

    Training has ``each`` poses of a kind, validation one, all a little different. Kind k does what
    ``activities`` kinds of kinds do: k modulo their number.
    """
    source = torch.Generator().manual_seed(seed)
    doing = torch.arange(kinds) % activities
    shape = 17 + 30 * torch.rand(activities, 17, 2, generator=source)[doing]  # (kinds, 17, 2)
    shape += 4 * torch.randn(kinds, 17, 2, generator=source)
    words = torch.randn(kinds, 300, generator=source)

    def part(number: int) -> Split:
        kind = torch.arange(kinds).repeat(number)
        own = split(len(kind), captions=2)
        said = kind[torch.repeat_interleave(own.pair_count)]  # by each caption
        xy = shape[kind] + torch.randn(len(kind), 17, 2, generator=source)
        return replace(
            own,
            poses=torch.cat([xy, torch.ones(len(kind), 17, 1)], dim=2),
            activity=doing[kind].numpy().astype(np.int16),
            vectors=words[said] + 0.1 * torch.randn(len(said), 300, generator=source),
            text="\n".join(f"kind {k} in words {i}" for i, k in enumerate(said.tolist())).encode(),
        )

    names = [f"activity {number}" for number in range(activities)]
    halves = part(each), part(1)
    return Dataset("sample", "sample", *halves, "poses", "pairs", {"activities": names})


def config(algorithm: str = "wgan_gp", **changes) -> Config:
    """Three iterations an epoch on the ten poses of ``dataset``, the last with two poses."""
    own = {"features": FEATURES, "batch_size": 4, "epochs": 2, "k": 2} | changes
    return Config(algorithm, **own)


def run(folder: Path, settings: Config, name: str = "wgan_gp") -> Run:
    return Run(folder, settings, name)


def conditional_run(folder: Path, of: Dataset, seed: int = 0) -> Run:
    """A conditional model that counts as trained on ``of``: random weights, large enough for its
    poses to differ."""
    run = Run(folder, config("conditional_wgan_lp"), "conditional_reduced")
    G, D = run.recipe.networks()
    initialise(G, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in G.parameters():
            weight *= 4 if weight.ndim == 4 else 1
    run.begin({"data": of.pairs_id})
    run.save_checkpoint(1, G, D, {})
    run.finish({"data": of.name, "iterations": 1})
    return run


def notebook(path: Path, *cells: str) -> Path:
    """Writes a notebook of code cells; the first holds the parameters."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {"tags": ["parameters"] if number == 0 else []},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def keep_environment(monkeypatch) -> None:
    """Lets a test's kernels have an environment of their own, which is put back."""
    for name in ("PATH", "PYTHONPATH", "JUPYTER_PREFER_ENV_PATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for name in ALLOCATOR:
        monkeypatch.setenv(name, "1000000")
