"""Types of JSON values, as bodies, parameters and results hold them."""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A JSON value as `json.loads` returns it."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object as `json.loads` returns it."""

Payload: TypeAlias = "JsonObject | list[Json]"
"""The arguments of an activation: an object, or the array that an earlier component of a sequence returned."""
