"""What computes: the processor or the GPU, what it can do, and how it is called."""

import os
import platform
import re
from pathlib import Path

import torch

from lib.errors import InputError


def device_for(name: str = "auto") -> torch.device:
    """The named device; "auto" takes a GPU if there is one, each process its own. Raises InputError
    if this machine has no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun's number of this process
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        number = torch.zeros(1, device=name)
        number.item()  # torch has devices that hold nothing
        return number.device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = re.split(r"[.\n]\s|, ", str(error))[0][:100]  # torch may say a page
        raise InputError(f"The device {name!r} cannot be used ({reason}): try cpu.") from None


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16. A processor that does not imitates it: with AVX2
    alone that is some 40 times slower than float32, which is more exact besides."""
    if device.type != "cpu":
        return True
    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


def hardware(device: torch.device) -> str:
    """The device in words: the name of a GPU, or the cores used and the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name\s*:\s*(.*\S)", info, re.M)
    model = named[1] if named else platform.processor() or platform.machine()
    cores = torch.get_num_threads()
    return f"{cores} core{'s' if cores > 1 else ''} of {model}"
