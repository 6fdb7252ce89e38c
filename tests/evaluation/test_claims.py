"""The table of the thesis's claims: that none is missing, and what a row says."""

import re
from types import SimpleNamespace

import pytest

from lib.config import Config
from lib.evaluation import claims
from lib.evaluation.claims import CLAIMS, Claim, Evidence
from lib.evaluation.findings import Finding
from lib.evaluation.statistics import Estimate


def run(experiment: str, iterations: int = 10, **changes) -> SimpleNamespace:
    summary = {"iterations": iterations, "hardware": "1 core of Intel(R) Xeon(R) Processor"}
    summary |= {"seconds": 180.0, "poses_seen": 200, "train_poses": 100}
    return SimpleNamespace(
        experiment=experiment,
        config=Config("wgan_gp", batch_size=128, seed=3).replace(**changes),
        summary=summary | {"commit": "0123456789"},
        metrics=[],
        common_snapshot=lambda other: 1.0,
    )


def study(*same: str, **changes: dict) -> SimpleNamespace:
    """Experiments named ``same`` share their run; ``changes``: settings of others."""
    return SimpleNamespace(
        finished=lambda name: run(same[0] if name in same else name, **changes.get(name, {}))
    )


class Models(dict):
    """Measures of every experiment."""

    def __missing__(self, name):
        return {"n_fake": Estimate(1234), "accuracy": Estimate(0.6, 0.5, 0.7)}


@pytest.fixture
def models(monkeypatch):
    monkeypatch.setattr(Evidence, "models", Models())


def test_every_figure_of_chapter_4_has_its_claim_in_order():
    numbers = []
    for claim in CLAIMS:
        found = [
            int(n) for n in re.findall(r"\d+", claim.place.partition("Figure")[2].split(";")[0])
        ]
        numbers += range(found[0], found[-1] + 1) if found else []
    assert sorted(set(numbers)) == list(range(3, 22)) and numbers == sorted(numbers)
    places = [claim.place.split(",")[0].split(";")[0] for claim in CLAIMS]
    assert places == sorted(places) and set(places) == {"4.1", "4.2", "4.3", "4.4.1", "4.4.2"}


def test_the_thesis_s_numbers_are_those_that_are_compared_with():
    text = " ".join(claim.says for claim in CLAIMS)
    assert "66.7%" in text and "105.0 / 100.9 = 1.041" in text


def test_a_row_has_claim_finding_verdict_and_what_it_rests_on(models, monkeypatch):
    both = ("gan", "wgan")
    monkeypatch.setattr(
        claims,
        "CLAIMS",
        [
            Claim("4.1", "so it is", ("gan",), lambda e: Finding("It is.", {}, True)),
            Claim("4.2", "it is not", both, lambda e: Finding("It is.", {}, False)),
            Claim("4.3", "who knows", (), lambda e: Finding("Too few.")),
        ],
    )
    table = claims.table(study())
    assert all(len(row) == len(table.head) for row in table.rows)
    assert [row[:4] for row in table.rows] == [
        ["4.1", "so it is", "It is.", "as in the thesis"],
        ["4.2", "it is not", "It is.", "not as in the thesis"],
        ["4.3", "who knows", "Too few.", "cannot be told"],
    ]
    runs = [row[4] for row in table.rows]
    assert runs == ["GAN, N = 1,234", "GAN, N = 1,234; WGAN, N = 1,234", ""]
    shown = ["10 × 128", "2.0", "3 min on 1 core of Intel Xeon", "3, 0123456"]
    assert claims.runs(study()).rows == [["GAN", *shown], ["WGAN", *shown]]
    counted = claims.counts(table)
    assert counted == dict.fromkeys(claims.VERDICTS.values(), 1)


def test_two_experiments_of_one_run_are_told_once(models, monkeypatch):
    shared = study("wgan_gp", "reduced")
    (claim,) = [claim for claim in CLAIMS if claim.judge is Evidence.width]
    monkeypatch.setattr(claims, "CLAIMS", [claim])
    ((*_, verdict, runs),) = claims.table(shared).rows
    assert verdict == "cannot be told" and runs == "WGAN-GP, N = 1,234"
    ((*_, verdict, runs),) = claims.table(study()).rows
    assert "; WGAN-GP, reduced, N" in runs


def test_what_does_not_occur_is_claimed_the_other_way_round():
    for holds, turned in ((True, False), (False, True), (None, None)):
        assert claims._denied(Finding("It occurs.", {}, holds)).holds is turned
    said = {claim.says: claim for claim in CLAIMS}
    none = next(claim for says, claim in said.items() if "no overfitting" in says)
    some = next(claim for says, claim in said.items() if "diverge" in says)
    evidence = SimpleNamespace(overfitting=lambda name: Finding(name, {}, True))
    assert none.judge(evidence).holds is False and some.judge(evidence).holds is True


def test_starts_are_judged_by_accuracies_of_runs_that_differ_in_the_start_alone(models):
    finding = Evidence(study(conditional_reduced={"parent": "reduced"})).starts()
    assert finding.holds is True and "After 10 iterations" in str(finding)
    finding = Evidence(study(conditional_random={"epochs": 9.0})).starts()
    assert finding.holds is None and "also differ in epochs" in str(finding)


@pytest.mark.parametrize(
    ("judged", "name", "allowed", "other"),
    [
        (Evidence.width, "reduced", {"features": 0.5}, {"learning_rate": 0.1}),
        (Evidence.capacity, "conditional_reduced", {"features": 0.5, "epochs": 9.0}, {"k": 2}),
        (
            Evidence.capacity,
            "conditional_reduced",
            {"parent": "reduced"},
            {"epochs": 9.0, "rate_decay": 0.5},
        ),
        (Evidence.early, "wgan", {"c": 0.1, "momenta": (0.0, 0.9)}, {"features": 0.5}),
    ],
)
def test_runs_are_compared_at_equal_conditions(models, monkeypatch, judged, name, allowed, other):
    names = ("early", "capacity", "cost_of_width")
    for each in names:
        monkeypatch.setattr(claims.findings, each, lambda *_: Finding("So it is.", {}, True))

    def judge(settings):
        made = study(**{name: settings})
        made.evaluate = lambda run, epoch: SimpleNamespace(estimates={"accuracy": None})
        return judged(Evidence(made))

    assert judge(allowed) == Finding("So it is.", {}, True)
    assert judge(other).holds is None and "also differ in" in str(judge(other))
