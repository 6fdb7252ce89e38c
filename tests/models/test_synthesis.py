"""Poses from a trained generator (thesis 4.3, 4.4.1): grids, interpolations, choice of captions."""

import pytest
import tiny
import torch

from lib.models import synthesis
from lib.models.synthesis import (
    caption_grid,
    interpolate_captions,
    interpolate_noise,
    line,
    noise,
    pick_captions,
    synthesise,
)
from lib.models.tables import Generator
from lib.models.weights import initialise


def generator(conditional: bool) -> Generator:
    """A tiny generator whose poses differ visibly with z and h."""
    G = Generator(conditional, features=1 / 32)
    initialise(G, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for module in G.modules():
            if isinstance(module, torch.nn.ConvTranspose2d):
                module.weight *= 8
    return G.eval()


@pytest.fixture(scope="module")
def G() -> Generator:
    return generator(True)


def encodings(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 300, generator=torch.Generator().manual_seed(seed))


def assert_poses(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().amax())


# --- noise and lines ------------------------------------------------------------------------


def test_noise_is_standard_normal_and_follows_its_seed():
    z = noise(2000, seed=3)
    assert z.shape == (2000, 128)
    assert abs(z.mean()) < 5 / z.numel() ** 0.5
    assert z.std().item() == pytest.approx(1, abs=5 / (2 * z.numel()) ** 0.5)
    assert (z.abs() > 2).float().mean().item() == pytest.approx(0.0455, abs=0.003)
    assert torch.equal(z, noise(2000, seed=3)) and not torch.equal(z, noise(2000, seed=4))


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_line_has_its_ends_and_equal_steps(steps):
    start, end = encodings(2, 1), encodings(2, 2)
    points = line(start, end, steps)
    assert points.shape == (steps, 2, 300)
    assert torch.equal(points[0], start)
    torch.testing.assert_close(points[-1], end)
    for i in range(steps):
        torch.testing.assert_close(points[i], start + i / (steps - 1) * (end - start))


def test_line_of_five_steps_by_default():
    assert line(torch.tensor(2.0), torch.tensor(10.0)).tolist() == [2, 4, 6, 8, 10]


# --- synthesis ------------------------------------------------------------------------------


@pytest.mark.parametrize("conditional", [False, True])
def test_synthesise_scales_the_output_to_heatmaps(conditional):
    G = generator(conditional)
    z, h = noise(4, 0), encodings(4) if conditional else None
    poses = synthesise(G, z, h)
    with torch.no_grad():
        assert_poses(poses, G(z, h) / 2 + 0.5)
    assert poses.shape == (4, 17, 64, 64) and not poses.requires_grad
    assert poses.min() >= 0 and poses.max() <= 1
    assert poses.max() - poses.min() > 0.7


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_batches_do_not_matter_and_keep_z_and_h_together(monkeypatch, conditional, batch):
    G = generator(conditional)
    z, h = noise(8, 1), encodings(8, 1) if conditional else None
    whole = synthesise(G, z, h)
    monkeypatch.setattr(synthesis, "BATCH", batch)
    parts = list(synthesis.synthesise_parts(G, z, h))
    assert [len(part) for part in parts] == {1: [1] * 8, 3: [3, 3, 2], 8: [8]}[batch]
    assert_poses(torch.cat(parts), whole)
    assert min(distance(whole[i], whole[j]) for i in range(8) for j in range(i)) > 0.05


def test_synthesise_does_not_change_the_generator():
    G = generator(False)
    before = {name: value.clone() for name, value in G.state_dict().items()}
    synthesise(G, noise(3, 0))
    assert not G.training
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


# --- grids and interpolations ---------------------------------------------------------------


def test_caption_grid_row_shares_noise_and_column_shares_caption(G):
    h = encodings(4)
    grid = caption_grid(G, h, rows=3, seed=7)
    assert grid.shape == (3, 4, 17, 64, 64)
    z = noise(3, 7)
    for row in range(3):
        for column in range(4):
            alone = synthesise(G, z[row : row + 1], h[column : column + 1])[0]
            assert_poses(grid[row, column], alone)
    assert distance(grid[0], grid[1]) > 0.05 and distance(grid[:, 0], grid[:, 1]) > 0.05
    assert_poses(caption_grid(G, h[[2, 2]], rows=3, seed=7)[:, 0], grid[:, 2])


def test_noise_interpolation(G):
    h = encodings(3, 4)
    poses = interpolate_noise(G, h, seed=5)
    assert poses.shape == (3, 5, 17, 64, 64)
    z = noise(6, 5)
    start, end = z[:3], z[3:]
    assert_poses(poses[:, 0], synthesise(G, start, h))
    assert_poses(poses[:, 4], synthesise(G, end, h))
    assert_poses(poses[:, 1], synthesise(G, 0.75 * start + 0.25 * end, h))
    assert min(distance(poses[i, 0], poses[i, 4]) for i in range(3)) > 0.05
    assert interpolate_noise(G, h, seed=5, steps=3).shape == (3, 3, 17, 64, 64)


def test_caption_interpolation(G):
    start, end = encodings(3, 5), encodings(3, 6)
    poses = interpolate_captions(G, start, end, seed=8)
    assert poses.shape == (3, 5, 17, 64, 64)
    z = noise(3, 8)  # one for each row
    for step in range(5):
        h = (1 - step / 4) * start + step / 4 * end
        assert_poses(poses[:, step], synthesise(G, z, h))
    assert min(distance(poses[i, 0], poses[i, 4]) for i in range(3)) > 0.05
    # From a caption to itself, the row's one noise gives one pose.
    still = interpolate_captions(G, start, start, seed=8, steps=4)
    assert_poses(still, still[:, :1].expand(-1, 4, -1, -1, -1))


# --- choice of captions ---------------------------------------------------------------------

# tiny.Part with 3, 1, 5 and 2 captions; rows between them belong to images that are no pair.
FIRST, COUNT = [4, 0, 10, 20], [3, 1, 5, 2]


@pytest.fixture(scope="module")
def split() -> tiny.Part:
    return tiny.Part(
        pair_pose=torch.tensor([9, 2, 5, 0]),
        pair_first=torch.tensor(FIRST),
        pair_count=torch.tensor(COUNT),
    )


def test_picked_captions_are_those_of_their_pairs(split):
    chosen = {pair: [] for pair in range(4)}
    for seed in range(400):
        pairs, rows = pick_captions(split, 3, seed)
        assert len(set(pairs.tolist())) == len(rows) == 3  # without repetition
        for pair, row in zip(pairs.tolist(), rows.tolist(), strict=True):
            chosen[pair].append(row)
    for pair, rows in chosen.items():
        allowed = list(range(FIRST[pair], FIRST[pair] + COUNT[pair]))
        assert sorted(set(rows)) == allowed  # every caption has its turn, and no other
        assert abs(len(rows) - 300) < 5 * (400 * 0.75 * 0.25) ** 0.5  # so has every pair
        for row in allowed:
            share = 1 / COUNT[pair]
            assert rows.count(row) / len(rows) == pytest.approx(share, abs=0.15)


def test_picking_follows_its_seed_and_ends_with_the_pairs(split):
    a, b = pick_captions(split, 4, seed=1), pick_captions(split, 4, seed=1)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    orders = {tuple(pick_captions(split, 4, seed)[0].tolist()) for seed in range(20)}
    assert len(orders) > 5
    assert sorted(pick_captions(split, 99, seed=0)[0].tolist()) == [0, 1, 2, 3]
