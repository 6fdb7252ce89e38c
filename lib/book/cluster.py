"""Notebooks executed side by side on Dask workers, of this machine or of a cluster.

A worker does one notebook at a time, and only waits for its kernel, which is told all by its
environment. On a machine with GPUs there are at most as many workers as GPUs, and each shows its
kernels one of them (``CUDA_VISIBLE_DEVICES``); without, the workers share the cores. The workers
of a cluster see the GPUs, and have the threads, that they were started with.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import torch

from lib import paths
from lib.book.execute import ALLOCATOR, execute, kernel_environment, up_to_date
from lib.errors import InputError
from lib.training.progress import Display
from lib.training.runs import Run

if TYPE_CHECKING:  # its import takes most of a second, and notebooks read tables of sweeps alone
    from distributed import Client

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Execution:
    """A notebook to execute (:func:`lib.book.execute.execute`), and the run that it makes."""

    notebook: Path
    parameters: dict[str, Any]
    mark: str
    target: Path
    temporary: Path
    run: Run

    @property
    def name(self) -> str:
        return self.target.stem

    @property
    def done(self) -> bool:
        return self.run.finished and up_to_date(self.target, self.mark)

    @property
    def state(self) -> Path:
        """Where its kernel tells how far the run is, in a folder of its own."""
        return self.target.parent / "progress" / self.name / f"{self.run.experiment}.json"


def execute_all(
    executions: list[Execution], seconds: float, workers: int = 0, address: str = ""
) -> dict[str, str]:
    """Executes each notebook on the next free worker, and shows how far they are. One that fails
    does not stop the others: its name and a sentence that says of what it failed are returned.

    ``seconds`` is what a notebook is expected to take. There are ``workers`` on this machine (0:
    one a core, or one a GPU), or those of the Dask cluster at ``address``, which have one thread
    each and see this repository and its data at the same paths. Raises an InputError if the
    cluster cannot be used, or is lost.
    """
    from distributed import CancelledError, wait

    cores, gpus = joblib.cpu_count(), [] if address else _gpus()
    # Said to the kernels wherever they run: Dask lets its workers return memory to the system and
    # use one thread, so that it is not enough that they inherit it.
    environment = {name: os.environ.get(name, value) for name, value in ALLOCATOR.items()}
    environment["THESIS_HOME"] = str(paths.HOME)
    workers = min(workers or cores, len(executions), len(gpus) or len(executions))
    if not address:
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // workers))
        environment |= dict.fromkeys(THREADS, threads)
    waiting, doing, faults = list(executions), {}, {}
    with (
        _client(address, workers) as client,
        Display(
            {each.name: seconds for each in executions},
            {each.name: each.state for each in executions},
            len(client.nthreads()),
        ) as display,
    ):
        while waiting or doing:
            # No more than there are workers: one waiting behind another would die with its worker.
            while waiting and len(doing) < max(1, len(client.nthreads())):
                execution = waiting.pop(0)
                doing[client.submit(_do, execution, environment, gpus, pure=False)] = execution.name
                display.begin(execution.name)
            try:
                finished = wait(list(doing), return_when="FIRST_COMPLETED").done
            except CancelledError:
                raise InputError(
                    "The cluster is lost. What was finished is kept: the same command goes on."
                ) from None
            for task in finished:
                name = doing.pop(task)
                if error := task.exception():
                    faults[name] = _sentence(error)
                display.end(name, faults.get(name, ""))
    return faults


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return visible.split(",")[:count]


def _client(address: str, workers: int) -> "Client":
    """A client of the cluster at an address, or else of one on this machine that ends with it, and
    of which no port is open to other machines."""
    from distributed import Client

    if not address:
        return Client(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,  # none: it is the kernels that take memory
            silence_logs=logging.CRITICAL,
            # What has killed its worker is not tried on the others; and no fixed port.
            scheduler_kwargs={"allowed_failures": 0, "dashboard_address": "127.0.0.1:0"},
        )
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"There is no Dask cluster at {address} ({error}).") from None
    if set(client.nthreads().values()) != {1}:
        client.close()
        raise InputError(
            f"The cluster at {address} needs workers of one thread each: start them with "
            f"`dask worker {address} --nthreads 1`."
        )
    return client


def _do(given: Execution, environment: dict[str, str], gpus: list[str]) -> None:
    """Executes one notebook, on a worker."""
    from distributed import get_worker

    progress, before = given.state.parent, dict(os.environ)
    os.environ.update(environment, THESIS_PROGRESS=str(progress))
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[int(get_worker().name)]
    try:
        kernel_environment()
        progress.mkdir(parents=True, exist_ok=True)
        execute(given.notebook, given.parameters, given.mark, given.target, given.temporary)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _sentence(error: BaseException) -> str:
    """What a notebook failed of, on one line."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "Its worker was killed from outside, perhaps for lack of memory."
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
