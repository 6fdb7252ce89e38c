"""Finished runs as the repository ships them, in ``data/published/``.

A published run has the files of :mod:`lib.training.runs`, smaller: weights in half precision (but
for biases and batch norm), D only where others start from it or training may go on
(:mod:`lib.training.series`), losses as means over short windows, and hashes of these; next to them
``evaluation.json``, measured with just these weights, and ``README.md``, a model card. ``words/``
holds the words that conditional models know (:mod:`lib.pose.words`). Poses and captions of the data
are not among them.
"""

import itertools
import json
import math
import shutil
from pathlib import Path

from lib.models.weights import save_network
from lib.training.checkpoints import write_hashes
from lib.training.runs import Run, snapshot_name

PARENTS = ("wgan_gp", "reduced")  # whose D is a start for others
ROWS = 500  # windows of iterations, at the most, over which losses are averaged


def export(run: Run, folder: Path) -> Path:
    """Writes a finished run as it is shipped into a folder of its name, which is added to
    ``folder`` in place of an older one and returned; needs torch and safetensors only. Raises an
    InputError if a weight is too large for half precision."""
    target, new = folder / run.folder.name, folder / f".{run.folder.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    save_network(run.generator(), new / "generator.safetensors", half=True)
    if run.experiment in PARENTS or not run.config.beyond:
        save_network(run.discriminator(), new / "discriminator.safetensors", half=True)
    for epoch in run.kept.values():
        save_network(run.generator(epoch), new / snapshot_name(epoch), half=True)
    for name in ("config.json", "summary.json"):
        shutil.copy(run.folder / name, new / name)
    rows = windows(run.metrics, set(run.kept))
    (new / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_hashes(new)
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)
    return target


def windows(rows: list[dict], ends: set[int], most: int = ROWS) -> list[dict]:
    """Losses of a run's metrics, each iteration's or means themselves, as means over ``most``
    windows of iterations at the most, apart from those that end at one of ``ends``.

    A window's row has the iteration and epoch of its end, and five digits of each loss; rows of
    validation losses stay as they were.
    """
    training = [row for row in rows if "loss_d" in row]
    size = math.ceil(training[-1]["iteration"] / most)

    def window(row: dict) -> tuple[int, int]:
        return (row["iteration"] - 1) // size, sum(end < row["iteration"] for end in ends)

    found = [row for row in rows if "loss_d" not in row]
    for together in (list(part) for _, part in itertools.groupby(training, window)):
        mean = {name: together[-1][name] for name in ("iteration", "epoch")}
        for name in ("loss_d", "loss_g"):
            if values := [row[name] for row in together if name in row]:
                mean[name] = float(f"{sum(values) / len(values):.5g}")
        found.append(mean)
    return sorted(found, key=lambda row: (row["iteration"], "loss_d" not in row))
