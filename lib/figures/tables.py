"""The one table of the project: rows of text as Markdown."""

import re
from dataclasses import dataclass


def minus(text: str) -> str:
    """A text whose numbers below zero have a minus sign instead of a hyphen."""
    return re.sub(r"(?<![\w.)\]-])-(?=\.?\d)", "\N{MINUS SIGN}", text)


@dataclass(frozen=True)
class Table:
    """Rows of text, which a notebook shows as a table."""

    head: list[str]
    rows: list[list[str]]

    def _repr_markdown_(self) -> str:
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.head, *self.rows)]
        lines = [rows[0], ["---"] * len(self.head), *rows[1:]]
        return minus("\n".join(f"| {' | '.join(line)} |" for line in lines))
