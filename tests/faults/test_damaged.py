"""Parameters damaged by a power cut: repaired where their inputs are still there; else the run fails and leaves nothing."""

from __future__ import annotations

import pytest
from rounds_rig import (
    Killed,
    Platform,
    model_bytes,
    plan_of,
    put_dataset,
    train,
    wait_clean,
    wait_summary,
)

from whisktrain.errors import Damaged
from whisktrain.records import ids
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import caches, failpoints
from whisktrain.rounds.aggregate.repair import repair_params
from whisktrain.rounds.opening import create
from whisktrain.store.protocol import Store


def cut(store: Store, id_: str) -> None:
    found = store.rounds.get(id_)
    store.rounds.put(id_, found.body, rev=found.rev, attachment=b"cut short")


class PowerCut:
    """Truncate the parameters of round 3 once it is open, with all memory lost; kill at one more step."""

    def __init__(self, store: Store, *, gone: tuple[str, ...] = (), then: str = "") -> None:
        self.store, self.gone, self.then, self.cut = store, gone, then, False

    def __call__(self, step: str) -> None:
        if step == "A7" and not self.cut and RunRecords(self.store, "r").read().round == 3:
            self.cut = True
            cut(self.store, ids.params("r", 3))
            self.store.rounds.delete_many(self.gone)
            caches._last_rounds.clear()
            raise Killed(step)
        if step == self.then:
            self.then = ""
            raise Killed(step)


def run_to_the_end(store: Store, killer: PowerCut, lease: float) -> dict:
    platform = Platform(store)
    with failpoints.observed(killer), platform.following():
        create(store, platform, "r", plan_of(lease=lease))
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert killer.cut and not killer.then
    assert not platform.errors(), platform.errors()
    return summary


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize("then", ["", "A2.repair"])
def test_damaged_parameters_are_computed_again(store: Store, lease: float, then: str) -> None:
    put_dataset(store)
    train(store, plan_of(), run="undisturbed")
    assert run_to_the_end(store, PowerCut(store, then=then), lease)["status"] == "completed"
    assert model_bytes(store, version=2) == model_bytes(store)


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize("gone", [ids.update("r", 2, 1), ids.params("r", 2)])
def test_parameters_that_cannot_be_repaired_end_the_run(
    store: Store, lease: float, gone: str
) -> None:
    put_dataset(store)
    summary = run_to_the_end(store, PowerCut(store, gone=(gone,)), lease)
    assert summary["status"] == "failed" and summary["error"]["code"] == "damaged"
    assert "in round 3" in summary["reason"] and not summary["resumable"]


def test_a_model_that_cannot_be_read_ends_the_run(store: Store) -> None:
    put_dataset(store)
    platform = Platform(store)

    def damage(step: str) -> None:
        if step == "F2" and store.library.get(ids.summary("r")) is None:
            cut(store, RunRecords(store, "r").read().outcome.publish)

    with failpoints.observed(damage), platform.following():
        create(store, platform, "r", plan_of())
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert (
        summary["status"] == "failed"
        and summary["error"]["code"] == "damaged"
        and summary["model"] is None
    )
    assert "cannot be read" in summary["reason"]
    assert (
        store.library.get(ids.model("m", 1)) is None and store.library.get(ids.alias("m")) is None
    )


def test_only_the_same_bytes_are_put_back(store: Store) -> None:
    put_dataset(store)
    seen = []

    def look(step: str) -> None:
        state = RunRecords(store, "r").read() if step == "A7" and not seen else None
        if state is None or state.round != 3:
            return
        seen.append(repair_params(RunRecords(store, "r"), state))  # whole
        id_ = ids.params("r", 3)
        right = store.rounds.get(id_, attachment=True)
        cut(store, id_)
        there = store.rounds.get(id_)
        store.rounds.put(
            id_, {**there.body, "digest": "another"}, rev=there.rev, attachment=b"cut short"
        )
        seen.append(repair_params(RunRecords(store, "r"), state))
        with pytest.raises(Damaged):
            RunRecords(store, "r").read_params(id_)
        there = store.rounds.get(id_)
        store.rounds.put(id_, right.body, rev=there.rev, attachment=b"cut short")
        seen.append(repair_params(RunRecords(store, "r"), state))
        assert store.rounds.get(id_, attachment=True).attachment == right.attachment

    with failpoints.observed(look):
        assert train(store, plan_of())["status"] == "completed"
    assert seen == [False, False, True]
