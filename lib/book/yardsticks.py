"""``python -m lib yardsticks``: measures what published runs are compared with, besides the thesis.

Flow matching on the same 51 numbers, and other training poses, which no G that learns from them can
be expected to surpass. ``data/published/yardsticks/`` has, for a data set, the weights of the flow,
and a JSON file of how it was trained and what was measured of both.
"""

import json
import time
from pathlib import Path

from lib import paths
from lib.beyond.flow import Flow, learn
from lib.book import published
from lib.config import profile
from lib.data.cache import Dataset
from lib.evaluation.measures import evaluate_poses, references
from lib.models.weights import load_weights, save_network


def measure(dataset: Dataset, iterations: int) -> Path:
    """Trains a flow, if none is there yet, measures both, and returns the file that says so. Raises
    InputError if files of the project have changes that are not committed."""
    published.require_committed()
    folder = paths.PUBLISHED / "yardsticks"
    folder.mkdir(parents=True, exist_ok=True)
    weights, file = (folder / f"{dataset.source}.{kind}" for kind in ("safetensors", "json"))
    if weights.exists():
        trained = json.loads(file.read_text())["trained"]
    else:
        begun = time.monotonic()
        flow = learn(dataset.train.poses, iterations)
        seconds = round(time.monotonic() - begun)
        trained = {"iterations": iterations, "seconds": seconds} | published.where()
        save_network(flow, weights, half=True)
        paths.write_json(file, {"trained": trained})
    poses, flow = profile("published")["evaluation"]["poses"], read(dataset.source)
    made = evaluate_poses(lambda number: flow.poses(number, seed=0), dataset, poses)
    other = references(dataset, poses)["other training poses"]
    found = {"flow matching": made.summary(), "other training poses": other.summary()}
    paths.write_json(
        file, {"trained": trained, "measured_with": published.where(), "measures": found}
    )
    return file


def read(source: str) -> Flow:
    """The flow that was trained on the data "sample" or "coco"."""
    flow = Flow()
    load_weights(flow, paths.PUBLISHED / "yardsticks" / f"{source}.safetensors")
    return flow
