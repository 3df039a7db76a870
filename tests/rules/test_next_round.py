"""What follows a closed round: the next one, an evaluation of the parameters to publish, or the end."""

from __future__ import annotations

import pytest
from plans import plan_of, running

from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best, Ending
from whisktrain.rules.next_round import after_build, after_round, number_after
from whisktrain.spec import ContributionNumbers, MetricSums

# Two shards of 30 and 20 rows, 25 rows a round: rounds 1 and 2 are the first epoch, 3 and 4 the second.
TWO_ROUNDS = plan_of(batch=25, rounds=4)
WATCHED = plan_of(batch=25, rounds=8, patience=1)


def sums(loss: float, rows: int = 10) -> MetricSums:
    return {"rows": rows, "loss": loss * rows, "divisor": float(rows), "penalty": 0.0, "state": {}}


def trained(loss: float, validation: float | None = None) -> ContributionNumbers:
    measured = sums(validation) if validation is not None else None
    return {
        "rows": 10,
        "divisor": 10.0,
        "train": sums(loss),
        "validation": measured,
        "training": None,
    }


def evaluated(loss: float, validation: float) -> ContributionNumbers:
    return {
        "rows": 0,
        "divisor": 0.0,
        "train": None,
        "validation": sums(validation),
        "training": sums(loss),
    }


def test_the_first_training_round_follows_the_build() -> None:
    build = running(TWO_ROUNDS, round=0, phase="build", params="")
    assert number_after(build) == 1
    follows = after_build(build, stop=False)
    assert (follows.kind, follows.tensors, follows.phase, follows.ending) == (
        "open",
        "same",
        "train",
        None,
    )
    assert follows.history == TrainingHistory() and not follows.resumable


def test_a_resumed_run_continues_where_the_stopped_one_was() -> None:
    assert number_after(running(plan_of(first_round=5), round=0, phase="build")) == 5
    assert number_after(running(plan_of(first_round=5), round=5)) == 6


def test_a_stop_before_the_first_round_publishes_the_first_parameters() -> None:
    follows = after_build(running(TWO_ROUNDS, round=0, phase="build"), stop=True)
    assert follows.phase == "evaluate" and follows.resumable
    assert follows.ending == Ending("stopped", "Stopped on request before the first round.")


def test_a_round_within_an_epoch_adds_its_sums() -> None:
    before = TrainingHistory([], 0, sums(2.0))
    follows = after_round(
        running(TWO_ROUNDS, round=2), before, [trained(1.0), trained(3.0)], stop=False
    )
    assert (follows.kind, follows.tensors, follows.phase) == ("open", "merged", "train")
    assert follows.history.entries == [] and follows.history.epoch == 0
    assert follows.history.sums == sums(2.0, rows=30)
    assert follows.latest["epoch"] == 1 and follows.latest["loss"] == pytest.approx(2.0)


def test_the_first_round_of_an_epoch_closes_the_epoch_before() -> None:
    before = TrainingHistory([], 0, sums(2.0))
    numbers = [trained(1.0, validation=0.5), trained(1.0, validation=1.5)]
    follows = after_round(running(TWO_ROUNDS, round=3), before, numbers, stop=False)
    (entry,) = follows.history.entries
    assert (entry["epoch"], entry["round"], entry["loss"], entry["val_loss"]) == (1, 2, 2.0, 1.0)
    assert follows.history.epoch == 1 and follows.history.sums == sums(1.0, rows=20)
    assert follows.latest["epoch"] == 2 and follows.latest["val_loss"] == 1.0
    assert follows.best is None  # early stopping does not watch


def test_the_last_round_is_evaluated_and_then_the_run_finishes() -> None:
    last = after_round(
        running(TWO_ROUNDS, round=4), TrainingHistory([], 1, sums(2.0)), [trained(1.0)], stop=False
    )
    assert (last.kind, last.tensors, last.phase) == ("open", "merged", "evaluate")
    assert last.ending == Ending("completed", "All 4 rounds are done.") and not last.resumable
    evaluation = running(TWO_ROUNDS, round=5, phase="evaluate", ending=last.ending)
    end = after_round(evaluation, last.history, [evaluated(0.25, 0.75)], stop=False)
    assert (end.kind, end.tensors) == ("finish", "same")
    assert end.metrics["loss"] == 0.25 and end.metrics["val_loss"] == 0.75
    assert [entry["epoch"] for entry in end.history.entries] == [2]


def test_a_stop_is_evaluated_and_may_be_resumed() -> None:
    follows = after_round(
        running(TWO_ROUNDS, round=2), TrainingHistory(), [trained(1.0)], stop=True
    )
    assert (follows.tensors, follows.phase, follows.resumable) == ("merged", "evaluate", True)
    assert follows.ending == Ending("stopped", "Stopped on request after round 2 of 4.")


def test_the_best_parameters_are_those_of_the_least_validation_loss() -> None:
    before = TrainingHistory([], 0, sums(2.0))
    state = running(WATCHED, round=3)
    first = after_round(state, before, [trained(1.0, validation=0.5)], stop=False)
    assert first.best == Best(3, "params:r:3", 0.5, 0)
    kept = Best(1, "params:r:1", 0.5, 0)
    same = after_round(
        running(WATCHED, round=3, best=kept), before, [trained(1.0, validation=0.5)], stop=False
    )
    assert same.best == kept  # only a smaller loss is better
    not_finite = [trained(1.0, validation=float("nan"))]
    assert (
        after_round(running(WATCHED, round=3, best=kept), before, not_finite, stop=False).best
        == kept
    )


def test_without_validation_rows_the_training_loss_is_watched() -> None:
    bare = plan_of(held=(0, 0), batch=25, rounds=8, patience=1)
    follows = after_round(
        running(bare, round=3), TrainingHistory([], 0, sums(2.0)), [trained(1.0)], stop=False
    )
    assert follows.best == Best(3, "params:r:3", 2.0, 0)


def test_out_of_patience_the_best_parameters_are_restored_and_evaluated() -> None:
    best = Best(3, "params:r:3", 0.5, 0)
    state = running(WATCHED, round=5, best=best)
    follows = after_round(
        state, TrainingHistory([], 1, sums(2.0)), [trained(1.0, validation=0.7)], stop=False
    )
    assert (follows.kind, follows.tensors, follows.phase) == ("open", "best", "evaluate")
    assert follows.history.sums is None and follows.best == best
    assert follows.ending is not None and follows.ending.restored
    assert (
        follows.ending.reason
        == "Stopped early after epoch 2: no better since epoch 1, whose weights were restored."
    )
    evaluation = running(WATCHED, round=6, phase="evaluate", best=best, ending=follows.ending)
    end = after_round(evaluation, follows.history, [evaluated(0.25, 0.5)], stop=False)
    assert end.kind == "finish" and len(end.history.entries) == 1


def test_at_the_end_better_parameters_of_an_earlier_epoch_are_restored_and_evaluated() -> None:
    best = Best(3, "params:r:3", 0.5, 0)
    state = running(
        WATCHED, round=9, phase="evaluate", best=best, ending=Ending("completed", "Done.")
    )
    restore = after_round(
        state, TrainingHistory([], 3, sums(2.0)), [evaluated(1.0, 0.75)], stop=False
    )
    assert (restore.kind, restore.tensors, restore.phase) == ("open", "best", "evaluate")
    assert restore.ending == Ending(
        "completed", "Done. The weights of epoch 1, the best, were restored.", restored=True
    )


def test_values_that_are_undefined_come_with_their_reasons() -> None:
    nothing: ContributionNumbers = {
        "rows": 0,
        "divisor": 0.0,
        "train": None,
        "validation": sums(0.0) | {"divisor": 0.0},
        "training": None,
    }
    state = running(TWO_ROUNDS, round=5, phase="evaluate", ending=Ending("completed", "Done."))
    end = after_round(state, TrainingHistory(), [nothing], stop=False)
    assert end.metrics["loss"] is None and end.metrics["val_loss"] is None
    assert end.metrics["undefined"] == {
        "loss": "there are no rows",
        "accuracy": "there are no rows",
        "val_loss": "there are no rows",
    }
