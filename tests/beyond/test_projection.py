"""A discriminator that projects poses onto captions."""

import pytest
import torch
from layers import captured, compressed, inputs_of, seeded

from lib.beyond.projection import ProjectionDiscriminator
from lib.models.tables import Discriminator
from lib.models.weights import warm_start


@pytest.mark.parametrize("sigmoid", [False, True])
def test_projection_adds_the_inner_product_of_pose_and_caption(sigmoid):
    D = seeded(ProjectionDiscriminator(True, False, sigmoid, 0.25))
    with torch.no_grad():
        D.project.weight *= 20  # small weights give small products
    plain = Discriminator(True, False, sigmoid, 0.25)
    weights = D.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    x, h = inputs_of(D, 3)
    features = captured(D.joint[0], D, x, h)[:, :128]  # (3, 128, 4, 4) of layer 4
    with torch.no_grad():
        window = weights["project.weight"]  # (128, 128, 4, 4)
        pose = torch.einsum("bchw,kchw->bk", features, window) + weights["project.bias"]
        inner = (pose * compressed(D, h)).sum(dim=1) / 128**0.5
        before, after = plain(x, h), D(x, h)
    if sigmoid:
        before, after = before.logit(), after.logit()
    assert (inner.abs() > 1e-3).all()
    torch.testing.assert_close(after, before + inner, rtol=1e-3, atol=1e-4)


def test_a_warm_start_leaves_the_projection_as_it_was_initialised():
    projecting = seeded(ProjectionDiscriminator(True, False, False, 0.25))
    own = projecting.project.weight.detach().clone()
    warm_start(projecting, Discriminator(False, False, False, 0.25).state_dict())
    assert torch.equal(projecting.project.weight, own)
