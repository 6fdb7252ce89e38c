"""The page to try the model, in a browser without a network."""

import json
import shutil

import numpy as np
import pytest

from lib import paths
from lib.book.chapters import trial as page
from lib.pose.files import remake
from lib.pose.formats import read
from lib.pose.model import Model

BARE = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
ASSETS = paths.SOURCE / "book" / "assets"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The part of the book's page that is tried, as a page of its own."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ASSETS, folder / "_static")
    page.write(folder / "_static")
    for name in ("pose", "invitation"):
        (folder / f"{name}.html").write_text(BARE + (ASSETS / f"{name}.html").read_text())
    return (folder / "pose.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the page; faults of its script fail the test."""
    contexts, faults = [], []

    def opened(**settings):
        contexts.append(browser.new_context(offline=True, accept_downloads=True, **settings))
        tab = contexts[-1].new_page()
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(address)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def ready(visit, **settings):
    tab = visit(reduced_motion="reduce", **settings)
    tab.wait_for_selector(".pose-try.ready")
    return tab


def shown(tab) -> list[dict]:
    return tab.evaluate("window.poses()")


def ask(tab, caption: str, seed: int) -> str:
    tab.get_by_label("Seed").fill(str(seed))
    tab.get_by_label("What does the person do?").fill(caption)
    tab.keyboard.press("Enter")
    return tab.get_by_role("status").inner_text()


@pytest.mark.parametrize(
    ("caption", "seed"),
    [
        ("a man swings a tennis racket", 0),
        ("  A woman, in a RED dress, rides a wave!  ", 7),
        ("two zyzzyvas on a “surfboard”", 4_294_967_295),
    ],
)
def test_poses_are_those_of_the_command_line(visit, caption, seed):
    tab = ready(visit)
    ask(tab, caption, seed)
    made = Model().pose(caption, number=6, seed=seed)
    found = shown(tab)
    poses = np.array([each["pose"] for each in found])
    np.testing.assert_allclose(poses, made.keypoints, atol=1e-3)
    told = found[2]["madeBy"]
    assert told == made.made_by | {"pose": 3}


def test_what_the_model_leaves_out_is_said_as_on_the_command_line(visit):
    tab = ready(visit)
    for caption in ("two women on a skatebord", "a dog runs", "a man runs"):
        said = ask(tab, caption, 1)
        assert said == " ".join(["6 new poses.", *Model().pose(caption).notes])
    before = shown(tab)
    assert "no words" in ask(tab, " ?! ", 1) and "knows no word" in ask(tab, "xyzzy", 1)
    assert shown(tab) == before


def test_a_pose_that_is_kept_stays_while_the_others_change(visit):
    tab = ready(visit)
    tab.get_by_role("button", name="Keep").nth(1).click()
    before = shown(tab)
    tab.get_by_role("button", name="Another").click()
    after = shown(tab)
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, *[False] * 4]
    assert tab.get_by_label("Seed").input_value() == "1"
    assert "5 new poses, 1 kept" in tab.get_by_role("status").inner_text()
    tab.get_by_role("button", name="a skier goes down a slope").click()
    assert shown(tab)[0]["madeBy"]["caption"] == "a skier goes down a slope"


@pytest.mark.parametrize(
    ("label", "suffix"),
    [("COCO", ".json"), ("OpenPose", ".openpose.json"), ("SVG", ".svg"), ("PNG", ".png")],
)
def test_a_saved_pose_is_read_and_made_again(visit, tmp_path, label, suffix):
    tab = ready(visit)
    ask(tab, "a boy throws a ball", 5)
    tab.get_by_text("Save", exact=True).nth(3).click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=label).click()  # of the one menu that is open
    assert waiting.value.suggested_filename == f"pose-5-4{suffix}"
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    pose = Model().pose("a boy throws a ball", 6, 5).keypoints[3]
    if suffix.endswith("json"):
        np.testing.assert_allclose(
            read(file)[0][0, :, :2] / 8, pose[:, :2] * pose[:, 2:], atol=0.002
        )
        json.loads(file.read_text())
    if suffix == ".png":
        assert file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size > 2_000
    else:
        np.testing.assert_array_equal(remake(Model(), file).keypoints[0], pose)


def test_by_keyboard_alone(visit):
    tab = ready(visit)
    tab.get_by_label("What does the person do?").focus()
    for name in ("Draw", None, "Another"):
        tab.keyboard.press("Tab")
        if name:
            assert tab.evaluate("document.activeElement.textContent") == name
    tab.keyboard.press("Space")
    assert shown(tab)[0]["madeBy"]["seed"] == 1
    for _ in range(5):  # past the examples
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.get_by_role("button", name="Keep").first.get_attribute("aria-pressed") == "true"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "COCO keypoints (JSON)"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.textContent") == "Save"


def test_poses_walk_to_the_next_ones(visit):
    tab = visit(reduced_motion="no-preference")
    tab.wait_for_selector(".pose-try.ready")
    circle = "document.querySelector('.pose-card circle').getAttribute('cx')"
    begun = tab.evaluate(circle)
    places = tab.evaluate(
        """async () => {
          document.querySelector("[data-do=another]").click();
          const seen = new Set();
          for (let i = 0; i < 90; i++) {
            await new Promise(requestAnimationFrame);
            seen.add(document.querySelector('.pose-card circle').getAttribute('cx'));
          }
          return [...seen];
        }"""
    )
    assert len(places) > 4 and begun != places[-1]
    last = shown(tab)[0]["pose"]
    seen = next(point for point in last if point[2])
    assert float(tab.evaluate(circle)) == pytest.approx(8 * seen[0])


def test_the_first_page_hands_its_sentence_over(visit):
    tab = ready(visit)
    tab.goto(tab.url.replace("pose.html", "invitation.html"))
    sentence = "a girl & a boy: 100% \u201cfun\u201d"
    tab.get_by_label("What does the person do?").fill(sentence)
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".pose-try.ready")
    assert tab.get_by_label("What does the person do?").input_value() == sentence
    made = Model().pose(sentence, number=6)
    assert shown(tab)[0]["madeBy"] == made.made_by | {"pose": 1}
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(visit, width):
    tab = ready(visit, viewport={"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(".pose-card").count() == 6
    images = tab.get_by_role("img").all()
    assert all("keypoints visible" in image.get_attribute("aria-label") for image in images)


def test_without_scripts_a_gallery_stands_there(visit):
    tab = visit(java_script_enabled=False)
    picture = tab.locator(".pose-gallery img")
    assert picture.is_visible() and len(picture.get_attribute("alt")) > 40
    assert tab.locator(".pose-card").count() == 0
