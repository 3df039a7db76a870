"""What the recorded conversation does not ask: packages, bindings, rules, records, conductors."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from actions_and_answers import kv

ECHO = "def main(args):\n    return {k: v for k, v in args.items() if k != '__ow_headers'}\n"
ADD = "def main(args):\n    return {'n': args['n'] + 1}\n"
FAIL = "def main(args):\n    return {'error': 'on purpose'}\n"


@pytest.fixture(autouse=True)
def empty(caller: Any) -> None:
    """Every test begins with no entities."""
    for collection in ("rules", "triggers", "actions", "packages"):
        for entity in caller.api("GET", f"{collection}?limit=0").body:
            package = entity["namespace"].partition("/")[2]
            name = f"{package}/{entity['name']}" if package else entity["name"]
            assert caller.api("DELETE", f"{collection}/{quote(name)}").status == 200


def shown(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in parameters}


def test_parameters_are_merged_on_the_way_through_a_binding(caller: Any) -> None:
    caller.api(
        "PUT",
        "packages/tools",
        {"parameters": kv(a="package", b="package", c="package", d="package")},
    )
    caller.api(
        "PUT",
        "packages/bound",
        {
            "binding": {"namespace": "guest", "name": "tools"},
            "parameters": kv(b="binding", c="binding", d="binding"),
        },
    )
    caller.put("tools/echo", ECHO, parameters=kv(c="action", d="action"))
    expected = {"a": "package", "b": "binding", "c": "action", "d": "call"}
    assert caller.result("bound/echo", {"d": "call"}) == expected
    assert shown(caller.api("GET", "actions/bound/echo").body["parameters"]) == {
        **expected,
        "d": "action",
    }
    assert shown(caller.api("GET", "packages/bound").body["parameters"]) == {
        "a": "package",
        "b": "binding",
        "c": "binding",
        "d": "binding",
    }


def test_what_may_not_be_done_with_bindings(caller: Any) -> None:
    caller.api("PUT", "packages/tools", {})
    binding = {"binding": {"namespace": "_", "name": "tools"}}
    assert caller.api("PUT", "packages/bound", binding).status == 200
    into = caller.api("PUT", "actions/bound/a", {"exec": {"kind": "python:3", "code": ECHO}})
    assert (into.status, into.error) == (400, "Operation not permitted on package binding.")
    twice = caller.api("PUT", "packages/b2", {"binding": {"namespace": "_", "name": "bound"}})
    assert (twice.status, twice.error) == (400, "Cannot bind to another package binding.")
    turned = caller.api("PUT", "packages/tools?overwrite=true", binding)
    assert (turned.status, turned.error) == (
        409,
        "Resource is a package and cannot be converted into a binding.",
    )
    assert caller.api("PUT", "packages/default", {}).error == "Package name 'default' is reserved."
    assert caller.api("GET", "packages").body[0]["binding"] == {
        "name": "tools",
        "namespace": "guest",
    }


def test_a_package_shows_feeds_apart_and_can_be_deleted_with_all_in_it(caller: Any) -> None:
    caller.api("PUT", "packages/p", {})
    caller.put("p/plain", ECHO)
    caller.put("p/source", ECHO, annotations=kv(feed=True))
    package = caller.api("GET", "packages/p").body
    assert [row["name"] for row in package["actions"]] == ["plain"]
    assert [row["name"] for row in package["feeds"]] == ["source"]
    full = caller.api("DELETE", "packages/p")
    assert (full.status, full.error) == (
        409,
        "Package not empty (contains 2 entities). Set force param or delete package contents.",
    )
    assert caller.api("DELETE", "packages/p?force=true").status == 200
    assert caller.api("GET", "actions").body == []


def test_names_are_shared_between_collections(caller: Any) -> None:
    caller.put("thing", ECHO)
    answer = caller.api("PUT", "triggers/thing", {})
    assert (answer.status, answer.error) == (
        409,
        "Resource by this name exists but is not in this collection.",
    )
    assert caller.api("GET", "packages/thing").status == 409


def test_lists_are_newest_first_and_paged(caller: Any) -> None:
    for name in ("a", "b c", "d"):
        caller.put(quote(name), ECHO)
    caller.put("a", ECHO)
    assert [row["name"] for row in caller.api("GET", "actions").body] == ["a", "d", "b c"]
    assert [row["name"] for row in caller.api("GET", "actions?skip=1&limit=1").body] == ["d"]
    assert caller.api("GET", "actions?count=true&skip=1").body == {"actions": 2}


def test_a_feeds_trigger_keeps_its_annotation(caller: Any) -> None:
    trigger = caller.api("PUT", "triggers/t", {"annotations": kv(feed="/guest/p/source")}).body
    assert trigger["annotations"] == kv(feed="/guest/p/source")
    assert (
        caller.api("PUT", "triggers/u", {"annotations": kv(feed="a/b$")}).error
        == "Feed name is not valid"
    )
    assert caller.api("PUT", "triggers/u", {"annotations": kv(feed=1)}).status == 400


def test_a_fired_trigger_starts_the_actions_of_its_active_rules(caller: Any) -> None:
    caller.api("PUT", "packages/p", {"parameters": kv(p=1)})
    caller.put("p/echo", ECHO)
    caller.put("other", ECHO)
    caller.api("PUT", "triggers/t", {"parameters": kv(a=1, b=1)})
    for rule, action in (("r1", "/_/p/echo"), ("r2", "/_/other"), ("r3", "/_/other")):
        assert (
            caller.api("PUT", f"rules/{rule}", {"trigger": "/_/t", "action": action}).body["status"]
            == "active"
        )
    caller.api("POST", "rules/r3", {"status": "inactive"})
    fired = caller.api("POST", "triggers/t", {"b": 2})
    record = caller.record(fired.body["activationId"])
    lines = {line["rule"]: line for line in map(json.loads, record["logs"])}
    assert record["response"]["result"] == {"b": 2}
    assert "end" not in record
    assert (
        lines["guest/r3"]["error"]
        == "Rule 'guest/r3' is inactive, action 'guest/other' was not activated."
    )
    started = caller.record(lines["guest/r1"]["activationId"])
    assert started["response"]["result"] == {"a": 1, "b": 2, "p": 1}
    assert "cause" not in started
    assert caller.record(lines["guest/r2"]["activationId"])["response"]["result"] == {
        "a": 1,
        "b": 2,
    }


def test_a_rule_sleeps_when_its_trigger_is_made_anew(caller: Any) -> None:
    caller.put("a", ECHO)
    caller.api("PUT", "triggers/t", {})
    caller.api("PUT", "rules/r", {"trigger": "/_/t", "action": "/_/a"})
    caller.api("DELETE", "triggers/t")
    gone = caller.api("POST", "rules/r", {"status": "active"})
    assert (gone.status, gone.error) == (404, "Only rules with existing triggers can be activated")
    caller.api("PUT", "triggers/t", {})
    assert caller.api("GET", "rules/r").body["status"] == "inactive"
    assert caller.api("POST", "triggers/t", {}).status == 204
    rule = {"trigger": "/_/t", "action": "/_/a"}
    assert caller.api("PUT", "rules/r?overwrite=true", rule).body["status"] == "inactive"
    assert caller.api("POST", "rules/r", {"status": "active"}).content == b"OK"
    assert caller.api("POST", "triggers/t", {}).status == 202


def test_a_rule_moves_to_another_trigger(caller: Any) -> None:
    caller.put("a", ECHO)
    for trigger in ("t1", "t2"):
        caller.api("PUT", f"triggers/{trigger}", {})
    caller.api("PUT", "rules/r", {"trigger": "/_/t1", "action": "/_/a"})
    moved = caller.api("PUT", "rules/r?overwrite=true", {"trigger": "/_/t2"}).body
    assert (moved["version"], moved["trigger"], moved["status"]) == (
        "0.0.2",
        {"name": "t2", "path": "guest"},
        "active",
    )
    assert caller.api("POST", "triggers/t1", {}).status == 204
    assert caller.api("POST", "triggers/t2", {}).status == 202
    assert (
        caller.api("PUT", "rules/s", {"trigger": "/_/t1"}).error
        == "rule requires a valid trigger and a valid action"
    )


def test_a_sequence_and_its_components_know_each_other(caller: Any, annotated: Any) -> None:
    caller.put("add", ADD, limits={"memory": 128})
    caller.sequence("inner", "/_/add", "/_/add")
    caller.sequence("outer", "/_/inner", "/_/add")
    answer = caller.run("outer", {"n": 0})
    record = answer.body
    assert record["response"]["result"] == {"n": 3}
    assert (annotated(record, "topmost"), annotated(record, "kind")) == (True, "sequence")
    assert annotated(record, "limits")["memory"] == 128
    inner, last = (caller.record(i) for i in record["logs"])
    assert (inner["name"], inner["cause"], annotated(inner, "topmost")) == (
        "inner",
        record["activationId"],
        False,
    )
    assert annotated(inner, "causedBy") == "sequence"
    components = [caller.record(i) for i in inner["logs"]]
    assert [c["cause"] for c in components] == [inner["activationId"]] * 2
    assert annotated(components[0], "causedBy") == "sequence"
    assert annotated(components[1], "causedBy") == "sequence"
    assert record["duration"] == sum(r["duration"] for r in [*components, last])


def test_a_sequence_ends_at_an_error_and_at_a_missing_component(caller: Any) -> None:
    caller.put("add", ADD)
    caller.put("fail", FAIL)
    caller.sequence("s", "/_/add", "/_/fail", "/_/add")
    answer = caller.run("s", {"n": 0})
    assert answer.body["response"]["result"] == {"error": "on purpose"}
    assert len(answer.body["logs"]) == 2
    caller.api("DELETE", "actions/fail")
    answer = caller.run("s", {"n": 0})
    assert answer.body["response"]["result"] == {"error": "Sequence component does not exist."}
    assert len(answer.body["logs"]) == 1


def test_sequences_have_a_greatest_length_and_no_circles(caller: Any) -> None:
    caller.put("add", ADD)
    caller.sequence("fifty", *["/_/add"] * 50)
    assert caller.result("fifty", {"n": 0}) == {"n": 50}
    for components in (["/_/add"] * 51, ["/_/fifty", "/_/add"]):
        answer = caller.api(
            "PUT", "actions/long", {"exec": {"kind": "sequence", "components": components}}
        )
        assert (answer.status, answer.error) == (400, "Too many actions in the sequence.")
    caller.sequence("s1", "/_/add")
    caller.sequence("s2", "/_/s1")
    answer = caller.api(
        "PUT", "actions/s1?overwrite=true", {"exec": {"kind": "sequence", "components": ["/_/s2"]}}
    )
    assert (answer.status, answer.error) == (400, "Sequence may not refer to itself.")


CONDUCTOR = """def main(args):
    if "error" in args:
        return {"params": {"caught": args["error"]}}
    step = args.get("step", 0)
    plan = args["plan"]
    if step < len(plan):
        return {"action": plan[step], "params": {"n": args["n"]}, "state": {"step": step + 1, "plan": plan}}
    return {"params": {"n": args["n"]}}
"""


def test_a_conductor_names_what_comes_next(caller: Any, annotated: Any) -> None:
    caller.put("add", ADD)
    caller.put("fail", FAIL)
    caller.sequence("twice", "/_/add", "/_/add")
    caller.put("conductor", CONDUCTOR, annotations=kv(conductor=True))
    answer = caller.run("conductor", {"n": 0, "plan": ["add", "/guest/add", "/_/twice"]})
    record = answer.body
    assert record["response"]["result"] == {"n": 4}
    assert len(record["logs"]) == 7
    assert (annotated(record, "conductor"), annotated(record, "topmost")) == (True, True)
    assert {caller.record(i)["cause"] for i in record["logs"]} == {record["activationId"]}
    caught = {"caught": "on purpose"}
    assert caller.result("conductor", {"n": 0, "plan": ["fail", "add"]}) == caught
    missing = caller.result("conductor", {"n": 0, "plan": ["nothing"]})
    assert missing == {
        "caught": "Failed to resolve action with name 'guest/nothing' during composition."
    }
    endless = caller.run("conductor", {"n": 0, "plan": ["add"] * 60})
    assert endless.body["response"]["result"] == {"caught": "Too many actions in the composition."}


def test_final_parameters_cannot_be_given(caller: Any) -> None:
    caller.put("final", ECHO, parameters=kv(a=1, open=None), annotations=kv(final=True))
    assert caller.result("final", {"open": 2, "b": 3}) == {"a": 1, "open": 2, "b": 3}
    answer = caller.run("final", {"a": 2})
    assert (answer.status, answer.error) == (
        400,
        "Request defines parameters that are not allowed (e.g., reserved properties).",
    )


def test_activation_lists(caller: Any) -> None:
    caller.api("PUT", "packages/p", {})
    caller.put("listed", ECHO)
    caller.put("p/listed", ECHO)
    caller.api("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    before = int(time.time() * 1000)
    ids = []
    for name in ("listed", "p/listed", "b/listed", "listed"):
        ids.append(caller.run(name).body["activationId"])
        time.sleep(0.005)

    def found(query: str) -> list[str]:
        return [
            row["activationId"]
            for row in caller.api("GET", f"activations?since={before}&{query}").body
        ]

    assert found("") == ids[::-1]
    assert found("name=listed") == [ids[3], ids[0]]
    assert found("name=p/listed") == [ids[1]]
    assert found("name=b/listed") == [ids[2]]
    assert found("skip=1&limit=2") == [ids[2], ids[1]]
    start = caller.record(ids[1])["start"]
    assert found(f"upto={start}") == [ids[1], ids[0]]
    assert caller.api("GET", f"activations?since={start}&count=true").body == {"activations": 3}
    both = caller.api("GET", "activations?count=true&docs=true")
    assert (both.status, both.error) == (400, "The parameter 'docs' is not permitted with 'count'.")
    row = caller.api("GET", "activations?limit=1").body[0]
    assert row["statusCode"] == 0
    assert "response" not in row
    full = caller.api("GET", "activations?limit=1&docs=true").body[0]
    assert full["response"]["success"] is True
    assert "statusCode" not in full


def test_kinds(caller: Any) -> None:
    for kind in ("python:3", "python:3.10", "python:3.12", "PYTHON:3.11"):
        caller.put("kind", ECHO, exec={"kind": kind})
        assert caller.api("GET", "actions/kind").body["exec"]["kind"] == kind.lower()
        assert caller.result("kind", {"a": 1}) == {"a": 1}
    answer = caller.api("PUT", "actions/other", {"exec": {"kind": "nodejs:20", "code": ECHO}})
    why = "The specified runtime 'nodejs:20' is not supported by this platform. "
    why += "Valid values are: 'python:3.11', 'sequence', 'blackbox'."
    assert (answer.status, answer.error) == (400, f"The request content was malformed:\n{why}")


def test_init_parameters_are_the_processs_environment(caller: Any) -> None:
    code = "import os\nseen = os.environ['CONFIG']\ndef main(args):\n    return {'seen': seen, 'args': args}\n"
    caller.put("init", code, parameters=[{"key": "CONFIG", "value": {"a": [1]}, "init": True}])
    assert caller.result("init") == {"seen": '{"a":[1]}', "args": {}}


def test_a_request_id_is_kept_and_a_fault_is_answered(caller: Any) -> None:
    answer = caller.send(
        "GET", "/api/v1/namespaces/_/actions/none", headers={"X-Request-ID": "my-own_id"}
    )
    assert answer.headers["x-request-id"] == "my-own_id"
    assert answer.body == {"error": "The requested resource does not exist.", "code": "my-own_id"}
    strict = caller.send("POST", "/api/v1/namespaces/_/triggers/t", b'{"x": NaN}')
    assert strict.status == 400
    assert strict.error.startswith("The request content was malformed:")


def test_another_namespace_is_closed_but_may_be_listed_for_packages(caller: Any) -> None:
    assert caller.send("GET", "/api/v1/namespaces/whisk.system/packages").body == []
    assert caller.send("GET", "/api/v1/namespaces/whisk.system/packages/utils").status == 403
    assert caller.send("POST", "/api/v1/namespaces/whisk.system/actions/x", {}).status == 403


def test_half_of_a_surrogate_pair_is_a_question_mark_and_ends_no_process(caller: Any) -> None:
    caller.put("echo", ECHO)
    path = "/api/v1/namespaces/_/actions/echo?blocking=true&result=true"
    for body, expected in (
        (rb'{"a": "\ud83d"}', {"a": "?"}),
        (rb'{"\udc00k": ["x\ud83dy", {"b": "\uDFFF"}]}', {"?k": ["x?y", {"b": "?"}]}),
        (rb'{"a": "\ud83d\ude00 \\ud83d"}', {"a": "\U0001f600 \\ud83d"}),
    ):
        answer = caller.send("POST", path, body)
        assert (answer.status, answer.body) == (200, expected)


def test_bytes_that_are_no_utf_8_are_replaced_and_long_texts_of_digits_are_no_numbers(
    caller: Any,
) -> None:
    caller.put("echo", ECHO)
    path = "/api/v1/namespaces/_/actions/echo?blocking=true&result=true"
    digits = "1" * 200
    for body, expected in (
        (b'{"a": "x\xffy"}', {"a": "x\ufffdy"}),
        (
            f'{{"{digits}": "1e999 {digits}", "n": {"7" * 100}}}'.encode(),
            {digits: f"1e999 {digits}", "n": int("7" * 100)},
        ),
        (b'{"a": 1e300, "b": 1E-400}', {"a": 1e300, "b": 0.0}),
        (rb'{"a": "\uffff"}', {"a": "\uffff"}),
    ):
        answer = caller.send("POST", path, body)
        assert (answer.status, answer.body) == (200, expected)


def test_a_flag_without_a_value_counts_as_absent_and_the_first_one_counts(caller: Any) -> None:
    caller.put("echo", ECHO)
    for query, status in (
        ("blocking=", 202),
        ("blocking=true&blocking=false", 200),
        ("blocking=false&blocking=true", 202),
        ("blocking=&blocking=true", 202),
        ("blocking=true&result=", 200),
        ("blocking=perhaps", 400),
    ):
        assert caller.api("POST", f"actions/echo?{query}", {}).status == status, query
    assert isinstance(caller.api("GET", "actions?count=").body, list)
    assert caller.api("GET", "actions?count=true&count=false").body == {"actions": 1}
    assert caller.api("GET", "actions?limit=1&limit=x").status == 200
    assert "code" in caller.api("GET", "actions/echo?code=").body["exec"]


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        b"{\xff}",
        '{"a": "\uffff"}'.encode(),
        b'{"a": ' + b"1" * 101 + b"}",
        b'{"a": 0.' + b"1" * 99 + b"}",
        b'{"a": [1e400]}',
        b'{"a": "\t"}',
        b'{"a": 01}',
    ],
)
def test_a_body_that_the_platform_declines_is_declined(caller: Any, body: bytes) -> None:
    caller.put("echo", ECHO)
    answer = caller.send("POST", "/api/v1/namespaces/_/actions/echo?blocking=true", body)
    assert answer.status == 400
    assert answer.error.startswith("The request content was malformed:")
