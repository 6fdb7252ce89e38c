"""``python -m bench.gpu CACHE OUT.json``: what a GPU makes of the seven trainings of the thesis.

Takes nothing but torch, numpy and safetensors. Checks that recorded and
compiled steps have the losses of the plain ones; times an iteration of every training in every way
and precision; projects the time of all seven; names the kernels that take longest.
"""

import argparse
import gc
import json
import math
import os
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from bench.measure import peak, step
from lib.config import LABELS, Config, config_for
from lib.data.cache import Split, load
from lib.device import device_for, hardware
from lib.training.minibatches import Batches
from lib.training.steps import steps_for
from lib.training.trainer import Trainer

SEVEN = {  # experiment to the poses of an epoch, with COCO's own archive (4.1, 4.3)
    name: 17_326 if name.startswith("conditional") else 116_021 for name in LABELS
}
WAYS = ("", "captured", "compiled", "compiled captured")
CHECKED = 12  # iterations whose losses are compared


def paper(experiment: str, **changes: object) -> Config:
    """The thesis's settings, from random weights."""
    return config_for(experiment, "paper").replace(parent="", **changes)


def trained(config: Config, split: Split, words: str, iterations: int) -> torch.Tensor:
    """(iterations,) losses of D from the same weights and random numbers."""
    os.environ["THESIS_STEPS"] = words
    device = device_for()
    trainer = Trainer(config, device, torch.Generator(device).manual_seed(1))
    trainer.initialise(None)
    made, losses = steps_for(trainer, Batches(split, config, device)), []
    for i in range(iterations):
        losses.append(made.discriminator(made.batches.indices(i)))
        if (i + 1) % config.k == 0:
            made.generator()
    return torch.stack(losses).cpu()


def difference(config: Config, split: Split, words: str) -> float:
    """The largest difference between losses in a way and in the plain one, relative to them."""
    config = config.replace(k=2)  # so that G's step is recorded and replayed too
    plain, other = (trained(config, split, way, CHECKED) for way in ("", words))
    return float(((plain - other).abs() / plain.abs().clamp(min=1)).max())


def longest(config: Config, split: Split, words: str, device: torch.device) -> list[dict]:
    """The ten kernels that take most of twenty iterations, with their shares of the time."""
    activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as recorded:
        trained(config, split, words, 20)
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = sorted(recorded.key_averages(), key=lambda e: -getattr(e, key))
    whole = sum(getattr(event, key) for event in events)
    return [{"kernel": e.key[:100], "share": getattr(e, key) / whole} for e in events[:10]]


def iterations(experiment: str) -> int:
    """Of the thesis's training."""
    config = config_for(experiment, "paper")
    return round(config.epochs * math.ceil(SEVEN[experiment] / config.batch_size))


def projected(rows: list[dict]) -> dict:
    """Minutes of the seven trainings, each in its fastest way with one precision."""
    found = {}
    for precision in {row["precision"] for row in rows}:
        best = {}
        for row in (r for r in rows if r["precision"] == precision and "per_second" in r):
            best[row["experiment"]] = max(best.get(row["experiment"], 0), row["per_second"])
        best["conditional_random"] = best.get("conditional_reduced", 0)  # the same networks
        if all(best.get(name) for name in SEVEN):
            found[precision] = sum(iterations(name) / best[name] for name in SEVEN) / 60
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", help="prepared data: sample, coco, or a cache's path")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--trial", action="store_true", help="tiny networks, to try this script")
    given = parser.parse_args()
    device, split = device_for(), load(given.cache).train
    ways = WAYS if device.type == "cuda" else WAYS[:1]
    changes = {"features": 0.02, "batch_size": 8} if given.trial else {}
    seconds = 0.05 if given.trial else 3.0  # of one measurement
    results = {"hardware": hardware(device), "torch": torch.__version__, "rows": []}

    def write() -> None:
        given.out.write_text(json.dumps(results, indent=1) + "\n")

    for precision in ("highest", "high"):  # float32 and TensorFloat-32 products
        torch.set_float32_matmul_precision(precision)
        results[f"flops_{precision}"] = peak(seconds, device)["flops"]
    torch.set_float32_matmul_precision("highest")
    results["differences"] = {
        name: {way: difference(paper(name, features=0.125), split, way) for way in ways[1:]}
        for name in ("gan", "wgan", "wgan_gp", "conditional_reduced")
    }
    print(json.dumps(results, indent=1), flush=True)
    for experiment in list(SEVEN)[:-1]:  # the last has the networks of the one before
        for precision in ("bf16", "fp32"):
            for way in ways:
                os.environ["THESIS_STEPS"] = way
                row = {"experiment": experiment, "precision": precision, "steps": way}
                config = paper(experiment, precision=precision, **changes)
                try:
                    row |= step("fast", config, split, seconds, device)
                except Exception as error:  # one way that fails must not lose the others
                    row["error"] = repr(error)[:500]
                if device.type == "cuda":
                    row["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
                    torch.cuda.reset_peak_memory_stats()
                gc.collect()
                results["rows"].append(row)
                results["projected_minutes"] = projected(results["rows"])
                write()
                print(json.dumps(row), flush=True)
    results["longest"] = longest(paper("wgan_gp", precision="bf16", **changes), split, "", device)
    write()
    print(json.dumps(results["projected_minutes"]), json.dumps(results["longest"], indent=1))


if __name__ == "__main__":
    main()
