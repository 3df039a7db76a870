"""Rows and cells of Python, NumPy and pandas as JSON: exactly, or an error that names row and column."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import sqlite3
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whisktrain.errors import RequestError
from whisktrain.sdk.cells import plain_cell, plain_rows, plain_setting

MISSING = [
    None,
    float("nan"),
    np.float32("nan"),
    pd.NA,
    pd.NaT,
    np.datetime64("NaT"),
    Decimal("NaN"),
]


@dataclasses.dataclass
class Wine:
    a_wid: float
    z_len: int


Named = collections.namedtuple("Named", "a_wid z_len")


@pytest.mark.parametrize("cell", MISSING, ids=repr)
def test_a_missing_value_is_null(cell: object) -> None:
    assert plain_cell(cell) is None


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        (np.int64(2**62), 2**62),
        (np.uint8(3), 3),
        (np.float32(0.1), 0.10000000149011612),
        (np.float64(1e-12), 1e-12),
        (5e-324, 5e-324),
        (np.bool_(True), True),
        (np.str_("gold"), "gold"),
        (Decimal("12345678901234567890"), 12345678901234567890),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (np.array(7), 7),
        (np.array([1.5, np.nan]), [1.5, None]),
        ((1, np.int8(2)), [1, 2]),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (pd.Timestamp("2024-01-31 12:00:00.000001", tz="UTC"), "2024-01-31T12:00:00.000001+00:00"),
        (np.datetime64("2024-01"), "2024-01-01T00:00:00"),
        (pd.Period("2024-03"), "2024-03-01T00:00:00"),
        (pd.Interval(0, 10), "(0, 10]"),
        ({"a": np.int8(1)}, {"a": 1}),
    ],
    ids=repr,
)
def test_a_cell_keeps_its_value(cell: object, plain: object) -> None:
    found = plain_cell(cell)
    assert (type(found), found) == (type(plain), plain)
    assert json.loads(json.dumps(found)) == plain


@pytest.mark.parametrize(
    "cell",
    [
        float("inf"),
        np.float32("-inf"),
        Decimal("Infinity"),
        10**400,
        1j,
        b"x",
        {1},
        pytest.param(object(), id="an object"),
        datetime.timedelta(1),
        np.timedelta64(1, "s"),
        datetime.time(1),
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused_with_row_and_column(cell: object) -> None:
    with pytest.raises(RequestError, match="Row 2: the value of column 'age'") as caught:
        plain_rows([{"age": 1}, {"age": cell}])
    assert caught.value.code == "bad_cell"
    with pytest.raises(RequestError, match="Row 1: the value of column '2'"):
        plain_rows([[1, cell]])


LABELLED = {"a_wid": 1.0, "z_len": 2}


def sqlite_row() -> Any:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    return connection.execute("select 1.0 as a_wid, 2 as z_len").fetchone()


@pytest.mark.parametrize(
    "row",
    [
        LABELLED,
        pd.Series({"z_len": 2, "a_wid": 1.0}),
        Named(1.0, 2),
        Wine(1.0, 2),
        np.array([(2, 1.0)], dtype=[("z_len", int), ("a_wid", float)])[0],
        sqlite_row(),
        collections.OrderedDict(z_len=2, a_wid=1.0),
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_row_with_labels_is_read_by_them(row: Any) -> None:
    assert plain_rows(row) == [LABELLED]
    assert plain_rows([row, row]) == [LABELLED, LABELLED]
    assert plain_rows(row for _ in range(2)) == [LABELLED, LABELLED]


def test_rows_of_arrays_and_series() -> None:
    assert plain_rows([1, 2.5]) == [[1, 2.5]], "one row"
    assert plain_rows(np.array([1.5, np.nan])) == [[1.5, None]]
    assert plain_rows(np.array([[1.5, np.nan]], np.float32)) == [[1.5, None]]
    assert plain_rows(np.zeros((1, 2, 2), np.uint8)) == [[[0, 0], [0, 0]]]
    assert plain_rows([np.array([1, 2]), (3, 4)]) == [[1, 2], [3, 4]]
    assert plain_rows(pd.Series([{"a": 1}, {"a": 2}])) == [{"a": 1}, {"a": 2}]
    twice = pd.Series([1, 2, 3], index=["a", "b", "a"])
    assert plain_rows(twice) == [{"a": 1, "b": 2, "a.2": 3}], "as a table with these columns"
    assert plain_rows(pd.Series([7, 8])) == [{"0": 7, "1": 8}]
    structured = np.array([(1, 2.0)], dtype=[("b", int), ("a", float)])
    assert plain_rows(structured) == [{"b": 1, "a": 2.0}]
    with pytest.raises(RequestError, match="Row 2: the value of column '1' is not finite"):
        plain_rows(np.array([[0.0], [np.inf]]))
    for wrong in (3, "text", None):
        with pytest.raises(RequestError, match="expected objects or arrays"):
            plain_rows(wrong)


def test_settings_of_numpy_are_plain() -> None:
    settings = {"epochs": np.int64(3), "drop": pd.Index(["a", "b"]), "keep": ("c",), "x": {2, 1}}
    assert plain_setting(settings) == {"epochs": 3, "drop": ["a", "b"], "keep": ["c"], "x": [1, 2]}
