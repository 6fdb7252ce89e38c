"""The training loop: both steps of all algorithms, what is counted, kept and resumed."""

import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tiny
import torch
from safetensors.torch import load_file
from stepping import CPU, DATA, parameters, same, trainer, weights

from lib import paths
from lib.beyond.keypoints import relative
from lib.device import has_bf16
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.recipe import Recipe
from lib.models.weights import NORMS
from lib.training import loop
from lib.training import trainer as trainers
from lib.training.loop import train
from lib.training.minibatches import Batches
from lib.training.runs import Run
from lib.training.trainer import Trainer, optimizer_for


def end_of(run) -> list[dict[str, torch.Tensor]]:
    files = ("generator", "discriminator")
    return [load_file(run.checkpoint / f"{name}.safetensors") for name in files]


class Calls:
    """The inputs of every call of a network, and whether it was in training mode."""

    def __init__(self, network):
        self.inputs, self.modes = [], []
        network.register_forward_pre_hook(self._note)

    def _note(self, network, inputs):
        self.inputs.append([None if i is None else i.detach().clone() for i in inputs])
        self.modes.append(network.training)


@pytest.mark.parametrize("algorithm", ["wgan_gp", "conditional_gan"])
def test_d_reads_the_keypoints_that_g_places(algorithm, monkeypatch):
    made, batches = trainer(algorithm, networks="keypoints")
    placed, poses = [], made.G.poses
    monkeypatch.setattr(made.G, "poses", lambda *z: placed.append(poses(*z)) or placed[-1])
    calls = Calls(made.D)
    batch = batches.draw(batches.indices(0), made.generator)
    made.discriminator_step(batch, batches)
    made.generator_step(batch, batches)
    read = [inputs[0] for inputs in calls.inputs]
    for fake in placed:
        assert any(torch.equal(x, relative(fake.detach())) for x in read)
    assert len(placed) == 2 and torch.equal(read[0], batch.x)


@pytest.mark.parametrize("algorithm", ["wgan", "wgan_gp"])
def test_g_learns_at_a_rate_of_its_own(algorithm):
    made, _ = trainer(algorithm, learning_rate=0.25, rate_g=0.5)
    rates = [o.param_groups[0]["lr"] for o in (made.optimizer_g, made.optimizer_d)]
    assert rates == [0.125, 0.25]


@pytest.mark.parametrize("algorithm", ["gan", "wgan_gp", "conditional_gan", "conditional_wgan_lp"])
def test_adam_with_the_configured_momenta(algorithm):
    made, _ = trainer(algorithm, learning_rate=0.25, momenta=(0.125, 0.75))
    for optimizer, network in ((made.optimizer_g, made.G), (made.optimizer_d, made.D)):
        assert type(optimizer) is torch.optim.Adam
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (0.25, (0.125, 0.75))
        assert (group["weight_decay"], group["amsgrad"], group["maximize"]) == (0, False, False)
        assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]


def test_rmsprop_with_the_configured_smoothing():
    made, _ = trainer("wgan", learning_rate=0.25, smoothing=0.875)
    for optimizer, network in ((made.optimizer_g, made.G), (made.optimizer_d, made.D)):
        assert type(optimizer) is torch.optim.RMSprop
        (group,) = optimizer.param_groups
        assert (group["lr"], group["alpha"]) == (0.25, 0.875)
        assert (group["momentum"], group["centered"], group["weight_decay"]) == (0, False, 0)
        assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]


@pytest.mark.parametrize(
    ("experiment", "kind", "rate", "extra"),
    [
        ("gan", torch.optim.Adam, 5e-4, {"betas": (0.5, 0.999)}),
        ("wgan", torch.optim.RMSprop, 1e-4, {"alpha": 0.99}),
        ("wgan_gp", torch.optim.Adam, 1e-4, {"betas": (0.0, 0.9)}),
        ("conditional_reduced", torch.optim.Adam, 4e-4, {"betas": (0.0, 0.9)}),
    ],
)
def test_optimisers_of_the_thesis(experiment, kind, rate, extra):
    from lib.config import config_for

    optimizer = optimizer_for(config_for(experiment, "paper"), torch.nn.Linear(1, 1))
    group = optimizer.param_groups[0]
    assert type(optimizer) is kind and group["lr"] == rate
    assert {key: group[key] for key in extra} == extra


@pytest.mark.parametrize("name", ["gan", "wgan"])
def test_the_learning_rate_falls_to_0_in_the_last_share(tmp_path, monkeypatch, name):
    rates = []
    step = Trainer.discriminator_step

    def spy(self, *given):
        rates.append([o.param_groups[0]["lr"] for o in (self.optimizer_g, self.optimizer_d)])
        return step(self, *given)

    monkeypatch.setattr(Trainer, "discriminator_step", spy)
    settings = {"learning_rate": 0.125, "rate_g": 0.25, "rate_decay": 0.5}
    run = tiny.run(tmp_path, tiny.config(name, **settings, epochs=8 / 3))
    train(run, DATA, device="cpu", stop_after=5)
    train(run, DATA, device="cpu")
    wanted = [0.125] * 5 + [0.125 * left for left in (3 / 4, 2 / 4, 1 / 4)]
    assert rates == [pytest.approx([rate / 4, rate]) for rate in wanted]


def test_the_rate_of_g_may_fall_for_longer_or_alone():
    for settings, wanted in (
        ({"rate_decay": 0.5, "rate_decay_g": 1.0}, {0.75: (0.1875, 1), 0.25: (0.0625, 0.5)}),
        ({"rate_decay_g": 0.5}, {0.75: (0.25, 1), 0.25: (0.125, 1)}),
    ):
        made, _ = trainer(learning_rate=1.0, rate_g=0.25, **settings)
        for left, rates in wanted.items():
            made.set_rates(left)
            optimizers = made.optimizer_g, made.optimizer_d
            assert tuple(o.param_groups[0]["lr"] for o in optimizers) == pytest.approx(rates)


def test_a_rate_that_is_recorded_is_changed_in_place(monkeypatch):
    monkeypatch.setattr(trainers, "chosen", lambda: {"captured"})
    made, _ = trainer(learning_rate=0.125, rate_decay=0.25)
    rates = [o.param_groups[0]["lr"] for o in (made.optimizer_g, made.optimizer_d)]
    made.set_rates(0.125)
    assert all(isinstance(rate, torch.Tensor) and rate == 0.0625 for rate in rates)


@pytest.mark.parametrize("k", [1, 3])
def test_averaging_counts_the_updates_of_g(tmp_path, monkeypatch, k):
    counts = []
    monkeypatch.setattr(Recipe, "updated", lambda self, G, updates: counts.append(updates))
    train(tiny.run(tmp_path, tiny.config(k=k)), DATA, device="cpu")  # six iterations
    assert counts == list(range(1, 6 // k + 1))


def test_a_run_keeps_averaged_weights_and_its_snapshots_too(tmp_path):
    plain = tiny.run(tmp_path / "plain", tiny.config(epochs=4, snapshots=(2,)))
    averaged = tiny.run(tmp_path / "averaged", tiny.config(epochs=4, snapshots=(2,), ema=0.9))
    for run in (plain, averaged):
        train(run, DATA, device="cpu")
    state = torch.load(averaged.checkpoint / "state.pt", weights_only=True)
    # The training is the same; what is kept of G is not.
    assert same(state["G"], end_of(plain)[0]) and same(end_of(plain)[1], end_of(averaged)[1])
    for epoch in (None, 2):
        a, b = plain.generator(epoch), averaged.generator(epoch)
        assert not same(parameters(a), parameters(b))
    assert "G" not in torch.load(plain.checkpoint / "state.pt", weights_only=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_step_changes_its_own_network_only(algorithm):
    made, batches = trainer(algorithm)
    batch = batches.draw(batches.indices(0), made.generator)
    for step, own, other in (
        (made.discriminator_step, made.D, made.G),
        (made.generator_step, made.G, made.D),
        (made.discriminator_step, made.D, made.G),  # D learns on after a step of G
    ):
        before, kept = parameters(own), parameters(other)
        loss = step(batch, batches)
        assert loss.shape == () and math.isfinite(loss) and not loss.requires_grad
        assert same(parameters(other), kept)
        changed = [not torch.equal(w, before[name]) for name, w in own.named_parameters()]
        assert all(c for c, name in zip(changed, before, strict=True) if name.endswith("weight"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_step_descends_its_loss(algorithm):
    """The same minibatch and random numbers give a smaller loss after a small step."""
    made, batches = trainer(algorithm, learning_rate=1e-5, c=10.0)
    batch = batches.draw(batches.indices(0), made.generator)
    for step, loss in (
        (made.discriminator_step, made.discriminator_loss),
        (made.generator_step, made.generator_loss),
    ):
        state = made.generator.get_state()
        before = step(batch, batches)
        made.generator.set_state(state)
        assert loss(batch, batches) < before


def test_every_parameter_of_d_is_clamped_batch_norm_included():
    made, batches = trainer("wgan", c=0.01)
    batch = batches.draw(batches.indices(0), made.generator)
    assert (
        max(float(w.detach().abs().max()) for w in made.D.parameters()) > 0.9
    )  # batch norm, about 1
    made.discriminator_step(batch, batches)
    largest = {name: float(w.detach().abs().max()) for name, w in made.D.named_parameters()}
    assert max(largest.values()) <= 0.01 + 1e-9
    norms = [m for m in made.D.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(torch.equal(m.weight, torch.full_like(m.weight, 0.01)) for m in norms)
    assert max(float(w.detach().abs().max()) for w in made.G.parameters()) > 0.9


def test_only_the_wgan_is_clamped():
    for algorithm in ALGORITHMS.keys() - {"wgan"}:
        made, batches = trainer(algorithm, c=1e-6)
        made.discriminator_step(batches.draw(batches.indices(0), made.generator), batches)
        assert max(float(w.detach().abs().max()) for w in made.D.parameters()) > 1e-3


@pytest.mark.parametrize("algorithm", ["gan", "wgan", "wgan_gp"])
def test_what_the_unconditional_networks_are_given(algorithm):
    made, batches = trainer(algorithm)
    batch = batches.draw(batches.indices(0), made.generator)
    g, d = Calls(made.G), Calls(made.D)
    made.discriminator_step(batch, batches)
    ((z, h),) = g.inputs
    assert z.shape == (4, 128) and h is None
    assert torch.equal(d.inputs[0][0], batch.x) and d.inputs[1][0].shape == batch.x.shape
    assert len(d.inputs) == (3 if algorithm == "wgan_gp" else 2)
    made.generator_step(batch, batches)
    assert g.inputs[1][0].shape == (4, 128) and not torch.equal(g.inputs[1][0], z)


@pytest.mark.parametrize("algorithm", ["conditional_gan", "conditional_wgan_lp"])
def test_which_captions_the_conditional_networks_are_given(algorithm):
    """D: real, synthesised and mismatching pairs. G: D's captions, then interpolated ones."""
    made, batches = trainer(algorithm, beta=0.25)
    batch = batches.draw(batches.indices(0), made.generator)
    g, d = Calls(made.G), Calls(made.D)
    made.discriminator_step(batch, batches)
    ((z, h),) = g.inputs
    assert torch.equal(h, batch.h)
    real, fake, mismatch, *penalty = d.inputs
    assert torch.equal(real[0], batch.x) and torch.equal(real[1], batch.h)
    assert not torch.equal(fake[0], batch.x) and torch.equal(fake[1], batch.h)
    assert torch.equal(mismatch[0], batch.x) and torch.equal(mismatch[1], batch.h_hat)
    if algorithm == "conditional_wgan_lp":
        ((x_hat, h),) = penalty
        assert torch.equal(h, batch.h) and (h.norm(dim=1) == 30).all()  # after the scaling
        low, high = torch.minimum(batch.x, fake[0]), torch.maximum(batch.x, fake[0])
        assert (x_hat >= low - 1e-6).all() and (x_hat <= high + 1e-6).all()
    else:
        assert not penalty

    made.generator_step(batch, batches)
    z, h = (torch.cat(parts) for parts in zip(*g.inputs[1:], strict=True))
    assert z.shape == (8, 128) and len(z.unique(dim=0)) == 8  # 2 m noises, none used twice
    assert torch.equal(h[:4], batch.h)
    values = [row[row != 0].sort().values.tolist() for row in h[4:]]
    assert all(v in ([7.5, 22.5], [30.0]) for v in values) and [7.5, 22.5] in values
    scored = torch.cat([inputs[1] for inputs in d.inputs[3 + len(penalty) :]])
    assert torch.equal(scored, h)  # D is asked about the captions that G was given


def processor(monkeypatch, **features):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bf16_gives_nearly_the_gradients_of_fp32(algorithm, monkeypatch):
    """Losses within 3 %, gradients along the same direction; weights and losses stay float32."""
    processor(monkeypatch, avx512_bf16=True)
    found = {}
    for precision in ("fp32", "bf16"):
        made, batches = trainer(algorithm, precision=precision, initialisation="he", batch_size=8)
        batch = batches.draw(batches.indices(0), made.generator)
        gradients = []
        losses = [made.discriminator_loss(batch, batches), made.generator_loss(batch, batches)]
        for loss, network in zip(losses, (made.D, made.G), strict=True):
            assert loss.dtype == torch.float32
            weights = list(network.parameters())
            gradients += torch.autograd.grad(loss, weights, retain_graph=True)
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        found[precision] = torch.stack(losses).detach(), flat
    torch.testing.assert_close(found["bf16"][0], found["fp32"][0], rtol=0.03, atol=0.03)
    assert not torch.equal(found["bf16"][1], found["fp32"][1])  # it is another precision
    assert torch.cosine_similarity(found["bf16"][1], found["fp32"][1], dim=0) > 0.95


def test_a_processor_without_bf16_takes_fp32_instead(monkeypatch):
    processor(monkeypatch, avx2=True, avx512_bf16=False, amx_bf16=False)
    losses = []
    for precision in ("fp32", "bf16"):
        made, batches = trainer(precision=precision)
        batch = batches.draw(batches.indices(0), made.generator)
        losses.append(made.discriminator_loss(batch, batches))
    assert torch.equal(*losses)
    assert has_bf16(torch.device("cuda"))
    processor(monkeypatch, amx_bf16=True)
    assert has_bf16(torch.device("cpu"))


def test_the_penalty_of_bf16_passes_through_bf16_layers_both_ways(monkeypatch):
    """Of its layers, that is: the norms are float32, and so is each weight's gradient."""
    processor(monkeypatch, avx512_bf16=True)
    made, batches = trainer("conditional_wgan_lp", precision="bf16")
    seen = []
    made.D.score[0].register_forward_hook(lambda *call: seen.append(call[2].dtype))
    loss = made.discriminator_loss(batches.draw(batches.indices(0), made.generator), batches)
    loss.backward()
    assert seen == [torch.bfloat16] * 5  # real, fake, mismatch; x^, and the tangent at it
    assert loss.dtype == made.D.score[0].weight.grad.dtype == torch.float32


def test_a_discriminator_that_is_differentiated_twice_stays_in_fp32_for_it(monkeypatch):
    processor(monkeypatch, avx512_bf16=True)
    settings = {"precision": "bf16", "networks": "keypoints", "projection": True}
    made, batches = trainer("conditional_wgan_lp", **settings)
    seen = []
    made.D.score[0].register_forward_hook(lambda *call: seen.append(call[2].dtype))
    made.discriminator_loss(batches.draw(batches.indices(0), made.generator), batches)
    assert seen == [torch.bfloat16] * 3 + [torch.float32]


def test_losses_weigh_the_penalty_and_the_mismatch():
    made, batches = trainer("conditional_wgan_lp", alpha=0.0, lambda_=0.0)
    batch = batches.draw(batches.indices(0), made.generator)
    state = made.generator.get_state()
    losses = {}
    for alpha, lambda_ in ((0, 0), (1, 0), (3, 0), (0, 10), (0, 150)):
        made.config = tiny.config("conditional_wgan_lp", alpha=alpha, lambda_=lambda_)
        made.generator.set_state(state)
        losses[alpha, lambda_] = float(made.discriminator_loss(batch, batches).detach())
    mismatch = losses[1, 0] - losses[0, 0]
    assert mismatch != 0
    assert losses[3, 0] - losses[0, 0] == pytest.approx(3 * mismatch, rel=1e-3)
    penalty = losses[0, 10] - losses[0, 0]
    assert penalty >= 0
    assert losses[0, 150] - losses[0, 0] == pytest.approx(15 * penalty, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_all_algorithms_log_their_losses_and_finish(tmp_path, algorithm):
    run = tiny.run(tmp_path / "run", tiny.config(algorithm), algorithm)
    train(run, DATA, device="cpu")
    rows = [row for row in run.metrics if "loss_d" in row]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in rows] == pytest.approx([i / 3 for i in range(1, 7)])
    assert [row["iteration"] for row in rows if "loss_g" in row] == [2, 4, 6]
    after = [row for row in run.metrics if "val_loss_d" in row]
    assert [(row["iteration"], row["epoch"]) for row in after] == [(3, 1.0), (6, 2.0)]
    assert all(math.isfinite(v) for row in run.metrics for v in row.values())
    assert all(row.keys() == {"iteration", "epoch", "val_loss_d", "val_loss_g"} for row in after)
    assert run.finished and run.checkpoint.name == "checkpoint-00000006"
    summary = run.summary
    assert (summary["iterations"], summary["epochs"], summary["train_poses"]) == (6, 2.0, 10)
    assert summary["poses_seen"] == 20 and summary["data"] == "sample"
    kept = json.loads((run.folder / "config.json").read_text())
    conditional = ALGORITHMS[algorithm].conditional
    assert kept["data"] == ("pairs" if conditional else "poses")
    assert kept["algorithm"] == algorithm and kept["batch_size"] == 4


@pytest.mark.parametrize(("k", "due"), [(1, [1, 2, 3, 4, 5, 6, 7]), (2, [2, 4, 6]), (5, [5])])
def test_the_count_of_d_steps_goes_on_over_the_end_of_an_epoch(tmp_path, monkeypatch, k, due):
    """Three iterations an epoch: with k = 2, G's steps are the 2nd of the first epoch, and the
    1st and 3rd of the second."""
    run = tiny.run(tmp_path / "run", tiny.config(k=k, epochs=7 / 3))
    steps = {"D": [], "G": []}

    def spy(name, method):
        step = getattr(Trainer, method)

        def spied(self, batch, batches):
            steps[name].append(batch)
            return step(self, batch, batches)

        monkeypatch.setattr(Trainer, method, spied)

    spy("D", "discriminator_step")
    spy("G", "generator_step")
    train(run, DATA, device="cpu")
    assert len(steps["D"]) == 7
    assert [row["iteration"] for row in run.metrics if "loss_g" in row] == due
    assert [id(batch) for batch in steps["G"]] == [id(steps["D"][i - 1]) for i in due]


def test_a_length_below_an_epoch_is_counted_in_iterations(tmp_path):
    run = tiny.run(tmp_path / "run", tiny.config(epochs=2 / 3))
    train(run, DATA, device="cpu")
    assert run.summary["iterations"] == 2
    assert [row["iteration"] for row in run.metrics if "val_loss_d" in row] == [2]
    least = tiny.run(tmp_path / "least", tiny.config(epochs=0.001))
    train(least, DATA, device="cpu")
    assert least.summary["iterations"] == 1


@pytest.mark.parametrize("networks", ["heatmaps", "keypoints"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_poses_have_the_same_losses_in_validation_as_in_training(algorithm, networks):
    made, _ = trainer(algorithm, augment=False, networks=networks, batch_size=8)
    for parameter in made.D.parameters():  # so that D is sure of something
        parameter.data *= 3
    batches, validation = (
        Batches(tiny.split(8), made.config, CPU, training) for training in (True, False)
    )
    losses = made.validate(validation, seed=5)
    made.generator = torch.Generator().manual_seed(5)
    batch = batches.draw(torch.arange(8), made.generator)
    wanted = made.discriminator_loss(batch, batches), made.generator_loss(batch, batches)
    assert list(losses.values()) == pytest.approx([loss.item() for loss in wanted], rel=1e-5)


def test_validation_sees_the_whole_split_as_training_does_and_changes_nothing():
    for algorithm in ("gan", "conditional_wgan_lp"):
        made, _ = trainer(algorithm)
        validation = Batches(DATA.val, made.config, CPU, training=False)
        g, d = Calls(made.G), Calls(made.D)
        before = weights(made.G) | {f"D.{k}": v for k, v in weights(made.D).items()}
        state = made.generator.get_state()
        losses = made.validate(validation, seed=3)
        assert losses == made.validate(validation, seed=3)
        if algorithm != "gan":  # whose D is not sure of anything yet
            assert losses != made.validate(validation, seed=4)
        assert torch.equal(made.generator.get_state(), state)
        assert same(weights(made.G) | {f"D.{k}": v for k, v in weights(made.D).items()}, before)
        assert all(g.modes) and all(d.modes)
        assert all(m.track_running_stats for m in made.D.modules() if isinstance(m, NORMS))
        real = torch.cat([inputs[0] for inputs in d.inputs])
        for batch in validation.all(torch.Generator()):
            for x in batch.x:
                assert (real == x).flatten(1).all(dim=1).any()


def test_validation_losses_are_means_over_poses_not_over_batches():
    """Seven poses in batches of four and three."""
    made, _ = trainer("wgan_gp")
    validation = Batches(tiny.split(7), made.config, CPU, training=False)
    number = {len(validation.poses): 0}
    own = torch.arange(7.0)

    def loss(batch, batches):
        start = number[7]
        number[7] += len(batch.x)
        return own[start : start + len(batch.x)].mean()

    made.discriminator_loss = loss
    made.generator_loss = lambda batch, batches: torch.tensor(float(len(batch.x)))
    losses = made.validate(validation, seed=0)
    assert losses["val_loss_d"] == pytest.approx(3)
    assert losses["val_loss_g"] == pytest.approx((4 * 4 + 3 * 3) / 7)


def test_validating_leaves_the_training_as_it_is(tmp_path, monkeypatch):
    config = tiny.config("conditional_gan")
    runs = [tiny.run(tmp_path / name, config) for name in "ab"]
    train(runs[0], DATA, device="cpu")
    nothing = {"val_loss_d": 0.0, "val_loss_g": 0.0}
    monkeypatch.setattr(Trainer, "validate", lambda *_: nothing)
    train(runs[1], DATA, device="cpu")
    assert all(same(a, b) for a, b in zip(*map(end_of, runs), strict=True))


def test_the_seed_determines_the_result(tmp_path):
    runs = [tiny.run(tmp_path / str(i), tiny.config(seed=s)) for i, s in enumerate((3, 3, 4))]
    for number, run in enumerate(runs):
        torch.manual_seed(number)  # which has no part in it
        train(run, DATA, device="cpu")
    one, two, other = map(end_of, runs)
    assert same(one[0], two[0]) and same(one[1], two[1])
    assert not same(one[0], other[0]) and not same(one[1], other[1])
    assert runs[0].metrics == runs[1].metrics != runs[2].metrics


def test_networks_start_apart_and_as_the_seed_says():
    starts = [weights(trainer(seed=seed)[0].G) for seed in (1, 1, 2)]
    assert same(starts[0], starts[1]) and not same(starts[0], starts[2])


@pytest.fixture
def parent(tmp_path):
    run = tiny.run(tmp_path / "parent", tiny.config("wgan_gp", epochs=1))
    train(run, DATA, device="cpu")
    return run


def test_a_warm_start_has_the_parents_weights(parent):
    """What has grown takes the inputs it had; the rest starts as without a parent (4.3)."""
    made, cold = (trainer("conditional_wgan_lp")[0] for _ in range(2))
    made.initialise(parent)
    for network, random, trained in zip(
        (made.G, made.D), (cold.G, cold.D), end_of(parent), strict=True
    ):
        own, start = network.state_dict(), random.state_dict()
        for name, weight in trained.items():
            part = tuple(slice(0, size) for size in weight.shape)
            assert torch.equal(own[name][part], weight), name
        for name in own.keys() - trained.keys():
            assert torch.equal(own[name], start[name]), name
    assert torch.equal(made.G.layers[0][0].weight[128:], cold.G.layers[0][0].weight[128:])
    assert not made.optimizer_g.state and not made.optimizer_d.state  # fresh optimisers


def test_a_parent_of_another_width_is_refused_and_leaves_nothing(parent, tmp_path):
    config = tiny.config("conditional_wgan_lp", features=1 / 8)
    run = tiny.run(tmp_path / "run", config)
    with pytest.raises(InputError, match="warm start does not fit.*same features"):
        train(run, DATA, parent, "cpu")
    assert not run.folder.exists()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("stop", [3, 4])  # at the end of an epoch, and within one
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, algorithm, stop):
    options = {} if algorithm == "gan" else {"ema": 0.9, "rate_decay": 0.9}
    options |= {"networks": "keypoints"} if algorithm in ("wgan", "conditional_wgan_lp") else {}
    config = tiny.config(algorithm, snapshots=(1, 5 / 3), **options)
    whole, parts = (tiny.run(tmp_path / name, config) for name in ("whole", "parts"))
    train(whole, DATA, device="cpu")
    train(parts, DATA, device="cpu", stop_after=stop)
    assert not parts.finished and parts.checkpoint.name == f"checkpoint-{stop:08d}"
    assert max(row["iteration"] for row in parts.metrics) == stop
    train(parts, DATA, device="cpu")
    assert parts.metrics == whole.metrics
    assert all(same(a, b) for a, b in zip(end_of(whole), end_of(parts), strict=True))
    names = sorted(file.name for file in whole.folder.glob("snapshot-*"))
    assert names == ["snapshot-1.66667.safetensors", "snapshot-1.safetensors"]
    for name in names:
        assert same(load_file(whole.folder / name), load_file(parts.folder / name))
    assert len(list(parts.folder.glob("checkpoint-*"))) == 2


def test_stopping_where_it_stopped_already_does_not_run_to_the_end(tmp_path):
    run = tiny.run(tmp_path / "run", tiny.config())
    train(run, DATA, device="cpu", stop_after=2)
    train(run, DATA, device="cpu", stop_after=2)
    assert not run.finished


# A checkpoint after each iteration, or, within a minute, none.
@pytest.mark.parametrize(("interval", "kept", "written"), [("0", 7, 7), ("60", 2, 6)])
def test_an_exception_within_an_epoch_loses_nothing_but_time(
    tmp_path, monkeypatch, interval, kept, written
):
    config = tiny.config("conditional_wgan_lp", epochs=4)
    whole, parts = (tiny.run(tmp_path / name, config) for name in ("whole", "parts"))
    train(whole, DATA, device="cpu")
    train(parts, DATA, device="cpu", stop_after=2)  # a checkpoint within the first epoch

    monkeypatch.setenv("THESIS_CHECKPOINT_SECONDS", interval)
    step, calls = Trainer.discriminator_step, []

    def failing(self, batch, batches):
        calls.append(None)
        if len(calls) == 6:  # iteration 8, within the third epoch
            raise KeyboardInterrupt
        return step(self, batch, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "discriminator_step", failing)
        with pytest.raises(KeyboardInterrupt):
            train(parts, DATA, device="cpu")
    assert parts.checkpoint.name == f"checkpoint-{kept:08d}"
    assert max(row["iteration"] for row in parts.metrics) == written  # some are forgotten
    train(parts, DATA, device="cpu")
    assert parts.metrics == whole.metrics
    assert all(same(a, b) for a, b in zip(end_of(whole), end_of(parts), strict=True))


def test_a_run_that_only_lacks_its_summary_is_finished_without_training(tmp_path, monkeypatch):
    run = tiny.run(tmp_path / "run", tiny.config())
    train(run, DATA, device="cpu")
    metrics = run.metrics
    (run.folder / "summary.json").unlink()
    monkeypatch.setattr(Trainer, "discriminator_step", lambda *_: pytest.fail("trained"))
    train(run, DATA, device="cpu")
    assert run.finished and run.metrics == metrics


def test_a_snapshot_is_g_as_it_was(tmp_path):
    long = tiny.run(tmp_path / "long", tiny.config(epochs=2, snapshots=(1,)))
    short = tiny.run(tmp_path / "short", tiny.config(epochs=1))
    train(long, DATA, device="cpu")
    train(short, DATA, device="cpu")
    snapshot = load_file(long.folder / "snapshot-1.safetensors")
    assert same(snapshot, end_of(short)[0]) and not same(snapshot, end_of(long)[0])
    assert same(weights(long.generator(1)), snapshot)
    assert not long.generator(1).training
    assert long.common_snapshot(long) == max(long.config.snapshots)


def diverging(at: int, change):
    """discriminator_step, with its loss and D changed at the step ``at``."""
    step, calls = Trainer.discriminator_step, []

    def diverge(self, batch, batches):
        calls.append(None)
        loss = step(self, batch, batches)
        return change(self, loss) if len(calls) == at else loss

    return diverge


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training(tmp_path, monkeypatch, value):
    run = tiny.run(tmp_path / "run", tiny.config(epochs=3))
    train(run, DATA, device="cpu", stop_after=3)
    kept = end_of(run)
    monkeypatch.setattr(
        Trainer, "discriminator_step", diverging(2, lambda self, loss: loss + value)
    )
    wanted = "diverged: a loss of iteration 5, epoch 1.67, .*learning_rate.* that of iteration 3"
    with pytest.raises(InputError, match=wanted):
        train(run, DATA, device="cpu")
    assert run.checkpoint.name == "checkpoint-00000003" and not run.finished
    assert all(same(a, b) for a, b in zip(end_of(run), kept, strict=True))
    assert max(row["iteration"] for row in run.metrics) == 3


def test_weights_that_are_no_numbers_are_not_kept(tmp_path, monkeypatch):
    """The last step before a checkpoint may ruin the networks after a sound loss."""

    def ruin(self, loss):
        with torch.no_grad():
            for parameter in self.D.parameters():
                parameter.fill_(float("nan"))
        return loss

    run = tiny.run(tmp_path / "run", tiny.config(k=9))
    monkeypatch.setattr(Trainer, "discriminator_step", diverging(6, ruin))
    with pytest.raises(InputError, match="diverged: .* There is no checkpoint"):
        train(run, DATA, device="cpu")
    assert run.checkpoint is None and not run.finished


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_losses_are_looked_at_within_an_epoch(tmp_path, monkeypatch, algorithm):
    """Of a long epoch the run would otherwise learn at its end, or never."""
    monkeypatch.setattr(loop, "LOGGED", 4)
    config = tiny.config(algorithm, epoch_size=400, batch_size=4, epochs=1, caption_pool="pairs")
    run = tiny.run(tmp_path / "run", config)

    def ruin(self, loss):
        with torch.no_grad():
            for parameter in (*self.D.parameters(), *self.G.parameters()):
                parameter.fill_(float("nan"))
        return loss

    monkeypatch.setattr(Trainer, "discriminator_step", diverging(6, ruin))
    with pytest.raises(InputError, match="a loss of iteration [67], .* There is no checkpoint"):
        train(run, DATA, device="cpu")
    assert [row["iteration"] for row in run.metrics] == [1, 2, 3, 4]


def test_weights_that_no_loss_tells_of_are_not_kept(tmp_path, monkeypatch):
    """A running mean of batch norm takes no part in training."""

    def ruin(self, loss):
        next(m for m in self.G.modules() if isinstance(m, NORMS)).running_mean[0] = math.inf
        return loss

    run = tiny.run(tmp_path / "run", tiny.config(k=9))
    monkeypatch.setattr(Trainer, "discriminator_step", diverging(6, ruin))
    with pytest.raises(InputError, match="diverged: a weight after iteration 6 is not finite"):
        train(run, DATA, device="cpu")
    assert run.checkpoint is None and not run.finished


def test_a_much_too_large_learning_rate_is_said_so(tmp_path):
    run = tiny.run(tmp_path / "run", tiny.config(learning_rate=1e12, epochs=4, k=1))
    with pytest.raises(InputError, match="smaller learning_rate"):
        train(run, DATA, device="cpu")


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    run = tiny.run(tmp_path / "run", tiny.config())
    train(run, DATA, device="cpu", stop_after=2)
    wider = tiny.run(run.folder, tiny.config(features=1 / 8))
    with pytest.raises(InputError, match="does not fit the config"):
        train(wider, DATA, device="cpu")
    assert run.checkpoint.name == "checkpoint-00000002"


def _thin(state: dict) -> None:
    """Without this being noticed, torch ends the process."""
    state["optimizer_d"]["state"][0]["exp_avg"] = torch.zeros(1)


@pytest.mark.parametrize(
    "change", [_thin, lambda s: s.pop("seconds"), lambda s: s["optimizer_g"].clear()]
)
def test_a_training_state_that_does_not_fit_is_named(tmp_path, change):
    run = tiny.run(tmp_path / "run", tiny.config())
    train(run, DATA, device="cpu", stop_after=2)
    path, state = run.checkpoint / "state.pt", run.state()
    change(state)
    torch.save(state, path)
    (path.parent / "hashes.json").unlink()
    with pytest.raises(InputError, match=r"state\.pt.*delete its run folder"):
        train(run, DATA, device="cpu")


@pytest.mark.parametrize("given", ["x", "-1", "nan"])
def test_seconds_between_checkpoints_are_a_number(tmp_path, monkeypatch, given):
    monkeypatch.setenv("THESIS_CHECKPOINT_SECONDS", given)
    with pytest.raises(InputError, match=f"THESIS_CHECKPOINT_SECONDS={given} must be"):
        train(tiny.run(tmp_path / "run", tiny.config()), DATA, device="cpu")


def test_checkpoints_go_by_time_within_an_epoch_too(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 7))  # seconds, at every look
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    monkeypatch.setenv("THESIS_CHECKPOINT_SECONDS", "60")
    monkeypatch.setattr(loop, "Progress", lambda *_: SimpleNamespace(update=id, close=list))
    saved, save = [], Run.save_checkpoint
    monkeypatch.setattr(
        Run, "save_checkpoint", lambda run, done, *a: saved.append(done) or save(run, done, *a)
    )
    config = tiny.config(epoch_size=80, epochs=1)
    train(tiny.run(tmp_path / "run", config), DATA, device="cpu")
    assert saved == [9, 18, 20]


def test_captions_are_asked_for_before_anything_is_written(tmp_path):
    run = tiny.run(tmp_path / "run", tiny.config("conditional_gan"))
    with pytest.raises(InputError, match="no pose with captions"):
        train(run, tiny.dataset(pairs=0), device="cpu")
    assert not run.folder.exists()


def test_training_needs_little_more_than_torch():
    code = (
        "import sys, lib.training.series, lib.training.loop, lib.data.cache, lib.models.tables; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.SOURCE, capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert {"torch", "numpy", "safetensors"} <= loaded
    heavy = "pycocotools fasttext matplotlib seaborn sklearn scipy pandas typer papermill IPython"
    assert not loaded & set(heavy.split() + ["requests", "ipywidgets", "nbformat"])
