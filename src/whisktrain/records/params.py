"""The documents that hold the model of a live run: its blueprint, and the parameters that each round starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, cast

from whisktrain import tensors
from whisktrain.records.history import HistoryBody, TrainingHistory
from whisktrain.spec import Blueprint, Layout
from whisktrain.store.protocol import Document
from whisktrain.tensors import Tensors

__all__ = [
    "BlueprintBody",
    "Builder",
    "Params",
    "ParamsBody",
    "ParamsDocument",
    "blueprint_of",
    "builder_of",
]


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


class ParamsBody(TypedDict):
    """The body of a params document.

    Attributes:
        parent: The id of the parameters that these were merged from; "" where they were not.
        merged: The shards that were merged into them.
        digest: Of the attachment's bytes.
        history: The history so far.
    """

    parent: str
    merged: list[int]
    digest: str
    history: HistoryBody


@dataclass(frozen=True, slots=True)
class Params:
    """The tensors that a round starts from.

    Attributes:
        id: The document's id.
        digest: Of the tensors' bytes: two documents with the same digest hold the same tensors.
        tensors: The tensors.
        history: The history so far.
        rev: The document's revision; "" where it is not known.
    """

    id: str
    digest: str
    tensors: Tensors
    history: TrainingHistory
    rev: str = ""

    @staticmethod
    def body_of(document: Document) -> ParamsBody:
        """The body of a params document, typed."""
        return cast(ParamsBody, document.body)

    @classmethod
    def of(cls, document: Document) -> Params:
        """The parameters that a document with its attachment holds.

        Raises:
            Damaged: The attachment is not whole.
        """
        body = cls.body_of(document)
        values = tensors.decode(document.attachment or b"")
        return cls(
            document.id,
            body["digest"],
            values,
            TrainingHistory.from_body(body["history"]),
            document.rev,
        )


@dataclass(frozen=True, slots=True)
class ParamsDocument:
    """A params document without its tensors, which may be damaged.

    Attributes:
        id: Its id.
        rev: Its revision.
        body: Its body.
    """

    id: str
    rev: str
    body: ParamsBody

    @classmethod
    def of(cls, document: Document) -> ParamsDocument:
        """The document as it was read."""
        return cls(document.id, document.rev, Params.body_of(document))
