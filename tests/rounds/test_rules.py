"""The pure rules: any order, duplicates, late and missing documents."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds_rig import plan_of

from whisktrain.records import ids, round_times
from whisktrain.records.cost import Cost, Usage
from whisktrain.records.failures import MERGE, Failure
from whisktrain.records.ids import DocumentId, prefixes, singles
from whisktrain.records.run import Best, Ending, Outcome, ResumePoint, RunState
from whisktrain.rules import assignment, batches, deletion, timeouts
from whisktrain.rules.leases import dead_slots, leases_after
from whisktrain.rules.scores import add_sums
from whisktrain.rules.timeouts import Timeouts
from whisktrain.rules.verdict import judge
from whisktrain.spec import Spec

PACE = Timeouts()
rows_of_shards = st.lists(st.integers(1, 60), min_size=1, max_size=6).map(tuple)


def running(spec: Spec | None = None, **changes) -> RunState:
    known = {"round": 3, "phase": "train", "params": "params:r:3", "opened": 1000.0}
    return RunState("r", spec or plan_of(), 1, **{**known, **changes})


def failure(shard: int, attempt: int = 1, written: float = 1000.0, **changes) -> Failure:
    return Failure(shard, attempt, changes.pop("error", {"code": "x", "message": "m"}), written=written, **changes)


# ------------------------------------------------------------------------------------------------------------------ the plan


@given(rows=rows_of_shards, batch=st.integers(0, 50), seed=st.integers(0, 5), epoch=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_an_epoch_takes_every_row_once_and_from_every_shard_in_proportion(rows, batch, seed, epoch) -> None:
    spec = plan_of(rows, batch=batch, seed=seed, rounds=10**6)
    steps = batches.rounds_per_epoch(spec)
    assert steps == (max(-(-sum(rows) // batch), 1) if batch else 1)
    taken: list[list[int]] = [[] for _ in rows]
    for s in range(steps):
        r = epoch * steps + s + 1
        assert batches.epoch_of(spec, r) == epoch and batches.opens_epoch(spec, r) == (s == 0)
        parts = [batches.work(spec, r, "train", k).steps[0] for k in range(len(rows))]
        assert sum(map(len, parts)) == (min(batch, sum(rows) - s * batch) if batch else sum(rows))
        for k, part in enumerate(parts):
            taken[k].extend(part.tolist())
            done = (s + 1) * batch / sum(rows) if batch else 1.0
            assert abs(len(taken[k]) - min(done, 1.0) * rows[k]) <= 0.5 + len(rows) / 2 * rows[k] / sum(rows) + 1e-9
    assert [sorted(t) for t in taken] == [list(range(n)) for n in rows]


@given(rows=rows_of_shards, batch=st.integers(0, 20), steps=st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_a_local_epoch_takes_every_row_once_in_batches(rows, batch, steps) -> None:
    spec = plan_of(rows, batch=batch, sync="local", local_steps=steps, rounds=10**6)
    rounds = batches.rounds_per_epoch(spec)
    for k, n in enumerate(rows):
        work = [batches.work(spec, r, "train", k).steps for r in range(1, rounds + 1)]
        assert all(len(w) <= steps for w in work)
        flat = [t for w in work for t in w]
        assert sorted(np.concatenate(flat).tolist() if flat else []) == list(range(n))
        assert all(len(t) == (batch or n) for t in flat[:-1])
    longest = max(-(-n // (batch or n)) for n in rows)
    assert rounds == max(-(-longest // steps), 1)


def test_the_order_depends_on_nothing_but_the_plan() -> None:
    one, two = plan_of(name="a", lease=0.0), plan_of(name="b", lease=9.0, slots=1)
    for r in (1, 4):
        for k in (0, 1):
            a, b = batches.work(one, r, "train", k).steps[0], batches.work(two, r, "train", k).steps[0]
            assert a.tolist() == b.tolist()
    assert batches.work(plan_of(seed=9), 1, "train", 0).steps[0].tolist() != batches.work(one, 1, "train", 0).steps[0].tolist()


def test_what_is_evaluated_when() -> None:
    spec = plan_of(batch=25, rounds=6)  # two rounds an epoch
    assert [batches.work(spec, r, "train", 0).validate for r in range(1, 7)] == [False, False, True, False, True, False]
    last = batches.work(spec, 7, "evaluate", 1)
    assert (last.phase, last.epoch, last.validate, last.score_training, last.steps) == ("evaluate", 2, True, True, ())
    bare = plan_of(held=(0, 0), batch=25)
    assert not batches.work(bare, 3, "train", 0).validate and not batches.work(bare, 7, "evaluate", 0).validate


# ---------------------------------------------------------------------------------------------------------- who and when


@given(slots=st.integers(1, 9), shards=st.integers(1, 30))
def test_every_shard_is_served_by_exactly_one_slot(slots: int, shards: int) -> None:
    served = [k for slot in range(slots) for k in assignment.owned(slot, slots, shards)]
    assert sorted(served) == list(range(shards))
    assert all(assignment.slot_of(k, slots) == s for s in range(slots) for k in assignment.owned(s, slots, shards))


@given(arrivals=st.lists(st.integers(0, 7), max_size=30), seed=st.integers(0, 100))
def test_a_round_is_complete_by_its_expected_set_never_by_a_count(arrivals: list[int], seed: int) -> None:
    spec = plan_of(tuple(5 for _ in range(6)))
    shuffled = random.Random(seed).sample(arrivals, len(arrivals))  # any order, duplicates, shards that do not exist
    lacking = assignment.missing(3, 6, arrivals)
    assert lacking == assignment.missing(3, 6, shuffled) == tuple(k for k in range(6) if k not in arrivals)
    verdict = judge(running(spec), set(arrivals), [], 1000.0, PACE)
    assert (verdict.kind == "complete") == (not lacking)
    assert verdict.missing == lacking


def test_overdue_shards_are_tried_again_until_the_run_has_failed() -> None:
    state, now = running(), 1000.0
    failures: list[Failure] = []
    for attempt in (1, 2, 3):
        limit = PACE.first * (1 if attempt == 1 else 2)
        assert judge(state, {0}, failures, now + limit - 0.01, PACE).kind == "waiting"
        verdict = judge(state, {0}, failures, now + limit, PACE)
        assert (verdict.kind, verdict.overdue) == ("again", (1,))
        now += limit
        failures.append(failure(1, attempt, now))
    verdict = judge(state, {0}, failures, now, PACE)
    assert verdict.kind == "exhausted" and verdict.cause == failures[0]
    # An update that comes after all counts.
    assert judge(state, {0, 1}, failures, now, PACE).kind == "complete"


def test_what_is_overdue_follows_the_rounds_so_far() -> None:
    timed = running(timing={"0": 0, **round_times.added({}, 100.0)})
    assert timeouts.overdue_after(timed, PACE) == PACE.first
    many = running(timing={next(iter(round_times.added({}, 2000.0))): 20})
    assert timeouts.overdue_after(many, PACE) == pytest.approx(40.0, rel=0.05)
    assert timeouts.overdue_after(running(timing=many.timing, phase="evaluate"), PACE) == PACE.first
    assert timeouts.overdue_after(running(phase="build", round=0), PACE) == PACE.build
    eight = plan_of(tuple(5 for _ in range(8)), slots=3)
    assert timeouts.overdue_after(running(eight), PACE) == 3 * PACE.first
    assert timeouts.backup_delay(running(), PACE) == PACE.backup_first
    assert timeouts.backup_delay(running(timing={next(iter(round_times.added({}, 1000.0))): 9}), PACE) == pytest.approx(
        3.0, rel=0.05
    )
    assert timeouts.backup_delay(running(timing={next(iter(round_times.added({}, 10.0))): 9}), PACE) == PACE.backup


def test_a_fatal_failure_ends_the_run_at_once_unless_its_shard_came_through() -> None:
    fatal = failure(1, fatal=True, error={"code": "diverged", "message": "nan"})
    verdict = judge(running(), {0}, [failure(0), fatal], 1000.0, PACE)
    assert verdict.kind == "exhausted" and verdict.cause is fatal and fatal.diverged
    assert judge(running(), {0, 1}, [fatal], 1000.0, PACE).kind == "complete"
    merge = failure(MERGE, fatal=True)
    assert judge(running(), {0, 1}, [merge], 1000.0, PACE).kind == "exhausted"


def test_a_slot_whose_shards_others_computed_is_taken_for_dead() -> None:
    spec = plan_of((9, 9, 9, 9), slots=2)
    leases = {0: 50.0, 1: 60.0}
    own = {0: (0, 55.0), 1: (1, 66.0), 2: (0, 55.0), 3: (1, 66.0)}
    assert leases_after(spec, leases, own) == {0: 55.0, 1: 66.0}
    assert leases_after(spec, leases, {**own, 1: (0, 55.0)}) == {0: 55.0, 1: 66.0}
    backed = dict.fromkeys(range(4), (0, 55.0))
    assert leases_after(spec, leases, backed) == {0: 55.0}
    assert leases_after(spec, {}, {k: (k % 2, 0.0) for k in range(4)}) == {}
    assert dead_slots(spec, {0: 55.0}, 50.0, PACE) == (1,)
    assert dead_slots(spec, {0: 55.0, 1: 50.0}, 55.0 + PACE.hand_over, PACE) == (0, 1)


def test_a_swap_is_mine_only_by_nonce_and_round() -> None:
    own = running(nonce="n", round=4)
    assert running(nonce="n", round=4, rev="2-x").is_write_of(own)
    assert not running(nonce="n", round=3).is_write_of(own) and not running(nonce="m", round=4).is_write_of(own)


# ------------------------------------------------------------------------------------------------------- what may be deleted


def test_pinned_documents_survive_deletion_and_sweeping() -> None:
    best = Best(2, "params:r:2", 0.5, 0)
    point = ResumePoint(4, "params:r:4", "moments:r:4", Best(1, "params:r:1", 0.7, 0))
    state = running(round=6, params="params:r:6", best=best, point=point)
    ids = [f"{kind}:r:{n}" for kind in ("params", "moments") for n in range(1, 7)] + [f"r:{n}:0" for n in range(1, 7)]
    kept = set(ids) - set(deletion.deletable(ids, state))
    assert kept == {"params:r:1", "params:r:2", "params:r:4", "params:r:6", "moments:r:4", "moments:r:6", "r:6:0"}
    assert set(deletion.sweepable(ids, "r", state)) == set(ids) - kept
    assert deletion.deletable(["params:other:1", "other:1:0", "failure:r:1:0:1", "blueprint:r", "run:r"], state) == []


def test_sweeping_by_the_newest_moments_and_never_while_final() -> None:
    ids = ["r:1:0", "r:2:0", "r:3:0", "params:r:2", "moments:r:2", "stop:r", "blueprint:r"]
    assert deletion.sweepable(ids, "r", running()) == ["r:1:0"]
    assert deletion.sweepable(ids, "r", running(status="completed")) == []
    assert deletion.sweepable([*ids, "run:r", "params:q:1"], "r", None) == ids
    resumed = running(plan_of(first_round=3))
    assert deletion.sweepable(["r:2:0", "r:3:0"], "r", resumed) == ["r:2:0"]


@given(run=st.from_regex(ids.RUN_ID, fullmatch=True).filter(lambda r: r not in ids.RESERVED))
@settings(max_examples=200)
def test_every_id_says_where_it_belongs(run: str) -> None:
    made = {
        ids.run(run): "run",
        ids.blueprint(run): "blueprint",
        ids.stop(run): "stop",
        ids.params(run, 7): "params",
        ids.params(run, 7, "ab12"): "params",
        ids.optimizer_state(run, 7): "optimizer_state",
        ids.update(run, 7, 2): "update",
        ids.failure(run, 7, 2, 1): "failure",
        ids.failure(run, 7, -1, 1): "failure",
    }
    for id_, kind in made.items():
        at = DocumentId.parse(id_)
        assert at is not None and (at.kind, at.run) == (kind, run)
        assert kind in ("run", "blueprint", "stop") or at.round == 7
        if kind not in ("run",):
            assert id_.startswith(prefixes(run)) != (id_ in singles(run))
    assert (
        DocumentId.parse(ids.registration("guest", "rounds")) is None
        and DocumentId.parse("x") is None
        and DocumentId.parse("r:a:b") is None
    )


# --------------------------------------------------------------------------------------------------------------- small values


def test_the_run_document_is_read_back_as_it_was_written() -> None:
    state = running(
        merged=(0, 1),
        best=Best(2, "p", 0.5, 0),
        ending=Ending("stopped", "why"),
        point=ResumePoint(4, "p", "m", Best(1, "q", 0.7, 0)),
        outcome=Outcome(5.0, "p", {"loss": 1.0}, [{"epoch": 1}], {"code": "x"}, ["line"]),
        leases={0: 5.0, 11: 6.0},
        cost=Cost(2, 1.5, {"0": Usage("e", 1.0, 2.0, 512)}),
        timing={"3": 4},
        latest={"loss": 1.0},
        platform={"invocations_per_minute": 60},
        rev="3-x",
    )
    import json

    assert RunState.from_body("r", "3-x", json.loads(json.dumps(state.to_body()))) == state
    assert RunState.from_body("r", "", json.loads(json.dumps(running().to_body()))) == running()


@given(lengths=st.lists(st.floats(0.05, 1e6), min_size=1, max_size=200), share=st.sampled_from([0.5, 0.95]))
def test_quantiles_are_within_a_few_percent(lengths: list[float], share: float) -> None:
    histogram: dict[str, int] = {}
    for length in lengths:
        histogram = round_times.added(histogram, length)
    exact = sorted(lengths)[max(int(np.ceil(share * len(lengths))) - 1, 0)]
    assert round_times.quantile(histogram, share) == pytest.approx(exact, rel=0.03, abs=0.001)
    assert round_times.count(histogram) == len(lengths)


def test_cost_counts_activations_and_their_seconds_once() -> None:
    cost = Cost().seen("0", "a", 10.0, 12.0, 512).seen("0", "a", 10.0, 14.0, 512).seen("0", "b", 20.0, 21.0, 512)
    cost = cost.seen("aggregate", "c", 10.0, 20.0, 256)
    assert cost.total() == {"invocations": 3, "gb_seconds": round(4 * 0.5 + 1 * 0.5 + 10 * 0.25, 3)}


def sums_of(n: int) -> dict:
    return {"rows": n, "loss": n / 2, "divisor": 2.0 * n, "penalty": n / 4, "state": {"a": [n, 1]}}


@given(st.lists(st.none() | st.integers(0, 9).map(sums_of), max_size=6))
def test_sums_add_up_number_by_number(parts) -> None:
    some = [p for p in parts if p and p["rows"]]
    total = add_sums(parts)
    if not some:
        assert total is None
        return
    assert total == {
        "rows": sum(p["rows"] for p in some),
        "loss": sum(p["loss"] for p in some),
        "divisor": sum(p["divisor"] for p in some),
        "penalty": sum(p["penalty"] for p in some),
        "state": {"a": [sum(p["rows"] for p in some), len(some)]},
    }
