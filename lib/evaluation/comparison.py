"""Every trained model next to what is bound to do well and badly, in tables (chapter 4.4)."""

import json
import math
from collections.abc import Callable, Collection
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from lib.config import LABELS
from lib.evaluation import measures
from lib.evaluation.alignment import Alignment
from lib.evaluation.measures import Evaluation
from lib.evaluation.statistics import Estimate, mean_of_runs
from lib.figures.tables import Table

if TYPE_CHECKING:
    from lib.study import Study

CONDITIONAL = [name for name in LABELS if name.startswith("conditional")]
Column = tuple[str, Callable[[dict[str, Estimate]], str]]


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
# Of runs that differ in settings, without captions and with them.
OPTIONS = [*FIDELITY[:3], FIDELITY[-1], VARIETY[2]]
ANSWERS = [FIDELITY[0], FIDELITY[2], ALIGNMENT[0], ALIGNMENT[3], ALIGNMENT[-1]]


class Comparison:
    """The measures of all models of a profile, on the data of a notebook.

    A model that has not been trained yet is left out.
    """

    def __init__(self, study: "Study"):
        self.study = study
        self.models: dict[str, dict[str, Estimate]] = {}
        self.sizes: dict[str, int] = {}
        for name in LABELS:
            run = study.run(name)
            if not run.finished:
                continue
            path = run.evaluation
            known = path.exists()
            summary = json.loads(path.read_text()) if known else study.evaluate(run).summary()
            self.models[name] = read_estimates(summary)
            self.sizes[name] = summary["n_fake"]

    @cached_property
    def ends(self) -> dict[str, Evaluation]:
        """Real poses and the mean pose, which any model should lie between."""
        poses = self.study.tables["evaluation"]["poses"]
        return measures.references(self.study.dataset, poses)

    @cached_property
    def baselines(self) -> dict[str, Alignment]:
        """How well answers that need no model fit the captions."""
        return measures.alignments(self.study.dataset)

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


def seeds(sweeps: dict[str, pd.DataFrame | None], measures: dict[str, str]) -> Table:
    """Means over several seeds with their 95 % intervals.

    Args:
        sweeps: what a row is called to the table of a sweep; None where it has not been made.
        measures: column of the sweep's table to its format.
    """
    rows = []
    for label, found in sweeps.items():
        if found is None:
            rows.append([label, "not made yet", *("" for _ in measures)])
            continue
        row = [label, str(int((found["failed"] == "").sum()))]
        for measure, spec in measures.items():
            values = found.get(measure, pd.Series(dtype=float))  # older sweeps lack some
            row.append(format(mean_of_runs(values), spec) if values.count() else "")
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
