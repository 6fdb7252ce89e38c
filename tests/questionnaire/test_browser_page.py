"""The questionnaire in a real browser: headless Chromium, scripted clicks, no network.

Its answers are the script's, and the page marks them as test data by itself.
"""

import base64
import io
import json

import numpy as np
import pytest
import tiny
from PIL import Image

from lib.errors import InputError
from lib.questionnaire.page import make, score

DATA = tiny.dataset(val=30)
QUESTIONS = 20
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A questionnaire of a tiny model."""
    place = tmp_path_factory.mktemp("browser")
    make(tiny.conditional_run(place / "conditional-tiny", DATA), DATA, place, QUESTIONS)
    return place


@pytest.fixture
def visit(browser, folder):
    """Opens the page offline; in the end, nothing but the file may have been asked for, and
    nothing may have been complained about."""
    contexts, asked, complaints = [], [], []

    def opened(options=DESKTOP, context=None, fragment="", script=""):
        if context is None:
            context = browser.new_context(**options)
            context.set_offline(True)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto((folder / "questionnaire.html").as_uri() + fragment)
        page.locator("section:visible").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert asked and all(url.startswith(("file://", "data:", "blob:")) for url in asked)
    assert complaints == []


def button(page, name: str):
    return page.get_by_role("button", name=name)


def choose(page, side: str) -> None:
    page.get_by_text(side.capitalize(), exact=True).click()


def saved(page, place) -> tuple:
    """The file of answers that the page gives, its name kept, and its content."""
    with page.expect_download() as download:
        button(page, "Save answers").click()
    path = place / download.value.suggested_filename
    download.value.save_as(path)
    return path, json.loads(path.read_text())


def through(page, sides) -> None:
    """Answers every question by clicks."""
    button(page, "Start").click()
    for side in sides:
        choose(page, side)
        button(page, "Next").click()


def key_of(folder) -> dict:
    return json.loads((folder / "key.json").read_text())


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_from_the_first_click_to_the_score(visit, folder, tmp_path, options):
    page, key = visit(options), key_of(folder)
    sides = ["left", "right"] * 9 + ["left", "left"]
    button(page, "Start").click()
    for number, side in enumerate(sides, 1):
        assert page.locator("#progress").inner_text() == f"{number} of {QUESTIONS}"
        assert page.locator("#caption").inner_text() == f"“{key['captions'][number - 1]}”"
        assert button(page, "Next").is_disabled()
        choose(page, side)
        button(page, "Next").click()
    path, content = saved(page, tmp_path)
    assert content["answers"] == sides and content["questionnaire"] == key["questionnaire"]
    assert len(content["subject"]) == 16 and path.name == f"answers-{content['subject']}.json"
    assert content.keys() == {"questionnaire", "subject", "test", "answers"}
    assert page.locator("#text").input_value() == path.read_text()
    assert path.name in page.locator("#saved").inner_text()

    found = score([path], folder / "key.json")
    chosen = [a == b for a, b in zip(sides, key["synthesised"], strict=True)]
    assert found.preferred[:, 0].tolist() == chosen
    assert content["test"] is True and found.test and found.verdict.startswith("TEST DATA")
    real = tmp_path / "real.json"
    real.write_text(json.dumps(content | {"subject": "someone", "test": False}))
    with pytest.raises(InputError, match="test data"):
        score([path, real], folder / "key.json")


def test_each_canvas_shows_the_tile_of_its_side(visit, folder):
    """Side by side with the picture that the page holds, whose order the key describes."""
    page = visit()
    source = page.locator("#sheet").get_attribute("src")
    sheet = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")
    button(page, "Start").click()
    for question in range(QUESTIONS):
        for side, name in enumerate(("left", "right")):
            canvas = page.locator(f"label:has([value={name}]) canvas")
            data = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
            drawn = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            i, tile = 2 * question + side, drawn.width
            x, y = tile * (i % 8), tile * (i // 8)
            wanted = np.asarray(sheet.crop((x, y, x + tile, y + tile)))
            assert np.array_equal(np.asarray(drawn), wanted), (question, name)
            assert wanted.max() > 200  # not blank
        choose(page, "left")
        button(page, "Next").click()


def test_by_keyboard_alone(visit, tmp_path):
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Start
    page.keyboard.press("Enter")  # nothing is chosen yet
    assert page.locator("#progress").inner_text().startswith("1 of")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # stays on the left
    for _ in range(QUESTIONS - 1):
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Tab")  # radio buttons come first: focus is on one of them
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#end").is_visible()
    assert saved(page, tmp_path)[1]["answers"] == ["left"] + ["right"] * (QUESTIONS - 1)


def test_back_shows_the_answer_and_lets_it_be_changed(visit, tmp_path):
    page = visit()
    through(page, ["left"] * QUESTIONS)
    for _ in range(3):
        button(page, "Back").click()
    assert page.locator("#progress").inner_text() == f"18 of {QUESTIONS}"
    assert page.locator("[value=left]").is_checked()
    choose(page, "right")
    for _ in range(3):
        button(page, "Next").click()
    wanted = ["left"] * 17 + ["right"] + ["left"] * 2
    assert saved(page, tmp_path)[1]["answers"] == wanted


def test_a_closed_page_goes_on_where_it_was(visit, tmp_path):
    first = visit()
    button(first, "Start").click()
    choose(first, "right")
    button(first, "Next").click()
    choose(first, "right")
    first.close()
    page = visit(context=first.context)
    assert page.locator("#progress").inner_text() == f"2 of {QUESTIONS}"
    assert page.locator("[value=right]").is_checked()
    button(page, "Next").click()
    for _ in range(QUESTIONS - 2):
        choose(page, "left")
        button(page, "Next").click()
    assert saved(page, tmp_path)[1]["answers"] == ["right"] * 2 + ["left"] * (QUESTIONS - 2)


FORBIDDEN = """
Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no"); } });
"""


def test_where_nothing_may_be_kept_it_works_while_it_is_open(visit, tmp_path):
    page = visit(script=FORBIDDEN)
    through(page, ["right"] * QUESTIONS)
    assert saved(page, tmp_path)[1]["answers"] == ["right"] * QUESTIONS


def test_another_person_on_the_same_device_starts_anew(visit, tmp_path):
    page = visit()
    through(page, ["left"] * QUESTIONS)
    assert not button(page, "Start again").is_visible()  # nothing is thrown away unsaved
    _, first = saved(page, tmp_path)
    button(page, "Start again").click()
    assert button(page, "Start").is_visible()
    through(page, ["right"] * QUESTIONS)
    _, second = saved(page, tmp_path)
    assert second["subject"] != first["subject"] and set(second["answers"]) == {"right"}


PERSON = 'Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false });'


def test_a_person_s_answers_are_not_marked_unless_the_page_is_tried_out(visit, tmp_path):
    page = visit(script=PERSON)
    assert not page.locator("#test").is_visible()
    through(page, ["left"] * QUESTIONS)
    assert saved(page, tmp_path)[1]["test"] is False
    tried = visit(script=PERSON, fragment="#test")
    assert tried.locator("#test").is_visible()
    button(tried, "Start").click()
    # Once a test, always a test: opened again as usual, it goes on as one.
    again = visit(script=PERSON, context=tried.context)
    assert again.locator("#progress").is_visible() and again.locator("#test").is_visible()
    for _ in range(QUESTIONS):
        choose(again, "left")
        button(again, "Next").click()
    assert saved(again, tmp_path)[1]["test"] is True


SIZES = {
    "phone": PHONE,
    "small phone": {**PHONE, "viewport": {"width": 320, "height": 568}},
    "dark": {**PHONE, "color_scheme": "dark"},
    "desktop": DESKTOP,
}


def contrast(page, selector: str) -> float:
    """The contrast of an element's text with what lies behind it (WCAG)."""
    return page.locator(selector).first.evaluate(
        """element => {
          const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
          const light = colour => numbers(colour).slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          let behind = element;
          while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0)
            behind = behind.parentElement;
          const pair = [getComputedStyle(element).color,
            getComputedStyle(behind).backgroundColor].map(light).sort((a, b) => b - a);
          return (pair[0] + 0.05) / (pair[1] + 0.05);
        }"""
    )


@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_screen_and_the_finger(visit, size):
    page = visit(SIZES[size])

    def check(*words: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0
        for selector in ("button:visible", "label:visible", "summary:visible"):
            for target in page.locator(selector).all():
                box = target.bounding_box()
                assert box["width"] >= 44 and box["height"] >= 44, target.inner_text()
        for selector in words:
            assert contrast(page, selector) >= 4.5, selector

    check("h1", "#begin", ".small", "#test")
    button(page, "Start").click()
    boxes = [label.bounding_box() for label in page.locator("label").all()]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["width"] == boxes[1]["width"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    check("#caption", "#progress", "legend", "label span")
    choose(page, "left")
    check("label:has(:checked) span", "#next")
    button(page, "Next").click()
    for _ in range(QUESTIONS - 1):
        choose(page, "right")
        button(page, "Next").click()
    check("#end h2", "#end p", "#save", "summary")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (size != "dark")


def test_nothing_that_is_read_aloud_tells_the_answer(visit):
    page = visit()
    button(page, "Start").click()
    names = {canvas.get_attribute("aria-label") for canvas in page.locator("canvas").all()}
    assert names == {"A pose as dots and lines"}
    assert page.evaluate("document.activeElement.id") == "caption"
    assert page.get_by_role("radio", name="Left").count() == 1
    assert page.locator("#sheet").get_attribute("alt") == ""
