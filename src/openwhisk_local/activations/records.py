"""Activation records: what ran, how it ended, what it said. The newest are kept, in memory."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from openwhisk_local.state.parameters import Parameters

SUCCESS, APPLICATION_ERROR, DEVELOPER_ERROR, WHISK_ERROR = range(4)
_STATUS = ("success", "application error", "action developer error", "whisk internal error")


@dataclass(frozen=True)
class Response:
    """How an activation ended.

    Args:
        code: SUCCESS, APPLICATION_ERROR, DEVELOPER_ERROR or WHISK_ERROR.
        result: What it returned, or `{"error": …}`.
        size: Characters of the answer of its process, where it answered.
    """

    code: int
    result: Any
    size: int | None = None

    @classmethod
    def error(cls, code: int, message: Any, size: int | None = None) -> Response:
        """An unsuccessful end."""
        return cls(code, {"error": message}, size)

    @property
    def http_status(self) -> int:
        """The status of a blocking invocation that ended so."""
        return {SUCCESS: 200, WHISK_ERROR: 500}.get(self.code, 502)

    def to_record(self) -> dict[str, Any]:
        """The response as the API shows it."""
        record = {"result": self.result, "status": _STATUS[self.code], "success": self.code == SUCCESS}
        if self.size is not None:
            record["size"] = self.size
        return record


@dataclass(frozen=True)
class Activation:
    """One activation, ended.

    Args:
        id: 32 hexadecimal digits.
        namespace: Whose it is.
        name: The name of the action or trigger, without its package.
        path: The name by which lists are filtered: `package/name` or `name`.
        version: The version of the action or trigger.
        start: When it began, in milliseconds since the epoch.
        response: How it ended.
        end: When it ended; None for triggers.
        duration: How long it ran, in milliseconds; None for triggers.
        cause: The sequence or composition that started it.
        annotations: What is said about it.
        logs: Its log lines; of a sequence the ids of its components.
    """

    id: str
    namespace: str
    name: str
    path: str
    version: str
    start: int
    response: Response
    end: int | None = None
    duration: int | None = None
    cause: str | None = None
    annotations: Parameters = field(default_factory=Parameters)
    logs: list[str] = field(default_factory=list)

    def _common(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "activationId": self.id,
            "annotations": self.annotations.to_wire(),
            "name": self.name,
            "namespace": self.namespace,
            "publish": False,
            "start": self.start,
            "version": self.version,
        }
        if self.end is not None:
            record |= {"end": self.end, "duration": self.duration}
        if self.cause is not None:
            record["cause"] = self.cause
        return record

    def to_record(self, *, logs: bool = True) -> dict[str, Any]:
        """The activation as the API shows it."""
        return {
            **self._common(),
            "logs": self.logs if logs else [],
            "response": self.response.to_record(),
            "subject": self.namespace,
        }

    def to_summary(self) -> dict[str, Any]:
        """The activation's row in a list."""
        return {**self._common(), "statusCode": self.response.code}

    def weight(self) -> int:
        """About how many bytes keeping it takes."""
        size = self.response.size
        return (len(json.dumps(self.response.result)) if size is None else size) + sum(map(len, self.logs))


class Activations:
    """The newest activation records.

    Args:
        kept: How many are kept.
        bytes_kept: How many bytes of results and logs are kept.
    """

    def __init__(self, kept: int, bytes_kept: int) -> None:
        self._kept = kept
        self._bytes_kept = bytes_kept
        self._bytes = 0
        self._order: deque[tuple[str, int]] = deque()
        self._records: dict[str, Activation] = {}

    def __len__(self) -> int:
        return len(self._records)

    def add(self, activation: Activation) -> None:
        """Keep a record; the oldest ones make room for it."""
        weight = activation.weight()
        self._records[activation.id] = activation
        self._order.append((activation.id, weight))
        self._bytes += weight
        while len(self._order) > 1 and (len(self._order) > self._kept or self._bytes > self._bytes_kept):
            oldest, freed = self._order.popleft()
            del self._records[oldest]
            self._bytes -= freed

    def get(self, activation_id: str) -> Activation | None:
        """The record of an ended activation; None while it runs, and when it is unknown or no longer kept."""
        return self._records.get(activation_id)

    def newest_first(
        self, *, path: str | None = None, since: int | None = None, upto: int | None = None
    ) -> Iterator[Activation]:
        """The records, the last begun first.

        Args:
            path: Only those of this action: `name` or `package/name`.
            since: Only those begun at this time or later, in milliseconds since the epoch.
            upto: Only those begun at this time or earlier.
        """
        found = (
            record
            for record in reversed(self._records.values())
            if (path is None or record.path == path)
            and (since is None or record.start >= since)
            and (upto is None or record.start <= upto)
        )
        return iter(sorted(found, key=lambda record: record.start, reverse=True))
