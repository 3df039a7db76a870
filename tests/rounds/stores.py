"""The stores that the rounds' tests run on: the embedded one, and a real CouchDB where the environment names it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from whisktrain.store import Store, open_store
from whisktrain.store.couch import CouchStore

REAL_COUCHDB = os.environ.get("WHISKTRAIN_TEST_COUCHDB")
KINDS = ["sqlite", *(["couchdb"] if REAL_COUCHDB else [])]


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store with its password, for other processes too."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'store'}"
    return f"{REAL_COUCHDB}?prefix=test-{secrets.token_hex(6)}"


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """That store, made; afterwards nothing of it is left."""
    with contextlib.closing(open_store(address)) as opened:
        opened.ensure()
        yield opened
        if isinstance(opened, CouchStore):
            opened.drop()
