"""Which of several synthesised poses to keep: discriminator rejection sampling (Azadi et al. 2019).

Not in the thesis. Once G is trained, its critic goes on learning alone, by the GAN's loss
(equation 1), to tell G's poses from real ones; its score is then an estimate of log p_r / p_g, of
the densities of real and of synthesised poses. Of many noises those are kept, at random, whose
poses have a large ratio: what G makes too often becomes rarer. What is judged are decoded poses,
as they are measured and drawn.
"""

import copy

import torch
import torch.nn.functional as F

from lib.data.heatmaps import through_heatmap
from lib.models.recipe import Recipe
from lib.models.synthesis import BATCH
from lib.models.tables import NOISE, Discriminator, Generator
from lib.training.progress import Progress

CANDIDATES = 32  # noises for each one that is kept
HELD_OUT = 10  # every tenth real pose is not learned, and tells when D has learned enough


def learn(trainer, G: Generator, batches) -> Discriminator:
    """A D that has learned for ``rejection_epochs`` more, alone, at a rate that falls to 0, as it
    was when it told the held-out poses from synthesised ones best. Interrupted, it starts over.

    Args:
        trainer: a :class:`lib.training.trainer.Trainer` at its end, whose D stays as it is.
        G: what it has trained.
        batches: whose ``poses``, ten or more (N, 17, 3), D learns.
    """
    config, m = trainer.config, trainer.config.batch_size
    recipe, poses, per_epoch = trainer.recipe, batches.poses, batches.per_epoch
    source = torch.Generator(trainer.device).manual_seed(config.seed)
    D, G = copy.deepcopy(trainer.D), G.eval()
    best, least = D, float("inf")

    def drawn(number: int, most: int) -> torch.Tensor:
        return torch.randint(most, (number,), generator=source, device=trainer.device)

    @torch.no_grad()
    def synthesised(number: int) -> torch.Tensor:
        z = torch.randn(number, NOISE, generator=source, device=trainer.device)
        return torch.cat([recipe.decoded(G, part) for part in z.split(BATCH)])

    def loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        wanted = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).to(trainer.device)
        with trainer.autocast():
            scores = D(recipe.read(torch.cat([real, fake])))
        return F.binary_cross_entropy_with_logits(scores.float(), wanted)

    order = torch.randperm(len(poses), generator=source, device=trainer.device)
    held, known = through_heatmap(poses[order]).tensor_split([len(poses) // HELD_OUT])
    never_learned = held, synthesised(len(held))
    optimizer = torch.optim.Adam(D.parameters(), config.learning_rate, config.momenta, fused=True)
    total = max(1, round(config.rejection_epochs * per_epoch))
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total)
    progress = Progress("rejection", 0, total, per_epoch)
    for iteration in range(1, total + 1):
        optimizer.zero_grad()
        loss(known[drawn(m, len(known))], synthesised(m)).backward()
        optimizer.step()
        rate.step()
        progress.update(iteration)
        if iteration % per_epoch and iteration != total:
            continue
        with torch.no_grad():
            parts = zip(*(x.split(BATCH) for x in never_learned), strict=True)
            now = sum(float(loss(*part)) * len(part[0]) for part in parts)
        if now < least:
            best, least = copy.deepcopy(D), now
    progress.close()
    return best.eval()


@torch.no_grad()
def chosen_noise(
    recipe: Recipe, G: Generator, D: Discriminator, number: int, seed: int
) -> torch.Tensor:
    """z (number, 128) of 32 times as many from N(0, 1), drawn without replacement in proportion to
    p_r / p_g of their poses; D is the run's rejector."""
    source = torch.Generator()

    def drawn():
        """All candidates, a part at a time; drawn twice, since they would fill gigabytes."""
        source.manual_seed(seed)
        for _ in range(CANDIDATES):
            yield torch.randn(number, NOISE, generator=source)

    scores = [D(recipe.read(recipe.decoded(G, z))) for part in drawn() for z in part.split(BATCH)]
    log_ratio = torch.cat(scores)
    # Exponential waiting times whose rates are p_r / p_g, as logarithms: the first are the draw.
    wait = torch.empty_like(log_ratio).exponential_(generator=source).log() - log_ratio
    kept = torch.zeros(len(wait), dtype=torch.bool)
    kept[wait.topk(number, largest=False).indices] = True
    return torch.cat([z[mask] for z, mask in zip(drawn(), kept.split(number), strict=True)])
