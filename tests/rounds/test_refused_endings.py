"""A store that refuses for good ends the run as failed, unless another execution was faster or nothing can be written."""

from __future__ import annotations

import time

import pytest
from single import Invocations, at_step, change, open_run, state_of

from whisktrain.errors import StoreRefused
from whisktrain.records.archive import RunArchive
from whisktrain.records.run import Outcome
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.activations import Activations
from whisktrain.rounds.aggregate.cleanup import Cleanup
from whisktrain.rounds.aggregate.context import AggregateContext
from whisktrain.rounds.aggregate.endings import end_refused
from whisktrain.rounds.failpoints import Step
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rules.timeouts import TIMEOUTS
from whisktrain.store.protocol import Store

FULL = StoreRefused("the disk is full", code="disk_full", hint="Make room.")


def ended(records: RunRecords) -> str:
    now, invoker = time.time(), Invocations()
    clock, cleanup = LeaseClock("x", now, now + 60, TIMEOUTS), Cleanup(records, TIMEOUTS)
    context = AggregateContext(records, invoker, clock, "nonce", "", cleanup, Activations(invoker))
    try:
        return end_refused(context, FULL)
    finally:
        cleanup.close()


def test_the_run_fails_with_the_reason(store: Store) -> None:
    records = open_run(store)
    assert ended(records) == "the run is failed"
    summary = RunArchive(store, records.run).summary()
    assert summary is not None and summary["status"] == "failed"
    assert summary["reason"] == "The store refused what round 1 wrote: the disk is full"


def test_a_run_that_is_gone_stays_gone(store: Store) -> None:
    assert ended(RunRecords(store, "never")) == "the run is absent"


def test_an_ended_run_is_refused_again_until_the_store_takes_its_end(store: Store) -> None:
    records = open_run(store)
    change(records, status="completed", reason="done", outcome=Outcome(time.time()))
    with pytest.raises(StoreRefused) as refused:
        ended(records)
    assert refused.value is FULL
    assert state_of(records).status == "completed"


def test_another_aggregate_that_was_faster_goes_on(store: Store) -> None:
    records = open_run(store)
    with at_step(Step.SWAP_FINAL, lambda: change(records, reason="another's")):
        assert ended(records) == "another aggregate serves"
    assert not state_of(records).final
