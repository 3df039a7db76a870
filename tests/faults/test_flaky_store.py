"""Requests that do not arrive and answers that are lost, at any call: the weights stay the same."""

from __future__ import annotations

import contextlib

import pytest
from flaky_store import FlakyStore
from rounds_rig import Platform, model_bytes, plan_of, put_dataset, train, wait_clean, wait_summary

from whisktrain.errors import Conflict, StoreUnreachable
from whisktrain.records import ids
from whisktrain.rounds.opening import create
from whisktrain.store.protocol import Store
from whisktrain.store.sqlite import SqliteStore


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    store = SqliteStore(tmp_path_factory.mktemp("undisturbed"))
    put_dataset(store)
    train(store, plan_of(rounds=12))
    data = model_bytes(store)
    store.close()
    return data


@pytest.mark.parametrize("lease", [30.0, 0.0])
@pytest.mark.parametrize(("share", "seed"), [(0.02, 1), (0.05, 2), (0.08, 3)])
def test_lost_requests_and_answers_change_nothing(
    store: Store, expected: bytes, share: float, seed: int, lease: float
) -> None:
    put_dataset(store)
    flaky = FlakyStore(store, share, seed)
    platform = Platform(flaky, seconds=20)
    with platform.following():
        while True:
            with contextlib.suppress(StoreUnreachable, Conflict):
                create(flaky, platform, "r", plan_of(rounds=12, lease=lease, attempts=9))
                break
        summary = wait_summary(store, "r")
        wait_clean(store)
    assert flaky.rounds.failed > 0
    assert summary["status"] == "completed", summary
    assert model_bytes(store, version=int(summary["model"].partition(":")[2])) == expected
    assert store.library.get(ids.version("m", 1)).body["run"] == "r"
    assert store.library.get(ids.version("m", 2)) is None
    assert all(isinstance(error, (StoreUnreachable, Conflict)) for error in platform.errors()), (
        platform.errors()
    )
