"""Settings of a training, the profiles that give them, and the identity they make.

A profile is a TOML file in ``profiles/``: its table ``[training]`` holds for all experiments,
``[training.NAME]`` for one, and the other tables are for data and evaluation.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import tomllib
from dataclasses import dataclass
from typing import Any

from lib import paths
from lib.errors import InputError
from lib.losses import ALGORITHMS

# Each experiment, and the notebook that runs it.
NOTEBOOKS = {
    "gan": "02_gan",
    "wgan": "03_wgan",
    "wgan_gp": "04_wgan_gp",
    "conditional_full": "06_conditional_full",
    "reduced": "07_reduced",
    "conditional_reduced": "08_conditional_reduced",
    "conditional_random": "09_conditional_random",
    "conditional_gan": "11_conditional_gan",
}
LABELS = {  # those of the thesis, in its order, as tables call them
    "gan": "GAN",
    "wgan": "WGAN",
    "wgan_gp": "WGAN-GP",
    "reduced": "WGAN-GP, reduced",
    "conditional_full": "conditional, full, warm start",
    "conditional_reduced": "conditional, reduced, warm start",
    "conditional_random": "conditional, reduced, random start",
}

CHOICES = {
    "networks": ("heatmaps", "keypoints"),
    "initialisation": ("normal", "he"),
    "precision": ("fp32", "bf16"),
    "caption_pool": ("all", "pairs"),
}
LIMITS = (("features", 8), ("narrowest", 4_096), ("batch_size", 65_536), ("epochs", 1_000_000))


@dataclass(frozen=True)
class Config:
    """All that determines a training's result, beside its data and its parent's weights."""

    algorithm: str  # a key of lib.losses.ALGORITHMS
    seed: int = 0
    features: float = 1.0  # width of G and D relative to Tables 1 to 4
    networks: str = "heatmaps"  # what G makes and D reads; "keypoints": lib.beyond.keypoints
    narrowest: int = 1  # channels that every layer of G and D has at least
    k: int = 1  # D steps before each G step
    c: float = 0.01  # D's parameters are clamped to [-c, c] (WGAN)
    lambda_: float = 10.0  # weight of the penalty in D's loss
    alpha: float = 1.0  # weight of mismatching captions in D's loss, equation 8
    beta: float = 0.5  # interpolation of two encodings, equation 7
    learning_rate: float = 5.0e-4  # of both networks
    rate_g: float = 1.0  # factor of learning_rate for G
    momenta: tuple[float, ...] = (0.5, 0.999)  # first and second, of Adam
    smoothing: float = 0.99  # of RMSProp (WGAN)
    batch_size: int = 128  # m, poses a minibatch
    epochs: float = 50.0  # length of the training
    epoch_size: int = 0  # poses in an epoch; 0: all training poses once, as in the thesis
    snapshots: tuple[float, ...] = ()  # epochs after which G is kept
    augment: bool = True  # flip and rotate real poses (3.2)
    caption_scale: float = 30.0  # an encoding is multiplied by this for the networks (4.3)
    caption_pool: str = "all"  # from which h^ and h~ are drawn: "all" captions, or those of "pairs"
    initialisation: str = "normal"  # or "he", see lib.models.weights.initialise
    precision: str = "fp32"  # or "bf16", see lib.training.loop.Trainer
    zero_background: bool = (
        False  # D sees an empty heatmap as 0, see lib.models.tables.Discriminator
    )
    projection: bool = False  # D projects poses onto captions, see lib.models.tables.Discriminator
    ema: float = 0.0  # decay of the average of G's weights that is kept instead of them; 0: none
    rate_decay: float = 0.0  # share of the training, at its end, in which learning_rate falls to 0
    rate_decay_g: float = 0.0  # the same for G's share of it; 0: as rate_decay
    rejection_epochs: float = (
        0.0  # then D alone learns to choose among poses, see lib.beyond.rejection
    )
    parent: str = ""  # experiment whose trained networks are the warm start (4.3)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = _checked(field.name, getattr(self, field.name), field.type)
            object.__setattr__(self, field.name, value)
        if self.algorithm not in ALGORITHMS:
            raise InputError(
                f"algorithm = {self.algorithm!r} is not known; it is one of "
                f"{', '.join(ALGORITHMS)}."
            )
        if self.projection and not ALGORITHMS[self.algorithm].conditional:
            raise InputError(f"projection is for conditional algorithms, not for {self.algorithm}.")
        algorithm = ALGORITHMS[self.algorithm]
        if self.rejection_epochs and (algorithm.conditional or not algorithm.penalty):
            raise InputError(
                "rejection_epochs is for unconditional algorithms with a penalty, not for "
                f"{self.algorithm}."
            )
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name} = {getattr(self, name)!r} must be {' or '.join(known)}.")
        if self.zero_background and self.networks != "heatmaps":
            raise InputError("zero_background is for networks = heatmaps, which have a background.")
        for name in (
            "k",
            "c",
            "batch_size",
            "epochs",
            "features",
            "narrowest",
            "learning_rate",
            "rate_g",
        ):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} = {getattr(self, name)} must be larger than 0.")
        for name, most in LIMITS:
            if getattr(self, name) > most:
                raise InputError(f"{name} = {getattr(self, name):g} must be at most {most:,}.")
        if any(epoch <= 0 for epoch in self.snapshots):
            raise InputError(f"snapshots = {list(self.snapshots)} must be larger than 0.")
        for name in ("beta", "rate_decay", "rate_decay_g"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} = {getattr(self, name)} must be from 0 to 1.")
        for name in ("seed", "epoch_size", "lambda_", "alpha", "rejection_epochs"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} = {getattr(self, name)} must not be less than 0.")
        if self.seed >= 1 << 32:
            raise InputError(f"seed = {self.seed} must be below {1 << 32}.")
        if len(self.momenta) != 2:
            raise InputError(f"momenta = {list(self.momenta)} must be two numbers.")
        for name in ("momenta", "smoothing", "ema"):
            numbers = getattr(self, name)
            for number in numbers if isinstance(numbers, tuple) else [numbers]:
                if not 0 <= number < 1:
                    raise InputError(f"{name} = {number} must be at least 0 and below 1.")

    def replace(self, **changes: Any) -> "Config":
        """A copy with ``changes``.

        Raises:
            InputError: a key is not known, or its value has another type.
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise InputError(unknown("setting", name, names))
        return dataclasses.replace(self, **changes)


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The sentence for a name that is not known, with the likeliest one that was meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return f"The {kind} {name!r} is not known: {hint}"


def _checked(name: str, value: Any, kind: Any) -> Any:
    """``value`` as its field's type, where that loses nothing."""
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise InputError(f"{name} = {value} must be a finite number.")
        return float(value)
    if kind == tuple[float, ...]:
        if isinstance(value, list | tuple):
            return tuple(_checked(name, item, float) for item in value)
        kind = list
    if type(value) is not kind:
        wanted = {int: "a whole number", float: "a number", list: "a list of numbers"}.get(
            kind, kind.__name__
        )
        given = "a word" if isinstance(value, str) else f"a {type(value).__name__}"
        raise InputError(f"{name} = {value!r} must be {wanted}, not {given}.")
    return value


def profile(name: str) -> dict[str, Any]:
    """The tables of ``profiles/NAME.toml``.

    Raises:
        InputError: there is no such profile, or it is not TOML.
    """
    path = paths.PROFILES / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in paths.PROFILES.glob("*.toml"))
        raise InputError(unknown("profile", str(name), known))
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{paths.shown(path)} is not valid TOML: {error}.") from None


def config_for(experiment: str, profile_name: str) -> Config:
    """The settings that a profile gives an experiment.

    Raises:
        InputError: the experiment or the profile is not known, or a setting of it is wrong.
    """
    if experiment not in NOTEBOOKS:
        raise InputError(unknown("experiment", experiment, list(NOTEBOOKS)))
    training = profile(profile_name).get("training", {})
    shared = {key: value for key, value in training.items() if not isinstance(value, dict)}
    settings = shared | training.get(experiment, {})
    if "algorithm" not in settings:
        raise InputError(
            f"{paths.shown(paths.PROFILES / profile_name)}.toml has no algorithm for "
            f"{experiment!r}: give it in a table [training.{experiment}]."
        )
    return Config(settings.pop("algorithm")).replace(**settings)


def identity(config: Config, data_id: str, parent: str = "") -> str:
    """Ten hexadecimal digits that tell runs with different results apart.

    They depend on the settings, on the data and on the identity of the parent run, not on the
    device or on how often a run was interrupted. A setting at its default does not count, so that
    a setting added later leaves the identity of earlier runs as it is.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    settings = dataclasses.asdict(config)
    made_of = [{k: v for k, v in settings.items() if v != defaults[k]}, data_id, parent]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:10]
