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


@pytest.mark.parametrize("name", ["tpu9", "cuda:99", "mps", "meta", "xla", ""])
def test_a_device_that_is_not_there_is_said_in_a_sentence(name):
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(InputError, match=f"'{name}' cannot be used .*try cpu") as error:
        device_for(name)
    assert len(str(error.value)) < 200 and "\n" not in str(error.value)
