"""Web actions: who may call them, what they get, what their results become."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openwhisk_local.rejections import Rejection
from openwhisk_local.web.results import TRANSCODERS

GIVE = "def main(args):\n    return args['give']\n"
ECHO = "def main(args):\n    return {'body': args}\n"


def web(**annotations: Any) -> list[dict[str, Any]]:
    named = {"web-export": True} | {
        key.replace("_", "-"): value for key, value in annotations.items()
    }
    return [{"key": key, "value": value} for key, value in named.items()]


def call(
    caller: Any, method: str, path: str, body: Any = None, *, auth: bool = False, **headers: str
) -> Any:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return caller.send(method, f"/api/v1/web/guest/default/{path}", body, auth=auth, headers=named)


def given_by(caller: Any, result: Any, extension: str = "http") -> Any:
    """The answer to a web action that returns this."""
    caller.put("give", GIVE, annotations=web(), parameters=[{"key": "give", "value": result}])
    return call(caller, "GET", f"give.{extension}")


def test_what_a_web_action_gets(caller: Any) -> None:
    caller.put("echo", ECHO, annotations=web())
    got = call(caller, "POST", "echo/a/b%20c?x=1&x=2&empty=", {"y": [1]}, X_Mine="Yes").body
    assert (got["__ow_method"], got["__ow_path"]) == ("post", "/a/b c")
    assert (got["x"], got["empty"], got["y"]) == ("2", "", [1])
    assert got["__ow_headers"]["x-mine"] == "Yes"
    assert got["__ow_headers"]["content-type"] == "application/json"
    assert "__ow_user" not in got
    assert "__ow_body" not in got
    assert call(caller, "GET", "echo", auth=True).body["__ow_user"] == "guest"


def test_bodies_that_are_no_objects_are_boxed(caller: Any) -> None:
    caller.put("echo", ECHO, annotations=web())
    assert (
        call(caller, "POST", "echo", b"\x00\xff", content_type="image/png").body["__ow_body"]
        == "AP8="
    )
    assert (
        call(caller, "POST", "echo", "grüße".encode(), content_type="text/plain").body["__ow_body"]
        == "grüße"
    )
    form = call(
        caller, "POST", "echo", b"a=1&b=&a=2", content_type="application/x-www-form-urlencoded"
    ).body
    assert (form["a"], form["b"]) == ("2", "")
    special = call(
        caller, "POST", "echo", b'{"a": 1}', content_type="application/vnd.api+json"
    ).body
    assert special["a"] == 1


def test_raw_bodies_and_queries_are_left_as_they_are(caller: Any) -> None:
    caller.put("raw", ECHO, annotations=web(raw_http=True))
    got = call(caller, "POST", "raw?a=%20&__ow_method=x", b'{"a": 1}').body
    assert got["__ow_query"] == "a=%20&__ow_method=x"
    assert base64.b64decode(got["__ow_body"]) == b'{"a": 1}'
    assert "a" not in got
    assert call(caller, "GET", "raw").body["__ow_body"] == ""


def test_statuses_headers_and_bodies(caller: Any) -> None:
    made = given_by(
        caller, {"statusCode": "418", "headers": {"X-A": ["1", 2], "X-B": True}, "body": {"a": 1}}
    )
    assert (made.status, made.body, made.headers["content-type"]) == (
        418,
        {"a": 1},
        "application/json",
    )
    assert made.headers["x-b"] == "true"
    html = given_by(caller, {"body": "<p>ä</p>"})
    assert (html.content, html.headers["content-type"]) == (
        "<p>ä</p>".encode(),
        "text/html; charset=UTF-8",
    )
    text = given_by(caller, {"headers": {"content-type": "text/csv"}, "body": "a,b"})
    assert (text.content, text.headers["content-type"]) == (b"a,b", "text/csv; charset=UTF-8")
    image = given_by(caller, {"headers": {"content-type": "image/jpeg"}, "body": "AP8="})
    assert (image.content, image.headers["content-type"]) == (b"\x00\xff", "image/jpeg")
    assert given_by(caller, {"statusCode": 200, "body": ""}).status == 200
    assert given_by(caller, {}).status == 204
    assert given_by(caller, {"statusCode": 204, "body": "dropped"}).content == b""


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"statusCode": "many"}, "Response is not valid 'message/http'."),
        ({"statusCode": 99}, "Response is not valid 'message/http'."),
        ({"headers": [1]}, "Response is not valid 'message/http'."),
        ({"headers": {"x": "a\nb"}}, "Response is not valid 'message/http'."),
        (
            {"headers": {"content-type": "nonsense"}, "body": "x"},
            "Response did not specify a known content-type.",
        ),
        (
            {"headers": {"content-type": "image/png"}, "body": "?"},
            "Response type in header did not match generated content type.",
        ),
        (
            {"headers": {"content-type": "text/html"}, "body": {}},
            "Response type in header did not match generated content type.",
        ),
    ],
)
def test_results_that_are_no_answers(caller: Any, result: Any, why: str) -> None:
    made = given_by(caller, result)
    assert (made.status, made.error) == (400, why)
    assert "x-openwhisk-activation-id" in made.headers
    assert made.headers["access-control-allow-origin"] == "*"


def test_extensions(caller: Any) -> None:
    assert given_by(caller, {"text": {"a": 1}}, "text").body == {"a": 1}
    assert given_by(caller, {"text": True}, "text").content == b"true"
    assert given_by(caller, {"a": 1}, "text").status == 404
    assert given_by(caller, {"a": 1}, "html").error == "Response is not valid 'text/html'."
    assert given_by(caller, {"error": {"statusCode": 404, "body": "none"}}).status == 404
    assert given_by(caller, {"error": {"a": 1}}, "json").body == {"a": 1}


def test_options_are_answered_for_the_action_unless_it_wants_to(caller: Any) -> None:
    caller.put("plain", ECHO, annotations=web(require_whisk_auth="secret"))
    answer = call(caller, "OPTIONS", "plain", Access_Control_Request_Headers="x-own")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-headers"] == "x-own"
    caller.put("own", "def main(args):\n    return {'headers': {'Allow': 'GET'}, 'body': args['__ow_method']}\n",
               annotations=web(web_custom_options=True))  # fmt: skip
    answer = call(caller, "OPTIONS", "own")
    assert (answer.content, answer.headers["allow"]) == (b"options", "GET")
    assert "access-control-allow-origin" not in answer.headers


def test_who_may_call(caller: Any) -> None:
    caller.put("secret", ECHO, annotations=web(require_whisk_auth="s3cret"))
    assert call(caller, "GET", "secret").status == 401
    assert call(caller, "GET", "secret", auth=True).status == 401
    assert call(caller, "GET", "secret", X_Require_Whisk_Auth="wrong").status == 401
    assert call(caller, "GET", "secret", X_Require_Whisk_Auth="s3cret").status == 200
    caller.put("users", ECHO, annotations=web(require_whisk_auth=True))
    assert call(caller, "GET", "users").status == 401
    assert call(caller, "GET", "users", auth=True).status == 200
    caller.put("number", ECHO, annotations=web(require_whisk_auth=7))
    assert call(caller, "GET", "number", X_Require_Whisk_Auth="7").status == 200
    caller.put("open", ECHO, annotations=web(require_whisk_auth=False))
    assert call(caller, "GET", "open").status == 200
    caller.put("closed", ECHO, annotations=web(require_whisk_auth=None))
    assert call(caller, "GET", "closed").status == 401


def test_a_large_body_is_declined(caller: Any) -> None:
    caller.put("echo", ECHO, annotations=web())
    answer = call(caller, "POST", "echo", b"x" * 1_048_577, content_type="text/plain")
    assert (answer.status, answer.error) == (
        413,
        "Request larger than allowed: 1048577 > 1048576 bytes.",
    )


def test_the_api_gateway_is_said_to_be_absent(caller: Any) -> None:
    answer = caller.send("GET", "/api/v1/web/whisk.system/apimgmt/getApi.http?x=1", auth=False)
    assert answer.status == 404
    assert answer.error == "The requested resource does not exist."


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
HTTP = st.fixed_dictionaries({}, optional={"statusCode": JSON, "headers": JSON, "body": JSON})


@given(result=JSON | HTTP, extension=st.sampled_from(sorted(TRANSCODERS)))
def test_any_result_is_answered_or_declined(result: Any, extension: str) -> None:
    try:
        made = TRANSCODERS[extension](result)
    except Rejection as declined:
        assert declined.status in (400, 404)
    else:
        assert 200 <= made.status_code <= 599
        if extension == ".json":
            assert json.loads(made.body) == result
