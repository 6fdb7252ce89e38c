"""The runs that the repository ships, next to the thesis: what they measure, whence they came."""

import csv
import json
import math

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file

from lib import figures, paths
from lib.book.release import SENTENCES
from lib.config import LABELS, config_for
from lib.data.cache import Dataset
from lib.evaluation.comparison import ANSWERS, OPTIONS, filled, read_estimates
from lib.evaluation.findings import THESIS
from lib.markdown import Table
from lib.models.synthesis import caption_grid, synthesise
from lib.training.runs import Run, data_id

DATA = {"coco": "COCO 2017", "sample": "sample data"}
KEYPOINTS = "; on keypoints"  # after a model whose networks are not the thesis's
CHOSEN = "; rejection sampling"  # after one whose poses are chosen (lib.beyond.rejection)
TOLERANCE = 0.005  # of an accuracy or ratio measured on another processor
README = paths.SOURCE / "README.md"
MARKS = ("<!-- thesis beside ours -->\n", "<!-- end -->")  # of the table in the README


def shipped(data: str | None = None, profile: str | None = "published") -> list[Run]:
    """The published runs, COCO's first, in the thesis's order.

    Args:
        data: as :func:`source` says; None for all.
        profile: only runs with this profile's own settings; None for all.
    """
    found = [Run.open(str(path.parent)) for path in paths.PUBLISHED.glob("*/summary.json")]
    order = list(LABELS)
    found = [
        run
        for run in found
        if run.experiment in order
        and data in (None, source(run))
        and (profile is None or run.config == config_for(run.experiment, profile))
    ]
    return sorted(
        found,
        key=lambda run: (
            source(run),
            order.index(run.experiment),
            run.config.rejection_epochs,
            run.folder.name,
        ),
    )


def source(run: Run) -> str:
    """The data that it was trained on: "sample" or "coco"."""
    return run.summary.get("source", run.summary["data"])


def measured(run: Run) -> dict:
    """What was measured of a run when it was published."""
    return json.loads((run.folder / "evaluation.json").read_text())


def beside_the_thesis() -> Table:
    """Accuracy and ratio of the thesis's model and of all published ones with the profile's
    settings, and of those whose poses are chosen, with their provenance."""
    head = ["model", "data", "1-NN accuracy", "retrieval ratio", "poses"]
    head += ["minibatches, passes over the data, time and hardware", "seed, commit"]
    thesis = [
        f"**the thesis**: {LABELS['conditional_reduced']}",
        DATA["coco"],
        f"{THESIS['accuracy']:.1%}",
        f"{THESIS['retrieval_ratio']:.3f}",
        f"{THESIS['n_fake']:,}",
        "1,000 epochs of 17,326 poses, after 200 of 116,021, hardware not stated",
        "not stated",
    ]
    rows = [
        _row(run, found)
        for run in shipped(profile=None)
        if run.config.rejection_epochs or run.config == config_for(run.experiment, "published")
        for whole in [measured(run)]
        for found in (whole, whole.get("all_poses"))
        if found is not None
    ]
    return Table(head, [thesis, *rows])


def _row(run: Run, summary: dict) -> list[str]:
    found, s = read_estimates(summary), run.summary
    passes = s["poses_seen"] / s["train_poses"]
    hardware = s["hardware"].replace("(R)", "").removesuffix(" Processor")
    return [
        LABELS[run.experiment]
        + (KEYPOINTS if run.config.networks == "keypoints" else "")
        + (CHOSEN if run.config.rejection_epochs else ""),
        DATA[source(run)],
        f"{found['accuracy']:.1%}",
        f"{found['retrieval_ratio']:.3f}",
        f"{summary['n_fake']:,}",
        f"{_length(run)}, {passes:.1f}, {_minutes(run)} on {hardware}",
        f"{run.config.seed}, {s.get('commit', '')[:7]}",
    ]


def _length(run: Run) -> str:
    return f"{run.summary['iterations']:,} × {run.config.batch_size}"


def _minutes(run: Run) -> str:
    return f"{run.summary['seconds'] / 60:.0f} min"


def options(data: str, experiment: str) -> Table:
    """What runs of one experiment measured that differ in settings the thesis does not have: those
    of data/published/options.csv, most of which are not shipped.

    Runs that saw as many poses stand together, the shortest and those with the fewest such
    settings first. Of conditional runs, text alignment is told, too, as far as the data allow.
    """
    with (paths.PUBLISHED / "options.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file)]
    rows = [row for row in rows if (row["data"], row["experiment"]) == (data, experiment)]
    found = [read_estimates({k: float(v) for k, v in row.items() if _number(v)}) for row in rows]
    conditional = any("r_precision_1" in each for each in found)
    columns = filled(ANSWERS if conditional else OPTIONS, found)
    head = ["minibatches, time", "training poses", "settings", "poses"]
    shown = [
        [
            f"{int(row['iterations']):,} × {row['batch_size']}, {row['minutes']} min",
            f"{int(row['train_poses']):,}",
            row["settings"],
            f"{int(row['poses']):,}",
            *(show(each) for _, show in columns),
        ]
        for row, each in zip(rows, found, strict=True)
    ]
    return Table([*head, *(title for title, _ in columns)], shown)


def _number(text: str) -> bool:
    try:
        return bool(text) and math.isfinite(float(text))
    except ValueError:
        return False


def reproduced(dataset: Dataset) -> str:
    """A sentence on whether the published figures came out again on this machine."""
    gaps = []
    for run in shipped(dataset.source):
        if run.evaluation.exists() and _trained_on(run) == data_id(run.config, dataset):
            here, there = json.loads(run.evaluation.read_text()), measured(run)
            gaps += [abs(here[name] - there[name]) for name in ("accuracy", "retrieval_ratio")]
    if not gaps:
        return "None of the published runs were measured again here."
    same = "the same figures" if max(gaps) <= TOLERANCE else "other figures"
    return (
        f"{len(gaps) // 2} of the published runs were measured again here, from their weights: "
        f"{same}; accuracies and ratios differ by {max(gaps):.4f} at the most."
    )


def _trained_on(run: Run) -> str:
    return json.loads((run.folder / "config.json").read_text())["data"]


def samples(run: Run, number: int = 24) -> torch.Tensor:
    """Heatmaps (number, 17, 64, 64) of an unconditional published run."""
    G = run.generator()
    return synthesise(G, run.noise(number, 1, G))


def from_sentences(run: Run, rows: int = 4) -> Figure:
    """Poses of a conditional published run for sentences made up for this project, one a column."""
    h = load_file(run.folder / "captions.safetensors")["h"]
    poses = caption_grid(run.generator(), h, rows=rows, seed=1)
    return figures.pose_grid(poses.flatten(0, 1), columns=len(h), titles=SENTENCES)


def pictures() -> None:
    """Draws the README's pictures, where the runs that they are of are published: COCO's samples
    without captions, and poses for sentences, which COCO's captions at hand are too few for."""
    for run in shipped():
        if (source(run), run.experiment) == ("coco", "wgan_gp"):
            poses = figures.pose_grid(samples(run), columns=8)
            poses.savefig(paths.PUBLISHED / "samples.png")
        if (source(run), run.experiment) == ("sample", "conditional_reduced"):
            from_sentences(run).savefig(paths.PUBLISHED / "sentences.png")


def readme(text: str) -> str:
    """The README with the table of the published runs as they are now."""
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return before + MARKS[0] + beside_the_thesis()._repr_markdown_() + "\n" + MARKS[1] + after
