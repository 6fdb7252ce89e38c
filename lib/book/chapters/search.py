"""Search results with excerpts in a book that was opened from disk.

A Sphinx extension, named in ``_config.yml``: it writes the texts of all pages into a script, which
``book/assets/search.js`` reads on the search page alone.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

from lib import paths

SCRIPT = "page-texts.js"


def text(doctree: nodes.document) -> str:
    """What a page says, without what was written for a browser."""
    parts = (each.astext() for each in doctree.findall(nodes.Text) if not _hidden(each))
    return " ".join(" ".join(parts).split())


def _hidden(part: nodes.Text) -> bool:
    """Whether it is for a browser, or a key that a page shows as the number of a source."""
    xref = isinstance(part.parent.parent, pending_xref) and part.parent.parent
    key = xref and xref.get("refdomain") in ("cite", "math")
    return key or isinstance(part.parent, nodes.raw | nodes.comment)


def _write(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        texts = {name: text(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)}
        content = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        paths.write_text(Path(app.outdir) / "_static" / SCRIPT, f"pageTexts({content});\n")


def _add(app, page: str, *_) -> None:
    if page == "search":
        app.add_js_file("search.js")


def setup(app):
    """Connects both; Sphinx calls it."""
    app.connect("build-finished", _write)
    app.connect("html-page-context", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
