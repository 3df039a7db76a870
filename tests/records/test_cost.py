"""The cost of a run."""

from __future__ import annotations

from whisktrain.records.cost import Cost


def test_cost_counts_activations_and_their_seconds_once() -> None:
    cost = (
        Cost()
        .seen("0", "a", 10.0, 12.0, 512)
        .seen("0", "a", 10.0, 14.0, 512)
        .seen("0", "b", 20.0, 21.0, 512)
    )
    cost = cost.seen("aggregate", "c", 10.0, 20.0, 256)
    assert cost.total() == {"invocations": 3, "gb_seconds": round(4 * 0.5 + 1 * 0.5 + 10 * 0.25, 3)}
