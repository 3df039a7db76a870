"""Real processes, killed with SIGKILL at random moments: the run ends with the same bytes."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from processes import Processes, Spool
from rounds_rig import PATIENT, model_bytes, plan_of, put_dataset, train, wait_clean, wait_summary

from whisktrain.openwhisk import feed
from whisktrain.rounds.follower import Follower
from whisktrain.rounds.opening import create
from whisktrain.store.protocol import Store


def test_killed_processes_change_nothing(address: str, store: Store, tmp_path: Path) -> None:
    put_dataset(store)
    spec = plan_of(rounds=20, attempts=9)
    train(store, spec, run="undisturbed")

    spool = tmp_path / "spool"
    spool.mkdir()
    processes, invoker, draw = Processes(address, spool), Spool(spool), random.Random(1)
    watching = threading.Thread(target=processes.watch)
    watching.start()
    feed.handle({"lifecycleEvent": "CREATE", "triggerName": "/_/rounds"}, store, namespace="guest")
    follower = Follower(
        store, lambda _, payload: invoker.invoke("aggregate", payload) and None, timeouts=PATIENT
    )
    following = threading.Thread(target=follower.run, args=(processes.stop,))
    following.start()
    try:
        create(store, invoker, "r", spec)
        until = time.monotonic() + 6
        while time.monotonic() < until and store.library.get("summary:r") is None:
            time.sleep(draw.uniform(0.3, 1.2))
            processes.kill_one(draw)
        summary = wait_summary(store, "r", 150)
        wait_clean(store)
    finally:
        processes.close()
        watching.join()
        following.join()
    assert summary["status"] == "completed", summary
    assert processes.killed >= 3
    assert model_bytes(store, version=2) == model_bytes(store)
    assert "Traceback" not in processes.output.read_text(), processes.output.read_text()[-3000:]
