"""The tables of all models: what is read, what is measured, what is left empty."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from lib.config import LABELS
from lib.evaluation import comparison
from lib.evaluation import measures as metrics
from lib.evaluation.comparison import (
    ALIGNMENT,
    FIDELITY,
    NEIGHBOURHOODS,
    VARIETY,
    Comparison,
    seeds,
)
from lib.evaluation.measures import Evaluation
from lib.evaluation.statistics import Estimate, interval
from lib.figures.tables import Table
from lib.notebooks import NOTEBOOKS

DATA = tiny.dataset()
NAMES = ("accuracy", "retrieval_ratio", "typicality_ratio", "precision", "recall", "density")
NAMES += ("coverage", "copied")
PAIRED = ("accuracy", "diversity", "visible", "implausible", "retrieval", "typicality")


def measures(value: float = 0.5, n: int = 60, **more: Estimate) -> Evaluation:
    """An evaluation whose every estimate is ``value``, with and without intervals."""
    found = {name: Estimate(value, value - 0.1, value + 0.1) for name in NAMES}
    found |= {f"{name}_fake": Estimate(value, value - 0.1, value + 0.1) for name in PAIRED}
    found |= {f"{name}_real": Estimate(2 * value) for name in PAIRED}
    found |= {"frechet": Estimate(value)} | more
    return Evaluation(found, *[np.zeros(3)] * 4, torch.zeros(n + 1, 1), torch.zeros(n, 1))


def fit(value: float, **activity: Estimate) -> dict[str, Estimate]:
    """What an examiner measures."""
    names = ("r_precision_1", "r_precision_2", "r_precision_3", "distance_own", "distance_shuffled")
    return dict.fromkeys(names, Estimate(value, value - 0.1, value + 0.1)) | activity


class Models:
    """A study whose models are trained as told: name to evaluation, written or not."""

    dataset, tables = DATA, {"evaluation": {"poses": 60}}

    def __init__(
        self, folder, trained: dict[str, Evaluation], written: tuple[str, ...] | None = None
    ):
        self.folder, self.trained, self.evaluated = folder, trained, []
        for name in trained:
            (folder / name).mkdir()
            if written is None or name in written:
                text = json.dumps(trained[name].summary())
                (folder / name / "evaluation.json").write_text(text)

    def run(self, name):
        path = self.folder / name / "evaluation.json"
        return SimpleNamespace(name=name, finished=name in self.trained, evaluation=path)

    def evaluate(self, run):
        self.evaluated.append(run.name)
        return self.trained[run.name]


@pytest.fixture
def ends(monkeypatch):
    """What the measures say of real and mean poses; the calls that asked for it."""
    calls = []

    def references(dataset, poses):
        calls.append((dataset, poses))
        return {"other training poses": measures(0.9, 30), "mean pose": measures(0.1, 30)}

    class Examiner:
        def __init__(self, dataset):
            calls.append(dataset)

        def baselines(self):
            return {"real poses": 0.9, "mean pose": 0.1}

        def measure(self, poses):
            return fit(poses)

    monkeypatch.setattr(metrics, "references", references)
    monkeypatch.setattr(comparison, "Examiner", Examiner)
    return calls


def cells(table: Table) -> dict[str, list[str]]:
    """The other cells of each row by its first."""
    return {row[0]: row[1:] for row in table.rows}


# --- tables -----------------------------------------------------------------------------------


def test_every_label_is_that_of_an_experiment_and_the_thesis_s_order_is_kept():
    assert set(LABELS) == set(NOTEBOOKS) - {"conditional_gan"}  # which the thesis does not have
    assert len(set(LABELS.values())) == len(LABELS)
    assert list(LABELS)[:4] == ["gan", "wgan", "wgan_gp", "reduced"]
    assert all(name.startswith("conditional") for name in list(LABELS)[4:])
    assert comparison.CONDITIONAL == list(LABELS)[4:]


def test_every_cell_by_hand():
    found = measures().estimates | {
        "accuracy": Estimate(0.6251, 0.6, 0.65),
        "accuracy_fake": Estimate(0.37, 0.3, 0.4),
        "accuracy_real": Estimate(0.8802, 0.8, 0.9),
        "typicality_ratio": Estimate(0.9416, 0.9, 1.0),
        "retrieval_ratio": Estimate(1.0416, 1, 1.1),
        "density": Estimate(0.987, 0.9, 1.1),
        "diversity_fake": Estimate(123.4),
        "diversity_real": Estimate(150.6),
        "visible_fake": Estimate(12.34, 12, 13),
        "visible_real": Estimate(14.06, 14, 15),
        "implausible_fake": Estimate(0.031, 0.02, 0.04),
        "implausible_real": Estimate(0.044),
        "frechet": Estimate(1.234),
        "copied": Estimate(0.0123, 0.01, 0.02),
        "precision": Estimate(0.7, 0.6, 0.8),
        "recall": Estimate(0.3, 0.2, 0.4),
        "coverage": Estimate(0.4, 0.3, 0.5),
        "r_precision_1": Estimate(0.1, 0.05, 0.15),
        "r_precision_2": Estimate(0.2),
        "r_precision_3": Estimate(0.3),
        "distance_own": Estimate(99.6, 90, 110),
        "distance_shuffled": Estimate(160.4),
        "activity_accuracy": Estimate(0.5),
    }
    assert [show(found) for _, show in FIDELITY] == [
        "62.5% [60.0%, 65.0%]",
        "37% (88%)",
        "0.942 [0.900, 1.000]",
        "1.042 [1.000, 1.100]",
    ]
    assert [show(found) for _, show in NEIGHBOURHOODS] == [
        "70.0% [60.0%, 80.0%]",
        "30.0% [20.0%, 40.0%]",
        "0.99 [0.90, 1.10]",
        "40.0% [30.0%, 50.0%]",
    ]
    assert [show(found) for _, show in VARIETY] == [
        "1.23",
        "123 (151)",
        "12.3 (14.1)",
        "3.1% (4.4%)",
        "1.2% [1.0%, 2.0%]",
    ]
    assert [show(found) for _, show in ALIGNMENT] == [
        "10.0% [5.0%, 15.0%]",
        "20.0%",
        "30.0%",
        "100 [90, 110]",
        "160",
        "50.0%",
    ]


def test_what_was_not_measured_is_an_empty_cell():
    for _, show in (*FIDELITY, *NEIGHBOURHOODS, *VARIETY, *ALIGNMENT):
        assert show({}) == ""


# --- all models -------------------------------------------------------------------------------


def test_what_was_evaluated_is_read(tmp_path):
    models = Models(tmp_path, {"gan": measures(0.7), "conditional_full": measures(0.6, n=50)})
    found = Comparison(models)
    assert models.evaluated == []
    assert list(found.models) == ["gan", "conditional_full"]  # others are not trained
    sizes = {name: each["n_fake"].value for name, each in found.models.items()}
    assert sizes == {"gan": 60, "conditional_full": 50}
    assert found.models["gan"]["accuracy"].value == 0.7


def test_what_was_not_evaluated_is_evaluated_and_need_not_be_written(tmp_path):
    trained = {name: measures(0.5 + n / 100) for n, name in enumerate(LABELS)}
    models = Models(tmp_path, trained, written=("gan", "reduced"))
    found = Comparison(models)
    assert models.evaluated == [name for name in LABELS if name not in ("gan", "reduced")]
    assert list(found.models) == list(LABELS)
    for name, own in trained.items():
        assert found.models[name]["accuracy"] == own.estimates["accuracy"]


def test_rows_are_models_in_the_thesis_s_order_and_then_the_ends_of_the_scale(tmp_path, ends):
    trained = {"conditional_full": measures(0.6, n=1234), "gan": measures(0.7)}
    table = Comparison(Models(tmp_path, trained)).unconditional(FIDELITY)
    assert table.head == ["", "poses", *(title for title, _ in FIDELITY)]
    assert [row[:3] for row in table.rows] == [
        ["GAN", "60", "70.0% [60.0%, 80.0%]"],
        ["conditional, full, warm start", "1,234", "60.0% [50.0%, 70.0%]"],
        ["*other training poses*", "30", "90.0% [80.0%, 100.0%]"],
        ["*mean pose*", "30", "10.0% [0.0%, 20.0%]"],
    ]
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_the_ends_of_the_scale_are_measured_once_at_the_size_of_the_profile(tmp_path, ends):
    found = Comparison(Models(tmp_path, {"gan": measures()}))
    assert ends == []  # only for a table
    first, second = found.unconditional(FIDELITY), found.unconditional(VARIETY)
    assert ends == [(DATA, 60)]
    assert first.head[1] == second.head[1] == "poses"
    assert cells(second)["*mean pose*"][1] == "0.10"


def test_alignment_shows_conditional_models_and_answers_without_one(tmp_path, ends):
    fits = fit(0.4)
    trained = {"gan": measures(), "conditional_random": measures(**fits)}
    table = Comparison(Models(tmp_path, trained)).alignment()
    assert [row[0] for row in table.rows] == [
        "conditional, reduced, random start",
        "*real poses*",
        "*mean pose*",
    ]
    assert table.head == ["", *(title for title, _ in ALIGNMENT[:-1])]  # no activities
    assert cells(table)["conditional, reduced, random start"][0] == "40.0% [30.0%, 50.0%]"
    assert cells(table)["*mean pose*"][0] == "10.0% [0.0%, 20.0%]"
    assert ends == [DATA]


def test_alignment_shows_activities_where_any_row_has_them(tmp_path, ends):
    fits = fit(0.4, activity_accuracy=Estimate(0.25))
    table = Comparison(Models(tmp_path, {"conditional_full": measures(**fits)})).alignment()
    assert table.head == ["", *(title for title, _ in ALIGNMENT)]
    assert [row[-1] for row in table.rows] == ["25.0%", "", ""]


def test_without_any_model_the_tables_show_the_ends_of_the_scale(tmp_path, ends):
    found = Comparison(Models(tmp_path, {}))
    assert found.models == {}
    fidelity = found.unconditional(FIDELITY)
    assert [row[0] for row in fidelity.rows] == ["*other training poses*", "*mean pose*"]
    assert [row[0] for row in found.alignment().rows] == ["*real poses*", "*mean pose*"]


# --- estimates --------------------------------------------------------------------------------


def test_estimates_are_read_as_they_were_written():
    written = measures(
        0.3, 7, frechet=Estimate(math.pi), **fit(1 / 3, activity_accuracy=Estimate(0.25))
    )
    read = comparison.read_estimates(json.loads(json.dumps(written.summary())))
    sizes = {"n_real": 8, "n_fake": 7, "n_val": 3}
    assert read.keys() == written.estimates.keys() | sizes.keys()
    for name, estimate in written.estimates.items():
        assert read[name].value == estimate.value
        for end in ("low", "high"):
            a, b = getattr(read[name], end), getattr(estimate, end)
            assert a == b or (math.isnan(a) and math.isnan(b))
    assert {name: read[name].value for name in sizes} == sizes


# --- seeds ------------------------------------------------------------------------------------


def swept(**columns: list) -> pd.DataFrame:
    """The table of a sweep, as it is read."""
    return pd.DataFrame(columns).assign(failed=lambda rows: rows["failed"].fillna(""))


MEASURES = {"accuracy": ".1%", "retrieval_ratio": ".3f"}


def test_means_over_seeds_have_the_interval_of_the_sweep():
    accuracy, ratio = [0.6, 0.7, 0.65], [1.02, 1.04, 1.1]
    empty = [None] * 3
    warm = swept(seed=[0, 1, 2], accuracy=accuracy, retrieval_ratio=ratio, failed=empty)
    table = seeds({"reduced, warm": warm}, MEASURES)
    assert table.head == ["", "seeds", "accuracy", "retrieval_ratio"]
    mean, low, high, _ = interval(pd.Series(accuracy))
    expected = f"{mean:.1%} [{low:.1%}, {high:.1%}]"
    mean, low, high, _ = interval(pd.Series(ratio))
    assert table.rows == [
        ["reduced, warm", "3", expected, f"{mean:.3f} [{low:.3f}, {high:.3f}]"],
    ]


def test_a_sweep_that_was_not_made_says_so_in_its_place():
    one = {"accuracy": [0.5], "retrieval_ratio": [1.0], "failed": [None]}
    warm = swept(seed=[0], **one)
    table = seeds({"full": None, "warm": warm, "random": None}, MEASURES)
    assert table.rows == [
        ["full", "not made yet", "", ""],
        ["warm", "1", "50.0%", "1.000"],  # a single run has no interval
        ["random", "not made yet", "", ""],
    ]


def test_failed_runs_do_not_count():
    failed = ["", "out of memory", "", ""]
    values = [0.6, None, 0.7, 0.8]
    warm = swept(seed=range(4), accuracy=values, retrieval_ratio=values, failed=failed)
    (row,) = seeds({"warm": warm}, {"accuracy": ".3f"}).rows
    mean, low, high, _ = interval(pd.Series([0.6, 0.7, 0.8]))
    assert row == ["warm", "3", f"{mean:.3f} [{low:.3f}, {high:.3f}]"]


def test_a_measure_that_a_sweep_lacks_is_an_empty_cell():
    older = swept(seed=[0, 1], accuracy=[0.5, 0.5], failed=["", ""])
    (row,) = seeds({"older": older}, MEASURES).rows
    assert row == ["older", "2", "50.0% [50.0%, 50.0%]", ""]
    failed = swept(seed=[0, 1], accuracy=[None, None], failed=["no", "no"])
    (row,) = seeds({"failed": failed}, MEASURES).rows
    assert row == ["failed", "0", "", ""]
