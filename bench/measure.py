"""One measurement in a process of its own: ``python -m bench.measure STEP ...`` prints JSON.

A fresh process sees the allocator settings that it is given, and its peak memory is its own.
"""

import argparse
import contextlib
import json
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import plain
from lib.config import Config, config_for
from lib.data.cache import Split, load
from lib.device import device_for
from lib.evaluation.neighbours import leave_one_out_accuracy
from lib.training.minibatches import Batches
from lib.training.steps import WARM_UP, chosen, steps_for
from lib.training.trainer import Trainer

EXPERIMENTS = {  # the thesis's settings of each algorithm, from profile paper
    "gan": "gan",
    "wgan": "wgan",
    "wgan_gp": "wgan_gp",
    "conditional_gan": "conditional_gan",
    "conditional_wgan_lp": "conditional_full",
}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def rate(do: Callable[[int], None], seconds: float, device: torch.device, unit: int = 1) -> float:
    """How often a second ``do`` can be called, with numbers that count up; called ``unit`` times
    without being counted, then as often as ``seconds`` allow, in whole units."""
    done = 0
    for _ in range(unit):
        do(done)
        done += 1
    _wait(device)
    begun, first = time.perf_counter(), done
    while time.perf_counter() - begun < seconds:
        for _ in range(unit):
            do(done)
            done += 1
        _wait(device)
    return (done - first) / (time.perf_counter() - begun)


class _NoModules(contextlib.nullcontext):
    """Stands for the counter's record of modules, whose hooks refuse the penalty's gradient."""

    parents = ("Global",)


def operations(do: Callable[[int], object], times: int) -> float:
    """Floating-point operations of ``do``, its products and convolutions, on average."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()
    with counter:
        for i in range(times):
            do(i)
    return counter.get_total_flops() / times


def config_of(algorithm: str, **changes: object) -> Config:
    """The thesis's settings, but for the changes."""
    return config_for(EXPERIMENTS[algorithm], "paper").replace(parent="", **changes)


def step(way: str, config: Config, split: Split, seconds: float, device: torch.device) -> dict:
    """Iterations of the whole training loop a second: data, D step, a k-th of a G step; the plain
    way always in fp32."""
    if way == "plain":
        config = config.replace(precision="fp32")
    kind = Trainer if way == "fast" else plain.PlainTrainer
    random = torch.Generator(device).manual_seed(0)
    trainer, batches = kind(config, device, random), Batches(split, config, device)
    trainer.initialise(None)
    usual, steps = plain.minibatches(split, config), steps_for(trainer, batches)

    def iteration(i: int) -> None:
        if way == "fast":
            steps.discriminator(batches.indices(i))
        else:  # a loop that prints its losses waits for them
            steps.batch = plain.to(device, next(usual))
            trainer.discriminator_step(steps.batch, batches).item()
        if (i + 1) % config.k == 0:
            steps.generator()

    words = chosen()
    if words:  # compiling and recording are not timed
        rate(iteration, 0, device, unit=config.k * (WARM_UP + 2))
    found = {"per_second": rate(iteration, seconds, device, unit=config.k)}
    if way == "plain" or words:  # kernels that are compiled or recorded cannot be counted
        return found
    return found | {"flop": operations(iteration, times=config.k)}


def peak(seconds: float, device: torch.device) -> dict:
    """Operations a second of a large product of matrices: what a step could reach at the most."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, device=device)
    return {"flops": 2 * n**3 * rate(lambda _: a @ a, seconds, device, unit=4)}


def data(way: str, workers: int, seconds: float, device: torch.device) -> dict:
    """Minibatches of 128 augmented, rendered poses a second."""
    config, split = config_of("wgan_gp"), load("sample").train
    if way == "fast":
        random, batches = torch.Generator(device).manual_seed(0), Batches(split, config, device)

        def draw(i: int) -> None:
            batches.draw(batches.indices(i), random)

        return {"per_second": rate(draw, seconds, device)}
    usual = plain.minibatches(split, config, workers)
    return {"per_second": rate(lambda _: plain.to(device, next(usual)), seconds, device)}


def neighbours(way: str, n: int, device: torch.device) -> dict:
    """Seconds of the exact leave-one-out accuracy of n / 2 and n / 2 random poses; of the plain
    way, for few rows and multiplied."""
    random = np.random.default_rng(0)
    poses = random.integers(0, 64, (n, 17, 3)).astype(np.float32)
    poses[..., 2] = 1
    begun = time.perf_counter()
    if way == "plain":
        places, rows = torch.from_numpy(poses[..., :2].copy()), min(n, 256)
        plain.nearest(places, rows)
        return {"seconds": (time.perf_counter() - begun) * n / rows}
    if n < 100_000:  # the first time, compiling is most of it
        leave_one_out_accuracy(poses[: n // 2], poses[n // 2 :])
        begun = time.perf_counter()
    leave_one_out_accuracy(poses[: n // 2], poses[n // 2 :])
    return {"seconds": time.perf_counter() - begun}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["step", "peak", "data", "neighbours"])
    parser.add_argument("--way", choices=["plain", "fast"], required=True)
    parser.add_argument("--algorithm", choices=EXPERIMENTS)
    parser.add_argument("--features", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    device = device_for()
    if given.what == "step":
        config = config_of(given.algorithm, features=given.features, precision=given.precision)
        found = step(given.way, config, load("sample").train, given.seconds, device)
    elif given.what == "peak":
        found = peak(given.seconds, device)
    elif given.what == "data":
        found = data(given.way, given.workers, given.seconds, device)
    else:
        found = neighbours(given.way, given.n, device)
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device.type == "cuda":
        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(found))


if __name__ == "__main__":
    main()
