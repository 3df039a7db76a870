"""OpenWhisk's default limits: 60 invocations and 60 fires a minute, 30 at once, 1024 MB for all containers, 512 MB for one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from openwhisk_local import Limits
from whisktrain.openwhisk.client import Client
from whisktrain.records.archive import RunArchive
from whisktrain.sdk.hosting import Hosting
from whisktrain.store.opening import open_store

AFTER_THE_END = ("the run has ended", "the run is absent", "the run is completed")


def counted(client: Client) -> int:
    """Workers and aggregates in the host's records, but for those that had done nothing when they found the run ended."""
    ended = [
        activation.result
        for name in ("worker", "aggregate")
        for activation in client.activations(name=f"whisktrain/{name}", limit=200, docs=True)
    ]
    answers = [result for result in ended if isinstance(result, dict) and "left" in result]
    late = [
        a
        for a in answers
        if not a.get("updates") and not a["rounds"] and a["left"] in AFTER_THE_END
    ]
    return len(ended) - len(late)


@pytest.mark.timeout(420)
def test_digits_trains_within_openwhisks_default_limits(tmp_path: Path) -> None:
    """No 429 reaches the caller, and nothing was lost to one."""
    hosting = Hosting(tmp_path, f"sqlite:{tmp_path / 'store'}", limits=Limits.openwhisk_defaults())
    hosting.start()
    try:
        with Client(hosting.apihost, hosting.auth) as client:
            started = time.monotonic()
            request = {"data": "digits", "train": {"workers": 4, "epochs": 5, "name": "small"}}
            result = client.result("whisktrain/pipeline", request, timeout=300)
            assert result["status"] == "completed"
            assert result["workers"] == 4
            assert result["metrics"]["val_accuracy"] >= 0.9
            assert result["cost"]["invocations"] < 60 * (1 + (time.monotonic() - started) / 60)
            assert result["cost"]["invocations"] == counted(client)
            fires = client.activations(name="rounds", limit=200, docs=True)
            assert fires
            assert not [a for a in fires if "Too many" in str(a.logs)]
    finally:
        hosting.stop()


@pytest.mark.timeout(420)
def test_six_workers_train_where_two_activations_may_run_at_once(tmp_path: Path) -> None:
    """The train stage gives its place to worker and aggregate, and says so: the run takes as long as its rounds do."""
    hosting = Hosting(tmp_path, f"sqlite:{tmp_path / 'store'}", limits=Limits(concurrent=2))
    hosting.start()
    try:
        with Client(hosting.apihost, hosting.auth) as client:
            request = {"data": "iris", "train": {"workers": 6, "epochs": 10, "key": "crowded"}}
            answer = client.result("whisktrain/pipeline", request, timeout=100)
            assert answer["status"] == "training"
            assert "allows 2 activations at once" in answer["reason"]
            assert answer["message"].startswith(answer["reason"])
        store = open_store(f"sqlite:{tmp_path / 'store'}")
        summary = RunArchive(store, answer["run_id"]).wait_for_summary(time.time() + 240)
        assert summary is not None and summary["status"] == "completed"
        assert summary["workers"] == 6 and summary["slots"] == 1
        assert summary["seconds"] < 150, "it took 308 s while train waited for the model"
    finally:
        hosting.stop()
