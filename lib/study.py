"""One profile on one data set: the way to find, train and load its runs."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from lib import paths
from lib.config import Config, config_for, identity, profile
from lib.data.cache import Dataset, described, load, prepare
from lib.data.download import fetch_annotations
from lib.device import device_for, hardware
from lib.errors import InputError, unknown
from lib.losses import ALGORITHMS
from lib.notebooks import NOTEBOOKS
from lib.training import distributed
from lib.training.loop import train
from lib.training.runs import Reader, Run, data_id


class Study:
    """The experiments of a profile, the file of profiles/ that gives all settings, on a data set:
    "sample", "coco", the path of a cache, or what is loaded from one.

    Raises an InputError if there is no such profile or data. Settings are given by name, as keyword
    arguments; one that is None is as the profile says.
    """

    def __init__(self, profile_name: str = "published", data: str | Dataset = "sample"):
        self.profile, self.tables = profile_name, profile(profile_name)
        self.dataset = data if isinstance(data, Dataset) else load(data)

    def config(self, name: str, **changes: Any) -> Config:
        """The settings of an experiment. Raises an InputError if its name, that of a setting, or
        a value is wrong."""
        given = {key: value for key, value in changes.items() if value is not None}
        return config_for(name, self.profile, self.dataset.source).replace(**given)

    def run(self, name: str, **changes: Any) -> Run:
        """The run of an experiment, wherever it is or will be: among those made here or, where
        the repository ships it, among the published ones. A warm start (4.3) is from the run of
        the parent with the profile's own settings, or from the one that ``parent`` names. Where the
        WGAN-GP is as narrow as the reduced one, they are one run. Raises InputError if a shipped
        run is damaged."""
        config = self.config(name, **changes)
        wider = name == "reduced" and "wgan_gp" in self.tables.get("training", {})
        if wider and config == self.config("wgan_gp", **changes):
            name = "wgan_gp"
        parent = self.parent(config)
        before = parent.folder.name if parent else ""
        folder = f"{name}-{identity(config, data_id(config, self.dataset), before)}"
        here, published = (Run(p / folder, config, name) for p in (paths.RUNS, paths.PUBLISHED))
        published.check()
        return published if published.finished and not here.finished else here

    def parent(self, config: Config) -> Run | None:
        """The run that a warm start is from: of an experiment, or the one that is named."""
        if config.parent in NOTEBOOKS:
            return self.run(config.parent)
        try:
            return Run.open(config.parent) if config.parent else None
        except InputError:
            known = [*NOTEBOOKS, *(file.parent.name for file in paths.RUNS.glob("*/summary.json"))]
            raise InputError(unknown("experiment or run", config.parent, known)) from None

    def finished(self, name: str) -> Run:
        """The run of an experiment with the profile's own settings. If it is not finished, an
        InputError names the notebook that makes it."""
        run = self.run(name)
        if not run.finished:
            raise InputError(
                f"There is no finished run of {name!r} with profile {self.profile!r} on the data "
                f"{self.dataset.name!r}: run notebooks/{NOTEBOOKS[name]}.ipynb first."
            )
        return run

    def train(
        self,
        name: str,
        *,
        fresh: bool = False,
        device: str = "auto",
        deadline: float = math.inf,
        **changes: Any,
    ) -> Run:
        """Takes the finished run (not if ``fresh``), resumes an interrupted one, or trains a new
        one on a ``device``: "auto", "cpu", "cuda", ... It stops, unfinished, at a ``deadline`` of
        ``time.monotonic()``. ``changes`` are settings that differ from the profile's. Raises an
        InputError if a setting is wrong, if the parent has not been trained, or as
        :func:`lib.training.loop.train`."""
        run = self.run(name, **changes)
        fresh = fresh and run.experiment == name  # a shared run is retrained for one of the two
        if run.finished and not fresh:
            return run
        if fresh:
            run = dataclasses.replace(run, folder=paths.RUNS / run.folder.name)
        if distributed.rank():
            run = Reader(run.folder, run.config, run.experiment)
        with run.locked():
            if fresh:
                run.delete()
            distributed.wait()  # no process reads what the first one is deleting
            parent = self.parent(run.config)
            if parent and not parent.finished:
                self.finished(run.config.parent)  # says which notebook makes it
            train(run, self.dataset, parent, device, deadline=deadline)
        return run

    def evaluate(self, run: Run, epoch: float | None = None):
        """The measures of 4.4.2 of a finished run, as an
        :class:`lib.evaluation.measures.Evaluation`; an unconditional model's are of at most as
        many poses as the profile says. Those at its end are kept in its evaluation.json, those at
        the ``epoch`` of a named snapshot are not."""
        from lib.evaluation.measures import evaluate  # which a machine that only trains lacks

        conditional = ALGORITHMS[run.config.algorithm].conditional
        poses = None if conditional else self.tables["evaluation"]["poses"]
        result = evaluate(run, self.dataset, poses, epoch)
        if epoch is None:
            paths.write_json(run.evaluation, result.summary())
        return result

    def settings(self, run: Run):
        """The settings of a run, as a :class:`lib.figures.tables.Table`."""
        from lib.figures.tables import Table  # a machine that only trains cannot draw

        settings = {"experiment": run.experiment, "profile": self.profile}
        settings |= {"data": self.dataset.name} | dataclasses.asdict(run.config)
        rows = [[name, str(value)] for name, value in settings.items() if value not in ("", ())]
        return Table(["setting", "value"], rows)

    def note(self, run: Run | None = None, more: str = ""):
        """The box above the results of a page, as Markdown: which networks, how long they were
        trained, on what; ``more`` is said of the data."""
        from IPython.display import Markdown  # which a machine that only trains lacks

        data = described(self.dataset) + more
        if run is None:
            return Markdown(f"> Data: {data}. Computed on {hardware(device_for())}.")
        s, config = run.summary, run.config
        kind = f"A demonstration (profile `{self.profile}`), not the thesis's full training"
        own = config_for(run.experiment, "paper", self.dataset.source)
        if config == own:  # a notebook may have changed a setting
            kind = "Trained with the thesis's own settings"
        minutes, seconds = divmod(round(s["seconds"]), 60)
        time = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        machines = f"{s['processes']} × " if s.get("processes", 1) > 1 else ""
        shipped = "The repository ships this run. " if run.published else ""
        return Markdown(
            f"> **{kind}: {run.described}.** "
            f"{s['iterations']:,} iterations of {config.batch_size} poses "
            f"({s['poses_seen'] / s['train_poses']:,.1f} passes over {s['train_poses']:,} poses) "
            f"in {time} on {machines}{s['hardware']}, seed {config.seed}. {shipped}Data: {data}."
        )


def prepare_for(profile_name: str, coco_zip: str | Path | None, encoder: str | Path | None) -> str:
    """Makes the cache for a profile, and returns its name.

    Where the profile asks for the official data and no archive is given, COCO's is downloaded;
    where no encoder is given and data/encoders/wiki.en.bin is there, such a profile takes that.
    Raises an InputError if a file is wrong or missing, or the download fails.
    """
    settings = profile(profile_name)["data"]
    if settings.pop("official", False):
        wikipedia = paths.ENCODERS / "wiki.en.bin"
        coco_zip = coco_zip or fetch_annotations()
        encoder = encoder or (wikipedia if wikipedia.exists() else None)
    source, encoder = (Path(path) if path else None for path in (coco_zip, encoder))
    return prepare(source, None, encoder=encoder, **settings)["source"]
