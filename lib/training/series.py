"""``python -m lib series CACHE``: trains several experiments, one after the other.

Keeps to a budget of time; what is finished is not repeated, what was interrupted goes on: the same
command may be given again and again, on this machine or on another one to which ``data/runs`` was
copied. Needs torch, numpy and safetensors only. A machine that has nothing else runs this module
itself: ``python -m lib.training.series CACHE``.

What the first n iterations do does not depend on how many there will be. So a run may also go on
from another one that differs in its length alone: a shorter one, a longer one that was interrupted,
or one that the repository ships. Shipped runs have no optimisers, and new ones start; of the second
moments that Adam had at 0.9, 1 % would be left after 44 updates.
"""

import argparse
import json
import math
import shutil
import sys
import time
from pathlib import Path

from lib import paths
from lib.book.release import export
from lib.config import LABELS, config_for
from lib.data.cache import Dataset, load
from lib.errors import InputError
from lib.signals import Stopped
from lib.study import Study
from lib.training import distributed
from lib.training.runs import Run, origin, snapshot_name


def in_order(names: list[str], profile: str) -> list[str]:
    """Experiments and, before each, the parent that it starts from."""
    pairs = [(config_for(name, profile).parent, name) for name in names]
    return list(dict.fromkeys(each for pair in pairs for each in pair if each))


def train_series(
    names: list[str],
    dataset: Dataset,
    profile: str,
    minutes: float = math.inf,
    device: str = "auto",
    published: Path | None = None,
    longer: bool = False,
) -> dict[str, str]:
    """Trains experiments with the settings of a profile, each after the parent that it starts from,
    until all are finished or the minutes are over; the run at hand is then checkpointed, and no
    other begun. Each finished run is exported to the folder ``published`` (lib.book.release). With
    ``longer``, one that has not begun takes over what another one has (:func:`go_on`).

    Returns where each stands: "finished", or how many iterations are done.
    """
    study, deadline, found = Study(profile, dataset), time.monotonic() + 60 * minutes, {}
    for name in in_order(names, profile):
        (late,) = distributed.any_say(time.monotonic() > deadline)
        if longer and not late and not distributed.rank():
            take_over(study, name)
        distributed.wait()  # no process begins before the first one has given it what there is
        run = study.run(name) if late else study.train(name, device=device, deadline=deadline)
        found[name] = "finished" if run.finished else f"{run.iterations:,} iterations"
        if run.finished and published is not None and distributed.rank() == 0:
            export(run, published)
    return found


def go_on(run: Run, made_of: dict) -> Run | None:
    """Gives a run that has not begun the state of the one that has come furthest, but no further
    than the run is to, and returns that one; None if there is none. ``made_of``: the data and
    parent of both, as config.json has them.

    A run with settings that the thesis does not have begins at its beginning: what it keeps, and
    how fast it learns, may depend on its length.
    """
    if run.finished or run.checkpoint or run.config.beyond:
        return None
    folders = [*paths.RUNS.glob("*/config.json"), *paths.PUBLISHED.glob("*/config.json")]
    found = [other for file in folders if (other := _same(run, made_of, file.parent))]
    # Of two that are as far, the one with optimisers.
    other = max(found, key=lambda o: (o.iterations, o.checkpoint is not None), default=None)
    if other is not None:
        with run.locked():
            _take_over(run, made_of, other)
    return other


def _same(run: Run, made_of: dict, folder: Path) -> Run | None:
    """The run in a folder, if the other one can begin with what it has."""
    try:
        other = Run.read(folder)
    except InputError:  # damaged, or of an earlier version: not one to go on from
        return None
    settings = [r.config.replace(epochs=run.config.epochs, snapshots=()) for r in (run, other)]
    content = json.loads((folder / "config.json").read_text())
    same = other.experiment == run.experiment and settings[0] == settings[1]
    same = same and all(content.get(key) == value for key, value in made_of.items())
    networks = other.checkpoint or folder
    if not (same and other.iterations and (networks / "discriminator.safetensors").exists()):
        return None
    return other if _rows(other)[-1]["epoch"] <= run.config.epochs else None


def _rows(run: Run) -> list[dict]:
    """Its losses up to the weights at hand: those of an interrupted run go further."""
    return [row for row in run.metrics if row["iteration"] <= run.iterations]


def _take_over(run: Run, made_of: dict, other: Run) -> None:
    run.delete()  # what was begun and has no checkpoint
    run.begin(made_of | {"continued_from": other.folder.name})
    for epoch in other.snapshots & set(run.config.snapshots):
        shutil.copy(other.folder / snapshot_name(epoch), run.folder / snapshot_name(epoch))
    run.append_metrics(_rows(other))
    state = other.state() if other.checkpoint else {"seconds": other.summary["seconds"]}
    state |= {"iteration": other.iterations}
    run.save_checkpoint(other.iterations, other.generator(), other.discriminator(), state)


def take_over(study: Study, name: str) -> None:
    """Gives an experiment's run what a shorter one has, where there is one, and says so."""
    run = study.run(name)
    parent = study.parent(run.config)
    if other := go_on(run, origin(run.config, study.dataset, parent)):
        print(f"{name} goes on from {paths.shown(other.folder)}, {other.iterations:,} iterations.")


def main(arguments: list[str] | None = None) -> None:
    """The command; its arguments are by default those of this process."""
    about = "Trains several experiments, parents first, within a budget of time."
    parser = argparse.ArgumentParser("python -m lib series", description=about)
    parser.add_argument("cache", help="prepared data: sample, coco, or a cache's path")
    parser.add_argument("--profile", default="published", help="a file of profiles/")
    parser.add_argument("--only", nargs="+", default=list(LABELS), help="default: all seven")
    parser.add_argument("--minutes", type=float, default=math.inf, help="the budget of time")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--published", type=Path, help="export finished runs to this folder")
    about = "a run that has not begun goes on from a shorter one, made here or published"
    parser.add_argument("--longer", action="store_true", help=about)
    given = parser.parse_args(arguments)
    with distributed.joined():
        state = train_series(
            given.only,
            load(given.cache),
            given.profile,
            given.minutes,
            given.device,
            given.published,
            given.longer,
        )
    for name, where in state.items():
        print(f"{name}: {where}")


if __name__ == "__main__":
    try:
        main()
    except Stopped as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
    except InputError as error:
        sys.exit(f"Error: {error}")
