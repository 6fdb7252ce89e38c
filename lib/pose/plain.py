"""A conditional generator on keypoints in plain arrays, without torch.

:class:`lib.beyond.keypoints.KeypointGenerator` in evaluation mode is four matrices: batch norm, a
factor and a summand for each number then, is part of the layer before it. So a pose takes a
fraction of a second, start-up included, and the book's page runs the same numbers.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lib import paths
from lib.data.skeleton import CENTRE, NAMES
from lib.errors import InputError

NOISE = 128  # length of z: lib.models.tables
SLOPE = 0.2  # of the leaky ReLU after a caption's layer
REACH = 36.0  # heatmap pixels: lib.beyond.keypoints
NUMBERS = 3 * len(NAMES)
EPSILON = 1e-5  # of batch norm, as in torch
Layer = tuple[np.ndarray, np.ndarray]  # weights (outputs, inputs) and biases (outputs,)


@dataclass(frozen=True)
class Plain:
    """The layer of a caption, three with a ReLU, and the last one. Computed in double precision, a
    pose does not depend on how many others are made with it, nor on the machine."""

    compress: Layer
    hidden: tuple[Layer, ...]
    last: Layer

    @classmethod
    def read(cls, path: Path) -> "Plain":
        """The generator in a file of weights. Raises InputError if it holds no such generator."""
        try:
            weights = {k: w.astype(np.float64) for k, w in load_file(path).items()}
            hidden = []
            while f"layers.{len(hidden)}.0.weight" in weights:
                hidden.append(_folded(weights, f"layers.{len(hidden)}"))
            last = f"layers.{len(hidden)}"
            return cls(
                (weights["compress.0.weight"], weights["compress.0.bias"]),
                tuple(hidden),
                (weights[f"{last}.weight"], weights[f"{last}.bias"]),
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"{paths.shown(path)} cannot be read as a conditional generator ({error!r}): "
                "restore it from the repository."
            ) from None

    def poses(self, z: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Noise z (B, 128) and encodings h (B, 300), already scaled, to poses (B, 17, 3): heatmap
        pixels and visibility 0 or 1."""
        own = z[:, :NUMBERS]
        compressed = _linear(h, self.compress)
        x = np.concatenate([z, np.maximum(compressed, SLOPE * compressed)], axis=1)
        for layer in self.hidden:
            x = np.maximum(_linear(x, layer), 0)
        mean, width = np.split(_linear(x, self.last), 2, axis=1)
        numbers = (mean + width * own).reshape(-1, len(NAMES), 3)
        place = CENTRE + REACH * np.tanh(numbers[..., :2])
        return np.concatenate([place, numbers[..., 2:] > 0], axis=2)


def _linear(x: np.ndarray, layer: Layer) -> np.ndarray:
    return x @ layer[0].T + layer[1]


def _folded(weights: dict[str, np.ndarray], name: str) -> Layer:
    """A linear layer and the batch norm after it as one layer."""
    weight, bias = weights[f"{name}.0.weight"], weights[f"{name}.0.bias"]
    mean, variance = weights[f"{name}.1.running_mean"], weights[f"{name}.1.running_var"]
    factor = weights[f"{name}.1.weight"] / np.sqrt(variance + EPSILON)
    return weight * factor[:, None], (bias - mean) * factor + weights[f"{name}.1.bias"]


def noise(number: int, seed: int) -> np.ndarray:
    """z (number, 128) as :func:`lib.models.synthesis.noise` draws it, but for the last digit.

    On a processor, torch makes of each sixteen uniform numbers of a Mersenne twister, 24 bits each,
    sixteen normal ones, by Box and Muller: the first eight give lengths, the last eight angles.
    """
    twister = np.random.MT19937()
    twister._legacy_seeding(seed)  # as the twister's authors seed it
    uniform = (twister.random_raw(number * NOISE) & (2**24 - 1)) / 2**24
    first, second = uniform.reshape(-1, 2, 8).transpose(1, 0, 2)
    length, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    normal = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
    return normal.reshape(number, NOISE).astype(np.float32)
