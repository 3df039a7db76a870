"""What may be bound and stored: conductors' answers, init parameters, sizes."""

from __future__ import annotations

from typing import Any

import pytest
from actions_and_answers import ADD, kv

CONDUCTOR = (
    "def main(args):\n"
    "    if args.get('step'):\n        return {'params': {'last': args.get('error')}}\n"
    "    return {'action': args['named'], 'state': {'step': 1}}\n"
)
BOUND = (
    "import os\n"
    "def main(args):\n"
    "    return {'args': {k: v for k, v in args.items() if k != '__ow_headers'},"
    " 'env': {k: os.environ.get(k) for k in ('s', 'o', 'nul', 'n')}}\n"
)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("a/b/c/d", 'Failed to parse action name from json value "a/b/c/d" during composition.'),
        ("bad$", 'Failed to parse action name from json value "bad$" during composition.'),
        (5, "Failed to parse action name from json value 5 during composition."),
        ("nothing", "Failed to resolve action with name 'guest/nothing' during composition."),
        (
            "nothing/x",
            "Failed entitlement check for action with name 'guest/nothing/x' during composition.",
        ),
        ("/other/x", "Failed entitlement check for action with name 'other/x' during composition."),
    ],
)
def test_conductors_that_name_what_is_not_there(caller: Any, named: Any, why: str) -> None:
    caller.put("conductor", CONDUCTOR, annotations=kv(conductor=True))
    assert caller.result("conductor", {"named": named}) == {"last": why}


def test_what_is_bound_for_the_start_of_a_process(caller: Any) -> None:
    bound = {"s": "text", "o": {"b": [1, {"c": None}], "a": "ž"}, "nul": None, "n": 1.5}
    parameters = [{"key": key, "value": value, "init": True} for key, value in bound.items()]
    caller.put("bound", BOUND, parameters=[*parameters, {"key": "arg", "value": 2, "init": False}])
    environment = {"s": "text", "o": '{"a":"ž","b":[1,{"c":null}]}', "nul": "", "n": "1.5"}
    assert caller.result("bound", {"call": 1}) == {
        "args": {"arg": 2, "call": 1},
        "env": environment,
    }
    caller.put("bound", BOUND, parameters=[*parameters, {"key": "arg", "value": 2, "init": False}])
    assert caller.result("bound", {"s": "called"}) == {
        "args": {"arg": 2},
        "env": {**environment, "s": "called"},
    }


@pytest.mark.parametrize("collection", ["actions", "packages", "triggers", "rules"])
@pytest.mark.parametrize("part", ["parameters", "annotations"])
def test_what_is_too_large_to_be_stored(caller: Any, collection: str, part: str) -> None:
    caller.put("ended", ADD)
    caller.api("PUT", "triggers/begun", {})
    content: dict[str, Any] = {
        "actions": {"exec": {"kind": "python:3.11", "code": ADD}},
        "rules": {"trigger": "/_/begun", "action": "/_/ended"},
    }.get(collection, {})
    for size, status in ((1_048_573, 200), (1_048_574, 413), (3_145_728, 413)):
        answer = caller.api("PUT", f"{collection}/large", {**content, part: kv(p="y" * size)})
        if collection == "rules" and part == "parameters":
            assert answer.status in (200, 409)
        else:
            assert answer.status == status
            assert (
                status == 200
                or answer.error == f"{part} larger than allowed: {size + 3} > 1048576 bytes."
            )
    assert caller.api("DELETE", f"{collection}/large").status == 200
