"""The merge on made-up contributions: what is summed, divided, averaged and left alone."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.errors import Damaged
from whisktrain.merge.merging import merge
from whisktrain.spec import Contribution, Spec

LAYOUT = {
    "tensors": [
        {"name": "w", "role": "trainable"},
        {"name": "m", "role": "mean", "momentum": 0.9},
        {"name": "v", "role": "variance", "momentum": 0.9, "mean": "m"},
        {"name": "f", "role": "frozen"},
        {"name": "count", "role": "frozen"},
    ]
}
SPEC = Spec(
    dataset="d",
    name="n",
    task="classification",
    classes=2,
    x_shape=(2,),
    shard_rows=(3, 2),
    validation_rows=(0, 0),
    model={"preset": "mlp"},
    loss={"name": "sparse_categorical_crossentropy"},
    metrics=(),
    optimizer={"name": "sgd", "learning_rate": 0.5},
)


def params() -> dict:
    return {
        "w": np.array([1.0, 2.0], np.float32),
        "m": np.zeros(2, np.float32),
        "v": np.ones(2, np.float32),
        "f": np.array([np.nan, -0.0], np.float32),
        "count": np.array([7], np.int64),
    }


def part(rows: int, w, m=(0.0, 0.0), v=(1.0, 1.0), divisor: float | None = None) -> Contribution:
    tensors = {
        "w": np.array(w, np.float32),
        "m": np.array(m, np.float32),
        "v": np.array(v, np.float32),
    }
    return Contribution(
        tensors, {"rows": rows, "divisor": float(rows if divisor is None else divisor)}
    )


EMPTY = Contribution({}, {"rows": 0, "divisor": 0.0})


def test_sums_are_divided_by_what_went_in() -> None:
    merged = merge(SPEC, LAYOUT, 1, params(), {}, [part(3, (3.0, 0.0)), EMPTY, part(1, (1.0, 4.0))])
    assert merged.params["w"].tolist() == [1.0 - 0.5 * 4 / 4, 2.0 - 0.5 * 4 / 4]
    assert merged.params["f"].tobytes() == params()["f"].tobytes()
    assert merged.params["count"].tobytes() == params()["count"].tobytes()
    summed = merge(
        replace(SPEC, loss={"name": "x", "reduction": "sum"}),
        LAYOUT,
        1,
        params(),
        {},
        [part(3, (3.0, 0.0))],
    )
    assert summed.params["w"].tolist() == [1.0 - 1.5, 2.0]


def test_nothing_in_nothing_changes() -> None:
    moments = {"momentum/w": np.ones(2, np.float32)}
    for parts in ([], [EMPTY], [part(2, (0.0, 0.0), divisor=0.0)]):
        merged = merge(SPEC, LAYOUT, 4, params(), moments, parts)
        assert all(merged.params[n].tobytes() == params()[n].tobytes() for n in params())
        assert merged.optimizer_state == moments


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 2**16))
def test_statistics_are_those_of_the_union(sizes: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    pieces = [draw.normal(draw.normal() * 3, 1 + draw.random(), (n, 2)) for n in sizes]
    parts = [part(len(p), (0.0, 0.0), p.mean(axis=0), p.var(axis=0)) for p in pieces]
    union = np.concatenate(pieces)
    after = merge(SPEC, LAYOUT, 1, params(), {}, parts).params
    assert np.allclose(after["m"], 0.1 * union.mean(axis=0), atol=1e-5)
    assert np.allclose(after["v"], 0.9 + 0.1 * union.var(axis=0), atol=1e-5)
    assert (after["v"] >= 0).all()


def moved(old: np.ndarray, batches: list[np.ndarray]) -> np.ndarray:
    """Keras' moving average with momentum 0.9 after some batches' statistics."""
    for batch in batches:
        old = 0.9 * old + 0.1 * batch
    return old


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 2**16))
def test_one_local_step_pools_as_gradient_mode_does(sizes: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    pieces = [draw.normal(draw.normal() * 3, 1 + draw.random(), (n, 2)) for n in sizes]
    spec = replace(SPEC, sync="local", batch=0)
    m, v = params()["m"], params()["v"]
    parts = [
        part(len(p), (0.0, 0.0), moved(m, [p.mean(axis=0)]), moved(v, [p.var(axis=0)]))
        for p in pieces
    ]
    after = merge(spec, LAYOUT, 1, params(), {}, parts).params
    union = np.concatenate(pieces)
    assert np.allclose(after["m"], moved(m, [union.mean(axis=0)]), atol=1e-5)
    assert np.allclose(after["v"], moved(v, [union.var(axis=0)]), atol=1e-5)


def test_local_steps_move_towards_the_variance_of_all_rows() -> None:
    """Two workers whose own variance is 1 and whose means are 0.346 apart from the common one: 1.12 in all."""
    spec, now = replace(SPEC, sync="local", batch=10), params()
    offset = np.sqrt(0.12)
    for number in range(1, 25):
        parts = []
        for sign, steps in ((1, 3), (-1, 3)):
            mean = moved(now["m"], [np.full(2, 5 + sign * offset)] * steps)
            variance = moved(now["v"], [np.ones(2)] * steps)
            parts.append(part(10 * steps, (0.0, 0.0), mean, variance))
        before = now["v"].copy()
        now = merge(spec, LAYOUT, number, now, {}, parts).params
        assert np.allclose(now["v"], moved(before, [np.full(2, 1.12)] * 3), atol=1e-5)
    assert np.allclose(now["m"], 5, atol=0.01)
    assert np.allclose(now["v"], 1.12, atol=1e-3)


def test_workers_of_unequal_steps_and_no_movement_are_pooled() -> None:
    """With K_k steps on steady batches: sum s_k a_k of the pooled moments, a_k = 1 - 0.9^K_k, and the rest from before."""
    spec, now = replace(SPEC, sync="local", batch=10), params()
    rows, means = np.array([40, 15]), np.array([2.0, -1.0])
    parts = [
        part(
            int(n),
            (0.0, 0.0),
            moved(now["m"], [np.full(2, mu)] * k),
            moved(now["v"], [np.full(2, 3.0)] * k),
        )
        for n, mu, k in zip(rows, means, (4, 2), strict=True)
    ]
    gained = rows / rows.sum() * (1 - 0.9 ** np.array([4, 2]))
    centre = (gained * means).sum() / gained.sum()
    expected = (1 - gained.sum()) * now["v"] + (gained * (3 + (means - centre) ** 2)).sum()
    assert np.allclose(merge(spec, LAYOUT, 1, params(), {}, parts).params["v"], expected, atol=1e-5)
    still = {
        "tensors": [{**e, "momentum": 1.0} if "momentum" in e else e for e in LAYOUT["tensors"]]
    }
    parts = [part(5, (0.0, 0.0), now["m"], now["v"]) for _ in range(2)]
    assert np.allclose(merge(spec, still, 1, params(), {}, parts).params["v"], now["v"], atol=1e-6)


def test_local_changes_are_averaged_by_rows() -> None:
    spec = replace(SPEC, sync="local")
    merged = merge(spec, LAYOUT, 1, params(), {}, [part(30, (1.0, 0.0)), part(10, (5.0, 4.0))])
    assert merged.params["w"].tolist() == [3.0, 3.0]
    assert merged.optimizer_state == {}
    outer = replace(spec, outer={"name": "nesterov", "learning_rate": 0.7, "momentum": 0.9})
    state: dict = {}
    # the formula of DiLoCo's outer step, written as PyTorch's SGD has it: g = -change, b = 0.9 b + g, w -= 0.7 (g + 0.9 b)
    b, w, now = np.zeros(2), np.array([1.0, 2.0]), params()
    for number, change in enumerate(([1.0, 2.0], [0.5, -1.0], [0.0, 3.0]), start=1):
        merged = merge(outer, LAYOUT, number, now, state, [part(5, change)])
        now, state = merged.params, merged.optimizer_state
        g = -np.array(change)
        b = 0.9 * b + g
        w = w - 0.7 * (g + 0.9 * b)
        assert np.allclose(now["w"], w, atol=1e-5)


@pytest.mark.parametrize("sync", ["gradient", "local"])
def test_a_merge_needs_no_second_copy_of_its_tensors(sync: str) -> None:
    """Beside what it is given: less than half of one tensor at any time."""
    layout = {"tensors": [{"name": "w", "role": "trainable"}]}
    size = 8 * 2**20
    numbers = {"rows": 1, "divisor": 1.0}
    parts = [Contribution({"w": np.ones(size, np.float32)}, numbers) for _ in range(3)]
    before = {"w": np.ones(size, np.float32)}
    state = {f"{role}/w": np.ones(size, np.float32) for role in ("momentum", "velocity")}
    spec = replace(SPEC, sync=sync, optimizer={"name": "adam", "learning_rate": 0.1})
    tracemalloc.start()
    try:
        merged = merge(spec, layout, 2, before, state, parts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert merged.params["w"] is before["w"]
    assert peak < 2 * size
    assert not any(each.tensors for each in parts)


def test_a_contribution_without_a_tensor_is_damaged() -> None:
    broken = part(3, (3.0, 0.0))
    del broken.tensors["w"]
    with pytest.raises(Damaged, match="hold w of shape"):
        merge(SPEC, LAYOUT, 1, params(), {}, [broken])
    with pytest.raises(Damaged, match="shape"):
        merge(SPEC, LAYOUT, 1, params(), {}, [part(3, (3.0,))])


def test_constrained_weights_are_brought_back_after_the_step() -> None:
    layout = {"tensors": [{"name": "w", "role": "trainable", "constraint": {"name": "NonNeg"}}]}
    merged = merge(
        SPEC, layout, 1, {"w": np.array([1.0, 2.0], np.float32)}, {}, [part(1, (9.0, 1.0))]
    )
    assert merged.params["w"].tolist() == [0.0, 1.5]
