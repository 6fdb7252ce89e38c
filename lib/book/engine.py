"""papermill's engine, for notebooks whose parameters are checked.

papermill itself only warns of a parameter that a notebook does not declare. It loads this module
by the entry point that pyproject.toml names, whoever calls it, and has it as its default engine
from then on.
"""

import ast
from typing import Any

from click import ClickException

Engine: Any = None  # what papermill finds if this import is the one that loads papermill

from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402

from lib.config import unknown  # noqa: E402
from lib.errors import InputError  # noqa: E402


class Refused(InputError, ClickException):
    """A parameter that a notebook cannot take; on papermill's command line a sentence, without a
    traceback."""


class Engine(NBClientEngine):  # noqa: F811
    """papermill's own, but for the check."""

    @classmethod
    def execute_notebook(cls, nb, *arguments, **options):
        """Executes a notebook, after the check and before anything is written.

        Raises:
            InputError: as :func:`check`.
        """
        check(nb)
        return super().execute_notebook(nb, *arguments, **options)


for name in (None, "thesis"):  # None: its default, on its command line too
    papermill_engines.register(name, Engine)


def assigned(source: str) -> dict[str, Any]:
    """Names that a cell assigns, with their values; None for one that is not a literal."""
    found = {}
    for each in ast.parse(source).body:
        if isinstance(each, ast.Assign | ast.AnnAssign):
            target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
            found[ast.unparse(target)] = _literal(each.value)
    return found


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node)
    except (TypeError, ValueError):
        return None


def check(notebook) -> None:
    """Refuses parameters that papermill was given and the notebook cannot take.

    Args:
        notebook: an nbformat notebook, whose metadata hold what papermill was given. One without a
            cell tagged "parameters" is left to papermill.
    Raises:
        InputError: a parameter is not declared in that cell, or is of another type there.
    """
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        return
    known = assigned(cells[0].source)
    for name, value in given.items():
        if name not in known:
            raise Refused(unknown("parameter", name, list(known)))
        default = known[name]
        wanted = (int, float) if type(default) is float else type(default)
        if default is not None and not isinstance(value, wanted):
            raise Refused(
                f"The parameter {name} = {value!r} must be of type {type(default).__name__}, as "
                f"{default!r} is."
            )
