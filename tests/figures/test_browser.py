"""Live figures in a real browser without a network: the book that `make test` builds in .smoke."""

import json
import re
from collections import Counter
from io import BytesIO

import pytest
from PIL import Image
from test_live import contrast

from lib import paths

PAGES = paths.BOOK / "_build" / "html" / "notebooks"
CURVES = {
    "02_gan": "figure-3", "03_wgan": "figure-5", "04_wgan_gp": "figure-8",
    "06_conditional_full": "figure-11", "07_reduced": "figure-12",
    "08_conditional_reduced": "figure-14", "09_conditional_random": "figure-17",
    "13_conditional_gan": "figure-a1",
}  # fmt: skip
POSES = {"04_wgan_gp": ["live-noise"], "08_conditional_reduced": ["live-gallery", "live-captions"]}
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WITH_POSES = [(name, place) for name, places in POSES.items() for place in places]
SLIDERS = [(name, place) for name, place in WITH_POSES if place != "live-gallery"]
pytestmark = pytest.mark.skipif(
    paths.HOME == paths.SOURCE or not (PAGES / "04_wgan_gp.html").is_file(),
    reason="needs the book with profile smoke, which `make test` builds in .smoke",
)


@pytest.fixture
def visit(browser):
    """Opens a page, once its live figures are drawn; nothing but files may be asked for, and
    nothing may go wrong unless ``wrong`` is expected."""
    contexts, asked, errors, expected = [], [], [], []

    def route(handler):
        asked.append(handler.request.url)
        handler.continue_() if asked[-1].startswith("file:") else handler.abort()

    def open_page(name, wait=True, wrong=False, script="", hide="", **options):
        options = {"viewport": DESKTOP, "color_scheme": "light", "offline": True} | options
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        expected.append(wrong)
        context.route("**/*", route)
        if hide:
            context.route(hide, lambda handler: handler.abort())
        page = context.new_page()
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto((PAGES / f"{name}.html").as_uri())
        for place in [CURVES[name], *POSES.get(name, [])] if wait else []:
            page.wait_for_selector(f"#{place} :is(.live-curves .xtick, .live-poses svg)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked and [url for url in asked if not url.startswith("file:")] == []
    assert bool(errors) == any(expected), errors


def colours(locator) -> Counter:
    """How many pixels of an element have which colour."""
    image = Image.open(BytesIO(locator.screenshot())).convert("RGB")
    return Counter(image.get_flattened_data())


def painted(locator) -> bool:
    """Whether more than its commonest colour can be seen, on a hundredth of the area."""
    found = colours(locator)
    return found.total() > 20_000 and found.most_common(1)[0][1] < 0.99 * found.total()


def drawn(page, place: str) -> list[list]:
    """For each pose its keypoints that are seen, [x, y], in the order of their channels."""
    return page.locator(f"#{place} .live-poses svg").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('circle')]"
        ".map(spot => [spot.cx.baseVal.value, spot.cy.baseVal.value]))"
    )


def spec(page, place: str) -> dict:
    return page.evaluate("place => liveFigures.find(one => one.place === place)", place)


def seen(points: list) -> list:
    pairs = zip(points[::2], points[1::2], strict=True)
    return [list(xy) for xy in pairs if xy != (-1, -1)]


def alt_texts(page, place: str) -> list[str]:
    return page.locator(f"#{place} [role=img]").evaluate_all("all => all.map(e => e.ariaLabel)")


@pytest.mark.parametrize("name", CURVES)
def test_every_live_figure_is_painted_in_the_place_of_its_image(visit, name):
    page = visit(name)
    places = [CURVES[name], *POSES.get(name, [])]
    assert sorted(page.evaluate("liveFigures.map(one => one.place)")) == sorted(places)
    for place in places:
        assert page.locator(f"#{place} .live").count() == 1
        assert painted(page.locator(f"#{place} .live"))
        assert not page.locator(f"#{place} > img").is_visible()
        assert page.locator(f"#{place} figcaption").is_visible()
    for place in POSES.get(name, []):
        for pose in page.locator(f"#{place} .live-poses svg").all():
            found = colours(pose)
            assert len(found) > 50 and (0, 0, 0) in found


@pytest.mark.parametrize("options", [{"java_script_enabled": False}, {"media": "print"}])
def test_without_scripts_and_in_print_the_image_remains(visit, options):
    media = options.pop("media", None)
    page = visit("08_conditional_reduced", wait=bool(media), **options)
    page.emulate_media(media=media)
    for place in (CURVES["08_conditional_reduced"], *POSES["08_conditional_reduced"]):
        assert painted(page.locator(f"#{place} > img"))
        assert not page.locator(f"#{place} .live").is_visible()


def test_without_plotly_the_image_remains(visit):
    page = visit("02_gan", wait=False, wrong=True, hide="**/plotly.min.js")
    with page.expect_console_message(lambda m: "figure-3 stays an image" in m.text):
        page.reload()
    assert painted(page.locator("#figure-3 > img"))
    assert page.locator(".live").count() == 0


# Curves


def axis(page, place: str) -> list[float]:
    return page.locator(f"#{place} .live-curves").evaluate("plot => plot.layout.xaxis.range")


def hover_text(page, place: str) -> str:
    page.wait_for_selector(f"#{place} .hoverlayer text")
    return " ".join(page.locator(f"#{place} .hoverlayer text").all_text_contents())


def test_the_mouse_reads_a_value_and_zooms(visit):
    page = visit("04_wgan_gp")
    area = page.locator("#figure-8 .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    text = hover_text(page, "figure-8")
    epoch, value = re.match(r"epoch ([\d.]+) training : D (\S+)", text).groups()
    trace = page.locator("#figure-8 .live-curves").evaluate(
        "plot => [[...plot._fullData[0].x], [...plot._fullData[0].y]]"
    )
    near = min(range(len(trace[0])), key=lambda i: abs(trace[0][i] - float(epoch)))
    assert float(value.replace("\N{MINUS SIGN}", "-")) == pytest.approx(trace[1][near], rel=1e-3)

    low, high = axis(page, "figure-8")
    page.mouse.down()
    page.mouse.move(x + box["width"] / 4, y, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "high => document.querySelector('#figure-8 .live-curves').layout.xaxis.range[1] < high",
        arg=high,
    )
    assert low < axis(page, "figure-8")[0]


def read(page, key: str) -> float:
    """The epoch that is said after a key was pressed."""
    said = page.locator("#figure-8 .live-said")
    before = said.text_content()
    page.keyboard.press(key)
    page.wait_for_function(
        "old => document.querySelector('#figure-8 .live-said').textContent !== old", arg=before
    )
    return float(re.match(r"epoch ([\d.]+); training : D \S+", said.text_content())[1])


def test_keys_read_values_and_zoom(visit):
    page = visit("04_wgan_gp")
    page.locator("#figure-8 .live-curves").focus()
    whole = axis(page, "figure-8")
    heights = "plot => [plot.layout.yaxis.range, plot.layout.yaxis2.range]"
    ranges = page.locator("#figure-8 .live-curves").evaluate(heights)
    first = read(page, "ArrowRight")
    for _ in range(3):
        at = read(page, "ArrowRight")
    assert at > first
    page.keyboard.press("+")
    low, high = axis(page, "figure-8")
    assert (high - low) == pytest.approx((whole[1] - whole[0]) / 2)
    assert low < at < high
    assert read(page, "ArrowLeft") < at
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert axis(page, "figure-8") == pytest.approx(whole)  # and no further
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert axis(page, "figure-8") == pytest.approx(whole)
    assert page.locator("#figure-8 .live-curves").evaluate(heights) == ranges


def test_curves_say_what_the_image_says(visit):
    noted = """window.liveFigures = []; liveFigures.push = function (one) {
      if (one.plot) one.notes = ["cut off", "<b>left out"];
      return Array.prototype.push.call(this, one);
    }"""
    page = visit("04_wgan_gp", script=noted)
    alt = page.locator("#figure-8 > img").get_attribute("alt")
    label = page.locator("#figure-8 .live-curves").get_attribute("aria-label")
    assert label.startswith(alt) and "Keys" in label
    shown = page.locator("#figure-8 .live p").all_text_contents()
    assert shown[:-1] == ["cut off", "<b>left out"]


# Poses


@pytest.mark.parametrize(("name", "place"), WITH_POSES)
def test_poses_are_drawn_as_they_were_decoded(visit, name, place):
    page = visit(name)
    choice = spec(page, place)["choices"][0]
    points = ([choice["real"]] if "real" in choice else []) + choice["frames"][0]
    assert drawn(page, place) == [seen(pose) for pose in points]
    texts = alt_texts(page, place)
    assert len(set(texts)) == len(points)
    for text, pose in zip(texts, points, strict=True):
        assert re.match("Real pose|Synthesised pose", text)
        assert text.endswith(f"{len(seen(pose))} of 17 keypoints.")


def test_keypoints_glow_in_their_colours(visit):
    page = visit("08_conditional_reduced")
    shown = spec(page, "live-gallery")
    page.add_style_tag(content=".live-poses line { visibility: hidden }")
    png = page.locator("#live-gallery .live-poses svg").first.screenshot()
    image = Image.open(BytesIO(png)).convert("RGB")
    pose = shown["choices"][0]["real"]
    for colour, *xy in zip(shown["skeleton"]["colours"], pose[::2], pose[1::2], strict=True):
        if xy != [-1, -1]:
            found = image.getpixel([(value + 0.5) * image.width / 64 for value in xy])
            own = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
            # Where another overlaps, the brighter counts; the pixel may lie a little off the peak.
            assert all(f > 0.85 * o for f, o in zip(found, own, strict=True)), (colour, found)
    assert Counter(image.get_flattened_data())[0, 0, 0] > 0.3 * image.width * image.height


@pytest.mark.parametrize(("name", "place"), SLIDERS)
def test_a_slider_moves_by_key(visit, name, place):
    page = visit(name)
    choice = spec(page, place)["choices"][0]
    slider = page.locator(f"#{place} input")
    before = alt_texts(page, place)
    for key, frame, percent in (("ArrowRight", 1, 5), ("ArrowRight", 2, 10), ("End", 20, 100)):
        slider.press(key)
        assert drawn(page, place) == [seen(pose) for pose in choice["frames"][frame]]
        left, right = choice["ends"]
        where = f"{percent}% of the way from “{left}” to “{right}”"
        assert slider.get_attribute("aria-valuetext") == where
        assert all(where in text for text in alt_texts(page, place))
    assert page.locator(f"#{place} .live-ends span").all_text_contents() == choice["ends"]
    assert set(alt_texts(page, place)).isdisjoint(before)


@pytest.mark.parametrize("place", POSES["08_conditional_reduced"])
def test_a_caption_is_chosen_by_key(visit, place):
    page = visit("08_conditional_reduced")
    choices = spec(page, place)["choices"]
    select = page.locator(f"#{place} select")
    assert select.locator("option").all_text_contents() == [one["name"] for one in choices]
    before = drawn(page, place)
    select.press("ArrowDown")
    chosen = choices[1]
    points = ([chosen["real"]] if "real" in chosen else []) + chosen["frames"][0]
    assert drawn(page, place) == [seen(pose) for pose in points] != before
    words = chosen["ends"][0] if "ends" in chosen else chosen["name"]
    assert all(f"“{words}”" in text for text in alt_texts(page, place))
    if "real" in chosen:
        assert page.locator(f"#{place} .live-caption").text_content() == f"“{words}”"
        assert words in page.locator(f"#{place} .live-said").text_content()
        kinds = page.locator(f"#{place} .live-poses > div").all_text_contents()
        assert kinds == ["real", *["synthesised"] * len(chosen["frames"][0])]


def injected(caption: str, pose: list[int]) -> str:
    """A script by which Figure 16, an image, is to become a gallery of two equal choices."""
    choice = {"name": caption, "real": pose, "frames": [[pose]]}
    skeleton = {"colours": ["#ff0000"] * 17, "edges": [[0, 1, "#00ff00"], [1, 2, "#00ff00"]]}
    figure = {"place": "figure-16", "choices": [choice] * 2, "skeleton": skeleton}
    return f"window.liveFigures = [{json.dumps(figure)}]"


def test_a_caption_stays_text(visit):
    evil = "<img src=x onerror='window.evil = 1'><script>window.evil = 1</script>"
    page = visit("08_conditional_reduced", script=injected(evil, [30] * 34))
    assert page.locator("#figure-16 .live-caption").text_content() == f"“{evil}”"
    assert page.locator("#figure-16 option").first.text_content() == evil
    assert page.evaluate("window.evil") is None


def test_a_missing_keypoint_has_neither_spot_nor_edge(visit):
    page = visit("08_conditional_reduced", script=injected("a man", [-1, -1, *range(32)]))
    svg = page.locator("#figure-16 .live-poses svg").first
    assert (svg.locator("circle").count(), svg.locator("line").count()) == (16, 1)
    assert alt_texts(page, "figure-16")[0] == "Real pose, “a man”. 16 of 17 keypoints."


def test_a_figure_that_cannot_be_drawn_stays_an_image(visit):
    broken = injected("a man", [30] * 34).replace('"frames"', '"nothing"')
    page = visit("08_conditional_reduced", script=broken, wrong=True)
    assert painted(page.locator("#figure-16 > img"))
    assert page.locator("#figure-16 .live").count() == 0


# For every reader


def rgb(text: str) -> tuple[float, ...]:
    return tuple(int(float(v)) / 255 for v in re.findall(r"[\d.]+", text)[:3])


def computed(page, selector: str, name: str) -> list[tuple[float, ...]]:
    script = "(all, name) => all.map(one => getComputedStyle(one)[name])"
    found = page.locator(selector).evaluate_all(script, name)
    assert found, selector
    return [rgb(text) for text in found]


def assert_readable(page, dark: bool):
    for box in page.locator(".live").all():
        background = rgb(box.evaluate("one => getComputedStyle(one).backgroundColor"))
        assert background == rgb(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (sum(background) < 1.5) == dark
    texts = ".live :is(.xtick, .ytick, .legend, .xtitle, .ytitle, .y2title) text, .live text.ytitle"
    for colour in computed(page, texts, "fill"):
        assert contrast(colour, background) >= 4.5
    for colour in computed(page, ".live :is(p, label, select, .live-ends, .live-poses)", "color"):
        assert contrast(colour, background) >= 4.5
    select = computed(page, ".live select", "backgroundColor")
    assert contrast(select[0], computed(page, ".live select", "color")[0]) >= 4.5
    for colour in computed(page, ".live .scatterlayer .js-line", "stroke"):
        assert contrast(colour, background) >= 3
    assert contrast(computed(page, ".live select", "borderTopColor")[0], background) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark_theme_are_readable(visit, theme):
    page = visit("08_conditional_reduced", color_scheme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert_readable(page, dark=theme == "dark")
    page.locator("#figure-14 .live-curves").focus()
    page.keyboard.press("ArrowRight")
    hover_text(page, "figure-14")
    (text, *_), (box, *_) = (
        computed(page, f"#figure-14 .hoverlayer {part}", "fill") for part in ("text", ".bg")
    )
    assert contrast(text, box) >= 4.5


def test_figures_follow_a_change_of_the_theme(visit):
    page = visit("08_conditional_reduced")
    tick = page.locator("#figure-14 .xtick text").first
    before = tick.evaluate("one => getComputedStyle(one).fill")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(
        "old => getComputedStyle(document.querySelector('#figure-14 .xtick text')).fill !== old",
        arg=before,
    )
    assert_readable(page, dark=True)


@pytest.mark.parametrize("name", POSES)
def test_nothing_is_wider_than_a_phone(visit, name):
    page = visit(name, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for box in page.locator(".live, .live *:is(select, input, div, p, svg)").all():
        if (place := box.bounding_box()) and box.is_visible():
            assert place["x"] >= 0 and place["x"] + place["width"] <= PHONE["width"]
    for pose in page.locator(".live-poses svg").all():
        assert pose.bounding_box()["width"] > 90


def test_a_finger_scrolls_the_page_over_curves_and_zooms_by_button(visit):
    page = visit("02_gan", viewport=PHONE, has_touch=True, is_mobile=True)
    plot = page.locator("#figure-3 .live-curves")
    assert plot.evaluate("plot => plot.layout.dragmode") is False
    assert page.locator("#figure-3 .live p").last.text_content().startswith("Tap")
    low, high = axis(page, "figure-3")
    page.locator("#figure-3 .modebar-btn[data-title='Zoom in']").tap()
    page.wait_for_function(
        "high => document.querySelector('#figure-3 .live-curves').layout.xaxis.range[1] < high",
        arg=high,
    )
    names = page.locator("#figure-3 .modebar-btn").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert len(names) == 5 and all(names)
