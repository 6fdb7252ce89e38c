"""What answers to the questionnaire say (thesis 4.4.3): shares, how sure they are, and how far
the subjects agree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.evaluation.statistics import wilson

HOW = (
    "`python -m lib questionnaire make` writes the page, data/questionnaire/questionnaire.html. "
    "Send it to people, put the files that they send back into data/questionnaire/answers/, and "
    "run `python -m lib questionnaire score`, then `make thesis` for the book."
)


def fleiss_kappa(counts: np.ndarray) -> float | None:
    """Agreement of several raters beyond chance (Fleiss 1971): 1 where all agree, 0 where they
    agree as often as chance would let them.

    Args:
        counts: (items, categories) raters who chose a category; as many raters for each item.
    Returns:
        Kappa, or None where it is not defined: with less than two raters, and, as 0 / 0, where
        all answers are of one category.
    Raises:
        ValueError: the items have different numbers of raters.
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
    def share(self) -> float:
        """Of all answers, those that preferred the synthesised pose."""
        return float(self.preferred.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of ``share``, each answer counted as independent."""
        return _ends(self.preferred)

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """Wilson's 95 % interval of each question's share."""
        return [_ends(row) for row in self.preferred]

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
        low, high = self.interval
        finding = ": the subjects prefer the real poses"
        if low > 0.5:
            finding = ": the subjects prefer the synthesised poses"
        elif high >= 0.5:
            finding = ": neither kind is preferred beyond chance"
        if self.test:  # a script prefers nothing
            finding = ""
        kind = "TEST DATA, answered by a script and by nobody: " if self.test else ""
        number = "1 subject" if self.subjects == 1 else f"{self.subjects} subjects"
        return (
            f"{kind}{self.share:.1%} of {self.preferred.size:,} answers of {number} preferred the "
            f"pose synthesised by {self.run} (95% interval {low:.1%} to {high:.1%}){finding}. "
            f"{self.agreement}"
        )

    def summary(self) -> dict[str, object]:
        """The numbers alone."""

        def count(chosen: np.ndarray) -> dict[str, float | int]:
            low, high = _ends(chosen)
            share = {"share": float(chosen.mean()), "low": low, "high": high}
            return {"answers": chosen.size, "synthesised": int(chosen.sum())} | share

        each = zip(self.captions, self.preferred, strict=True) if self.subjects else ()
        return {
            "test": self.test,
            "run": self.run,
            "subjects": self.subjects,
            "overall": count(self.preferred) if self.subjects else None,
            "kappa": self.kappa if self.subjects else None,
            "questions": [{"caption": caption} | count(row) for caption, row in each],
        }

    def _repr_markdown_(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """The verdict and a table, Markdown that reads well as it is; or how to begin."""
        if not self.subjects:
            return f"**{self.verdict}** {HOW}"
        whole = (("", "all", self.share, self.interval),)
        parts = zip(self.captions, self.preferred.mean(axis=1), self.intervals, strict=True)
        rows = [(str(n), _escaped(c), s, i) for n, (c, s, i) in enumerate(parts, 1)]
        lines = [
            f"| {n:>2} | {share:>11.0%} | {f'{low:.0%} to {high:.0%}':>12} | {caption} |"
            for n, caption, share, (low, high) in [*rows, *whole]
        ]
        head = "|    | synthesised | 95% interval | caption |\n|---:|---:|---:|---|\n"
        return f"{self.verdict}\n\n{head}" + "\n".join(lines)

    def figure(self):
        """The shares with their intervals (:func:`lib.figures.curves.preferences`), or None."""
        if not self.subjects:
            return None
        from lib.figures import preferences

        title = "TEST DATA, answered by a script" if self.test else ""
        shares = self.preferred.mean(axis=1)
        return preferences(self.captions, shares, self.intervals, self.share, self.interval, title)


def _ends(chosen: np.ndarray) -> tuple[float, float]:
    estimate = wilson(int(chosen.sum()), chosen.size)
    return estimate.low, estimate.high


def _escaped(caption: str) -> str:
    """A caption that Markdown leaves as it is."""
    return re.sub(r"([\\`*_\[\]<>|$])", r"\\\1", caption)
