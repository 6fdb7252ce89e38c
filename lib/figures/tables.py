"""The one table of the project: rows of text as Markdown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text, which a notebook shows as a table."""

    head: list[str]
    rows: list[list[str]]

    def _repr_markdown_(self) -> str:
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.head, *self.rows)]
        lines = [rows[0], ["---"] * len(self.head), *rows[1:]]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
