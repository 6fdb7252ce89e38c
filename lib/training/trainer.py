"""Both networks with their optimisers, and the two kinds of step (Algorithms 1 to 5)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lib.beyond.recipe import recipe_for
from lib.config import Config
from lib.device import has_bf16
from lib.losses import ALGORITHMS
from lib.models.weights import NORMS, warm_start
from lib.training import distributed
from lib.training.minibatches import Batch, Batches
from lib.training.runs import Run
from lib.training.steps import chosen, compiled


def optimizer_for(config: Config, network: torch.nn.Module) -> torch.optim.Optimizer:
    """Adam, or RMSProp for the WGAN, with the settings of thesis 4.1 and 4.3; Adam in one kernel
    or few, which a GPU can record."""
    rate, captured = config.learning_rate, "captured" in chosen()
    if captured:  # recorded kernels keep a number as it was; they read a tensor each time
        rate = torch.tensor(rate, device=next(network.parameters()).device)
    common = {"lr": rate, "capturable": captured}
    if ALGORITHMS[config.algorithm].optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), alpha=config.smoothing, **common)
    return torch.optim.Adam(network.parameters(), betas=config.momenta, fused=True, **common)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Fills an optimiser from a checkpoint, which may have been written on another device. Raises
    ValueError if a tensor is not of the shape of its parameter: torch would write beyond it."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, kept in state["state"].items():
        shapes = {tuple(value.shape) for name, value in kept.items() if name != "step"}
        if shapes - {tuple(parameters[number].shape)}:
            raise ValueError(f"the optimiser's tensors {number} have the shapes {shapes}")
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved |= {key: group[key] for key in ("lr", "capturable", "fused") if key in group}
    optimizer.load_state_dict(state)


@dataclass
class Trainer:
    """Both networks with their optimisers, and the two kinds of step.

    With precision "bf16" the networks compute in bfloat16 where the device has it, also on the way
    to a penalty; weights, losses, the norms that are penalised and optimisers stay in float32.
    """

    config: Config
    device: torch.device
    generator: torch.Generator  # of all random numbers but the order of the poses

    def __post_init__(self):
        self.algorithm, self.recipe = ALGORITHMS[self.config.algorithm], recipe_for(self.config)
        # Channels-last is the faster order of memory for these convolutions.
        self.G, self.D = (
            distributed.share_batch_norm(network).to(self.device, memory_format=torch.channels_last)
            for network in self.recipe.networks()
        )
        self.low = self.config.precision == "bf16" and has_bf16(self.device)
        self.fused = {}
        if "compiled" in chosen():
            self.fused = {network: compiled(network) for network in (self.G, self.D)}
        self.optimizer_d = optimizer_for(self.config, self.D)
        self.optimizer_g = optimizer_for(self.config, self.G)
        self.set_rates(1.0)

    def autocast(self) -> torch.autocast:
        """Inside it the networks compute in bfloat16, where the settings say so and the device
        has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.low)

    def initialise(self, parent: Run | None) -> None:
        """Random weights (4.1), then those of the parent where it has them (4.3)."""
        source = torch.Generator().manual_seed(self.config.seed)
        trained = (None, None) if parent is None else (parent.generator(), parent.discriminator())
        for network, older in zip((self.G, self.D), trained, strict=True):
            network.cpu()
            self.recipe.initialise(network, source)
            if older is not None:
                warm_start(network, older.state_dict())
            network.to(self.device)
        self.recipe.begin(self.G)

    def _networks(self, batch: Batch, batches: Batches) -> list[torch.nn.Module]:
        """G and D, for a training minibatch as THESIS_STEPS wants them: other sizes are not worth
        another minute of compiling."""
        usual = batches.training and batch.m == self.config.batch_size
        return [self.fused.get(each, each) if usual else each for each in (self.G, self.D)]

    def discriminator_loss(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """D's loss on a minibatch, penalty included: Algorithms 1 to 5. Of several processes each
        has a part, and the loss is their sum."""
        algorithm, config = self.algorithm, self.config
        G, D = self._networks(batch, batches)
        with torch.no_grad(), self.autocast():
            z = batches.noise(batch.m, self.generator)
            fake = self.recipe.synthesised(G, z, batch.h).float()
        with self.autocast():
            scores = [D(batch.x, batch.h), D(fake, batch.h)]
            if algorithm.conditional:
                scores.append(D(batch.x, batch.h_hat))
        scores = [score.float() for score in scores]
        weights = {"alpha": config.alpha} if algorithm.mismatch_weight else {}
        loss = algorithm.discriminator_loss(*scores, **weights)
        if algorithm.penalty is not None:
            epsilon = batches.epsilon(batch.m, self.generator)
            with self.autocast():
                penalty = algorithm.penalty(self.D, batch.x, fake, batch.h, epsilon)
            loss = loss + config.lambda_ * penalty
        return loss * batch.weight

    def generator_loss(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """G's loss: Algorithms 1 to 5. The captions of its first term are D's, those of its
        second, in the conditional algorithms, are interpolated (equation 7). Of several processes
        each has a part, and the loss is their sum."""
        z, h = batches.noise(batch.m, self.generator), batch.h
        if self.algorithm.conditional:
            z = torch.cat([z, batches.noise(batch.m, self.generator)])  # (2 B, 128)
            h = torch.cat([h, batches.interpolated(batch.m, self.generator)])  # (2 B, 300)
        G, D = self._networks(batch, batches)
        with self.autocast():
            scores = D(self.recipe.synthesised(G, z, h), h)
        loss = self.algorithm.generator_loss(*scores.float().split(len(batch.x)))
        return loss * batch.weight

    def _descend(self, loss_of: Callable, network, optimizer, *batch) -> torch.Tensor:
        loss = loss_of(*batch)
        optimizer.zero_grad()
        loss.backward()
        distributed.sum_gradients(network)
        optimizer.step()
        return loss.detach()

    def discriminator_step(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """Updates D; returns its loss."""
        loss = self._descend(self.discriminator_loss, self.D, self.optimizer_d, batch, batches)
        if self.algorithm.clamp:
            with torch.no_grad():
                for parameter in self.D.parameters():
                    parameter.clamp_(-self.config.c, self.config.c)
        return loss

    def generator_step(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """Updates G; returns its loss."""
        self.D.requires_grad_(False)  # gradients pass through D, but are not wanted for it
        loss = self._descend(self.generator_loss, self.G, self.optimizer_g, batch, batches)
        self.D.requires_grad_(True)
        return loss

    def set_rates(self, left: float) -> None:
        """Sets the learning rates while the share ``left`` of the run, from 1 to 0, remains."""
        rates = self.recipe.rates(left)
        for optimizer, rate in zip((self.optimizer_d, self.optimizer_g), rates, strict=True):
            for group in optimizer.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def kept(self, batches: Batches, iteration: int) -> torch.nn.Module:
        """The generator that the run keeps after an iteration."""
        return self.recipe.kept(self.G, batches, self.config.seed + iteration)

    def validate(self, batches: Batches, seed: int) -> dict[str, float]:
        """Losses on the whole validation split; noise and captions are drawn for each ``seed`` and
        leave the training's random numbers alone.

        Batch norm takes its statistics from each minibatch, as in training. The running ones of D
        are means over minibatches of real and of synthesised poses, and fit neither.
        """
        kept = self.generator
        self.generator = torch.Generator(self.device).manual_seed(seed)
        norms = [m for n in (self.G, self.D) for m in n.modules() if isinstance(m, NORMS)]
        for norm in norms:
            norm.track_running_stats = False
        sums = torch.zeros(2, device=self.device)
        for batch in batches.all(self.generator):
            loss_d = self.discriminator_loss(batch, batches).detach()
            with torch.no_grad():
                loss_g = self.generator_loss(batch, batches)
            sums += torch.stack([loss_d, loss_g]) * batch.m
        for norm in norms:
            norm.track_running_stats = True
        self.generator = kept
        means = (distributed.total(sums) / len(batches.poses)).tolist()
        return dict(zip(("val_loss_d", "val_loss_g"), means, strict=True))

    def state(self) -> dict:
        return self.recipe.state(self.G) | {
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "random": self.generator.get_state(),
        }

    def load(self, run: Run, state: dict) -> None:
        self.recipe.begin(self.G)
        self.recipe.load(self.G, run.generator().state_dict(), state)
        self.D.load_state_dict(run.discriminator().state_dict())
        if "random" not in state:  # networks only (lib.training.series)
            self.generator.manual_seed(self.config.seed + 2**32 + state["iteration"])
            return
        load_optimizer(self.optimizer_g, state["optimizer_g"])
        load_optimizer(self.optimizer_d, state["optimizer_d"])
        self.generator.set_state(state["random"])
