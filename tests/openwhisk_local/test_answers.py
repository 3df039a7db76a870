"""Answers as OpenWhisk 2.0.0 gave them: to what wsk sends when things go wrong, and to callers of web actions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from actions_and_answers import ADD, GIVE, NO_ROUTE, kv

MISSING = "The requested resource does not exist."
MALFORMED = "The request content was malformed:\n"
MALFORMED_NAME = "The fully qualified name of the entity must contain at least the namespace and the name of the entity."
ID = "0123456789abcdef0123456789abcdef"


def forbidden(what: str) -> tuple[int, str]:
    return 403, f"The supplied authentication is not authorized to access '{what}'."


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "other/actions", forbidden("other")),
        ("GET", "other/actions/x", forbidden("other/x")),
        ("POST", "other/actions/p/x", forbidden("other/p")),
        ("GET", "other/actions/p/x", forbidden("other/p")),
        ("PUT", "other/actions/p/x", forbidden("other/p/x")),
        ("DELETE", "other/actions/p/x", forbidden("other/p/x")),
        ("GET", "other/actions/p/", forbidden("other/p")),
        ("PUT", "other/packages/p", forbidden("other/p")),
        ("POST", "other/triggers/t", forbidden("other/t")),
        ("GET", "other/rules/r", forbidden("other/r")),
        ("GET", "other/activations", forbidden("other")),
        ("GET", f"other/activations/{ID}", forbidden(f"other/{ID}")),
        ("GET", "other/activations/abc", (400, "Activation id length is 3 but must be 32.")),
        ("GET", "other/limits", forbidden("other")),
        ("POST", "other/actions", (404, NO_ROUTE)),
        ("POST", "other/packages/p", (404, NO_ROUTE)),
        ("PATCH", "other/actions/a", (404, NO_ROUTE)),
        ("GET", "other/triggers/a/b", (404, NO_ROUTE)),
        ("GET", "bad$ns/actions", (400, "The namespace contains illegal characters.")),
        ("GET", "n" * 300 + "/actions", (400, "Namespace longer than allowed: 300 > 256.")),
        ("GET", "_/actions/" + "n" * 257, (400, "Name segement longer than allowed: 257 > 256.")),
        ("GET", "_/actions//x", (404, NO_ROUTE)),
        ("GET", "_/actions/p/x/", (404, NO_ROUTE)),
        ("GET", "_/triggers/t/", (404, NO_ROUTE)),
        ("GET", "_/packages/p/", (404, NO_ROUTE)),
        ("GET", f"_/activations//{ID}", (404, NO_ROUTE)),
        ("GET", "_/packages/p", (404, "The requested resource 'guest/p' does not exist.")),
        ("DELETE", "_/packages/p", (404, MISSING)),
        (
            "DELETE",
            "_/packages/p?force=x",
            (400, "The query parameter 'force' was malformed:\n'x' is not a valid Boolean value"),
        ),
        (
            "GET",
            "_/actions?limit=2147483648",
            (
                400,
                "The query parameter 'limit' was malformed:\nThe value '2147483648' is not an integer for actions.",
            ),
        ),
    ],
)
def test_what_is_not_there_or_not_ones_own(
    caller: Any, method: str, path: str, expected: tuple[int, str]
) -> None:
    body = {} if method in ("PUT", "POST", "PATCH") else None
    answer = caller.send(method, f"/api/v1/namespaces/{path}", body)
    assert (answer.status, answer.error) == expected


def test_dots_in_an_address(caller: Any) -> None:
    caller.put("dotted", ADD)
    path = "/api/v1/namespaces/_/actions/../../_/./actions/dotted?blocking=true&result=true"
    assert caller.send("POST", path, {"n": 1}).body == {"n": 2}
    assert caller.send("GET", "/../%2e%2E/ping").content == b"pong"
    assert caller.send("GET", "/api/v1/namespaces/_/..").body == ["guest"]


def test_anyone_may_list_anothers_shared_packages(caller: Any) -> None:
    assert caller.send("GET", "/api/v1/namespaces/other/packages").body == []


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        (["/other/x"], forbidden("other/x")),
        (["/other/p/x", "/other/a"], forbidden("other/p")),
        (["/_/nothing/x", "/other/a"], (404, MISSING)),
        (["/_/x"], (400, "Sequence component does not exist.")),
        (["/"], (400, MALFORMED + "requirement failed: path undefined")),
        (["x"], (400, f"{MALFORMED}requirement failed: {MALFORMED_NAME}")),
        (["/_/"], (400, f"{MALFORMED}requirement failed: {MALFORMED_NAME}")),
        (
            ["/_/bad$"],
            (
                400,
                MALFORMED + "requirement failed: path contains invalid parts WrappedArray(_, bad$)",
            ),
        ),
        ([5], (400, MALFORMED + "fully qualified name malformed")),
        ("x", (400, MALFORMED + "'components' must be an array")),
        (..., (400, MALFORMED + "'components' must be defined for sequence kind")),
    ],
)
def test_sequences_of_what_may_not_be(
    caller: Any, components: Any, expected: tuple[int, str]
) -> None:
    given = {} if components is ... else {"components": components}
    answer = caller.api("PUT", "actions/q", {"exec": {"kind": "sequence", **given}})
    assert (answer.status, answer.error) == expected


def test_components_may_be_objects(caller: Any) -> None:
    caller.put("add", ADD)
    caller.sequence("q", {"path": "_", "name": "add"})
    assert caller.api("GET", "actions/q").body["exec"]["components"] == ["/guest/add"]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({"trigger": "/_/t", "action": "/other/x"}, forbidden("other/x")),
        ({"trigger": "/other/t", "action": "/other/p/x"}, forbidden("other/p")),
        ({"trigger": "/other/t", "action": "/_/x"}, forbidden("other/t")),
        ({"trigger": "/_/t", "action": "/_/nothing/x"}, (404, MISSING)),
        ({"trigger": "/_/p/t", "action": "/_/x"}, (400, "trigger /guest/p/t does not exist")),
        ({"trigger": 5, "action": "/_/x"}, (400, MALFORMED + "fully qualified name malformed")),
        ({"trigger": "/_/t"}, (400, "rule requires a valid trigger and a valid action")),
    ],
)
def test_rules_between_what_may_not_be(
    caller: Any, ends: dict[str, Any], expected: tuple[int, str]
) -> None:
    answer = caller.api("PUT", "rules/r", ends)
    assert (answer.status, answer.error) == expected


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ({"namespace": "other", "name": "p"}, forbidden("other/p")),
        (
            {"namespace": "_", "name": "nothing"},
            (400, "Binding references a package that does not exist."),
        ),
        ({"name": "p"}, (400, MALFORMED + "Object is missing required member 'namespace'")),
        ({"namespace": "bad$", "name": "p"}, (400, MALFORMED + "entity name malformed")),
        (5, (400, MALFORMED + "Object expected in field 'namespace'")),
        (None, (400, MALFORMED + "Object expected in field 'namespace'")),
    ],
)
def test_bindings_to_what_may_not_be(caller: Any, binding: Any, expected: tuple[int, str]) -> None:
    answer = caller.api("PUT", "packages/bound", {"binding": binding})
    assert (answer.status, answer.error) == expected


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (
            {"limits": {"memory": -5}},
            MALFORMED + "requirement failed: a negative size of an object is not allowed.",
        ),
        (
            {"limits": {"logs": -1}},
            MALFORMED + "requirement failed: a negative size of an object is not allowed.",
        ),
        (
            {"limits": {"timeout": -1}},
            "requirement failed: duration -1 milliseconds below allowed threshold of 100 milliseconds",
        ),
        (
            {"limits": {"timeout": 99.5}},
            MALFORMED + "requirement failed: time limit must be whole number",
        ),
        ({"limits": {"timeout": "1"}}, MALFORMED + "time limit malformed"),
        ({"limits": {"logs": "1"}}, MALFORMED + "log limit malformed"),
        (
            {"limits": {"concurrency": 99999999999999}},
            "requirement failed: concurrency 276447231 exceeds allowed threshold of 1",
        ),
        ({"limits": 5}, MALFORMED + "Object expected in field 'timeout'"),
        ({"parameters": [{"key": "a"}]}, MALFORMED + "parameters malformed!"),
        ({"version": "x"}, MALFORMED + "semantic version malformed"),
        ({"publish": "x"}, MALFORMED + 'Expected JsBoolean, but got "x"'),
        ({"delAnnotations": "b"}, MALFORMED + 'Expected Array as JsArray, but got "b"'),
        ({"exec": 5}, MALFORMED + "JSON object expected"),
        (
            {"exec": {"kind": "python:3.11", "code": 5}},
            MALFORMED + "Could not deserialize as attachment record: 5",
        ),
    ],
)
def test_actions_that_may_not_be(caller: Any, part: dict[str, Any], why: str) -> None:
    answer = caller.api("PUT", "actions/no", {"exec": {"kind": "python:3.11", "code": ADD}, **part})
    assert (answer.status, answer.error) == (400, why)


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("a", "a"),
        ("host:5000/a/b:t-1.2_x", "host:5000/a/b:t-1.2_x"),
        ("localhost/a", "localhost/a"),
        ("a/b/c/d:latest", "a/b/c/d:latest"),
        ("a:t@sha256:" + "a" * 64, "a:t"),
        *(
            (image, None)
            for image in (
                "",
                "A",
                "a b",
                "a//b",
                "a:",
                ":a",
                "a__b",
                "-a",
                "a-",
                "a..b",
                "UP.x/a",
                "a:" + "t" * 130,
            )
        ),
    ],
)
def test_names_of_images(caller: Any, image: str, shown: str | None) -> None:
    content = {"exec": {"kind": "blackbox", "image": image, "code": ADD}}
    answer = caller.api("PUT", "actions/image?overwrite=true", content)
    if shown is None:
        assert (answer.status, answer.error) == (400, MALFORMED + "could not parse image name")
    else:
        assert (answer.status, answer.body["exec"]["image"]) == (200, shown)


def test_a_short_version_is_completed(caller: Any) -> None:
    caller.put("short", ADD)
    assert (
        caller.api("PUT", "actions/short?overwrite=true", {"version": "2.0"}).body["version"]
        == "2.0.0"
    )


def test_the_order_of_annotations_and_of_members(caller: Any) -> None:
    few = caller.put("few", ADD, annotations=kv(b=1, exec=2)).get("annotations")
    assert [entry["key"] for entry in few] == ["b", "exec", "provide-api-key"]
    many = caller.put("many", ADD, annotations=kv(k="v", obj={"a": 1}, num=3, desc="d", list=[1]))[
        "annotations"
    ]
    assert [entry["key"] for entry in many] == [
        "desc",
        "obj",
        "num",
        "provide-api-key",
        "exec",
        "k",
        "list",
    ]
    activation = caller.run("many")
    assert [entry["key"] for entry in activation.body["annotations"]][:5] == [
        "path",
        "waitTime",
        "kind",
        "timeout",
        "limits",
    ]
    assert activation.content.startswith(b'{"activationId":')
    caller.put("give", GIVE)
    given = {"z": 1, "A": {"d": 1, "c": "\u017eluť \U0001f600"}}
    answer = caller.api("POST", "actions/give?blocking=true&result=true", {"give": given})
    assert answer.content == '{"A":{"c":"\u017eluť \U0001f600","d":1},"z":1}'.encode()
    assert caller.run("give", {"give": {"x": "\U0001f600"}}).body["response"]["size"] == len(
        '{"x": "xx"}\n'
    )


def test_a_triggers_log_and_the_order_of_its_rules(caller: Any) -> None:
    caller.put("add", ADD)
    caller.api("PUT", "triggers/t", {})
    for number in range(3):
        caller.api("PUT", f"rules/u{number}", {"trigger": "/_/t", "action": "/_/add"})
    caller.api("POST", "rules/u0", {"status": "inactive"})
    logs = caller.record(caller.api("POST", "triggers/t", {}).body["activationId"])["logs"]
    assert [json.loads(line)["rule"] for line in logs] == ["guest/u1", "guest/u2", "guest/u0"]
    assert list(json.loads(logs[0])) == ["statusCode", "success", "activationId", "rule", "action"]
    assert list(json.loads(logs[2])) == ["statusCode", "success", "rule", "error", "action"]
    caller.api("PUT", "triggers/fired", {})
    for number in range(6):
        caller.api("PUT", f"rules/cmp_u{number}", {"trigger": "/_/fired", "action": "/_/add"})
    logs = caller.record(caller.api("POST", "triggers/fired", {}).body["activationId"])["logs"]
    assert [json.loads(line)["rule"] for line in logs] == [
        f"guest/cmp_u{number}" for number in (4, 0, 3, 2, 5, 1)
    ]


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("/a/b/c/d", True),
        ("a//b", True),
        ("x", True),
        (None, False),
        ("", False),
        ("a$/b", False),
        (5, False),
    ],
)
def test_names_of_feeds(caller: Any, value: Any, valid: bool) -> None:
    answer = caller.api("PUT", "triggers/fed", {"annotations": kv(feed=value)})
    assert answer.status == (200 if valid else 400)
    assert valid or answer.error == "Feed name is not valid"
    caller.api("DELETE", "triggers/fed")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "key not found: status"),
        ({"status": 5}, "5 (of class spray.json.JsNumber)"),
        ({"status": ["active"]}, '["active"] (of class spray.json.JsArray)'),
        ({"status": True}, "true (of class spray.json.JsTrue$)"),
        ({"status": None}, "null (of class spray.json.JsNull$)"),
        ({"status": "INACTIVE"}, "requirement failed: INACTIVE is not a recognized rule state"),
    ],
)
def test_states_that_a_rule_cannot_have(caller: Any, content: Any, why: str) -> None:
    assert caller.api("POST", "rules/r", content).error == MALFORMED + why


@pytest.mark.parametrize("collection", ["actions", "packages", "triggers", "rules"])
def test_entities_that_are_no_objects(caller: Any, collection: str) -> None:
    assert (
        caller.api("PUT", f"{collection}/x", [1]).error
        == MALFORMED + "Object expected in field 'exec'"
    )
