"""The questionnaire of thesis 4.4.3: which of two heatmaps matches a caption better?

``make`` writes one HTML page that needs nothing but a browser, and the key to it; ``score`` counts
the answers that subjects send back. Without any, the result says so.
"""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lib import paths
from lib.data.cache import Dataset, Split
from lib.data.heatmaps import decode, render
from lib.errors import InputError
from lib.losses import ALGORITHMS
from lib.models.synthesis import noise, pick_captions, synthesise
from lib.models.tables import Generator
from lib.questionnaire.answers import Results
from lib.training.runs import Run, data_id

SIDES = ("left", "right")
TEMPLATE = Path(__file__).with_name("questionnaire.html")
COLUMNS, TILE = 8, 384  # of the one picture that holds all poses: tiles a row, pixels a tile


def _distinct(val: Split, number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs (number,) of the validation split and a row (number,) of each, no caption twice."""
    pairs, rows = pick_captions(val, len(val.pair_pose), seed)
    _, first = np.unique([val.captions[row] for row in rows.tolist()], return_index=True)
    chosen = np.sort(first)[:number]
    if len(chosen) < number:
        raise InputError(
            f"The validation data have {len(chosen)} captions for {number} questions: ask fewer "
            "with --questions."
        )
    return pairs[chosen], rows[chosen]


def _sides(G: Generator, number: int, seed: int) -> torch.Tensor:
    """(number,) the side of the synthesised pose, 0 or 1, half of them each. The weights decide,
    too: the seed alone, usually 0, would give the key to all who have this code."""
    digest = hashlib.sha256(str(seed).encode())
    for weight in G.state_dict().values():
        digest.update(weight.numpy().tobytes())
    source = torch.Generator().manual_seed(int.from_bytes(digest.digest()[:7]))
    return torch.randperm(number, generator=source) % 2


def make(
    run: Run,
    dataset: Dataset,
    folder: Path | None = None,
    questions: int = 20,
    seed: int = 0,
    raw: bool = False,
) -> tuple[Path, Path]:
    """Writes questionnaire.html and key.json, the same to the byte for the same arguments, to
    ``folder``, data/questionnaire by default, and returns their paths.

    ``run`` is a finished one of a conditional model, trained on ``dataset``. ``seed`` decides the
    ``questions`` captions of the validation split, no two the same, the noise and the sides.

    All poses are tiles of one picture, so that no name, size or order of files tells real from
    synthesised ones. Both are decoded and rendered again, as for the measures of 4.4.2: the grain
    of a generator's output would give it away at a glance. ``raw`` keeps it, as the thesis does.

    Raises:
        InputError: the model takes no captions, or was trained on other data; there are too few
            captions; the folder holds answers to another questionnaire.
    """
    from lib.figures import pose_sheet

    if not ALGORITHMS[run.config.algorithm].conditional:
        raise InputError(f"{run.folder.name} takes no captions: give a conditional model's run.")
    trained_on = json.loads((run.folder / "config.json").read_text()).get("data")
    if trained_on != data_id(run.config, dataset):
        raise InputError(f"{run.folder.name} was trained on other data than {dataset.name!r}.")
    val, G = dataset.val, run.generator()
    pairs, rows = _distinct(val, questions, seed)
    h = run.h(val.vectors[rows])  # (Q, 300)
    real = render(val.poses[val.pair_pose[pairs]])  # (Q, 17, 64, 64)
    both = torch.stack([real, synthesise(G, noise(questions, seed), h)], dim=1)
    sides = _sides(G, questions, seed)
    shown = torch.where(sides.view(-1, 1, 1, 1, 1) == 0, both.flip(1), both).flatten(0, 1)
    sheet = io.BytesIO()
    drawn = pose_sheet(shown if raw else render(decode(shown)), COLUMNS, TILE)
    drawn.savefig(sheet, format="png", metadata={"Software": None})

    captions = [val.captions[row] for row in rows]
    digest = hashlib.sha256(json.dumps(captions).encode() + sheet.getvalue())
    page = {"page": digest.hexdigest()[:16], "captions": captions, "tile": TILE, "columns": COLUMNS}
    key = {
        "keep": "This is the key to the questionnaire: do not send it to subjects.",
        "questionnaire": page["page"],
        "run": run.folder.name,
        "data": dataset.name,
        "seed": seed,
        "raw": raw,
        "captions": captions,
        "synthesised": [SIDES[side] for side in sides],
    }
    folder = folder or paths.QUESTIONNAIRE
    if any(page["page"].encode() not in file.read_bytes() for file in collected(folder)):
        raise InputError(
            f"{paths.shown(folder / 'answers')} holds answers to another questionnaire: give "
            "another folder with --out, or move the old one away."
        )
    (folder / "answers").mkdir(parents=True, exist_ok=True)
    picture = "data:image/png;base64," + base64.b64encode(sheet.getvalue()).decode()
    # No caption can end the script element that it stands in.
    text = json.dumps(page, ensure_ascii=False).replace("<", "\\u003c")
    html = TEMPLATE.read_text(encoding="utf-8").replace("@SHEET@", picture)
    paths.write_text(folder / "questionnaire.html", html.replace("@QUESTIONS@", text))
    paths.write_json(folder / "key.json", key)
    return folder / "questionnaire.html", folder / "key.json"


def collected(folder: Path) -> list[Path]:
    """The files of answers that lie in a questionnaire's folder."""
    files = (folder / "answers").glob("*.json")
    return sorted(file for file in files if not file.name.startswith("."))  # macOS hides its own


def _read(path: Path, types: dict[str, type], what: str, remedy: str) -> list:
    """The named fields of a JSON file, none of them empty text or of another type. Raises
    InputError, with the ``remedy`` that gets one, if the file is not ``what`` it should be."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        found = [content[name] for name in types]
        for value, (name, kind) in zip(found, types.items(), strict=True):
            if not isinstance(value, kind) or value == "":
                raise TypeError(f"{name} is {value!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{paths.shown(path)} is not {what} ({error!r}): {remedy}.") from None
    return found


def _key(path: Path) -> tuple[str, str, list[str], list[str]]:
    """The page, run, captions and sides of a key file."""
    what = "the key of a questionnaire"
    remedy = "`python -m lib questionnaire make` with the same run and seed writes it again"
    fields = {"questionnaire": str, "run": str, "captions": list, "synthesised": list}
    page, run, captions, sides = _read(path, fields, what, remedy)
    if not all(side in SIDES for side in sides) or len(sides) != len(captions):
        reason = "its sides do not fit its captions"
        raise InputError(f"{paths.shown(path)} is not {what} ({reason}): {remedy}.")
    return page, run, captions, sides


def _answers(path: Path, page: str, sides: list[str]) -> tuple[str, bool, list[bool]]:
    """The subject of a file, whether it is test data, and whether the synthesised pose was chosen,
    question by question."""
    fields = {"questionnaire": str, "subject": str, "test": bool, "answers": list}
    other, subject, test, given = _read(path, fields, "a whole file of answers", "ask for it again")
    if other != page:
        raise InputError(
            f"{paths.shown(path)} answers another questionnaire, {other}, than that of the key, "
            f"{page}."
        )
    number = sum(answer in SIDES for answer in given)
    if not number == len(given) == len(sides):
        raise InputError(
            f"{paths.shown(path)} is not complete: {number} of {len(sides)} questions are answered."
        )
    return subject, test, [answer == side for answer, side in zip(given, sides, strict=True)]


def score(files: Sequence[Path], key: Path) -> Results:
    """Counts the answers in ``files``, if any, saved by the page that ``key`` belongs to.

    Raises:
        InputError: a file is damaged or not complete, answers another page, or is of a subject
            that another file is of; test data and real answers are mixed; the key is damaged.
    """
    if not files:
        return Results([], np.zeros((0, 0), bool))
    page, run, captions, sides = _key(key)
    read = [(path, *_answers(path, page, sides)) for path in files]
    seen: dict[str, Path] = {}
    for path, subject, *_ in read:
        if subject in seen:
            raise InputError(
                f"{paths.shown(seen[subject])} and {paths.shown(path)} are of the same subject, "
                f"{subject}: keep one of them."
            )
        seen[subject] = path
    tests = [path for path, _, test, _ in read if test]
    if tests and len(tests) < len(read):
        raise InputError(
            f"{paths.shown(tests[0])} is test data and others are not: take the test data away."
        )
    preferred = np.array([answers for *_, answers in read], bool).T  # (questions, subjects)
    return Results(captions, preferred, run, bool(tests))


def results(folder: Path | None = None) -> Results:
    """The :func:`score` of the answers in ``folder``, data/questionnaire by default, if any."""
    folder = folder or paths.QUESTIONNAIRE
    return score(collected(folder), folder / "key.json")
