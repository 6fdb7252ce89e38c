"""The one table of the project."""

from lib.figures.tables import Table


def test_a_table_is_markdown():
    table = Table(["", "a", "b"], [["one", "1", ""], ["two", "2", "3"]])
    wanted = "|  | a | b |\n| --- | --- | --- |\n| one | 1 |  |\n| two | 2 | 3 |"
    assert table._repr_markdown_() == wanted


def test_a_bar_in_a_cell_begins_no_other_cell():
    assert Table(["a|b"], [["c"]])._repr_markdown_().startswith("| a\\|b |\n")
