"""How poses answer to noise and caption, of generators that are told what to do."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from lib.data.heatmaps import render
from lib.evaluation import response

DATA = tiny.dataset(40, 40)


class Told(torch.nn.Module):
    """A pose at a place that depends on the noise, on the caption, or on both."""

    def __init__(self, by_noise: float, by_caption: float, jump: bool = False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.by_noise, self.by_caption, self.jump = by_noise, by_caption, jump

    def forward(self, z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        number = (h.argmax(dim=1) % 7).float() - 3 if self.by_caption else 0.0
        move = self.by_noise * z[:, 0].clamp(-3, 3) + self.by_caption * number
        if self.jump:
            move = 8 * move.sign()
        poses = torch.full((len(z), 17, 3), 32.0)
        poses[..., 2] = 1
        poses[:, :, 0] += move[:, None]
        return render(poses.clamp(0, 63)) * 2 - 1


def run(*how: float, **more: bool) -> SimpleNamespace:
    return SimpleNamespace(generator=lambda: Told(*how, **more), h=lambda vectors: 30 * vectors)


def test_poses_that_ignore_their_captions_are_the_same_along_a_row():
    along, down = response.along_and_down(run(5, 0), DATA)
    assert along == 0 and down > 17 * 3


def test_poses_that_ignore_the_noise_are_the_same_down_a_column():
    along, down = response.along_and_down(run(0, 5), DATA)
    assert down == 0 and along > 17 * 5


def test_even_paths_have_steps_of_a_twentieth_and_jumps_one_of_all():
    by_noise, by_caption = response.longest_steps(run(9, 0), DATA)
    assert by_noise.shape == (32,) and by_caption.shape == (16,)
    assert 0.05 <= np.median(by_noise) < 0.12  # places are whole numbers
    assert by_caption.max() == 0  # only the noise counts, and a path shares it
    far = response.longest_steps(run(9, 0, jump=True), DATA)[0]
    assert set(far.tolist()) <= {0.0, 1.0} and far.max() == 1


@pytest.mark.parametrize("number", [5, 6])
def test_few_captions_make_few_paths(number):
    few = tiny.dataset(40, number)
    by_noise, by_caption = response.longest_steps(run(5, 0), few)
    assert (len(by_noise), len(by_caption)) == (number, number // 2)
