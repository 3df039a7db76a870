"""Rows as callers have them, and answers whose decisions are stored."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from whisktrain.data.sources.uploads import get_upload, put_upload
from whisktrain.sdk import decisions, requests
from whisktrain.store.opening import open_store


@pytest.fixture
def session(tmp_path: Path) -> Any:
    store = open_store(f"sqlite:{tmp_path}/store")
    store.ensure()
    yield SimpleNamespace(
        store=store, has_store=True, upload=lambda path: put_upload(store, path, path.name)
    )
    store.close()


def test_rows_in_memory_travel_in_the_request(session: Any) -> None:
    import pandas as pd

    assert decisions.rows_section(session, "upload:1") == {"source": "upload:1"}
    assert decisions.rows_section(session, [[1, 2]]) == {"rows": [[1, 2]]}
    assert decisions.rows_section(session, np.array([[1, 2]])) == {"rows": [[1, 2]]}
    assert decisions.rows_section(session, pd.DataFrame({"a": [1], "b": ["x"]})) == {
        "rows": [{"a": 1, "b": "x"}]
    }


def test_many_rows_and_files_are_uploaded(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LARGEST_INLINE", 10)
    stored = decisions.rows_section(session, [[1, 2], [3, 4]])
    assert get_upload(session.store, str(stored["source"])).bytes == b"[[1, 2], [3, 4]]"
    (tmp_path / "rows.csv").write_text("a\n1\n")
    stored = decisions.rows_section(session, tmp_path / "rows.csv")
    assert get_upload(session.store, str(stored["source"])).bytes == b"a\n1\n"


def test_stored_decisions_are_fetched(session: Any) -> None:
    place = put_upload(session.store, b'{"value": 1.0}\n{"value": null}\n', "decisions.jsonl")
    answer: Any = {"decisions": None, "decisions_at": place, "decisions_count": 2}
    assert decisions.with_decisions(session, answer) == {
        **answer,
        "decisions": [{"value": 1.0}, {"value": None}],
    }
    session.has_store = False
    assert decisions.with_decisions(session, answer) == answer
