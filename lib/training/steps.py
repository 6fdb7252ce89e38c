"""How the steps of a run are executed: as they come, compiled in part, or recorded on a GPU.

The environment variable ``THESIS_STEPS`` chooses, and does not change what is computed beyond the
order of sums: "compiled" fuses the kernels of G and D (a minute of compiling, no gain on a
processor); "captured" records each step as a CUDA graph once and replays it, which spares the
launching of several hundred kernels; "compiled captured" does both. By default neither is done.
"""

import os
from collections import Counter
from collections.abc import Callable

import torch

from lib.errors import InputError, unknown
from lib.training import distributed

# Steps before one is recorded, in which libraries and optimisers make what they keep.
WARM_UP = 3


def chosen() -> set[str]:
    """The words of THESIS_STEPS. Raises InputError if one is unknown, or "captured" cannot be."""
    words = set(os.environ.get("THESIS_STEPS", "").split())
    for word in words - {"compiled", "captured"}:
        raise InputError(unknown("word of THESIS_STEPS", word, ["compiled", "captured"]))
    if "captured" in words and not (torch.cuda.is_available() and distributed.world() == 1):
        raise InputError("THESIS_STEPS=captured needs a GPU and a single process.")
    return words


def compiled(network: torch.nn.Module) -> Callable:
    """A network that runs in fused kernels, for minibatches of one size."""
    return torch.compile(network, fullgraph=True, dynamic=False)


def record(step: Callable[[], torch.Tensor], generator: torch.Generator) -> Callable:
    """Records a step's kernels, without running them; returns a function that runs them and
    returns the loss. The step reads and writes the same tensors each time, never waits, and takes
    its random numbers from the ``generator``, on the GPU."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return loss.clone()  # the next replay writes to the same place

    return replay


def aside(step: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Runs a step on another stream, as CUDA wants it before one is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        loss = step()
    torch.cuda.current_stream().wait_stream(stream)
    return loss


class Steps:
    """The D and G steps of a trainer on minibatches that are drawn within them."""

    def __init__(self, trainer, batches):
        self.trainer, self.batches, self.batch = trainer, batches, None

    def discriminator(self, indices: torch.Tensor) -> torch.Tensor:
        """A D step on the poses (m,); its loss."""
        self.batch = self.batches.draw(indices, self.trainer.generator)
        return self.trainer.discriminator_step(self.batch, self.batches)

    def generator(self) -> torch.Tensor:
        """A G step with the captions of the last D step; its loss."""
        return self.trainer.generator_step(self.batch, self.batches)


class CapturedSteps(Steps):
    """The same, recorded once; a smaller minibatch at the end of a pass is executed as it comes."""

    def __init__(self, trainer, batches):
        super().__init__(trainer, batches)
        self.indices = torch.zeros(batches.config.batch_size, dtype=torch.int64).to(batches.device)
        self.taken, self.recorded = Counter(), {}
        self.whole = None  # the minibatch that recorded steps write to and read

    def discriminator(self, indices: torch.Tensor) -> torch.Tensor:
        if len(indices) != len(self.indices):
            return super().discriminator(indices)
        self.indices.copy_(indices)
        if "D" in self.recorded:
            self.batch = self.whole
        loss = self._take("D", lambda: Steps.discriminator(self, self.indices))
        self.whole = self.batch
        return loss

    def generator(self) -> torch.Tensor:
        if self.batch is not self.whole:
            return super().generator()
        return self._take("G", super().generator)

    def _take(self, name: str, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        self.taken[name] += 1
        if self.taken[name] <= WARM_UP:
            return aside(step)
        if name not in self.recorded:
            self.recorded[name] = record(step, self.trainer.generator)
        return self.recorded[name]()


def steps_for(trainer, batches) -> Steps:
    """The steps in the way that THESIS_STEPS chooses."""
    return (CapturedSteps if "captured" in chosen() else Steps)(trainer, batches)
