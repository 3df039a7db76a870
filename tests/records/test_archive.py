"""What stays of a run in the library: its summary and its checkpoint."""

from __future__ import annotations

import time

import numpy as np
import pytest
from interrupted import InterruptedStore, after
from plans import plan_of, running

from whisktrain.errors import Damaged, DataError, NotFound
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive, list_rejections, list_summaries
from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best, Outcome, ResumePoint
from whisktrain.records.summary import RunSummary, rounds_done, summarize
from whisktrain.spec import Blueprint
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

WEIGHTS = {"w": np.arange(3, dtype=np.float32)}


def summary_of(reason: str = "Done.") -> RunSummary:
    state = running(status="completed", reason=reason, created=10.0, outcome=Outcome(70.0))
    return summarize(state, [{"epoch": 1}], ["a", "b", "c"], published=True)


def checkpoint(round_: int = 4, *, best: bool = True) -> Checkpoint:
    return Checkpoint(
        spec=plan_of(),
        round=round_,
        blueprint=Blueprint({"tensors": []}, b"{}"),
        params=WEIGHTS,
        optimizer_state={"m/w": np.ones(3, np.float32)} if round_ > 1 else None,
        best={"w": np.full(3, 7, np.float32)} if best else None,
        best_at=Best(3, "params:r:3", 0.5, 0) if best else None,
        history=TrainingHistory([{"epoch": 1}], 1, None),
    )


def lists_of(tensors: Tensors | None) -> dict[str, list[float]]:
    return {name: tensor.tolist() for name, tensor in (tensors or {}).items()}


def test_the_first_summary_stays(store: Store) -> None:
    archive = RunArchive(store, "r")
    assert archive.summary() is None
    archive.put_summary(summary_of())
    archive.put_summary(summary_of("late"))
    assert archive.summary() == summary_of()
    assert list_summaries(store) == {"r": {**summary_of(), "history": []}}, "lists read no history"


def test_a_summary_of_an_earlier_version_has_its_history_in_the_body(store: Store) -> None:
    store.library.put(ids.summary("r"), summary_of())
    assert RunArchive(store, "r").summary() == summary_of()


def test_waiting_for_the_summary_ends_with_it_or_at_the_deadline(store: Store) -> None:
    archive = RunArchive(store, "r")
    assert archive.wait_for_summary(time.time() - 1) is None
    assert archive.wait_for_summary(time.time() + 0.2, longest=0.05) is None
    interrupted = InterruptedStore(store)
    interrupted.library.interrupt["get"] = [
        after(lambda: None),
        after(lambda: archive.put_summary(summary_of())),
    ]
    assert (
        RunArchive(interrupted, "r").wait_for_summary(time.time() + 20, longest=0.05)
        == summary_of()
    )


def test_a_checkpoint_is_read_back_as_it_was_written(store: Store) -> None:
    archive = RunArchive(store, "r")
    assert archive.resumes_at() is None
    with pytest.raises(NotFound, match="has no checkpoint") as missing:
        archive.read_checkpoint()
    assert missing.value.code == "no_checkpoint"
    archive.put_checkpoint(checkpoint())
    archive.put_checkpoint(checkpoint(round_=9))
    assert archive.resumes_at() == 4
    read, written = archive.read_checkpoint(), checkpoint()
    assert (read.spec, read.round, read.blueprint) == (written.spec, 4, written.blueprint)
    assert (read.best_at, read.history) == (written.best_at, written.history)
    assert "history" not in store.library.get(ids.checkpoint("r")).body
    for part in ("params", "optimizer_state", "best"):
        assert {n: t.tolist() for n, t in getattr(read, part).items()} == {
            n: t.tolist() for n, t in getattr(written, part).items()
        }


def test_a_checkpoint_of_the_first_round_has_no_optimizer_state(store: Store) -> None:
    archive = RunArchive(store, "r")
    archive.put_checkpoint(checkpoint(round_=1, best=False))
    read = archive.read_checkpoint()
    assert (read.round, read.optimizer_state, read.best, read.best_at) == (1, None, None, None)


def test_a_damaged_checkpoint_is_refused(store: Store) -> None:
    store.library.put(ids.checkpoint("r"), dict(checkpoint().to_body()), attachment=b"not tensors")
    with pytest.raises(Damaged):
        RunArchive(store, "r").read_checkpoint()


def test_both_are_deleted_together(store: Store) -> None:
    archive = RunArchive(store, "r")
    archive.put_summary(summary_of())
    archive.put_checkpoint(checkpoint())
    archive.delete()
    assert archive.summary() is None and archive.resumes_at() is None


def test_a_rejection_says_why_a_run_did_not_begin_and_the_newest_counts(store: Store) -> None:
    archive = RunArchive(store, "r")
    assert archive.rejection() is None
    for text in ("first", "second"):
        archive.put_rejection(DataError(text).to_record())
    found = archive.rejection()
    assert found is not None
    assert found["error"]["message"] == "second"
    assert list(list_rejections(store)) == ["r"]
    archive.delete_rejection()
    assert list_rejections(store) == {}


def test_a_rejection_that_another_caller_wrote_meanwhile_stays(store: Store) -> None:
    other = RunArchive(store, "r")
    late = InterruptedStore(store)
    late.library.interrupt["put"] = [
        after(lambda: other.put_rejection(DataError("other").to_record()))
    ]
    RunArchive(late, "r").put_rejection(DataError("late").to_record())
    found = other.rejection()
    assert found is not None
    assert found["error"]["message"] == "other"


def test_a_summary_says_how_the_run_ended() -> None:
    summary = summary_of()
    assert (summary["model"], summary["seconds"], summary["resumable"]) == ("m:1", 60.0, False)
    assert summary["ended"] == "1970-01-01T00:01:10.000+00:00" and summary["history"] == [
        {"epoch": 1}
    ]
    assert "error" not in summary
    failed = running(
        status="failed",
        outcome=Outcome(
            5.0,
            error={"code": "x", "message": "m"},
            log=["line"],
        ),
        point=ResumePoint(4, "p", "m"),
        created=10.0,
    )
    summary = summarize(failed, [{"epoch": 2}], None, published=False)
    assert (summary["model"], summary["seconds"], summary["resumable"]) == (None, 0.0, True)
    assert (summary["error"]["code"], summary["workers_log"], summary["history"]) == (
        "x",
        ["line"],
        [{"epoch": 2}],
    )


def test_only_a_run_that_has_ended_has_a_summary() -> None:
    with pytest.raises(ValueError, match="run r is not final"):
        summarize(running(), [], None, published=False)


def test_rounds_that_only_evaluate_are_not_counted() -> None:
    assert [rounds_done(running(plan_of(rounds=6), round=r)) for r in (0, 1, 4, 7, 8)] == [
        0,
        0,
        3,
        6,
        6,
    ]
