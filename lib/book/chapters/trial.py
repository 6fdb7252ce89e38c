"""What the book's page to try the model needs, as a Sphinx extension, named in ``_config.yml``.

``book/assets/pose.js`` reads the same two files of weights as :mod:`lib.pose.plain` and
:mod:`lib.pose.words`, and computes the same numbers. A page that was opened from disk may not fetch
files, but may load scripts: so both files come as text in one.
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from lib import paths
from lib.data.skeleton import COLOURS, EDGES, NAMES, SIDES, side
from lib.pose.formats import FROM_COCO, SHOULDERS
from lib.pose.model import ANIMALS, PEOPLE, SEVERAL, SOURCE, Model
from lib.pose.words import PUNCTUATION, file_of

SCRIPT, GALLERY = "pose-model.js", "sentences.png"
EXAMPLES = (
    "a surfer rides a wave",
    "a skier goes down a slope",
    "a woman sits on a bench",
    "a boy throws a frisbee",
)


def content() -> dict[str, Any]:
    """All that the page needs to know, ready for JSON."""
    model = Model()
    coded = [base64.b64encode(f.read_bytes()).decode() for f in (model.weights, file_of(SOURCE))]
    return {
        "identity": model.identity,
        "scale": model.scale,
        "generator": coded[0],
        "table": coded[1],
        "names": NAMES,
        "colours": ["#" + bytes(round(255 * c) for c in rgb).hex() for rgb in COLOURS.tolist()],
        "edges": [(*edge, SIDES[side(edge)]) for edge in EDGES],
        "openpose": FROM_COCO,
        "shoulders": SHOULDERS,
        "punctuation": list(PUNCTUATION),
        "several": sorted(SEVERAL),
        "animals": sorted(ANIMALS),
        "people": sorted(PEOPLE),
        "examples": EXAMPLES,
    }


def write(folder: Path) -> None:
    """Writes the script, and the gallery that stands in its place where scripts are off."""
    text = json.dumps(content(), separators=(",", ":"))
    paths.write_text(folder / SCRIPT, f"poseModel({text});\n")
    shutil.copyfile(paths.PUBLISHED / GALLERY, folder / GALLERY)


def _after_build(app, exception) -> None:
    if exception is None and (Path(app.srcdir) / "pose.md").is_file():
        write(Path(app.outdir) / "_static")


def setup(app):
    """Connects it; Sphinx calls it."""
    app.connect("build-finished", _after_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
