"""The run document as a value."""

from __future__ import annotations

import json

from plans import running

from whisktrain.records.cost import Cost, Usage
from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best, Ending, Outcome, ResumePoint, RunState


def test_a_swap_is_mine_only_by_nonce_and_round() -> None:
    own = running(nonce="n", round=4)
    assert running(nonce="n", round=4, rev="2-x").is_write_of(own)
    assert not running(nonce="n", round=3).is_write_of(own) and not running(
        nonce="m", round=4
    ).is_write_of(own)


def test_the_run_document_is_read_back_as_it_was_written() -> None:
    state = running(
        merged=(0, 1),
        best=Best(2, "p", 0.5, 0),
        ending=Ending("stopped", "why"),
        point=ResumePoint(4, "p", "m", Best(1, "q", 0.7, 0)),
        outcome=Outcome(
            5.0, "p", {"loss": 1.0}, TrainingHistory([{"epoch": 1}]), {"code": "x"}, ["line"]
        ),
        leases={0: 5.0, 11: 6.0},
        cost=Cost(2, 1.5, {"0": Usage("e", 1.0, 2.0, 512)}),
        timing={"3": 4},
        latest={"loss": 1.0},
        platform={"invocations_per_minute": 60},
        rev="3-x",
    )
    assert RunState.from_body("r", "3-x", json.loads(json.dumps(state.to_body()))) == state
    assert RunState.from_body("r", "", json.loads(json.dumps(running().to_body()))) == running()
