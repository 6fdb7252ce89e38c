"""The book's sources fit the code and each other, and the gate keeps unfinished notebooks out."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lib import figures, paths
from lib.book.gate import fault, refusal
from lib.config import LABELS, Config, config_for
from lib.figures import curves

ROOT = paths.SOURCE
BOOK = ROOT / "book"


def pages() -> list[str]:
    """The table of contents, in order."""
    return re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text())


def prose() -> str:
    """The chapters, in order."""
    files = [BOOK / f"{page}.md" for page in pages() if not page.startswith("notebooks/")]
    return "\n".join(file.read_text() for file in files)


def executed(folder: Path, **papermill) -> tuple[Path, dict]:
    """A notebook of one executed cell, and its content."""
    cell = {"cell_type": "code", "source": ["1"], "execution_count": 1, "outputs": []}
    content = {
        "cells": [{"cell_type": "markdown", "source": "# Title"}, cell],
        "metadata": {"papermill": {"end_time": "2024-01-01", "exception": None} | papermill},
    }
    return folder / "02_gan.ipynb", content


def written(path: Path, content: dict) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_notebook_that_ran_to_its_end_has_no_fault(tmp_path):
    assert fault(written(*executed(tmp_path))) is None


@pytest.mark.parametrize("mark", [{"exception": True}, {"end_time": None}])
def test_papermills_marks_are_heeded(tmp_path, mark):
    assert fault(written(*executed(tmp_path, **mark)))


def test_a_notebook_that_papermill_never_saw_is_a_fault(tmp_path):
    path, content = executed(tmp_path)
    content["metadata"] = {}
    assert fault(written(path, content))


def test_a_cell_that_never_ran_is_named(tmp_path):
    path, content = executed(tmp_path)
    content["cells"][1]["execution_count"] = None
    assert "code cell 1 never ran" in fault(written(path, content))
    content["cells"][1]["source"] = []  # nothing to run
    assert fault(written(path, content)) is None


def test_an_error_is_named_with_its_cell(tmp_path):
    path, content = executed(tmp_path)
    error = {"output_type": "error", "ename": "InputError", "evalue": "two\nlines"}
    content["cells"][1]["outputs"].append(error)
    assert fault(written(path, content)) == "failed at code cell 1 (InputError: two lines)"


def test_a_damaged_file_is_a_fault(tmp_path):
    path = tmp_path / "02_gan.ipynb"
    path.write_text('{"cells": [')
    assert "damaged" in fault(path)


def test_only_the_notebooks_of_the_table_of_contents_are_checked(tmp_path):
    (tmp_path / "notebooks").mkdir()
    written(*executed(tmp_path / "notebooks"))
    assert refusal(tmp_path, ["index", "notebooks/02_gan"]) == ""
    said = refusal(tmp_path, ["notebooks/02_gan", "notebooks/03_wgan"])
    assert "book/notebooks/03_wgan.ipynb is missing" in said and "02_gan" not in said


def test_the_sentence_says_what_to_run(tmp_path):
    wanted = ["notebooks/01_a", "notebooks/02_gan"]
    missing = refusal(tmp_path, wanted)
    assert "not been executed yet (book/notebooks/01_a.ipynb and 1 more are missing)" in missing
    assert "`make thesis`" in missing
    (tmp_path / "notebooks").mkdir()
    path, content = executed(tmp_path / "notebooks")
    error = {"output_type": "error", "ename": "E", "evalue": "e"}
    content["cells"][1]["outputs"].append(error)
    written(path, content)
    failed = refusal(tmp_path, wanted)
    assert "02_gan.ipynb failed at code cell 1 (E: e) (1 more cannot be used)" in failed


def test_every_page_of_the_book_is_there():
    for page in pages():
        if page.startswith("notebooks/"):
            assert (ROOT / f"{page}.ipynb").is_file(), page
        else:
            assert (BOOK / f"{page}.md").is_file(), page


def test_settings_and_contents_are_links_to_the_top_level():
    for name in ("_config.yml", "_toc.yml"):
        assert (BOOK / name).is_symlink()
        assert (BOOK / name).resolve() == ROOT / name
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["only_build_toc_files"] is True
    assert config["execute"]["execute_notebooks"] == "off"
    # Captions carry their numbers: nothing may number them a second time.
    assert config["sphinx"]["config"]["numfig"] is False
    assert config["latex"]["use_jupyterbook_latex"] is False


def settings_of(profile: str) -> list[Config]:
    """Of all experiments of the thesis."""
    return [config_for(name, profile) for name in LABELS]


def test_what_pages_say_of_profiles_holds():
    """A sentence that speaks of a profile's settings is listed here with what makes it true."""
    published, quick = (settings_of(name) for name in ("published", "quick"))
    wide = {"conditional_full"}  # at half width
    claims = {
        "turns it off, as the profile `published` does": lambda: (
            not any(c.augment for c in published)
        ),
        "The profile `published` departs from most of them: [networks on keypoints]": lambda: all(
            c.networks == "keypoints" for c in published
        ),
        "`quick` has the thesis's networks at a quarter of their width": lambda: all(
            (c.networks, c.features) == ("heatmaps", 0.5 if name in wide else 0.25)
            for name, c in zip(LABELS, quick, strict=True)
        ),
        "minibatches of 16 poses, one step of $D$ for each of $G$": lambda: all(
            (c.initialisation, c.batch_size, c.k) == ("he", 16, 1) for c in quick
        ),
        "The epochs of both have a fixed number of poses": lambda: all(
            c.epoch_size for c in published + quick
        ),
        "every option is off in the profile `paper`": lambda: (
            not any(c.beyond for c in settings_of("paper"))
        ),
    }
    text = " ".join(prose().split())
    for sentence, holds in claims.items():
        assert sentence in text and holds(), sentence


def test_equations_are_numbered_one_to_nine():
    labels = re.findall(r"^\$\$ \((.+)\)$", prose(), flags=re.MULTILINE)
    assert labels == [f"eq-{n}" for n in range(1, 10)]


def test_algorithms_and_tables_are_numbered_as_in_the_thesis():
    algorithms = re.findall(
        r"\{admonition\} Algorithm (\d) — .*\n:class: .*\n:name: (\S+)", prose()
    )
    assert algorithms == [(str(n), f"algorithm-{n}") for n in range(1, 6)]
    tables = re.findall(r"\*\*Table (\d)\.\*\* .*\n:name: table-(\d)", prose())
    assert tables == [(n, n) for n in "1234"]


def test_references_keep_the_numbers_of_the_thesis():
    """Numbers go by first citation, so that order must be that of the file."""
    keys = re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(), flags=re.MULTILINE)
    cited = ",".join(re.findall(r"\{cite\}`([^`]+)`", prose())).split(",")
    assert keys.index("lin2014") == 21  # the last of the thesis
    assert list(dict.fromkeys(cited)) == keys


def test_every_module_has_its_place_in_the_reference():
    documented = re.findall(r"automodule:: (lib\.[\w.]+)", prose())
    files = (file.relative_to(ROOT).with_suffix("") for file in (ROOT / "lib").rglob("*.py"))
    modules = {".".join(file.parts) for file in files if not file.name.startswith("__")}
    assert sorted(documented) == sorted(modules)


def test_every_number_in_the_prose_is_glued_by_its_notebook():
    wanted = re.findall(r"\{glue:text\}`(?:\.\./)?(notebooks/\w+\.ipynb)::(\w+):[^`]+`", prose())
    assert len(wanted) == prose().count("{glue:text}") > 0  # none in another form
    for notebook, name in sorted(set(wanted)):
        cells = json.loads((ROOT / notebook).read_text())["cells"]
        code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        assert re.search(rf"""["']{name}["']|\b{name}=""", code), f"{notebook} glues no {name}"


def test_every_figure_carries_the_number_it_is_linked_by():
    """Captions are numbered by hand, as in the thesis: label and caption agree."""
    found = []
    for page in pages():
        if page.startswith("notebooks/"):
            for cell in json.loads((ROOT / f"{page}.ipynb").read_text())["cells"]:
                figure = cell["metadata"].get("mystnb", {}).get("figure", {})
                number = re.match(r"\*\*Figure (\d+)\.\*\*", figure.get("caption", ""))
                found += [(figure["name"], f"figure-{number[1]}")] if number else []
    assert found == [(f"figure-{n}", f"figure-{n}") for n in range(1, 22)]
    for title, label in re.findall(r"\{ref\}`(?:Figures? |Table )?(\d+) <\w+-(\d+)>`", prose()):
        assert title == label


def cells() -> Iterator[tuple[str, dict]]:
    """The code cells of all notebooks: their source and metadata."""
    for page in pages():
        if page.startswith("notebooks/"):
            for cell in json.loads((ROOT / f"{page}.ipynb").read_text())["cells"]:
                if cell["cell_type"] == "code":
                    yield "".join(cell["source"]), cell["metadata"]


def test_charts_are_marked_as_such_and_poses_are_not():
    """A chart is turned over in the dark theme: assets/book.css."""
    calls = "|".join(name for name in vars(curves) if callable(getattr(figures, name, None)))
    counts = Counter()
    for source, metadata in cells():
        if image := metadata.get("mystnb", {}).get("image"):
            chart = bool(re.search(rf"figures\.({calls})\(|answers\.figure\(", source))
            assert (image.get("classes") == "chart") == chart, source
            counts[chart] += 1
    assert min(counts.values()) > 10


def test_wide_tables_reach_into_the_margin():
    for source, metadata in cells():
        published = r"published\.(beside_the_thesis|how_trained|options)\("
        tables = rf"{published}|models\.(unconditional|alignment)\(|comparison\.seeds\("
        if re.search(tables, source):
            assert "full-width" in metadata.get("tags", []), source


def test_notebooks_read_well_where_roles_and_directives_are_not_rendered():
    for page in pages():
        if page.startswith("notebooks/"):
            for cell in json.loads((ROOT / f"{page}.ipynb").read_text())["cells"]:
                if cell["cell_type"] == "markdown":
                    text = "".join(cell["source"])
                    assert not re.search(r"\{[a-z:]+\}`|```\{|^\(.+\)=$", text, re.MULTILINE), text
