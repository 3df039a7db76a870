"""What web actions answer their callers, as OpenWhisk 2.0.0 answered."""

from __future__ import annotations

from typing import Any

import pytest
from actions_and_answers import ADD, GIVE, ONLY, kv

ECHO = "def main(args):\n    return {'body': args.get('__ow_body'), 'type': args['__ow_headers'].get('content-type')}\n"


@pytest.fixture
def web(caller: Any) -> Any:
    """Calls a web action that returns what it is told to."""
    annotations = [{"key": "web-export", "value": True}]

    def call(give: Any, extension: str = "", accept: str = "*/*") -> Any:
        caller.put("give", GIVE, annotations=annotations, parameters=kv(give=give))
        return caller.send(
            "GET",
            f"/api/v1/web/guest/default/give{extension}",
            auth=False,
            headers={"Accept": accept},
        )

    return call


def test_web_actions_write_json_for_people(web: Any) -> None:
    value = {"z": [1, {"b": "\u017e", "a": {}}], "a": "x"}
    pretty = '{\n  "a": "x",\n  "z": [1, {\n    "a": {\n\n    },\n    "b": "\u017e"\n  }]\n}'
    assert web(value, ".json").content.decode() == pretty
    assert web({"body": value}).content.decode() == pretty
    assert web({"body": value}, ".text").content.decode() == pretty
    assert web({"body": [1, 2]}, ".text").content == b"[1, 2]"
    declined = web({"x": 1}, ".html")
    assert declined.status == 400 and declined.content.startswith(b'{\n  "code": "')


@pytest.mark.parametrize("extension", ["", ".http", ".json", ".html", ".text", ".svg"])
def test_web_actions_that_return_arrays_fail(web: Any, extension: str) -> None:
    answer = web([1, 2], extension)
    assert (answer.status, answer.content) == (500, b"There was an internal server error.")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("extension", "accepted", "only"),
    [
        (".json", "text/html", "application/json"),
        (".text", "text/html", "text/plain"),
        (".html", "text/plain", "text/html; charset=UTF-8"),
        ("", "application/json", "text/html; charset=UTF-8"),
        (".svg", "text/html", "image/svg+xml"),
        (".svg", "image/*", None),
        (".html", "application/json, text/html", None),
    ],
)
def test_what_a_caller_of_a_web_action_accepts(
    web: Any, extension: str, accepted: str, only: str | None
) -> None:
    answer = web({"body": "<b>x</b>"}, extension, accepted)
    assert answer.status == (200 if only is None else 406)
    assert only is None or answer.error == ONLY + only
    failed = web({"statusCode": 418, "body": "x"}, "", "image/png")
    assert failed.status == 418


@pytest.mark.parametrize(
    ("content_type", "body", "answered"),
    [
        ("application/problem+json", "{}", "{}"),
        ("application/foo+json", "{}", None),
        ("application/foo+json", "eHg=", "xx"),
        ("text/plain;q", "x", None),
    ],
)
def test_content_types_of_web_answers(
    web: Any, content_type: str, body: str, answered: str | None
) -> None:
    answer = web({"headers": {"Content-Type": content_type}, "body": body})
    assert (
        (answer.status, answer.content.decode()) == (200, answered)
        if answered is not None
        else answer.status == 400
    )


@pytest.mark.parametrize(
    ("content_type", "seen", "body"),
    [
        ("application/json; charset=utf-8", "application/json", "eyJ2IjoxfQ=="),
        ("application/vnd.api+json", "application/vnd.api+json", '{"v":1}'),
        ("application/foo+json", "application/foo+json", "eyJ2IjoxfQ=="),
        ("text/html; charset=iso-8859-1", "text/html; charset=ISO-8859-1", '{"v":1}'),
    ],
)
def test_bodies_of_raw_web_actions(caller: Any, content_type: str, seen: str, body: str) -> None:
    annotations = [{"key": "web-export", "value": True}, {"key": "raw-http", "value": True}]
    caller.put("raw", ECHO, annotations=annotations)
    path = "/api/v1/web/guest/default/raw.json"
    got = caller.send(
        "POST", path, b'{"v":1}', auth=False, headers={"Content-Type": content_type}
    ).body
    assert got == {"body": body, "type": seen}


@pytest.mark.parametrize(("sent", "status"), [(None, 401), ("", 200), ("x", 401)])
def test_an_empty_secret_must_be_sent_too(caller: Any, sent: str | None, status: int) -> None:
    annotations = [{"key": "web-export", "value": True}, {"key": "require-whisk-auth", "value": ""}]
    caller.put("secret", ADD, annotations=annotations)
    headers = {} if sent is None else {"X-Require-Whisk-Auth": sent}
    assert (
        caller.send(
            "GET", "/api/v1/web/guest/default/secret.json", auth=False, headers=headers
        ).status
        == status
    )


def test_deep_values(caller: Any, web: Any) -> None:
    value: Any = 1
    for _ in range(400):
        value = {"d": value}
    answer = web(value, ".json")
    assert answer.status == 200 and answer.body == value
    body = (b'{"d":' * 3000) + b"1" + b"}" * 3000
    declined = caller.send("POST", "/api/v1/namespaces/_/actions/give", body)
    assert (
        declined.status,
        declined.error.endswith("the configured limit of maxNesting = 1000"),
    ) == (400, True)
