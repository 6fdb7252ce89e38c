"""Refuses to build the book from notebooks that have not run to their end.

A Sphinx extension, named in ``_config.yml``. Left alone, jupyter-book publishes a notebook that
failed halfway, traceback included, and answers a missing one with a page of warnings. Here the
build stops before it reads a page, with one sentence that says what to run.
"""

import json
from pathlib import Path

NOT_YET = "has not been executed yet"


def fault(notebook: Path) -> str | None:
    """What keeps an executed notebook out of the book; None if it is whole: papermill recorded its
    end and no exception, every code cell has been executed, and none shows an error."""
    if not notebook.is_file():
        return NOT_YET
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        return "is not a notebook (its file is damaged)"
    for number, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                reason = f"{output.get('ename', 'error')}: {output.get('evalue', '')}"
                return f"failed at code cell {number} ({' '.join(reason.split())[:200]})"
    papermill = content.get("metadata", {}).get("papermill") or {}
    if papermill.get("exception"):
        return "failed while it was executed"
    if not papermill.get("end_time"):
        return "was not executed to its end"
    for number, cell in enumerate(cells, start=1):
        if cell.get("execution_count") is None and "".join(cell.get("source", "")).strip():
            return f"was not executed to its end (code cell {number} never ran)"
    return None


def refusal(book: Path, pages: list[str]) -> str:
    """Why a book in a folder cannot be built, in one sentence: which notebooks among its ``pages``
    are missing or not whole, and how to fix that. Empty where all are whole."""
    names = sorted(f"{page}.ipynb" for page in pages if page.startswith("notebooks/"))
    found = {name: reason for name in names if (reason := fault(book / name))}
    missing = [name for name, reason in found.items() if reason == NOT_YET]
    if not found:
        return ""
    more = len(found) - 1
    if len(missing) == len(found):
        which = f"book/{missing[0]}{f' and {more} more are' if more else ' is'} missing"
        return f"The notebooks have not been executed yet ({which}): run `make thesis` first."
    name = next(name for name in found if name not in missing)
    others = f" ({more} more cannot be used)" if more else ""
    return f"book/{name} {found[name]}{others}: fix it and run `make thesis` again."


def _check(app, config):
    site_map = getattr(config, "external_site_map", None)  # absent when a single page is built
    if site_map and (sentence := refusal(Path(app.srcdir), list(site_map))):
        # jupyter-book wraps any Exception in a traceback of its own; an exit passes through it.
        raise SystemExit(sentence)


def setup(app):
    """Connects the check; Sphinx calls it."""
    app.connect("config-inited", _check, priority=950)  # the table of contents is read at 900
    return {"parallel_read_safe": True, "parallel_write_safe": True}
