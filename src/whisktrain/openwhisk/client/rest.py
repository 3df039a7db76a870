"""The OpenWhisk client: entities, invocations, trigger fires, activations."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

from whisktrain.errors import DeadlineExceeded, PlatformError
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.openwhisk.client.activation import Activation, activation_of, failure_of
from whisktrain.openwhisk.client.connection import ANSWER_TIMEOUT, ApiError, Connection, json_of
from whisktrain.openwhisk.client.polling import poll_times
from whisktrain.openwhisk.client.records import (
    ActionRecord,
    ActivationRecord,
    ApiVersion,
    NamespaceLimits,
    PackageRecord,
    PlatformInfo,
    RuleRecord,
    TriggerRecord,
)

__all__ = ["Client"]

_BLOCKING_S = 60.0
"""Seconds after which OpenWhisk answers a blocking invocation with 202."""
_PAGE = 200
"""The most entities that one list answers."""
"""Seconds between two looks for an activation's record: at first, and at most."""


class Client:
    """Calls to OpenWhisk's REST API. Safe to use from several threads.

    Args:
        apihost: HOST[:PORT] or an http(s) address; https where no scheme is given.
        auth: The key, `UUID:KEY`. Never part of an error or a repr.
        namespace: "_" is the key's own.
        insecure: Whether to accept a self-signed certificate.
        timeout: Seconds to wait for an invocation's end where a call names none.
        retry_timeout: Seconds for which a 429 is tried again, with full jitter, before `TooManyRequests` is raised.

    Example:
        >>> client = Client("http://localhost:3233", "UUID:KEY")  # doctest: +SKIP
        >>> client.result("whisktrain/pipeline", {"data": "digits"})  # doctest: +SKIP

    All calls may raise `PlatformUnreachable`, `TooManyRequests` and `ApiError` (a `PlatformError` with `status`).
    """

    def __init__(
        self,
        apihost: str,
        auth: str,
        *,
        namespace: str = "_",
        insecure: bool = False,
        timeout: float = 660.0,
        retry_timeout: float = 75.0,
    ) -> None:
        self._auth = auth
        self.connection = Connection(apihost, auth, insecure=insecure, retry_timeout=retry_timeout)
        self.namespace = namespace
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"Client({self.connection.address!r}, namespace={self.namespace!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.connection.close()

    @property
    def apihost(self) -> str:
        """The API host's address."""
        return self.connection.address

    @property
    def auth(self) -> str:
        """The key, which the feed protocol hands to feed actions."""
        return self._auth

    # What the platform says of itself

    def info(self) -> PlatformInfo:
        """`GET /`: description, limits of the platform, runtimes. Needs no key."""
        return cast(PlatformInfo, _object(self.connection.json("GET", "/")))

    def version(self) -> ApiVersion:
        """`GET /api/v1`: the API's version and the platform's build. Needs no key."""
        return cast(ApiVersion, _object(self.connection.json("GET", "/api/v1")))

    def namespaces(self) -> list[str]:
        """The namespaces that the key may use; the first one is its own."""
        return [str(name) for name in _list(self.connection.json("GET", "/api/v1/namespaces"))]

    def limits(self) -> NamespaceLimits:
        """The namespace's limits."""
        return cast(NamespaceLimits, _object(self.connection.json("GET", self._path("limits"))))

    # Entities: kind is "actions", "packages", "triggers" or "rules"

    def _path(self, kind: str, name: str = "") -> str:
        namespace, rest = self.namespace, name
        if name.startswith("/"):
            namespace, _, rest = name[1:].partition("/")
        base = f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}"
        return f"{base}/{quote(rest, safe='/')}" if rest else base

    def get(self, kind: str, name: str) -> JsonObject | None:
        """Read one entity (an action without its code); None where it does not exist.

        Args:
            kind: "actions", "packages", "triggers" or "rules".
            name: `name`, `package/name`, or with a namespace `/namespace/…`.
        """
        query = {"code": "false"} if kind == "actions" else None
        try:
            return _object(self.connection.json("GET", self._path(kind, name), query=query))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def action(self, name: str) -> ActionRecord | None:
        """Read an action or a sequence without its code; None where it does not exist."""
        return cast(ActionRecord | None, self.get("actions", name))

    def package(self, name: str) -> PackageRecord | None:
        """Read a package; None where it does not exist."""
        return cast(PackageRecord | None, self.get("packages", name))

    def trigger(self, name: str) -> TriggerRecord | None:
        """Read a trigger; None where it does not exist."""
        return cast(TriggerRecord | None, self.get("triggers", name))

    def rule(self, name: str) -> RuleRecord | None:
        """Read a rule; None where it does not exist."""
        return cast(RuleRecord | None, self.get("rules", name))

    def put(
        self, kind: str, name: str, body: Mapping[str, object], *, overwrite: bool = True
    ) -> JsonObject:
        """Create or replace one entity; returns it as stored."""
        query = {"overwrite": "true" if overwrite else "false"}
        return _object(
            self.connection.json("PUT", self._path(kind, name), query=query, body=dict(body))
        )

    def delete(self, kind: str, name: str) -> bool:
        """Delete one entity; returns whether it was there."""
        try:
            self.connection.json("DELETE", self._path(kind, name))
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def entities(self, kind: str, **query: str) -> list[JsonObject]:
        """All entities of a kind, without their contents."""
        found: list[JsonObject] = []
        while True:
            paging = {**query, "limit": str(_PAGE), "skip": str(len(found))}
            page = [
                _object(row)
                for row in _list(self.connection.json("GET", self._path(kind), query=paging))
            ]
            found += page
            if len(page) < _PAGE:
                return found

    def set_rule(self, name: str, *, active: bool) -> None:
        """Switch a rule on or off."""
        body = {"status": "active" if active else "inactive", "trigger": None, "action": None}
        path = self._path("rules", name)
        response = self.connection.send("POST", path, body=body)  # answered with a plain "OK"
        if response.status_code != 200:
            raise self.connection.refusal(response, "POST", path)

    # Invocations

    def start(
        self,
        action: str,
        arguments: Mapping[str, object] | None = None,
        *,
        retry_timeout: float | None = None,
    ) -> str:
        """Invoke an action without waiting; returns the activation's id.

        Args:
            action: `name`, `package/name`, or with a namespace `/namespace/…`.
            arguments: JSON arguments.
            retry_timeout: Seconds for which a 429 is tried again; the client's own by default.
        """
        answer = self.connection.json(
            "POST",
            self._path("actions", action),
            query={"blocking": "false", "result": "false"},
            body=dict(arguments or {}),
            retry_timeout=retry_timeout,
        )
        return str(_object(answer).get("activationId", ""))

    def invoke(
        self,
        action: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> Activation:
        """Invoke an action and wait for its end, also past the 60 s for which OpenWhisk waits.

        Args:
            action: As `start`.
            arguments: JSON arguments.
            timeout: Seconds to wait in all; the client's own by default.

        Returns:
            The record, also of a failed activation; its log lines are those that the platform has by now.

        Raises:
            DeadlineExceeded: It takes longer; the activation goes on.
        """
        budget = self.timeout if timeout is None else timeout
        until = time.monotonic() + budget
        path = self._path("actions", action)
        query = {"blocking": "true", "result": "false"}
        if budget < _BLOCKING_S:
            query["timeout"] = str(max(1, int(budget * 1000)))
        response = self.connection.send(
            "POST", path, query=query, body=dict(arguments or {}), timeout=ANSWER_TIMEOUT
        )
        body = json_of(response, self.apihost)
        if (
            isinstance(body, dict)
            and "activationId" in body
            and response.status_code in (200, 202, 500, 502)
        ):
            if "response" in body:
                return activation_of(cast(ActivationRecord, body))
            return self.wait(str(body["activationId"]), timeout=until - time.monotonic())
        raise self.connection.refusal(response, "POST", path)

    def result(
        self,
        action: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> Json:
        """Invoke an action, wait for its end and return its result.

        Raises:
            WhisktrainError: The action failed: its own error where it sent one. The error's `activation` is the record of
                the failed activation (of a sequence: of the component that failed), with its log lines.
            DeadlineExceeded: As `invoke`.
        """
        activation = self.invoke(action, arguments, timeout=timeout)
        if activation.succeeded:
            return activation.result
        raise failure_of(self.explain(activation))

    def call(
        self,
        action: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> JsonObject:
        """`result` of an action that answers with an object, as all of whisktrain's do."""
        return _object(self.result(action, arguments, timeout=timeout))

    # Activations

    def activation(self, activation_id: str) -> Activation | None:
        """Read a record; None while there is none: it exists only after the end."""
        record = self.get("activations", activation_id)
        return None if record is None else activation_of(cast(ActivationRecord, record))

    def activations(
        self,
        *,
        name: str | None = None,
        since: int | None = None,
        upto: int | None = None,
        limit: int = 30,
        docs: bool = False,
    ) -> list[Activation]:
        """Records, newest first.

        Args:
            name: Only of this action or trigger, `name` or `package/name`.
            since: Only those started since, in epoch milliseconds.
            upto: Only those started until, in epoch milliseconds.
            limit: At most so many, up to 200.
            docs: Whether with results and logs.
        """
        given = {"name": name, "since": since, "upto": upto}
        query = {k: str(v) for k, v in given.items() if v is not None}
        query |= {"limit": str(limit), "skip": "0", "docs": "true" if docs else "false"}
        rows = _list(self.connection.json("GET", self._path("activations"), query=query))
        return [activation_of(cast(ActivationRecord, row)) for row in rows]

    def logs(self, activation_id: str) -> list[str]:
        """An activation's log lines."""
        answer = self.connection.json("GET", self._path("activations", f"{activation_id}/logs"))
        return [str(line) for line in _list(_object(answer).get("logs"))]

    def wait(self, activation_id: str, *, timeout: float | None = None) -> Activation:
        """Wait for an activation's end.

        Raises:
            DeadlineExceeded: No record within `timeout` seconds; the activation goes on.
        """
        budget = self.timeout if timeout is None else timeout
        for _ in poll_times(budget):
            found = self.activation(activation_id)
            if found is not None:
                return found
        raise DeadlineExceeded(
            f"The activation {activation_id} has no record after waiting for it ({budget:.0f} s).",
            hint=f"It may still be running; see `wsk activation get {activation_id}`.",
        )

    def explain(self, activation: Activation) -> Activation:
        """The record that says why an activation failed, with its log lines: of a sequence, the component's that failed."""
        try:
            found = activation
            while found.kind == "sequence" and found.logs:
                component = self.activation(found.logs[-1])
                if component is None:
                    return found
                found = component
            return found if found.logs else found.with_logs(self.logs(found.id))
        except PlatformError:
            return activation  # the failure itself matters more than its explanation

    # Triggers

    def fire(
        self,
        trigger: str,
        payload: Mapping[str, object] | None = None,
        *,
        retry_timeout: float | None = None,
    ) -> str | None:
        """Fire a trigger; returns the activation's id, or None where no active rule listens.

        Args:
            trigger: Its name, or `/namespace/name`.
            payload: JSON for the actions that it starts.
            retry_timeout: As `start`.
        """
        answer = self.connection.json(
            "POST",
            self._path("triggers", trigger),
            body=dict(payload or {}),
            retry_timeout=retry_timeout,
        )
        return None if answer is None else str(_object(answer).get("activationId", "")) or None


def _object(answer: Json) -> JsonObject:
    if isinstance(answer, dict):
        return answer
    raise _unexpected(answer, "an object")


def _list(answer: Json) -> list[Json]:
    if isinstance(answer, list):
        return answer
    if not answer:
        return []
    raise _unexpected(answer, "a list")


def _unexpected(answer: Json, expected: str) -> PlatformError:
    return PlatformError(
        f"OpenWhisk answered {type(answer).__name__} where {expected} was expected.",
        code="not_openwhisk",
        hint="Check the API host.",
    )
