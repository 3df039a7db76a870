"""FINISH step by step: what is published, what is kept for resuming, and what other executions did meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from single import change, open_run, serve_aggregate, serve_worker, state_of

from whisktrain.errors import Damaged
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.history import TrainingHistory
from whisktrain.records.models import ModelRecords
from whisktrain.records.run import Best, Outcome, ResumePoint
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds import caches
from whisktrain.rounds.aggregate.finish import finish, make_checkpoint
from whisktrain.store.protocol import Store


@pytest.fixture
def records(store: Store) -> RunRecords:
    """A run with round 2 open, of which no aggregate remembers anything."""
    records = open_run(store)
    for slot in (0, 1):
        serve_worker(store, slot)
    serve_aggregate(store)
    assert state_of(records).round == 2
    forget()
    return records


def forget() -> None:
    """Lose what a warm process remembers."""
    caches._last_rounds.clear()
    caches._blueprints.clear()


def stop_at(records: RunRecords, point: ResumePoint | None, **changes: Any) -> None:
    """Bring the run into the final state "stopped"."""
    outcome = Outcome(5.0, publish="params:r:2", history=TrainingHistory())
    change(records, status="stopped", reason="why", point=point, outcome=outcome, **changes)


POINT = ResumePoint(2, "params:r:2", "moments:r:2")


def test_a_run_that_is_absent_or_not_final_is_left_alone(store: Store, records: RunRecords) -> None:
    finish(records)
    assert records.exists()
    finish(RunRecords(store, "absent"))


def test_a_stopped_run_leaves_a_model_a_checkpoint_and_a_summary(
    store: Store, records: RunRecords
) -> None:
    stop_at(records, POINT)
    finish(records)
    archive = RunArchive(store, "r")
    summary = archive.summary()
    assert summary is not None and (summary["status"], summary["model"], summary["resumable"]) == (
        "stopped",
        "m:1",
        True,
    )
    assert archive.resumes_at() == 2 and ModelRecords(store).newest("m") == 1
    assert not records.exists() and records.leftovers() == {}


def test_parameters_that_are_gone_mean_that_another_execution_has_finished(
    store: Store, records: RunRecords
) -> None:
    stop_at(records, None)
    records.delete_documents(["params:r:2"], {})
    finish(records)
    assert RunArchive(store, "r").summary() is None and records.exists()


def test_damaged_parameters_fail_the_run(store: Store, records: RunRecords) -> None:
    stop_at(records, POINT)
    document = records.read_params_document("params:r:2")
    assert document is not None
    records.replace_params(document, b"not tensors")
    finish(records)
    summary = RunArchive(store, "r").summary()
    assert summary is not None and (summary["status"], summary["model"], summary["resumable"]) == (
        "failed",
        None,
        False,
    )
    assert summary["reason"].startswith("The trained parameters cannot be read any more")
    assert not records.exists()


@pytest.mark.parametrize("gone", ["params:r:2", ids.blueprint("r"), "moments:r:2"])
def test_without_one_of_its_documents_there_is_no_checkpoint(
    records: RunRecords, gone: str
) -> None:
    stop_at(records, POINT)
    assert make_checkpoint(records, state_of(records)) is not None
    forget()
    records.delete_documents([gone, "r:1:0", "params:r:1"], {})
    assert make_checkpoint(records, state_of(records)) is None


def test_the_best_parameters_belong_to_the_checkpoint(records: RunRecords) -> None:
    params = records.read_params("params:r:2")
    assert params is not None
    best = Best(1, "params:r:1", 0.5, 0)
    records.put_params("params:r:1", params.tensors, params.history)
    stop_at(records, ResumePoint(2, "params:r:2", "moments:r:2", best))
    checkpoint = make_checkpoint(records, state_of(records))
    assert checkpoint is not None and checkpoint.best_at == best and checkpoint.best is not None
    records.delete_documents(["params:r:1"], {})
    assert make_checkpoint(records, state_of(records)) is None


def test_best_parameters_that_the_round_starts_from_are_kept_once(records: RunRecords) -> None:
    stop_at(records, ResumePoint(2, "params:r:2", "moments:r:2", Best(2, "params:r:2", 0.5, 0)))
    checkpoint = make_checkpoint(records, state_of(records))
    assert checkpoint is not None and checkpoint.best is None and checkpoint.best_at is not None


def test_a_run_without_a_resume_point_has_no_checkpoint(records: RunRecords) -> None:
    assert make_checkpoint(records, state_of(records)) is None


def test_a_damaged_checkpoint_is_left_out(store: Store, records: RunRecords) -> None:
    stop_at(records, POINT)
    document = store.rounds.get("moments:r:2")
    assert document is not None
    store.rounds.put("moments:r:2", document.body, rev=document.rev, attachment=b"not tensors")
    with pytest.raises(Damaged):
        make_checkpoint(records, state_of(records))
    finish(records)
    summary = RunArchive(store, "r").summary()
    assert summary is not None and summary["resumable"] is False and summary["model"] == "m:1"
