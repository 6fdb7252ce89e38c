"""Run folders: what is found, what is refused, and what their names depend on."""

import dataclasses
import json
import shutil

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from lib import paths
from lib.beyond.keypoints import KeypointDiscriminator, KeypointGenerator
from lib.beyond.recipe import recipe_for
from lib.errors import InputError
from lib.models.tables import Discriminator, Generator
from lib.models.weights import load_weights, save_network
from lib.training.loop import train
from lib.training.runs import Run, snapshot_name

DATA = tiny.dataset()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    run = tiny.run(tmp_path_factory.mktemp("runs") / "wgan_gp-0123456789", tiny.config(epochs=1))
    train(run, DATA, device="cpu")
    return run


@pytest.fixture
def copy(trained, tmp_path) -> Run:
    """A finished run that a test may spoil."""
    folder = tmp_path / trained.folder.name
    shutil.copytree(trained.folder, folder)
    return dataclasses.replace(trained, folder=folder)


@pytest.fixture
def published(home, monkeypatch):
    monkeypatch.setattr(paths, "PUBLISHED", home / "published")
    return home / "published"


def test_weights_that_are_kept_are_those_that_were(trained, tmp_path):
    G = trained.recipe.networks()[0].to(memory_format=torch.channels_last)
    save_network(G, tmp_path / "g.safetensors")
    other = trained.recipe.networks()[0]
    load_weights(other, tmp_path / "g.safetensors")
    for name, weight in G.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight), name


def test_networks_have_the_settings_widths():
    config = tiny.config("conditional_wgan_lp", features=0.0625)
    G, D = recipe_for(config).networks()
    widths = [m.out_channels for m in G.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert widths == [32, 16, 8, 4, 17]
    widths = [m.out_channels for m in D.layers.modules() if isinstance(m, torch.nn.Conv2d)]
    assert widths == [4, 8, 16, 32]
    with pytest.raises(InputError, match="projection is for networks=keypoints"):
        recipe_for(config.replace(projection=True)).networks()


def test_networks_are_the_settings_kind():
    config = tiny.config("wgan_gp", features=0.0625)
    G, D = recipe_for(config).networks()
    assert type(G) is Generator and type(D) is Discriminator
    G, D = recipe_for(config.replace(networks="keypoints")).networks()
    assert isinstance(G, KeypointGenerator) and isinstance(D, KeypointDiscriminator)
    assert G.layers[0][0].out_features == D.joint[0].out_features == 128
    assert isinstance(D.score[1], torch.nn.Identity)


def test_networks_are_taken_for_use(trained):
    for network in (trained.generator(), trained.discriminator()):
        assert not network.training
    kept = load_file(trained.checkpoint / "generator.safetensors")
    assert all(torch.equal(w, kept[n]) for n, w in trained.generator().state_dict().items())


@pytest.mark.parametrize("changes", [{"features": 1 / 8}, {"algorithm": "conditional_wgan_lp"}])
def test_a_checkpoint_that_does_not_fit_the_config_is_refused(copy, changes):
    other = dataclasses.replace(copy, config=copy.config.replace(**changes))
    for network in (other.generator, other.discriminator):
        with pytest.raises(InputError, match="does not fit the config: .* has shape .*train again"):
            network()


def test_a_weight_too_many_or_too_few_is_refused(copy):
    path = copy.checkpoint / "generator.safetensors"
    path.with_name("hashes.json").unlink()
    weights = load_file(path)
    save_file(weights | {"extra": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"extra has shape \(1,\) in the file and None"):
        copy.generator()
    name = next(iter(weights))
    save_file({key: value for key, value in weights.items() if key != name}, path)
    with pytest.raises(InputError, match=f"{name} has shape None in the file"):
        copy.generator()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"not a file of weights"),
        lambda path: path.unlink(),
    ],
)
def test_damaged_weights_are_named(copy, damage):
    path = copy.checkpoint / "generator.safetensors"
    damage(path)
    with pytest.raises(InputError, match=r"generator\.safetensors is damaged.*train again"):
        copy.generator()
    path.with_name("hashes.json").unlink()  # of an earlier version
    with pytest.raises(InputError, match=r"generator\.safetensors cannot be read.*train again"):
        copy.generator()
    copy.discriminator()


def test_open_finds_a_run_by_its_folder_and_by_its_name(copy, published):
    assert Run.open(str(copy.folder)) == copy
    name = copy.folder.name
    for place in (published, paths.RUNS):  # the latter goes before the former
        shutil.copytree(copy.folder, place / name)
        assert Run.open(name) == dataclasses.replace(copy, folder=place / name)
    assert Run.open(name).summary == copy.summary


def test_open_names_the_finished_runs(copy, home, published):
    shutil.copytree(copy.folder, paths.RUNS / "wgan_gp-abc")
    with pytest.raises(InputError, match="no finished run 'nothing'; finished are wgan_gp-abc"):
        Run.open("nothing")
    (paths.RUNS / "wgan_gp-abc" / "summary.json").unlink()
    with pytest.raises(InputError, match="finished are none"):
        Run.open("wgan_gp-abc")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '{"algorithm": "gan"}',
        "[]",
        None,
    ],
)
def test_open_refuses_damaged_settings(copy, content):
    path = copy.folder / "config.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(InputError, match=r"config\.json cannot be read.*train again"):
        Run.open(str(copy.folder))


def test_open_takes_a_run_from_before_a_setting_was_added(copy):
    """As its identity does: the setting is then at its default."""
    path = copy.folder / "config.json"
    content = json.loads(path.read_text())
    assert content.pop("caption_scale") == 30.0
    path.write_text(json.dumps(content))
    assert Run.open(str(copy.folder)).config == copy.config


def test_metrics_survive_a_line_that_was_cut_off(copy):
    """As a machine leaves it that went off while it was written."""
    whole = copy.metrics
    with (copy.folder / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 4, "epo')
    assert copy.metrics == whole
    copy.cut_metrics(2)
    assert copy.metrics == [row for row in whole if row["iteration"] <= 2]


def test_final_losses_are_means_of_the_last_tenth(tmp_path):
    run = tiny.run(tmp_path, tiny.config())
    run.append_metrics([{"iteration": i, "loss_d": float(i)} for i in range(1, 101)])
    run.append_metrics([{"iteration": 100, "val_loss_d": 7.0, "val_loss_g": 8.0}])
    losses = run.final_losses()
    assert losses["loss_d"] == pytest.approx(95.5)  # 91 to 100
    assert (losses["val_loss_d"], losses["val_loss_g"]) == (7.0, 8.0)
    assert losses["loss_g"] != losses["loss_g"]  # there is none


def test_common_snapshot_is_the_latest_that_both_have(tmp_path):
    def made(name, configured, kept):
        run = tiny.run(tmp_path / name, tiny.config(snapshots=configured), name)
        run.folder.mkdir()
        for epoch in kept:
            run.save(snapshot_name(epoch), torch.nn.Linear(1, 1))
        return run

    one, two = made("one", (1, 2, 3), (1, 2, 3)), made("two", (3, 2), (2, 3))
    assert one.common_snapshot(two) == two.common_snapshot(one) == 3
    with pytest.raises(InputError, match="one and none have no snapshot of the same epoch"):
        one.common_snapshot(made("none", (2,), ()))


def test_two_processes_do_not_train_the_same_run(copy):
    with copy.locked():
        with pytest.raises(InputError, match="is being trained by another process"):
            with copy.locked():
                pass
    with copy.locked():  # free again
        pass


def test_metrics_that_end_before_the_checkpoint_are_refused(copy):
    (copy.folder / "summary.json").unlink()
    path = copy.folder / "metrics.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="ends before the checkpoint"):
        train(copy, DATA, device="cpu")


@pytest.mark.parametrize("line", ["[]", '{"loss_d": 1}', "\xff"])
def test_metrics_stop_at_a_line_that_is_none(copy, line):
    path = copy.folder / "metrics.jsonl"
    whole = copy.metrics
    with path.open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    assert copy.metrics == whole


def test_a_damaged_summary_and_a_lost_checkpoint_are_said_so(copy):
    place = copy.checkpoint
    (copy.folder / "summary.json").write_text("{")
    with pytest.raises(InputError, match="summary.json cannot be read.*train again"):
        _ = copy.summary
    shutil.rmtree(place)
    with pytest.raises(InputError, match=r"generator\.safetensors cannot be read"):
        copy.generator()
