"""Stored files: named by content, in parts where large."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from whisktrain.data.sources import uploads
from whisktrain.data.sources.uploads import delete_upload, get_upload, list_uploads, put_upload
from whisktrain.errors import Damaged, DataError, NotFound
from whisktrain.store import Store


def test_put_get_list_delete(store: Store, tmp_path: Path) -> None:
    (tmp_path / "größe 1.csv").write_bytes(b"a,b\n1,2\n")
    ref = put_upload(store, tmp_path / "größe 1.csv")
    assert ref == put_upload(store, b"a,b\n1,2\n", "größe 1.csv")
    assert ref != put_upload(store, b"a,b\n1,3\n", "größe 1.csv")
    other = put_upload(store, b"a,b\n1,2\n", "other.csv")
    upload = get_upload(store, ref)
    assert (upload.name, upload.bytes) == ("größe 1.csv", b"a,b\n1,2\n")
    assert {u["ref"] for u in list_uploads(store)} >= {ref, other}
    assert delete_upload(store, ref)
    assert not delete_upload(store, ref)
    with pytest.raises(NotFound):
        get_upload(store, ref)
    assert get_upload(store, other).name == "other.csv"
    assert put_upload(store, b"a,b\n1,2\n", "größe 1.csv") == ref
    assert get_upload(store, ref).bytes == b"a,b\n1,2\n"


def test_large_files_are_kept_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    data = bytes(range(256)) * 13
    ref = put_upload(store, data, "big.bin")
    assert get_upload(store, ref).bytes == data
    assert [u["ref"] for u in list_uploads(store)] == [ref]
    store.library.delete(f"{ref}:2")
    with pytest.raises(Damaged, match="Part 2"):
        get_upload(store, ref)
    assert delete_upload(store, ref)
    assert store.library.list("upload:") == []


def test_an_empty_file_and_its_bytes_are_kept(store: Store) -> None:
    assert get_upload(store, put_upload(store, b"", "empty.csv")).bytes == b""


def test_files_that_are_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        put_upload(store, tmp_path / "absent.csv")
    with pytest.raises(DataError, match="upload:ID"):
        get_upload(store, "model:x")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_devices_are_no_files(store: Store, tmp_path: Path, device: str) -> None:
    link = tmp_path / "x.csv"
    link.symlink_to(device)
    for path in (device, link):
        with pytest.raises(DataError) as caught:
            put_upload(store, path)
        assert caught.value.code == "no_file"


@pytest.mark.timeout(60)
def test_a_pipe_is_read_as_far_as_data_may_go(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)

    def write(pieces: int) -> threading.Thread:
        def run() -> None:
            with contextlib.suppress(BrokenPipeError), pipe.open("wb") as file:
                for _ in range(pieces):
                    file.write(b"1,2\n" * 1000)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    small = write(3)
    assert get_upload(store, put_upload(store, pipe)).bytes == b"1,2\n" * 3000
    small.join()
    endless = write(10**9)
    with pytest.raises(DataError) as caught:
        put_upload(store, pipe)
    assert caught.value.code == "data_too_large"
    endless.join()
