"""CouchDB's failures as `StoreError`s."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from couchdb import http as couchdb_http

from whisktrain.errors import Conflict, StoreError, StoreRefused

__all__ = [
    "http_error",
    "is_disk_full",
    "is_document_missing",
    "reason_of",
    "root_cause",
    "translate_errors",
]


class TooLarge(couchdb_http.HTTPError):  # type: ignore[misc]
    """The server answered 413: a document or an attachment is larger than it takes."""


_CLASSES: dict[int, type[couchdb_http.HTTPError]] = {
    401: couchdb_http.Unauthorized,
    403: couchdb_http.Forbidden,
    404: couchdb_http.ResourceNotFound,
    409: couchdb_http.ResourceConflict,
    412: couchdb_http.PreconditionFailed,
    413: TooLarge,
}


def http_error(status: int, content: bytes) -> couchdb_http.HTTPError:
    """The couchdb package's exception for an answer of 400 and more."""
    return _CLASSES.get(status, couchdb_http.ServerError)(_error_and_reason(status, content))


def reason_of(content: bytes) -> str:
    """The error and the reason in an answer's body."""
    return ": ".join(word for word in _error_and_reason(0, content) if word)


def root_cause(error: BaseException) -> str:
    """The innermost exception's text, which is the shortest and has no address in it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)[:200]


def is_disk_full(content: bytes) -> bool:
    """Whether a 5xx answer says that the server's disk is full."""
    return b"enospc" in content.lower()


def is_document_missing(error: couchdb_http.ResourceNotFound) -> bool:
    """Whether a 404 means the document; otherwise it means the database."""
    details = error.args[0] if error.args else ()
    return isinstance(details, tuple) and details[-1] in ("missing", "deleted")


@contextlib.contextmanager
def translate_errors(database: str, url: str) -> Iterator[None]:
    """Turn what the couchdb package raises into `StoreError`s that name the store and the database."""
    try:
        yield
    except couchdb_http.HTTPError as error:
        raise _store_error(error, database, url) from None


def _store_error(error: couchdb_http.HTTPError, database: str, url: str) -> StoreError:
    details = _details(error)
    if isinstance(error, couchdb_http.ResourceConflict):
        return Conflict(
            f"A document of the database {database} has another revision than the write expected."
        )
    if isinstance(error, couchdb_http.Unauthorized):
        return StoreRefused(
            f"The store {url} does not accept the user or the password ({details}).",
            code="store_unauthorized",
            hint="Give them in the store's address: http://USER:PASSWORD@HOST:PORT.",
        )
    if isinstance(error, couchdb_http.Forbidden):
        return StoreRefused(
            f"The store {url} does not let this user do that in the database {database} ({details}).",
            code="store_forbidden",
            hint="Make the user a member of the database, or use an administrator for deploy and clean.",
        )
    if isinstance(error, TooLarge):
        return StoreRefused(
            f"The store {url} does not take so large a document into the database {database}: {details}.",
            code="store_too_large",
            hint="Raise max_document_size and max_attachment_size of the CouchDB, or train a smaller model.",
        )
    if isinstance(error, couchdb_http.ResourceNotFound):
        return StoreError(
            f"The store {url} has no database {database} ({details}).",
            code="store_missing",
            hint="Create it with `whisktrain deploy`, as an administrator.",
        )
    return StoreError(
        f"The store {url} refused a request to the database {database}: {details}.",
        hint="`whisktrain doctor` checks the store.",
    )


def _details(error: couchdb_http.HTTPError) -> str:
    details = error.args[0] if error.args else ""
    return ": ".join(details) if isinstance(details, tuple) else str(details)


def _error_and_reason(status: int, content: bytes) -> tuple[str, str]:
    """The arguments of the couchdb package's exceptions."""
    try:
        body = json.loads(content)
        return str(body.get("error", status)), str(body.get("reason", ""))
    except (ValueError, AttributeError):
        return str(status), content[:200].decode(errors="replace")
