"""papermill's engine, for notebooks whose parameters are checked.

papermill itself only warns of a parameter that a notebook does not declare. It loads this module
by the entry point that pyproject.toml names, whoever calls it, and has it as its default engine
from then on.
"""

from typing import Any

from click import ClickException

Engine: Any = None  # what papermill finds if this import is the one that loads papermill

from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402

from lib.book.execute import declared  # noqa: E402
from lib.config import unknown  # noqa: E402
from lib.errors import InputError  # noqa: E402


class Refused(InputError, ClickException):
    """A parameter that a notebook cannot take; on papermill's command line a sentence, without a
    traceback."""


class Engine(NBClientEngine):  # noqa: F811
    """papermill's own, but for the check."""

    @classmethod
    def execute_notebook(cls, nb, *arguments, **options):
        """Executes a notebook; before anything is written, :func:`check` may refuse it."""
        check(nb)
        return super().execute_notebook(nb, *arguments, **options)


for name in (None, "thesis"):  # None: its default, on its command line too
    papermill_engines.register(name, Engine)


def check(notebook) -> None:
    """Refuses parameters that papermill was given, by the metadata of an nbformat notebook, and
    that it cannot take. One without a cell tagged "parameters" is left to papermill.

    Raises:
        InputError: a parameter is not declared in that cell, or is of another type there.
    """
    if (known := declared(notebook)) is None:
        return
    for name, value in notebook.metadata.get("papermill", {}).get("parameters", {}).items():
        if name not in known:
            raise Refused(unknown("parameter", name, list(known)))
        default = known[name]
        wanted = (int, float) if type(default) is float else type(default)
        if default is not None and not isinstance(value, wanted):
            raise Refused(
                f"The parameter {name} = {value!r} must be of type {type(default).__name__}, as "
                f"{default!r} is."
            )
