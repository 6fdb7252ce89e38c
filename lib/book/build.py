"""From notebooks to book: executes them, keeps what has not changed, builds the pages.

A notebook is executed into a temporary file, which takes the place of the last good one only once
it has run to its end. The executed notebook carries the fingerprint of all it was made from, so
that a second call executes only what has changed.
"""

import hashlib
import json
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
from lib.book.gate import fault
from lib.config import NOTEBOOKS, config_for, profile
from lib.data.cache import Dataset, described, load
from lib.errors import InputError
from lib.study import prepare_for
from lib.training.progress import Display
from lib.training.runs import run_for

# Runs that each notebook reads beside those it makes: when one is trained anew, so is the notebook.
READS = {
    "04_wgan_gp": ["wgan"],
    "06_conditional_full": ["wgan_gp"],
    "08_conditional_reduced": ["reduced"],
    "09_conditional_random": ["conditional_reduced"],
    "10_evaluation": [name for name in NOTEBOOKS if name != "conditional_gan"],
    "12_published": list(NOTEBOOKS),
}
# Other files of data/ that a notebook reads: answers, sweeps and what is published change the book.
FILES = {
    "10_evaluation": (
        "questionnaire/key.json",
        "questionnaire/answers/*.json",
        "sweeps/*/table.csv",
    ),
    "12_published": ("published/*/evaluation.json",),
}
# Notebooks that can do without captions.
CAPTIONLESS = ("01_data_preparation", "02_gan", "03_wgan", "04_wgan_gp", "07_reduced")
TRAINED = {notebook: experiment for experiment, notebook in NOTEBOOKS.items()}
MOST_JOBS = 3  # side by side: more notebooks than this wait for each other's runs
ALLOCATOR = {  # of glibc, read when a process starts; the Makefile's values
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
# 1-NN accuracies above which samples that must look like people do not.
GATES = {"wgan_gp": 0.8, "reduced": 0.8, "conditional_reduced": 0.82}


def notebooks() -> list[Path]:
    """The project's notebooks, in order."""
    return sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def fingerprint(notebook: Path, parameters: dict[str, Any], dataset: Dataset) -> str:
    """Hash of all that an executed notebook is made from: its source, its parameters, the code,
    the profile, the data, and the runs, answers and sweeps that it reads."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    files = [notebook, paths.PROFILES / f"{parameters['profile']}.toml"]
    for path in files + sorted((paths.SOURCE / "lib").rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update((dataset.poses_id + dataset.pairs_id).encode())
    for name in READS.get(notebook.stem, []):
        config = config_for(name, parameters["profile"])
        summary = run_for(name, config, dataset, parameters["profile"]).folder / "summary.json"
        digest.update(summary.read_bytes() if summary.exists() else b"")
    for pattern in FILES.get(notebook.stem, ()):
        for path in sorted(paths.DATA.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def up_to_date(executed: Path, mark: str) -> bool:
    """Whether an executed notebook is there, whole, and of this fingerprint."""
    if not executed.exists() or fault(executed):
        return False
    return json.loads(executed.read_text())["metadata"].get("thesis") == mark


def declared(notebook: Path) -> set[str]:
    """Names that a notebook's parameters cell assigns."""
    import papermill

    return set(papermill.inspect_notebook(str(notebook)))


def execute(
    notebook: Path,
    parameters: dict[str, Any],
    mark: str = "",
    target: Path | None = None,
    temporary: Path | None = None,
) -> Path:
    """Executes one notebook.

    Args:
        notebook: the source, in whose folder the kernel runs.
        parameters: those that differ from the notebook's own.
        mark: the fingerprint that the executed notebook carries.
        target: where it goes; default: the book's folder.
        temporary: where it is until it has run to its end; default: data/executing/.
    Returns:
        The executed notebook.
    Raises:
        InputError: a cell failed; the message names notebook, cell and error. The notebook that
            was executed before stays.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    target = target or paths.EXECUTED / notebook.name
    temporary = temporary or paths.DATA / "executing" / notebook.name
    for folder in (target.parent, temporary.parent):
        folder.mkdir(parents=True, exist_ok=True)
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
            f"{notebook.name} failed in code cell {error.exec_count}: {error.ename}: "
            f"{error.evalue}\n"
            f"(All of it: {paths.shown(temporary)}; what was executed before is kept.)"
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
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            tags.append("remove-cell")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    shutil.move(temporary, target)
    return target


def kernel_environment() -> None:
    """Lets kernels be those of this Python, whether or not its environment is activated, and
    memory be reused instead of returned to the system, which halves a training's time."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    )
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)


def _urgency(name: str, seconds: dict[str, float]) -> float:
    """Seconds from the start of a notebook to the end of the last one that waits for it."""
    waiting = [reader for reader, runs in READS.items() if name in map(NOTEBOOKS.get, runs)]
    after = max((_urgency(reader, seconds) for reader in waiting), default=0.0)
    return seconds.get(name, 0.0) + after


def _side_by_side(
    names: list[str], do: Callable[[str], None], seconds: dict[str, float], jobs: int
) -> None:
    """Does each notebook once those whose runs it reads are done, the longest chain first.

    The first that fails stops the others: their trainings go on from their last checkpoint.
    """
    order = TopologicalSorter(
        {n: {NOTEBOOKS[run] for run in READS.get(n, [])} & set(names) for n in names}
    )
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
    """Makes the whole thesis: data, notebooks, book.

    Args:
        jobs: notebooks executed side by side; 0: as many as there are cores, at most MOST_JOBS.
        published: train nothing; every run must be there, as those that the repository ships.
    Returns:
        The book's first page.
    Raises:
        InputError: something is wrong or missing; what was made before stays.
    """
    kernel_environment()
    # Notebooks run in their own folder, so that a relative path would lead elsewhere.
    coco_zip, encoder = (path and path.expanduser().resolve() for path in (coco_zip, encoder))
    seconds = profile(profile_name).get("seconds", {})
    plan = [notebook.stem for notebook in notebooks()]
    expected = {name: seconds.get(name, 20.0) for name in ["data", *plan, "book"]}
    jobs = jobs or min(joblib.cpu_count(), MOST_JOBS)
    # A training a core gets further than one training on all cores after the other.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, joblib.cpu_count() // jobs)))
    states = paths.DATA / "progress"
    shutil.rmtree(states, ignore_errors=True)
    states.mkdir(parents=True)
    os.environ["THESIS_PROGRESS"] = str(states)
    display = Display(expected, {n: states / f"{run}.json" for n, run in TRAINED.items()}, jobs)
    with display, display.watch("data"):
        data = prepare_for(profile_name, coco_zip, encoder)
    common = {"profile": profile_name, "data": data, "fresh": fresh}
    common |= {"coco_zip": str(coco_zip or ""), "encoder": str(encoder or "")}
    dataset = load(data)
    splits = (dataset.train, dataset.val)
    without_captions = not all(len(s.pair_pose) and len(s.vectors) for s in splits)
    chosen = [name for name in plan if name in CAPTIONLESS or not without_captions]
    if published:
        _all_finished(chosen, dataset, profile_name)
    changed = []

    def do(name: str) -> None:
        notebook = paths.NOTEBOOKS / f"{name}.ipynb"
        names = declared(notebook)
        parameters = {key: value for key, value in common.items() if key in names}
        mark = fingerprint(notebook, parameters | {"fresh": False}, dataset)
        if not fresh and up_to_date(paths.EXECUTED / notebook.name, mark):
            display.expected[name] = 0.0
            print(f"{name}: up to date", file=sys.stderr)
            return
        with display.watch(name):
            execute(notebook, parameters, mark)
        changed.append(name)

    with display:
        _side_by_side(chosen, do, expected, jobs)
    if without_captions:
        raise InputError(
            f"The data have no captions ({', '.join(dataset.meta['missing']) or 'none match'}): "
            f"{', '.join(chosen)} are executed, the other notebooks and the book "
            "need captions."
        )
    with display, display.watch("book"):
        page = build_book(bool(changed))
    warn(dataset, profile_name)
    return page


def _all_finished(notebooks: list[str], dataset: Dataset, profile_name: str) -> None:
    """An InputError where a notebook would have to train."""
    names = [TRAINED[notebook] for notebook in notebooks if notebook in TRAINED]
    runs = {n: run_for(n, config_for(n, profile_name), dataset, profile_name) for n in names}
    missing = [name for name, run in runs.items() if not run.finished]
    if missing:
        raise InputError(
            f"No runs of {', '.join(missing)} are published for these data ({described(dataset)}): "
            "train them with `python -m lib.training.series`, or leave RUNS=published out."
        )


def build_book(changed: bool = True) -> Path:
    """Builds the pages with warnings as errors, from an empty folder: glued numbers would
    otherwise be kept from the last time. Nothing is done where no source is newer than the pages.

    Returns:
        The book's first page.
    Raises:
        InputError: the book has errors or warnings; they are printed.
    """
    if paths.HOME != paths.SOURCE:  # the pages lie beside the notebooks that they are built with
        shutil.copytree(
            paths.SOURCE / "book",
            paths.BOOK,
            ignore=shutil.ignore_patterns("_build", "notebooks"),
            dirs_exist_ok=True,
        )
    page = paths.BOOK / "_build" / "html" / "index.html"
    sources = [p for p in paths.BOOK.rglob("*") if "_build" not in p.parts and p.is_file()]
    sources += (paths.SOURCE / "lib").rglob("*.py")
    if not changed and page.exists():
        if max(p.stat().st_mtime for p in sources) < page.stat().st_mtime:
            return page
    building = paths.DATA / "building"
    shutil.rmtree(building, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(paths.BOOK)]
    command += ["--path-output", str(building), "-W", "-n", "--keep-going", "-q"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or not (building / "_build" / "html" / page.name).exists():
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-30:])
        raise InputError(f"The book was not built, the one from before stays:\n{tail}")
    shutil.rmtree(paths.BOOK / "_build", ignore_errors=True)
    shutil.move(building / "_build", paths.BOOK / "_build")
    return page


def warn(dataset: Dataset, profile_name: str) -> None:
    """Says so where a model that should show people does not, by its 1-NN accuracy."""
    if profile_name == "smoke":
        return
    for name, gate in GATES.items():
        run = run_for(name, config_for(name, profile_name), dataset, profile_name)
        if not run.evaluation.exists():
            continue
        if (accuracy := json.loads(run.evaluation.read_text())["accuracy"]) > gate:
            print(
                f"Warning: the 1-NN accuracy of {name} is {accuracy:.1%}, above {gate:.0%}: its "
                "poses do not look real yet. Train it longer.",
                file=sys.stderr,
            )
