"""Generators as ONNX files compute what they compute in torch; the page's example runs as it is."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import tiny
import torch

from lib import paths
from lib.data.heatmaps import decode
from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.models.synthesis import noise, synthesise
from lib.models.weights import save_network
from lib.pose.export import export
from lib.pose.model import Model, shipped
from lib.pose.words import Words
from lib.training.runs import Run

PAGE = (paths.SOURCE / "book" / "pose.md").read_text().partition("## In your own program\n")[2]


def session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> SimpleNamespace:
    """What the page's command wrote, called from a shell in an empty folder."""
    folder = tmp_path_factory.mktemp("export")
    command = re.search(r"^python -m (lib export .*?) *#", PAGE, re.MULTILINE)[1].split()
    environment = os.environ | {"PYTHONPATH": str(paths.SOURCE)}
    how = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-m", *command], **how)
    return SimpleNamespace(done=done, file=folder / f"{shipped().name}.onnx")


@pytest.fixture(scope="module")
def exported(shell, module_home):
    """Runs of each kind, with their files."""
    own = tiny.conditional_run(paths.RUNS / "own", tiny.dataset())
    G = own.generator()
    last = G.layers[-1][0]
    with torch.no_grad():  # some keypoints are there in all poses, some in few, some in none
        last.weight *= 20
        last.bias.copy_(torch.linspace(-2, 2, len(NAMES)))
    own.weights.with_name("hashes.json").unlink()
    save_network(G, own.weights)
    gan = Run.read(next(paths.PUBLISHED.glob("gan-*")))
    return {
        "keypoints": (Run.read(shipped()), shell.file),
        "heatmaps": (own, export(own, module_home / "new" / "own.onnx")),
        "unconditional": (gan, export(gan, module_home / "gan.onnx")),
    }


def test_the_command_writes_one_file_and_torch_says_nothing(shell):
    done = shell.done
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{shell.file.name}\n")
    assert list(shell.file.parent.iterdir()) == [shell.file]


@pytest.mark.parametrize("number", [1, 7])
@pytest.mark.parametrize("kind", ["keypoints", "heatmaps", "unconditional"])
def test_outputs_are_those_of_torch(exported, kind, number):
    run, file = exported[kind]
    z, source = noise(number, 3), torch.Generator().manual_seed(4)
    vectors = torch.nn.functional.normalize(torch.randn(number, 300, generator=source))
    given = {"z": z} if kind == "unconditional" else {"z": z, "h": vectors}
    found = session(file)
    made = found.run(None, {name: value.numpy() for name, value in given.items()})
    made = dict(zip([output.name for output in found.get_outputs()], made, strict=True))
    h = run.h(vectors) if "h" in given else None
    with torch.no_grad():
        if kind == "heatmaps":
            heatmaps = synthesise(run.generator(), z, h)
            wanted = {"poses": decode(heatmaps), "heatmaps": heatmaps}
        else:
            wanted = {"poses": run.generator().poses(z, h)}
    assert made.keys() == wanted.keys() and wanted["poses"].shape == (number, 17, 3)
    assert set(np.unique(made["poses"][..., 2])) == {0, 1}
    np.testing.assert_allclose(made["poses"], wanted["poses"], atol=1e-4)
    if kind == "heatmaps":
        np.testing.assert_allclose(made["heatmaps"], wanted["heatmaps"], atol=1e-5)


def test_files_say_what_they_are(exported):
    told = {}
    for kind, (run, file) in exported.items():
        found = session(file)
        told[kind] = found.get_modelmeta().custom_metadata_map
        named = [each.name for each in [*found.get_inputs(), *found.get_outputs()]]
        assert told[kind].keys() >= {*named, "version", "description", "data"}
        assert all(re.match(r"\(N(, \d+)+\)", told[kind][name]) for name in named)
        assert told[kind]["model"] == run.folder.name
        assert told[kind]["keypoints"] == ", ".join(NAMES)
    assert "multiplies by 30" in told["keypoints"]["h"] and "h" not in told["unconditional"]
    assert "heatmaps" in told["heatmaps"] and "heatmaps" not in told["keypoints"]
    assert told["keypoints"].items() >= Model().identity.items()
    assert told["keypoints"]["data"] == Words.read("coco").data
    assert told["keypoints"]["licence"] == "MIT" and "licence" not in told["heatmaps"]


def test_files_know_no_place_of_this_machine(exported):
    places = [str(paths.SOURCE), str(Path(torch.__file__).parent), str(Path.home()), ".py"]
    for _, file in exported.values():
        content = file.read_bytes()
        assert not [place for place in places if place.encode() in content]


def test_the_example_on_the_page_runs_as_it_is(shell, monkeypatch, capsys):
    """It makes what the package makes of the same noise, with nothing but three packages."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 15
    imports = [node for node in ast.walk(ast.parse(code)) if hasattr(node, "names")]
    names = [getattr(node, "module", None) or node.names[0].name for node in imports]
    assert names == ["numpy", "onnxruntime", "safetensors.numpy"]
    (shell.file.parent / "data").symlink_to(paths.SOURCE / "data")
    monkeypatch.chdir(shell.file.parent)
    made: dict = {}
    exec(code, made)
    model, run = Model(), Run.read(shipped())
    np.testing.assert_allclose(made["h"][0], model.words.encode("a woman rides a wave"), atol=1e-6)
    h, z = run.h(torch.from_numpy(made["h"])), torch.from_numpy(made["z"])
    with torch.no_grad():
        wanted = run.generator().poses(z, h).numpy()
    assert made["poses"].shape == (6, 17, 3)
    np.testing.assert_allclose(made["poses"], wanted, atol=1e-4)
    shown = np.array([float(number) for number in re.findall(r"[\d.]+", capsys.readouterr().out)])
    np.testing.assert_allclose(shown, 8 * np.abs(wanted[0, :, :2]).flatten(), rtol=1e-3)


def test_what_the_page_says_of_the_table_holds():
    known = Words.read("coco")
    assert np.abs(known.vectors).max() == 127 and known.scales.shape == (len(known.places),)


def test_a_folder_or_a_missing_package_is_said_in_a_sentence(monkeypatch, tmp_path):
    run = Run.read(shipped())
    with pytest.raises(InputError, match="is a folder: give a file"):
        export(run, tmp_path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match="pip install onnxscript"):
        export(run, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
