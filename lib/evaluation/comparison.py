"""Every trained model beside what is bound to do well and badly, in tables (chapter 4.4)."""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lib import paths
from lib.book import sweep
from lib.config import LABELS, profile
from lib.errors import InputError
from lib.evaluation import measures
from lib.evaluation.alignment import Alignment
from lib.evaluation.measures import Evaluation
from lib.evaluation.statistics import Estimate
from lib.study import Experiment

CONDITIONAL = [name for name in LABELS if name.startswith("conditional")]
THESIS = {"accuracy": 0.667, "retrieval_ratio": 1.041, "n_fake": 17_326}  # 4.4.2

Column = tuple[str, Callable[[dict[str, Estimate]], str]]


@dataclass(frozen=True)
class Table:
    """Rows of text, which a notebook shows."""

    head: list[str]
    rows: list[list[str]]

    def _repr_markdown_(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(name: str, spec: str) -> Callable[[dict[str, Estimate]], str]:
    return lambda found: format(found[name], spec) if name in found else ""


def _beside(name: str, spec: str) -> Callable[[dict[str, Estimate]], str]:
    """The value of the synthesised poses, that of the real ones in brackets."""

    def show(found: dict[str, Estimate]) -> str:
        if f"{name}_fake" not in found:
            return ""
        fake, real = (found[f"{name}_{kind}"].value for kind in ("fake", "real"))
        return f"{fake:{spec}} ({real:{spec}})"

    return show


FIDELITY: list[Column] = [
    ("1-NN accuracy", _shown("accuracy", ".1%")),
    ("synthesised (real)", _beside("accuracy", ".0%")),
    ("retrieval ratio", _shown("retrieval_ratio", ".3f")),
    ("precision", _shown("precision", ".1%")),
    ("recall", _shown("recall", ".1%")),
    ("density", _shown("density", ".2f")),
    ("coverage", _shown("coverage", ".1%")),
]
VARIETY: list[Column] = [
    ("Fréchet distance", _shown("frechet", ".2f")),
    ("distance of two poses (of real ones)", _beside("diversity", ".0f")),
    ("visible keypoints (of real poses)", _beside("visible", ".1f")),
    ("limb of unusual length", _shown("implausible_fake", ".1%")),
    ("as near as a copy", _shown("copied", ".1%")),
]
ALIGNMENT: list[Column] = [
    *((f"R-precision, first {k}", _shown(f"r_precision_{k}", ".1%")) for k in (1, 2, 3)),
    ("distance to the caption's own pose", _shown("distance_own", ".0f")),
    ("to another caption's", _shown("distance_shuffled", ".0f")),
    ("activity", _shown("activity_accuracy", ".1%")),
]
# Of trainings that differ in settings, without captions and with them.
OPTIONS = [*FIDELITY[:3], FIDELITY[-1], VARIETY[2]]
ANSWERS = [FIDELITY[0], FIDELITY[2], ALIGNMENT[0], ALIGNMENT[3], ALIGNMENT[-1]]


class Comparison:
    """The measures of all models of a profile, on the data of a notebook.

    A model that has not been trained yet is left out.
    """

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.models: dict[str, dict[str, Estimate]] = {}
        self.sizes: dict[str, int] = {}
        for name in LABELS:
            try:
                run = experiment.other(name)
            except InputError:
                continue
            path = run.evaluation
            known = path.exists()
            summary = json.loads(path.read_text()) if known else experiment.evaluate(name).summary()
            self.models[name] = read_estimates(summary)
            self.sizes[name] = summary["n_fake"]

    @cached_property
    def ends(self) -> dict[str, Evaluation]:
        """Real poses and the mean pose, which any model should lie between."""
        poses = profile(self.experiment.profile)["evaluation"]["poses"]
        return measures.references(self.experiment.dataset, poses)

    @cached_property
    def baselines(self) -> dict[str, Alignment]:
        """How well answers that need no model fit the captions."""
        return measures.alignments(self.experiment.dataset)

    def unconditional(self, columns: list[Column]) -> Table:
        """Every model, and below them real poses and the mean pose."""
        rows = {LABELS[name]: found for name, found in self.models.items()}
        sizes = [f"{size:,}" for size in self.sizes.values()]
        rows |= {f"*{name}*": found.estimates for name, found in self.ends.items()}
        sizes += [f"{len(found.fake):,}" for found in self.ends.values()]
        table = _table(rows, columns)
        table.head.insert(1, "poses")
        for row, size in zip(table.rows, sizes, strict=True):
            row.insert(1, size)
        return table

    def alignment(self) -> Table:
        """The conditional models, and answers to a caption that need no model."""
        rows = {LABELS[n]: self.models[n] for n in CONDITIONAL if n in self.models}
        rows |= {f"*{name}*": found.summary() for name, found in self.baselines.items()}
        return _table(rows, filled(ALIGNMENT, rows.values()))

    def beside_the_thesis(self) -> str:
        """One sentence on the thesis's 66.7 % and 1.041, its reduced warm model's."""
        if "conditional_reduced" not in self.models:
            return "The model that the thesis measures has not been trained here."
        found, size = self.models["conditional_reduced"], self.sizes["conditional_reduced"]
        ours = f"{found['accuracy']:.1%} and {found['retrieval_ratio']:.3f}, on {size:,} poses"
        if size != THESIS["n_fake"] or self.experiment.dataset.source != "coco":
            return (
                f"Here they are {ours}: not comparable, as the thesis measured on "
                f"{THESIS['n_fake']:,} poses of COCO."
            )
        excess = [
            abs(found["accuracy"].value - 0.5) - abs(THESIS["accuracy"] - 0.5),
            found["retrieval_ratio"].value - THESIS["retrieval_ratio"],
        ]
        finding = "no worse" if max(excess) <= 0 else "worse"
        return f"Here they are {ours} of the same kind, which is {finding}."


def seeds(names: dict[str, str], measures: dict[str, str]) -> Table:
    """Means over several seeds with their 95 % intervals, from sweeps that have been made.

    Args:
        names: sweep to what its row is called.
        measures: column of the sweep's table to its format.
    """
    rows = []
    for name, label in names.items():
        if not (paths.SWEEPS / name / "table.csv").is_file():
            rows.append([label, "not made yet", *("" for _ in measures)])
            continue
        found = sweep.table(name)
        row = [label, str(int((found["failed"] == "").sum()))]
        for measure, spec in measures.items():
            values = found.get(measure, pd.Series(dtype=float))  # older sweeps lack some
            mean, low, high, number = sweep.interval(values)
            row.append(format(Estimate(mean, low, high), spec) if number else "")
        rows.append(row)
    return Table(["", "seeds", *measures], rows)


def read_estimates(summary: dict[str, float]) -> dict[str, Estimate]:
    """Estimates as :meth:`lib.evaluation.measures.Evaluation.summary` wrote them."""
    found = {}
    for name, value in summary.items():
        if isinstance(value, int | float) and not name.endswith(("_low", "_high")):
            ends = (summary.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
            found[name] = Estimate(value, *ends)
    return found


def filled(columns: list[Column], rows: Collection[dict[str, Estimate]]) -> list[Column]:
    """The columns in which any row has something: some data name no activities."""
    return [(title, show) for title, show in columns if any(map(show, rows))]


def _table(rows: dict[str, dict[str, Estimate]], columns: list[Column]) -> Table:
    """A row for each name."""
    head = ["", *(title for title, _ in columns)]
    shown = [[name, *(show(found) for _, show in columns)] for name, found in rows.items()]
    return Table(head, shown)
