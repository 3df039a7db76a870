"""A request that the host declines, with OpenWhisk's own messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

NOT_FOUND = "The requested resource does not exist."
NO_SUCH_ROUTE = "The requested resource could not be found."
EXISTS = "resource already exists"
OTHER_COLLECTION = "Resource by this name exists but is not in this collection."
NAME_ILLEGAL = "The name of the entity contains illegal characters."
NAME_MALFORMED = "The fully qualified name of the entity must contain at least the namespace and the name of the entity."
PARAMETERS_NOT_ALLOWED = (
    "Request defines parameters that are not allowed (e.g., reserved properties)."
)
SEQUENCE_TOO_LONG = "Too many actions in the sequence."
SEQUENCE_EMPTY = "No component specified for the sequence."
SEQUENCE_CYCLIC = "Sequence may not refer to itself."
SEQUENCE_COMPONENT_MISSING = "Sequence component does not exist."
BINDING_MISSING = "Binding references a package that does not exist."
BINDING_OF_BINDING = "Cannot bind to another package binding."
PACKAGE_NOT_BINDING = "Resource is a package and cannot be converted into a binding."
NOT_ON_BINDING = "Operation not permitted on package binding."
FAULT = "There was an internal server error."
PROCESSING_FAILED = "There was an error processing your request."
NO_CREDENTIALS = "The resource requires authentication, which was not supplied with the request"
BAD_CREDENTIALS = "The supplied authentication is invalid"


Layout = Literal["compact", "pretty", "text"]


class Rejection(Exception):
    """An answer that is not a success: control flow inside the host, never seen by a caller as an exception.

    Args:
        status: The HTTP status.
        message: The `error` text of the answer's body.
        cors: Whether the answer carries the API's CORS headers: the platform leaves them out where it declines a request
            before it has looked at any entity (malformed content, bad query, unknown route).
        headers: Further headers.
        layout: Of the body: `compact` JSON, `pretty` JSON as declined web actions have it, or only the `text`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        cors: bool = True,
        headers: dict[str, str] | None = None,
        layout: Layout = "compact",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.cors = cors
        self.headers = headers or {}
        self.layout = layout

    def for_web(self, headers: Mapping[str, str] = {}) -> Rejection:
        """The same answer as web actions give it: pretty JSON, these headers in place of the API's CORS headers."""
        self.cors, self.layout = False, "pretty"
        self.headers = {**self.headers, **headers}
        return self


def not_found() -> Rejection:
    """The entity does not exist."""
    return Rejection(404, NOT_FOUND)


def malformed(why: str) -> Rejection:
    """The body is not what the operation takes."""
    return Rejection(400, f"The request content was malformed:\n{why}", cors=False)


def not_authorized(resource: str) -> Rejection:
    """The caller has no right to that: `namespace` or `namespace/entity`."""
    return Rejection(403, f"The supplied authentication is not authorized to access '{resource}'.")


def bad_query(parameter: str, why: str) -> Rejection:
    """A query parameter is not what the operation takes."""
    return Rejection(400, f"The query parameter '{parameter}' was malformed:\n{why}", cors=False)


def too_large(what: str, size: int, allowed: int) -> Rejection:
    """Something is larger than the host allows; sizes in bytes."""
    return Rejection(413, f"{what} larger than allowed: {size} > {allowed} bytes.")


def no_such_route() -> Rejection:
    """No operation of that name, or not with that method."""
    return Rejection(404, NO_SUCH_ROUTE, cors=False)
