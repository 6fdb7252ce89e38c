"""The questionnaire: a page that keeps its secret, answers that are counted as they were given."""

import base64
import dataclasses
import io
import json
import re
import shutil
import struct

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from lib import figures, paths
from lib.data.heatmaps import decode, render, through_heatmap
from lib.errors import InputError
from lib.figures.page import DPI, Page
from lib.figures.poses import draw_pose
from lib.models.synthesis import noise, synthesise
from lib.questionnaire import page as questionnaire
from lib.questionnaire.answers import Results
from lib.questionnaire.page import make, results, score

DATA = tiny.dataset(train=40, val=40, pairs=30)  # not every pose has captions
QUESTIONS = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.conditional_run(tmp_path_factory.mktemp("runs") / "conditional-tiny", DATA)


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    """The folder of a small questionnaire; no test changes it."""
    folder = tmp_path_factory.mktemp("questionnaire")
    make(run, DATA, folder, QUESTIONS)
    return folder


def key_of(folder) -> dict:
    return json.loads((folder / "key.json").read_text())


def parts(folder) -> tuple[str, bytes, dict]:
    """The page without what is put into it, its picture, and its questions."""
    html = (folder / "questionnaire.html").read_text()
    picture = re.search(r'src="data:image/png;base64,([^"]*)"', html)[1]
    text = re.search(r'<script type="application/json" id="questions">(.*?)</script>', html)[1]
    bare = html.replace(picture, "").replace(text, "")
    return bare, base64.b64decode(picture), json.loads(text)


def answer(folder, subject: str, sides, /, **changes):
    """A file of answers as the page saves it; ``sides``, or "real" or "fake" throughout."""
    key = key_of(folder)
    if sides in ("real", "fake"):
        turn = {"left": "right", "right": "left"} if sides == "real" else {}
        sides = [turn.get(side, side) for side in key["synthesised"]]
    content = {"questionnaire": key["questionnaire"], "subject": subject, "test": False}
    path = folder / "answers" / f"answers-{subject}.json"
    path.write_text(json.dumps(content | {"answers": sides} | changes))
    return path


@pytest.fixture
def folder(made, tmp_path):
    """A questionnaire that a test may fill."""
    return shutil.copytree(made, tmp_path / "copy")


# --- the page -------------------------------------------------------------------------------


def test_the_same_to_the_byte(run, made, tmp_path):
    files = make(run, DATA, tmp_path, QUESTIONS)
    assert [f.read_bytes() for f in files] == [(made / f.name).read_bytes() for f in files]
    make(run, DATA, tmp_path, QUESTIONS, seed=1)
    for file in files:
        assert file.read_bytes() != (made / file.name).read_bytes()
    assert key_of(tmp_path)["questionnaire"] != key_of(made)["questionnaire"]


def test_twenty_questions_in_the_default_folder(run, home):
    page, key = make(run, DATA)
    assert (page.parent, key.parent) == (paths.QUESTIONNAIRE, paths.QUESTIONNAIRE)
    assert len(parts(page.parent)[2]["captions"]) == 20
    assert (page.parent / "answers").is_dir()


@pytest.mark.parametrize("raw", [False, True])
def test_the_key_tells_the_pose_of_the_caption_from_that_of_the_model(
    run, tmp_path, monkeypatch, raw
):
    shown = []
    real = figures.pose_sheet
    monkeypatch.setattr(figures, "pose_sheet", lambda h, *a: (shown.append(h), real(h, *a))[1])
    make(run, DATA, tmp_path, QUESTIONS, seed=5, raw=raw)
    key, heatmaps = key_of(tmp_path), shown[0].unflatten(0, (QUESTIONS, 2))
    rows = torch.tensor([int(caption.split()[1]) for caption in key["captions"]])
    h = DATA.val.vectors[rows] * run.config.caption_scale
    fakes = synthesise(run.generator(), noise(QUESTIONS, 5), h)
    for i, (row, side) in enumerate(zip(rows, key["synthesised"], strict=True)):
        pair = int((DATA.val.pair_first <= row).sum()) - 1
        pose = DATA.val.poses[DATA.val.pair_pose[pair]][None]
        fake = ["left", "right"].index(side)
        wanted = {fake: decode(fakes[i : i + 1]), 1 - fake: through_heatmap(pose)}
        for place, expected in wanted.items():
            assert torch.equal(decode(heatmaps[i, place][None]), expected)
        if raw:
            torch.testing.assert_close(heatmaps[i, fake], fakes[i])
            torch.testing.assert_close(heatmaps[i, 1 - fake], render(pose)[0])
        else:  # nothing but the pose is left of either
            torch.testing.assert_close(heatmaps[i], render(decode(heatmaps[i])))


def test_the_picture_holds_the_poses_as_the_book_draws_them(made):
    _, png, page = parts(made)
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    tile, columns = page["tile"], page["columns"]
    assert picture.shape == (2 * tile, columns * tile, 3)  # twelve poses
    caption, side = page["captions"][4], key_of(made)["synthesised"][4]
    pair = int((DATA.val.pair_first <= int(caption.split()[1])).sum()) - 1
    i = 2 * 4 + ["right", "left"].index(side)
    y, x = tile * (i // columns), tile * (i % columns)
    real = render(through_heatmap(DATA.val.poses[DATA.val.pair_pose[pair]][None]))[0]
    fig = Page(tile / DPI, tile / DPI)
    draw_pose(fig.place(0, 0, tile / DPI, tile / DPI), real)
    alone = io.BytesIO()
    fig.savefig(alone, format="png")
    wanted = np.asarray(Image.open(alone).convert("RGB")).astype(int)
    assert np.abs(picture[y : y + tile, x : x + tile] - wanted).max() <= 2


def test_captions_are_of_the_validation_split_and_differ(run, tmp_path):
    texts = [f"caption {c % 9}" for c in range(len(DATA.val.captions))]
    val = dataclasses.replace(DATA.val, text="\n".join(texts).encode())
    data = dataclasses.replace(DATA, val=val)
    make(run, data, tmp_path, questions=7)
    captions = key_of(tmp_path)["captions"]
    assert len(set(captions)) == 7 and set(captions) <= set(texts)
    with pytest.raises(InputError, match="9 captions for 10 questions"):
        make(run, data, tmp_path, questions=10)


def test_sides_are_balanced_and_follow_seed_and_weights(run, tmp_path):
    G, other = run.generator(), tiny.conditional_run(tmp_path / "other", DATA, seed=1).generator()
    drawn = [questionnaire._sides(G, 20, seed) for seed in range(200)]
    assert all(sides.sum() == 10 for sides in drawn)
    # A place, or two of them, must not tell a side: 200 fair draws stay within 4 deviations.
    each = torch.stack(drawn).float()
    assert (each.mean(dim=0) - 0.5).abs().max() < 4 * 0.5 / 200**0.5
    changes = (each[:, 1:] != each[:, :-1]).float().mean(dim=0)
    assert (changes - 10 / 19).abs().max() < 4 * 0.5 / 200**0.5
    assert torch.equal(questionnaire._sides(G, 20, 0), drawn[0])
    assert not torch.equal(questionnaire._sides(other, 20, 0), drawn[0])


def test_the_page_says_nothing_of_the_key(run, made, tmp_path, monkeypatch):
    bare, png, page = parts(made)
    assert page.keys() == {"page", "captions", "tile", "columns"}
    assert not re.search(r"real|fake|synth|generat|GAN\b|seed|key\.json|" + run.folder.name, bare)
    # The same questions with all sides turned: only the picture and the page's number differ.
    turned = questionnaire._sides
    monkeypatch.setattr(questionnaire, "_sides", lambda *args: 1 - turned(*args))
    make(run, DATA, tmp_path, QUESTIONS)
    other_bare, other_png, other = parts(tmp_path)
    assert other_bare == bare and other["captions"] == page["captions"]
    assert other["page"] != page["page"] and other_png != png
    assert set(key_of(tmp_path)["synthesised"]) == {"left", "right"}
    assert all(
        a != b
        for a, b in zip(key_of(tmp_path)["synthesised"], key_of(made)["synthesised"], strict=True)
    )


def test_the_picture_is_one_and_carries_no_text(made):
    html = (made / "questionnaire.html").read_text()
    assert html.count("data:image") == 1
    _, png, _ = parts(made)
    kinds, at = set(), 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        kinds.add(kind.decode())
        at += length + 12
    assert kinds <= {"IHDR", "pHYs", "IDAT", "IEND"}


def test_the_page_names_no_other_place(made):
    bare, _, _ = parts(made)
    assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttp", bare)
    assert "default-src 'none'" in bare


def test_a_caption_cannot_break_the_page(run, tmp_path):
    text = '</script><b>&quot; "x" \\u003c @SHEET@ é'
    texts = [f"{text} {c}" for c in range(len(DATA.val.captions))]
    val = dataclasses.replace(DATA.val, text="\n".join(texts).encode())
    make(run, dataclasses.replace(DATA, val=val), tmp_path, QUESTIONS)
    assert all(caption in texts for caption in parts(tmp_path)[2]["captions"])
    assert "</script><b>" not in (tmp_path / "questionnaire.html").read_text()


def test_unfit_models_and_data_are_refused(run, tmp_path):
    plain = tiny.run(tmp_path / "wgan_gp-tiny", tiny.config())
    with pytest.raises(InputError, match="wgan_gp-tiny takes no captions"):
        make(plain, DATA, tmp_path)
    other = dataclasses.replace(DATA, pairs_id="others")
    with pytest.raises(InputError, match="other data than 'sample'"):
        make(run, other, tmp_path)
    assert not list(tmp_path.iterdir())


def test_answers_keep_their_page(run, folder):
    answer(folder, "a", "real")
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    with pytest.raises(InputError, match="answers to another questionnaire"):
        make(run, DATA, folder, QUESTIONS, seed=1)
    make(run, DATA, folder, QUESTIONS)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
    (folder / "key.json").unlink()  # a key that is lost can be made again
    make(run, DATA, folder, QUESTIONS)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before


# --- the answers ----------------------------------------------------------------------------


def test_answers_are_counted_by_the_key(folder):
    key = key_of(folder)
    answer(folder, "a", "fake")
    answer(folder, "b", "real")
    answer(folder, "c", ["left"] * QUESTIONS)
    found = results(folder)
    left = [side == "left" for side in key["synthesised"]]
    assert found.preferred.T.tolist() == [[True] * QUESTIONS, [False] * QUESTIONS, left]
    assert (found.run, found.test, found.subjects) == ("conditional-tiny", False, 3)
    assert found.captions == key["captions"]
    summary = found.summary()
    chosen = QUESTIONS + QUESTIONS // 2  # sides are balanced
    assert summary["overall"]["synthesised"] == chosen
    assert summary["overall"]["share"] == pytest.approx(chosen / (3 * QUESTIONS))
    assert [q["synthesised"] for q in summary["questions"]] == [1 + here for here in left]
    assert json.loads(json.dumps(summary)) == summary


def results_of(preferred, **more) -> Results:
    preferred = np.array(preferred, bool)
    captions = [f"caption {i}" for i in range(len(preferred))]
    return Results(captions, preferred, run="a-run", **more)


def test_numbers_of_results():
    found = results_of([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    overall, second = found.overall, found.each[1]
    assert (overall.value, second.value) == pytest.approx((3 / 12, 1 / 4))
    assert (overall.low, overall.high) == pytest.approx((0.0889, 0.5323), abs=1e-4)
    assert (second.low, second.high) == pytest.approx((0.0456, 0.6994), abs=1e-4)
    # 11 of 18 pairs of answers agree; by chance (1/4)^2 + (3/4)^2 would.
    assert found.kappa == pytest.approx((11 / 18 - 10 / 16) / (1 - 10 / 16))
    text = str(found)
    assert "25.0% of 12 answers of 4 subjects" in text and "a-run" in text and "8.9%" in text
    assert f"{found.kappa:.2f}" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[4:]]
    assert rows[0] == ["1", "50%", "15% to 85%", "caption 0"]
    assert rows[-1] == ["", "25%", "9% to 53%", "all"] and len(rows) == 4


@pytest.mark.parametrize(
    ("wins", "finding"),
    [
        (2, "prefer the real poses"),
        (20, "neither kind is preferred beyond chance"),
        (38, "prefer the synthesised poses"),
    ],
)
def test_the_verdict_follows_the_interval(wins, finding):
    cells = np.arange(40).reshape(10, 4) < wins
    verdict = results_of(cells).verdict
    assert finding in verdict
    for other in ("real poses", "neither", "synthesised poses"):
        assert (other in verdict) == (other in finding)


def test_agreement_that_is_not_defined_is_said_so():
    alone, same = results_of([[1], [0]]), results_of([[0, 0], [0, 0]])
    assert alone.kappa is None and "single subject" in alone.verdict
    assert same.kappa is None and "0 / 0, not defined" in same.verdict
    assert "of 1 subject " in alone.verdict
    assert alone.summary()["kappa"] is None


def test_without_answers_nothing_is_claimed(home):
    nothing = results()
    text = nothing._repr_markdown_()
    assert nothing.subjects == 0 and nothing.figure() is None
    assert "No answers have been collected" in text and "%" not in text
    assert "python -m lib questionnaire make" in text and "questionnaire score" in text
    assert nothing.summary()["overall"] is None and nothing.summary()["questions"] == []


def test_test_data_are_named_wherever_they_are_shown(folder):
    answer(folder, "a", "fake", test=True)
    answer(folder, "b", "real", test=True)
    found = results(folder)
    assert found.test and found.summary()["test"] is True
    assert found.verdict.startswith("TEST DATA") and "TEST DATA" in found._repr_markdown_()
    assert "beyond chance" not in found.verdict and "the subjects prefer" not in found.verdict
    assert "TEST DATA" in found.figure().axes[0].get_title()
    real = results_of([[1, 0], [0, 0]])
    assert "TEST" not in str(real) and real.figure().axes[0].get_title() == ""


def test_files_as_other_systems_leave_them_are_read_or_passed_over(folder):
    own = answer(folder, "a", "fake")
    own.write_bytes(b"\xef\xbb\xbf" + own.read_bytes())  # as Notepad saves it
    own.with_name("._answers-a.json").write_bytes(b"\x00\x05\x16\x07")  # a Mac's
    assert results(folder).subjects == 1


def test_test_data_do_not_mix_with_answers(folder):
    answer(folder, "a", "fake")
    mark = answer(folder, "b", "real", test=True)
    with pytest.raises(InputError, match="is test data and others are not") as error:
        results(folder)
    assert str(mark) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"questionnaire": "0123"}, "answers another questionnaire, 0123"),
        ({"answers": ["left"] * (QUESTIONS - 1) + [None]}, "5 of 6 questions"),
        ({"answers": ["left"] * (QUESTIONS - 1)}, "5 of 6 questions"),
        ({"answers": ["left"] * (QUESTIONS + 1)}, "is not complete"),
        ({"answers": ["left"] * (QUESTIONS - 1) + ["both"]}, "5 of 6 questions"),
        ({"answers": None}, "not a whole file"),
        ({"subject": ""}, "not a whole file"),
        ({"subject": 7}, "not a whole file"),
        ({"test": "no"}, "not a whole file"),
    ],
)
def test_files_that_cannot_count_are_refused(folder, changes, words):
    answer(folder, "a", "real")
    path = answer(folder, "b", "real", **changes)
    with pytest.raises(InputError, match=words) as error:
        results(folder)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b"\xff\xfe"])
def test_damaged_files_are_refused(folder, content):
    path = folder / "answers" / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a whole file of answers"):
        results(folder)
    with pytest.raises(InputError, match="not a whole file of answers"):
        score([folder / "answers" / "gone.json"], folder / "key.json")


def test_a_subject_counts_once(folder):
    first = answer(folder, "a", "real")
    again = first.with_name("answers-a (1).json")
    again.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match="are of the same subject, a: keep one") as error:
        results(folder)
    assert str(first) in str(error.value) and str(again) in str(error.value)
    with pytest.raises(InputError, match="are of the same subject"):
        score([first, first], folder / "key.json")


@pytest.mark.parametrize(
    "change", [{"synthesised": ["left"]}, {"synthesised": ["up"] * QUESTIONS}, {"captions": None}]
)
def test_a_damaged_key_is_refused(folder, change):
    answer(folder, "a", "real")
    (folder / "key.json").write_text(json.dumps(key_of(folder) | change))
    with pytest.raises(InputError, match="not the key of a questionnaire"):
        results(folder)
    (folder / "key.json").unlink()
    with pytest.raises(InputError, match="not the key of a questionnaire"):
        results(folder)


def test_captions_do_not_break_the_table():
    found = Results(["a | b *c* <d>"], np.array([[True, False]]), "a-run")
    assert r"a \| b \*c\* \<d\>" in str(found)
