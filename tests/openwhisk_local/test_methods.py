"""Methods, addresses and media types that the API does not know."""

from __future__ import annotations

from typing import Any

import pytest
from actions_and_answers import NO_ROUTE, ONLY


@pytest.mark.parametrize(
    ("path", "allowed"), [("/nothing", "OPTIONS"), ("/ping", "GET, OPTIONS"), ("/", "GET, OPTIONS")]
)
def test_methods_outside_the_api(caller: Any, path: str, allowed: str) -> None:
    answer = caller.send("POST", path, {})
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert answer.error == f"HTTP method not allowed, supported methods: {allowed}"
    options = caller.send("OPTIONS", path)
    assert (options.status, options.content) == (200, b"OK")
    assert options.headers["access-control-allow-methods"] == "OPTIONS, GET, POST"


def test_options_of_the_api(caller: Any) -> None:
    answer = caller.send("OPTIONS", "/api/v1/namespaces/_/actions", auth=False)
    assert (answer.status, answer.content) == (200, b"OK")
    assert answer.headers["access-control-allow-methods"] == "GET, DELETE, POST, PUT, HEAD"


@pytest.mark.parametrize("path", ["", "/", "/guest", "/guest/default", "/guest/default/"])
def test_addresses_that_name_no_web_action(caller: Any, path: str) -> None:
    assert caller.send("GET", f"/api/v1/web{path}", auth=False).status == 401
    answer = caller.send("GET", f"/api/v1/web{path}")
    assert (answer.status, answer.error) == (404, NO_ROUTE)


@pytest.mark.parametrize(
    ("path", "accepted", "only"),
    [
        ("/", "text/html", "application/json"),
        ("/api/v1/namespaces", "text/plain", "application/json"),
        ("/api/v1/namespaces", "application/json;q=0", "application/json"),
        ("/api/v1/namespaces", "application/*", None),
        ("/api/v1/namespaces", "image/png, */*;q=0.1", None),
        ("/api/v1/namespaces", "bogus", None),
        ("/api/v1/namespaces", "", None),
        ("/ping", "application/json", "text/plain"),
        ("/ping", "text/*", None),
        ("/api/v1/namespaces/_/actions/nothing", "text/html", None),
    ],
)
def test_what_a_caller_accepts(caller: Any, path: str, accepted: str, only: str | None) -> None:
    answer = caller.send("GET", path, headers={"Accept": accepted})
    if only is None:
        assert answer.status != 406
    else:
        assert (answer.status, answer.error) == (406, ONLY + only)
