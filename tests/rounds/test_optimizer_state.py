"""Restoring the optimizer's state while another aggregate stores a newer one and deletes what this one began with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plans import update_of
from rounds_rig import model_bytes, plan_of, put_dataset, train

from whisktrain.records.history import TrainingHistory
from whisktrain.records.params import Params
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.aggregate import closing
from whisktrain.rounds.aggregate.optimizer_state import restore
from whisktrain.spec import Contribution
from whisktrain.store.protocol import Store

STATE = RunState("r", plan_of(), 1, round=7, phase="train", params="params:r:7")


class Overtaken(RunRecords):
    """Between this aggregate's listing and its reading another one stores the state of round 7 and deletes that of round 6."""

    listings = 0

    def optimizer_state_rounds(self) -> list[int]:
        rounds = super().optimizer_state_rounds()
        self.listings += 1
        if self.listings == 1:
            self.put_optimizer_state(7, {"momentum/w": np.float32([7.0])})
            self.delete_documents(["moments:r:6"], {})
        return rounds


def test_a_state_that_was_replaced_meanwhile_is_listed_again(store: Store) -> None:
    records: Any = Overtaken(store, "r")
    records.put_optimizer_state(6, {"momentum/w": np.float32([6.0])})
    found = restore(records, STATE, 7, "digest")
    assert found is not None and found["momentum/w"] == 7.0
    assert records.listings == 2


def test_a_state_that_is_gone_is_given_up(store: Store) -> None:
    records = RunRecords(store, "r")
    records.put_optimizer_state(6, {"momentum/w": np.float32([6.0])})
    assert restore(records, STATE, 7, "digest") is None, (
        "round 6 cannot be replayed without its updates"
    )


def test_large_updates_are_read_again_once_the_state_is_restored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an earlier round is replayed there is memory for its updates: those of this round are given up meanwhile."""
    put_dataset(store)
    train(store, plan_of(), "a")
    monkeypatch.setattr(closing, "take_last_round", lambda records, round_: None)
    monkeypatch.setattr(closing, "MAX_BESIDE_BYTES", 0)
    held: list[int] = []

    def watched(records: RunRecords, state: RunState, round_: int, digest: str) -> Any:
        held.append(sum(1 for part in parts[-1] if part.tensors))
        return restore(records, state, round_, digest)

    parts: list[Any] = []
    ascending = closing.CollectedRound.ascending.fget
    monkeypatch.setattr(
        closing.CollectedRound,
        "ascending",
        property(lambda self: parts.append(ascending(self)) or parts[-1]),
    )
    monkeypatch.setattr(closing, "restore", watched)
    train(store, plan_of(), "b")
    assert len(held) >= 6 and not any(held)
    assert model_bytes(store, version=2) == model_bytes(store, version=1)


class Gone(RunRecords):
    """Another aggregate closes the round, and deletes its updates, while this one restores the state."""

    def read_update(self, round_: int, shard: int) -> None:
        return None


def test_a_round_that_was_closed_meanwhile_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_BESIDE_BYTES", 0)
    records: Any = Gone(store, "r")
    records.put_optimizer_state(7, {"momentum/w": np.float32([7.0])})
    part = Contribution({"w": np.ones(2, np.float32)}, {"rows": 1, "divisor": 1.0})
    update: Any = replace(update_of(0), contribution=part, nbytes=8)
    params = Params("params:r:7", "digest", {}, TrainingHistory())
    collected = closing.CollectedRound(7, {0: update})
    assert closing._restore(records, STATE, params, collected) is None
