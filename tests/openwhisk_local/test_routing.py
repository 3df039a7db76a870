"""How requests find their operations, and what is answered where there is none."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest
from actions_and_answers import NO_ROUTE
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Match

from openwhisk_local.json_text import to_pretty_json
from openwhisk_local.rest.routing import ExactRoute, canonical_path

API = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("//a", "//a"),
        ("/%61/%2f", "/a/%2F"),
        ("/a b/%C3%A4", "/a%20b/%C3%A4"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/..", "/"),
        ("/%zz", "/%25zz"),
        ("*", "/"),
        ("http://127.0.0.1:3233/a/%2e/b", "/a/b"),
        ("HTTPS://u@host", "/"),
        ("http:///a", "/a"),
        ("/http://a", "/http%3A//a"),
    ],
)
def test_paths_are_encoded_in_one_way(raw: str, canonical: str) -> None:
    assert canonical_path(raw) == canonical
    assert canonical_path(canonical) == canonical


def test_a_target_in_absolute_form_means_its_path(caller: Any) -> None:
    base = caller.host.apihost
    caller.put("absolute", "def main(args):\n    return args\n")
    path = "/api/v1/namespaces/_/actions/absolute?blocking=true&result=true"
    assert caller.send("POST", base + path, {"a": 1}).body == {"a": 1}
    assert caller.send("GET", f"{base}/", auth=False).body == caller.send("GET", "/").body
    assert caller.send("GET", base, auth=False).status == 200


SEGMENT = st.text().filter(lambda text: text not in (".", "..") and text.isprintable())


@given(segments=st.lists(SEGMENT, min_size=1))
def test_every_segment_survives(segments: list[str]) -> None:
    canonical = canonical_path("/" + "/".join(quote(segment, safe="") for segment in segments))
    assert [unquote(segment) for segment in canonical.split("/")[1:]] == segments


@pytest.mark.parametrize(
    ("path", "given_path", "parameters"),
    [
        ("/x/{name:name}", "/x/a%2Fb", {"name": "a/b"}),
        ("/x/{name:name}", "/x/", None),
        ("/x/{name:segment}/y", "/x//y", {"name": ""}),
        ("/x/{name:name}{rest:rest}", "/x/a", {"name": "a", "rest": ""}),
        ("/x/{name:name}{rest:rest}", "/x/a/", {"name": "a", "rest": "/"}),
        ("/x/{name:name}{rest:rest}", "/x/a/b/c%20d", {"name": "a", "rest": "/b/c d"}),
    ],
)
def test_parts_of_a_path(path: str, given_path: str, parameters: dict[str, str] | None) -> None:
    match, scope = ExactRoute("GET", path, Response()).matches(
        {"type": "http", "method": "GET", "path": given_path}
    )
    assert (None if match is Match.NONE else scope["path_params"]) == parameters


@pytest.mark.parametrize(
    ("method", "asked", "matches"),
    [("GET", "HEAD", False), ("GET", "GET", True), (None, "PATCH", True)],
)
def test_only_the_methods_own_requests_match(method: str | None, asked: str, matches: bool) -> None:
    match, _ = ExactRoute(method, "/", Response()).matches(
        {"type": "http", "method": asked, "path": "/"}
    )
    assert match is (Match.FULL if matches else Match.NONE)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "_/actions/a"),
        ("HEAD", "_/actions"),
        ("POST", "_/rules"),
        ("GET", "_/actions/a/b/c"),
        ("GET", "_/none"),
    ],
)
def test_wrong_methods_and_paths_are_not_found_and_the_key_comes_first(
    caller: Any, method: str, path: str
) -> None:
    answer = caller.send(method, f"{API}/{path}")
    assert answer.status == 404
    assert method == "HEAD" or answer.error == NO_ROUTE
    assert caller.send(method, f"{API}/{path}", auth=False).status == 401


def test_the_namespace_of_a_collection_that_exists_is_looked_at_before_the_rest(
    caller: Any,
) -> None:
    assert (
        caller.send("PATCH", f"{API}/a!/actions/x").error
        == "The namespace contains illegal characters."
    )
    assert caller.send("PATCH", f"{API}/a!/none/x").status == 404
    assert caller.send("GET", f"{API}//limits").status == 400


def test_an_encoded_slash_is_part_of_a_name(caller: Any) -> None:
    assert (
        caller.api("GET", "actions/a%2Fb").error
        == "The name of the entity contains illegal characters."
    )


def test_options_need_no_key(caller: Any) -> None:
    for path in (f"{API}/_/actions/a", "/api/v1", "/nothing"):
        assert caller.send("OPTIONS", path, auth=False).content == b"OK"


@pytest.mark.parametrize(
    ("path", "allowed"), [("/ping", "GET, OPTIONS"), ("/", "GET, OPTIONS"), ("/nothing", "OPTIONS")]
)
def test_outside_the_api_the_methods_are_named(caller: Any, path: str, allowed: str) -> None:
    answer = caller.send("POST", path, auth=False)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_pretty_json_is_the_same_json(value: Any) -> None:
    assert json.loads(to_pretty_json(value)) == value


def test_pretty_json_has_a_line_for_each_member() -> None:
    value = {"a": [1, {"b": {}}], "c": "{,:}"}
    assert to_pretty_json(value) == '{\n  "a": [1, {\n    "b": {\n\n    }\n  }],\n  "c": "{,:}"\n}'
