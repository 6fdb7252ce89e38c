"""What a notebook holds in its hand: one experiment's settings, data, run and results."""

import ast
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import paths
from lib.config import Config, config_for, profile, unknown
from lib.data.cache import Dataset, described, load, prepare
from lib.data.download import fetch_annotations
from lib.errors import InputError
from lib.evaluation.measures import Evaluation, evaluate
from lib.losses import ALGORITHMS
from lib.training import distributed, runs
from lib.training.distributed import device_for
from lib.training.loop import train
from lib.training.runs import Reader, Run, finished_run, require

INJECTED = "# Parameters"  # papermill's first line of the cell that it adds


def _assignments(source: str) -> dict[str, Any]:
    """Names and values that a cell of plain assignments sets; none for any other cell."""
    try:
        body = ast.parse(source).body
        return {node.targets[0].id: ast.literal_eval(node.value) for node in body}
    except (SyntaxError, ValueError, AttributeError):
        return {}


def parameters(namespace: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the notebook whose ``globals()`` are given.

    papermill only warns of a parameter that a notebook does not have; here it is an error.

    Returns:
        Name to value, as the notebook's parameters cell, papermill or the reader set them.
    Raises:
        InputError: papermill was given a parameter that the notebook does not declare, or one of
            another type.
    """
    cells = [(source, _assignments(source)) for source in namespace.get("In", [])]
    declared = next((names for _, names in cells if "profile" in names), None)
    if declared is None:  # cells are executed without a history, as nbval does
        plain = (str, int, float, bool, list, type(None))
        return {
            name: value
            for name, value in namespace.items()
            if isinstance(value, plain) and not name.startswith("_") and name != "In"
        }
    for source, names in cells:
        if source.startswith(INJECTED):
            for name in names.keys() - declared.keys():
                raise InputError(unknown("parameter", name, list(declared)))
    values = {name: namespace[name] for name in declared}
    for name, default in declared.items():
        wanted = (int, float) if type(default) is float else type(default)
        if default is not None and not isinstance(values[name], wanted):
            raise InputError(
                f"The parameter {name} = {values[name]!r} must be of type "
                f"{type(default).__name__}, as {default!r} is."
            )
    return values


def prepare_data(namespace: dict[str, Any]) -> Dataset:
    """Makes the cache that a notebook's parameters ask for, and loads it.

    Raises:
        InputError: a parameter or a file is wrong or missing.
    """
    given = parameters(namespace)
    return load(prepare_for(given["profile"], given["coco_zip"], given["encoder"]))


def prepare_for(profile_name: str, coco_zip: str | Path | None, encoder: str | Path | None) -> str:
    """Makes the cache for a profile, and returns its name.

    Where the profile asks for the official data and no archive is given, COCO's is downloaded;
    where no encoder is given and data/encoders/wiki.en.bin is there, such a profile takes that.

    Raises:
        InputError: a file is wrong or missing, or the download fails.
    """
    settings = dict(profile(profile_name)["data"])
    official = settings.pop("official", False)
    if official and not coco_zip:
        coco_zip = fetch_annotations()
    wikipedia = paths.ENCODERS / "wiki.en.bin"
    if official and not encoder and wikipedia.exists():
        encoder = wikipedia
    source, encoder = (Path(path) if path else None for path in (coco_zip, encoder))
    return prepare(source, None, encoder=encoder, **settings)["source"]


@dataclass(frozen=True)
class Experiment:
    """One experiment of the thesis, with the profile and data it is done with."""

    name: str
    config: Config
    dataset: Dataset
    profile: str
    fresh: bool = False

    @classmethod
    def from_notebook(
        cls, name: str, namespace: dict[str, Any], trains: bool = True
    ) -> "Experiment":
        """The experiment that a notebook's parameters describe; see :func:`parameters`.

        Args:
            name: of the experiment.
            namespace: the notebook's ``globals()``.
            trains: whether the parameters are settings of the training; otherwise the run has
                the profile's own settings, and must be finished.
        Raises:
            InputError: a parameter, the profile or the data is wrong or missing; the run is not
                finished, but must be.
        """
        given = parameters(namespace)
        config, dataset = config_for(name, given["profile"]), load(given["data"])
        if not trains:
            experiment = cls(name, config, dataset, given["profile"])
            experiment.other(name)
            return experiment
        settings = {field.name for field in dataclasses.fields(Config)}
        changes = {k: v for k, v in given.items() if k in settings and v is not None}
        return cls(name, config.replace(**changes), dataset, given["profile"], given["fresh"])

    @property
    def run(self) -> Run:
        """Where the result is, or will be."""
        return runs.run_for(self.name, self.config, self.dataset, self.profile)

    def other(self, name: str) -> Run:
        """The finished run of another experiment, with the same profile and data."""
        return finished_run(name, self.dataset, self.profile)

    def train(self, device: str = "auto", deadline: float = math.inf) -> Run:
        """Takes the finished run, goes on with an interrupted one or trains a new one, until it is
        finished or, where one is given, the deadline has come (:func:`lib.training.loop.train`).

        Raises:
            InputError: the parent has not been trained yet; or as :func:`lib.training.loop.train`.
        """
        run = self.run
        if self.fresh:
            run = dataclasses.replace(run, folder=paths.RUNS / run.folder.name)
        if run.finished and not self.fresh:
            return run
        if distributed.rank():
            run = Reader(run.folder, run.config, run.experiment)
        with run.locked():
            if self.fresh:
                run.delete()
            distributed.wait()  # no process reads what the first one is deleting
            parent = runs.parent_of(self.config, self.dataset, self.profile)
            if parent is not None:
                require(parent, self.profile, self.dataset)
            train(run, self.dataset, parent, device, deadline=deadline)
        return run

    def evaluate(self, name: str | None = None, epoch: float | None = None) -> Evaluation:
        """The measures of 4.4.2; of an unconditional model on at most as many poses as the profile
        says.

        Args:
            name: another experiment than this one.
            epoch: of a named snapshot, instead of the end.
        """
        run = self.run if name is None else self.other(name)
        conditional = ALGORITHMS[run.config.algorithm].conditional
        poses = None if conditional else profile(self.profile)["evaluation"]["poses"]
        result = evaluate(run, self.dataset, poses, epoch)
        if epoch is None:
            run.evaluation.parent.mkdir(parents=True, exist_ok=True)
            runs.write_json(run.evaluation, result.summary())
        return result

    def _repr_markdown_(self) -> str:
        """A table of the settings, for the notebook."""
        rows = [("experiment", self.name), ("profile", self.profile), ("data", self.dataset.name)]
        rows += [(k, v) for k, v in dataclasses.asdict(self.config).items() if v not in ("", ())]
        return "| setting | value |\n|---|---|\n" + "\n".join(f"| {k} | {v} |" for k, v in rows)

    def note(self) -> "Note":
        """What run the reader sees: length, data, hardware."""
        return Note(self.profile, described(self.dataset), self.run)


def train_run(
    name: str,
    profile: str = "published",
    data: str = "sample",
    device: str = "auto",
    fresh: bool = False,
    **settings: Any,
) -> Run:
    """Trains one experiment from Python, with settings changed by name; see
    :meth:`Experiment.train`. Processes that torchrun has started train it together.

    Args:
        name: of the experiment, a key of ``lib.config.NOTEBOOKS``.
        profile: the file of profiles/ that gives all other settings.
        data: "sample", "coco" or the path of a cache.
        device: "auto", "cpu", "cuda", ...
        fresh: train anew although a run is finished.
        settings: fields of :class:`lib.config.Config`.
    """
    config = config_for(name, profile).replace(**settings)
    with distributed.joined():
        return Experiment(name, config, load(data), profile, fresh).train(device)


def _times(number: int) -> str:
    return f"{number} × " if number > 1 else ""


@dataclass(frozen=True)
class Note:
    """The box above the results: whether they are a demonstration, and where they come from."""

    profile: str
    data: str
    run: Run | None = None

    def _repr_markdown_(self) -> str:
        paper = self.profile == "paper"
        if self.run is not None:  # a setting may have been changed in the notebook
            paper = self.run.config == config_for(self.run.experiment, "paper")
        kind = (
            "Run with the thesis's own settings"
            if paper
            else f"Demonstration run (profile `{self.profile}`), not the thesis's full training"
        )
        text = f"Data: {self.data}."
        if self.run is None:
            text += f" Computed on {runs.hardware(device_for())}."
        else:
            s, config = self.run.summary, self.run.config
            minutes, seconds = divmod(round(s["seconds"]), 60)
            time = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
            passes = s["poses_seen"] / s["train_poses"]
            text = (
                f"Trained for {s['iterations']:,} iterations of {config.batch_size} poses "
                f"({passes:,.1f} passes over {s['train_poses']:,} poses) in {time} on "
                f"{_times(s.get('processes', 1))}{s['hardware']}, seed {config.seed}. {text}"
            )
            if config.networks == "keypoints":
                text += (
                    " Its networks are not the thesis's: they place and read keypoints instead of "
                    "heatmaps (`networks`)."
                )
            if self.run.published:
                text = f"The repository ships this run. {text}"
        return f"> **{kind}.** {text}"
