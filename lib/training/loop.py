"""The one training loop of all five algorithms (thesis 2.1, 2.2, 4.3).

What differs between them is data: the settings of a :class:`lib.config.Config` and the losses of
a :class:`lib.losses.Algorithm`.
"""

import contextlib
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lib import paths
from lib.beyond import rejection
from lib.beyond.keypoints import relative
from lib.config import Config
from lib.data.cache import Dataset
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.tables import Generator
from lib.models.weights import initialise, warm_start
from lib.training import distributed
from lib.training.distributed import device_for
from lib.training.minibatches import Batch, Batches
from lib.training.progress import Progress
from lib.training.runs import Run, commit, data_id, hardware, networks
from lib.training.steps import chosen, compiled, steps_for

CHECKPOINT_SECONDS = 60  # at the ends of epochs, at the most this often
CALIBRATION = 64  # minibatches from which batch norm takes its statistics for averaged weights


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16. A processor that does not imitates it, with AVX2
    alone some 40 times slower than its float32, which is the more exact besides."""
    if device.type != "cpu":
        return True
    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


def optimizer_for(
    config: Config, network: torch.nn.Module, factor: float = 1.0
) -> torch.optim.Optimizer:
    """Adam, or RMSProp for the WGAN, with the settings of thesis 4.1 and 4.3; Adam in one kernel
    or few, which a GPU can record. The learning rate is taken ``factor`` times."""
    device = next(network.parameters()).device
    captured = "captured" in chosen()
    # Recorded kernels keep a number as it was; they read a tensor anew each time.
    rate = config.learning_rate * factor
    rate = torch.tensor(rate, device=device) if captured else rate
    common = {"lr": rate, "capturable": captured}
    if ALGORITHMS[config.algorithm].optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), alpha=config.smoothing, **common)
    return torch.optim.Adam(network.parameters(), betas=config.momenta, fused=True, **common)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Fills an optimiser from a checkpoint, which may have been written on another device."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved |= {key: group[key] for key in ("lr", "capturable", "fused") if key in group}
    optimizer.load_state_dict(state)


@dataclass
class Trainer:
    """Both networks with their optimisers, and the two kinds of step.

    With precision "bf16" the networks compute in bfloat16 where the device has it; weights,
    losses, optimisers and the whole penalty, which is differentiated twice, stay in float32, whose
    products are sums of factors rounded to TensorFloat-32 on a GPU, to bfloat16 on a processor.
    """

    config: Config
    device: torch.device
    generator: torch.Generator  # of all random numbers but the order of the poses

    def __post_init__(self):
        self.algorithm = ALGORITHMS[self.config.algorithm]
        # Channels-last is the faster order of memory for these convolutions.
        self.G, self.D = (
            network.to(self.device, memory_format=torch.channels_last)
            for network in networks(self.config)
        )
        self.low = self.config.precision == "bf16" and has_bf16(self.device)
        self.penalty = self.algorithm.penalty
        if self.penalty is not None and "compiled" in chosen():
            self.penalty = compiled(self.penalty)
        self.optimizer_g = optimizer_for(self.config, self.G, self.config.rate_g)
        self.optimizer_d = optimizer_for(self.config, self.D)
        self.averaged = copy.deepcopy(self.G) if self.config.ema else None

    def synthesised(self, z: torch.Tensor, h: torch.Tensor | None) -> torch.Tensor:
        """What D reads of G's poses, as :class:`lib.training.minibatches.Batch` holds real ones."""
        return self.G(z, h) if self.config.networks == "heatmaps" else relative(self.G.poses(z, h))

    def autocast(self) -> torch.autocast:
        """Inside it the networks compute in bfloat16, where the settings say so and the device
        has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.low)

    @contextlib.contextmanager
    def products(self) -> Iterator[None]:
        """Inside it float32 products round their factors, where the settings say so. Not outside:
        what is measured in the same process is exact."""
        if not self.low:
            yield
            return
        kept = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("medium" if self.device.type == "cpu" else "high")
        torch.backends.cudnn.allow_tf32 = True
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(kept[0])
            torch.backends.cudnn.allow_tf32 = kept[1]

    def initialise(self, parent: Run | None) -> None:
        """Random weights (4.1), then those of the parent where it has them (4.3)."""
        source = torch.Generator().manual_seed(self.config.seed)
        trained = (None, None) if parent is None else (parent.generator(), parent.discriminator())
        for network, older in zip((self.G, self.D), trained, strict=True):
            network.cpu()
            initialise(network, source, self.config.initialisation)
            if older is not None:
                warm_start(network, older.state_dict())
            network.to(self.device)
        if self.averaged is not None:
            self.averaged.load_state_dict(self.G.state_dict())

    def discriminator_loss(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """D's loss on a minibatch, penalty included: Algorithms 1 to 5. Of several processes each
        has a part, and the loss is their sum."""
        algorithm, config = self.algorithm, self.config
        with torch.no_grad(), self.autocast():
            fake = self.synthesised(batches.noise(batch.m, self.generator), batch.h)
        fake = fake.float()
        with self.autocast():
            scores = [self.D(batch.x, batch.h), self.D(fake, batch.h)]
            if algorithm.conditional:
                scores.append(self.D(batch.x, batch.h_hat))
        scores = [score.float() for score in scores]
        weights = {"alpha": config.alpha} if algorithm.mismatch_weight else {}
        loss = algorithm.discriminator_loss(*scores, **weights)
        if algorithm.penalty is not None:
            # Other sizes than a training minibatch's are not worth another minute of compiling.
            usual = batches.training and batch.m == config.batch_size
            penalty = self.penalty if usual else algorithm.penalty
            epsilon = batches.epsilon(batch.m, self.generator)
            loss = loss + config.lambda_ * penalty(self.D, batch.x, fake, batch.h, epsilon)
        return loss * batch.weight

    def generator_loss(self, batch: Batch, batches: Batches) -> torch.Tensor:
        """G's loss: Algorithms 1 to 5. The captions of its first term are D's, those of its
        second, in the conditional algorithms, are interpolated (equation 7). Of several processes
        each has a part, and the loss is their sum."""
        z, h = batches.noise(batch.m, self.generator), batch.h
        if self.algorithm.conditional:
            z = torch.cat([z, batches.noise(batch.m, self.generator)])  # (2 B, 128)
            h = torch.cat([h, batches.interpolated(batch.m, self.generator)])  # (2 B, 300)
        with self.autocast():
            scores = self.D(self.synthesised(z, h), h)
        loss = self.algorithm.generator_loss(*scores.float().split(len(batch.x)))
        return loss * batch.weight

    def discriminator_step(self, batch: Batch, batches: Batches) -> torch.Tensor:
        with self.products():
            loss = self.discriminator_loss(batch, batches)
            self.optimizer_d.zero_grad()
            loss.backward()
        distributed.sum_gradients(self.D)
        self.optimizer_d.step()
        if self.algorithm.clamp:
            with torch.no_grad():
                for parameter in self.D.parameters():
                    parameter.clamp_(-self.config.c, self.config.c)
        return loss.detach()

    def generator_step(self, batch: Batch, batches: Batches) -> torch.Tensor:
        self.D.requires_grad_(False)  # gradients pass through D, but are not wanted for it
        with self.products():
            loss = self.generator_loss(batch, batches)
            self.optimizer_g.zero_grad()
            loss.backward()
        distributed.sum_gradients(self.G)
        self.optimizer_g.step()
        self.D.requires_grad_(True)
        return loss.detach()

    def set_rate(self, left: float) -> None:
        """Sets the learning rates before an iteration.

        Args:
            left: of the training, a share from 1 to 0; in the last ``rate_decay`` of it the rate
                falls linearly to 0, and G's in the last ``rate_decay_g``.
        """
        config = self.config
        decay = config.rate_decay, config.rate_decay_g or config.rate_decay
        for optimizer, factor, share in zip(
            (self.optimizer_d, self.optimizer_g), (1.0, config.rate_g), decay, strict=True
        ):
            if not share:
                continue
            rate = config.learning_rate * factor * min(1.0, left / share)
            for group in optimizer.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    @torch.no_grad()
    def average(self, steps: int) -> None:
        """Moves the averaged weights towards G's after its update number ``steps``. The first
        updates, which are far from the last, are forgotten faster."""
        if self.averaged is None:
            return
        decay = min(self.config.ema, (1 + steps) / (10 + steps))
        for mean, weight in zip(self.averaged.parameters(), self.G.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    @torch.no_grad()
    def result(self, batches: Batches, seed: int) -> Generator:
        """The G that is kept: its own weights, or their average with batch norm statistics of its
        own, for those of G are not those of the average."""
        if self.averaged is None:
            return self.G
        source, m = _generator(self.device, seed), self.config.batch_size
        norms = [n for n in self.averaged.modules() if isinstance(n, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean over all minibatches
        self.averaged.train()
        for _ in range(CALIBRATION):
            h = batches.captions(m, source) if self.algorithm.conditional else None
            self.averaged(batches.noise(m, source), h)
        return self.averaged

    def validate(self, batches: Batches, seed: int) -> dict[str, float]:
        """Losses on the whole validation split, networks in evaluation mode; noise and captions
        are drawn anew for each ``seed`` and leave the training's random numbers alone."""
        kept, self.generator = self.generator, _generator(self.device, seed)
        self.G.eval(), self.D.eval()
        sums = torch.zeros(2, device=self.device)
        for batch in batches.all(self.generator):
            loss_d = self.discriminator_loss(batch, batches).detach()
            with torch.no_grad():
                loss_g = self.generator_loss(batch, batches)
            sums += torch.stack([loss_d, loss_g]) * batch.m
        self.G.train(), self.D.train()
        self.generator = kept
        means = (distributed.total(sums) / len(batches.poses)).tolist()
        return dict(zip(("val_loss_d", "val_loss_g"), means, strict=True))

    def state(self) -> dict:
        own = {} if self.averaged is None else {"G": self.G.state_dict()}
        return own | {
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "random": self.generator.get_state(),
        }

    def load(self, run: Run, state: dict) -> None:
        kept = run.generator().state_dict()
        self.G.load_state_dict(state.get("G", kept))
        if self.averaged is not None:
            self.averaged.load_state_dict(kept)
        self.D.load_state_dict(run.discriminator().state_dict())
        load_optimizer(self.optimizer_g, state["optimizer_g"])
        load_optimizer(self.optimizer_d, state["optimizer_d"])
        self.generator.set_state(state["random"])


def _state(path: Path) -> dict:
    """Optimisers, random state and counts of a checkpoint."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds, depending on the damage
        raise InputError(
            f"{paths.shown(path)} cannot be read ({type(error).__name__}): delete its run folder "
            "and train again."
        ) from None


def _generator(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def train(
    run: Run,
    dataset: Dataset,
    parent: Run | None = None,
    device: str = "auto",
    stop_after: int | None = None,
    deadline: float = math.inf,
) -> None:
    """Trains a run to its end, from its beginning or from its last checkpoint; together with the
    other processes where several have joined (:mod:`lib.training.distributed`).

    Args:
        run: where settings come from, and where everything is written.
        dataset: training and validation data.
        parent: a finished run to start warm from (4.3).
        device: "auto", "cpu", "cuda", ...
        stop_after: stop, unfinished, once this many iterations are done in all.
        deadline: stop, unfinished, at this time of ``time.monotonic()``.
    Raises:
        InputError: the losses are no longer finite; the parent does not fit; no captions.
    """
    config, where = run.config, device_for(device)
    batches = Batches(dataset.train, config, where)
    validation = Batches(dataset.val, config, where, training=False)
    per_epoch = batches.per_epoch
    total = max(1, round(config.epochs * per_epoch))
    snapshots = {max(1, round(epoch * per_epoch)): epoch for epoch in config.snapshots}

    # The weights are drawn from the seed itself: other random numbers for the rest.
    trainer = Trainer(config, where, _generator(where, config.seed + 2**32))
    done, seconds, code = 0, 0.0, commit()
    if run.checkpoint is None:
        trainer.initialise(parent)
        run.begin({"data": data_id(config, dataset), "parent_run": parent and parent.folder.name})
    else:
        state = _state(run.checkpoint / "state.pt")
        trainer.load(run, state)
        done, seconds = state["iteration"], state["seconds"]
    run.cut_metrics(done)

    steps = steps_for(trainer, batches)
    progress = Progress(run.experiment, done, total, per_epoch, silent=distributed.rank() > 0)
    begun = saved = time.monotonic()
    losses: list[tuple[int, torch.Tensor, torch.Tensor | None]] = []
    for iteration in range(done, total):
        trainer.set_rate(1 - iteration / total)
        loss_d = steps.discriminator(batches.indices(iteration))
        # The count of D steps goes on over the end of an epoch.
        due = (iteration + 1) % config.k == 0
        loss_g = steps.generator() if due else None
        if due:
            trainer.average((iteration + 1) // config.k)
        losses.append((iteration + 1, loss_d, loss_g))
        done = iteration + 1
        progress.update(done)
        if done in snapshots:
            run.save_snapshot(snapshots[done], trainer.result(batches, config.seed + done))
        late = deadline < math.inf and distributed.any_says(time.monotonic() > deadline)
        stopping = late or (stop_after is not None and done >= stop_after)
        if done % per_epoch and done != total and not stopping:
            continue

        # Losses stay on the device until the end of an epoch, so that nothing waits for them.
        run.append_metrics(_rows(losses, per_epoch))
        losses.clear()
        if not stopping or done % per_epoch == 0 or done == total:
            row = {"iteration": done, "epoch": done / per_epoch}
            row |= trainer.validate(validation, config.seed + done)
            _require_finite(row)
            run.append_metrics([row])
        now = time.monotonic()
        if done == total or stopping or now - saved > CHECKPOINT_SECONDS:
            saved = now
            state = trainer.state() | {"iteration": done, "seconds": seconds + now - begun}
            G = trainer.result(batches, config.seed + done)
            run.save_checkpoint(done, G, trainer.D, state)
        if stopping and done != total:
            progress.close()
            return
    progress.close()
    if config.rejection_epochs:
        G = trainer.result(batches, config.seed + total)
        run.save_rejector(rejection.learn(trainer, G, batches.poses, per_epoch))
    run.finish(
        {
            "iterations": total,
            "epochs": total / per_epoch,
            "poses_seen": batches.seen(total),
            "train_poses": len(batches.poses),
            "data": dataset.name,
            "source": dataset.source,
            "seconds": round(seconds + time.monotonic() - begun, 1),
            "hardware": hardware(where),
            "processes": distributed.world(),
            "torch": torch.__version__,
            "commit": code,
        }
    )


def _rows(losses: list, per_epoch: int) -> list[dict]:
    """Losses gathered on the device, as lines of the metrics.

    Raises:
        InputError: a loss is not finite.
    """
    loss_d = distributed.total(torch.stack([loss for _, loss, _ in losses])).tolist()
    updated = [loss for _, _, loss in losses if loss is not None]
    loss_g = iter(distributed.total(torch.stack(updated)).tolist() if updated else [])
    rows = []
    for (iteration, _, g), d in zip(losses, loss_d, strict=True):
        row = {"iteration": iteration, "epoch": iteration / per_epoch, "loss_d": d}
        if g is not None:
            row["loss_g"] = next(loss_g)
        _require_finite(row)
        rows.append(row)
    return rows


def _require_finite(row: dict[str, float]) -> None:
    """An InputError where a line of the metrics holds a loss that is no number."""
    if not all(map(math.isfinite, row.values())):
        raise InputError(
            f"The training diverged: a loss of iteration {row['iteration']} is not finite; try a "
            "smaller learning_rate. The last checkpoint is kept."
        )
