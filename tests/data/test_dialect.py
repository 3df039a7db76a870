"""The dialect of delimited text, step by step."""

from __future__ import annotations

import pandas as pd
import pytest

from whisktrain.data.sources.dialect import find_decimal, find_delimiter, has_header, sample_records


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n2,5;3\n", ";"),
        ("a\tb\n1 2\t3\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ("only\none\ncolumn\n", ","),
        ("title\na;b\n1;2\n", ","),  # the header does not have it
        ('a,b\n"x;y;z",1\n"p;q;r",2\n', ","),
    ],
)
def test_find_delimiter(text: str, delimiter: str) -> None:
    assert find_delimiter(text) == delimiter


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ([["a", "b"]], True),
        ([["a", "b"], ["1", "2"]], True),
        ([["1", "2"], ["3", "4"]], True),  # positions that count up
        ([["1", "5"], ["3", "4"]], False),
        ([["1999", "2005"], ["3", "4"]], True),  # years
        ([["1999"], ["3"]], False),  # one number is no row of names
        ([["", "x"], ["3", "y"]], True),
        ([["5", "x"], ["3", "y"]], False),
        ([["p", "q"], ["r", "s"]], True),  # text throughout: the first row may as well be names
        ([["5"], ["3"], ["4"], ["x"], ["2"], ["1"]], False),  # four of five cells are numbers
        ([["5"], ["3"], ["4"], ["x"]], True),
    ],
)
def test_has_header(sample: list[list[str]], expected: bool) -> None:
    assert has_header(sample) is expected


@pytest.mark.parametrize(
    ("cells", "delimiter", "mark"),
    [
        (["1.5", "2.25"], ",", "."),
        (["1,5", "2,25"], ";", ","),
        (
            ["1.234", "5.678"],
            ";",
            ".",
        ),  # either: the delimiter does not decide against a point that is there
        (["1,234", "5,678"], ";", ","),
        (["1,234", "5,678"], ",", "."),
        (
            ["1.234", "999"],
            ",",
            ",",
        ),  # a number below one thousand without a mark: these are thousands
        (["1.234.567", "2"], ",", ","),
        (["1,234.5"], ";", "."),
        (["1.234,5"], ",", ","),
        (["x", "y"], ";", ","),
        (["x", "y"], ",", "."),
        (["1,5", "x", "y"], ",", "."),  # mostly text: no vote
    ],
)
def test_find_decimal(cells: list[str], delimiter: str, mark: str) -> None:
    assert find_decimal(pd.DataFrame({0: pd.Series(cells, dtype="str")}), delimiter) == mark


def test_columns_vote_together() -> None:
    frame = pd.DataFrame({0: ["1.234", "5.678", "2.345"], 1: ["1,5", "2,5", "3,5"]}, dtype="str")
    assert find_decimal(frame, ";") == ","


def test_a_sample_that_is_cut_inside_a_record_leaves_it_out() -> None:
    long = "x" * 300_000
    records = sample_records("\n".join(["a,b", *[f"{k},{long[:100_000]}" for k in range(30)]]), ",")
    assert 1 < len(records) < 31
    assert all(len(record[1]) == 100_000 for record in records[1:])
