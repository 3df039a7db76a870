"""A server that speaks CouchDB's protocol, installed and started for these tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
import requests

from whisktrain.store.couch import CouchStore

from .meddler import Meddler
from .multipart_front import MultipartFront

REAL_COUCHDB = os.environ.get("WHISKTRAIN_TEST_COUCHDB")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install the server before the first test, whose time-out it would otherwise use up."""
    if not session.config.option.collectonly and any(
        "pouchdb" in getattr(item, "fixturenames", ()) for item in session.items
    ):
        _installed()


@pytest.fixture(scope="session")
def pouchdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PouchDB server that keeps everything in memory."""
    program = _installed()
    home = tmp_path_factory.mktemp("pouchdb")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (home / "output").open("wb") as output:
        server = subprocess.Popen(
            [
                "node",
                str(program),
                "--in-memory",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--no-stdout-logs",
            ],
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while True:
            assert server.poll() is None, (home / "output").read_text()
            assert time.monotonic() < until, "pouchdb-server does not answer"
            try:
                if "express-pouchdb" in requests.get(address, timeout=5).json():
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def _installed() -> Path:
    """The server's program; npm installs it into the cache directory once (one installer at a time)."""
    import fcntl

    home = platformdirs.user_cache_path("whisktrain-tests") / "pouchdb-server"
    home.mkdir(parents=True, exist_ok=True)
    program = home / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            # Nothing of it needs compiling as long as everything is kept in memory.
            command = [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                str(home),
            ]
            subprocess.run(
                [*command, "pouchdb-server@4.2.0"], check=True, timeout=900, capture_output=True
            )
            (home / "complete").touch()
    return program


@pytest.fixture
def multipart_front(pouchdb: str) -> Iterator[MultipartFront]:
    """A server that answers as CouchDB does: multipart messages, and long polls that end."""
    with contextlib.closing(MultipartFront(pouchdb)) as front:
        yield front


@pytest.fixture
def prefix() -> str:
    """A start of databases' names that no other test has."""
    return f"test-{secrets.token_hex(6)}"


SERVERS = ["pouchdb", *(["real"] if REAL_COUCHDB else [])]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """A server's address with its administrator."""
    return (
        REAL_COUCHDB or "" if request.param == "real" else str(request.getfixturevalue("pouchdb"))
    )


@pytest.fixture
def meddler(server: str) -> Iterator[Meddler]:
    with contextlib.closing(Meddler(server)) as meddler:
        yield meddler


@pytest.fixture
def store(meddler: Meddler, prefix: str) -> Iterator[CouchStore]:
    """A store behind the meddler, greeted and made."""
    with contextlib.closing(CouchStore(f"{meddler.address}?prefix={prefix}")) as store:
        store.ensure()
        store.is_pouch()
        meddler.requests.clear()
        yield store
        meddler.answers.clear()
        store.drop()
