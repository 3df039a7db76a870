"""What keeps the follower's fire from starting an aggregate."""

from __future__ import annotations

from typing import Any, cast

import pytest

from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.wiring import START_FOLLOWER, fault

TRIGGER = "/guest/rounds"


class Answers:
    """A client with one trigger, and its activations."""

    def __init__(self, rules: dict[str, str] | None = None, fires: int = 0) -> None:
        self.record = (
            None if rules is None else {"rules": {k: {"status": v} for k, v in rules.items()}}
        )
        self.fires, self.asked = fires, []

    def trigger(self, name: str) -> Any:
        assert name == TRIGGER
        return self.record

    def activations(self, **query: Any) -> list[Any]:
        self.asked.append(query)
        return [object()] * self.fires


@pytest.mark.parametrize(
    ("triggers", "answers", "code", "said", "hint"),
    [
        ({}, Answers(), "no_trigger", "no trigger is registered", "whisktrain deploy"),
        ({TRIGGER: False}, Answers(), "no_trigger", "/guest/rounds is paused", "whisktrain deploy"),
        (
            {TRIGGER: True},
            Answers(),
            "no_trigger",
            "the trigger rounds is missing",
            "whisktrain deploy",
        ),
        (
            {TRIGGER: True},
            Answers({}),
            "no_rule",
            "no rule leads from the trigger rounds",
            "deploy",
        ),
        (
            {TRIGGER: True},
            Answers({"guest/rounds-rule": "inactive"}),
            "rule_inactive",
            "the rule rounds-rule is inactive",
            "wsk rule enable rounds-rule",
        ),
        (
            {TRIGGER: True},
            Answers({"guest/rounds-rule": "active"}),
            "no_follower",
            "the follower has not fired the trigger rounds",
            START_FOLLOWER,
        ),
    ],
)
def test_each_fault_is_named_with_its_hint(
    triggers: dict[str, bool], answers: Answers, code: str, said: str, hint: str
) -> None:
    found = fault(cast(Client, answers), triggers, 1000.0)
    assert found is not None and found.code == code and found.retryable
    assert found.message.startswith("No aggregate came: ") and said in found.message
    assert hint in found.hint


def test_a_fire_that_a_rule_listened_to_is_no_fault() -> None:
    answers = Answers({"guest/rounds-rule": "active", "guest/old": "inactive"}, fires=1)
    assert fault(cast(Client, answers), {TRIGGER: True}, 1000.5) is None
    assert answers.asked == [{"name": "rounds", "since": 1000500, "limit": 1}]
