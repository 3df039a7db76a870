"""Type inference, feature selection and column encoding, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whisktrain.data.columns.categorical import infer_categorical
from whisktrain.data.columns.column_type import ColumnType, DistinctCells, has_id_name
from whisktrain.data.columns.date_formats import infer_date
from whisktrain.data.columns.numbers import NumberStyle
from whisktrain.data.columns.numeric import infer_numeric, infer_plain_numeric
from whisktrain.data.preprocessing.column_encoder import ColumnEncoder
from whisktrain.data.preprocessing.column_report import feature_report
from whisktrain.data.preprocessing.feature_selection import no_features, select_features
from whisktrain.errors import DataError


def column(*cells: Any, text: bool = False) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype="str" if text else object)


@pytest.mark.parametrize(
    "name", ["id", "ID", "customerId", "row_number", "Serial No", "key", "x-uuid"]
)
def test_names_of_ids(name: str) -> None:
    assert has_id_name(name)


@pytest.mark.parametrize("name", ["width", "idle", "monkey", "numbers", "paid", ""])
def test_names_of_other_columns(name: str) -> None:
    assert not has_id_name(name)


def test_distinct_cells() -> None:
    cells = DistinctCells.of(column("a", None, "b", "a", float("nan"), "?"))
    assert (cells.values, cells.counts.tolist(), cells.missing) == (["a", "b", "?"], [2, 1, 1], 2)
    assert (cells.present, cells.missing_among_numbers()) == (4, 1)
    assert cells.share(value == "a" for value in cells.values) == 0.5


@pytest.mark.parametrize(
    ("cells", "decimal", "style"),
    [
        (["1.5", "2.5"], ".", NumberStyle()),
        (["1,234.5", "2,000.0"], ".", NumberStyle(".", ",")),
        (["1.234,5", "2.000,5"], ",", NumberStyle(",", ".")),
        (["1,5", "2,5"], ".", NumberStyle(",", "")),  # the file's mark does not fit this column
        (["1 234,5", "2,5"], ",", NumberStyle(",", " ")),
        (["1'234.5", "2.5"], ".", NumberStyle(".", "'")),
    ],
)
def test_number_styles(cells: list[str], decimal: str, style: NumberStyle) -> None:
    series = column(*cells, text=True)
    found = infer_numeric(DistinctCells.of(series), series, "x", decimal)
    assert found is not None
    assert (found.kind, found.style) == ("numeric", style)


def test_notices_say_how_numbers_were_read() -> None:
    cells = [f"${k},50" for k in range(40)] + ["broken"]
    series = column(*cells, text=True)
    found = infer_numeric(DistinctCells.of(series), series, "x", ",")
    assert found is not None
    assert found.notices == (
        "1 cell(s) are no finite numbers and count as missing, such as 'broken'",
        "read with a decimal comma",
        "signs of currency or per cent were left out",
    )


def test_plain_numbers_are_inferred_without_their_distinct_cells() -> None:
    assert infer_plain_numeric(column("1", "2.5", text=True), "x") is not None
    assert infer_plain_numeric(column("1", "$2", text=True), "x") is None
    assert infer_plain_numeric(column("01", "2", text=True), "x") is None
    infinite = infer_plain_numeric(pd.Series([1.5, np.inf, 2.5]), "x")
    assert infinite is not None
    assert (infinite.tolerant, infinite.missing) == (True, 1)


@pytest.mark.parametrize(
    ("cells", "name", "kind", "reason"),
    [
        (["red", "blue"] * 20, "x", "categorical", ""),
        ([f"v{k}" for k in range(10)], "x", "id", "every row has its own value"),
        ([f"v{k}" for k in range(9)], "x", "categorical", ""),
        ([f"v{k % 30}" for k in range(40)], "x", "id", "most rows have their own value"),
        ([f"v{k % 30}" for k in range(200)], "x", "categorical", ""),
        (
            [f"v{k % 30}" for k in range(200)],
            "customerId",
            "id",
            "named like an id, with many values",
        ),
        ([f"it is number {k}" for k in range(8)], "x", "text", "free text"),
        (["It is good, really.", "It is bad, really!"] * 9, "x", "text", "free text, in sentences"),
    ],
)
def test_categories_texts_and_ids(cells: list[str], name: str, kind: str, reason: str) -> None:
    found = infer_categorical(DistinctCells.of(column(*cells)), name)
    assert (found.kind, found.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["2020-01-02", "2021-03-04T05:06Z"], ("ISO8601",)),
        (["2.1.2020", "2020-01-02"], ("ISO8601", "%d.%m.%Y")),
        (["31/12/2020", "1/2/2021"], ("%d/%m/%Y",)),
        (["12/31/2020 10:00", "1/2/2021 11:30"], ("%m/%d/%Y %H:%M",)),
    ],
)
def test_date_formats(cells: list[str], formats: tuple[str, ...]) -> None:
    series = column(*cells)
    found = infer_date(DistinctCells.of(series), series)
    assert found is not None
    assert found.formats == formats


def test_few_other_cells_among_dates_are_tolerated() -> None:
    for others, kind in ((1, "date"), (4, None)):
        series = column(
            *[f"2020-01-{k:02}" for k in range(1, 29)], *[f"no-date {k}" for k in range(others)]
        )
        found = infer_date(DistinctCells.of(series), series)
        assert (None if found is None else found.kind) == kind


NUMERIC = ColumnType("numeric", distinct=5)
ID = ColumnType("id", "counts the rows", distinct=40, fallback="numeric")
TEXT = ColumnType("text", "free text", distinct=40)


def test_feature_selection_leaves_out_ids_and_text() -> None:
    types = {"a": NUMERIC, "row": ID, "note": TEXT, "t": ColumnType("categorical", distinct=2)}
    found = select_features(types, "t", [], 50)
    assert found.chosen == ["a"]
    assert found.notices == [
        "Left out as free text: 'note'; data.keep keeps them.",
        "Left out as an id: 'row'; data.keep keeps them.",
    ]
    kept = select_features(types, "t", ["row", "note"], 50)
    assert kept.chosen == ["a", "row", "note"]
    assert [kept.types[name].kind for name in ("row", "note")] == ["numeric", "categorical"]
    assert types["row"] is ID  # the inferred types stay as they are


def test_a_counting_column_is_used_where_there_is_no_other() -> None:
    found = select_features({"row": ID, "t": NUMERIC}, "t", [], 50)
    assert found.chosen == ["row"]
    assert found.notices == ["'row' counts the rows, but is used: there is no other column."]
    with pytest.raises(DataError, match="'note' is free text"):
        select_features({"note": TEXT, "t": NUMERIC}, "t", [], 50)


def test_the_reason_of_each_column_that_is_left_out() -> None:
    error = no_features({"a": NUMERIC, "note": TEXT, "t": NUMERIC}, "t", 50, constant=["a"])
    assert error.message == "No column is left to learn from: 'a' is constant; 'note' is free text."
    assert "'t' is the only one" in no_features({"t": NUMERIC}, "t", 50).message
    assert error.hint == "data.keep uses 'note'."
    assert "Add a column" in no_features({"note": TEXT, "t": NUMERIC}, "t", 40).hint


ENCODERS = [
    ColumnEncoder("a", "numeric", fill=(1.5,), flag=True, style=NumberStyle(",", ".")),
    ColumnEncoder("b", "boolean", fill=(1.0,), tolerant=True),
    ColumnEncoder(
        "d", "date", fill=(1.0, 2.0), formats=("%d.%m.%Y", "ISO8601"), parts=("days", "month")
    ),
    ColumnEncoder(
        "c",
        "categorical",
        fill=(2.0,),
        categories=("1", "2"),
        missing_category=True,
        numeric_keys=True,
    ),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.kind)
def test_an_encoder_survives_json(encoder: ColumnEncoder) -> None:
    assert ColumnEncoder.from_json(encoder.to_json()) == encoder


def test_category_codes() -> None:
    codes, notices = ENCODERS[3].codes(column(1, "2.0", None, "3", "1"))
    assert codes.tolist() == [0, 1, 2, -1, 0]
    assert "'3' in row 4; they count as none of the known." in notices[0]
    with_rare = replace(ENCODERS[3], rare=("3",))
    codes, notices = with_rare.codes(column(3, "4", None))
    assert codes.tolist() == [3, 3, 2]
    assert len(notices) == 1
    assert "'4' in row 2; they count as one of the rare." in notices[0]
    assert with_rare.titles == ["1", "2", "(missing)", "(other)"]


def test_cells_that_are_not_what_the_column_holds() -> None:
    numeric = ENCODERS[0]
    with pytest.raises(
        DataError, match="Row 2 has 'x' in the column 'a'; expected a number with a decimal comma"
    ):
        numeric.values(column("1,5", "x"))
    values, notices = replace(numeric, tolerant=True).values(column("1,5", "x"))
    assert np.array_equal(values, [1.5, np.nan], equal_nan=True)
    assert "count as missing" in notices[0]


@pytest.mark.parametrize(
    ("encoder", "done"),
    [
        (ENCODERS[0], "standardised; missing filled with the median, and marked"),
        (ENCODERS[1], "as 0 and 1; missing filled with the most frequent"),
        (ENCODERS[2], "as days, month, standardised; missing filled with the median"),
        (ENCODERS[3], "one feature for each of 2 categories, one for missing values"),
        (
            replace(ENCODERS[3], rare=("3", "4"), missing_category=False),
            "one feature for each of the 2 most frequent categories, one for the other 2 together",
        ),
        (
            replace(ENCODERS[3], categories=(), rare=("1", "2")),
            "one feature for all 2 categories together, as each is rare, one for missing values",
        ),
        (
            replace(ENCODERS[3], categories=("1",)),
            "one feature for its only value, one for missing values",
        ),
    ],
)
def test_the_report_of_a_feature(encoder: ColumnEncoder, done: str) -> None:
    found = replace(NUMERIC, kind=encoder.kind, missing=3)  # type: ignore[arg-type]
    report = feature_report(found, encoder, "standard")
    assert (report["done"], report["missing"], report["role"]) == (done, 3, "feature")
