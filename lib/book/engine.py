"""papermill's engine, for notebooks whose parameters are checked, and whose widgets stand still.

papermill itself only warns of a parameter that a notebook does not declare, and keeps widgets that
no kernel answers any more. It loads this module by the entry point that pyproject.toml names,
whoever calls it, and has it as its default engine from then on.
"""

from typing import Any

from click import ClickException

Engine: Any = None  # what papermill finds if this import is the one that loads papermill

from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402

from lib.book.execute import declared  # noqa: E402
from lib.errors import InputError, unknown  # noqa: E402

INJECTED = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}  # by papermill's own --inject-paths

WIDGET = "application/vnd.jupyter.widget-view+json"


class Refused(InputError, ClickException):
    """A parameter that a notebook cannot take; on papermill's command line a sentence, without a
    traceback."""


class Engine(NBClientEngine):  # noqa: F811
    """papermill's own, but for a check before anything is written, and for what is kept."""

    @classmethod
    def execute_notebook(cls, nb, *arguments, **options):
        """Executes a notebook. Raises an InputError if a parameter that papermill was given, by
        the notebook's metadata, is not declared in the cell tagged "parameters", or is of another
        type there. A notebook without such a cell is left to papermill. Of an output that is a
        widget, the picture that comes with it remains."""
        known = declared(nb)
        given = {} if known is None else nb.metadata.get("papermill", {}).get("parameters", {})
        for name, value in given.items():
            if name in INJECTED:
                continue
            if name not in known:
                raise Refused(unknown("parameter", name, list(known)))
            default = known[name]
            wanted = (int, float) if type(default) is float else type(default)
            if default is not None and not isinstance(value, wanted):
                raise Refused(
                    f"The parameter {name} = {value!r} must be of type {type(default).__name__}, "
                    f"as {default!r} is."
                )
        done = super().execute_notebook(nb, *arguments, **options)
        done.metadata.pop("widgets", None)  # their states
        for output in (output for cell in done.cells for output in cell.get("outputs", [])):
            output.get("data", {}).pop(WIDGET, None)
        return done


for name in (None, "thesis"):  # None: its default, on its command line too
    papermill_engines.register(name, Engine)
