"""Checkpoints: everything that is needed to resume a run bit for bit as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NotRequired, TypedDict, cast

import numpy as np

from whisktrain import tensors
from whisktrain.jsontypes import JsonObject
from whisktrain.records import ids
from whisktrain.records.history import HistoryBody, TrainingHistory
from whisktrain.records.run import Best
from whisktrain.spec import Blueprint, Layout, Spec
from whisktrain.store.protocol import Document
from whisktrain.tensors import Tensors

__all__ = ["Checkpoint", "CheckpointBody"]


_CONFIG, _HISTORY = "file/config", "file/history"


class CheckpointBody(TypedDict):
    """The body of a checkpoint document: see `Checkpoint`; tensors, configuration and history are its attachment."""

    schema: int
    spec: JsonObject
    round: int
    layout: Layout
    best: JsonObject | None
    history: NotRequired[HistoryBody]  # of earlier versions


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run can be resumed.

    Attributes:
        spec: Its plan.
        round: The round to continue with.
        blueprint: The model.
        params: The parameters that the round starts from.
        optimizer_state: The optimizer's state that belongs to them; None for round 1.
        best: The best parameters so far, where they are others than `params`.
        best_at: Where those were found.
        history: The whole history so far, without blocks.
    """

    spec: Spec
    round: int
    blueprint: Blueprint
    params: Tensors
    optimizer_state: Tensors | None
    best: Tensors | None
    best_at: Best | None
    history: TrainingHistory

    def to_body(self) -> CheckpointBody:
        """The document's body."""
        return {
            "schema": ids.SCHEMA,
            "spec": self.spec.to_json(),
            "round": self.round,
            "layout": self.blueprint.layout,
            "best": asdict(self.best_at) if self.best_at else None,
        }

    def attachment(self) -> bytes:
        """The document's attachment."""
        parts = {
            "params": self.params,
            "moments": self.optimizer_state or {},
            "best": self.best or {},
        }
        held = {f"{part}/{name}": t for part, values in parts.items() for name, t in values.items()}
        files = {
            _CONFIG: self.blueprint.config,
            _HISTORY: json.dumps(self.history.to_body()).encode(),
        }
        return tensors.encode(
            {**held, **{name: np.frombuffer(data, np.uint8) for name, data in files.items()}}
        )

    @classmethod
    def of(cls, document: Document) -> Checkpoint:
        """The checkpoint that a document holds; without its attachment, one without tensors, files and history.

        Raises:
            Damaged: The attachment is not whole.
        """
        body = cast(CheckpointBody, document.body)
        held = tensors.decode(document.attachment) if document.attachment is not None else {}

        def part(prefix: str) -> Tensors:
            return {
                name.removeprefix(prefix): t for name, t in held.items() if name.startswith(prefix)
            }

        def file(name: str) -> bytes:
            return held[name].tobytes() if name in held else b""

        round_ = int(body["round"])
        history: HistoryBody = (
            body["history"]
            if "history" in body
            else json.loads(file(_HISTORY) or json.dumps(TrainingHistory().to_body()))
        )
        return cls(
            spec=Spec.from_json(body["spec"]),
            round=round_,
            blueprint=Blueprint(body["layout"], file(_CONFIG)),
            params=part("params/"),
            optimizer_state=part("moments/") if round_ > 1 else None,
            best=part("best/") or None,
            best_at=Best.from_body(body["best"]),
            history=TrainingHistory.from_body(history),
        )
