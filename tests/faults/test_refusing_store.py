"""A store that takes no more: its disk is full, or a document too large. The run ends with that reason, or goes on later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rounds_rig import (
    QUICK,
    Limits,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import StoreRefused
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import unwritten_summary
from whisktrain.rounds.opening import create
from whisktrain.rules.resuming import resumed_plan
from whisktrain.spec import Spec
from whisktrain.stages import train as stage
from whisktrain.store.protocol import Store

FULL = StoreRefused("No space is left on the disk.", code="disk_full", hint="Free some space.")
TOO_LARGE = StoreRefused("The document is too large.", code="store_too_large")
Refusal = Callable[[str, bytes | None], StoreRefused | None]
"""What a put of a document, with its attachment, is refused with."""


class RefusingDatabase:
    def __init__(self, database: Any, owner: RefusingStore) -> None:
        self._database, self._owner = database, owner

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._database, name)
        if name != "put":
            return call

        def put(id_: str, body: Any, **named: Any) -> Any:
            refused = self._owner.refusal(id_, named.get("attachment"))
            if refused is not None:
                self._owner.refused.append(id_)
                raise refused
            return call(id_, body, **named)

        return put


class RefusingStore:
    """Args: refusal: says which puts are refused, and may be changed at any time."""

    def __init__(self, store: Store, refusal: Refusal) -> None:
        self.url, self.ensure = store.url, store.ensure
        self.refusal, self.refused = refusal, list[str]()
        self.library = RefusingDatabase(store.library, self)
        self.rounds = RefusingDatabase(store.rounds, self)


def taken(id_: str, attachment: bytes | None) -> None:
    """Nothing is refused."""


def resume(store: Store) -> bytes:
    """The weights of the run that goes on from the checkpoint."""
    plan, best = resumed_plan(RunArchive(store, "r").read_checkpoint(), "r", "again", Limits())
    platform = Platform(store)
    with platform.following():
        create(store, platform, "again", plan, best=best)
        summary = wait_summary(store, "again")
        wait_clean(store)
    return model_bytes(store, version=int(summary["model"].partition(":")[2]))


@pytest.fixture
def spec(store: Store) -> Spec:
    put_dataset(store)
    train(store, plan_of(rounds=8), run="undisturbed")
    return plan_of(rounds=8)


@pytest.mark.parametrize(
    "refused",
    ["r:3:1", "params:r:4", "moments:r:4"],
)
@pytest.mark.parametrize("lease", [30.0, 0.0])
def test_a_document_that_is_refused_ends_the_run_with_the_reason(
    store: Store, spec: Spec, refused: str, lease: float
) -> None:
    # An aggregate that is faster than the refused one may go on by a replay of the state: what it writes is refused then.
    ids_refused = {refused, *(f"params:r:{round_}" for round_ in range(6, 10))}
    refusing = RefusingStore(store, lambda id_, _: TOO_LARGE if id_ in ids_refused else None)
    summary = train(refusing, replace(spec, lease=lease), platform=Platform(refusing))
    assert summary["status"] == "failed" and summary["error"]["code"] == "store_too_large"
    assert "The document is too large." in summary["reason"] and summary["resumable"]
    assert resume(store) == model_bytes(store)


def test_a_checkpoint_that_is_too_large_is_left_out(store: Store, spec: Spec) -> None:
    def refusal(id_: str, attachment: bytes | None) -> StoreRefused | None:
        return TOO_LARGE if id_ in ("params:r:4", ids.checkpoint("r")) else None

    refusing = RefusingStore(store, refusal)
    summary = train(refusing, spec, platform=Platform(refusing))
    assert summary["status"] == "failed" and not summary["resumable"]


def test_a_model_that_is_too_large_fails_the_run(store: Store, spec: Spec) -> None:
    refusing = RefusingStore(
        store, lambda id_, _: TOO_LARGE if id_.startswith("model:m:2") else None
    )
    summary = train(refusing, spec, platform=Platform(refusing))
    assert summary["status"] == "failed" and summary["model"] is None
    assert summary["reason"].startswith("The trained parameters cannot be published")


@pytest.mark.parametrize("lease", [30.0, 0.0])
def test_a_full_disk_is_said_and_the_run_goes_on_once_there_is_room(
    store: Store, spec: Spec, lease: float
) -> None:
    """Nothing can be written, not even that the run has failed: the activations' records and the waiting stage say so."""
    full = []

    def refusal(id_: str, attachment: bytes | None) -> StoreRefused | None:
        if id_ == "r:3:1" and not full:
            full.append(id_)
        return FULL if full else None

    refusing = RefusingStore(store, refusal)
    platform = Platform(refusing, timeouts=replace(QUICK, refire_most=0.3))
    with platform.following():
        create(store, platform, "r", replace(spec, lease=lease))
        while not full:
            time.sleep(0.01)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoreRefused) as caught:
            patch.setattr(stage, "LOOK_S", 0.1)
            stage._wait_for_summary(refusing, platform, "r", time.time() + 20)
        assert caught.value.code == "disk_full"
        refusing.refusal = taken
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert all(isinstance(error, StoreRefused) for error in platform.errors())
    assert platform.errors(), "the activations' records say so"
    if summary["status"] == "completed":
        assert model_bytes(store, version=2) == model_bytes(store)
    else:  # an aggregate could write it just then
        assert summary["status"] == "failed" and summary["error"]["code"] == "disk_full"
        assert resume(store) == model_bytes(store)


def test_a_run_that_ends_on_a_full_disk_says_so_before_its_summary_can_be_written(
    store: Store, spec: Spec
) -> None:
    """Small documents still fit in: the run is final, its checkpoint and summary come once there is room."""
    full = []

    def refusal(id_: str, attachment: bytes | None) -> StoreRefused | None:
        if id_ == "r:3:1":
            full.append(id_)
        return FULL if full and (attachment or id_.startswith("summary:")) else None

    refusing = RefusingStore(store, refusal)
    platform = Platform(refusing)
    with platform.following():
        create(store, platform, "r", spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "LOOK_S", 0.1)
            said = stage._wait_for_summary(refusing, platform, "r", time.time() + 20)
        assert said is not None and said["status"] == "failed"
        assert said["error"]["code"] == "disk_full" and said["resumable"]
        state = RunRecords(store, "r").read()
        assert state is not None and unwritten_summary(state) == said
        assert RunArchive(store, "r").summary() is None
        refusing.refusal = taken
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert summary["status"] == "failed" and summary["resumable"]
    assert resume(store) == model_bytes(store)
