"""Settings: the thesis's own numbers, what is refused, and the identity they make."""

import dataclasses
import inspect

import pytest

from lib import config, paths
from lib.beyond.recipe import recipe_for
from lib.config import Config, config_for, identity, profile
from lib.data import cache
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.notebooks import NOTEBOOKS

PROFILES = sorted(file.stem for file in paths.PROFILES.glob("*.toml"))
CRITIC = {"k": 5, "momenta": (0.0, 0.9)}
CONDITIONAL = CRITIC | {
    "algorithm": "conditional_wgan_lp",
    "alpha": 1.0,
    "lambda_": 150.0,
    "beta": 0.5,
    "learning_rate": 0.0004,
    "epochs": 1000.0,
    "caption_scale": 30.0,
}
WGAN_GP = CRITIC | {
    "algorithm": "wgan_gp",
    "lambda_": 10.0,
    "learning_rate": 0.0001,
    "epochs": 200.0,
}
# Written out from sections 4.1 and 4.3 of the thesis.
THESIS = {
    "gan": {
        "algorithm": "gan",
        "k": 1,
        "momenta": (0.5, 0.999),
        "learning_rate": 0.0005,
        "epochs": 50.0,
        "features": 1.0,
    },
    "wgan": {
        "algorithm": "wgan",
        "k": 5,
        "c": 0.01,
        "smoothing": 0.99,
        "learning_rate": 0.0001,
        "epochs": 200.0,
        "features": 1.0,
    },
    "wgan_gp": WGAN_GP | {"features": 1.0, "parent": ""},
    "conditional_full": CONDITIONAL | {"features": 1.0, "parent": "wgan_gp"},
    "reduced": WGAN_GP | {"features": 0.5, "parent": ""},
    "conditional_reduced": CONDITIONAL | {"features": 0.5, "parent": "reduced"},
    "conditional_random": CONDITIONAL | {"features": 0.5, "parent": ""},
}


@pytest.mark.parametrize("name", THESIS)
def test_profile_paper_is_the_thesis_to_the_digit(name):
    resolved = dataclasses.asdict(config_for(name, "paper"))
    wanted = THESIS[name] | {"batch_size": 128, "epoch_size": 0, "augment": True}
    assert {key: resolved[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("source", ["sample", "coco"])
def test_profile_half_is_paper_but_for_width_length_and_precision(source, name):
    half, paper = (config_for(name, each, source) for each in ("half", "paper"))
    assert half.features == (1.0 if name == "conditional_full" else 0.5)
    differing = ("features", "epochs", "snapshots", "precision", "parent")
    same = {key: getattr(paper, key) for key in differing}
    assert half.replace(**same) == paper and not half.beyond and half.precision == "bf16"


def test_profile_paper_keeps_the_networks_of_figure_7_and_tests_10000_captions():
    kept = (set(config_for(name, "paper").snapshots) for name in ("wgan", "wgan_gp"))
    assert max(set.intersection(*kept)) == 50
    assert profile("paper")["evaluation"]["repeats"] == 10_000


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("profile_name", PROFILES)
def test_every_profile_gives_every_experiment(profile_name, name):
    chosen = config_for(name, profile_name)
    assert chosen.algorithm == config_for(name, "paper").algorithm
    # A parent of another width is none.
    random = profile_name in ("half", "quick") and name == "conditional_full"
    assert chosen.parent == ("" if random else config_for(name, "paper").parent)
    if chosen.parent:  # a warm start needs the same networks but for the caption's part
        parent = config_for(chosen.parent, profile_name)
        assert not ALGORITHMS[parent.algorithm].conditional
        assert parent.features == chosen.features
        for grown, trained in zip(
            *(recipe_for(each).networks() for each in (chosen, parent)), strict=True
        ):
            assert trained.state_dict().keys() <= grown.state_dict().keys()


@pytest.mark.parametrize("profile_name", PROFILES)
def test_every_profile_has_the_tables_that_others_read(profile_name):
    tables = profile(profile_name)
    assert {"poses", "repeats"} <= tables["evaluation"].keys()
    known = inspect.signature(cache.prepare).parameters.keys()
    assert tables["data"].keys() <= known | {"official"}


@pytest.mark.parametrize("profile_name", PROFILES)
def test_figure_7_finds_the_same_early_epoch(profile_name):
    both = [config_for(name, profile_name) for name in ("wgan", "wgan_gp")]
    early = set(both[0].snapshots) & set(both[1].snapshots)
    assert early and min(early) <= min(chosen.epochs for chosen in both)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epohcs": 3}, ["'epohcs'", "did you mean epochs?"]),
        ({"zzz": 3}, ["'zzz'", "known are algorithm, seed"]),
        ({"k": 2.0}, ["k = 2.0", "a whole number", "float"]),
        ({"k": True}, ["k = True", "a whole number", "bool"]),
        ({"epochs": "3"}, ["epochs = '3'", "a number", "a word"]),
        ({"epochs": False}, ["epochs = False", "a number"]),
        ({"augment": 1}, ["augment = 1", "bool"]),
        ({"momenta": 0.5}, ["momenta = 0.5", "a list of numbers"]),
        ({"momenta": [0.5, "x"]}, ["momenta = 'x'", "a number"]),
        ({"momenta": [0.5]}, ["momenta", "two numbers"]),
        ({"momenta": [0.5, 1.0]}, ["momenta", "below 1"]),
        ({"smoothing": 1.5}, ["smoothing = 1.5", "below 1"]),
        ({"projection": True}, ["conditional", "wgan_gp"]),
        ({"ema": 1.0}, ["ema = 1.0", "below 1"]),
        ({"rate_decay": 1.5}, ["rate_decay = 1.5", "from 0 to 1"]),
        ({"rate_decay_g": -0.5}, ["rate_decay_g = -0.5", "from 0 to 1"]),
        ({"algorithm": "dcgan"}, ["'dcgan'", "conditional_wgan_lp"]),
        ({"initialisation": "xavier"}, ["'xavier'", "normal or he"]),
        ({"caption_pool": "some"}, ["'some'", "all or pairs"]),
        ({"precision": "fp16"}, ["'fp16'", "fp32 or bf16"]),
        ({"k": 0}, ["k = 0", "larger than 0"]),
        ({"batch_size": -1}, ["batch_size = -1", "larger than 0"]),
        ({"epochs": 0}, ["epochs", "larger than 0"]),
        ({"c": 0}, ["c = 0", "larger than 0"]),
        ({"epoch_size": -1}, ["epoch_size = -1", "less than 0"]),
        ({"lambda_": -1}, ["lambda_ = -1", "less than 0"]),
        ({"seed": -1}, ["seed = -1", "less than 0"]),
        ({"seed": 1 << 40}, ["seed = 1099511627776", "below"]),
        ({"epochs": float("inf")}, ["epochs = inf", "finite"]),
        ({"learning_rate": float("nan")}, ["learning_rate = nan", "finite"]),
        ({"features": 1e9}, ["features", "at most 8"]),
        ({"networks": "poses"}, ["networks", "heatmaps or keypoints"]),
        ({"rate_g": 0}, ["rate_g", "larger than 0"]),
        ({"epochs": 1e30}, ["epochs", "at most 1,000,000"]),
        ({"batch_size": 10**6}, ["batch_size", "at most 65,536"]),
        ({"snapshots": [-1]}, ["snapshots", "larger than 0"]),
        ({"alpha": -3.0}, ["alpha", "less than 0"]),
        ({"beta": 5.0}, ["beta", "from 0 to 1"]),
        ({"snapshots": [1, float("nan")]}, ["snapshots = nan", "finite"]),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(changes, words):
    with pytest.raises(InputError) as error:
        Config("wgan_gp").replace(**changes)
    for word in words:
        assert word in str(error.value)
    assert str(error.value).count("\n") == 0


def test_whole_numbers_and_lists_become_what_the_settings_are():
    changed = Config("gan").replace(epochs=3, momenta=[0, 1 / 2], snapshots=[1])
    assert changed == Config("gan", epochs=3.0, momenta=(0.0, 0.5), snapshots=(1.0,))
    assert type(changed.epochs) is float and type(changed.momenta[0]) is float


def test_unknown_profile_and_experiment():
    with pytest.raises(InputError, match="profile 'papre' is not known: did you mean paper?"):
        config_for("gan", "papre")
    with pytest.raises(InputError, match="experiment 'wgan_pg' is not known: did you mean wgan_gp"):
        config_for("wgan_pg", "paper")


@pytest.fixture
def own_profile(tmp_path, monkeypatch):
    """Writes profiles/mine.toml."""
    monkeypatch.setattr(paths, "PROFILES", tmp_path)

    def write(text: str) -> None:
        (tmp_path / "mine.toml").write_text(text)

    return write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[training\n", ["mine.toml", "not valid TOML"]),
        ("[data]\n", ["mine.toml", "[training.gan]"]),
        ("[training]\nk = 1\n", ["mine.toml", "[training.gan]"]),
        ("[training.gan]\nk = 1\n", ["mine.toml", "algorithm"]),
        ("[training.gan]\nalgorithm = 'gan'\nlearnig_rate = 1.0\n", ["did you mean learning_rate"]),
        ("[training.gan]\nalgorithm = 'gan'\nk = '1'\n", ["k = '1'", "a whole number"]),
        ("[trainng]\nepochs = 3\n", ["table of", "mine.toml 'trainng'", "did you mean training?"]),
        ("[evaluation]\npose = 3\n", ["key in [evaluation]", "did you mean poses?"]),
        ("[evaluation]\nposes = 'all'\n", ["poses = 'all'", "something like 17326"]),
        ("[data]\nencoder_epochs = -1\n", ["encoder_epochs = -1", "something like 5"]),
        ("[data]\nsample_images = [3]\n", ["sample_images = [3]", "[6000, 600]"]),
        ("[data]\nofficial = 1\n", ["official = 1", "something like False"]),
        ("training = 3\n", ["training = 3", "must be a table, [training]"]),
    ],
)
def test_a_wrong_profile_is_refused_with_a_sentence(own_profile, text, words):
    own_profile(text)
    with pytest.raises(InputError) as error:
        config_for("gan", "mine")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("text", ["[training.gan]\nalgorithm = 'gan'\nk = 3\n"])
def test_a_byte_order_mark_is_no_part_of_a_profile(own_profile, tmp_path, text):
    own_profile("\ufeff" + text)
    assert config_for("gan", "mine").k == 3
    (tmp_path / "mine.toml").write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="mine.toml is not valid TOML in UTF-8"):
        config_for("gan", "mine")


def test_a_profile_without_a_table_has_what_holds_by_default(own_profile):
    own_profile("[training.gan]\nalgorithm = 'gan'\n[evaluation]\nposes = 9\n")
    assert profile("mine")["evaluation"] == {"poses": 9, "repeats": 10_000}
    assert profile("mine")["data"] == profile("mine")["seconds"] == {}


PARENT = """
[training.conditional_reduced]
algorithm = 'conditional_wgan_lp'
parent = '{}'
[training.reduced]
algorithm = 'wgan_gp'
[training.conditional_full]
algorithm = 'conditional_wgan_lp'
"""


@pytest.mark.parametrize("parent", ["conditional_reduced", "conditional_full", "wgan", "nobody"])
def test_a_parent_that_is_none_is_refused(own_profile, parent):
    own_profile(PARENT.format("reduced"))
    assert config_for("conditional_reduced", "mine").parent == "reduced"
    own_profile(PARENT.format(parent))
    with pytest.raises(InputError, match=f"parent = '{parent}' of 'conditional_reduced' must be"):
        config_for("conditional_reduced", "mine")


def test_a_profile_may_tell_data_sets_apart(own_profile):
    own_profile("[training]\nk = {sample = 3, coco = 2}\n[training.gan]\nalgorithm = 'gan'\n")
    assert config_for("gan", "mine") == config_for("gan", "mine", "sample") == Config("gan", k=3)
    assert config_for("gan", "mine", "coco") == Config("gan", k=2)
    with pytest.raises(InputError, match="k of 'gan' has no value for the data 'own'"):
        config_for("gan", "mine", "own")
    own_profile("[training.gan]\nalgorithm = 'gan'\nk = {}\n")
    with pytest.raises(InputError, match="k of 'gan' has no value for the data 'sample'"):
        config_for("gan", "mine")


def test_an_experiments_table_goes_before_the_common_one(own_profile):
    own_profile("[training]\nk = 3\nseed = 7\n[training.gan]\nalgorithm = 'gan'\nk = 1\n")
    assert config_for("gan", "mine") == Config("gan", k=1, seed=7)


def test_identity_counts_all_that_determines_the_result():
    base = Config("conditional_wgan_lp")
    changes = {
        "algorithm": "conditional_gan",
        "seed": 1,
        "features": 0.5,
        "k": 5,
        "c": 0.02,
        "lambda_": 1,
        "alpha": 2,
        "beta": 0.1,
        "learning_rate": 1e-4,
        "momenta": (0.0, 0.9),
        "smoothing": 0.9,
        "batch_size": 8,
        "epochs": 3,
        "epoch_size": 5,
        "snapshots": (1,),
        "augment": False,
        "caption_scale": 1,
        "initialisation": "he",
        "precision": "bf16",
        "caption_pool": "pairs",
        "networks": "keypoints",
        "rate_g": 0.5,
        "projection": True,
        "ema": 0.999,
        "rate_decay": 0.5,
        "rate_decay_g": 1.0,
        "parent": "reduced",
    }
    assert changes.keys() == {field.name for field in dataclasses.fields(Config)}
    made = [identity(base, "d"), identity(base, "e"), identity(base, "d", "p")]
    made += [identity(base.replace(**{key: value}), "d") for key, value in changes.items()]
    assert len(set(made)) == len(made)
    assert all(len(name) == 10 and int(name, 16) >= 0 for name in made)


def test_identity_does_not_count_how_a_run_is_executed():
    assert not {"device", "fresh", "stop_after", "name"} & {
        field.name for field in dataclasses.fields(Config)
    }
    assert identity(Config("gan", epochs=3), "d") == identity(Config("gan", epochs=3.0), "d")


def test_a_setting_added_later_leaves_earlier_identities(monkeypatch):
    """A setting at its default does not count, so that a new one changes no earlier run."""
    before = identity(Config("gan", k=2), "data", "parent")
    assert before == identity(Config("gan", k=2, lambda_=10.0), "data", "parent")

    @dataclasses.dataclass(frozen=True)
    class Later(Config):
        extra: int = 4

    monkeypatch.setattr(config, "Config", Later)
    assert identity(Later("gan", k=2), "data", "parent") == before
    assert identity(Later("gan", k=2, extra=5), "data", "parent") != before
