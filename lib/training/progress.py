"""How far a run is, for the person who waits.

A notebook opened by hand shows a tqdm bar. When the pipeline or a sweep executes it, the state goes
to a file in the folder that ``THESIS_PROGRESS`` names, and :class:`Display` shows it next to those
of the notebooks that are executed at the same time.
"""

import contextlib
import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from lib import paths
from lib.training import distributed

INTERVAL = 0.5  # seconds between two updates


def _stream():
    """Where a bar is drawn: a notebook would show it in red on stderr."""
    kernel = type(sys.stdout).__module__.startswith("ipykernel")
    return sys.stdout if kernel else sys.stderr


def passing(name: str, steps: Iterable) -> Iterator:
    """Goes through the steps of something slow, with a bar that goes away at the end; without a
    bar where a notebook is executed for the book."""
    executed = bool(os.environ.get("THESIS_PROGRESS"))
    yield from tqdm(steps, name, leave=False, file=_stream(), disable=executed)


class Progress:
    """Shows the iteration and epoch of a training run, of which ``start`` of ``total`` iterations
    are done already; the first of several processes does."""

    def __init__(self, name: str, start: int, total: int, per_epoch: int):
        self.start, self.total, self.per_epoch = start, total, per_epoch
        folder, silent = os.environ.get("THESIS_PROGRESS"), distributed.rank() > 0
        self.file = Path(folder) / f"{name}.json" if folder and not silent else None
        self.begun, self.shown = time.monotonic(), 0.0
        hidden = silent or self.file is not None
        self.bar = tqdm(total=total, initial=start, desc=name, file=_stream(), disable=hidden)

    def update(self, iteration: int) -> None:
        """Tells that ``iteration`` iterations are done."""
        now = time.monotonic()
        if now - self.shown < INTERVAL and iteration < self.total:
            return
        self.shown = now
        epoch, epochs = iteration / self.per_epoch, self.total / self.per_epoch
        self.bar.set_postfix(epoch=f"{epoch:.1f}/{epochs:.1f}")
        self.bar.update(iteration - self.bar.n)
        if self.file:
            done = iteration - self.start
            left = (now - self.begun) / done * (self.total - iteration) if done else None
            state = {"iteration": iteration, "iterations": self.total, "seconds_left": left}
            paths.write_text(self.file, json.dumps(state | {"epoch": epoch, "epochs": epochs}))

    def close(self) -> None:
        self.bar.close()


class Display:
    """One line with parts, epochs and time left; on a terminal it is rewritten, in a log it is
    printed every half minute.

    Each part is ``expected`` to take some seconds, NaN where nobody knows, with ``jobs`` of them
    side by side; its training run says in a file of ``files`` how far it is (:class:`Progress`).
    """

    def __init__(self, expected: dict[str, float], files: dict[str, Path], jobs: int = 1):
        self.expected, self.files, self.jobs = expected, files, jobs
        self.begun: dict[str, float] = {}  # parts that are being done, and since when
        self.spent: dict[str, float] = {}  # seconds that the finished parts took
        self.failed: set[str] = set()  # of the finished parts
        self.terminal = sys.stderr.isatty()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Display":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Counts what is done inside as the part ``name``."""
        self.begin(name)
        try:
            yield
            self.end(name)
        finally:
            self.begun.pop(name, None)  # where it was stopped

    def begin(self, name: str) -> None:
        """Counts the part ``name`` among those that are being done."""
        self.begun[name] = time.monotonic()

    def end(self, name: str, fault: str = "") -> None:
        """Counts the part ``name`` as done, or as failed, and says why."""
        self.spent[name] = time.monotonic() - self.begun.pop(name)
        if fault:
            self.failed.add(name)
        took = tqdm.format_interval(self.spent[name])
        self._write(f"{name}: " + (f"failed: {fault}" if fault else f"done in {took}"), final=True)

    def _show(self) -> None:
        while not self.ended.wait(1 if self.terminal else 30):
            self._write(self.line(time.monotonic()))

    def line(self, now: float) -> str:
        """The line as it is at the time ``now`` of the monotonic clock."""
        here, waiting = [], 0.0
        for name, begun in list(self.begun.items()):
            text, left = name, max(self.expected[name] - (now - begun), 0.0)
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                state = json.loads(self.files[name].read_text())
                left = state["seconds_left"] + 5
                text += f" epoch {state['epoch']:.1f} of {state['epochs']:g}"
            here.append(text)
            waiting += left
        # What follows is expected to take as much longer than planned as what is done did.
        whole = self.spent.keys() - self.failed
        known = [name for name in whole if math.isfinite(self.expected[name])]
        planned = sum(map(self.expected.get, known))
        factor = sum(map(self.spent.get, known)) / planned if planned else 1.0
        rest = self.expected.keys() - self.begun.keys() - self.spent.keys()
        waiting += factor * sum(map(self.expected.get, rest))
        failed = f", {len(self.failed)} failed" if self.failed else ""
        done = f"[{len(whole)} of {len(self.expected)} done{failed}]"
        left = ""  # where a training run has not begun that nothing is known of
        if math.isfinite(waiting):
            left = f"; {tqdm.format_interval(waiting / self.jobs)} left"
        return f"{done} {', '.join(here)}{left}"

    def _write(self, line: str, final: bool = False) -> None:
        if self.terminal and not final:  # a line that wraps could not be rewritten
            line = line[: shutil.get_terminal_size().columns - 1]
        start, end = ("\r\033[K", "\n" if final else "") if self.terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)
