"""The one training loop of all five algorithms (thesis 2.1, 2.2, 4.3).

What differs between them is data: the settings of a :class:`lib.config.Config` and the losses of
a :class:`lib.losses.Algorithm`.
"""

import math
import time

import torch

from lib.data.cache import Dataset
from lib.device import device_for, hardware
from lib.errors import InputError
from lib.training import distributed
from lib.training.minibatches import Batches
from lib.training.progress import Progress
from lib.training.runs import Run, commit, origin, snapshot_name
from lib.training.steps import steps_for
from lib.training.trainer import Trainer

CHECKPOINT_SECONDS = 60  # at the ends of epochs, at the most this often


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

    A warm start takes the weights of ``parent``, a finished run (4.3). Training stops early once
    ``stop_after`` iterations are done in all, or at ``deadline``, a time of ``time.monotonic()``.
    Raises InputError if a loss is no longer finite, the parent does not fit, or there are no
    captions.
    """
    config, where = run.config, device_for(device)
    batches = Batches(dataset.train, config, where)
    validation = Batches(dataset.val, config, where, training=False)
    per_epoch = batches.per_epoch
    total = max(1, round(config.epochs * per_epoch))
    snapshots = {max(1, round(epoch * per_epoch)): epoch for epoch in config.snapshots}

    # The weights are drawn from the seed itself: other random numbers for the rest.
    source = torch.Generator(where).manual_seed(config.seed + 2**32)
    trainer = Trainer(config, where, source)
    done, seconds, code = 0, 0.0, commit()
    if run.checkpoint is None:
        trainer.initialise(parent)
        run.begin(origin(config, dataset, parent))
    else:
        state = run.state()
        trainer.load(run, state)
        done, seconds = state["iteration"], state["seconds"]
    run.cut_metrics(done)

    steps = steps_for(trainer, batches)
    progress = Progress(run.experiment, done, total, per_epoch)
    begun = saved = time.monotonic()
    rows: list[dict] = []
    for iteration in range(done, total):
        done = iteration + 1
        trainer.set_rates(1 - iteration / total)
        loss_d = steps.discriminator(batches.indices(iteration))
        rows.append({"iteration": done, "epoch": done / per_epoch, "loss_d": loss_d})
        if done % config.k == 0:  # the count of D steps goes on over the end of an epoch
            rows[-1]["loss_g"] = steps.generator()
            trainer.recipe.updated(trainer.G, done // config.k)
        progress.update(done)
        if done in snapshots:
            run.save(snapshot_name(snapshots[done]), trainer.kept(batches, done))
        late = deadline < math.inf and distributed.any_says(time.monotonic() > deadline)
        stopping = late or (stop_after is not None and done >= stop_after)
        whole = done % per_epoch == 0 or done == total  # the epoch
        if not (whole or stopping):
            continue

        # Losses stay on the device until the end of an epoch, so that nothing waits for them.
        _append(run, rows)
        rows.clear()
        if whole:
            after = trainer.validate(validation, config.seed + done)
            _append(run, [{"iteration": done, "epoch": done / per_epoch} | after])
        now = time.monotonic()
        if done == total or stopping or now - saved > CHECKPOINT_SECONDS:
            saved = now
            state = trainer.state() | {"iteration": done, "seconds": seconds + now - begun}
            run.save_checkpoint(done, trainer.kept(batches, done), trainer.D, state)
        if stopping:
            break
    progress.close()
    if done < total:
        return
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


def _append(run: Run, rows: list[dict]) -> None:
    """Adds rows to the metrics; their losses may be shares, on the device, and must be finite."""
    for name in ("loss_d", "loss_g"):
        having = [row for row in rows if name in row]
        if having:
            sums = distributed.total(torch.stack([row[name] for row in having])).tolist()
            for row, value in zip(having, sums, strict=True):
                row[name] = value
    for row in rows:
        if not all(map(math.isfinite, row.values())):
            raise InputError(
                f"The training diverged: a loss of iteration {row['iteration']} is not finite; try "
                "a smaller learning_rate. The last checkpoint is kept."
            )
    run.append_metrics(rows)
