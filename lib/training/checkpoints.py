"""Checkpoints of a run: written whole or not at all, checked before they are used.

``checkpoint-ITERATION/`` holds the weights of G and D (safetensors), ``state.pt`` (optimisers,
random state and counts), and ``hashes.json``, the SHA-256 of each. The last two stay: of a damaged
one the one before is used.
"""

import functools
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import torch

from lib import paths
from lib.errors import InputError
from lib.models.weights import save_network

KEPT = 2
NEW, OLD = "checkpoint-new", ".removed"  # being written; being deleted


def save(folder: Path, iteration: int, G, D, state: dict) -> None:
    """Writes a checkpoint into a run's folder. It takes its name when all of it is on the disk, and
    only then is an older one deleted. Raises InputError if the disk is full."""
    new, target = folder / NEW, folder / f"checkpoint-{iteration:08d}"
    _clear(folder)
    new.mkdir()
    save_network(G, new / "generator.safetensors")
    save_network(D, new / "discriminator.safetensors")
    try:
        torch.save(state, new / "state.pt")
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{paths.shown(new / 'state.pt')} cannot be written ({error}): make room. The last "
            "checkpoint is kept."
        ) from None
    write_hashes(new)
    for file in (*new.iterdir(), new):
        _to_disk(file)
    _remove(target)
    new.rename(target)
    _to_disk(folder)
    for old in every(folder)[KEPT:]:
        _remove(old)


def write_hashes(place: Path) -> None:
    """Writes hashes.json, of all files in a folder as they are."""
    files = sorted(file for file in place.iterdir() if file.name != "hashes.json")
    paths.write_json(place / "hashes.json", {file.name: _hash(file) for file in files})


def every(folder: Path) -> list[Path]:
    """A run's checkpoints, the newest first."""
    return sorted(folder.glob("checkpoint-????????"), reverse=True)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, None if there is none at all. Of a damaged one it says
    so, on stderr. Raises InputError if all are damaged."""
    damaged = ""
    for place in every(folder):
        name = fault(place)
        if not name:
            if damaged:
                print(f"{damaged}: {place.name} is used.", file=sys.stderr)
            return place
        damaged = f"{paths.shown(place / name)} is damaged"
    if damaged:
        raise InputError(f"{damaged}: delete its run folder and train again.")
    return None


def fault(place: Path) -> str:
    """The name of a file in a folder that is not what hashes.json says, or "" for none, as where
    there are no hashes. Looked at once, until a file changes."""
    return _fault(place, tuple(file.stat().st_mtime_ns for file in sorted(place.iterdir())))


@functools.lru_cache(maxsize=64)
def _fault(place: Path, _: tuple[int, ...]) -> str:
    known = place / "hashes.json"
    if not known.exists():
        return ""
    try:
        hashes = dict(json.loads(known.read_text()))
        wrong = (name for name, digest in hashes.items() if _hash(place / name) != digest)
        return next(wrong, "")
    except (OSError, ValueError, TypeError) as error:
        return Path(getattr(error, "filename", None) or known).name


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    """Deletes what was left by a process that was killed here."""
    for name in (NEW, OLD):
        shutil.rmtree(folder / name, ignore_errors=True)


def _remove(place: Path) -> None:
    """Deletes a checkpoint; half of one never has its name."""
    if place.exists():
        place.rename(place.with_name(OLD))
        shutil.rmtree(place.with_name(OLD))
