"""What tests of the loop share: a trainer of tiny networks, and copies of weights."""

import tiny
import torch

from lib.training.minibatches import Batches
from lib.training.trainer import Trainer

CPU = torch.device("cpu")
DATA = tiny.dataset()  # ten poses: three iterations an epoch, the last of two poses


def trainer(algorithm="wgan_gp", **changes) -> tuple[Trainer, Batches]:
    config = tiny.config(algorithm, **changes)
    made = Trainer(config, CPU, torch.Generator().manual_seed(0))
    made.initialise(None)
    return made, Batches(DATA.train, config, CPU)


def weights(network) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


def parameters(network) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)
