"""How requests find their operations: Starlette's routes, made to match as OpenWhisk's do."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

_AUTHORITY = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)


class ExactRoute(Route):
    """A route of one method, or of all.

    Starlette answers 405 where only the method differs, and lets HEAD stand for GET. OpenWhisk does neither: such a request
    matches no route.

    Args:
        method: The method; None: all.
        path: The path, with `segment`, `name` and `rest` as convertors.
        app: Answers the request.
    """

    def __init__(self, method: str | None, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self._method = method

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the route is that of a request."""
        if self._method is not None and scope["method"] != self._method:
            return Match.NONE, {}
        return super().matches(scope)


class _Segment(Convertor[str]):
    """One segment of a path, which may be empty. Encoded slashes are part of it."""

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


class _Name(_Segment):
    """One segment of a path that is not empty."""

    regex = "[^/]+"


class _Rest(_Segment):
    """Everything from a slash on, or nothing."""

    regex = "(?:/.*)?"


register_url_convertor("segment", _Segment())
register_url_convertor("name", _Name())
register_url_convertor("rest", _Rest())


def canonical_path(raw_path: str) -> str:
    """The path of a request as the routes match it: without `.` and `..`, every segment encoded in one way.

    Starlette matches the decoded path, in which an encoded slash looks like one between segments. So each segment is decoded
    for itself and encoded again: `%6e` becomes `n`, `%2f` stays `%2F`, and the convertors decode. Clients leave dots in the
    path (RFC 3986, 5.2.4; wskdeploy's export does). A target in absolute form names the host too (RFC 9112, 3.2.2): it is
    left out, as servers have to accept that form.
    """
    raw_path = _AUTHORITY.sub("", raw_path, count=1)
    segments = [unquote(segment) for segment in raw_path.split("/")[1:]]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(quote(segment, safe="") for segment in kept)
