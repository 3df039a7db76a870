"""Wide and sparse tables: the work grows as the data does, and what would take for ever is refused."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from whisktrain.data import limits
from whisktrain.data.sources.formats import read_file
from whisktrain.data.table import unique_names
from whisktrain.errors import DataError
from whisktrain.request import DataRequest


def seconds(call: Callable[[], object]) -> float:
    """Processor time of a call, the best of three."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return best


def test_a_name_given_many_times_is_numbered_once() -> None:
    assert unique_names(["a", "a", "a.2", "a", "b", "a.2"])[0] == [
        "a",
        "a.3",
        "a.2",
        "a.4",
        "b",
        "a.2.2",
    ]
    few = seconds(lambda: unique_names(["a"] * 2_000))
    many = seconds(lambda: unique_names(["a"] * 20_000))
    assert many < 40 * few + 0.01, "ten times the names take ten times the time"


def refusal(data: bytes, name: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read_file(data, name, DataRequest())
    return caught.value


def test_tables_beyond_the_most_columns_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.setattr(limits, "MAX_COLUMNS", 100)
    npy, parquet = io.BytesIO(), io.BytesIO()
    np.save(npy, np.zeros((3, 101)))
    pd.DataFrame(np.zeros((3, 101))).rename(columns=str).to_parquet(parquet)
    records = [{f"k{at}": at for at in range(101)}] * 3
    for data, name in (
        (b"a," * 100 + b"b\n" + b"1," * 100 + b"2\n", "x.csv"),
        (npy.getvalue(), "x.npy"),
        (parquet.getvalue(), "x.parquet"),
        (json.dumps(records).encode(), "x.json"),
    ):
        error = refusal(data, name)
        assert error.code == "data_too_large"
        assert "101 columns; expected at most 100" in error.message


def test_records_without_common_columns_are_refused() -> None:
    rows = [{f"k{at}": at, "t": "xy"[at % 2]} for at in range(1500)]
    error = refusal(json.dumps(rows).encode(), "x.json")
    assert error.code == "bad_rows"
    assert "1501 columns in all, but few of them each" in error.message
    read_file(json.dumps(rows[:500]).encode(), "x.json", DataRequest())
