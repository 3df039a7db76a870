"""The blueprint document: the model that every worker opens, and the activation that built it."""

from __future__ import annotations

from typing import TypedDict, cast

from whisktrain.spec import Blueprint, Layout
from whisktrain.store.protocol import Document

__all__ = ["BlueprintBody", "Builder", "blueprint_of", "builder_of"]


class Builder(TypedDict):
    """The activation that built the model.

    Attributes:
        execution: Its id.
        start: When it started, in seconds of the epoch.
        lease_end: When its lease ends; 0 without one.
    """

    execution: str
    start: float
    lease_end: float


class BlueprintBody(TypedDict):
    """The body of a blueprint document; its attachment is the model's configuration."""

    layout: Layout
    builder: Builder


def blueprint_of(document: Document) -> Blueprint:
    """The model that a document with its attachment holds."""
    return Blueprint(cast(BlueprintBody, document.body)["layout"], document.attachment or b"")


def builder_of(document: Document) -> Builder:
    """The activation that built the model."""
    return cast(BlueprintBody, document.body)["builder"]
