"""What the collections of the API have in common: operations for the router, and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from starlette.responses import Response

from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import answer
from openwhisk_local.state.entities import Entity

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


def answer_list(
    request: ApiRequest,
    collection: str,
    entities: Sequence[Entity],
) -> Response:
    """The part of a list that is asked for, or its length if that is asked for.

    Args:
        request: The request, with `skip`, `limit` and `count` in its query.
        collection: The collection's name.
        entities: The whole list.
    """
    skip, limit = request.page(collection)
    if request.flag("count"):
        return answer({collection: max(0, len(entities) - skip)})
    part = entities[skip : skip + limit]
    return answer([entity.to_summary() for entity in part])


def list_operations(collection: str, handler: Handler) -> list[Operation]:
    """The list of a collection, with and without a slash at the end."""
    return [
        Operation("GET", f"/{collection}", handler),
        Operation("GET", f"/{collection}/", handler),
    ]
