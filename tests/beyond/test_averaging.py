"""The average of G's weights, which is kept instead of them."""

import pytest
import torch
from stepping import parameters, same, trainer, weights


def test_averaged_weights_forget_the_first_updates_faster():
    made, _ = trainer(ema=0.75)
    start, values = parameters(made.G), (2.0, 3.0, 5.0)
    means = {name: weight.clone() for name, weight in start.items()}
    for steps, value in zip((1, 2, 40), values, strict=True):
        with torch.no_grad():
            for weight in made.G.parameters():
                weight.fill_(value)
        made.recipe.updated(made.G, steps)
        decay = {1: 2 / 11, 2: 3 / 12, 40: 0.75}[steps]
        means = {name: decay * mean + (1 - decay) * value for name, mean in means.items()}
    for name, mean in made.recipe.average.G.named_parameters():
        torch.testing.assert_close(mean.detach(), means[name])


@pytest.mark.parametrize("algorithm", ["wgan_gp", "conditional_wgan_lp"])
def test_averaged_weights_have_batch_norm_statistics_of_their_own(algorithm):
    """Training and evaluation mode nearly agree, and the training's random numbers stay."""
    made, batches = trainer(algorithm, ema=0.5, batch_size=64)
    with torch.no_grad():
        for weight in made.recipe.average.G.parameters():
            weight.mul_(3.0)  # far from G's own
    before, state = weights(made.G), made.generator.get_state()
    G = made.kept(batches, 1)
    assert G is made.recipe.average.G and same(weights(made.G), before)
    assert torch.equal(made.generator.get_state(), state)
    source = torch.Generator().manual_seed(9)
    z = batches.noise(512, source)
    h = batches.captions(512, source) if made.algorithm.conditional else None
    with torch.no_grad():
        statistics = weights(G)
        trained, evaluated = G.train()(z, h), G.eval()(z, h)
        assert (trained - evaluated).abs().mean() < 0.02 * trained.std()
        other = made.G.eval()
        G.load_state_dict(statistics | {n: b for n, b in other.named_buffers()})
        assert (trained - G.eval()(z, h)).abs().mean() > 0.1 * trained.std()


def test_the_statistics_are_means_over_all_minibatches():
    made, batches = trainer(ema=0.5)
    made.kept(batches, 2)  # is forgotten
    convolution, norm, _ = made.kept(batches, 1).layers[0]
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        drawn = [convolution(batches.noise(4, source)[:, :, None, None]) for _ in range(64)]
    means = torch.stack([x.mean(dim=(0, 2, 3)) for x in drawn])
    torch.testing.assert_close(norm.running_mean, means.mean(dim=0))
