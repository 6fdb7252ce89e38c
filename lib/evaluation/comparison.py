"""Every trained model next to what is bound to do well and badly, in tables (chapter 4.4)."""

import json
import math
from collections.abc import Callable, Collection
from functools import cached_property

import pandas as pd

from lib.config import LABELS
from lib.evaluation import measures
from lib.evaluation.alignment import Examiner
from lib.evaluation.measures import Measures
from lib.evaluation.statistics import Estimate, mean_of_runs
from lib.figures.tables import Table
from lib.study import Study
from lib.training.runs import Run

CONDITIONAL = [name for name in LABELS if name.startswith("conditional")]
Column = tuple[str, Callable[[Measures], str]]


def _shown(name: str, spec: str, bracketed: str = "") -> Callable[[Measures], str]:
    """Shows a measure with its interval, or without it and with a second one in brackets."""

    def show(found: Measures) -> str:
        if name not in found:
            return ""
        if bracketed:
            return f"{found[name].value:{spec}} ({found[bracketed].value:{spec}})"
        return format(found[name], spec)

    return show


FIDELITY: list[Column] = [
    ("1-NN accuracy", _shown("accuracy", ".1%")),
    ("synthesised (real)", _shown("accuracy_fake", ".0%", "accuracy_real")),
    ("typicality ratio", _shown("typicality_ratio", ".3f")),
    ("retrieval ratio", _shown("retrieval_ratio", ".3f")),
]
NEIGHBOURHOODS: list[Column] = [
    ("precision", _shown("precision", ".1%")),
    ("recall", _shown("recall", ".1%")),
    ("density", _shown("density", ".2f")),
    ("coverage", _shown("coverage", ".1%")),
]
VARIETY: list[Column] = [
    ("Fréchet distance", _shown("frechet", ".2f")),
    ("distance of two poses (of real ones)", _shown("diversity_fake", ".0f", "diversity_real")),
    ("visible keypoints (of real poses)", _shown("visible_fake", ".1f", "visible_real")),
    (
        "limb of unusual length (of real poses)",
        _shown("implausible_fake", ".1%", "implausible_real"),
    ),
    ("as near as a copy", _shown("copied", ".1%")),
]
ALIGNMENT: list[Column] = [
    *((f"R-precision, first {k}", _shown(f"r_precision_{k}", ".1%")) for k in (1, 2, 3)),
    ("distance to the caption's own pose", _shown("distance_own", ".0f")),
    ("to another caption's", _shown("distance_shuffled", ".0f")),
    ("activity", _shown("activity_accuracy", ".1%")),
]
# Of runs that differ in settings, without captions and with them; and of those that are shipped.
OPTIONS = [*FIDELITY[:2], FIDELITY[3], NEIGHBOURHOODS[-1], VARIETY[2]]
ANSWERS = [FIDELITY[0], FIDELITY[3], ALIGNMENT[0], ALIGNMENT[3], ALIGNMENT[-1]]
SHIPPED = [*FIDELITY, NEIGHBOURHOODS[1], VARIETY[3], VARIETY[0], VARIETY[4], ALIGNMENT[0]]


class Comparison:
    """The measures of all trained models of a profile, on the data of a notebook."""

    def __init__(self, study: Study):
        self.study, self.models = study, {}
        for name in LABELS:
            run = study.run(name)
            if run.finished:
                known = run.evaluation.exists() and json.loads(run.evaluation.read_text())
                self.models[name] = read_estimates(known or study.evaluate(run).summary())

    @cached_property
    def references(self) -> dict[str, measures.Evaluation]:
        """Real poses and the mean pose, which any model should lie between."""
        return measures.references(self.study.dataset, self.study.tables["evaluation"]["poses"])

    @property
    def ends(self) -> dict[str, Measures]:
        """The measures of these two."""
        found = self.references.items()
        return {name: read_estimates(result.summary()) for name, result in found}

    @cached_property
    def baselines(self) -> dict[str, Measures]:
        """How well answers that need no model fit the captions."""
        examiner = Examiner(self.study.dataset)
        return {name: examiner.measure(poses) for name, poses in examiner.baselines().items()}

    def unconditional(self, columns: list[Column]) -> Table:
        """Every model, and below them real poses and the mean pose."""
        return _table(self.models, self.ends, [("poses", _shown("n_fake", ",")), *columns])

    def alignment(self) -> Table:
        """The conditional models, and answers to a caption that need no model."""
        models = {name: found for name, found in self.models.items() if name in CONDITIONAL}
        columns = filled(ALIGNMENT, [*models.values(), *self.baselines.values()])
        return _table(models, self.baselines, columns)


def how_trained(runs: dict[str, Run]) -> Table:
    """How runs, by what they are called, were trained: for how long, on what, and by which code."""
    rows = []
    for label, run in runs.items():
        s, machine = run.summary, run.summary["hardware"].replace("(R)", "")
        batches = f"{s['iterations']:,} × {run.config.batch_size}"
        time = f"{s['seconds'] / 60:.0f} min on {machine.removesuffix(' Processor')}"
        made = f"{run.config.seed}, {s.get('commit', '')[:7] or 'not known'}"
        rows.append([label, batches, f"{s['poses_seen'] / s['train_poses']:.1f}", time, made])
    head = ["model", "minibatches", "passes over the data", "time and hardware", "seed, commit"]
    return Table(head, rows)


def seeds(sweeps: dict[str, pd.DataFrame | None], measures: dict[str, str]) -> Table:
    """Means over several seeds with their 95 % intervals. ``sweeps``: what a row is called to the
    table of a sweep, None if it has not been made; ``measures``: a column of it to its format."""
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


def read_estimates(summary: dict[str, float]) -> Measures:
    """Estimates as :meth:`lib.evaluation.measures.Evaluation.summary` wrote them."""
    found = {}
    for name, value in summary.items():
        if isinstance(value, int | float) and not name.endswith(("_low", "_high")):
            ends = (summary.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
            found[name] = Estimate(value, *ends)
    return found


def filled(columns: list[Column], rows: Collection[Measures]) -> list[Column]:
    """The columns in which any row has something: some data name no activities."""
    return [(title, show) for title, show in columns if any(map(show, rows))]


def _table(models: dict[str, Measures], others: dict[str, Measures], columns: list) -> Table:
    """A row for each model and, below, for what needs none."""
    rows = {LABELS[name]: found for name, found in models.items()}
    rows |= {f"*{name}*": found for name, found in others.items()}
    shown = [[name, *(show(found) for _, show in columns)] for name, found in rows.items()]
    return Table(["", *(title for title, _ in columns)], shown)
