"""Many runs of one notebook, side by side: a grid of seeds, penalty weights, widths.

``python -m lib sweep 04 --set seed=0,1,2 --set lambda_=1,10`` executes notebook 04 once for each
combination of the values (:mod:`lib.book.cluster`). ``data/sweeps/NAME/`` then holds each executed
notebook, ``SETTINGS.ipynb``, which is not executed again while it is up to date, and ``table.csv``
(:func:`table`).
"""

import hashlib
import itertools
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from lib import paths
from lib.book.build import fingerprint
from lib.book.cluster import Execution, execute_all
from lib.book.execute import declared
from lib.config import profile
from lib.data.cache import cache_path
from lib.errors import InputError, unknown
from lib.notebooks import GRAPH, NOTEBOOKS
from lib.study import Study

SHARED = ("profile", "data", "fresh")  # parameters that are the same in all runs of a sweep
NAME = re.compile(r"\w[\w.,=+-]{,99}", re.ASCII)  # of a folder or file, without quotes


def sweep(
    notebook: str,
    grid: dict[str, list],
    profile_name: str = "published",
    data: str = "sample",
    name: str = "",
    workers: int = 0,
    address: str = "",
) -> str:
    """Executes a notebook once for each combination of values in the ``grid``, of which the last
    parameter varies fastest, and writes the table; returns the sweep's name, for :func:`table`.

    The notebook is one that trains, given by its name, its number or its experiment. All settings
    that are not swept, and the runs that it reads, are the profile's. ``name`` is by default made
    of notebook, profile, data and grid; for ``workers`` and ``address`` see
    :func:`lib.book.cluster.execute_all`. A run that fails is recorded in the table. The next call
    tries it again, and goes on with what an interrupted one has left. Before anything runs, an
    InputError is raised if a name or a value is wrong, the data are not prepared, a run that the
    notebook reads is not finished, or the cluster cannot be used.
    """
    if address and workers:
        raise InputError("Give workers or an address: a cluster has the workers that it has.")
    executions = plan(notebook, grid, profile_name, data, name)
    folder = executions[0].target.parent
    shutil.rmtree(folder / "progress", ignore_errors=True)  # of a sweep that was interrupted
    done = [execution.name for execution in executions if execution.done]
    for each in done:
        print(f"{each}: up to date", file=sys.stderr)
    faults: dict[str, str] = {}
    if waiting := [execution for execution in executions if execution.name not in done]:
        seconds = profile(profile_name)["seconds"].get(waiting[0].notebook.stem, 20.0)
        faults = execute_all(waiting, seconds, workers, address)
        shutil.rmtree(folder / "progress", ignore_errors=True)
    rows = pd.DataFrame([_row(each, faults.get(each.name, "")) for each in executions])
    with paths.replacing(folder / "table.csv") as new:
        rows[[*rows.columns.drop("failed"), "failed"]].to_csv(new, index=False)
    return folder.name


def plan(
    notebook: str, grid: dict[str, list], profile_name: str, data: str, name: str = ""
) -> list[Execution]:
    """The runs of a sweep, in the grid's order; see :func:`sweep`."""
    names = {name: stem for run, stem in NOTEBOOKS.items() for name in (stem, stem[:2], run)}
    stem = names.get(Path(notebook).name.removesuffix(".ipynb"))
    if stem is None:
        raise InputError(unknown("training notebook", notebook, [*NOTEBOOKS.values(), *NOTEBOOKS]))
    experiment, source = GRAPH[stem].trains, paths.NOTEBOOKS / f"{stem}.ipynb"
    known = sorted((declared(json.loads(source.read_text())) or {}).keys() - set(SHARED))
    if not grid:
        raise InputError("A sweep needs a parameter to vary, as seed=0,1,2.")
    for parameter, values in grid.items():
        if parameter in SHARED:
            raise InputError(f"{parameter} is the same in all runs of a sweep.")
        if parameter not in known:
            raise InputError(unknown(f"parameter of {source.name}", parameter, known))
        if not values:
            raise InputError(f"{parameter} has no values: give them as {parameter}=1,2.")
    if data not in ("sample", "coco"):  # the notebook runs in a folder of its own
        data = str(cache_path(data).resolve())
    study = Study(profile_name, data)
    for read in sorted({*GRAPH[stem].reads, study.config(experiment).parent} - {""}):
        study.finished(read)
    parts = [stem, profile_name, *([] if data == "sample" else [Path(data).stem])]
    parts += [f"{key}={','.join(map(_text, values))}" for key, values in grid.items()]
    if name and not NAME.fullmatch(name):
        raise InputError(f"The name {name!r} must be at most 100 letters, digits and . , = + - _")
    folder = paths.SWEEPS / (name or _file_name("-".join(parts)))
    executions: dict[str, Execution] = {}
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        run = study.run(experiment, **settings)
        file = _file_name("-".join(f"{key}={_text(value)}" for key, value in settings.items()))
        if other := executions.get(run.folder.name):
            raise InputError(f"{other.name} and {file} are the same training run.")
        parameters = {"profile": profile_name, "data": data} | settings
        mark = fingerprint(source, parameters, study)
        target = folder / f"{file}.ipynb"
        temporary = paths.DATA / "executing" / folder.name / target.name
        execution = Execution(source, parameters, mark, target, temporary, run)
        executions[run.folder.name] = execution
    return list(executions.values())


def table(name: str) -> pd.DataFrame:
    """The table of a sweep: a row for each combination, in the grid's order. Raises an InputError
    if there is no such sweep.

    Its columns are the swept parameters; ``run``, its folder; ``iterations`` and ``seconds`` of
    that run; its :meth:`final losses <lib.training.runs.Run.final_losses>`; each number of its
    ``evaluation.json``; and ``failed``, which is empty or says why there are no numbers.
    """
    path = paths.SWEEPS / name / "table.csv"
    if not path.is_file():
        known = sorted(file.parent.name for file in paths.SWEEPS.glob("*/table.csv"))
        raise InputError(unknown("sweep", name, known or ["none yet"]))
    rows = pd.read_csv(path)
    return rows.assign(failed=rows["failed"].fillna(""))


def readable(rows: pd.DataFrame) -> str:
    """A sweep's table for the terminal, and below it a line for each run that failed."""
    parameters = list(rows.columns[: rows.columns.get_loc("run")])
    # Numbers of iterations stay whole where a run has none.
    shown = rows.drop(columns="failed").convert_dtypes().astype(object)
    shown = shown.where(shown.notna(), "").set_index(parameters)
    lines = [shown.to_string(sparsify=False, line_width=100, float_format="{:.4g}".format)]
    for _, row in rows[rows["failed"] != ""].iterrows():
        settings = ", ".join(f"{key} = {row[key]}" for key in parameters)
        lines.append(f"{settings} failed: {row['failed']}")
    return "\n".join(lines)


def made(name: str) -> pd.DataFrame | None:
    """:func:`table`, or None where that sweep has not been made."""
    return table(name) if (paths.SWEEPS / name / "table.csv").is_file() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _file_name(text: str) -> str:
    """``text`` where it can name a file, otherwise what can be kept of it and a hash."""
    if NAME.fullmatch(text):
        return text
    kept = re.sub(r"[^\w.,=+-]", "", text, flags=re.ASCII)[:80]
    return f"{kept}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _row(execution: Execution, fault: str) -> dict[str, Any]:
    """A row of the table; see :func:`table`."""
    run = execution.run
    if not fault and not run.finished:
        fault = f"It left no {paths.shown(run.folder)}: are its data elsewhere?"
    swept = {key: value for key, value in execution.parameters.items() if key not in SHARED}
    row = {key: _text(value) if isinstance(value, list) else value for key, value in swept.items()}
    row |= {"run": run.folder.name, "failed": fault}
    if fault:
        return row
    numbers = {key: run.summary[key] for key in ("iterations", "seconds")} | run.final_losses()
    measures = json.loads(run.evaluation.read_text()) if run.evaluation.exists() else {}
    numbers |= {key: value for key, value in measures.items() if isinstance(value, int | float)}
    return row | numbers | row  # no measure takes a setting's place
