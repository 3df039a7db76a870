"""Addresses of stores, and what may be read of them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whisktrain.store
from whisktrain.errors import ConfigurationError
from whisktrain.store import Store, mask, open_store
from whisktrain.store.bodies import after_prefix
from whisktrain.store.couch import CouchStore
from whisktrain.store.sqlite import SqliteStore
from whisktrain.store.sqlite.filesystems import check_local, filesystem_of


def test_a_path_of_the_embedded_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for address, path in (
        (f"sqlite:{tmp_path}/a b", tmp_path / "a b"),
        ("sqlite:relative/path", tmp_path / "relative/path"),
        ("sqlite:~/.store", tmp_path / "home/.store"),
        ("SQLite:x", tmp_path / "x"),
    ):
        store = open_store(address)
        assert isinstance(store, SqliteStore)
        assert isinstance(store, Store)
        assert store.url == f"sqlite:{path}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "url", "names"),
    [
        ("http://localhost:5984", "http://localhost:5984", "whisktrain"),
        ("http://localhost:5984/", "http://localhost:5984", "whisktrain"),
        ("HTTPS://couch.example.org", "https://couch.example.org", "whisktrain"),
        ("http://u:p@h:1/team-a", "http://h:1/team-a", "team-a"),
        ("http://u:p@h:1?prefix=team_b", "http://h:1/team_b", "team_b"),
        ("http://u:p%40ss%2F@[::1]:5984", "http://[::1]:5984", "whisktrain"),
        ("http://u@[2001:db8::1]/x", "http://[2001:db8::1]/x", "x"),
    ],
)
def test_an_address_of_couchdb(address: str, url: str, names: str) -> None:
    store = open_store(address)
    assert isinstance(store, CouchStore)
    assert isinstance(store, Store)
    assert store.url == url
    assert (store.library.name, store.rounds.name) == (names, f"{names}-rounds")
    store.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "sqlite:",
        "sqlite",
        "sqlite:///x?secret",
        "postgres://admin:geheim@host/db",
        "couchdb://admin:geheim@host",
        "/some/path",
        "admin:geheim@host:5984",
        "http://",
        "http://admin:geheim@",
        "http://admin:geheim@host:port",
        "http://admin:geheim@host:99999",
        "http://admin:geheim@[::1",
        "http://admin:geheim@host/Upper",
        "http://admin:geheim@host/?prefix=1x",
        "http://admin:geheim@host/?other=1",
        "http://admin:12/geheim@host",
        "http://admin:?geheim@host",
        "http://admin:#geheim@host",
    ],
)
def test_what_is_no_address_is_refused_without_telling_a_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(address)
    told = f"{caught.value} {caught.value!r} {caught.value.to_record()}"
    assert "geheim" not in told
    assert "http" in told
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("http://admin:geheim@host:5984/x?prefix=y", "http://***@host:5984/x?prefix=y"),
        ("https://host", "https://host"),
        ("http://a:b@c@host", "http://***@host"),
        ("sqlite:/home/me@work/x", "sqlite:/home/me@work/x"),
        ("admin:geheim@host", "***@host"),
        ("http://admin:geheim@[::1", "http://***@[::1"),
        ("http://admin:ge/heim@host", "http://***@host"),
    ],
)
def test_masks(address: str, masked: str) -> None:
    assert mask(address) == masked


@given(st.text("ab@:/?#[]%", max_size=8), st.text("ab@:/?#[]%", max_size=4))
def test_a_mask_never_shows_a_password(around: str, end: str) -> None:
    for address in (
        f"http://user:geheim{around}@host{end}",
        f"user:geheim@{around}",
        f"x://:geheim@{end}",
    ):
        assert "geheim" not in mask(address)


def test_credentials_are_in_no_repr() -> None:
    store = CouchStore("http://someuser:geheim@localhost:1")
    for shown in (
        store,
        store.rounds,
        store.library,
        store._session,
        store._server,
        store.rounds._database,
    ):
        assert "geheim" not in repr(shown)
        assert "someuser" not in repr(shown)
    assert "geheim" not in store.url
    store.close()


def test_errors_of_the_store_survive_a_process_boundary() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store("nonsense")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code, again.message, again.hint) == (
        caught.value.code,
        caught.value.message,
        caught.value.hint,
    )
    assert copy.copy(caught.value).message == again.message


def test_what_the_package_offers() -> None:
    assert set(whisktrain.store.__all__) == {
        "Change",
        "Changes",
        "Database",
        "Document",
        "Store",
        "mask",
        "open_store",
    }
    assert all(hasattr(whisktrain.store, name) for name in whisktrain.store.__all__)


def test_opening_an_embedded_store_imports_no_http_and_no_numerics() -> None:
    script = "import sys; from whisktrain.store import open_store; open_store('sqlite:x'); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert not {"requests", "couchdb", "tenacity", "numpy", "tensorflow", "keras", "psutil"} & set(
        loaded.split()
    )


MOUNTS = [
    ("/", "overlay"),
    ("/proc", "proc"),
    ("/home", "nfs4"),
    ("/home/me/local disk", "ext4"),
    ("/mnt", "cifs"),
    ("/mnt", "ext4"),
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/x", ("/", "overlay")),
        ("/home/me", ("/home", "nfs4")),
        ("/homes/me", ("/", "overlay")),
        ("/home/me/local disk/deep/er", ("/home/me/local disk", "ext4")),
        ("/mnt", ("/mnt", "ext4")),
        ("/mnt/x", ("/mnt", "ext4")),
    ],
)
def test_the_file_system_of_a_path(path: str, expected: tuple[str, str]) -> None:
    assert filesystem_of(PurePosixPath(path), MOUNTS) == expected


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "fuse.glusterfs", "lustre", "NFS4"],
)
def test_network_file_systems_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    check_local(tmp_path)
    part = psutil.disk_partitions(all=True)[0]._replace(
        mountpoint=str(tmp_path.resolve()), fstype=kind
    )
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [part])
    store = SqliteStore(tmp_path / "deep" / "store")
    with pytest.raises(ConfigurationError, match=kind.lower()):
        store.rounds.put("a", {})
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=4), st.lists(st.text(max_size=6), max_size=30))
def test_the_end_of_a_prefix(prefix: str, others: list[str]) -> None:
    end = after_prefix(prefix)
    for text in [*others, *(prefix + other for other in others), prefix]:
        inside = prefix.encode("utf-8", "surrogatepass") <= text.encode(
            "utf-8", "surrogatepass"
        ) and (
            end is None
            or text.encode("utf-8", "surrogatepass") < end.encode("utf-8", "surrogatepass")
        )
        assert inside == text.startswith(prefix)
