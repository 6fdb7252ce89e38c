"""Finished runs as the repository ships them, in ``data/published/``.

A published run has the files of :mod:`lib.training.runs`, smaller: weights in half precision (but
for biases and batch norm), D only of the models from which others start, losses as means over short
windows; next to them ``evaluation.json``, measured with just these weights, ``README.md``, a
model card, and of a conditional model ``captions.safetensors``, encodings of sentences made up
for this project. Poses and captions of the data are not among them.
"""

import dataclasses
import json
import math
import shutil
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file

from lib import files, paths
from lib.config import profile
from lib.data import captions as text
from lib.data.cache import Dataset, described
from lib.device import device_for, hardware
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.weights import save_network
from lib.training.runs import Run, commit, snapshot_name

PARENTS = ("wgan_gp", "reduced")  # whose D is a start for others
ROWS = 500  # windows of iterations, at the most, over which losses are averaged
SENTENCES = (  # of no data set
    "a man is riding a skateboard down a ramp",
    "a woman swings her racket at a tennis ball",
    "a boy sits on a bench and reads a book",
    "a surfer stands on his board on a wave",
    "a skier goes down a snowy slope",
    "a woman stands in front of a mirror",
)


SHOWN = (  # measures in a model card
    "accuracy",
    "accuracy_real",
    "accuracy_fake",
    "retrieval_ratio",
    "precision",
    "recall",
    "coverage",
    "frechet",
    "visible_real",
    "visible_fake",
    "copied",
    "r_precision_1",
    "activity_accuracy",
)


def export(run: Run, folder: Path) -> Path:
    """Writes a finished run as it is shipped; needs torch and safetensors only.

    Args:
        run: finished.
        folder: to which a folder with the run's name is added, in place of an older one.
    Returns:
        The new folder.
    Raises:
        InputError: a weight is too large for half precision.
    """
    target, new = folder / run.folder.name, folder / f".{run.folder.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    save_network(run.generator(), new / "generator.safetensors", half=True)
    if run.experiment in PARENTS:
        save_network(run.discriminator(), new / "discriminator.safetensors", half=True)
    if run.config.rejection_epochs:
        save_network(run.rejector(), new / "rejector.safetensors", half=True)
    for epoch in run.kept.values():
        save_network(run.generator(epoch), new / snapshot_name(epoch), half=True)
    for name in ("config.json", "summary.json"):
        shutil.copy(run.folder / name, new / name)
    rows = windows(run.metrics, set(run.kept))
    (new / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)
    return target


def windows(rows: list[dict], ends: set[int], most: int = ROWS) -> list[dict]:
    """Losses as means over windows of iterations.

    Args:
        rows: of a run's metrics, each iteration's or means themselves.
        ends: iterations at which a window ends.
        most: windows, apart from those that end there.
    Returns:
        A row for each window, with the iteration and epoch of its end, five digits of each loss;
        rows of validation losses as they were.
    """
    training = [row["iteration"] for row in rows if "loss_d" in row]
    size, found, window = math.ceil(training[-1] / most), [], []
    following = iter([*training[1:], math.inf])
    for row in rows:
        if "loss_d" not in row:
            found.append(row)
            continue
        window.append(row)
        here, after = row["iteration"], next(following)
        if (here - 1) // size == (after - 1) // size and here not in ends:
            continue
        mean = {"iteration": row["iteration"], "epoch": row["epoch"]}
        for name in ("loss_d", "loss_g"):
            values = [each[name] for each in window if name in each]
            if values:
                mean[name] = float(f"{sum(values) / len(values):.5g}")
        found.append(mean)
        window = []
    return found


def publish(run: Run, dataset: Dataset, all_poses: bool = False) -> Path:
    """Exports a finished run to data/published, measures what was exported and describes it.

    Args:
        run: finished; one that is published already is only measured and described again.
        dataset: what it was trained on.
        all_poses: measure once more with as many synthesised poses as there are real ones, as a
            conditional model is measured anyway; with COCO's 116,021 that takes minutes.
    Raises:
        InputError: files of the project have changes that are not committed; or as
            :func:`export`.
    """
    from lib.evaluation.measures import evaluate

    if changed := uncommitted():
        raise InputError(
            f"{changed[0]} has changes that are not committed: commit them first, so that the "
            "figures can be told the code they were measured with."
        )
    known = run.folder.parent == paths.PUBLISHED
    target = run.folder if known else export(run, paths.PUBLISHED)
    shipped = Run(target, run.config, run.experiment)
    conditional = ALGORITHMS[run.config.algorithm].conditional
    poses = None if conditional else profile("published")["evaluation"]["poses"]
    measured = evaluate(shipped, dataset, poses).summary()
    if all_poses and not conditional:
        measured["all_poses"] = evaluate(shipped, dataset, None).summary()
    # What an export before this one has added to data/published makes no commit "dirty".
    where = {"hardware": hardware(device_for()), "torch": torch.__version__}
    where["commit"] = commit().removesuffix("-dirty")
    files.write_json(target / "evaluation.json", measured | {"measured_with": where})
    if conditional:
        vectors = torch.from_numpy(text.encode(dataset.encoder(), list(SENTENCES)))
        save_file({"h": run.h(vectors)}, target / "captions.safetensors")
    (target / "README.md").write_text(card(shipped, described(dataset)))
    return target


def uncommitted() -> list[str]:
    """Tracked files with changes that are not committed, but for what publishing itself writes."""
    command = ["git", "-C", str(paths.SOURCE), "status", "--porcelain", "--untracked-files=no"]
    command += ["--", ".", ":!data/published", ":!README.md"]
    found = subprocess.run(command, capture_output=True, text=True)
    return [line[3:] for line in found.stdout.splitlines()]


def card(run: Run, data: str) -> str:
    """A published run's model card.

    Args:
        run: published.
        data: one clause on what it was trained on.
    """
    s, measured = run.summary, json.loads((run.folder / "evaluation.json").read_text())
    settings = [(k, v) for k, v in dataclasses.asdict(run.config).items() if v not in ("", ())]
    rows = [(name, measured, name) for name in SHOWN if name in measured]
    if full := measured.get("all_poses"):
        rows += [(f"{name}, all poses", full, name) for name in SHOWN if name in full]
    kind = run.config.networks
    other = "" if kind == "heatmaps" else f"; its networks are not the thesis's ({kind})"
    lines = [
        f"# {run.folder.name}",
        "",
        "A generator of 2-D human poses (17 COCO keypoints as 64 x 64 heatmaps): experiment "
        f"`{run.experiment}`, trained with the losses of Algorithm "
        f"{ALGORITHMS[run.config.algorithm].number} of the thesis{other}.",
        "",
        f"- **Data:** {data}. None of them are in this folder.",
        f"- **Training:** {s['iterations']:,} iterations of {run.config.batch_size} poses, "
        f"{s['poses_seen'] / s['train_poses']:.1f} passes over the data, {s['seconds'] / 60:.0f} "
        f"minutes on {s['hardware']}, torch {s['torch']}, seed {run.config.seed}, commit "
        f"{s.get('commit') or 'not known'}.",
        "- **Weights:** half precision, but for biases and batch norm.",
        '- **Use:** `lib.training.runs.Run.open("'
        + run.folder.name
        + '").generator()`; taken by the '
        "notebooks wherever their settings and data name this run.",
        "- **Limits:** a demonstration of the thesis. Poses are of a single person, cropped to the "
        "person's box; they carry the biases of their data, and are not measurements of people.",
        "- **Licence:** MIT, as the project.",
        "",
        "| measure | value | 95% interval |",
        "|---|---|---|",
        *(f"| {title} | {m[name]:.4g} | {_interval(m, name)} |" for title, m, name in rows),
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in settings),
    ]
    return "\n".join(lines) + "\n"


def _interval(measured: dict, name: str) -> str:
    if f"{name}_low" not in measured:
        return ""
    return f"{measured[f'{name}_low']:.4g} to {measured[f'{name}_high']:.4g}"
