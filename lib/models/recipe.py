"""The seam between the thesis and what goes beyond it.

A recipe answers what the loop, the minibatches and the runs ask wherever there are other ways than
the thesis's. The one here is the thesis's; :class:`lib.beyond.recipe.Beyond` has the others.
"""

import torch

from lib.config import Config
from lib.data.cache import Split
from lib.data.heatmaps import decode, from_network, render
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models import weights
from lib.models.synthesis import synthesise_parts
from lib.models.tables import Discriminator, Generator


class Recipe:
    """What G makes and D reads, how both begin and learn, and what is kept of them."""

    smallest_batch = 1  # poses that batch norm needs

    def __init__(self, config: Config):
        self.config, self.algorithm = config, ALGORITHMS[config.algorithm]

    def networks(self) -> tuple[Generator, Discriminator]:
        """G and D as the algorithm wants them (3.3.1, 3.3.2), not initialised."""
        a, features = self.algorithm, self.config.features
        D = Discriminator(a.conditional, a.batch_norm, a.sigmoid, features)
        return Generator(a.conditional, features), D

    def initialise(self, network: torch.nn.Module, generator: torch.Generator) -> None:
        """Random weights (4.1)."""
        weights.initialise(network, generator)

    def read(self, poses: torch.Tensor) -> torch.Tensor:
        """Real poses (B, 17, 3) as D reads them: heatmaps (B, 17, 64, 64) in [-1, 1] (3.3.1)."""
        return render(poses, low=-1.0)

    def synthesised(self, G: Generator, z: torch.Tensor, h: torch.Tensor | None) -> torch.Tensor:
        """Poses of G as D reads them; can be differentiated by G's weights."""
        return G(z, h)

    def poses(self, G: Generator, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Poses of G (B, 17, 3), as exactly as it places them."""
        return torch.cat([decode(part) for part in synthesise_parts(G, z, h)])

    def made(
        self, G: Generator, z: torch.Tensor, h: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """All that G makes of a batch, by name: poses (B, 17, 3), and the heatmaps
        (B, 17, 64, 64), in [0, 1], that they are decoded from."""
        heatmaps = from_network(G(z, h))
        return {"poses": decode(heatmaps), "heatmaps": heatmaps}

    def pool(self, split: Split) -> torch.Tensor:
        """Rows of the captions from which h^ and h~ are drawn: all (4.3).

        Raises:
            InputError: the data do not hold all.
        """
        if not split.whole:
            raise InputError(
                "These compact data hold the captions of the pairs only: train with "
                "caption_pool=pairs, or on the whole data."
            )
        return torch.arange(len(split.vectors))

    def rates(self, left: float) -> tuple[float, float]:
        """Learning rates of D and G while the share ``left`` of the run, from 1 to 0, remains."""
        return self.config.learning_rate, self.config.learning_rate

    def begin(self, G: Generator) -> None:
        """Called with the initialised G."""

    def updated(self, G: Generator, updates: int) -> None:
        """Called after each update of G, with how many there were."""

    def kept(self, G: Generator, batches, seed: int) -> Generator:
        """The generator that the run keeps, at any time in it."""
        return G

    def state(self, G: Generator) -> dict:
        """What a checkpoint holds besides the networks kept, optimisers and counts."""
        return {}

    def load(self, G: Generator, kept: dict[str, torch.Tensor], state: dict) -> None:
        """Fills G from a checkpoint: the weights ``kept`` and what :meth:`state` has added."""
        G.load_state_dict(kept)
