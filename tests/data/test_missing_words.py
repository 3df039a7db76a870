"""Words that mean a missing value: in text by default, in JSON and Parquet only where the caller says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.uploads import put_upload
from whisktrain.request import DataRequest, parse
from whisktrain.store import Store

Make = Callable[..., Any]
CODES = ("NA", "DE", "US")
ROWS = [{"country": CODES[k % 3], "n": k % 7 + 0.5, "t": "uv"[k % 2]} for k in range(90)]


def csv(rows: list[dict[str, Any]]) -> bytes:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines).encode()


@pytest.fixture
def as_csv(store: Store) -> Callable[[list[dict[str, Any]]], str]:
    return lambda rows: put_upload(store, csv(rows), "t.csv")


def test_na_in_a_csv_is_missing_and_the_user_is_told(make: Make, as_csv: Any) -> None:
    made = make(as_csv(ROWS), target="t")
    assert made.column("country")["missing"] == 30
    assert "'country': 30 cell(s) such as 'NA' count as missing" in made.said()
    assert "data.missing_words 'none'" in made.said()
    assert "country=(missing)" in made.body["features"]


@pytest.mark.parametrize("words", [[], "none"])
def test_na_in_a_csv_is_a_value_when_asked(make: Make, as_csv: Any, words: Any) -> None:
    made = make(as_csv(ROWS), target="t", missing_words=words)
    assert made.column("country")["missing"] == 0
    assert "country=NA" in made.body["features"]
    assert "missing" not in made.said()
    x = load(made.fitted_bytes).transform([{"country": "NA", "n": 1}]).x
    assert x[0, made.body["features"].index("country=NA")] == 1


@pytest.mark.parametrize("format_", ["records", "json", "jsonl", "parquet"])
def test_text_of_a_format_with_null_is_text(make: Make, store: Store, format_: str) -> None:
    import pandas as pd

    rows: list[dict[str, Any]] = [dict(row) for row in ROWS]
    rows[0]["country"] = None
    rows[1]["country"] = "null"
    source: Any = rows
    if format_ == "parquet":
        source = put_upload(store, pd.DataFrame(rows).to_parquet(), "t.parquet")
    elif format_ != "records":
        lines = [json.dumps(row) for row in rows]
        text = "\n".join(lines) if format_ == "jsonl" else f"[{','.join(lines)}]"
        source = put_upload(store, text.encode(), f"t.{format_}")
    made = make(source, target="t", validation=0)
    assert made.column("country")["missing"] == 1
    assert {"country=NA", "country=DE"} < set(made.body["features"])
    asked = make(source, target="t", validation=0, missing_words=["na", "null"])
    assert asked.column("country")["missing"] == 31


def test_a_class_called_na_keeps_its_rows_when_asked(make: Make, as_csv: Any) -> None:
    usual = make(as_csv(ROWS), target="country")
    assert usual.report["rows"] == {"read": 90, "used": 60, "dropped": 30}
    assert "'country': 30 cell(s) such as 'NA' count as missing" in usual.said()
    asked = make(as_csv(ROWS), target="country", missing_words="none")
    assert asked.report["rows"]["dropped"] == 0
    assert asked.report["classes"] == sorted(CODES)
    assert make(ROWS, target="country").report["classes"] == sorted(CODES)


def test_words_among_numbers_stay_missing_in_any_format(make: Make, as_csv: Any) -> None:
    rows: list[dict[str, Any]] = [
        {**row, "n": "NA" if k % 9 == 0 else row["n"]} for k, row in enumerate(ROWS)
    ]
    for source in (rows, as_csv(rows)):
        for words in ({}, {"missing_words": "none"}):
            made = make(source, target="t", **words)
            assert (made.column("n")["type"], made.column("n")["missing"]) == ("numeric", 10)


def test_own_words_count_in_training_and_in_prediction(make: Make, as_csv: Any) -> None:
    rows: list[dict[str, Any]] = [
        {
            **row,
            "n": -999 if k % 9 == 0 else row["n"],
            "country": "?" if k % 10 == 0 else "DE" if k % 2 else "US",
        }
        for k, row in enumerate(ROWS)
    ]
    for source in (rows, as_csv(rows)):
        made = make(source, target="t", missing_words="-999,?")
        assert made.column("n")["missing"] == 10
        assert made.column("country")["missing"] == 9
        fitted = load(made.fitted_bytes)
        [null, word] = (
            fitted.transform([{"n": n, "country": country}]).x.tobytes()
            for n, country in ((None, None), (-999.0, "?"))
        )
        assert null == word


def test_words_as_a_request_gives_them() -> None:
    assert parse(DataRequest, {}).missing_words is None
    assert parse(DataRequest, {"missing_words": "none"}).missing_words == []
    assert parse(DataRequest, {"missing_words": "NA, ?"}).missing_words == ["NA", "?"]
    assert parse(DataRequest, {"missing_words": ["none"]}).missing_words == ["none"]
