"""CouchDB as a store does what every store must do: on PouchDB's server, and on a real one where the environment names it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from whisktrain.store.conformance import StoreConformance
from whisktrain.store.couch import CouchStore

from .multipart_front import MultipartFront

REAL_COUCHDB = os.environ.get("WHISKTRAIN_TEST_COUCHDB")


class OnCouch(StoreConformance):
    @pytest.fixture
    def store(self, address: str) -> Iterator[CouchStore]:
        with contextlib.closing(CouchStore(address)) as store:
            store.ensure()
            yield store
            store.drop()


class TestPouch(OnCouch):
    # Its numbers are JavaScript's; its lists lose ids from U+00FF on and sort by UTF-16 units.
    EXACT_NUMBERS = False
    HIGHEST = "\u00fe"
    EXAMPLES = 8

    @pytest.fixture
    def address(self, pouchdb: str, prefix: str) -> str:
        return f"{pouchdb}?prefix={prefix}"


class TestMultipart(TestPouch):
    """The same with CouchDB's multipart messages and long-poll timeouts."""

    EXAMPLES = 4

    @pytest.fixture
    def address(self, multipart_front: MultipartFront, prefix: str) -> str:
        return f"{multipart_front.address}?prefix={prefix}"


if REAL_COUCHDB:

    class TestRealCouch(OnCouch):
        EXAMPLES = 20

        @pytest.fixture
        def address(self, prefix: str) -> str:
            return f"{REAL_COUCHDB}?prefix={prefix}"
