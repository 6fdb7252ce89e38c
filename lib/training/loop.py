"""The one training loop of all five algorithms (thesis 2.1, 2.2, 4.3).

What differs between them is data: the settings of a :class:`lib.config.Config` and the losses of
a :class:`lib.losses.Algorithm`.
"""

import math
import os
import time

import torch

from lib import paths
from lib.data.cache import Dataset
from lib.device import device_for, hardware
from lib.errors import InputError
from lib.signals import Stopped, asked
from lib.training import distributed
from lib.training.minibatches import Batches
from lib.training.progress import Progress
from lib.training.runs import Run, commit, origin, reading, snapshot_name
from lib.training.steps import steps_for
from lib.training.trainer import Trainer

LOGGED = 100  # iterations, at the most, after which losses are looked at and written


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
    captions; Stopped after the checkpoint that a signal has asked for.
    """
    config, where = run.config, device_for(device)
    batches = Batches(dataset.train, config, where)
    validation = Batches(dataset.val, config, where, training=False)
    per_epoch, every = batches.per_epoch, checkpoint_seconds()
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
        with reading(run.checkpoint / "state.pt"):
            trainer.load(run, state)
            done, seconds = state["iteration"], state["seconds"]
    run.cut_metrics(done)

    steps = steps_for(trainer, batches)
    progress = Progress(run.experiment, done, total, per_epoch)
    begun = saved = time.monotonic()
    rows: list[dict] = []
    with asked() as number:
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

            now, last = time.monotonic(), done == total
            enough = now > deadline or (stop_after is not None and done >= stop_after)
            stopping, due = distributed.any_say(number() > 0 or enough, now - saved > every)
            whole = last or done % per_epoch == 0  # the epoch
            # Losses stay on the device until they are written: nothing waits for them.
            if not (whole or due or stopping or len(rows) == LOGGED):
                continue
            _append(run, rows)
            rows.clear()
            if whole:
                after = trainer.validate(validation, config.seed + done)
                _append(run, [{"iteration": done, "epoch": done / per_epoch} | after])
            if last or due or stopping:
                state = trainer.state() | {"iteration": done}
                state |= {"seconds": seconds + time.monotonic() - begun}
                _save(run, done, trainer.kept(batches, done), trainer.D, state)
                saved = time.monotonic()
            if stopping:
                break
    progress.close()
    if done == total:
        run.finish(
            {
                "iterations": total,
                "epochs": total / per_epoch,
                "poses_seen": batches.seen(total),
                "train_poses": len(batches.poses),
                "data": dataset.name,
                "source": dataset.source,
                "title": dataset.title,
                "seconds": round(seconds + time.monotonic() - begun, 1),
                "hardware": hardware(where),
                "processes": distributed.world(),
                "torch": torch.__version__,
                "commit": code,
            }
        )
    if number():
        raise Stopped(
            number(),
            f"{paths.shown(run.folder)} is kept at iteration {done:,} of {total:,}; the same "
            "command goes on from there.",
        )


def checkpoint_seconds() -> float:
    """After how many seconds, at the least, the next checkpoint is written: those of the
    environment variable THESIS_CHECKPOINT_SECONDS, by default 60. Raises InputError if it is no
    number, or negative."""
    given = os.environ.get("THESIS_CHECKPOINT_SECONDS") or "60"
    try:
        if (seconds := float(given)) >= 0:
            return seconds
    except ValueError:
        pass
    raise InputError(f"THESIS_CHECKPOINT_SECONDS={given} must be a number of seconds, at least 0.")


def _save(run: Run, done: int, G: torch.nn.Module, D: torch.nn.Module, state: dict) -> None:
    """Writes a checkpoint, unless a weight is not finite."""
    for network in (G, D):
        if not all(bool(w.isfinite().all()) for w in network.state_dict().values()):
            raise _diverged(run, f"a weight after iteration {done:,}")
    run.save_checkpoint(done, G, D, state)


def _diverged(run: Run, what: str) -> InputError:
    place = run.checkpoint
    kept = "There is no checkpoint"
    if place is not None:
        kept = f"The last checkpoint is that of iteration {int(place.name[-8:]):,}"
    return InputError(
        f"The training diverged: {what} is not finite; try a smaller learning_rate. {kept}."
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
            at = f"iteration {row['iteration']:,}, epoch {row['epoch']:.2f},"
            raise _diverged(run, f"a loss of {at}")
    run.append_metrics(rows)
