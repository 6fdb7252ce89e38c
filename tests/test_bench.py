"""The yardstick does the same as the project, in the usual way; the table of the comparison."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch

import bench.__main__ as table
from bench import gpu, measure, plain
from lib import paths
from lib.data import cache
from lib.data.heatmaps import flip, render, rotate
from lib.evaluation.neighbours import nearest_distances
from lib.losses import ALGORITHMS, gradient_penalty
from lib.training.minibatches import Batches
from lib.training.trainer import Trainer

CPU = torch.device("cpu")
DATA = tiny.dataset()


class Drawn:
    """A random generator that gives what it is told."""

    def __init__(self, draw: float, angle: float):
        self.random, self.uniform = lambda: draw, lambda low, high: angle


def test_the_yardstick_draws_the_same_heatmaps():
    poses = DATA.train.poses
    drawn = np.stack([plain.draw(pose) for pose in poses.numpy()])
    torch.testing.assert_close(torch.from_numpy(drawn), render(poses), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("draw", "angle"), [(0.1, 7.0), (0.9, -3.0)])
def test_the_yardstick_augments_alike(draw, angle):
    pose = DATA.train.poses[:1]
    expected = flip(pose) if draw < 0.5 else pose
    expected = rotate(expected, torch.tensor([np.deg2rad(angle)]).float())
    found = plain.augmented(pose[0].numpy(), Drawn(draw, angle))
    shown = expected[0, :, 2] > 0
    np.testing.assert_allclose(found[shown], expected[0][shown], rtol=1e-5)
    assert (found[:, 2] == expected[0, :, 2].numpy()).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_yardstick_trains_with_the_same_losses(algorithm):
    config, losses, weights = tiny.config(algorithm), [], []
    for kind in (Trainer, plain.PlainTrainer):
        trainer = kind(config, CPU, torch.Generator().manual_seed(0))
        trainer.initialise(None)  # random numbers go by the order of memory, hence the copy
        weights.append([copy.deepcopy(n.state_dict()) for n in (trainer.G, trainer.D)])
        trainer.G.load_state_dict(weights[0][0])
        trainer.D.load_state_dict(weights[0][1])
        batches = Batches(DATA.train, config, CPU)
        batch = batches.draw(batches.indices(0), trainer.generator)
        steps = (trainer.discriminator_step, trainer.generator_step)
        losses.append([step(batch, batches) for step in steps for _ in range(2)])
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-2, atol=1e-3)
    assert trainer.D.layers[0][-1].__class__ is torch.nn.LeakyReLU


@pytest.mark.parametrize("algorithm", ["wgan_gp", "conditional_gan"])
def test_the_yardsticks_minibatches_do_not_end(algorithm):
    config = tiny.config(algorithm, batch_size=4)
    batches = plain.minibatches(DATA.train, config, workers=0)
    for _ in range(5):  # an epoch has two at the most
        batch = next(batches)
        assert batch.x.shape == (4, 17, 64, 64) and batch.x.min() >= -1
        assert (batch.h is None) == (algorithm == "wgan_gp")
    if batch.h is not None:
        assert batch.h.shape == batch.h_hat.shape == (4, 300)


def test_the_yardsticks_nearest_neighbours():
    poses = np.random.default_rng(0).integers(0, 64, (150, 17, 3)).astype(np.float32)
    poses[..., 2] = 1
    found = plain.nearest(torch.from_numpy(poses[..., :2]), first=100, rows=64)[:100]
    expected = [nearest_distances(poses[i : i + 1], np.delete(poses, i, 0))[0] for i in range(100)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_rate_counts_whole_units_and_not_the_first(monkeypatch):
    calls = []  # each takes a second of this clock, but the first five, which take an hour
    clock = lambda: 3600 * min(len(calls), 5) + max(0, len(calls) - 5)  # noqa: E731
    monkeypatch.setattr(measure.time, "perf_counter", clock)
    assert measure.rate(calls.append, seconds=12, device=CPU, unit=5) == 1
    assert calls == list(range(20))


def test_operations_are_counted_through_the_penalty():
    """A linear critic (B, n) -> (B,): B n multiplications and additions in each product."""
    weight = torch.randn(6, 1, requires_grad=True)
    x = torch.randn(5, 6)
    assert measure.operations(lambda _: x @ weight, times=3) == 2 * 5 * 6
    penalised = measure.operations(
        lambda _: gradient_penalty(lambda x: (x @ weight)[:, 0], x, -x).backward(), times=1
    )
    assert penalised == 3 * 2 * 5 * 6  # scores, their gradient by x, and its gradient by the weight


def test_ratios_are_of_pairs_and_above_one_where_the_project_is_faster(monkeypatch):
    speeds = iter([10, 20, 10, 30, 5, 50])

    def measured(what, way, **options):
        asked.append((what, way, options))
        return {"per_second": next(speeds), "flop": 1e9, "peak_mib": 100.0}

    asked = []
    monkeypatch.setattr(table, "measured", measured)
    row = table.compared("wgan, full", "step", 3, {"seconds": 1})
    assert [way for _, way, _ in asked] == ["plain", "fast"] * 3
    assert row["ratios"] == [2, 3, 10] and row["ratio"] == 3
    assert (row["plain"]["per_second"], row["fast"]["per_second"]) == (10, 30)
    line = table.shown(row, peak=1e11)
    assert line == "| wgan, full | 10.00 / s | 30.00 / s | 3.00 | 30% | 100 MiB |"


def test_ratios_of_seconds_turn_the_other_way(monkeypatch):
    seconds = iter([10.0, 2.0])
    answer = lambda *_, **__: {"seconds": next(seconds), "peak_mib": 1}  # noqa: E731
    monkeypatch.setattr(table, "measured", answer)
    row = table.compared("nearest", "neighbours", 1, {})
    assert row["ratio"] == 5
    assert table.shown(row, peak=1.0) == "| nearest | 10.00 s | 2.00 s | 5.00 |  | 1 MiB |"


def test_a_measurement_is_made_in_a_process_of_its_own():
    found = table.measured("peak", "fast", seconds=0.1)
    assert found["flops"] > 1e8 and found["peak_mib"] > 50


def test_the_iterations_of_the_seven_trainings():
    """50, 200, 200 and 200 epochs of 116,021 poses, 1,000 of 17,326, in minibatches of 128."""
    wanted = [50 * 907, 200 * 907, 200 * 907, 200 * 907, *[1000 * 136] * 3]
    assert list(map(gpu.iterations, gpu.SEVEN)) == wanted


def test_the_projection_takes_the_fastest_way_of_each_training():
    rows = [
        {"experiment": name, "precision": "fp32", "steps": way, "per_second": speed}
        for name in list(gpu.SEVEN)[:-1]
        for way, speed in (("captured", 1000.0), ("compiled captured", 100.0))
    ]
    rows += [{"experiment": "gan", "precision": "bf16", "steps": "", "per_second": 1.0}]
    rows += [{"experiment": "gan", "precision": "fp32", "steps": "compiled", "error": "no"}]
    minutes = sum(map(gpu.iterations, gpu.SEVEN)) / 1000 / 60
    assert gpu.projected(rows) == {"fp32": pytest.approx(minutes)}  # bf16 is not complete


def test_differences_between_ways_are_of_losses_after_steps_of_both_networks(monkeypatch):
    config, split = tiny.config("wgan_gp"), tiny.split(10)
    assert gpu.difference(config, split, "") == 0
    losses = {"": torch.tensor([10.0, 0.1]), "captured": torch.tensor([10.1, 0.0])}
    monkeypatch.setattr(gpu, "trained", lambda config, split, words, number: losses[words])
    assert gpu.difference(config, split, "captured") == pytest.approx(0.1)


def test_the_script_for_a_gpu_runs_where_there_is_none(tmp_path, tiny_coco, home):
    """With tiny networks; on a processor there is one way only."""
    cache.prepare(tiny_coco(home / "tiny"), home / "tiny.safetensors", encoder_epochs=1)
    command = [sys.executable, "-m", "bench.gpu", str(home / "tiny.safetensors")]
    command += [str(tmp_path / "gpu.json"), "--trial"]
    subprocess.run(command, cwd=paths.SOURCE, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert len(found["rows"]) == 12 and not any("error" in row for row in found["rows"])
    assert all(row["flop"] > 0 and row["per_second"] > 0 for row in found["rows"])
    assert set(found["projected_minutes"]) == {"fp32", "bf16"} and len(found["longest"]) == 10
    assert sum(kernel["share"] for kernel in found["longest"]) <= 1
