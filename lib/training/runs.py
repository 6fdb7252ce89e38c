"""Run folders: settings, metrics, weights and provenance of each run.

``data/runs/EXPERIMENT-IDENTITY/`` holds

- ``config.json``: the resolved settings, what data and which parent they were used with;
- ``metrics.jsonl``: losses, a JSON object a line;
- ``checkpoint-ITERATION/``: weights of G and D (safetensors), optimisers and random state;
- ``snapshot-EPOCH.safetensors``: G at a named epoch;
- ``rejector.safetensors``: the D that chooses among poses, where the settings want one;
- ``summary.json``: length, time, hardware and versions; it is there once the run is finished;
- ``evaluation.json``: the measures of 4.4.2.

A run that the repository ships (:mod:`lib.book.release`) has its weights next to these files.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lib import paths
from lib.beyond.recipe import recipe_for
from lib.config import LABELS, Config
from lib.data.cache import Dataset
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.recipe import Recipe
from lib.models.tables import Discriminator, Generator


def load_weights(network: torch.nn.Module, path: Path) -> None:
    """Fills ``network`` from a safetensors file.

    Raises:
        InputError: the file is missing or damaged, or holds another network's weights.
    """
    try:
        weights = load_file(path)
    except Exception as error:  # safetensors raises its own exception class, or OSError
        raise InputError(
            f"{paths.shown(path)} cannot be read ({error}): delete its run folder and train again."
        ) from None
    own = network.state_dict()
    for name in own.keys() | weights.keys():
        a, b = (tuple(w[name].shape) if name in w else "none" for w in (own, weights))
        if a != b:
            raise InputError(
                f"{paths.shown(path)} does not fit the config: {name} has shape {b} in the file "
                f"and {a} in the network; delete its run folder and train again."
            )
    network.load_state_dict(weights)


@dataclass(frozen=True)
class Run:
    """A training's folder; it may be finished, interrupted or not yet begun."""

    folder: Path
    config: Config
    experiment: str

    @classmethod
    def open(cls, name: str) -> "Run":
        """The finished run in a folder, given by its path or by its name in data/runs or
        data/published.

        Raises:
            InputError: there is none, or its config.json is damaged.
        """
        places = [Path(name), paths.RUNS / name, paths.PUBLISHED / name]
        folder = next((place for place in places if (place / "summary.json").is_file()), None)
        if folder is None:
            known = sorted(file.parent.name for file in paths.RUNS.glob("*/summary.json"))
            raise InputError(
                f"There is no finished run {name!r}; finished are {', '.join(known) or 'none'}."
            )
        try:
            content = json.loads((folder / "config.json").read_text())
            names = [f.name for f in dataclasses.fields(Config)]
            settings = {name: content[name] for name in names if name in content}
            return cls(folder, Config(**settings), content["experiment"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{paths.shown(folder / 'config.json')} is damaged ({error!r}): delete the run "
                "folder and train again."
            ) from None

    @property
    def recipe(self) -> Recipe:
        """What G makes and D reads, and how its poses are drawn."""
        return recipe_for(self.config)

    def noise(self, number: int, seed: int, G: Generator | None = None) -> torch.Tensor:
        """z (number, 128) for poses of a finished run; ``G``: its generator, if it is at hand."""
        return self.recipe.noise(self, number, seed, G)

    def h(self, vectors: torch.Tensor) -> torch.Tensor:
        """Encodings (N, 300), as fastText gives them, as the run's networks take them."""
        return self.config.scaled(vectors)

    @property
    def described(self) -> str:
        """One clause: the model, its networks, data and length."""
        c, kinds = self.config, {"sample": "generated sample data", "coco": "COCO 2017"}
        places = "networks on keypoints, not the thesis's"
        networks = places if c.networks == "keypoints" else f"the thesis's networks{_width(c)}"
        data = kinds.get(self.summary.get("source", ""), "")
        parts = (LABELS.get(self.experiment, "conditional GAN"), networks, data)
        return ", ".join(filter(None, parts)) + f", {self.summary['iterations']:,} iterations"

    @property
    def finished(self) -> bool:
        return (self.folder / "summary.json").is_file()

    @property
    def summary(self) -> dict:
        """Length, time, hardware and versions of a finished run."""
        path = self.folder / "summary.json"
        try:
            return json.loads(path.read_text())
        except ValueError:
            raise InputError(
                f"{paths.shown(path)} is damaged: delete the run folder and train again."
            ) from None

    @property
    def metrics(self) -> list[dict]:
        """Losses: ``iteration``, ``epoch``, ``loss_d`` and, where G was updated, ``loss_g``;
        after an epoch ``val_loss_d`` and ``val_loss_g``."""
        path = self.folder / "metrics.jsonl"
        rows = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:  # cut off when the machine stopped; it will be written again
                break
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
    def kept(self) -> dict[int, float]:
        """Iterations after which G was kept, each with its epoch's name in the settings."""
        first = self.metrics[0]
        per_epoch = round(first["iteration"] / first["epoch"])
        epochs = sorted(self.config.snapshots)
        found = {max(1, round(epoch * per_epoch)): epoch for epoch in epochs}
        return {i: e for i, e in found.items() if (self.folder / snapshot_name(e)).exists()}

    def final_losses(self, share: float = 0.1) -> dict[str, float]:
        """Each loss's mean over the last tenth (``share``) of the training."""
        rows = self.metrics
        late = [row for row in rows if row["iteration"] > (1 - share) * rows[-1]["iteration"]]
        names = ("loss_d", "loss_g", "val_loss_d", "val_loss_g")
        return {name: _mean([row[name] for row in late if name in row]) for name in names}

    @property
    def checkpoint(self) -> Path | None:
        """The newest checkpoint's folder."""
        found = sorted(self.folder.glob("checkpoint-????????"))
        return found[-1] if found else None

    def generator(self, epoch: float | None = None) -> Generator:
        """G in evaluation mode, at the end of the run or at a named epoch."""
        G = self.recipe.networks()[0]
        path = self._weights("generator") if epoch is None else self.folder / snapshot_name(epoch)
        load_weights(G, path)
        return G.eval()

    def discriminator(self) -> Discriminator:
        """D in evaluation mode, at the end of the run."""
        D = self.recipe.networks()[1]
        load_weights(D, self._weights("discriminator"))
        return D.eval()

    def rejector(self) -> Discriminator:
        """The D that chooses among poses (:mod:`lib.beyond.rejection`), in evaluation mode."""
        D = self.recipe.networks()[1]
        load_weights(D, self.folder / "rejector.safetensors")
        return D.eval()

    def _weights(self, network: str) -> Path:
        return (self.checkpoint or self.folder) / f"{network}.safetensors"

    @property
    def published(self) -> bool:
        """Whether the repository ships it: nothing is written there by those who only read it."""
        return self.folder.parent == paths.PUBLISHED

    @property
    def evaluation(self) -> Path:
        """Where the measures taken on this machine are."""
        folder = paths.RUNS / self.folder.name if self.published else self.folder
        return folder / "evaluation.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training the same run; the system frees the lock of a process
        that is killed.

        Raises:
            InputError: another process trains it.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / f".{self.folder.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"{paths.shown(self.folder)} is being trained by another process: wait for it, "
                    "or end it."
                ) from None
            yield

    def common_snapshot(self, other: "Run") -> float:
        """The latest named epoch of which both runs keep a snapshot.

        Raises:
            InputError: there is none.
        """
        both = [
            epoch
            for epoch in set(self.config.snapshots) & set(other.config.snapshots)
            if all((run.folder / snapshot_name(epoch)).exists() for run in (self, other))
        ]
        if not both:
            raise InputError(
                f"The runs of {self.experiment} and {other.experiment} have no snapshot of the "
                "same epoch: name one in `snapshots` of both, not beyond the shorter training."
            )
        return max(both)

    def begin(self, provenance: dict) -> None:
        """Makes the folder and writes the resolved settings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"experiment": self.experiment, **dataclasses.asdict(self.config), **provenance}
        paths.write_json(self.folder / "config.json", content)

    def save_checkpoint(self, iteration: int, G, D, state: dict) -> None:
        """Writes a checkpoint next to the last one, which goes when the new one is whole."""
        new = self.folder / "checkpoint-new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        save_network(G, new / "generator.safetensors")
        save_network(D, new / "discriminator.safetensors")
        torch.save(state, new / "state.pt")
        old = self.checkpoint
        target = self.folder / f"checkpoint-{iteration:08d}"
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
        if old is not None and old != target:
            shutil.rmtree(old)

    def save_snapshot(self, epoch: float, G) -> None:
        save_network(G, self.folder / snapshot_name(epoch))

    def save_rejector(self, D) -> None:
        save_network(D, self.folder / "rejector.safetensors")

    def append_metrics(self, rows: list[dict]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def cut_metrics(self, iteration: int) -> None:
        """Forgets what was logged after the checkpoint from which a run goes on.

        Raises:
            InputError: the metrics end before it.
        """
        rows = [row for row in self.metrics if row["iteration"] <= iteration]
        if iteration and (not rows or rows[-1]["iteration"] < iteration):
            raise InputError(
                f"{paths.shown(self.folder / 'metrics.jsonl')} ends before the checkpoint at "
                f"iteration {iteration}: delete the run folder and train again."
            )
        text = "".join(json.dumps(row) + "\n" for row in rows)
        paths.write_text(self.folder / "metrics.jsonl", text)

    def finish(self, summary: dict) -> None:
        paths.write_json(self.folder / "summary.json", summary)

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Reader(Run):
    """A run as the other processes of a joint run have it: they only read."""

    def _nothing(self, *_: object) -> None:
        pass

    begin = save_checkpoint = save_snapshot = save_rejector = append_metrics = _nothing
    cut_metrics = finish = delete = _nothing

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        yield


def save_network(network: torch.nn.Module, path: Path, half: bool = False) -> None:
    """Writes a network's weights, with ``half`` all but vectors (biases, batch norm) in half
    precision.

    Raises:
        InputError: a weight is too large for half precision; the file cannot be written.
    """
    # A convolution in channels-last order keeps its values, not its strides, in the file.
    weights = {name: w.cpu().contiguous() for name, w in network.state_dict().items()}
    if half:
        weights = {name: w.half() if w.ndim > 1 else w for name, w in weights.items()}
        if not all(w.isfinite().all() for w in weights.values()):
            raise InputError(f"{paths.shown(path)} has weights too large for half precision.")
    try:
        save_file(weights, path)
    except SafetensorError as error:  # as of a full disk
        raise InputError(f"{paths.shown(path)} cannot be written ({error}): make room.") from None


def _width(config: Config) -> str:
    names = {1.0: "", 0.5: " at half width", 0.25: " at quarter width"}
    return names.get(config.features, f" at {config.features:g} times their width")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def snapshot_name(epoch: float) -> str:
    """The file of G as it was after an epoch."""
    return f"snapshot-{epoch:g}.safetensors"


def commit() -> str:
    """The project's commit, "-dirty" where files differ from it; THESIS_COMMIT where the folder has
    no history, as on a machine to which only files were copied; "" where nothing is known."""
    command = ["git", "-C", str(paths.SOURCE), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        found = ""
    return found or os.environ.get("THESIS_COMMIT", "")


def data_id(config: Config, dataset: Dataset) -> str:
    """What of the data a run depends on: the poses, or the poses with their captions."""
    conditional = ALGORITHMS[config.algorithm].conditional
    return dataset.pairs_id if conditional else dataset.poses_id
