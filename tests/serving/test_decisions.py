"""Outputs to decisions, and decisions to words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.errors import DataError
from whisktrain.serving import decisions, messages


def test_probabilities_become_labels_and_shares() -> None:
    outputs = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], dtype=np.float32)
    found = decisions.classify(decisions.shares(outputs, 3), ["a", "b", "c"], 2)
    assert found[0] == {
        "class": "b",
        "confidence": 0.7,
        "top": [{"class": "b", "probability": 0.7}, {"class": "c", "probability": 0.2}],
    }
    assert [t["class"] for t in found[1]["top"]] == ["a", "b"], (
        "equally likely classes come in the model's order"
    )


def test_outputs_are_normalised_over_the_known_classes() -> None:
    assert decisions.shares(np.array([[0.2, 0.2, 0.6], [0.0, 0.0, 1.0]]), 2) == pytest.approx(
        np.full((2, 2), 0.5)
    )
    assert decisions.shares(np.array([[0.9, 0.9, 0.0]]), 3) == pytest.approx(
        np.array([[0.5, 0.5, 0.0]])
    )


def test_units_that_do_not_fit_and_outputs_that_are_not_finite_are_named() -> None:
    with pytest.raises(DataError, match="2 outputs for 3 classes"):
        decisions.shares(np.ones((1, 2)), 3)
    with pytest.raises(DataError, match="row 2 is not finite"):
        decisions.shares(np.array([[0.5, 0.5], [np.nan, 0.5]]), 2)


@given(
    st.lists(st.lists(st.floats(0, 50), min_size=3, max_size=3), min_size=1, max_size=8),
    st.integers(1, 5),
)
def test_shares_add_up_and_decisions_are_json(rows: list[list[float]], top_k: int) -> None:
    shares = decisions.shares(np.array(rows), 3)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    found = decisions.classify(shares, list(np.array([10, 20, 30])), top_k)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for decision, row in zip(found, shares, strict=True):
        assert len(decision["top"]) == min(top_k, 3)
        assert decision["class"] == [10, 20, 30][int(np.argmax(row))]


def test_values_are_plain_numbers_and_null_where_not_finite() -> None:
    assert decisions.estimate(np.array([1.5, np.nan, np.inf], dtype=np.float32)) == [
        {"value": 1.5},
        {"value": None},
        {"value": None},
    ]


def test_messages_say_what_was_decided() -> None:
    shares = np.array([[0.03, 0.97], [0.6, 0.4]])
    both = decisions.classify(shares, ["stays", "leaves"], 3)
    assert messages.of_decisions(both[:1]) == "The model expects class leaves (97 % sure)."
    assert (
        messages.of_decisions(both[1:])
        == "The model expects class stays (60 % sure); next comes class leaves (40 %)."
    )
    batch = messages.of_decisions(both)
    assert "Of 2 rows" in batch
    assert "least about row 2 (60 %)" in batch
    assert (
        messages.of_decisions([{"value": 152.25}], "progression")
        == "The model expects 152.2 for 'progression'."
    )
    assert "from 1 to 3 over 2 rows (mean 2)" in messages.of_decisions(
        [{"value": 1.0}, {"value": 3.0}]
    )
    assert "100 %" not in messages.of_decisions(
        decisions.classify(np.array([[0.001, 0.999]]), [0, 1], 1)
    )


@pytest.mark.parametrize(
    ("result", "part"),
    [
        (
            {
                "status": "completed",
                "model": "m:2",
                "metrics": {"val_accuracy": 0.975, "val_rows": 360},
            },
            "accuracy 0.975 on 360",
        ),
        (
            {"status": "completed", "model": "m:2", "metrics": {"val_accuracy": None, "r2": 0.5}},
            "training R² 0.5",
        ),
        ({"status": "training", "run": "r1", "model": "m:2"}, "whisktrain runs watch r1"),
        ({"status": "stopped", "run": "r1"}, "whisktrain runs resume r1"),
        ({"status": "diverged", "run": "r1"}, "ended as diverged"),
    ],
)
def test_messages_say_how_a_run_ended(result: dict[str, object], part: str) -> None:
    assert part in messages.of_training(result)
