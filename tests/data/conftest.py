from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whisktrain.data.shards.storage import read_rows
from whisktrain.request import Request, parse
from whisktrain.stages.preprocess import preprocess
from whisktrain.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:{tmp_path / 'store'}")
    yield opened
    opened.close()


class Made:
    """A data set as it was written, read back from the store."""

    def __init__(self, store: Store, payload: dict[str, Any]) -> None:
        self.store, self.payload, self.id, self.report = (
            store,
            payload,
            payload["dataset"],
            payload["data"],
        )
        document = store.library.get(f"dataset:{self.id}", attachment=True)
        assert document is not None and document.attachment is not None
        self.body, self.fitted_bytes = document.body, document.attachment
        self.shards = [read_rows(store, self.id, k) for k in range(len(self.body["shards"]))]

    def joined(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate([s[at].x for s in self.shards]), np.concatenate(
            [s[at].y for s in self.shards]
        )

    @property
    def training(self) -> tuple[np.ndarray, np.ndarray]:
        return self.joined(0)

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        return self.joined(1)

    def column(self, name: str) -> dict[str, Any]:
        return next(c for c in self.report["columns"] if c["name"] == name)

    def said(self) -> str:
        return "\n".join(self.report["warnings"])


@pytest.fixture
def make(store: Store) -> Callable[..., Made]:
    """Preprocess: `make(source or records, workers=…, seed=…, **data)`."""

    def run(
        source: Any, *, workers: int = 2, seed: int = 0, auto: bool = False, **data: Any
    ) -> Made:
        section = {
            **({"records": source} if isinstance(source, list) else {"source": source}),
            **data,
        }
        train = {"seed": seed, "workers": "auto" if auto else workers}
        return Made(
            store,
            preprocess(parse(Request, {"data": section, "train": train}), store, workers=workers),
        )

    return run
