"""Settings of a run, the profiles that give them, and the identity they make.

A profile is a TOML file in ``profiles/``: its table ``[training]`` holds for all experiments,
``[training.NAME]`` for one, and the other tables are for data and evaluation.
"""

import dataclasses
import functools
import hashlib
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from lib import paths
from lib.errors import InputError, unknown
from lib.losses import ALGORITHMS
from lib.notebooks import NOTEBOOKS

LABELS = {  # those of the thesis, in its order, as tables call them
    "gan": "GAN",
    "wgan": "WGAN",
    "wgan_gp": "WGAN-GP",
    "reduced": "WGAN-GP, reduced",
    "conditional_full": "conditional, full, warm start",
    "conditional_reduced": "conditional, reduced, warm start",
    "conditional_random": "conditional, reduced, random start",
}

# How a sentence goes on after "must" or "is for", and whether it holds.
Rule = tuple[str, Callable[[Any], bool]]
POSITIVE = "be larger than 0", lambda value: value > 0
NOT_NEGATIVE = "not be less than 0", lambda value: value >= 0
SHARE = "be from 0 to 1", lambda value: 0 <= value <= 1
BELOW_1 = "be at least 0 and below 1", lambda value: 0 <= value < 1
CONDITIONAL = "conditional algorithms", lambda a: a.conditional


def at_most(limit: int) -> Rule:
    return f"be at most {limit:,}", lambda value: value <= limit


def below(limit: int) -> Rule:
    return f"be below {limit}", lambda value: value < limit


def one_of(*names: str) -> Rule:
    return f"be {' or '.join(names)}", lambda value: value in names


def setting(
    default: Any, meaning: str, *rules: Rule, of: Rule | None = None, beyond: bool = False
) -> Any:
    """A field of :class:`Config`, with its meaning in one line, unit included. The value, or each
    number of a list, keeps to the ``rules``; algorithms other than ``of`` have the default;
    ``beyond``: the thesis does not have it."""
    metadata = {"meaning": meaning, "rules": rules, "of": of, "beyond": beyond}
    return field(default=default, metadata=metadata)


option = functools.partial(setting, beyond=True)
TABLES = {  # of a profile, besides those of settings and of seconds: their keys, each with a value
    "data": {"encoder_epochs": 5, "seed": 0, "sample_images": [6000, 600], "official": False},
    "evaluation": {"poses": 17_326, "repeats": 10_000},
}


@dataclass(frozen=True)
class Config:
    """All that determines the result of a run, besides its data and its parent's weights."""

    algorithm: str  # a key of lib.losses.ALGORITHMS
    seed: int = setting(0, "of weights, noise and the order of poses", NOT_NEGATIVE, below(1 << 32))
    features: float = setting(1.0, "width of G and D relative to the tables", POSITIVE, at_most(8))
    k: int = setting(1, "D steps before each G step", POSITIVE)
    c: float = setting(0.01, "D's parameters are clamped to [-c, c] (WGAN)", POSITIVE)
    lambda_: float = setting(10.0, "weight of the penalty in D's loss", NOT_NEGATIVE)
    alpha: float = setting(1.0, "weight of mismatching captions, equation 8", NOT_NEGATIVE)
    beta: float = setting(0.5, "interpolation of two encodings, equation 7", SHARE)
    learning_rate: float = setting(5.0e-4, "of both networks", POSITIVE)
    momenta: tuple[float, ...] = setting((0.5, 0.999), "first and second, of Adam", BELOW_1)
    smoothing: float = setting(0.99, "of RMSProp (WGAN)", BELOW_1)
    batch_size: int = setting(128, "m, poses in a minibatch", POSITIVE, at_most(65_536))
    epochs: float = setting(50.0, "length of the run", POSITIVE, at_most(1_000_000))
    snapshots: tuple[float, ...] = setting((), "epochs after which G is kept", POSITIVE)
    augment: bool = setting(True, "flip and rotate real poses (3.2)")
    caption_scale: float = setting(30.0, "an encoding is multiplied by this (4.3)")
    precision: str = setting("fp32", "of networks: lib.training.trainer", one_of("fp32", "bf16"))
    parent: str = setting("", "experiment, or run, whose networks are the warm start (4.3)")

    # Beyond the thesis (lib.beyond): off by default.
    epoch_size: int = option(0, "poses in an epoch; 0: every training pose once", NOT_NEGATIVE)
    networks: str = option("heatmaps", "what G makes and D reads", one_of("heatmaps", "keypoints"))
    initialisation: str = option("normal", "N(0, 0.02^2), or He et al.'s", one_of("normal", "he"))
    caption_pool: str = option("all", "origin of mismatching captions", one_of("all", "pairs"))
    projection: bool = option(False, "D projects poses onto captions", of=CONDITIONAL)
    rate_g: float = option(1.0, "G's learning rate relative to D's", POSITIVE)
    rate_decay: float = option(0.0, "share of the run at its end in which rates fall to 0", SHARE)
    rate_decay_g: float = option(0.0, "the same for G; 0: as rate_decay", SHARE)
    ema: float = option(0.0, "decay of the average of G's weights; 0: no average", BELOW_1)

    def __post_init__(self):
        if self.algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise InputError(f"algorithm = {self.algorithm!r} is not known; it is one of {known}.")
        for each in dataclasses.fields(self):
            name, value = each.name, _typed(each.name, getattr(self, each.name), each.type)
            numbers = list(value) if isinstance(value, tuple) else [value]
            shown = numbers if isinstance(value, tuple) else value
            if name == "momenta" and len(value) != 2:
                raise InputError(f"{name} = {shown} must be two numbers.")
            for phrase, holds in each.metadata.get("rules", ()):
                if not all(map(holds, numbers)):
                    raise InputError(f"{name} = {shown!r} must {phrase}.")
            kind, fits = each.metadata.get("of") or ("all algorithms", lambda a: True)
            if value != each.default and not fits(ALGORITHMS[self.algorithm]):
                raise InputError(f"{name} is for {kind}, not for {self.algorithm}.")
            object.__setattr__(self, name, value)

    @property
    def beyond(self) -> bool:
        """Whether any setting that the thesis does not have differs from its default."""
        own = [each for each in dataclasses.fields(self) if each.metadata.get("beyond")]
        return any(getattr(self, each.name) != each.default for each in own)

    def scaled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Encodings h (N, 300) as the networks take them: times 30 (4.3)."""
        return vectors * self.caption_scale

    def differing(self, other: "Config", *allowed: str) -> list[str]:
        """Names of the settings in which two runs differ, except for those ``allowed`` and for the
        epochs after which G is kept."""
        names = {each.name for each in dataclasses.fields(self)} - {"snapshots", *allowed}
        return sorted(name for name in names if getattr(self, name) != getattr(other, name))

    def replace(self, **changes: Any) -> "Config":
        """A copy with ``changes``. Raises InputError if a key or a value is wrong."""
        names = [field.name for field in dataclasses.fields(self)]
        if wrong := [name for name in changes if name not in names]:
            raise InputError(unknown("setting", wrong[0], names))
        return dataclasses.replace(self, **changes)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """``value`` as a type, where that loses nothing."""
    if kind == tuple[float, ...] and isinstance(value, list | tuple):
        return tuple(_typed(name, item, float) for item in value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        names = {int: "a whole number", float: "a number", tuple[float, ...]: "a list of numbers"}
        wanted = names.get(kind, kind.__name__)
        given = "a word" if isinstance(value, str) else f"a {type(value).__name__}"
        raise InputError(f"{name} = {value!r} must be {wanted}, not {given}.")
    if kind is float and not math.isfinite(value):
        raise InputError(f"{name} = {value} must be a finite number.")
    return value


def profile(name: str) -> dict[str, Any]:
    """The tables of ``profiles/NAME.toml``: "data", "evaluation", "training" and "seconds". Raises
    InputError if it is missing or no TOML, or a table, a key or a value is not known; settings are
    looked at by :func:`config_for`."""
    path = paths.PROFILES / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in paths.PROFILES.glob("*.toml"))
        raise InputError(unknown("profile", str(name), known))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{paths.shown(path)} is not valid TOML in UTF-8: {error}.") from None
    names, place = [*TABLES, "training", "seconds"], f"of {paths.shown(path)}"
    for table, keys in content.items():
        if table not in names:
            raise InputError(unknown(f"table {place}", table, names))
        if not isinstance(keys, dict):
            raise InputError(f"{table} = {keys!r} {place} must be a table, [{table}].")
        for key, value in keys.items() if table in TABLES else ():
            example = TABLES[table].get(key)
            if example is None:
                raise InputError(unknown(f"key in [{table}] {place}", key, list(TABLES[table])))
            if not _like(value, example):
                raise InputError(f"{key} = {value!r} {place} must be something like {example!r}.")
    found = {table: content.get(table, {}) for table in names}
    return found | {"evaluation": TABLES["evaluation"] | found["evaluation"]}


def _like(value: Any, example: Any) -> bool:
    """Whether a value has the type of an example, and no number in it is below 0."""
    if isinstance(example, list):
        pairs = isinstance(value, list) and len(value) == len(example)
        return pairs and all(map(_like, value, example))
    return type(value) is type(example) and value >= 0


def config_for(experiment: str, profile_name: str, source: str = "sample") -> Config:
    """The settings that a profile gives an experiment on data of a source, "sample" or "coco". A
    profile may tell the two apart, as in ``epochs = { sample = 290, coco = 50 }``, since an epoch
    of one is longer than of the other. Raises InputError if any setting is wrong."""
    if experiment not in NOTEBOOKS:
        raise InputError(unknown("experiment", experiment, list(NOTEBOOKS)))
    training = profile(profile_name)["training"]
    shared = {key: value for key, value in training.items() if key not in NOTEBOOKS}
    settings = shared | training.get(experiment, {})
    if "algorithm" not in settings:
        raise InputError(
            f"{paths.shown(paths.PROFILES / profile_name)}.toml has no algorithm for "
            f"{experiment!r}: give it in a table [training.{experiment}]."
        )
    config = Config(settings.pop("algorithm"))
    config.replace(**dict.fromkeys(settings.keys() - vars(config).keys()))  # wrong names first
    for name, value in settings.items():
        if isinstance(value, dict) and source not in value:
            raise InputError(f"{name} of {experiment!r} has no value for the data {source!r}.")
    of_source = {k: v[source] if isinstance(v, dict) else v for k, v in settings.items()}
    config = config.replace(**of_source)
    before = (shared | training.get(config.parent, {})).get("algorithm")
    known = config.parent in NOTEBOOKS and before in ALGORITHMS
    if config.parent and not (known and not ALGORITHMS[before].conditional):
        raise InputError(
            f"parent = {config.parent!r} of {experiment!r} must be an unconditional experiment of "
            "the same profile."
        )
    return config


def identity(config: Config, data_id: str, parent: str = "") -> str:
    """Ten hexadecimal digits that tell runs with different results apart.

    They depend on the settings, on the data and on the identity of the parent run, not on the
    device or on how often a run was interrupted. A setting at its default does not count, so that
    a setting added later leaves the identity of earlier runs as it is.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    changed = {k: v for k, v in dataclasses.asdict(config).items() if v != defaults[k]}
    made_of = [changed, data_id, parent]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:10]
