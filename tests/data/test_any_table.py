"""Whatever a table holds: a clear error, or finite features that deciding gives again, bit by bit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.shards.storage import read_numbered_rows
from whisktrain.data.sources.source import read_prediction_rows
from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import DataError
from whisktrain.request import Request, parse
from whisktrain.stages.preprocess import preprocess
from whisktrain.store import Store, open_store

NUMBERS = [
    "1",
    "2.5",
    "-3",
    "1e3",
    "0",
    "007",
    "1,5",
    "1.234,5",
    "1,234",
    "$5",
    "12%",
    "9007199254740993",
    "inf",
    "1e400",
]
WORDS = [
    "red",
    "green",
    "Ünï",
    "yes",
    "no",
    "TRUE",
    "NA",
    "None",
    "?",
    "error",
    "_id",
    "☃",
    "a b c d e f.",
    "",
    " x ",
]
DATES = [
    "2020-01-02",
    "2020-13-45",
    "31/12/2019",
    "12/31/2019",
    "Jan 5, 2020",
    "2020-01-02T03:04:05Z",
    "1.2.2020",
]
CELLS = [
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.sampled_from(DATES),
    st.sampled_from(NUMBERS + WORDS + DATES),
    st.integers(-(2**70), 2**70),
    st.integers(0, 5),
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False, width=32) | st.none(),
    st.booleans() | st.none(),
    st.booleans() | st.integers(0, 1) | st.sampled_from(["yes", "0"]),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.none(),
]
NAMES = st.lists(
    st.text(max_size=8) | st.sampled_from(["y", "id", "label", "x"]),
    min_size=2,
    max_size=5,
    unique=True,
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    names, rows = draw(NAMES), draw(st.integers(2, 24))
    columns = {}
    for name in names:
        cell = draw(st.sampled_from(CELLS))
        few = draw(st.lists(cell, min_size=1, max_size=4))
        columns[name] = draw(st.lists(st.sampled_from(few) | cell, min_size=rows, max_size=rows))
    return [{name: cells[at] for name, cells in columns.items()} for at in range(rows)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:{tmp_path_factory.mktemp('any')}")
    yield store
    store.close()


def check(store: Store, data: dict[str, Any], rows: Any) -> None:
    """Preprocess, and compare what was written with what deciding on `rows` gives."""
    try:
        payload = preprocess(
            parse(Request, {"data": data, "train": {"workers": 1}}), store, workers=1
        )
    except DataError as error:
        assert error.message.strip()
        return
    assert len(json.dumps(payload, allow_nan=False)) < 100_000
    (training, numbers), (held_out, others) = read_numbered_rows(store, payload["dataset"], 0)
    document = store.library.get(f"dataset:{payload['dataset']}", attachment=True)
    assert document is not None
    fitted = load(document.attachment or b"")
    assert fitted.to_bytes() == document.attachment
    for part, at in ((training, numbers), (held_out, others)):
        if not len(part):
            continue
        assert np.isfinite(part.x).all()
        assert np.isfinite(part.y).all()
        chosen = rows.iloc[at] if hasattr(rows, "iloc") else [rows[k] for k in at]
        again = fitted.transform(chosen).x
        assert again.tobytes() == part.x.tobytes()
        one = rows.iloc[at[:1]] if hasattr(rows, "iloc") else [rows[int(at[0])]]
        assert fitted.transform(one).x.tobytes() == part.x[:1].tobytes()
    if fitted.classes is not None:
        assert len(fitted.classes) == len({(type(c), c) for c in fitted.classes}) >= 2


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(tables(), st.sampled_from(["standard", "minmax", "none"]))
def test_records(opened: Store, rows: list[dict[str, Any]], scale: str) -> None:
    check(opened, {"records": rows, "scale": scale}, rows)


@SLOW
@given(tables(), st.sampled_from([",", ";", "\t"]))
def test_files(opened: Store, rows: list[dict[str, Any]], delimiter: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([list(rows[0]), *[list(row.values()) for row in rows]])
    ref = put_upload(opened, buffer.getvalue().encode("utf-8", "replace"), "t.csv")
    try:
        cells = read_prediction_rows(opened, ref)
    except DataError:
        return
    check(opened, {"source": ref}, cells)
