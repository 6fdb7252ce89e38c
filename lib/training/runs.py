"""Run folders: settings, metrics, weights and provenance of each run.

``data/runs/EXPERIMENT-IDENTITY/`` holds

- ``config.json``: the resolved settings, what data and which parent they were used with;
- ``metrics.jsonl``: losses, a JSON object a line;
- ``checkpoint-ITERATION/``: the networks, and all that training needs to go on, twice
  (:mod:`lib.training.checkpoints`);
- ``snapshot-EPOCH.safetensors``: G at a named epoch;
- ``summary.json``: length, time, hardware and versions; it is there once the run is finished;
- ``evaluation.json``: the measures of 4.4.2.

A run that the repository ships (:mod:`lib.book.release`) has its weights next to these files.
"""

import contextlib
import dataclasses
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lib import paths
from lib.beyond.recipe import recipe_for
from lib.config import LABELS, Config
from lib.data.cache import Dataset
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.recipe import Recipe
from lib.models.weights import load_weights, save_network
from lib.training import checkpoints

WIDTHS = {1.0: "", 0.5: " at half width", 0.25: " at quarter width"}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Inside it, a file of a run folder that is missing or damaged raises InputError."""
    try:
        yield path
    except InputError:
        raise
    except Exception as error:  # torch and safetensors raise several kinds, as the damage may be
        raise InputError(
            f"{paths.shown(path)} cannot be read ({error!r}): delete its run folder and train "
            "again."
        ) from None


@dataclass(frozen=True)
class Run:
    """The folder of a training run, which may be finished, interrupted or not yet begun."""

    folder: Path
    config: Config
    experiment: str

    @classmethod
    def open(cls, name: str) -> "Run":
        """The finished run in a folder, given by its path or by its name in data/runs or
        data/published. Raises InputError if there is none, or config.json cannot be read."""
        places = [Path(name), paths.RUNS / name, paths.PUBLISHED / name]
        folder = next((place for place in places if (place / "summary.json").is_file()), None)
        if folder is None:
            finished = (*paths.RUNS.glob("*/summary.json"), *paths.PUBLISHED.glob("*/summary.json"))
            known = sorted({file.parent.name for file in finished})
            raise InputError(
                f"There is no finished run {name!r}; finished are {', '.join(known) or 'none'}."
            )
        return cls.read(folder)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """The run in a folder, finished or not. Raises InputError if config.json cannot be read."""
        with reading(folder / "config.json") as path:
            content = json.loads(path.read_text())
            names = [field.name for field in dataclasses.fields(Config)]
            settings = {name: content[name] for name in names if name in content}
            return cls(folder, Config(**settings), content["experiment"])

    @property
    def recipe(self) -> Recipe:
        """What G makes and D reads."""
        return recipe_for(self.config)

    def h(self, vectors: torch.Tensor) -> torch.Tensor:
        """Encodings (N, 300), as fastText gives them, as the run's networks take them."""
        return self.config.scaled(vectors)

    @property
    def described(self) -> str:
        """One clause: the model, its networks, data and length."""
        c, s = self.config, self.summary
        width = WIDTHS.get(c.features, f" at {c.features:g} times their width")
        places = "networks on keypoints, not the thesis's"
        networks = places if c.networks == "keypoints" else f"the thesis's networks{width}"
        titles = {"sample": "generated sample data", "coco": "COCO 2017"}
        data = s.get("title") or titles.get(s.get("source"), "")
        parts = (LABELS.get(self.experiment, "conditional GAN"), networks, data)
        return ", ".join(filter(None, parts)) + f", {s['iterations']:,} iterations"

    @property
    def finished(self) -> bool:
        return (self.folder / "summary.json").is_file()

    @property
    def summary(self) -> dict:
        """Length, time, hardware and versions of a finished run."""
        with reading(self.folder / "summary.json") as path:
            return json.loads(path.read_text())

    @property
    def metrics(self) -> list[dict]:
        """Losses: ``iteration``, ``epoch``, ``loss_d`` and, where G was updated, ``loss_g``;
        after an epoch ``val_loss_d`` and ``val_loss_g``."""
        path, rows = self.folder / "metrics.jsonl", []
        # No file yet; or a line that was cut off when the machine stopped, and is written again.
        with contextlib.suppress(FileNotFoundError, ValueError):
            for line in path.read_text(errors="replace").splitlines():
                row = json.loads(line)
                if not isinstance(row, dict) or "iteration" not in row:
                    break
                rows.append(row)
        return rows

    @property
    def iterations(self) -> int:
        """How many are done and checkpointed."""
        if self.finished:
            return self.summary["iterations"]
        return int(self.checkpoint.name.rpartition("-")[2]) if self.checkpoint else 0

    @property
    def snapshots(self) -> set[float]:
        """Epochs named in the settings after which G was kept."""
        return {e for e in self.config.snapshots if (self.folder / snapshot_name(e)).exists()}

    @property
    def kept(self) -> dict[int, float]:
        """Iterations after which G was kept, each with its epoch's name in the settings."""
        first = self.metrics[0]
        per_epoch = round(first["iteration"] / first["epoch"])
        return {max(1, round(epoch * per_epoch)): epoch for epoch in sorted(self.snapshots)}

    def final_losses(self) -> dict[str, float]:
        """Each loss's mean over the last tenth of the run; NaN where there is none."""
        rows, names = self.metrics, ("loss_d", "loss_g", "val_loss_d", "val_loss_g")
        late = [row for row in rows if row["iteration"] > 0.9 * rows[-1]["iteration"]]
        values = {name: [row[name] for row in late if name in row] for name in names}
        return {name: sum(v) / len(v) if v else math.nan for name, v in values.items()}

    @property
    def checkpoint(self) -> Path | None:
        """The newest whole checkpoint's folder. Raises InputError if all are damaged, or that of a
        finished run's end is."""
        place = checkpoints.newest(self.folder)
        if place and self.finished and (at := int(place.name[-8:])) < self.summary["iterations"]:
            raise InputError(
                f"{paths.shown(self.folder)} has lost its end: delete its summary.json, and train "
                f"again from iteration {at:,}."
            )
        return place

    @property
    def weights(self) -> Path:
        """The file of G at the end of the run."""
        return (self.checkpoint or self.folder) / "generator.safetensors"

    def generator(self, epoch: float | None = None) -> torch.nn.Module:
        """G in evaluation mode, at the end of the run or at a named epoch."""
        if epoch is not None:
            return self._network(0, self.folder / snapshot_name(epoch))
        return self._network(0, self.weights)

    def discriminator(self) -> torch.nn.Module:
        """D in evaluation mode, at the end of the run."""
        return self._network(1, (self.checkpoint or self.folder) / "discriminator.safetensors")

    def _network(self, number: int, path: Path) -> torch.nn.Module:
        network = self.recipe.networks()[number]
        with reading(path):
            load_weights(network, path)
        return network.eval()

    def state(self) -> dict:
        """Optimisers, random state and counts of the newest checkpoint."""
        with reading(self.checkpoint / "state.pt") as path:
            return torch.load(path, map_location="cpu", weights_only=True)

    @property
    def published(self) -> bool:
        """Whether the repository ships it: nothing is written there by those who only read it."""
        return self.folder.parent == paths.PUBLISHED

    @property
    def evaluation(self) -> Path:
        """Where the measures taken on this machine are."""
        folder = paths.RUNS / self.folder.name if self.published else self.folder
        return folder / "evaluation.json"

    def check(self) -> None:
        """Raises InputError if a shipped run is not what was published."""
        if self.folder.is_dir() and (name := checkpoints.fault(self.folder)):
            place = paths.shown(self.folder)
            raise InputError(
                f"{place}/{name} is damaged: restore it, as with `git checkout -- {place}`."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes, which raise InputError, from training the run until this one
        leaves or is killed."""
        lock, shown = f".{self.folder.name}.lock", paths.shown(self.folder)
        busy = f"{shown} is being trained by another process: wait for it, or end it."
        with paths.locked(self.folder.with_name(lock), busy):
            yield

    def common_snapshot(self, other: "Run") -> float:
        """The latest named epoch of which both runs keep a snapshot. Raises InputError if none."""
        if both := self.snapshots & other.snapshots:
            return max(both)
        raise InputError(
            f"The runs of {self.experiment} and {other.experiment} have no snapshot of the same "
            "epoch: name one in `snapshots` of both, not beyond the shorter run."
        )

    def begin(self, provenance: dict) -> None:
        """Makes the folder and writes the resolved settings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"experiment": self.experiment, **dataclasses.asdict(self.config), **provenance}
        paths.write_json(self.folder / "config.json", content)

    def save_checkpoint(self, iteration: int, G, D, state: dict) -> None:
        """Writes a checkpoint, whole or not at all (:mod:`lib.training.checkpoints`)."""
        checkpoints.save(self.folder, iteration, G, D, state)

    def save(self, name: str, network: torch.nn.Module) -> None:
        save_network(network, self.folder / name)

    def append_metrics(self, rows: list[dict]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())  # before the checkpoint that needs them

    def cut_metrics(self, iteration: int) -> None:
        """Forgets what was logged after a checkpoint. Raises InputError if the log ends earlier."""
        rows = [row for row in self.metrics if row["iteration"] <= iteration]
        if iteration and (not rows or rows[-1]["iteration"] < iteration):
            raise InputError(
                f"{paths.shown(self.folder / 'metrics.jsonl')} ends before the checkpoint at "
                f"iteration {iteration}: delete its run folder and train again."
            )
        lines = (json.dumps(row) + "\n" for row in rows)
        paths.write_text(self.folder / "metrics.jsonl", "".join(lines))

    def finish(self, summary: dict) -> None:
        paths.write_json(self.folder / "summary.json", summary)

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Reader(Run):
    """A run as the other processes of a joint run have it: they only read it."""

    def _nothing(self, *_: object) -> None:
        pass

    begin = save_checkpoint = save = append_metrics = cut_metrics = finish = delete = _nothing

    def locked(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()


def snapshot_name(epoch: float) -> str:
    """The file of G as it was after an epoch."""
    return f"snapshot-{epoch:g}.safetensors"


def commit() -> str:
    """The project's commit, "-dirty" where files differ from it; THESIS_COMMIT where the folder has
    no history, as on a machine to which only files were copied; "" where nothing is known."""
    command = ["git", "-C", str(paths.SOURCE), "describe", "--always", "--dirty", "--abbrev=10"]
    with contextlib.suppress(OSError):  # no git
        if found := subprocess.run(command, capture_output=True, text=True).stdout.strip():
            return found
    return os.environ.get("THESIS_COMMIT", "")


def data_id(config: Config, dataset: Dataset) -> str:
    """The fingerprint of what a run takes from the data: poses, or poses with their captions."""
    return dataset.pairs_id if ALGORITHMS[config.algorithm].conditional else dataset.poses_id


def origin(config: Config, dataset: Dataset, parent: Run | None) -> dict:
    """What a run is made of besides its settings."""
    return {"data": data_id(config, dataset), "parent_run": parent and parent.folder.name}
