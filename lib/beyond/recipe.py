"""The recipe of a run with settings that the thesis does not have."""

import torch

from lib.beyond import initialisation
from lib.beyond.averaging import Average
from lib.beyond.keypoints import KeypointDiscriminator, KeypointGenerator, relative
from lib.config import Config
from lib.data.cache import Split
from lib.errors import InputError
from lib.models.recipe import Recipe
from lib.models.tables import Discriminator, Generator


def recipe_for(config: Config) -> Recipe:
    """The thesis's recipe, or that of a run that goes beyond it."""
    return Beyond(config) if config.beyond else Recipe(config)


class Beyond(Recipe):
    """The options of :class:`lib.config.Config` below the line; see :class:`Recipe` for what each
    method is asked. Of an option that is off, it does what the thesis does."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.places = config.networks == "keypoints"
        self.smallest_batch = 2 if self.places else 1  # a vector alone has no variance
        self.average: Average | None = None

    def networks(self) -> tuple[Generator, Discriminator]:
        a, c = self.algorithm, self.config
        arguments = a.conditional, a.batch_norm, a.sigmoid, c.features
        if self.places:
            D = KeypointDiscriminator(*arguments, projection=c.projection)
            return KeypointGenerator(a.conditional, c.features), D
        if c.projection:
            raise InputError("projection is for networks=keypoints, not for heatmaps.")
        return super().networks()

    def initialise(self, network: torch.nn.Module, generator: torch.Generator) -> None:
        if self.config.initialisation != "he":
            return super().initialise(network, generator)
        initialisation.initialise(network, generator)

    def read(self, poses: torch.Tensor) -> torch.Tensor:
        """As keypoints from the centre, where D reads keypoints."""
        return relative(poses) if self.places else super().read(poses)

    def synthesised(self, G: Generator, z: torch.Tensor, h: torch.Tensor | None) -> torch.Tensor:
        return relative(G.poses(z, h)) if self.places else super().synthesised(G, z, h)

    def poses(self, G: Generator, z: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
        """Where G places keypoints they lie between the points of a heatmap, too."""
        return G.poses(z, h) if self.places else super().poses(G, z, h)

    def made(
        self, G: Generator, z: torch.Tensor, h: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """No heatmaps where G places keypoints: they would be drawn from them."""
        return {"poses": G.poses(z, h)} if self.places else super().made(G, z, h)

    def pool(self, split: Split) -> torch.Tensor:
        return split.pair_rows if self.config.caption_pool == "pairs" else super().pool(split)

    def rates(self, left: float) -> tuple[float, float]:
        """In the last ``rate_decay`` of the run rates fall linearly to 0, G's in the last
        ``rate_decay_g``; G's is ``rate_g`` times D's."""
        c = self.config
        d, g = (
            min(1.0, left / share) if share else 1.0
            for share in (c.rate_decay, c.rate_decay_g or c.rate_decay)
        )
        return c.learning_rate * d, c.learning_rate * c.rate_g * g

    def begin(self, G: Generator) -> None:
        self.average = Average(G, self.config.ema) if self.config.ema else None

    def updated(self, G: Generator, updates: int) -> None:
        if self.average is not None:
            self.average.update(G, updates)

    def kept(self, G: Generator, batches, seed: int) -> Generator:
        return G if self.average is None else self.average.calibrated(batches, seed)

    def state(self, G: Generator) -> dict:
        return {} if self.average is None else {"G": G.state_dict()}

    def load(self, G: Generator, kept: dict[str, torch.Tensor], state: dict) -> None:
        if self.average is None:
            return super().load(G, kept, state)
        G.load_state_dict(state["G"])
        self.average.G.load_state_dict(kept)
