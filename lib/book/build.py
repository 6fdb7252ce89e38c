"""From notebooks to book: executes them, keeps what has not changed, builds the pages.

The executed notebook carries the fingerprint of all it was made from, so that a second call
executes only what has changed.
"""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import joblib
import psutil

from lib import paths
from lib.book.execute import declared, execute, kernel_environment, up_to_date
from lib.config import profile
from lib.data.cache import described
from lib.errors import InputError
from lib.notebooks import GRAPH, NOTEBOOKS, Notebook
from lib.study import Study, prepare_for
from lib.training.progress import Display

MOST_JOBS = 3  # side by side: more notebooks than this wait for each other's runs
# 1-NN accuracies above which samples that must look like people do not.
GATES = {"wgan_gp": 0.8, "reduced": 0.8, "conditional_reduced": 0.82}


def notebooks() -> list[Path]:
    """The project's notebooks, in order."""
    return sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def fingerprint(notebook: Path, parameters: dict[str, Any], study: Study) -> str:
    """Hash of all that an executed notebook is made from: its source and parameters, the code that
    it uses, the profile, the data, and the runs and other files that it reads."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    digest.update((study.dataset.poses_id + study.dataset.pairs_id).encode())
    reads = GRAPH.get(notebook.stem, Notebook())
    files = [notebook, paths.PROFILES / f"{study.profile}.toml", *_code(notebook.read_text())]
    files += [study.run(name).folder / "summary.json" for name in reads.reads]
    files += [path for pattern in reads.files for path in sorted(paths.DATA.glob(pattern))]
    for path in filter(Path.exists, files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _code(notebook: str) -> list[Path]:
    """The modules of lib on which a notebook's outputs depend, by its source. Of what executes
    notebooks and builds the book these are the imported modules alone, and of the questionnaire
    all, if it is imported."""
    lib, apart = paths.SOURCE / "lib", ("__main__.py", "series.py", "notebooks.py")
    imports = {"book": "from lib.book import {}", "questionnaire": "from lib.questionnaire"}

    def counts(path: Path) -> bool:
        needed = imports.get(path.relative_to(lib).parts[0], "").format(path.stem)
        return needed in notebook and path.name not in apart

    return [path for path in sorted(lib.rglob("*.py")) if counts(path)]


def _urgency(name: str, seconds: dict[str, float]) -> float:
    """Seconds from the start of a notebook to the end of the last one that waits for it."""
    waiting = [stem for stem, each in GRAPH.items() if name in map(NOTEBOOKS.get, each.reads)]
    after = max((_urgency(reader, seconds) for reader in waiting), default=0.0)
    return seconds.get(name, 0.0) + after


def _before(names: list[str], study: Study) -> dict[str, set[str]]:
    """Which notebooks each one waits for: those whose runs it reads, and one that trains the same
    run."""
    before, trained = {}, {}
    for name in names:
        before[name] = {NOTEBOOKS[run] for run in GRAPH[name].reads} & set(names)
        if run := GRAPH[name].trains:
            first = trained.setdefault(study.run(run).folder, name)
            before[name] |= {first} - {name}
    return before


def _side_by_side(
    before: dict[str, set[str]], do: Callable[[str], None], seconds: dict[str, float], jobs: int
) -> None:
    """Does each notebook once those that it waits for are done, the longest chain first.

    The first that fails stops the others: their runs go on from their last checkpoint.
    """
    order = TopologicalSorter(before)
    order.prepare()
    ready, doing = [], {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while order.is_active():
                ready = sorted([*order.get_ready(), *ready], key=lambda n: -_urgency(n, seconds))
                while ready and len(doing) < jobs:
                    name = ready.pop(0)
                    doing[pool.submit(do, name)] = name
                for future in wait(doing, return_when=FIRST_COMPLETED).done:
                    future.result()
                    order.done(doing.pop(future))
        except BaseException:
            while wait(doing, timeout=0).not_done:
                for kernel in psutil.Process().children():
                    kernel.terminate()
                wait(doing, timeout=1)  # one that was just starting has its kernel by then
            raise


def make(
    profile_name: str = "published",
    coco_zip: Path | None = None,
    encoder: Path | None = None,
    fresh: bool = False,
    jobs: int = 0,
    published: bool = False,
) -> Path:
    """Makes the whole thesis: data, notebooks, book, whose first page it returns.

    ``jobs`` notebooks are executed side by side; 0: one a core, at most MOST_JOBS. If
    ``published``, nothing is trained: every run must be there, as those that the repository ships.
    Raises InputError if something is wrong or missing, or another process is making it; what was
    made before stays.
    """
    busy = f"{paths.shown(paths.HOME)} is being made by another process: wait for it, or end it."
    with paths.locked(paths.DATA / ".thesis.lock", busy):
        page = _make(profile_name, coco_zip, encoder, fresh, jobs, published)
        shutil.rmtree(paths.DATA / "executing", ignore_errors=True)  # of notebooks that failed once
        return page


def _make(
    profile_name: str,
    coco_zip: Path | None,
    encoder: Path | None,
    fresh: bool,
    jobs: int,
    published: bool,
) -> Path:
    kernel_environment()
    # Notebooks run in their own folder, so that a relative path would lead elsewhere.
    coco_zip, encoder = (path and path.expanduser().resolve() for path in (coco_zip, encoder))
    jobs = jobs or min(joblib.cpu_count(), MOST_JOBS)
    # Runs with a core each get further than runs on all cores, one after the other.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, joblib.cpu_count() // jobs)))
    states = paths.DATA / "progress"
    shutil.rmtree(states, ignore_errors=True)
    states.mkdir(parents=True)
    os.environ["THESIS_PROGRESS"] = str(states)
    plan = [notebook.stem for notebook in notebooks()]
    seconds = profile(profile_name)["seconds"]
    usual = {name: seconds.get(name, 20.0) for name in ["data", *plan, "book"]}
    # Of a profile that does not say, nobody knows how long its runs take.
    expected = usual | {name: math.nan for name in plan if GRAPH[name].trains and not seconds}
    files = {stem: states / f"{run}.json" for run, stem in NOTEBOOKS.items()}
    with Display(expected, files, jobs) as display:
        with display.watch("data"):
            data = prepare_for(profile_name, coco_zip, encoder)
        study = Study(profile_name, data)
        splits = study.dataset.train, study.dataset.val
        without_captions = not all(len(s.pair_pose) and len(s.vectors) for s in splits)
        chosen = [name for name in plan if not (without_captions and GRAPH[name].captions)]
        if published:
            _all_finished(chosen, study)
        common = {"profile": profile_name, "data": data, "fresh": fresh}
        common |= {"coco_zip": str(coco_zip or ""), "encoder": str(encoder or "")}

        def do(name: str) -> None:
            notebook = paths.NOTEBOOKS / f"{name}.ipynb"
            names = declared(json.loads(notebook.read_text())) or {}
            parameters = {key: value for key, value in common.items() if key in names}
            mark = fingerprint(notebook, parameters | {"fresh": False}, study)
            if not fresh and up_to_date(paths.EXECUTED / notebook.name, mark):
                display.expected[name] = 0.0
                print(f"{name}: up to date", file=sys.stderr)
                return
            with display.watch(name):
                execute(notebook, parameters, mark)

        _side_by_side(_before(chosen, study), do, usual, jobs)
        if without_captions:
            missing = ", ".join(study.dataset.meta["missing"]) or "none match"
            raise InputError(
                f"The data have no captions ({missing}): {', '.join(chosen)} are executed, the "
                "other notebooks and the book need captions."
            )
        with display.watch("book"):
            page = build_book()
    warn(study)
    return page


def _all_finished(chosen: list[str], study: Study) -> None:
    """Raises InputError if a notebook would have to train."""
    names = [GRAPH[stem].trains for stem in chosen if GRAPH[stem].trains]
    if missing := [name for name in names if not study.run(name).finished]:
        raise InputError(
            f"No runs of {', '.join(missing)} are published for these data "
            f"({described(study.dataset)}): train them with `python -m lib series`, or leave "
            "RUNS=published out."
        )


def build_book() -> Path:
    """Builds the pages, and returns the first one; does nothing where they were made from the same
    sources and executed notebooks. The folder is empty at first: glued numbers would stay from the
    last time. Raises InputError, which quotes them, if there are errors or warnings."""
    if paths.HOME != paths.SOURCE:  # the pages lie with the notebooks that they are built with
        ignored = shutil.ignore_patterns("_build", "notebooks")
        shutil.copytree(paths.SOURCE / "book", paths.BOOK, ignore=ignored, dirs_exist_ok=True)
    page, mark = paths.BOOK / "_build" / "html" / "index.html", paths.BOOK / "_build" / "made_from"
    made_from = _sources()
    if page.exists() and mark.exists() and mark.read_text() == made_from:
        return page
    building = paths.DATA / "building"
    shutil.rmtree(building, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(paths.BOOK)]
    # Named here, as the links to them in the book's folder may have become text in a checkout.
    command += ["--config", str(paths.SOURCE / "_config.yml")]
    command += ["--toc", str(paths.SOURCE / "_toc.yml")]
    command += ["--path-output", str(building), "-W", "-n", "--keep-going", "-q"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or not (building / "_build" / "html" / page.name).exists():
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-30:])
        raise InputError(f"The book was not built, the one from before stays:\n{tail}")
    shutil.rmtree(paths.BOOK / "_build", ignore_errors=True)
    shutil.move(building / "_build", paths.BOOK / "_build")
    mark.write_text(made_from)
    return page


def _sources() -> str:
    """Hash of all that the pages are made from: chapters, executed notebooks, settings, code."""
    files = [path for path in paths.BOOK.rglob("*") if "_build" not in path.parts]
    files += [*(paths.SOURCE / "lib").rglob("*.py"), *paths.SOURCE.glob("_*.yml")]
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def warn(study: Study) -> None:
    """Says so where a model that should show people does not, by its 1-NN accuracy."""
    if study.profile == "smoke":
        return
    for name, gate in GATES.items():
        path = study.run(name).evaluation
        if path.exists() and (accuracy := json.loads(path.read_text())["accuracy"]) > gate:
            print(
                f"Warning: the 1-NN accuracy of {name} is {accuracy:.1%}, above {gate:.0%}: its "
                "poses do not look real yet. Train it longer.",
                file=sys.stderr,
            )
