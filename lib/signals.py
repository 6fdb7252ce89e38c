"""Signals that ask a process to end: what it is doing comes to a good end first."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from lib.errors import InputError

# Ctrl-C; systemd, Slurm and kill; a terminal that is closed; Slurm before a time limit.
ASKING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1


class Stopped(InputError):
    """A signal has ended what was being done; the message says where that stands."""

    def __init__(self, number: int, message: str):
        super().__init__(f"Stopped by {signal.Signals(number).name}: {message}")
        self.status = 128 + number  # of the process, as a shell would give it


@contextlib.contextmanager
def asked() -> Iterator[Callable[[], int]]:
    """Inside it the first signal is only noted: the function that it gives returns its number, 0
    where there was none. A second signal does what the first one would have done outside.

    Python has signals in the main thread only; in another one nothing is changed.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    before = {number: signal.getsignal(number) for number in ASKING}
    # As under nohup, which asks that a closed terminal stops nothing.
    before = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}

    def note(number: int, _) -> None:
        noted.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: noted[0] if noted else 0
    finally:
        restore()
