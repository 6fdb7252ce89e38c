"""The questionnaire of thesis 4.4.3: which of two heatmaps matches a caption better?

``make`` writes one HTML page that needs nothing but a browser, and the key to it; ``score`` counts
the answers that subjects send back. No answer is made up: without any, the result says so.
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
from lib.data.cache import Dataset
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


def _distinct(dataset: Dataset, number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs (number,) of the validation split, and a caption's row (number,) of each; no caption
    comes twice."""
    val = dataset.val
    pairs, rows = pick_captions(val, len(val.pair_pose), seed)
    first: dict[str, int] = {}
    for i, row in enumerate(rows.tolist()):
        first.setdefault(val.captions[row], i)
    chosen = list(first.values())[:number]
    if len(chosen) < number:
        raise InputError(
            f"The validation data have {len(chosen)} captions for {number} questions: ask fewer "
            "with --questions."
        )
    return pairs[chosen], rows[chosen]


def _sides(G: Generator, number: int, seed: int) -> torch.Tensor:
    """(number,) the side of the synthesised pose, 0 or 1, as often the one as the other.

    They follow from the weights too: the seed alone, which is 0 more often than not, would give
    the key to anyone who has this code.
    """
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
    """Writes questionnaire.html and key.json, the same to the byte for the same arguments.

    All poses are tiles of one picture, so that no name, size or order of files tells real from
    synthesised ones. Both are decoded and rendered again, as for the measures of 4.4.2: the grain
    of a generator's output would tell it at a glance, whatever its pose.

    Args:
        run: a finished run of a conditional model.
        dataset: the data it was trained on.
        folder: where to write; None for data/questionnaire.
        questions: captions, each of them different, from the validation split.
        seed: of the captions, the noise and the sides.
        raw: show G's output as it is, as the thesis does.
    Returns:
        The paths of the page and of the key.
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
    pairs, rows = _distinct(dataset, questions, seed)
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
    places = folder / "questionnaire.html", folder / "key.json"
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
    places[0].write_text(html.replace("@QUESTIONS@", text), encoding="utf-8", newline="\n")
    paths.write_json(places[1], key)
    return places


def collected(folder: Path) -> list[Path]:
    """The files of answers that lie in a questionnaire's folder."""
    return sorted((folder / "answers").glob("*.json"))


def _key(path: Path) -> dict:
    """The content of a key file.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        sides = key["synthesised"]
        if set(sides) <= set(SIDES) and len(sides) == len(key["captions"]):
            return {name: key[name] for name in ("questionnaire", "run", "captions", "synthesised")}
        reason = "its sides do not fit its captions"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = repr(error)
    raise InputError(
        f"{paths.shown(path)} is not the key of a questionnaire ({reason}): `python -m lib "
        "questionnaire make` with the same run and seed writes it again."
    )


def _answers(path: Path, key: dict) -> tuple[str, bool, list[bool]]:
    """The subject of a file, whether it is test data, and whether the synthesised pose was chosen,
    question by question."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        page, subject, test, answers = (
            content[name] for name in ("questionnaire", "subject", "test", "answers")
        )
        if not (isinstance(subject, str) and subject and isinstance(test, bool)):
            raise ValueError("subject or test is of another type")
        given = list(map(str, answers))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{paths.shown(path)} is not a whole file of answers ({error!r}): ask for it again."
        ) from None
    if page != key["questionnaire"]:
        raise InputError(
            f"{paths.shown(path)} answers another questionnaire, {page}, than that of the key, "
            f"{key['questionnaire']}."
        )
    wanted = len(key["captions"])
    number = sum(answer in SIDES for answer in given)
    if number < wanted or len(given) != wanted:
        raise InputError(
            f"{paths.shown(path)} is not complete: {number} of {wanted} questions are answered."
        )
    return subject, test, [a == side for a, side in zip(given, key["synthesised"], strict=True)]


def score(files: Sequence[Path], key: Path) -> Results:
    """Counts the answers in ``files``, if any, saved by the page that ``key`` belongs to.

    Raises:
        InputError: a file is damaged or not complete, answers another page, or is of a subject
            that another file is of; test data and real answers are mixed; the key is damaged.
    """
    if not files:
        return Results([], np.zeros((0, 0), bool))
    known = _key(key)
    read = [(path, *_answers(path, known)) for path in files]
    seen: dict[str, Path] = {}
    for path, subject, *_ in read:
        if subject in seen:
            raise InputError(
                f"{paths.shown(seen[subject])} and {paths.shown(path)} are of the same subject, "
                f"{subject}: keep one of them."
            )
        seen[subject] = path
    marks = {test for _, _, test, _ in read}
    if len(marks) > 1:
        one = next(path for path, _, test, _ in read if test)
        raise InputError(
            f"{paths.shown(one)} is test data and others are not: take the test data away."
        )
    preferred = np.array([answers for *_, answers in read], bool).T  # (questions, subjects)
    return Results(known["captions"], preferred, known["run"], True in marks)


def results(folder: Path | None = None) -> Results:
    """The answers collected in ``folder``, data/questionnaire by default; none is a result too.

    Raises:
        InputError: as :func:`score`.
    """
    folder = folder or paths.QUESTIONNAIRE
    return score(collected(folder), folder / "key.json")
