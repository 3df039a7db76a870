"""Cells and columns: what they say, whatever their neighbours are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.data.columns.cells import MISSING_WORDS, cell_category
from whisktrain.data.columns.dates import date_part, parse_dates
from whisktrain.data.columns.inference import infer_type
from whisktrain.data.columns.missing_words import without_words
from whisktrain.data.columns.numbers import NumberStyle, parse_number
from whisktrain.data.columns.series import missing_mask, parse_booleans, parse_numbers
from whisktrain.errors import DataError


def texts(*cells: str) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype="str")


def objects(*cells: Any) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype=object)


@pytest.mark.parametrize(
    ("text", "style", "number"),
    [
        ("1.5", ".", 1.5),
        ("-1,234.5", ".,", -1234.5),
        ("1,5", ",", 1.5),
        ("1.234.567,8", ",.", 1234567.8),
        ("1 234,5", ", ", 1234.5),
        ("1\u00a0234,5", ", ", 1234.5),
        ("1'234.5", ".'", 1234.5),
        ("$1,200", ".,", 1200.0),
        ("-$3.50", ".", -3.5),
        ("12 %", ".", 12.0),
        ("3,5 €", ",", 3.5),
        ("EUR 7", ".", 7.0),
        ("(5.25)", ".", -5.25),
        ("\u22123", ".", -3.0),
        ("1e-3", ".", 0.001),
        (".5", ".", 0.5),
        ("inf", ".", math.inf),
        ("-Infinity", ".", -math.inf),
        ("1,23", ".,", None),
        ("1_000", ".", None),
        ("0x10", ".", None),
        ("twelve", ".", None),
        ("", ".", None),
        ("٣", ".", None),
    ],
)
def test_numbers_as_people_write_them(text: str, style: str, number: float | None) -> None:
    assert parse_number(text, NumberStyle(style[0], style[1:])) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_exactly(value: float) -> None:
    column = pd.Series([repr(value), "1.5"], dtype="str")
    assert parse_numbers(column, NumberStyle())[0][0] == value  # the quick way
    assert parse_number(repr(value), NumberStyle()) == value  # the slow way


def test_missing_spellings() -> None:
    column = texts("", "NA", "n/a", "NaN", "null", "#N/A", "<NA>", " ", "x", "None")
    assert missing_mask(column).tolist() == [True, *[False] * 6, True, False, False]
    emptied = without_words(column, MISSING_WORDS)
    assert missing_mask(emptied.cells).tolist() == [True] * 8 + [False, False]
    assert (emptied.count, emptied.example) == (6, "NA")
    assert emptied.cells.dtype == column.dtype
    assert missing_mask(objects(None, float("nan"), pd.NA, pd.NaT, 0, False, "")).tolist() == [
        True
    ] * 4 + [False] * 2 + [True]


@pytest.mark.parametrize(
    ("column", "words", "missing"),
    [
        (texts("a", " Unknown ", "-9", ""), ["unknown", "-9"], [False, True, True, True]),
        (texts("1", "-9.0", "-9", "3"), ["-9"], [False, True, True, False]),
        (objects("a", -9, -9.0, "-9", True, None), ["-9"], [False, True, True, True, False, True]),
        (pd.Series([1.5, -9.0, float("nan")]), ["-9"], [False, True, True]),
        (pd.Series([1, -9, 2**60]), ["-9"], [False, True, False]),
        (pd.Series([True, False]), ["1", "true"], [False, False]),
        (texts("NA", "x"), [], [False, False]),
    ],
)
def test_words_for_missing_values(
    column: pd.Series[Any], words: list[str], missing: list[bool]
) -> None:
    emptied = without_words(column, words).cells
    assert missing_mask(emptied).tolist() == missing
    kept = [cell for cell, gone in zip(column, missing, strict=True) if not gone]
    assert [cell for cell, gone in zip(emptied, missing, strict=True) if not gone] == kept


def kind(column: pd.Series[Any], name: str = "x", **options: Any) -> str:
    return infer_type(column, name, **options).kind


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2.5", ""], "numeric"),
        (["1", "?", "3", "-"], "numeric"),
        (["007", "123", "045"], "categorical"),
        (["0", "1", "0.5"], "numeric"),
        (["9007199254740993", "9007199254740992", "9007199254740993"], "categorical"),
        (["true", "False", "TRUE", ""], "boolean"),
        (["yes", "no", "unknown"], "boolean"),
        (["Y", "N"], "boolean"),
        (["0", "1"], "numeric"),
        (["red", "green", "red"], "categorical"),
        (["None", "Mild", "None"], "categorical"),
        (["2020-01-02", "2021-12-31"], "date"),
        (["2020-01-02T10:00:00Z", "2021-12-31 23:59"], "date"),
        (["31/12/2020", "01/02/2021"], "date"),
        (["12/31/2020", "1/2/2021"], "date"),
        (["3.4.2020", "30.12.2021"], "date"),
        (["Nov 11, 2007", "Jan 1, 2008"], "date"),
        (["11 Nov 2007", "2008-01-01"], "date"),
        (["", " "], "empty"),
        (["$1,200.50", "$900.00"], "numeric"),
        (["12%", "15%"], "numeric"),
    ],
)
def test_kinds_of_text_columns(cells: list[str], expected: str) -> None:
    assert kind(texts(*cells)) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2, None], "numeric"),
        ([1, 2.5, "3"], "numeric"),
        ([True, False, None], "boolean"),
        ([True, 2, 3], "categorical"),
        (["a", 1, 2], "categorical"),
        ([2**60, 2**60 + 1, 2**60], "categorical"),
        ([{"a": 1}, {"a": 2}], "nested"),
        ([[1, 2], [3, 4]], "nested"),
        ([10**400, 1, 2], "categorical"),
    ],
)
def test_kinds_of_json_columns(cells: list[Any], expected: str) -> None:
    assert kind(objects(*cells)) == expected


def test_numpy_columns() -> None:
    assert kind(pd.Series([1.0, np.nan, 3.0])) == "numeric"
    assert kind(pd.Series([True, False])) == "boolean"
    assert kind(pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"]))) == "date"
    assert kind(pd.Series([2**60, 2**60 + 1, 2**60 + 1])) == "categorical"


def test_ids_and_free_text() -> None:
    words = [f"value {k}" for k in range(50)]
    assert kind(texts(*words)) == "id"
    assert kind(texts(*[f"I would say that {k} is good" for k in range(50)])) == "text"
    assert kind(texts(*[str(k) for k in range(1, 41)])) == "id"
    assert kind(texts(*[str(k) for k in [*range(1, 21), *range(1, 26)]])) == "id"
    assert kind(pd.Series(np.tile(np.arange(24), 30)), "hour") == "numeric"
    assert kind(pd.Series(np.arange(2000, 2030)), "year") == "numeric"
    rng = np.random.default_rng(0)
    scattered = pd.Series(rng.permutation(10_000)[:200])
    assert kind(scattered, "amount") == "numeric"
    assert kind(scattered, "customerId") == "id"
    assert kind(scattered, "customer_id", force="numeric") == "numeric"
    assert kind(scattered, "width") == "numeric"


def test_a_few_strangers_among_numbers_count_as_missing() -> None:
    typed = infer_type(texts(*[str(k * 1.5) for k in range(60)], "broken"), "x")
    assert (typed.kind, typed.tolerant, typed.missing) == ("numeric", True, 1)
    assert "'broken'" in typed.notices[0]
    assert kind(texts("1", "2", "x")) == "categorical"


def test_a_forced_type_that_cannot_be_is_an_error() -> None:
    with pytest.raises(DataError, match="'height' cannot be read as numeric"):
        infer_type(texts("tall", "small"), "height", force="numeric")
    with pytest.raises(DataError, match="as date"):
        infer_type(texts("tall", "small"), "height", force="date")
    assert infer_type(texts("20200101", "20210203"), "d", force="date").kind == "date"
    assert infer_type(texts("1", "2", "1"), "d", force="categorical").numeric_keys


@pytest.mark.parametrize(
    ("cell", "key"), [(1, "1"), (1.0, "1"), ("1", "1"), ("1.0", "1"), (2.5, "2.5"), ("2.50", "2.5")]
)
def test_numbers_as_categories_are_the_same_however_written(cell: Any, key: str) -> None:
    assert cell_category(cell, numeric=True) == key


def test_booleans() -> None:
    values, bad = parse_booleans(objects(True, "no", 1, 0.0, None, "maybe", "-", np.True_))
    assert np.array_equal(values, [1, 0, 1, 0, np.nan, np.nan, np.nan, 1], equal_nan=True)
    assert bad.tolist() == [False] * 5 + [True, False, False]


DAYS = st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2100-01-01"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(DAYS, min_size=2, max_size=8),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%Y/%m/%d"]),
)
def test_dates_mean_what_pandas_says(moments: list[Any], format_: str) -> None:
    cells = [moment.strftime(format_) for moment in moments]
    days, bad = parse_dates(texts(*cells), [format_.replace("%Y-%m-%d %H:%M:%S", "ISO8601")])
    expected = pd.to_datetime(pd.Series(cells), format=format_)
    assert not bad.any()
    assert np.allclose(
        days, (expected - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1), rtol=0, atol=1e-9
    )
    for part, oracle in [
        ("month", expected.dt.month),
        ("day", expected.dt.day),
        ("weekday", expected.dt.day_of_week),
        ("hour", expected.dt.hour),
    ]:
        assert np.array_equal(date_part(days, part), oracle), part


def test_day_or_month_first_is_decided_over_the_whole_column() -> None:
    first = infer_type(texts(*["01/02/2020"] * 5, "13/02/2020"), "d")
    days, _ = parse_dates(texts("01/02/2020"), list(first.formats))
    assert days[0] == (pd.Timestamp("2020-02-01") - pd.Timestamp("1970-01-01")).days
    either = infer_type(texts("01/02/2020", "03/04/2020"), "d")
    assert "could be either" in either.notices[0]


@pytest.mark.parametrize(
    "column", [objects(0.0, -0.0), objects(-0.0), texts("-0", "-0.0"), pd.Series([-0.0, 1.0])]
)
def test_a_negative_zero_is_zero_alone_and_among_others(column: pd.Series[Any]) -> None:
    assert not np.signbit(parse_numbers(column, NumberStyle()).values).any()
