"""Runs that the repository ships, next to the thesis: how they are published, what they measure."""

import dataclasses
import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from lib import figures, paths
from lib.book.release import export
from lib.config import LABELS, config_for, profile
from lib.data.cache import Dataset, described
from lib.device import device_for, hardware
from lib.errors import InputError
from lib.evaluation import comparison
from lib.evaluation.comparison import ANSWERS, OPTIONS, SHIPPED, filled, read_estimates
from lib.evaluation.findings import THESIS
from lib.evaluation.measures import Measures, evaluate
from lib.figures.tables import Table
from lib.losses import ALGORITHMS
from lib.models.synthesis import caption_grid, noise, synthesise
from lib.pose import words
from lib.pose.words import Words
from lib.training.runs import Run, commit, data_id

DATA = {"coco": "COCO 2017", "sample": "sample data"}
TOLERANCE = 0.005  # of an accuracy or ratio measured on another processor
README = paths.SOURCE / "README.md"
MARKS = ("<!-- thesis beside ours -->\n", "<!-- end -->")  # of the table in the README
SENTENCES = (  # of no data set
    "a man is riding a skateboard down a ramp",
    "a woman swings her racket at a tennis ball",
    "a boy sits on a bench and reads a book",
    "a surfer stands on his board on a wave",
    "a skier goes down a snowy slope",
    "a woman stands in front of a mirror",
)
SHOWN = (  # measures in a model card
    "n_fake accuracy accuracy_real accuracy_fake typicality_ratio retrieval_ratio precision recall "
    "coverage frechet implausible_real implausible_fake "
    "visible_real visible_fake copied r_precision_1 activity_accuracy"
).split()


def publish(run: Run, dataset: Dataset) -> Path:
    """Exports a finished run to data/published, measures what was exported on the data it was
    trained on, and describes it. One that is published already is only measured and described.
    Raises an InputError if files of the project have changes that are not committed, or as
    :func:`lib.book.release.export`.
    """
    require_committed()
    target = run.folder if run.published else export(run, paths.PUBLISHED)
    exported = Run(target, run.config, run.experiment)
    conditional = ALGORITHMS[run.config.algorithm].conditional
    poses = None if conditional else profile("published")["evaluation"]["poses"]
    found = evaluate(exported, dataset, poses).summary()
    paths.write_json(target / "evaluation.json", found | {"measured_with": where()})
    if conditional:
        words.ship(dataset.encoder(), dataset.pairs_id, dataset.source)
    (target / "README.md").write_text(card(exported, described(dataset)))
    return target


def require_committed() -> None:
    """Raises an InputError if files of the project have changes that are not committed."""
    if changed := uncommitted():
        raise InputError(
            f"{changed[0]} has changes that are not committed: commit them first, so that the "
            "figures can be told the code they were measured with."
        )


def where() -> dict[str, str]:
    """What measures here, and the commit: an earlier export to data/published does not make it
    "dirty"."""
    found = {"hardware": hardware(device_for()), "torch": torch.__version__}
    return found | {"commit": commit().removesuffix("-dirty")}


def uncommitted() -> list[str]:
    """Tracked files with changes that are not committed, but for what publishing itself writes."""
    command = ["git", "-C", str(paths.SOURCE), "status", "--porcelain", "--untracked-files=no"]
    command += ["--", ".", ":!data/published", ":!README.md"]
    found = subprocess.run(command, capture_output=True, text=True)
    return [line[3:] for line in found.stdout.splitlines()]


def card(run: Run, data: str) -> str:
    """A published run's model card; ``data``: one clause on what it was trained on."""
    s, found, networks = run.summary, measured(run), run.config.networks
    settings = [(k, str(v)) for k, v in dataclasses.asdict(run.config).items() if v not in ("", ())]
    rows, estimates = [], read_estimates(found)
    for name in (name for name in SHOWN if name in estimates):
        value, low, high = dataclasses.astuple(estimates[name])
        interval = "" if math.isnan(low) else f"{low:.4g} to {high:.4g}"
        rows.append([name, f"{value:.5g}", interval])
    other = "" if networks == "heatmaps" else f"; its networks are not the thesis's ({networks})"
    told = {"run": run, "algorithm": ALGORITHMS[run.config.algorithm], "other": other, "data": data}
    told |= {"passes": s["poses_seen"] / s["train_poses"], "minutes": s["seconds"] / 60}
    told |= {"s": s, "commit": s.get("commit") or "not known"}
    told |= {"measures": Table(["measure", "value", "95% interval"], rows)._repr_markdown_()}
    told |= {"settings": Table(["setting", "value"], settings)._repr_markdown_()}
    return Path(__file__).with_name("card.md").read_text().format(**told)


def shipped(data: str | None = None, profile_name: str | None = "published") -> list[Run]:
    """The published runs that were measured, COCO's first, in the thesis's order: those of one
    :func:`source`, or of any if that is None, and those with a profile's own settings, or with
    any."""
    order, files = list(LABELS), sorted(paths.PUBLISHED.glob("*/evaluation.json"))
    runs = [Run.open(str(file.parent)) for file in files]
    runs = [run for run in runs if run.experiment in order and data in (None, source(run))]
    if profile_name is not None:
        runs = [r for r in runs if r.config == config_for(r.experiment, profile_name, source(r))]
    runs.sort(key=lambda run: (source(run), order.index(run.experiment)))
    return runs


def source(run: Run) -> str:
    """The data that it was trained on: "sample" or "coco"."""
    return run.summary.get("source", run.summary["data"])


def measured(run: Run) -> dict:
    """What was measured of a run when it was published."""
    return json.loads((run.folder / "evaluation.json").read_text())


def yardsticks() -> dict[str, dict[str, Measures]]:
    """What :mod:`lib.book.yardsticks` has measured: of a data set, of what."""
    files = sorted((paths.PUBLISHED / "yardsticks").glob("*.json"))
    found = {file.stem: json.loads(file.read_text()).get("measures", {}) for file in files}
    return {
        data: {what: read_estimates(summary) for what, summary in of.items()}
        for data, of in found.items()
    }


def beside_the_thesis() -> Table:
    """What was measured of the thesis's model, of published ones, and of yardsticks for these."""
    thesis = [f"**the thesis**: {LABELS['conditional_reduced']}", DATA["coco"]]
    rows = [(thesis, read_estimates(THESIS))]
    rows += [(_model(run), read_estimates(measured(run))) for run in _compared()]
    for data, found in yardsticks().items():
        rows += [([f"*{what}*", DATA[data]], measures) for what, measures in found.items()]
    columns = filled(SHIPPED, [found for _, found in rows])
    shown = [
        [*model, f"{found['n_fake'].value:,}", *(show(found) for _, show in columns)]
        for model, found in rows
    ]
    return Table(["model", "data", "poses", *(title for title, _ in columns)], shown)


def how_trained() -> Table:
    """How the same models were trained. The thesis's took 1,000 epochs of 17,326 poses, after 200
    of 116,021; it does not name the hardware."""
    return comparison.how_trained({", ".join(_model(run)): run for run in _compared()})


def _compared() -> list[Run]:
    """The published runs with the profile's settings, and those of the thesis's own networks."""

    def counts(run: Run) -> bool:
        own = config_for(run.experiment, "published", source(run))
        return run.config == own or not run.config.beyond

    return [run for run in shipped(profile_name=None) if counts(run)]


def _model(run: Run) -> list[str]:
    networks = "; on keypoints" if run.config.networks == "keypoints" else "; heatmaps"
    return [LABELS[run.experiment] + networks, DATA[source(run)]]


def options(data: str, experiment: str) -> Table:
    """What runs of one experiment measured that differ in settings the thesis does not have: those
    of data/published/options.csv, most of which are not shipped. Of conditional runs, text
    alignment is told, too, as far as the data allow."""
    table = pd.read_csv(paths.PUBLISHED / "options.csv").fillna({"settings": ""})
    rows = table[(table["data"] == data) & (table["experiment"] == experiment)].to_dict("records")
    found = [read_estimates({k: v for k, v in row.items() if pd.notna(v)}) for row in rows]
    conditional = any("r_precision_1" in each for each in found)
    columns = filled(ANSWERS if conditional else OPTIONS, found)
    shown = [
        [
            f"{row['iterations']:,} × {row['batch_size']}, {row['minutes']} min",
            f"{row['train_poses']:,}",
            row["settings"],
            f"{row['poses']:,}",
            *(show(each) for _, show in columns),
        ]
        for row, each in zip(rows, found, strict=True)
    ]
    head = ["minibatches, time", "training poses", "settings", "poses"]
    return Table([*head, *(title for title, _ in columns)], shown)


def reproduced(dataset: Dataset) -> str:
    """A sentence on whether the published figures came out again on this machine."""
    gaps = []
    for run in shipped(dataset.source):
        trained_on = json.loads((run.folder / "config.json").read_text())["data"]
        if run.evaluation.exists() and trained_on == data_id(run.config, dataset):
            here, there = json.loads(run.evaluation.read_text()), measured(run)
            gaps += [abs(here[name] - there[name]) for name in ("accuracy", "retrieval_ratio")]
    if not gaps:
        return "None of the published runs were measured again here."
    same = "the same figures" if max(gaps) <= TOLERANCE else "other figures"
    return (
        f"{len(gaps) // 2} of the published runs were measured again here, from their weights: "
        f"{same}; accuracies and ratios differ by {max(gaps):.4f} at the most."
    )


def samples(run: Run) -> torch.Tensor:
    """24 heatmaps (24, 17, 64, 64) of an unconditional published run."""
    return synthesise(run.generator(), noise(24, 1))


def from_sentences(run: Run) -> Figure:
    """Four poses of a conditional published run for each of SENTENCES, one a column."""
    known = Words.read(source(run))
    h = run.h(torch.tensor(np.stack([known.encode(each) for each in SENTENCES]).astype(np.float32)))
    poses = caption_grid(run.generator(), h, rows=4, seed=1)
    return figures.pose_grid(poses.flatten(0, 1), columns=len(h), titles=SENTENCES)


def own_networks() -> Run | None:
    """The published WGAN-GP with the thesis's own networks: COCO's, if there is one, and of several
    the longest."""
    runs = [r for r in shipped(profile_name=None) if r.experiment == "wgan_gp"]
    runs = [r for r in runs if not r.config.beyond]
    return max(runs, key=lambda r: (source(r) == "coco", r.iterations), default=None)


def pictures() -> None:
    """Draws the README's pictures, where the runs that they are of are published: samples of the
    thesis's own networks, and poses of COCO's on keypoints for sentences."""
    best = [run for run in shipped("coco") if run.experiment == "conditional_reduced"]
    look = {"dpi": 160, "bbox_inches": "tight"}  # as wide as a README
    if run := own_networks():
        picture = figures.pose_grid(samples(run), columns=8, source=run.described)
        picture.savefig(paths.PUBLISHED / "thesis.png", **look)
    for run in best:
        from_sentences(run).savefig(paths.PUBLISHED / "sentences.png", **look)


def readme(text: str) -> str:
    """The README with the table of the runs on COCO as they are now."""
    table, (begin, end) = beside_the_thesis(), MARKS
    coco = [row[:1] + row[2:] for row in table.rows if row[1] == DATA["coco"]]
    shown = Table(table.head[:1] + table.head[2:], coco)._repr_markdown_()
    return text.split(begin)[0] + begin + shown + "\n" + end + text.split(end)[1]
