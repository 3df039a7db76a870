"""Activation records: what ran, how it ended, what it logged. The newest are kept, in memory."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from openwhisk_local.jsontypes import Json, JsonObject
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
    result: Json
    size: int | None = None

    @classmethod
    def error(cls, code: int, message: Json, size: int | None = None) -> Response:
        """An unsuccessful end."""
        return cls(code, {"error": message}, size)

    @property
    def has_error(self) -> bool:
        """Whether the result is an object with a member `error`."""
        return isinstance(self.result, dict) and "error" in self.result

    @property
    def http_status(self) -> int:
        """The status of a blocking invocation that ended so."""
        return {SUCCESS: 200, WHISK_ERROR: 500}.get(self.code, 502)

    def to_record(self) -> JsonObject:
        """The response as the API shows it."""
        record: JsonObject = {
            "result": self.result,
            "status": _STATUS[self.code],
            "success": self.code == SUCCESS,
        }
        if self.size is not None:
            record["size"] = self.size
        return record


@dataclass(frozen=True)
class Activation:
    """One activation, ended.

    Args:
        id: 32 hexadecimal digits.
        namespace: Its namespace.
        name: The name of the action or trigger, without its package.
        path: The name by which lists are filtered: `package/name` or `name`.
        version: The version of the action or trigger.
        start: When it began, in milliseconds since the epoch.
        response: How it ended.
        end: When it ended; None for triggers.
        duration: How long it ran, in milliseconds; None for triggers.
        cause: The sequence or composition that started it.
        memory_mb: The memory limit that it ran with; 0 where nothing ran.
        annotations: Its annotations.
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
    memory_mb: int = 0
    annotations: Parameters = field(default_factory=Parameters)
    logs: list[str] = field(default_factory=list)

    def _common_members(self) -> JsonObject:
        record: JsonObject = {
            "activationId": self.id,
            "annotations": self.annotations.to_wire(),
            "name": self.name,
            "namespace": self.namespace,
            "publish": False,
            "start": self.start,
            "version": self.version,
        }
        if self.end is not None:
            record["end"] = self.end
            record["duration"] = self.duration
        if self.cause is not None:
            record["cause"] = self.cause
        return record

    def to_record(self, *, logs: bool = True) -> JsonObject:
        """The activation as the API shows it, with or without its logs."""
        return {
            **self._common_members(),
            "logs": [*self.logs] if logs else [],
            "response": self.response.to_record(),
            "subject": self.namespace,
        }

    def to_summary(self) -> JsonObject:
        """The activation's row in a list."""
        return {**self._common_members(), "statusCode": self.response.code}

    def size_in_memory(self) -> int:
        """About how many bytes its result and logs take."""
        size = self.response.size
        result_size = len(json.dumps(self.response.result)) if size is None else size
        return result_size + sum(map(len, self.logs))


class ActivationStore:
    """The newest activation records.

    Args:
        max_records: How many are kept.
        max_bytes: How many bytes of results and logs are kept.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._bytes = 0
        self._order: deque[tuple[str, int]] = deque()
        self._records: dict[str, Activation] = {}

    def __len__(self) -> int:
        return len(self._records)

    def add(self, activation: Activation) -> None:
        """Keep a record; the oldest ones make room for it."""
        size = activation.size_in_memory()
        self._records[activation.id] = activation
        self._order.append((activation.id, size))
        self._bytes += size
        while len(self._order) > 1 and (
            len(self._order) > self._max_records or self._bytes > self._max_bytes
        ):
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
