"""What published runs are compared with: trained once, measured as they are, shown with them."""

import json

import pytest
import tiny
import torch

from lib import __main__ as cli
from lib import paths
from lib.book import published, yardsticks
from lib.errors import InputError
from lib.evaluation import measures

DATA = tiny.dataset(90, 60)


@pytest.fixture
def committed(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(paths, "DATA", tmp_path)  # of the networks that judge
    monkeypatch.setattr(published, "uncommitted", list)


def test_a_flow_is_trained_once_and_measured_again(committed, monkeypatch):
    file = yardsticks.measure(DATA, 2)
    found = json.loads(file.read_text())
    assert file == paths.PUBLISHED / "yardsticks" / "sample.json"
    assert found["trained"]["iterations"] == 2 and found["measured_with"]["commit"]
    weights = yardsticks.read("sample").state_dict()
    monkeypatch.setattr(yardsticks, "learn", lambda *given: pytest.fail("trained again"))
    assert json.loads(yardsticks.measure(DATA, 3).read_text())["measures"] == found["measures"]
    for name, weight in yardsticks.read("sample").state_dict().items():
        assert torch.equal(weight, weights[name])


def test_both_are_measured_as_an_unconditional_run_is(committed):
    found = json.loads(yardsticks.measure(DATA, 1).read_text())["measures"]
    other = measures.references(DATA, 17_326)["other training poses"]
    assert found["other training poses"] == other.summary()
    assert found["other training poses"]["n_fake"] == 45
    flow = yardsticks.read("sample")
    by_hand = measures.evaluate_poses(lambda number: flow.poses(number, 0), DATA, 17_326)
    assert found["flow matching"] == by_hand.summary() and len(by_hand.fake) == 90


def test_they_stand_below_the_runs_of_their_data(committed):
    yardsticks.measure(DATA, 1)
    table = published.beside_the_thesis()
    assert [row[:2] for row in table.rows[1:]] == [
        ["*flow matching*", "sample data"],
        ["*other training poses*", "sample data"],
    ]
    (flow, other), said = published.yardsticks()["sample"].values(), table.rows[-1]
    assert said[3] == f"{other['accuracy']:.1%}" and flow["n_fake"].value == 90


def test_changes_that_are_not_committed_are_refused(committed, monkeypatch):
    monkeypatch.setattr(published, "uncommitted", lambda: ["lib/losses.py"])
    with pytest.raises(InputError, match=r"lib/losses\.py has changes"):
        yardsticks.measure(DATA, 1)
    assert not paths.PUBLISHED.exists()


def test_from_the_command_line(committed, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("lib.data.cache.load", lambda name: DATA)
    monkeypatch.setattr(published, "README", tmp_path / "README.md")
    published.README.write_text("a" + published.MARKS[0] + "x" + published.MARKS[1] + "b")
    cli.app(["yardsticks", "--data", "sample", "--iterations", "1"], standalone_mode=False)
    assert capsys.readouterr().out.strip().endswith("sample.json")
    assert published.README.read_text().startswith("a") and "x" not in published.README.read_text()
