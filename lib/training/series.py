"""``python -m lib series CACHE``: trains several experiments, one after the other.

Keeps to a budget of time; what is finished is not repeated, what was interrupted goes on: the same
command may be given again and again, on this machine or on another one to which ``data/runs`` was
copied. Needs torch, numpy and safetensors only. A machine that has nothing else runs this module
itself: ``python -m lib.training.series CACHE``.
"""

import argparse
import math
import time
from pathlib import Path

from lib import paths
from lib.book.release import export
from lib.config import LABELS, config_for
from lib.data.cache import Dataset, load
from lib.errors import InputError
from lib.study import Study
from lib.training import distributed
from lib.training.longer import go_on
from lib.training.runs import origin


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
    ``longer``, one that has not begun takes over what a shorter one has (lib.training.longer).

    Returns where each stands: "finished", or how many iterations are done.
    """
    study, deadline, found = Study(profile, dataset), time.monotonic() + 60 * minutes, {}
    for name in in_order(names, profile):
        late = distributed.any_says(time.monotonic() > deadline)
        if longer and not late and not distributed.rank():
            take_over(study, name)
        distributed.wait()  # no process begins before the first one has given it what there is
        run = study.run(name) if late else study.train(name, device=device, deadline=deadline)
        found[name] = "finished" if run.finished else f"{run.iterations:,} iterations"
        if run.finished and published is not None and distributed.rank() == 0:
            export(run, published)
    return found


def take_over(study: Study, name: str) -> None:
    """Gives an experiment's run what a shorter one has, where there is one, and says so."""
    run = study.run(name)
    parent = study.run(run.config.parent) if run.config.parent else None
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
    except InputError as error:
        raise SystemExit(f"Error: {error}") from None
