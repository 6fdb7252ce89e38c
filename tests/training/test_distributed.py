"""Two processes that train together compute what one computes on the same minibatches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
import torch.distributed as dist

from lib import paths
from lib.data import cache as data_cache
from lib.device import device_for
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.training import distributed
from lib.training.loop import train
from lib.training.minibatches import Batches
from lib.training.trainer import Trainer

CPU = torch.device("cpu")
PROCESSES = 2


def trainer(algorithm: str) -> tuple[Trainer, Batches]:
    """With a minibatch of 5, which two processes cannot halve."""
    networks = "keypoints" if algorithm == "wgan_gp" else "heatmaps"
    config = tiny.config(algorithm, batch_size=5, networks=networks)
    made = Trainer(config, CPU, torch.Generator().manual_seed(3))
    made.initialise(None)
    return made, Batches(tiny.split(10), config, CPU)


def first_steps(algorithm: str) -> dict[str, torch.Tensor]:
    """Losses and gradients of D's and G's first steps."""
    made, batches = trainer(algorithm)
    batch = batches.draw(batches.indices(0), made.generator)
    losses = [made.discriminator_step(batch, batches), made.generator_step(batch, batches)]
    found = {"losses": distributed.total(torch.stack(losses)), "poses": torch.tensor(len(batch.x))}
    for name, network in {"G": made.G, "D": made.D}.items():
        found |= {f"{name}.{key}": p.grad for key, p in network.named_parameters()}
    return found


def normalised() -> dict[str, torch.Tensor]:
    """What batch norm makes of five samples in float64, and what it sends back."""
    source = torch.Generator().manual_seed(0)
    x, wanted = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64, generator=source) + 2
    x = distributed.share(x).requires_grad_()
    layer = distributed.share_batch_norm(torch.nn.BatchNorm2d(3)).double()
    torch.nn.init.uniform_(layer.weight, generator=source)
    y = layer(x)
    (y * distributed.share(wanted)).square().sum().backward()
    distributed.sum_gradients(layer)
    layer.momentum = None  # from now on a mean over all minibatches
    with torch.no_grad():
        layer(x)
    gradients = {"weight": layer.weight.grad, "bias": layer.bias.grad, "x": x.grad}
    return gradients | {"y": y.detach(), **dict(layer.named_buffers())}


def work(rank: int, folder: Path) -> None:
    """What one of the processes does; its results lie in files of its own."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    torch.save(normalised(), folder / f"normalised-{rank}.pt")
    torch.save({name: first_steps(name) for name in ALGORITHMS}, folder / f"steps-{rank}.pt")
    for name in ("wgan", "conditional_wgan_lp"):
        torch.save(trained(name, folder / f"{name}-{rank}"), folder / f"{name}-{rank}.pt")
    try:
        Batches(tiny.split(9), tiny.config(batch_size=4), CPU)
    except InputError as error:
        (folder / f"error-{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


def trained(algorithm: str, folder: Path) -> dict:
    """A whole training of six iterations: weights, losses and summary."""
    run = tiny.run(folder, tiny.config(algorithm, batch_size=5, epochs=3), algorithm)
    train(run, tiny.dataset(), device="cpu")
    weights = {"G": run.generator().state_dict(), "D": run.discriminator().state_dict()}
    return {"weights": weights, "metrics": run.metrics, "summary": run.summary}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(work, (where,), nprocs=PROCESSES)
    return where


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_losses_and_gradients_are_those_of_one_process(folder, algorithm):
    one = first_steps(algorithm)
    both = [torch.load(folder / f"steps-{rank}.pt")[algorithm] for rank in range(PROCESSES)]
    assert [int(found.pop("poses")) for found in both] == [3, 2] and int(one.pop("poses")) == 5
    losses = one.pop("losses")
    for found in both:
        torch.testing.assert_close(found.pop("losses"), losses, rtol=1e-4, atol=1e-4)
        assert found.keys() == one.keys()
        for key, value in one.items():
            # Before batch norm a bias has no gradient but rounding, which Adam makes a step of.
            rounding = 1e-5 * max(float(g.norm()) for k, g in one.items() if k[0] == key[0])
            assert (found[key] - value).norm() < 3e-4 * value.norm() + rounding, key


def test_batch_norm_takes_its_statistics_over_both_shares(folder):
    one = normalised()
    both = [torch.load(folder / f"normalised-{rank}.pt") for rank in range(PROCESSES)]
    for key, value in one.items():
        shares = [found[key] for found in both]
        whole = [torch.cat(shares)] if key in ("x", "y") else shares
        for found in whole:
            torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10, msg=key)


@pytest.mark.parametrize("algorithm", ["wgan", "conditional_wgan_lp"])
def test_a_whole_training_leaves_every_process_with_the_same_weights(folder, algorithm):
    first, second = (torch.load(folder / f"{algorithm}-{rank}.pt") for rank in range(PROCESSES))
    for name in ("G", "D"):
        for key, weight in first["weights"][name].items():
            assert torch.equal(weight, second["weights"][name][key]), key
    assert first["metrics"] == second["metrics"]
    assert first["summary"]["processes"] == PROCESSES


@pytest.mark.parametrize("algorithm", ["wgan", "conditional_wgan_lp"])
def test_a_whole_training_is_that_of_one_process(folder, algorithm, tmp_path):
    one = trained(algorithm, tmp_path / "one")
    both = torch.load(folder / f"{algorithm}-0.pt")
    assert len(one["metrics"]) == len(both["metrics"]) > 6  # with validation
    for a, b in zip(one["metrics"], both["metrics"], strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-3)
    assert one["summary"]["processes"] == 1


def test_a_minibatch_smaller_than_the_processes_is_refused(folder):
    """9 poses in fours leave one for two processes."""
    for rank in range(PROCESSES):
        said = (folder / f"error-{rank}.txt").read_text()
        assert "minibatch of 1 poses" in said and "2 processes" in said


def test_a_process_alone_keeps_torchs_batch_norm(monkeypatch):
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.BatchNorm1d(3))
    assert [type(m).__name__ for m in distributed.share_batch_norm(network)] == [
        "BatchNorm2d",
        "BatchNorm1d",
    ]
    monkeypatch.setattr(distributed, "world", lambda: 2)
    shared = distributed.share_batch_norm(network).eval()
    assert all(isinstance(m, distributed.SharedBatchNorm) for m in shared)
    x = torch.randn(6, 3, 4, 4)
    assert torch.equal(shared[0](x), torch.nn.BatchNorm2d(3).eval()(x))


def test_a_process_alone_has_the_whole_minibatch(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with distributed.joined():
        x = torch.arange(5.0)
        assert torch.equal(distributed.share(x), x) and torch.equal(distributed.total(x), x)
        assert (distributed.rank(), distributed.world()) == (0, 1)


def test_each_process_takes_a_gpu_of_its_own(monkeypatch):
    """As far as it can be asked where there is none: the error names the device wanted."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, so that the device is no error")
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(InputError, match="cuda:3"):
        device_for("cuda")
    assert device_for("auto") == CPU


@pytest.fixture
def cache(tiny_coco, home) -> Path:
    """A tiny prepared data set."""
    data_cache.prepare(tiny_coco(home / "tiny"), home / "tiny.safetensors", encoder_epochs=1)
    return home / "tiny.safetensors"


def test_torchrun_trains_one_run(cache, home):
    """The README's command: one folder, one line, and a second call finds it finished."""
    environment = os.environ | {"THESIS_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(PROCESSES)]
    command += ["-m", "lib", "train", "wgan_gp", "--profile", "smoke", "--data", str(cache)]
    command += ["--set", "batch_size=4", "--set", "epoch_size=8", "--set", "epochs=2"]
    for options in (["--fresh"], []):
        done = subprocess.run(
            command + options, env=environment, cwd=paths.SOURCE, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        (run,) = (home / "data" / "runs").glob("wgan_gp-*")
        assert done.stdout.splitlines() == [str(run)]
        assert json.loads((run / "summary.json").read_text())["processes"] == PROCESSES
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [row["iteration"] for row in rows if "loss_d" in row] == [1, 2, 3, 4]
    assert "4/4" not in done.stderr  # nothing was trained the second time


def test_all_processes_decide_the_same(monkeypatch):
    assert distributed.any_say(True, False) == [True, False]
    monkeypatch.setattr(distributed, "world", lambda: 3)
    other = torch.tensor([1.0, 0.0])  # what another one says
    monkeypatch.setattr(distributed, "total", lambda part: part + other)
    assert distributed.any_say(False, False) == [True, False]
    assert distributed.any_say(True, True) == [True, True]
