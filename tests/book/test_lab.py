"""Notebooks where they are opened: a real JupyterLab runs them whole, in a real browser.

Data and runs are those that `make test` makes in .smoke. Two notebooks stand for all that train;
with THESIS_LAB=all in the environment, every one is run. THESIS_LAB_SCREENSHOTS names a folder for
pictures of what was seen.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib import paths
from lib.notebooks import GRAPH
from lib.pose.widget import Trial

CHOSEN = (
    tuple(GRAPH) if os.environ.get("THESIS_LAB") == "all" else ("02_gan", "08_conditional_reduced")
)
MADE = ("cache", "encoders", "judges", "sample")  # folders of data/, complete by then
EMPTY = {"figure-preferences"}  # figures that need answers of people
SEVERAL = {"poses-to-try": 6}  # figures of several images, each with a box to keep it
RAW = re.compile(r"\{(ref|doc|eq|cite|py:\w+|glue:\w+)\}|:(name|alt|class):|^ *(```|:::)\{", re.M)
RED = '[data-mime-type$="stderr"], [data-mime-type$="error"]'  # what Lab paints red
SETTINGS = {  # all cells are drawn, seen or not, and nothing is asked of other servers
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
SECONDS = 240  # for one notebook, on a slow machine
# Keeps what stood in an output at any time: a bar of progress goes away.
WATCH = """() => {
    window.shown = new Set();
    new MutationObserver(() => document.querySelectorAll(".jp-OutputArea-output pre")
        .forEach(output => shown.add(output.textContent))
    ).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""

# Ends when the last cell does, or one that fails; the kernel is there before the first begins.
RUN = """async seconds => {
    await jupyterapp.shell.currentWidget.sessionContext.ready;
    const late = new Promise(end => setTimeout(end, 1000 * seconds));
    await Promise.race([jupyterapp.commands.execute("notebook:run-all-cells"), late]);
}"""

pytestmark = pytest.mark.skipif(
    paths.HOME == paths.SOURCE or not any(paths.RUNS.glob("*/summary.json")),
    reason="needs the runs with profile smoke, which `make test` makes in .smoke",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the data and runs of .smoke, and all notebooks with that profile."""
    folder = tmp_path_factory.mktemp("lab")
    data = folder / "home" / "data"
    data.mkdir(parents=True)
    for name in MADE:
        (data / name).symlink_to(paths.DATA / name)
    shutil.copytree(paths.RUNS, data / "runs")
    (folder / "notebooks").mkdir()
    for name in GRAPH:
        with_profile(name, folder / "notebooks" / f"{name}.ipynb")
    for plugin, settings in SETTINGS.items():
        file = folder / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    return folder


def with_profile(name: str, target: Path, **parameters: str) -> None:
    """Copies a notebook, with profile smoke, where it has one, and other parameters in its own
    cell."""
    content = json.loads((paths.NOTEBOOKS / f"{name}.ipynb").read_text())
    (cell,) = [c for c in content["cells"] if "parameters" in c["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    smoke = {"profile": '"smoke"'} if "Study(profile" in json.dumps(content) else {}
    for key, value in (smoke | parameters).items():
        source, number = re.subn(rf"^{key} = \S+", f"{key} = {value}", source, flags=re.M)
        assert number == 1, (name, key)
    cell["source"] = source
    target.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def lab(folder: Path, browser) -> Iterator[str]:
    """The address of a JupyterLab of this Python; its user has no settings of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{n}_DIR": str(folder / n.lower()) for n in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{n}_DIR": str(folder / n.lower()) for n in ("SETTINGS", "WORKSPACES")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "THESIS_HOME": str(folder / "home")}
    own |= {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    own |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    inherited = {name: value for name, value in os.environ.items() if name != "THESIS_PROGRESS"}
    command = [sys.executable, "-m", "jupyterlab", str(folder / "notebooks"), "--no-browser"]
    command += ["--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    address, log = f"http://127.0.0.1:{port}/lab", folder / "log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=inherited | own, stdout=output, stderr=output)
    try:
        _wait_for(address, server, log)
        yield address
    finally:
        server.terminate()  # and with it its kernels
        server.wait(30)


def _wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=10).close()
        except OSError:
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.3)


@pytest.fixture
def run_all(lab: str, browser) -> Iterator[Callable]:
    """Opens a notebook, runs all of its cells, and returns the page."""
    contexts = []

    def run(name: str):
        contexts.append(browser.new_context(viewport={"width": 1400, "height": 1000}))
        page = contexts[-1].new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.goto(f"{lab}/workspaces/{name}/tree/{name}.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-MarkdownOutput h1")
        page.evaluate(WATCH)
        page.evaluate(RUN, SECONDS)
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert all(re.search(r"\d", prompt) for prompt in prompts), (prompts, wrong(page))
        return page

    yield run
    for context in contexts:
        context.pages[0].evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
        context.close()


def cells(name: str) -> list[dict]:
    return json.loads((paths.NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]


def figures(name: str) -> dict[int, str]:
    """Which cells end with a figure, each with its name in the book."""
    found = {i: cell["metadata"].get("mystnb", {}) for i, cell in enumerate(cells(name))}
    named = {i: settings["figure"]["name"] for i, settings in found.items() if settings}
    return {i: figure for i, figure in named.items() if figure not in EMPTY}


def wrong(page) -> list[str]:
    """What no reader should see: red output, and markup of the book that Lab does not know."""
    texts = page.locator(".jp-MarkdownOutput, .jp-OutputArea-output").all_inner_texts()
    raw = [text for text in texts if RAW.search(text)]
    return page.locator(RED).all_inner_texts() + raw


@pytest.mark.parametrize("name", CHOSEN)
def test_a_notebook_runs_whole_and_shows_every_figure(run_all, name):
    page = run_all(name)
    if target := os.environ.get("THESIS_LAB_SCREENSHOTS"):
        screenshot(page, Path(target) / f"{name}.png")
    assert wrong(page) == []
    shown = page.locator(".jp-Notebook .jp-Cell")
    assert shown.count() == len(cells(name))
    for index, figure in figures(name).items():
        images = shown.nth(index).locator(".jp-OutputArea-output img").all()
        assert len(images) == SEVERAL.get(figure, 1), figure
        for image in images:
            image.scroll_into_view_if_needed()
            assert image.evaluate("image => image.complete && image.naturalWidth") > 0, figure
        assert sum(image.bounding_box()["width"] for image in images) > 300, figure


def screenshot(page, file: Path) -> None:
    """All of a notebook in one picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    height = page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => panel.scrollHeight")
    page.set_viewport_size({"width": 1400, "height": min(height + 250, 16_000)})
    page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => panel.scrollTop = 0")
    page.wait_for_timeout(500)
    page.screenshot(path=file)
    page.set_viewport_size({"width": 1400, "height": 1000})


def test_a_new_training_run_shows_how_far_it_is(run_all, folder):
    with_profile("02_gan", folder / "notebooks" / "02_again.ipynb", seed="4711")
    page = run_all("02_again")
    if target := os.environ.get("THESIS_LAB_SCREENSHOTS"):
        screenshot(page, Path(target) / "02_again.png")
    assert wrong(page) == []
    bars = [text for text in page.evaluate("[...shown]") if "100%" in text]
    assert any("gan" in bar for bar in bars), bars


def test_a_sentence_that_is_typed_is_answered(run_all):
    page = run_all("23_try_it")
    poses = page.get_by_role("img", name="keypoints visible")
    assert poses.count() == 6
    page.get_by_label("What does the person do?").fill("two men run")
    page.keyboard.press("Enter")
    page.get_by_role("img", name="two men run").nth(5).wait_for()
    page.get_by_label("Keep").nth(1).check()
    page.get_by_role("button", name="Another").click()
    page.get_by_text("5 new poses, 1 kept. The model draws one person").wait_for()
    assert page.get_by_label("Seed").input_value() == "1"
    if target := os.environ.get("THESIS_LAB_SCREENSHOTS"):
        screenshot(page, Path(target) / "23_answered.png")
    made = [Trial("two men run", seed=0).tiles[1], *Trial("two men run", seed=1).tiles[2:]]
    wanted = [re.search('src="(.+?)"', tile.image.value)[1] for tile in made]
    assert [pose.get_attribute("src") for pose in poses.all()[1:]] == wanted
    page.get_by_label("What does the person do?").fill("xyzzy")
    page.keyboard.press("Enter")
    page.get_by_text("The model knows no word of 'xyzzy'.").wait_for()
    assert [pose.get_attribute("src") for pose in poses.all()[1:]] == wanted
    assert wrong(page) == []
