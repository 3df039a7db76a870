"""Files that users put into the store: named by their content, in parts where they are large."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whisktrain import tensors
from whisktrain.data.images.decoding import IMAGE_SUFFIXES
from whisktrain.data.limits import check_size
from whisktrain.errors import Conflict, Damaged, DataError, NotFound
from whisktrain.records.ids import SCHEMA
from whisktrain.records.ids import upload as upload_id
from whisktrain.store.protocol import Document, Store

__all__ = ["PART_BYTES", "Upload", "delete_upload", "get_upload", "list_uploads", "put_upload"]

PART_BYTES = 32 * 1024 * 1024
"""An upload of more bytes is kept in several documents of so many."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file.

    Attributes:
        name: The file's name, as it was put.
        bytes: Its content.
        meta: `{"ref", "name", "size", "format"}`; the format is "images" for a folder and "auto" otherwise.
    """

    name: str
    bytes: bytes = field(repr=False)
    meta: dict[str, Any]


def put_upload(store: Store, content: str | Path | bytes, name: str | None = None) -> str:
    """Put a file, or a folder of images with one sub-folder for each class.

    Args:
        store: Where to.
        content: A path, or the bytes themselves.
        name: The file's name; the path's own by default.

    Returns:
        "upload:ID". The same name and content give the same id.

    Raises:
        DataError: There is no such file, it is too large, or a folder holds no images by class.
    """
    if isinstance(content, bytes):
        data, format_ = content, "auto"
    else:
        path = Path(content).expanduser()
        name = name or path.resolve().name
        data, format_ = _read(path)
    name = name or "data"
    check_size(len(data), f"The file {name!r}")
    digest = tensors.digest(json.dumps([name, format_, tensors.digest(data)]).encode())
    parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)] or [b""]
    body = {"schema": SCHEMA, "name": name, "size": len(data), "format": format_, "parts": len(parts)}
    for k, part in enumerate(parts[1:], start=1):
        _create(store, f"{upload_id(digest)}:{k}", {"schema": SCHEMA, "size": len(part)}, part)
    _create(store, upload_id(digest), body, parts[0])
    return upload_id(digest)


def get_upload(store: Store, ref: str) -> Upload:
    """Read a stored file.

    Args:
        store: Where from.
        ref: "upload:ID", as `put_upload` answered.

    Raises:
        NotFound: There is no such upload.
        Damaged: A part of it is missing.
    """
    head = store.library.get(_checked(ref), attachment=True)
    if head is None:
        raise NotFound(f"There is no {ref[:100]!r} in the store.", hint="'whisktrain data list' lists the uploads.")
    parts = [head.attachment or b""]
    for k in range(1, int(head.body["parts"])):
        part = store.library.get(f"{ref}:{k}", attachment=True)
        if part is None:
            raise Damaged(f"Part {k} of {ref!r} is missing in the store.", hint="Put the file again.")
        parts.append(part.attachment or b"")
    return Upload(str(head.body["name"]), b"".join(parts), _meta(head))


def list_uploads(store: Store) -> list[dict[str, Any]]:
    """What was put: `{"ref", "name", "size", "format"}` of each, in order of id."""
    return [_meta(d) for d in store.library.list("upload:") if d.id.count(":") == 1]


def delete_upload(store: Store, ref: str) -> bool:
    """Delete a stored file; returns whether it was there."""
    head = store.library.get(_checked(ref))
    if head is None:
        return False
    store.library.delete(ref)
    store.library.delete_many(d.id for d in store.library.list(f"{ref}:", bodies=False))
    return True


def _checked(ref: str) -> str:
    if ref.startswith("upload:") and ref.count(":") == 1 and len(ref) > len("upload:"):
        return ref
    raise DataError(
        f"An upload was named {ref[:100]!r}; expected 'upload:ID', as 'whisktrain data put' answers.", code="bad_upload"
    )


def _meta(document: Document) -> dict[str, Any]:
    body = document.body
    return {"ref": document.id, "name": body["name"], "size": body["size"], "format": body["format"]}


def _create(store: Store, id_: str, body: dict[str, Any], data: bytes) -> None:
    try:
        store.library.put(id_, body, attachment=data, durable=True)
    except Conflict:
        return  # the same content is there already


def _read(path: Path) -> tuple[bytes, str]:
    try:
        if path.is_dir():
            return _archive(path), "images"
        check_size(path.stat().st_size, f"The file {str(path)!r}")
        return path.read_bytes(), "auto"
    except OSError as error:
        raise DataError(f"The file {str(path)!r} cannot be read: {error.strerror}.", code="no_file") from None


def _archive(folder: Path) -> bytes:
    """The images of a folder as a tar archive: the same images give the same bytes."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in IMAGE_SUFFIXES)
    files = [
        p
        for p in files
        if len(p.relative_to(folder).parts) > 1 and not any(x.startswith(".") for x in p.relative_to(folder).parts)
    ]
    if not files:
        raise DataError(
            f"The folder {str(folder)!r} holds no images by class; expected a sub-folder for each class with images in it.",
            code="no_rows",
        )
    check_size(sum(p.stat().st_size for p in files), f"The folder {str(folder)!r}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            content = path.read_bytes()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
