"""Which rows every shard gives to a round: every row once an epoch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan_of

from whisktrain.rules import batches

rows_of_shards = st.lists(st.integers(1, 60), min_size=1, max_size=6).map(tuple)


@given(
    rows=rows_of_shards, batch=st.integers(0, 50), seed=st.integers(0, 5), epoch=st.integers(0, 3)
)
@settings(max_examples=150, deadline=None)
def test_an_epoch_takes_every_row_once_and_from_every_shard_in_proportion(
    rows, batch, seed, epoch
) -> None:
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
            assert (
                abs(len(taken[k]) - min(done, 1.0) * rows[k])
                <= 0.5 + len(rows) / 2 * rows[k] / sum(rows) + 1e-9
            )
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
            a, b = (
                batches.work(one, r, "train", k).steps[0],
                batches.work(two, r, "train", k).steps[0],
            )
            assert a.tolist() == b.tolist()
    assert (
        batches.work(plan_of(seed=9), 1, "train", 0).steps[0].tolist()
        != batches.work(one, 1, "train", 0).steps[0].tolist()
    )


def test_what_is_evaluated_when() -> None:
    spec = plan_of(batch=25, rounds=6)  # two rounds an epoch
    assert [batches.work(spec, r, "train", 0).validate for r in range(1, 7)] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    last = batches.work(spec, 7, "evaluate", 1)
    assert (last.phase, last.epoch, last.validate, last.score_training, last.steps) == (
        "evaluate",
        2,
        True,
        True,
        (),
    )
    bare = plan_of(held=(0, 0), batch=25)
    assert (
        not batches.work(bare, 3, "train", 0).validate
        and not batches.work(bare, 7, "evaluate", 0).validate
    )
