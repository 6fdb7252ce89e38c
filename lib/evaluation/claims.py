"""What the thesis found in chapter 4, figure by figure, next to what the runs of a study show."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lib.config import LABELS
from lib.data.captions import distance_test
from lib.evaluation import findings, measures
from lib.evaluation.alignment import along_and_down
from lib.evaluation.comparison import Comparison, how_trained
from lib.evaluation.findings import Finding
from lib.evaluation.measures import Measures
from lib.figures.tables import Table
from lib.study import Study
from lib.training.runs import Run

VERDICTS = {True: "as in the thesis", False: "not as in the thesis", None: "cannot be told"}


class Evidence:
    """The runs of a study and their measures, each loaded or taken once."""

    def __init__(self, study: Study):
        self.study, self.run = study, study.finished

    @cached_property
    def models(self) -> dict[str, Measures]:
        """The measures of every run, by experiment."""
        return Comparison(self.study).models

    def overfitting(self, name: str) -> Finding:
        return findings.overfitting(self.run(name).metrics)

    def differing(self, a: str, b: str, *allowed: str) -> list[str]:
        """The settings in which two runs differ, but for those that a claim is about."""
        return self.run(a).config.differing(self.run(b).config, *allowed)

    def early(self) -> Finding:
        """WGAN-GP and WGAN at the last epoch of which both kept G."""
        gp, clamped = map(self.run, ("wgan_gp", "wgan"))
        epoch = gp.common_snapshot(clamped)
        both = (self.study.evaluate(run, epoch).estimates["accuracy"] for run in (gp, clamped))
        found = findings.early(*both, epoch, self.models["wgan_gp"]["accuracy"].value)
        differing = self.differing("wgan_gp", "wgan", *findings.OF_ALGORITHM)
        return findings.at_equal_conditions(found, differing)

    def capacity(self) -> Finding:
        names = ("conditional_full", "conditional_reduced")
        decays = any(self.run(name).config.rate_decay for name in names)
        allowed = ("features", "parent") if decays else ("features", "parent", "epochs")
        found = findings.capacity(*(self.run(name).metrics for name in names))
        return findings.at_equal_conditions(found, self.differing(*names, *allowed))

    def captions(self) -> Finding:
        val, repeats = self.study.dataset.val, self.study.tables["evaluation"]["repeats"]
        distances = distance_test(val.vectors.numpy(), val.caption_images, repeats, 0)
        return findings.captions_apart(distances, repeats)

    def width(self) -> Finding:
        if self.run("reduced") == self.run("wgan_gp"):
            return Finding("Both are one run here: the unconditional networks have half the width.")
        found = findings.cost_of_width(self.models["wgan_gp"], self.models["reduced"])
        differing = self.differing("wgan_gp", "reduced", "features")
        return findings.at_equal_conditions(found, differing)

    def starts(self) -> Finding:
        names = ("conditional_reduced", "conditional_random")
        accuracies = (self.models[name]["accuracy"] for name in names)
        iterations = self.run("conditional_random").summary["iterations"]
        found = findings.warm_against_random(*accuracies, iterations)
        return findings.at_equal_conditions(found, self.differing(*names, "parent"))

    def paths(self) -> Finding:
        shares = measures.longest_steps(self.run("conditional_reduced"), self.study.dataset)
        return findings.smooth_paths(*map(float, map(np.median, shares)), tuple(map(len, shares)))


@dataclass(frozen=True)
class Claim:
    """A claim of the thesis: where it stands, what it says, the runs it rests on here, and what
    judges it."""

    place: str
    says: str
    runs: tuple[str, ...]
    judge: Callable[[Evidence], Finding]


def _denied(finding: Finding) -> Finding:
    """For a claim that something does not occur."""
    return replace(finding, holds=None if finding.holds is None else not finding.holds)


CLAIMS = (
    Claim(
        "4.1, Figure 3",
        "GAN: the loss of D is very close to zero, that of G is not",
        ("gan",),
        lambda e: findings.discriminator_ahead(e.run("gan").final_losses()),
    ),
    Claim(
        "4.1, Figure 4",
        "GAN: mode collapse; many samples are very similar",
        ("gan",),
        lambda e: findings.mode_collapse(e.models["gan"]),
    ),
    Claim(
        "4.1, Figure 5",
        "WGAN: the loss of D does not change much",
        ("wgan",),
        lambda e: findings.loss_trend(e.run("wgan").metrics),
    ),
    Claim(
        "4.1, Figure 6",
        "WGAN: mode collapse is relieved; no repeated patterns in 24 samples",
        ("wgan",),
        lambda e: _denied(findings.mode_collapse(e.models["wgan"])),
    ),
    Claim(
        "4.1, Figure 6",
        "WGAN: more samples fail than with the GAN",
        ("gan", "wgan"),
        lambda e: findings.failures(e.models["gan"], e.models["wgan"]),
    ),
    Claim(
        "4.1, Figure 7",
        "WGAN-GP: after 50 epochs the samples are much better than those of the WGAN",
        ("wgan_gp", "wgan"),
        Evidence.early,
    ),
    Claim(
        "4.1, Figure 8; 4.3",
        "WGAN-GP: no overfitting, as there are enough poses",
        ("wgan_gp",),
        lambda e: _denied(e.overfitting("wgan_gp")),
    ),
    Claim(
        "4.1, Figure 9",
        "WGAN-GP: all samples are realistic, and diverse",
        ("wgan_gp",),
        lambda e: findings.realistic(e.models["wgan_gp"]),
    ),
    Claim(
        "4.2, Figure 10",
        "captions of one image are closer to each other than those of two",
        (),
        Evidence.captions,
    ),
    Claim(
        "4.3, Figure 11",
        "full capacity: training and validation losses diverge; overfitting",
        ("conditional_full",),
        lambda e: e.overfitting("conditional_full"),
    ),
    Claim(
        "4.3, Figures 12 and 13",
        "the reduced unconditional model seems worse than the full one",
        ("wgan_gp", "reduced"),
        Evidence.width,
    ),
    Claim(
        "4.3, Figure 14",
        "reduced capacity: overfitting is much less serious",
        ("conditional_full", "conditional_reduced"),
        Evidence.capacity,
    ),
    Claim(
        "4.3, Figures 15 and 16",
        "poses differ along a row, where the noise is shared: captions guide them",
        ("conditional_reduced",),
        lambda e: findings.caption_matters(
            *along_and_down(e.run("conditional_reduced"), e.study.dataset)
        ),
    ),
    Claim(
        "4.3, Figures 17 and 18",
        "random start: the samples are no worse than from the warm start",
        ("conditional_reduced", "conditional_random"),
        Evidence.starts,
    ),
    Claim(
        "4.4.1, Figures 19 and 20",
        "poses change smoothly along paths between noises and between captions",
        ("conditional_reduced",),
        Evidence.paths,
    ),
    Claim(
        "4.4.2",
        "1-NN accuracy 66.7%, not far from one half",
        ("conditional_reduced",),
        lambda e: findings.beside_the_thesis(
            e.models["conditional_reduced"], e.study.dataset.source
        ),
    ),
    Claim(
        "4.4.2, Figure 21",
        "distances 105.0 / 100.9 = 1.041: both sets are similarly near to validation poses",
        ("conditional_reduced",),
        lambda e: findings.close_to_real(e.models["conditional_reduced"]),
    ),
)


def table(study: Study) -> Table:
    """A row for each claim: the thesis, what was found here, the verdict, the runs that it rests on
    and the number N of synthesised poses of which each was measured."""
    evidence, rows = Evidence(study), []
    for claim in CLAIMS:
        finding = claim.judge(evidence)
        runs = [_told(evidence.run(name), evidence.models[name]) for name in claim.runs]
        cells = [claim.place, claim.says, finding.sentence, VERDICTS[finding.holds]]
        rows.append([*cells, "; ".join(dict.fromkeys(runs))])
    return Table(["thesis", "what it found", "what was found here", "verdict", "run, poses"], rows)


def runs(study: Study) -> Table:
    """The runs that the claims rest on, and how they were trained."""
    names = dict.fromkeys(name for claim in CLAIMS for name in claim.runs)
    found = [study.finished(name) for name in names]
    return how_trained({LABELS[run.experiment]: run for run in found})


def counts(shown: Table) -> dict[str, int]:
    """How many rows of the table have each verdict."""
    verdicts = [row[3] for row in shown.rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS.values()}


def _told(run: Run, found: Measures) -> str:
    return f"{LABELS[run.experiment]}, N = {found['n_fake'].value:,}"
