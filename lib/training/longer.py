"""A run that goes on from another one with the same settings but for its length.

What the first n iterations do does not depend on how many there will be. So a longer run may begin
with the networks, losses and snapshots of a shorter one, on this machine or as the repository ships
it, and the shorter one may be a longer one that was interrupted. Runs as they are shipped have no
optimisers: these begin again, which takes a run no further back than their moments reach, some ten
iterations at the WGAN-GP's momenta of 0 and 0.9.
"""

import json
import shutil
from pathlib import Path

from lib import paths
from lib.errors import InputError
from lib.training.runs import Run, snapshot_name

LENGTH = ("epochs", "snapshots")


def go_on(run: Run, provenance: dict) -> Run | None:
    """Gives a run that has not begun the state of the one that has come furthest, but no further
    than the run is to, and returns that one; None if there is none. ``provenance``: the data and
    parent of both, as config.json has them.

    A run with settings that the thesis does not have begins at its beginning: what it keeps, and
    how fast it learns, may depend on its length.
    """
    if run.finished or run.checkpoint or run.config.beyond:
        return None
    folders = [*paths.RUNS.glob("*/config.json"), *paths.PUBLISHED.glob("*/config.json")]
    found = [other for file in folders if (other := _same(run, provenance, file.parent))]
    # Of two that are as far, the one with optimisers.
    other = max(found, key=lambda o: (o.iterations, o.checkpoint is not None), default=None)
    if other is not None:
        with run.locked():
            _take_over(run, provenance, other)
    return other


def _same(run: Run, provenance: dict, folder: Path) -> Run | None:
    """The run in a folder, if the other one can begin with what it has."""
    try:
        other = Run.read(folder)
    except InputError:  # damaged, or of an earlier version: not one to go on from
        return None
    settings = [r.config.replace(epochs=run.config.epochs, snapshots=()) for r in (run, other)]
    content = json.loads((folder / "config.json").read_text())
    same = other.experiment == run.experiment and settings[0] == settings[1]
    same = same and all(content.get(key) == value for key, value in provenance.items())
    networks = other.checkpoint or folder
    if not (same and other.iterations and (networks / "discriminator.safetensors").exists()):
        return None
    return other if _rows(other)[-1]["epoch"] <= run.config.epochs else None


def _rows(run: Run) -> list[dict]:
    """Its losses up to the weights at hand: those of an interrupted run go further."""
    return [row for row in run.metrics if row["iteration"] <= run.iterations]


def _take_over(run: Run, provenance: dict, other: Run) -> None:
    run.delete()  # what was begun and has no checkpoint
    run.begin(provenance | {"continued_from": other.folder.name})
    for epoch in other.snapshots & set(run.config.snapshots):
        shutil.copy(other.folder / snapshot_name(epoch), run.folder / snapshot_name(epoch))
    run.append_metrics(_rows(other))
    state = other.state() if other.checkpoint else {"seconds": other.summary["seconds"]}
    state |= {"iteration": other.iterations}
    run.save_checkpoint(other.iterations, other.generator(), other.discriminator(), state)
