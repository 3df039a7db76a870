"""Tables of pandas as rows and as files: the same cells, whatever their types."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whisktrain.data.sources.formats import read_file
from whisktrain.data.table import Table
from whisktrain.errors import RequestError
from whisktrain.request import DataRequest
from whisktrain.sdk.cells import is_table
from whisktrain.sdk.connection import Connection
from whisktrain.sdk.frames import FrameFile, file_of_frame, rows_of_frame
from whisktrain.sdk.requests import find_data


def read(file: FrameFile) -> Table:
    table = read_file(file.content, file.name, DataRequest())
    assert isinstance(table, Table)
    return table


def test_numbers_travel_exactly() -> None:
    random = np.random.default_rng(0)
    doubles = np.concatenate([np.arange(40) * 1e-12, random.normal(size=60), [5e-324, 1.7e308]])
    frame = pd.DataFrame({"d": doubles, "f": doubles.clip(-1, 1).astype(np.float32)})
    with_gaps = frame.assign(gap=frame["d"].where(np.arange(len(frame)) % 2 == 0))
    gaps = [row["gap"] for row in json.loads(json.dumps(rows_of_frame(with_gaps)))]
    assert gaps == [value if k % 2 == 0 else None for k, value in enumerate(doubles.tolist())]
    rows: Any = json.loads(json.dumps(rows_of_frame(frame)))
    assert np.array([row["d"] for row in rows]).tobytes() == doubles.tobytes()
    assert (
        np.array([row["f"] for row in rows], np.float32).tobytes()
        == frame["f"].to_numpy().tobytes()
    )
    table = read(file_of_frame(frame))
    assert table.column("d").to_numpy().tobytes() == doubles.tobytes()
    assert table.column("f").to_numpy().tobytes() == frame["f"].to_numpy().tobytes()


def test_every_type_of_column_is_the_same_in_a_file_and_in_rows() -> None:
    frame = pd.DataFrame(
        {
            "int": [1, 2**60, -3],
            "Int64": pd.array([1, None, 2**60], dtype="Int64"),
            "Float64": pd.array([0.1, None, 2.5], dtype="Float64"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "text": ["NA", None, "x"],
            "category": pd.Categorical([3, 1, None]),
            "when": pd.to_datetime(["2024-01-31 12:30", None, "1999-12-31 00:00"]),
            "zoned": pd.to_datetime(["2024-01-31", None, "1999-12-31"]).tz_localize(
                "Europe/Berlin"
            ),
            "objects": [1, None, 2**70],
            "arrow": pd.array([1, None, 3], dtype=pd.ArrowDtype(pa.int32())),
            "half": np.array([0.1, 2, np.nan], np.float16),
            "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.5]),
            7: [np.nan, 1e-12, 0.0],
        }
    )
    table = read(file_of_frame(frame.drop(columns="objects")))
    rows: Any = rows_of_frame(frame)
    assert [row["objects"] for row in rows] == [1, None, 2**70]
    assert [row["7"] for row in rows] == [None, 1e-12, 0.0]
    assert [row["text"] for row in rows] == ["NA", None, "x"]
    assert [row["when"] for row in rows] == ["2024-01-31T12:30:00", None, "1999-12-31T00:00:00"]
    assert rows[0]["zoned"] == "2024-01-30T23:00:00+00:00"
    for name in table.names:
        again: Any = rows_of_frame(table.frame[[name]])
        for expected, found in zip(rows, again, strict=True):
            if name == "zoned" and expected[name] is not None:
                assert pd.Timestamp(expected[name]) == pd.Timestamp(found[name])
            else:
                assert expected[name] == found[name], name


def test_a_column_of_several_kinds_goes_as_json() -> None:
    frame = pd.DataFrame({"mixed": [1, "b", None], "n": [0.1, 0.2, np.nan], "big": [2**70, 1, 2]})
    file = file_of_frame(frame)
    assert file.name == "table.json"
    table = read(file)
    assert list(table.column("mixed")) == [1, "b", None]
    assert list(table.column("n")) == [0.1, 0.2, None]
    with pytest.raises(RequestError, match="Row 1: the value of column 'mixed'"):
        file_of_frame(pd.DataFrame({"mixed": [object(), 1]}))


def test_names_are_text_and_distinct_and_a_named_index_is_a_column() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert rows_of_frame(frame) == [{"a": 1, "a.2": 2}]
    named = pd.DataFrame({"x": [1]}, index=pd.Index([5], name="customer"))
    assert rows_of_frame(named) == [{"customer": 5, "x": 1}]
    dated = pd.DataFrame({"x": [1]}, index=pd.to_datetime(["2024-01-31"]))
    assert rows_of_frame(dated) == [{"index": "2024-01-31T00:00:00", "x": 1}]
    assert rows_of_frame(pd.DataFrame({"x": [1]}, index=[17])) == [{"x": 1}]
    assert read(file_of_frame(named)).names == ["customer", "x"]


def test_tables_of_other_libraries() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    assert is_table(table)
    assert rows_of_frame(table) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert not is_table([[1]])


def test_categories_of_pandas_are_categories() -> None:
    frame = pd.DataFrame({"zip": pd.Categorical([10115, 80331]), "y": [0, 1]})
    found = find_data(file_of_frame(frame), lambda file: f"upload:{file.name}")
    assert found == {"source": "upload:table.parquet", "types": {"zip": "categorical"}}


def test_nothing_is_uploaded_for_a_request_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    where = SimpleNamespace(platform="embedded", store=None, apihost=None, home=tmp_path)
    connection = Connection(where)  # type: ignore[arg-type]
    uploads: list[object] = []
    connection.upload = uploads.append  # type: ignore[assignment, method-assign, return-value]
    for data in (tmp_path / "t.csv", pd.DataFrame({"a": [1]})):
        with pytest.raises(RequestError, match="epochs"):
            connection.train(data, epochs=-1)
    with pytest.raises(RequestError, match="Row 1: the value of column 'a'"):
        connection.train(tmp_path / "t.csv", predict=[{"a": b"x"}])
    assert uploads == []


def test_fit_uploads_nothing_for_a_request_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whisktrain.sdk.data import Data
    from whisktrain.sdk.training import fitting

    uploads: list[object] = []
    monkeypatch.setattr(fitting, "_file_of", lambda *_: b"model")
    monkeypatch.setattr(Data, "put", lambda _, *file: uploads.append(file))
    where = SimpleNamespace(platform="embedded", store=None, apihost=None, home=tmp_path)
    model: Any = SimpleNamespace(name="m")
    with pytest.raises(RequestError, match="epochs"):
        Connection(where).fit(model, np.zeros((4, 2)), np.zeros(4), epochs=-1)  # type: ignore[arg-type]
    assert uploads == []
