"""Types of JSON values, as documents, requests and results hold them."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Json", "JsonObject"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A JSON value as `json.loads` returns it."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object as `json.loads` returns it."""
