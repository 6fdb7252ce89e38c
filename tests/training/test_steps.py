"""Steps in other ways than one by one: compiled in part, or recorded as on a GPU."""

import copy
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import tiny
import torch

from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.training import distributed, steps
from lib.training import trainer as trainers
from lib.training.minibatches import Batches
from lib.training.steps import WARM_UP, CapturedSteps, Steps, steps_for
from lib.training.trainer import Trainer, load_optimizer, optimizer_for

CPU = torch.device("cpu")
ITERATIONS = 14  # of 4, 4 and 2 poses a pass; a G step after every second


@pytest.fixture
def words(monkeypatch):
    """Sets THESIS_STEPS on a machine that is said to have a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return lambda text: monkeypatch.setenv("THESIS_STEPS", text)


def trained(algorithm: str, kind: Callable[..., Steps]) -> tuple[list, list, Steps]:
    """Losses and weights of a training; the poses are those of three iterations a pass."""
    config = tiny.config(algorithm)
    trainer = Trainer(config, CPU, torch.Generator().manual_seed(0))
    trainer.initialise(None)
    made = kind(trainer, Batches(tiny.split(10), config, CPU))
    found = []
    for iteration in range(ITERATIONS):
        found.append(made.discriminator(made.batches.indices(iteration)))
        if (iteration + 1) % config.k == 0:
            found.append(made.generator())
    return found, [*trainer.G.parameters(), *trainer.D.parameters()], made


class Tape:
    """Stands for CUDA graphs on a processor: recording leaves no trace, replaying works on the
    tensors that recording left."""

    def __init__(self):
        self.recorded, self.replayed, self.aside = 0, 0, 0

    def steps(self, trainer, batches) -> CapturedSteps:
        self.made = CapturedSteps(trainer, batches)
        return self.made

    def record(self, step, generator):
        made, trainer = self.made, self.made.trainer
        assert generator is trainer.generator
        parts = (trainer.G, trainer.D, trainer.optimizer_g, trainer.optimizer_d)
        kept = [copy.deepcopy(part.state_dict()) for part in parts]
        random = generator.get_state()
        loss, batch = step(), made.batch
        for part, state in zip(parts, kept, strict=True):
            part.load_state_dict(state)
        generator.set_state(random)
        self.recorded += 1

        def replay():
            self.replayed += 1
            before = made.batch
            loss.copy_(step())
            for name in ("x", "h", "h_hat"):
                if (static := getattr(batch, name)) is not None:
                    static.copy_(getattr(made.batch, name))
            made.batch = before  # a graph runs kernels, no Python
            return loss.clone()

        return replay

    def run_aside(self, step):
        self.aside += 1
        return step()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_recorded_steps_train_as_others_do(algorithm, monkeypatch):
    wanted, weights, _ = trained(algorithm, Steps)
    tape = Tape()
    monkeypatch.setattr(steps, "record", tape.record)
    monkeypatch.setattr(steps, "aside", tape.run_aside)
    found, same, made = trained(algorithm, tape.steps)
    torch.testing.assert_close(torch.stack(found), torch.stack(wanted), rtol=0, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(weights, same, strict=True))
    assert tape.recorded == 2 and tape.aside == 2 * WARM_UP
    whole = sum(len(made.batches.indices(i)) == 4 for i in range(ITERATIONS))
    after_whole = sum(len(made.batches.indices(i)) == 4 for i in range(1, ITERATIONS, 2))
    assert tape.replayed == whole + after_whole - 2 * WARM_UP > 4


@pytest.mark.parametrize("algorithm", ["gan", "conditional_wgan_lp"])
def test_compiled_networks_train_as_others_do(algorithm, monkeypatch):
    """Traced, forwards and backwards; the kernels are those of the processor, not fused."""
    compiling = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **o: compiling(f, backend="aot_eager", **o))
    found = []
    for text in ("", "compiled"):
        monkeypatch.setenv("THESIS_STEPS", text)
        found.append(trained(algorithm, Steps)[:2])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_only_training_minibatches_of_the_usual_size_are_compiled(words, monkeypatch):
    words("compiled")
    sizes = []

    def compiled(network):
        return lambda x, *h: sizes.append(len(x)) or network(x, *h)

    monkeypatch.setattr(trainers, "compiled", compiled)
    config = tiny.config("wgan_gp")
    trainer = Trainer(config, CPU, torch.Generator().manual_seed(0))
    trainer.initialise(None)
    made = steps_for(trainer, Batches(tiny.split(10), config, CPU))
    assert type(made) is Steps
    for iteration in range(3):
        made.discriminator(made.batches.indices(iteration))
    trainer.validate(Batches(tiny.split(8), config, CPU, training=False), seed=0)
    assert sizes == [4] * 6  # G, D of real and D of synthesised poses, twice


def test_the_words_of_the_switch(words, monkeypatch):
    batches = SimpleNamespace(config=tiny.config(), device=CPU)
    for text, wanted in (("", set()), ("captured compiled", {"captured", "compiled"})):
        words(text)
        assert steps.chosen() == wanted
        assert type(steps_for(None, batches)) is (CapturedSteps if wanted else Steps)
    words("capturd")
    with pytest.raises(InputError, match="'capturd'.*captured"):
        steps.chosen()
    words("captured")
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with pytest.raises(InputError, match="single process"):
        steps.chosen()
    monkeypatch.undo()
    monkeypatch.setenv("THESIS_STEPS", "captured")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="needs a GPU"):
            steps.chosen()


@pytest.mark.parametrize("algorithm", ["wgan", "wgan_gp"])
def test_optimisers_that_are_recorded_and_their_checkpoints(algorithm, words):
    """The count of steps lies on the GPU for one that is recorded, whatever wrote it."""
    config, layer = tiny.config(algorithm), torch.nn.Linear(2, 2)
    plain = optimizer_for(config, layer)
    assert plain.defaults["capturable"] is False
    layer(torch.ones(1, 2)).sum().backward()
    plain.step()
    words("captured")
    other = optimizer_for(config, layer)
    assert other.defaults["capturable"] is True
    load_optimizer(other, plain.state_dict())
    assert other.param_groups[0]["capturable"] is True
    assert other.param_groups[0]["lr"] == config.learning_rate
    assert [s["step"].item() for s in other.state_dict()["state"].values()] == [1, 1]


def test_a_gpu_records_the_same(words, monkeypatch):
    """On a GPU only: bench/gpu.py does the same at full width, with timings."""
    monkeypatch.undo()
    if not torch.cuda.is_available():
        pytest.skip("no GPU here: recorded steps are checked by python -m bench.gpu where one is")
    from bench.gpu import difference

    assert difference(tiny.config("wgan_gp"), tiny.split(10), "captured") < 1e-3
