"""Generators as ONNX files, for programs without torch and without this package.

A file takes noise ``z`` (N, 128) from N(0, 1) and, of a conditional generator, the encodings ``h``
(N, 300) of captions, as the text encoder or the shipped table of words gives them; the file itself
multiplies them by 30. N may be any number.

It gives ``poses`` (N, 17, 3), x and y in heatmap pixels and visibility 0 or 1, and, where the
networks make them, ``heatmaps`` (N, 17, 64, 64) in [0, 1]. All of this also stands in the file's
metadata, with the run, a hash of its weights and the version of this package.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from lib import paths
from lib.data.skeleton import NAMES, SIZE
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.tables import NOISE, TEXT
from lib.pose.model import identity_of
from lib.training.runs import Run

OPSET = 18  # of operators: the first that has all of these, so that older runtimes read them, too
SHAPES = {"z": NOISE, "h": TEXT}  # lengths of the inputs


class Whole(nn.Module):
    """A run's generator and what comes before and after it: the scale of encodings, decoding."""

    def __init__(self, run: Run):
        super().__init__()
        self.run, self.G = run, run.generator()

    def forward(self, z: torch.Tensor, h: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """z (N, 128) and encodings h (N, 300), not scaled, to what the recipe says is
        made (:meth:`lib.models.recipe.Recipe.made`)."""
        return self.run.recipe.made(self.G, z, None if h is None else self.run.h(h))


def export(run: Run, out: Path) -> Path:
    """Writes the generator of a finished run; returns the file. Raises InputError if onnxscript is
    not installed, or there is a folder where the file should be."""
    if out.is_dir():
        raise InputError(f"{out} is a folder: give a file, such as {out / 'generator.onnx'}.")
    try:
        from onnxscript import ir
    except ImportError:
        raise InputError(
            "ONNX files are written by a package that is not installed: pip install onnxscript."
        ) from None
    conditional = ALGORITHMS[run.config.algorithm].conditional
    names = ["z", "h"] if conditional else ["z"]
    example = tuple(torch.zeros(2, SHAPES[name]) for name in names)
    whole = Whole(run).eval()
    with torch.no_grad():
        outputs = list(whole(*example))
    with _quiet():
        program = torch.onnx.export(
            whole,
            example,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=[{0: "N"}, {0: torch.export.Dim.DYNAMIC}][: len(names)],
            opset_version=OPSET,
            verbose=False,
        )
    # torch notes for each operator which lines of which files on this machine it comes from.
    ir.passes.common.ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props.update(described(run, names + outputs))
    with paths.replacing(out) as new:
        program.save(new)
    return out


def described(run: Run, names: list[str]) -> dict[str, str]:
    """What a file says of itself: where it comes from, and of its inputs and outputs ``names``."""
    scale = run.config.caption_scale
    meanings = {
        "z": f"(N, {NOISE}) noise from N(0, 1)",
        "h": f"(N, {TEXT}) encodings of captions, not scaled: the model multiplies by {scale:g}",
        "poses": f"(N, {len(NAMES)}, 3) x and y in pixels of a {SIZE} x {SIZE} heatmap, which mean "
        "nothing where the third number, visibility, is 0 instead of 1",
        "heatmaps": f"(N, {len(NAMES)}, {SIZE}, {SIZE}) from 0 to 1; rows are y",
    }
    trained_on = json.loads((run.folder / "config.json").read_text())["data"]
    told = identity_of(run.weights) | {"description": run.described, "data": trained_on}
    told |= {name: meanings[name] for name in names} | {"keypoints": ", ".join(NAMES)}
    return told | ({"licence": "MIT"} if run.published else {})  # one's own is one's own


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Inside it torch's exporter does not warn of torchvision, which nothing here needs, nor of
    what will change in torch itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        log.setLevel(level)
