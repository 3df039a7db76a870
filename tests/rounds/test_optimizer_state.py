"""Restoring the optimizer's state while another aggregate stores a newer one and deletes what this one began with."""

from __future__ import annotations

from typing import Any

import numpy as np
from rounds_rig import plan_of

from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.aggregate.optimizer_state import restore
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
