"""Every path of the project, from this file's own place; and files written whole or not at all.

``THESIS_HOME`` moves all that is written (data, executed notebooks, book) to another folder, so
that tests and several data sets can live side by side; what is read from the repository
stays where it is.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.errors import InputError

SOURCE = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("THESIS_HOME") or SOURCE).expanduser().resolve()
if os.environ.get("THESIS_HOME"):  # which may be relative, and kernels run in other folders
    os.environ["THESIS_HOME"] = str(HOME)

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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file next to ``path``, which takes its place when the block ends without an
    error; after one, ``path`` is what it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        yield new
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(file: Path, busy: str) -> Iterator[None]:
    """Keeps other processes out until this one leaves or is killed. Raises InputError, with the
    sentence ``busy``, if one is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(busy) from None
        yield


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file."""
    write_text(path, json.dumps(content, indent=2) + "\n")
