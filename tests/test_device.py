"""What computes, and how it is called."""

import pytest
import torch

from lib.device import device_for, hardware
from lib.errors import InputError


def test_hardware_is_named():
    assert "1 core" in hardware(torch.device("cpu"))


def test_devices():
    assert device_for("cpu") == torch.device("cpu")
    assert device_for("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("tpu9", "cuda:99"):
        with pytest.raises(InputError, match=f"{name}.*try cpu"):
            device_for(name)
