"""What several tests share: a home of their own, and tiny data in COCO's layout."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lib import paths
from lib.data import captions as text
from lib.evaluation import networks

# Tensors are small here: with two workers on two cores a second thread only waits.
torch.set_num_threads(1)

COCO_ZIP = paths.SOURCE.parent / "shared" / "coco" / "annotations_trainval2017.zip"
WORDS = ("tennis", "surfing", "riding", "skiing", "walking", "throwing")


@pytest.fixture(scope="session")
def coco_zip() -> Path:
    """The real COCO annotations, where this checkout has them beside it."""
    if not COCO_ZIP.is_file():
        pytest.skip("needs real COCO annotations in ../shared/coco, which are not there")
    return COCO_ZIP


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium without a window, where it is installed. (playwright's event loop runs until its
    module is done, and would be in the way of tests that execute notebooks.)"""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs a browser: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def use_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Lets everything be written below ``folder``; text encoder and judges learn little."""
    names = ("DATA", "SAMPLE", "COCO", "CACHE", "ENCODERS", "RUNS", "SWEEPS", "QUESTIONNAIRE")
    for name in (*names, "BOOK", "EXECUTED"):
        monkeypatch.setattr(paths, name, folder / getattr(paths, name).relative_to(paths.HOME))
    monkeypatch.setattr(paths, "HOME", folder)
    monkeypatch.setattr(text, "SETTINGS", text.SETTINGS | {"bucket": 1000})
    monkeypatch.setattr(networks, "STEPS", 20)
    return folder


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project home of the test's own."""
    return use_home(monkeypatch, tmp_path / "home")


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory):
    """A project home that the tests of one module share."""
    with pytest.MonkeyPatch.context() as patch:
        yield use_home(patch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def tiny_coco() -> Callable[..., Path]:
    """A writer of tiny valid data: ``tiny_coco(folder, ...)``; see ``write_tiny_coco``."""
    return write_tiny_coco


def write_tiny_coco(
    folder: Path,
    train: int = 12,
    val: int = 6,
    crowded: int = 3,
    captions: tuple[str, ...] = ("train", "val"),
    activities: bool = True,
    seed: int = 0,
    edit: Callable[[dict[str, dict]], None] | None = None,
    zipped: bool = False,
) -> Path:
    """Writes COCO's official layout, as small as it can be, and returns its path.

    Image ids start at 101 (train) and 201 (val), in descending order in the files. The first
    ``train`` or ``val`` images show one eligible person each, who has the id 10 * image id; the
    next ``crowded`` images two, the second with only five labelled keypoints. Every image has
    five captions, whose ids are 10 * image id + 0...4.

    Args:
        folder: the zip is put into it, or annotations/.
        train, val: single-person images.
        crowded: images of two persons, in each split.
        captions: splits that have a caption file.
        activities: whether there are activity files.
        seed: of the poses.
        edit: is given the files, {name without .json: content}, and may change them.
        zipped: the path returned is then a zip archive, otherwise the folder.
    """
    rng = np.random.default_rng(seed)
    files: dict[str, dict] = {}
    for split, first, single in (("train", 101, train), ("val", 201, val)):
        ids = list(range(first, first + single + crowded))[::-1]
        images = [{"id": i, "width": 320, "height": 240, "file_name": f"{i:012d}.jpg"} for i in ids]
        persons = []
        for image in ids:
            labelled = (17,) if image < first + single else (12, 5)
            persons += [person(rng, image, 10 * image + n, k) for n, k in enumerate(labelled)]
        entries = [
            {
                "id": 10 * image + n,
                "image_id": image,
                "caption": f"A person {WORDS[image % len(WORDS)]}  today, view {n}.\n",
            }
            for image in ids
            for n in (4, 3, 2, 1, 0)
        ]
        category = [{"id": 1, "name": "person", "supercategory": "person"}]
        files[f"person_keypoints_{split}2017"] = {
            "info": {},
            "licenses": [],
            "images": images,
            "annotations": persons,
            "categories": category,
        }
        if split in captions:
            files[f"captions_{split}2017"] = {"info": {}, "images": images, "annotations": entries}
        if activities:
            known = {str(image): WORDS[image % len(WORDS)] for image in ids}
            files[f"activities_{split}2017"] = known
    if edit is not None:
        edit(files)
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    members = {f"annotations/{name}.json": json.dumps(data) for name, data in files.items()}
    if zipped:
        path = folder / "annotations_trainval2017.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    for name, content in members.items():
        (folder / name).write_text(content)
    return folder


def person(rng: np.random.Generator, image: int, number: int, labelled: int) -> dict:
    """A person annotation whose first ``labelled`` keypoints are labelled, within the box."""
    x, y = (int(v) for v in rng.integers(5, 60, 2))
    w, h = (int(v) for v in rng.integers(60, 160, 2))
    keypoints = np.zeros((17, 3), int)
    keypoints[:labelled, 0] = rng.integers(x, x + w, labelled)
    keypoints[:labelled, 1] = rng.integers(y, y + h, labelled)
    keypoints[:labelled, 2] = rng.integers(1, 3, labelled)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": labelled,
        "area": w * h / 2,
        "bbox": [x, y, w, h],
        "keypoints": keypoints.ravel().tolist(),
    }
