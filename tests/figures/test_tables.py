"""The one table of the project."""

import pytest

from lib.evaluation.findings import Finding
from lib.figures.tables import Table, minus


def test_a_table_is_markdown():
    table = Table(["", "a", "b"], [["one", "1", ""], ["two", "2", "3"]])
    wanted = "|  | a | b |\n| --- | --- | --- |\n| one | 1 |  |\n| two | 2 | 3 |"
    assert table._repr_markdown_() == wanted


def test_a_bar_in_a_cell_begins_no_other_cell():
    assert Table(["a|b"], [["c"]])._repr_markdown_().startswith("| a\\|b |\n")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-0.5", "\N{MINUS SIGN}0.5"),
        ("from -3 to [-1.5, -.5]", "from \N{MINUS SIGN}3 to [\N{MINUS SIGN}1.5, \N{MINUS SIGN}.5]"),
        ("1e-05, WGAN-2, 5-10 and run-3, 1-NN", "1e-05, WGAN-2, 5-10 and run-3, 1-NN"),
        ("| --- | a-b |", "| --- | a-b |"),
    ],
)
def test_numbers_below_zero_have_a_minus_sign(text, wanted):
    assert minus(text) == wanted


def test_tables_and_verdicts_have_it():
    assert Table(["a"], [["-1"]])._repr_markdown_().endswith("| \N{MINUS SIGN}1 |")
    assert str(Finding("It falls by -1.")) == "It falls by \N{MINUS SIGN}1."
