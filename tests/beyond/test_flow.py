"""Flow matching: what it is trained on, where it leads, and that it learns."""

import pytest
import tiny
import torch

from lib.beyond import flow
from lib.beyond.flow import Flow, from_flow, learn, loss, to_flow
from lib.data.heatmaps import through_heatmap

POSES = tiny.split(40).poses


def test_a_pose_comes_back():
    poses = POSES.clone()
    poses[3, 5:9] = 0  # invisible
    x = to_flow(poses).unflatten(1, (17, 3))
    assert x.shape == (40, 17, 3) and set(x[..., 2].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(x[3, 5:9], torch.tensor([0.0, 0.0, -1.0]).expand(4, 3))
    back = from_flow(x.flatten(1))
    torch.testing.assert_close(through_heatmap(back), through_heatmap(poses))
    assert torch.equal(back[..., 2], poses[..., 2])


def test_numbers_have_a_variance_near_that_of_the_noise():
    assert 0.5 < float(to_flow(POSES).unflatten(1, (17, 3))[..., :2].std()) < 2


def test_nothing_is_lost_by_the_velocity_that_leads_to_the_pose():
    source = torch.Generator().manual_seed(0)
    x = torch.ones(64, 51)
    noise, t = torch.randn(64, 51, generator=source), 0.9 * torch.rand(64, generator=source)
    ahead = loss(lambda x_t, t: (x - x_t) / (1 - t[:, None]), x, noise, t)
    assert float(ahead) == pytest.approx(0, abs=1e-9)
    back = loss(lambda x_t, t: (x_t - x) / (1 - t[:, None]), x, noise, t)
    assert float(back) == pytest.approx(4 * float((x - noise).square().mean()), rel=1e-4)


def test_the_way_is_followed_to_second_order():
    """dx/dt = 2t leads from x to x + 1, which a method of first order misses."""
    network = Flow(8)
    network.forward = lambda x, t: 2 * t[:, None].expand_as(x)
    start = torch.randn(5, 51, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network._follow(start, 3), start + 1)


def test_a_network_reads_time_and_place():
    network = Flow(16)
    x, t = torch.randn(6, 51), torch.rand(6)
    v = network(x, t)
    assert v.shape == (6, 51)
    assert not torch.allclose(v, network(x, t / 2)) and not torch.allclose(v, network(x / 2, t))


def test_a_flow_learns_where_the_poses_are(monkeypatch):
    """All poses are near one: noise, which spreads over the heatmap, is led there."""
    monkeypatch.setattr(flow, "BATCH", 64)
    one = POSES[:1].clone()
    one[:, 4] = 0
    learned = learn(one.expand(50, -1, -1), 1_000, width=64)
    made = learned.poses(200, seed=3)
    assert made.shape == (200, 17, 3)
    assert (made[..., 2] == one[..., 2]).float().mean() > 0.97
    off = (made - through_heatmap(one))[..., :2][made[..., 2] > 0].abs().mean()
    begun = Flow(64).poses(200, seed=3)
    assert off < 4 < 8 < (begun - through_heatmap(one))[..., :2][begun[..., 2] > 0].abs().mean()


def test_the_same_seed_learns_and_makes_the_same(monkeypatch):
    monkeypatch.setattr(flow, "BATCH", 8)
    monkeypatch.setattr(flow, "CHUNK", 7)
    before = torch.get_rng_state()
    a, again, other = (learn(POSES, 5, seed, width=8) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in a.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    assert not torch.equal(a.layers[0].weight, other.layers[0].weight)
    made = a.poses(16, seed=0)
    assert len(made) == 16 and torch.equal(made, made.round())
    assert torch.equal(made, again.poses(16, seed=0))
    assert not torch.equal(made, a.poses(16, seed=1))


def test_the_rate_is_constant_then_falls_and_weights_are_averaged(monkeypatch):
    rates = []

    class Watched(torch.optim.Adam):
        def step(self, *given):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*given)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    monkeypatch.setattr(flow, "BATCH", 8)
    averaged = learn(POSES, 8, width=8)
    assert rates[:5] == [flow.RATE] * 5
    assert rates[5:] == pytest.approx([flow.RATE * share for share in (0.75, 0.5, 0.25)])
    monkeypatch.setattr(flow, "DECAY", 0.0)
    assert not torch.equal(averaged.layers[0].weight, learn(POSES, 8, width=8).layers[0].weight)
