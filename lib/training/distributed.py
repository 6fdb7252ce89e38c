"""Several processes that train one model together, each with a share of every minibatch.

``torchrun`` starts them, on one machine or on several with one data folder. Each draws the random
numbers of the whole minibatch and takes its share; batch norm takes its statistics over all shares;
gradients are summed. N processes so compute what one computes on the same minibatch, up to the
order of sums. (DistributedDataParallel expects a pass and its gradients; a penalty takes others.)
"""

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import nn


def rank() -> int:
    """This process's number; 0 writes and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Inside it the processes that torchrun has started work together."""
    with contextlib.ExitStack() as stack:
        if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
            dist.init_process_group()  # gloo between processors, NCCL between GPUs
            stack.callback(dist.destroy_process_group)
        yield


def wait() -> None:
    """Until every process is here."""
    if world() > 1:
        dist.barrier()


def any_say(*flags: bool) -> list[bool]:
    """Of each flag, whether it is set in one process at least, so that all decide the same."""
    if world() == 1:
        return list(flags)
    return [bool(number) for number in total(torch.tensor(flags, dtype=torch.float32)).tolist()]


def share(whole: torch.Tensor) -> torch.Tensor:
    """This process's part (B / N, ...) of a minibatch (B, ...); parts may differ by one."""
    return whole.tensor_split(world())[rank()]


class _Total(torch.autograd.Function):
    """The sum over all processes; so is its gradient, as each process's loss depends on it."""

    @staticmethod
    def forward(_, part: torch.Tensor) -> torch.Tensor:
        summed = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_, gradient: torch.Tensor) -> torch.Tensor:
        return _Total.forward(None, gradient)


def total(part: torch.Tensor) -> torch.Tensor:
    """Sum over all processes of a tensor that each has, which can be differentiated once."""
    return _Total.apply(part) if world() > 1 else part


@torch.no_grad()
def sum_gradients(network: nn.Module) -> None:
    """Gives every process the gradients of the sum of all processes' losses."""
    if world() == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    summed = total(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, summed.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm of (B, C, H, W) or (B, C) over all processes; torch's SyncBatchNorm wants GPUs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = x if x.ndim == 4 else x[:, :, None, None]  # (B / N, C, H, W)
        if not self.training:
            return super().forward(grid).view(x.shape)
        wide = grid.to(torch.promote_types(x.dtype, torch.float32))
        size = wide.new_tensor([x.numel() / x.shape[1]])
        sums, n = total(torch.cat([wide.sum(dim=(0, 2, 3)), size])).split([x.shape[1], 1])
        mean = sums / n
        centred = wide - mean[:, None, None]
        variance = total(centred.square().sum(dim=(0, 2, 3))) / n
        if self.track_running_stats:
            self.num_batches_tracked += 1
            # None means a mean over all minibatches so far, as in torch.
            momentum = self.momentum or 1 / int(self.num_batches_tracked)
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_((variance * n / (n - 1)).detach(), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        y = centred * scale[:, None, None] + self.bias[:, None, None]
        return y.view(x.shape).to(x.dtype)


def share_batch_norm(network: nn.Module) -> nn.Module:
    """Lets a network's batch norm take its statistics over the shares of all processes, where
    there are several. Weights, and their names in files, stay as they are."""
    for module in network.modules() if world() > 1 else ():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm
    return network
