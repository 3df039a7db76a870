"""OpenWhisk's default limits: 60 invocations and 60 fires a minute, 30 at once, 1024 MB for all containers, 512 MB for one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from openwhisk_local import Limits
from whisktrain.openwhisk.client import Client
from whisktrain.sdk.hosting import Hosting


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
            fires = client.activations(name="rounds", limit=200, docs=True)
            assert fires
            assert not [a for a in fires if "Too many" in str(a.logs)]
    finally:
        hosting.stop()
