"""The host answers 229 recorded requests exactly as a real OpenWhisk 2.0.0 did."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openwhisk_local import Host

CONVERSATION = json.loads(Path(__file__).with_name("openwhisk-2.0.0.json").read_text())
COMPARED_HEADERS = (
    "location",
    "x-custom",
    "allow",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "www-authenticate",
)
ID = re.compile(r"\b[0-9a-f]{32}\b")
BAD_KEY = "00000000-0000-0000-0000-000000000000:" + "x" * 64


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


OPENER = urllib.request.build_opener(_NoRedirects)


def expand(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"repeat", "times"}:
            return value["repeat"] * value["times"]
        return {key: expand(item) for key, item in value.items()}
    return [expand(item) for item in value] if isinstance(value, list) else value


class Conversation:
    """Sends the steps in order and makes their answers comparable."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.activations: dict[str, str] = {}
        self.placeholders: dict[str, str] = {}

    def hold(self) -> dict[str, dict[str, Any]]:
        return {step["name"]: self.step(step) for step in CONVERSATION}

    def step(self, step: dict[str, Any]) -> dict[str, Any]:
        time.sleep(step.get("pause", 0))
        until = time.monotonic() + step.get("wait", 0)
        while True:
            status, headers, content = self.send(step["request"])
            if status != 404 or time.monotonic() >= until:
                break
            time.sleep(0.05)
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = {"<text>": content.decode(errors="replace")}
        if isinstance(body, dict) and isinstance(body.get("activationId"), str):
            self.activations[step["name"]] = body["activationId"]
        body = self.scrub(body)
        for path in step.get("ignore", []):
            body = blank(body, path.split("."))
        return {
            "status": status,
            "type": headers.get("content-type"),
            "headers": {
                name: ID.sub("<id>", headers[name]) for name in COMPARED_HEADERS if name in headers
            },
            "activation header": "x-openwhisk-activation-id" in headers,
            "request id": "x-request-id" in headers,
            "body": body,
        }

    def send(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        path = request["path"].replace("{ns}", self.host.namespace)
        path = re.sub(r"\{id:([^}]+)\}", lambda found: self.activations[found[1]], path)
        headers = dict(request.get("headers", {}))
        data = request["raw"].encode() if "raw" in request else None
        if "body" in request:
            data = json.dumps(expand(request["body"])).encode()
        if data is not None:
            headers["Content-Type"] = request.get("type", "application/json")
        if request.get("auth") != "none":
            key = BAD_KEY if request.get("auth") == "bad" else self.host.auth
            headers["Authorization"] = "Basic " + base64.b64encode(key.encode()).decode()
        asked = urllib.request.Request(
            self.host.apihost + path, data=data, method=request["method"], headers=headers
        )
        try:
            with OPENER.open(asked, timeout=60) as answer:
                return (
                    answer.status,
                    {k.lower(): v for k, v in answer.headers.items()},
                    answer.read(),
                )
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, {k.lower(): v for k, v in answer.headers.items()}, answer.read()

    def scrub(self, value: Any, key: str = "") -> Any:
        """Replace what differs from one run or platform to the next."""
        if isinstance(value, dict):
            return {
                self.own(k): "<transaction>" if self.is_code(k, value) else self.scrub(v, k)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return self.scrub_list(value, key)
        if isinstance(value, str):
            value = ID.sub(
                lambda m: self.placeholders.setdefault(m[0], f"<id {len(self.placeholders) + 1}>"),
                value,
            )
            value = re.sub(rf"(^|/){self.host.namespace}(?=/|$)", r"\1<ns>", value)
            return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z\s*", "<time> ", value)
        if key in ("start", "end", "updated") and isinstance(value, int) and value > 10**12:
            return "<clock>"
        return "<ms>" if key == "duration" and isinstance(value, int) else value

    def scrub_list(self, value: list[Any], key: str) -> list[Any]:
        out = [self.scrub(item, key) for item in value]
        if value and all(
            isinstance(item, dict) and {"key", "value"} <= set(item) for item in value
        ):
            return sorted(
                (v for v in out if v["key"] not in ("initTime", "waitTime")), key=lambda v: v["key"]
            )
        return sorted(out) if key == "logs" and all(isinstance(item, str) for item in out) else out

    def own(self, key: str) -> str:
        return re.sub(rf"^{self.host.namespace}/", "<ns>/", key)

    @staticmethod
    def is_code(key: str, value: dict[str, Any]) -> bool:
        return key == "code" and isinstance(value[key], str) and "error" in value


def blank(value: Any, path: list[str]) -> Any:
    """Blank the values at a path; `*` is every key or element, `*NAME` the annotation of that name."""
    head, *rest = path
    if isinstance(value, list) and head not in ("", "*") and head.startswith("*"):
        return [
            {**item, "value": "<ignored>"} if item.get("key") == head[1:] else item
            for item in value
        ]
    if head == "*" and isinstance(value, list):
        return [blank(item, rest) if rest else "<ignored>" for item in value]
    if head == "*" and isinstance(value, dict):
        return {key: blank(item, rest) if rest else "<ignored>" for key, item in value.items()}
    if isinstance(value, dict) and head in value:
        return {**value, head: blank(value[head], rest) if rest else "<ignored>"}
    return value


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    with Host(tmp_path_factory.mktemp("fidelity")) as host:
        yield Conversation(host).hold()


def test_the_recording_is_complete() -> None:
    assert len(CONVERSATION) == 229
    assert len({step["name"] for step in CONVERSATION}) == 229


@pytest.mark.parametrize("step", CONVERSATION, ids=lambda step: step["name"].replace(" ", "-"))
def test_the_answer_is_the_recorded_one(
    step: dict[str, Any], answers: dict[str, dict[str, Any]]
) -> None:
    answered, recorded = answers[step["name"]], expand(step["answer"])
    assert answered == recorded
    assert json.dumps(answered, sort_keys=True) == json.dumps(
        recorded, sort_keys=True
    )  # 1, 1.0 and true are not the same
