"""What may be deleted, and what is pinned."""

from __future__ import annotations

from plans import plan_of, running

from whisktrain.records.run import Best, ResumePoint
from whisktrain.rules import deletion


def test_pinned_documents_survive_deletion_and_sweeping() -> None:
    best = Best(2, "params:r:2", 0.5, 0)
    point = ResumePoint(4, "params:r:4", "moments:r:4", Best(1, "params:r:1", 0.7, 0))
    state = running(round=6, params="params:r:6", best=best, point=point)
    ids = [f"{kind}:r:{n}" for kind in ("params", "moments") for n in range(1, 7)] + [
        f"r:{n}:0" for n in range(1, 7)
    ]
    kept = set(ids) - set(deletion.deletable(ids, state))
    assert kept == {
        "params:r:1",
        "params:r:2",
        "params:r:4",
        "params:r:6",
        "moments:r:4",
        "moments:r:6",
        "r:6:0",
    }
    assert set(deletion.sweepable(ids, "r", state)) == set(ids) - kept
    assert (
        deletion.deletable(
            ["params:other:1", "other:1:0", "failure:r:1:0:1", "blueprint:r", "run:r"], state
        )
        == []
    )


def test_sweeping_by_the_newest_moments_and_never_while_final() -> None:
    ids = ["r:1:0", "r:2:0", "r:3:0", "params:r:2", "moments:r:2", "stop:r", "blueprint:r"]
    assert deletion.sweepable(ids, "r", running()) == ["r:1:0"]
    assert deletion.sweepable(ids, "r", running(status="completed")) == []
    assert deletion.sweepable([*ids, "run:r", "params:q:1"], "r", None) == ids
    resumed = running(plan_of(first_round=3))
    assert deletion.sweepable(["r:2:0", "r:3:0"], "r", resumed) == ["r:2:0"]
