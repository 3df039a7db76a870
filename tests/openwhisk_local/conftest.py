"""A real host on a free port, and a caller of its REST API that knows nothing of our own client."""

from __future__ import annotations

import http.client
import json
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from openwhisk_local import Host, Limits

sys.path.insert(0, str(Path(__file__).parent))

BASE = "/api/v1/namespaces/_"


class Answer:
    def __init__(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        return str(self.body["error"])

    def __repr__(self) -> str:
        return f"{self.status} {self.content[:300]!r}"


class Caller:
    """Calls the API of one host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.place = urlsplit(host.apihost)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        auth: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(
            self.place.hostname or "", self.place.port or 0, timeout=60
        )
        try:
            sent = {"content-type": "application/json"} | {
                k.lower(): v for k, v in (headers or {}).items()
            }
            if auth:
                sent["Authorization"] = "Basic " + b64encode(self.host.auth.encode()).decode()
            data = (
                body
                if isinstance(body, bytes)
                else None
                if body is None
                else json.dumps(body).encode()
            )
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None) -> Answer:
        return self.send(method, f"{BASE}/{path}", body)

    def put(self, name: str, code: str, **more: Any) -> dict[str, Any]:
        execution = {"kind": "python:3.11", "code": code, **more.pop("exec", {})}
        answer = self.api("PUT", f"actions/{name}?overwrite=true", {"exec": execution, **more})
        assert answer.status == 200, answer
        return dict(answer.body)

    def sequence(self, name: str, *components: str, **more: Any) -> None:
        body = {"exec": {"kind": "sequence", "components": list(components)}, **more}
        answer = self.api("PUT", f"actions/{name}?overwrite=true", body)
        assert answer.status == 200, answer

    def run(self, name: str, payload: Any = None) -> Answer:
        """Invoke and wait; the answer is the activation."""
        return self.api("POST", f"actions/{name}?blocking=true", payload or {})

    def result(self, name: str, payload: Any = None) -> Any:
        answer = self.api("POST", f"actions/{name}?blocking=true&result=true", payload or {})
        assert answer.status == 200, answer
        return answer.body

    def start(self, name: str, payload: Any = None) -> str:
        """Invoke without waiting; the answer is the activation id."""
        answer = self.api("POST", f"actions/{name}", payload or {})
        assert answer.status == 202, answer
        return str(answer.body["activationId"])

    def record(self, activation_id: str, seconds: float = 20) -> dict[str, Any]:
        """The record of an activation once there is one."""
        until = time.monotonic() + seconds
        while True:
            answer = self.api("GET", f"activations/{activation_id}")
            if answer.status == 200:
                return dict(answer.body)
            assert answer.status == 404 and time.monotonic() < until, answer
            time.sleep(0.02)


@pytest.fixture(scope="module")
def limits() -> Limits:
    """The limits of the module's host; a module may have its own."""
    return Limits()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, limits: Limits) -> Iterator[Host]:
    with Host(
        tmp_path_factory.mktemp("host"), limits=limits, environment={"MY_COLOUR": "red"}
    ) as started:
        yield started


@pytest.fixture(scope="module")
def caller(host: Host) -> Caller:
    return Caller(host)


@pytest.fixture(scope="module")
def calling() -> type[Caller]:
    """For tests that start hosts of their own."""
    return Caller


def annotation(record: dict[str, Any], key: str) -> Any:
    return next((a["value"] for a in record["annotations"] if a["key"] == key), None)


@pytest.fixture(scope="session")
def annotated() -> Any:
    """Reads an annotation of a record."""
    return annotation
