"""Rejection sampling: D learns the ratio of two densities, and poses are chosen by it."""

import dataclasses
from types import SimpleNamespace

import pytest
import tiny
import torch

from lib.beyond.recipe import recipe_for
from lib.beyond.rejection import CANDIDATES, learn
from lib.book import release
from lib.data.heatmaps import decode, from_network, render
from lib.evaluation.measures import evaluate
from lib.models.synthesis import noise
from lib.training.loop import train
from lib.training.runs import Run
from lib.training.trainer import Trainer

CPU = torch.device("cpu")
SETTINGS = {"networks": "keypoints", "initialisation": "he", "rejection_epochs": 2.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    made = tiny.run(tmp_path_factory.mktemp("runs") / "wgan_gp-0", tiny.config(**SETTINGS))
    train(made, tiny.dataset(30, 20), device="cpu")
    return made


def left_or_right(share: float, number: int, seed: int = 0) -> torch.Tensor:
    """Poses at the left, a ``share`` of them, or at the right."""
    source = torch.Generator().manual_seed(seed)
    x = torch.where(torch.rand(number, generator=source) < share, 16.0, 48.0)
    poses = torch.ones(number, 17, 3)
    poses[..., 0] = x[:, None]
    poses[..., 1] = 20 + 20 * torch.rand(number, 17, generator=source)
    return poses


def given(poses: torch.Tensor) -> SimpleNamespace:
    """Minibatches of poses, as far as learning to choose asks for them."""
    return SimpleNamespace(poses=poses, per_epoch=len(poses) // 4)


class Sides(torch.nn.Module):
    """A G that places half of its poses at the left, where its first noise is negative."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        poses = torch.ones(len(z), 17, 3)
        poses[..., 0] = torch.where(z[:, :1] < 0, 16.0, 48.0)
        poses[..., 1] = 20 + 20 * torch.special.ndtr(z[:, 1:18])
        return render(poses, low=-1.0)


def test_shares_of_synthesised_poses_become_those_of_real_ones(run, monkeypatch):
    """Real poses lie at the left nine times of ten, synthesised ones half of the time."""
    config = tiny.config(**SETTINGS | {"rejection_epochs": 10.0, "learning_rate": 1e-3})
    trainer = Trainer(config, CPU, torch.Generator().manual_seed(0))
    trainer.initialise(None)
    monkeypatch.setattr(trainer.recipe, "decoded", lambda G, z: decode(from_network(G(z))))
    before = {name: w.clone() for name, w in trainer.D.state_dict().items()}
    G = Sides()
    D = learn(trainer, G, given(left_or_right(0.9, 400)))
    assert all(torch.equal(w, before[name]) for name, w in trainer.D.state_dict().items())
    sides = left_or_right(1.0, 50), left_or_right(0, 50)
    left, right = (D(trainer.recipe.read(poses)).mean().item() for poses in sides)
    # log(.9 / .5) and log(.1 / .5), which differ by log 9.
    assert left - right == pytest.approx(2.2, abs=0.5)
    monkeypatch.setattr(Run, "rejector", lambda self: D)
    monkeypatch.setattr("lib.beyond.rejection.CANDIDATES", 16)  # fewer heatmaps to draw
    z = trainer.recipe.noise(run, 1_000, 3, G)
    assert 0.45 < (noise(1_000, 3)[:, 0] < 0).float().mean() < 0.55
    assert (z[:, 0] < 0).float().mean() == pytest.approx(0.9, abs=0.05)


def test_what_is_only_learned_by_heart_is_not_kept(monkeypatch):
    """Real and synthesised poses are alike: no score tells fresh ones better than 0 does."""
    config = tiny.config(**SETTINGS | {"rejection_epochs": 100.0, "learning_rate": 1e-2})
    trainer = Trainer(config, CPU, torch.Generator().manual_seed(0))
    trainer.initialise(None)
    monkeypatch.setattr(trainer.recipe, "decoded", lambda G, z: decode(from_network(G(z))))
    D = learn(trainer, Sides(), given(left_or_right(0.5, 60)))
    fresh = trainer.recipe.read(left_or_right(0.5, 2_000, seed=1))
    score = D(fresh).detach()
    loss = torch.nn.functional.softplus(torch.cat([-score, score])).mean().item()
    assert loss < 0.8, loss  # log 2 = 0.69


@pytest.mark.parametrize("kind", ["heatmaps", "keypoints"])
def test_decoded_poses_are_those_of_the_heatmaps(kind):
    recipe = recipe_for(tiny.config(networks=kind, initialisation="he"))
    G = recipe.networks()[0].eval()
    z = noise(64, 0)
    with torch.no_grad():
        assert torch.equal(recipe.decoded(G, z), decode(from_network(G(z))))


def test_noise_is_chosen_among_candidates_and_reproducible(run):
    z, drawn = run.noise(5, 1), noise(5 * CANDIDATES, 1)
    assert z.shape == (5, 128) and torch.equal(z, run.noise(5, 1, run.generator()))
    rows = [(drawn == one).all(1).nonzero().item() for one in z]
    assert rows == sorted(set(rows))  # the first ones are no better than the last
    assert not torch.equal(z, run.noise(5, 2))


def test_without_the_setting_noise_is_as_drawn(run):
    plain = dataclasses.replace(run, config=run.config.replace(rejection_epochs=0.0))
    assert torch.equal(plain.noise(5, 1), noise(5, 1))


def test_the_training_itself_stays_as_it_is(run, tmp_path):
    plain = tiny.run(tmp_path / "wgan_gp-1", run.config.replace(rejection_epochs=0.0))
    train(plain, tiny.dataset(30, 20), device="cpu")
    assert not (plain.folder / "rejector.safetensors").exists()
    for network in ("generator", "discriminator"):
        a, b = (getattr(each, network)().state_dict() for each in (plain, run))
        assert all(torch.equal(a[name], b[name]) for name in a)
    a, b = run.rejector().state_dict(), run.discriminator().state_dict()
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_a_training_cut_off_before_choosing_goes_on_to_it(run, tmp_path):
    data = tiny.dataset(30, 20)
    other = tiny.run(tmp_path / "wgan_gp-2", run.config)
    train(other, data, device="cpu")
    (other.folder / "summary.json").unlink()
    (other.folder / "rejector.safetensors").unlink()
    train(other, data, device="cpu")
    assert other.finished
    a, b = run.rejector().state_dict(), other.rejector().state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_measures_are_of_chosen_poses_but_at_earlier_epochs(run, monkeypatch, tmp_path):
    data, asked = tiny.dataset(30, 20), []
    monkeypatch.setattr(Run, "noise", lambda run, n, *rest: asked.append(n) or noise(n, 0))
    evaluate(run, data, 20)
    assert asked == [20]


def test_the_rejector_is_exported(run, tmp_path):
    shipped = Run.open(str(release.export(run, tmp_path)))
    a, b = run.rejector().state_dict(), shipped.rejector().state_dict()
    assert all(torch.allclose(a[name], b[name], atol=1e-2) for name in a)
