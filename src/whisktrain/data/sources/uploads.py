"""Files that users put into the store: named by their content, in several documents where they are large."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from whisktrain import tensors
from whisktrain.data.images.files import IMAGE_SUFFIXES
from whisktrain.data.limits import check_size, max_bytes
from whisktrain.errors import Conflict, Damaged, DataError, NotFound
from whisktrain.records.ids import SCHEMA
from whisktrain.records.ids import upload as upload_id
from whisktrain.store.protocol import Document, Store

__all__ = [
    "PART_BYTES",
    "Upload",
    "UploadEntry",
    "delete_upload",
    "get_upload",
    "list_uploads",
    "put_upload",
]

PART_BYTES = 32 * 1024 * 1024
"""The most bytes of an upload that one document holds."""

PREFIX = "upload:"


class UploadEntry(TypedDict):
    """What a list of uploads says of each.

    Attributes:
        ref: "upload:ID".
        name: The file's name, as it was put.
        size: Its length in bytes.
        format: "images" for a folder and "auto" otherwise.
    """

    ref: str
    name: str
    size: int
    format: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file.

    Attributes:
        name: The file's name, as it was put.
        bytes: Its content.
        meta: Its entry in the list of uploads.
    """

    name: str
    bytes: bytes = field(repr=False)
    meta: UploadEntry


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
    made_of = [name, format_, tensors.digest(data)]
    ref = upload_id(tensors.digest(json.dumps(made_of).encode()))
    parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)] or [b""]
    for k, part in enumerate(parts[1:], start=1):
        _create(store, _part_id(ref, k), {"schema": SCHEMA, "size": len(part)}, part)
    body = {
        "schema": SCHEMA,
        "name": name,
        "size": len(data),
        "format": format_,
        "parts": len(parts),
    }
    _create(store, ref, body, parts[0])
    return ref


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
        raise NotFound(
            f"There is no {ref[:100]!r} in the store.",
            hint="'whisktrain data list' lists the uploads.",
        )
    parts = [head.attachment or b""]
    for k in range(1, int(head.body["parts"])):
        part = store.library.get(_part_id(ref, k), attachment=True)
        if part is None:
            raise Damaged(
                f"Part {k} of {ref!r} is missing in the store.", hint="Put the file again."
            )
        parts.append(part.attachment or b"")
    entry = _entry(head)
    return Upload(entry["name"], b"".join(parts), entry)


def list_uploads(store: Store) -> list[UploadEntry]:
    """List the stored files, in order of id."""
    documents = store.library.list(PREFIX)
    return [_entry(document) for document in documents if _is_ref(document.id)]


def delete_upload(store: Store, ref: str) -> bool:
    """Delete a stored file; returns whether it was there."""
    head = store.library.get(_checked(ref))
    if head is None:
        return False
    store.library.delete(ref)
    store.library.delete_many(part.id for part in store.library.list(f"{ref}:", bodies=False))
    return True


def _part_id(ref: str, k: int) -> str:
    """The document of an upload's part k >= 1."""
    return f"{ref}:{k}"


def _is_ref(id_: str) -> bool:
    """Whether an id is an upload's own, not one of its further parts'."""
    return id_.startswith(PREFIX) and id_.count(":") == 1


def _checked(ref: str) -> str:
    if _is_ref(ref) and ref != PREFIX:
        return ref
    raise DataError(
        f"An upload was named {ref[:100]!r}; expected 'upload:ID', as 'whisktrain data put' answers.",
        code="bad_upload",
    )


def _entry(document: Document) -> UploadEntry:
    body = document.body
    return {
        "ref": document.id,
        "name": str(body["name"]),
        "size": int(body["size"]),
        "format": str(body["format"]),
    }


def _create(store: Store, id_: str, body: Mapping[str, object], data: bytes) -> None:
    try:
        store.library.put(id_, dict(body), attachment=data, durable=True)
    except Conflict:
        return  # the same content is there already


def _read(path: Path) -> tuple[bytes, str]:
    """A file's bytes, or a folder's as an archive; and the format."""
    try:
        if path.is_dir():
            return _archive(path), "images"
        return _read_file(path), "auto"
    except OSError as error:
        raise DataError(
            f"The file {str(path)!r} cannot be read: {error.strerror}.",
            code="no_file",
            hint="Check the path and its permissions.",
        ) from None


def _read_file(path: Path) -> bytes:
    """The content of a file or pipe, of which no more is read than data may have.

    Raises:
        DataError: It is larger, or something else, such as a device that never ends.
    """
    what = f"The file {str(path)!r}"
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
        raise DataError(
            f"{str(path)!r} is no file; expected a file, a pipe, or a folder of images.",
            code="no_file",
            hint="Check the path.",
        )
    check_size(status.st_size, what)
    with path.open("rb") as file:
        content = file.read(max_bytes() + 1)
    check_size(len(content), what)
    return content


def _archive(folder: Path) -> bytes:
    """The images of a folder as a tar archive: the same images give the same bytes."""
    files = sorted(path for path in folder.rglob("*") if _is_labelled_image(path, folder))
    if not files:
        raise DataError(
            f"The folder {str(folder)!r} holds no images by class; expected a sub-folder for each class with images in it.",
            code="no_rows",
        )
    check_size(sum(path.stat().st_size for path in files), f"The folder {str(folder)!r}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _is_labelled_image(path: Path, folder: Path) -> bool:
    """Whether a path is an image in a sub-folder, and neither it nor the sub-folder is hidden."""
    if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
        return False
    parts = path.relative_to(folder).parts
    return len(parts) > 1 and not any(part.startswith(".") for part in parts)
