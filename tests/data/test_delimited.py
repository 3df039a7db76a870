"""CSV as people have it; the oracle is pandas, told what we have to find out."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.data.sources.delimited import read_delimited
from whisktrain.data.sources.encoding import decode
from whisktrain.errors import DataError

HEADED = "name{d}größe{d}note\nanna{d}1{d}é\nbert{d}2{d}ü\n"


def rows(text: str | bytes, **options: str) -> tuple[list[str], list[list[str]]]:
    table = read_delimited(text.encode() if isinstance(text, str) else text, "f.csv", **options)
    return table.names, table.frame.to_numpy().tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiter_encoding_and_line_ends_are_found(
    delimiter: str, encoding: str, ending: str
) -> None:
    text = HEADED.format(d=delimiter).replace("\n", ending)
    assert rows(text.encode(encoding)) == (
        ["name", "größe", "note"],
        [["anna", "1", "é"], ["bert", "2", "ü"]],
    )


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "名前;値段\nこれは日本語です;2\nりんごとみかん;3\n"),
        ("cp1251", "имя;цена\nЭто русский текст;2\nЯблоко и груша;3\n"),
    ],
)
def test_other_scripts_are_found(encoding: str, text: str) -> None:
    found, notices = decode(text.encode(encoding), None, "f")
    assert found == text
    assert "data.encoding" in notices[0]


def test_quotes_newlines_and_delimiters_in_cells() -> None:
    text = 'a,b\n"one\ntwo, three","say ""hi"""\nx,\n'
    assert rows(text) == (["a", "b"], [["one\ntwo, three", 'say "hi"'], ["x", ""]])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,a,a\n1,2,3\n", ["a", "a.2", "a.3"]),
        ("a,a.2,a\n1,2,3\n", ["a", "a.2", "a.3"]),
        (",b,\n1,2,3\n", ["column_1", "b", "column_3"]),
        ("5.1,3.5,setosa\n4.9,3.0,virginica\n", ["column_1", "column_2", "column_3"]),
        ("2001,2002,2003\n1.5,2.5,1\n2,3,4\n", ["2001", "2002", "2003"]),
        ("0,1,2\n5,7,9\n3,4,8\n", ["0", "1", "2"]),
        ('"v","w"\n"r1",1,2\n"r2",3,4\n', ["rownames", "v", "w"]),
        ("error,_id,__ow_x,type\n1,2,3,4\n", ["error", "_id", "__ow_x", "type"]),
        ("name,städte\nx,y\n", ["name", "städte"]),
    ],
)
def test_headers(text: str, names: list[str]) -> None:
    assert rows(text)[0] == names


def test_empty_cells_beyond_the_header_do_no_harm() -> None:
    assert rows("a,b\n1,2,\n3,4\n")[1] == [["1", "2", ""], ["3", "4", ""]]


def test_a_missing_header_keeps_the_first_row() -> None:
    assert rows("5.1,3.5,setosa\n4.9,3.0,virginica\n")[1] == [
        ["5.1", "3.5", "setosa"],
        ["4.9", "3.0", "virginica"],
    ]


def test_excels_separator_line() -> None:
    assert rows("sep=|\na|b\n1|2\n") == (["a", "b"], [["1", "2"]])


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("a;b\n1,5;2\n2,25;3\n", ","),
        ("a;b\n1.5;2\n2.25;3\n", "."),
        ("a,b\n1.5,2\n", "."),
        ("a;b\n1.234,50;2\n", ","),
        ("a;b\n1,234.50;2\n", "."),
        ("a;b\n7.4;0.076\n7.8;0.098\n", "."),
        ("a;b\n1.234.567;2\n3.000.000;3\n", ","),
        ("a;b\n999;x\n1.234;y\n", ","),
        ('a,b\n"1,234",x\n999,y\n', "."),
    ],
)
def test_the_decimal_mark(text: str, decimal: str) -> None:
    assert read_delimited(text.encode(), "f").decimal == decimal


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "no_rows"),
        (b"a,b\n", "no_rows"),
        (b"a,b\n1,2\n1,2,3,4\n1,2\n" * 200 + b"1,2,3,4,5\n", "bad_csv"),
        (b'a,b\n"x,1\n2,3\n', "bad_csv"),
        (b"a,b\n1,2\n1,2,3\n", "bad_csv"),
        (b"Sales report 2020\na,b,c\n1,2,3\n4,5,6\n", "bad_csv"),
        (b"\x00\x01\x02abc", "not_text"),
    ],
)
def test_what_is_no_table_is_a_clear_error(data: bytes, code: str) -> None:
    with pytest.raises(DataError) as caught:
        read_delimited(data, "f.csv")
    assert caught.value.code == code


def test_an_encoding_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(DataError, match="utf-8"):
        read_delimited("é,b\n1,2\n".encode("latin-1"), "f", encoding="utf-8")
    with pytest.raises(DataError, match="klingon"):
        read_delimited(b"a\n1\n", "f", encoding="klingon")


WORDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='"'),
    min_size=1,
    max_size=8,
).map(lambda s: "w" + s.strip() + "w")


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from([",", ";", "\t", "|"]), st.integers(2, 5), st.integers(1, 6))
def test_what_csv_writes_is_read_back(
    data: st.DataObject, delimiter: str, columns: int, count: int
) -> None:
    names = [f"n{k}" for k in range(columns)]
    cells = [[data.draw(WORDS) for _ in names] for _ in range(count)]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *cells])
    found = rows(buffer.getvalue(), delimiter=delimiter)
    expected = pd.read_csv(
        io.StringIO(buffer.getvalue()), sep=delimiter, dtype=str, na_filter=False
    )
    assert found == (names, cells) == (list(expected.columns), expected.to_numpy().tolist())
