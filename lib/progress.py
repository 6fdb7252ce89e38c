"""How far a training is, for the person who waits.

A notebook opened by hand shows a tqdm bar. When the pipeline executes it, the state goes to a file
in the folder that ``THESIS_PROGRESS`` names instead, and the pipeline shows it.
"""

import json
import os
import time
from pathlib import Path

from tqdm.auto import tqdm

INTERVAL = 0.5  # seconds between two updates


class Progress:
    """Shows iteration, epoch and losses of one training.

    Args:
        name: what is trained.
        start, total: the first iteration of this sitting, and the number of all.
        per_epoch: iterations in an epoch.
        silent: another process shows the same training.
    """

    def __init__(self, name: str, start: int, total: int, per_epoch: int, silent: bool = False):
        self.name, self.total, self.per_epoch = name, total, per_epoch
        folder = os.environ.get("THESIS_PROGRESS")
        self.file = Path(folder) / f"{name}.json" if folder and not silent else None
        self.begun, self.start, self.shown = time.monotonic(), start, 0.0
        bar = {"total": total, "initial": start, "desc": name, "unit": "it", "disable": silent}
        self.bar = None if self.file else tqdm(**bar)

    def update(self, iteration: int) -> None:
        """Tells that ``iteration`` iterations are done."""
        now = time.monotonic()
        if now - self.shown < INTERVAL and iteration < self.total:
            return
        self.shown = now
        epoch = iteration / self.per_epoch
        if self.bar is not None:
            self.bar.set_postfix(epoch=f"{epoch:.1f}/{self.total / self.per_epoch:.1f}")
            self.bar.update(iteration - self.bar.n)
            return
        done = iteration - self.start
        left = (now - self.begun) / done * (self.total - iteration) if done else None
        state = {
            "iteration": iteration,
            "iterations": self.total,
            "epoch": epoch,
            "epochs": self.total / self.per_epoch,
            "seconds_left": left,
        }
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(state))
        os.replace(new, self.file)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
