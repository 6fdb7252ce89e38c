"""Every path of the project, from this file's own place.

``THESIS_HOME`` moves all that is written (data, executed notebooks, book) to another folder, so
that tests and several data sets can live side by side; what is read from the repository
stays where it is.
"""

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("THESIS_HOME") or SOURCE).resolve()

NOTEBOOKS = SOURCE / "notebooks"
PROFILES = SOURCE / "profiles"
PUBLISHED = SOURCE / "data" / "published"  # finished runs that the repository ships

DATA = HOME / "data"
SAMPLE = DATA / "sample"  # the generated data set, in COCO's layout
COCO = DATA / "coco"  # a downloaded archive, and photographs where there are any
CACHE = DATA / "cache"
ENCODERS = DATA / "encoders"  # wiki.en.bin goes here, and the encoders trained here
RUNS = DATA / "runs"
QUESTIONNAIRE = DATA / "questionnaire"  # the page, its key, and answers/ as they come in
SWEEPS = DATA / "sweeps"  # executed notebooks and a table of each

BOOK = HOME / "book"
EXECUTED = BOOK / "notebooks"


def shown(path: Path) -> str:
    """``path`` relative to the repository where it lies inside it, as messages show it."""
    path = Path(path)
    return str(path.relative_to(SOURCE)) if path.is_relative_to(SOURCE) else str(path)
