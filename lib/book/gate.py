"""Refuses to build the book from notebooks that have not run to their end.

A Sphinx extension, named in ``_config.yml``. Left alone, jupyter-book publishes a notebook that
failed halfway, traceback included, and answers a missing one with a page of warnings. Here the
build stops before it reads a page, with one sentence that says what to run.
"""

import json
from pathlib import Path

FOLDER = "notebooks"  # of the book's sources, where the pipeline puts executed notebooks
NOT_YET = "has not been executed yet"


def fault(notebook: Path) -> str | None:
    """What keeps an executed notebook out of the book, or None where nothing does.

    A notebook is whole when papermill recorded its end and no exception, every code cell has
    been executed, and no cell shows an error.
    """
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
    """Why a book cannot be built, in one sentence: which of its notebooks are missing or not whole,
    and how to fix that. Empty where all are whole.

    Args:
        book: the folder of the book's sources.
        pages: the names in its table of contents; those in ``notebooks/`` are checked.
    """
    names = sorted(f"{page}.ipynb" for page in pages if page.startswith(FOLDER + "/"))
    found = {name: reason for name in names if (reason := fault(book / name))}
    missing = [name for name, reason in found.items() if reason == NOT_YET]
    if not found:
        return ""
    if len(missing) == len(found):
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        which = f"book/{missing[0]}{more} missing"
        return f"The notebooks have not been executed yet ({which}): run `make thesis` first."
    name = next(name for name in found if name not in missing)
    more = f" ({len(found) - 1} more cannot be used)" if len(found) > 1 else ""
    return f"book/{name} {found[name]}{more}: fix it and run `make thesis` again."


def _check(app, config):
    site_map = getattr(config, "external_site_map", None)  # absent when a single page is built
    if site_map and (sentence := refusal(Path(app.srcdir), list(site_map))):
        # jupyter-book wraps any Exception in a traceback of its own; an exit passes through it.
        raise SystemExit(sentence)


def setup(app):
    """Connects the check; Sphinx calls it."""
    app.connect("config-inited", _check, priority=950)  # the table of contents is read at 900
    return {"parallel_read_safe": True, "parallel_write_safe": True}
