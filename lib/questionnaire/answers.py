"""What answers to the questionnaire say (thesis 4.4.3): shares, how sure they are, and how far
subjects agree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.evaluation.statistics import Estimate, wilson
from lib.figures.tables import Table

HOW = (
    "`python -m lib questionnaire make` writes the page, data/questionnaire/questionnaire.html. "
    "Send it to people, put the files that they send back into data/questionnaire/answers/, and "
    "run `python -m lib questionnaire score`, then `make thesis` for the book."
)


def fleiss_kappa(counts: np.ndarray) -> float | None:
    """Agreement of several raters beyond chance (Fleiss 1971): 1 where all agree, 0 where they
    agree as often as chance would let them. None where it is not defined: with fewer than two
    raters, and, as 0 / 0, where all answers are of one category.

    ``counts`` (items, categories): raters who chose a category. Raises ValueError if the items have
    different numbers of raters.
    """
    counts = np.asarray(counts, dtype=float)
    raters = counts.sum(axis=1)
    if len(set(raters)) > 1:
        raise ValueError("each item must have as many raters")
    if not len(counts) or raters[0] < 2:
        return None
    pairs = raters[0] * (raters[0] - 1)
    agreed = float(((counts**2).sum(axis=1) - raters).mean() / pairs)  # share of agreeing pairs
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def _share(chosen: np.ndarray) -> Estimate:
    return wilson(chosen.sum(), chosen.size)


@dataclass(frozen=True)
class Results:
    """Answers of all subjects; a notebook shows them as a table."""

    captions: Sequence[str]
    preferred: np.ndarray  # (questions, subjects) bool: the synthesised pose was chosen
    run: str = ""  # whose poses were shown
    test: bool = False  # answers of a script, not of people

    @property
    def subjects(self) -> int:
        return self.preferred.shape[1]

    @property
    def overall(self) -> Estimate:
        """The share of answers that preferred the synthesised pose, as if all were independent."""
        return _share(self.preferred)

    @property
    def each(self) -> list[Estimate]:
        """The same of each question."""
        return [_share(row) for row in self.preferred]

    @property
    def kappa(self) -> float | None:
        """Fleiss' kappa of the subjects; None where it is not defined."""
        chosen = self.preferred.sum(axis=1)
        return fleiss_kappa(np.stack([chosen, self.subjects - chosen], axis=1))

    @property
    def agreement(self) -> str:
        """A sentence on kappa."""
        if self.kappa is not None:
            return (
                f"Fleiss' kappa is {self.kappa:.2f} (1: the subjects agree on every question, "
                "0: no more than by chance)."
            )
        if self.subjects < 2:
            return "Agreement is not defined for a single subject."
        return "All subjects gave one and the same answer throughout: kappa is 0 / 0, not defined."

    @property
    def verdict(self) -> str:
        """What the answers show, in a few sentences."""
        if not self.subjects:
            return "No answers have been collected, and nothing in this book rests on one."
        share, kind, finding = self.overall, "", ": the subjects prefer the real poses"
        if share.low > 0.5:
            finding = ": the subjects prefer the synthesised poses"
        elif share.high >= 0.5:
            finding = ": neither kind is preferred beyond chance"
        if self.test:  # a script prefers nothing
            kind, finding = "TEST DATA, answered by a script and by nobody: ", ""
        number = "1 subject" if self.subjects == 1 else f"{self.subjects} subjects"
        return (
            f"{kind}{share.value:.1%} of {self.preferred.size:,} answers of {number} preferred the "
            f"pose synthesised by {self.run} (95% interval {share.low:.1%} to {share.high:.1%})"
            f"{finding}. {self.agreement}"
        )

    def summary(self) -> dict[str, object]:
        """The numbers alone."""

        def count(chosen: np.ndarray) -> dict[str, float | int]:
            share = _share(chosen)
            number = {"answers": chosen.size, "synthesised": int(chosen.sum())}
            return number | {"share": share.value, "low": share.low, "high": share.high}

        questions = zip(self.captions, self.preferred, strict=True)
        return {
            "test": self.test,
            "run": self.run,
            "subjects": self.subjects,
            "overall": count(self.preferred) if self.subjects else None,
            "kappa": self.kappa,
            "questions": [{"caption": caption} | count(chosen) for caption, chosen in questions],
        }

    def __str__(self) -> str:
        """The verdict and a table, Markdown that reads well as it is; or how to begin."""
        if not self.subjects:
            return f"**{self.verdict}** {HOW}"
        captions = [re.sub(r"([\\`*_\[\]<>$])", r"\\\1", caption) for caption in self.captions]
        shares = zip([*self.each, self.overall], [*captions, "all"], strict=True)
        rows = [
            [str(n), f"{share.value:.0%}", f"{share.low:.0%} to {share.high:.0%}", caption]
            for n, (share, caption) in enumerate(shares, 1)
        ]
        rows[-1][0] = ""
        table = Table(["", "synthesised", "95% interval", "caption"], rows)
        return f"{self.verdict}\n\n{table._repr_markdown_()}"

    _repr_markdown_ = __str__

    def figure(self):
        """The shares with their intervals (:func:`lib.figures.curves.preferences`), or None."""
        if not self.subjects:
            return None
        from lib.figures import preferences  # which the counting of answers need not have

        title = "TEST DATA, answered by a script" if self.test else ""
        return preferences(self.captions, self.each, self.overall, title)
