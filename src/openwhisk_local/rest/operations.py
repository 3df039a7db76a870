"""The operations of a collection: what each module of the API offers to the router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from starlette.responses import Response

from openwhisk_local.rest.requests import ApiRequest

Handler = Callable[[ApiRequest], Awaitable[Response]]


class Operation(NamedTuple):
    """One operation.

    Args:
        method: The HTTP method.
        path: The path below `/api/v1/namespaces/{namespace}`.
        handler: Answers the request.
    """

    method: str
    path: str
    handler: Handler


class Collection(Protocol):
    """A collection of entities."""

    def operations(self) -> list[Operation]:
        """Its operations."""


def list_operations(collection: str, handler: Handler) -> list[Operation]:
    """The list of a collection, with and without a slash at the end."""
    return [Operation("GET", f"/{collection}", handler), Operation("GET", f"/{collection}/", handler)]
