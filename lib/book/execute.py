"""The one executor of notebooks.

A notebook is executed into a temporary file, which takes the place of the last good one only once
it has run to its end. Wrong parameters are refused by :mod:`lib.book.engine`.
"""

import ast
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import paths
from lib.book.gate import fault
from lib.errors import InputError

ALLOCATOR = {  # of glibc, read when a process starts; the Makefile's values
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def up_to_date(executed: Path, mark: str) -> bool:
    """Whether an executed notebook is there, whole, and of this fingerprint."""
    whole = not fault(executed)
    return whole and json.loads(executed.read_text())["metadata"].get("thesis") == mark


def declared(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters that the content of a notebook declares, with their values, None for one that
    is not a literal; None instead of all where no cell is tagged "parameters"."""
    cells = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if not cells:
        return None
    found: dict[str, Any] = {}
    for each in ast.parse("".join(cells[0]["source"])).body:
        if isinstance(each, ast.Assign | ast.AnnAssign):
            name = ast.unparse(each.target if isinstance(each, ast.AnnAssign) else each.targets[0])
            found[name] = None
            with contextlib.suppress(TypeError, ValueError):
                found[name] = ast.literal_eval(each.value)
    return found


def execute(
    notebook: Path,
    parameters: dict[str, Any],
    mark: str = "",
    target: Path | None = None,
    temporary: Path | None = None,
) -> Path:
    """Executes a notebook in its own folder, with the parameters that differ from its own, and
    returns the executed one, which carries the fingerprint ``mark``.

    It is at ``temporary`` (default: in data/executing/) until it has run to its end, and goes to
    ``target`` (default: the book's folder) then. Raises an InputError if a parameter is refused
    (:mod:`lib.book.engine`), or a cell failed, with notebook, cell and error; the notebook that
    was executed before stays.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    target = target or paths.EXECUTED / notebook.name
    temporary = temporary or paths.DATA / "executing" / notebook.name
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(temporary),
            parameters,
            kernel_name="python3",
            progress_bar=False,
            # papermill's own cwd would change that of this process, and of the other threads
            resources={"metadata": {"path": str(notebook.parent)}},
            extra_arguments=["--log-level=ERROR"],  # not a warning for every kernel
        )
    except PapermillExecutionError as error:
        raise InputError(
            f"{notebook.name} failed in code cell {error.exec_count}: {error.ename}: {error.evalue}"
            f"\n(All of it: {paths.shown(temporary)}; what was executed before is kept.)"
        ) from None
    except DeadKernelError:
        raise InputError(
            f"{notebook.name} was stopped from outside, perhaps for lack of memory; what was "
            "executed before is kept."
        ) from None
    if wrong := fault(temporary):
        raise InputError(f"{notebook.name} {wrong}.")
    content = json.loads(temporary.read_text())
    content["metadata"]["thesis"] = mark
    for cell in content["cells"]:  # the book shows the parameters as the notebook declares them
        if "injected-parameters" in (tags := cell["metadata"].get("tags", [])):
            tags.append("remove-cell")
    paths.write_text(target, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    temporary.unlink()
    return target


def kernel_environment() -> None:
    """Lets kernels be those of this Python, whether or not its environment is activated, and
    memory be reused instead of returned to the system, which halves the time a run takes."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # A copy of the project has its own lib, wherever its environment was installed.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(paths.SOURCE) not in others[:1]:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(paths.SOURCE), *others])
    inherited = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited}"
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)
